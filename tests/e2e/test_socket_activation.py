"""Sockets that systemd binds: popbridge uses those of its addresses and needs no right to."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

import net

CONFIG = """
listen:
  - address: "127.0.0.1:{port}"
routes:
  - match: "*"
    server: imap://127.0.0.1:1
workers: 2
limits:
  drain: 1s
"""

# The process's own number is known only inside.
_BECOME = """
import os, sys
pid, numbers = eval(sys.argv[1]), eval(sys.argv[2])
os.environ.update(LISTEN_PID=str(pid or os.getpid()), LISTEN_FDS=str(len(numbers)))
for place, number in enumerate(numbers, 3):
    os.dup2(number, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


def log_of(tmp_path):
    return (tmp_path / "log").read_text()


@contextlib.contextmanager
def activated(tmp_path, sockets, port, pid=None):
    """popbridge as systemd starts it: the sockets from descriptor 3 on."""
    config = tmp_path / "popbridge.yaml"
    config.write_text(CONFIG.format(port=port))
    numbers = [one.fileno() for one in sockets]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, str(pid), repr(numbers), os.environ["POPBRIDGE"],
             "serve", "-c", str(config)], pass_fds=numbers, stderr=log)
    try:
        yield process
        net.wait_until(lambda: process.poll() is not None or
                       "event=ready" in log_of(tmp_path), 20, "it is ready")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, 1)


@pytest.fixture
def bound():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as one:
        # So that no shell redirection overwrites it.
        with socket.socket(fileno=os.dup2(one.fileno(), 200 + one.fileno())) as high:
            yield high


def test_an_inherited_socket_is_used(tmp_path, bound):
    port = bound.getsockname()[1]
    with activated(tmp_path, [bound], port):
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", port), 20) as client:
                assert client.recv(3) == b"+OK"
    assert "event=stopping" in log_of(tmp_path)


def test_a_connection_made_before_the_start_is_served(tmp_path, bound):
    port = bound.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), 20) as early:
        with activated(tmp_path, [bound], port):
            early.settimeout(20)
            assert early.recv(3) == b"+OK"


def test_sockets_for_another_process_are_not_ours(tmp_path, bound):
    port = bound.getsockname()[1]
    with activated(tmp_path, [bound], port, pid=1) as process:
        assert process.wait(20) == 1
    assert "in use" in log_of(tmp_path)


def test_a_socket_for_another_address_is_left_alone(tmp_path, bound):
    port = net.free_port()
    with activated(tmp_path, [bound], port):
        net.wait_until(lambda: "event=ready" in log_of(tmp_path), 20, "it is ready")
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            assert client.recv(3) == b"+OK"

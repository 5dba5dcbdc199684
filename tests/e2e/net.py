"""Loopback ports, waiting with a deadline, temporary folders: what every fixture needs."""

import os
import random
import select
import shutil
import socket
import tempfile
import time

# Below the range the kernel takes outgoing ports from, so that nobody's connection sits
# on a port between the moment it is picked and the moment the server binds it.
_PORTS = range(20000, 32000)


def free_port():
    """A loopback port nobody listens on."""
    for _ in range(1000):
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free loopback port")


def wait_until(question, seconds, what):
    """Ask until the answer is true; returns it. Fails with what() or what as the reason."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            reason = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {reason}")
        select.select([], [], [], 0.02)


def short_folder(name):
    """
    A new folder that everyone may pass through. Short, since UNIX socket paths live
    below it, and a daemon started by root gives up root before it opens them.
    """
    top = tempfile.gettempdir()
    if len(top) > 30:
        top = "/tmp"
    path = tempfile.mkdtemp(prefix=f"pb-{name}-", dir=top)
    os.chmod(path, 0o755)
    return path


def remove_folder(path):
    if os.environ.get("POPBRIDGE_KEEP"):
        print(f"kept: {path}")
        return
    shutil.rmtree(path, ignore_errors=True)


def die_with_parent(command):
    """The command, ended by the kernel when the test process goes away unexpectedly."""
    return ["setpriv", "--pdeathsig", "TERM", *command]


def slow_factor():
    """Time limits are multiplied by this; sanitizer builds and busy machines need more."""
    return float(os.environ.get("POPBRIDGE_SLOW", "1"))

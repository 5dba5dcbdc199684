"""
Floods that cost the sender little: of connections where there are no descriptors, of TLS
key changes, of commands whose answers nobody reads. And who leaves without a word is
noticed by TCP.
"""

import ctypes
import ctypes.util
import os
import resource
import select
import socket
import threading
import time

import bridge as bridge_module
import fake_imap
import mails
import net
import pop3
import pytest
import roles


@pytest.fixture
def lax():
    with fake_imap.FakeImap() as server:
        server.accepts = lambda user, password: True
        yield server


def one_worker(server, **more):
    return {"workers": 1, "routes": [{"match": "*", "server": server.url}], **more}


# Descriptors -------------------------------------------------------------------------


def waiting(bridge, count):
    """Connected, and nobody says hello."""
    return [pop3.Client(bridge.port(), greet=False) for _ in range(count)]


def is_idle(bridge, seconds=2):
    """At most 5 % of one core."""
    before = bridge.cpu_seconds()
    end = time.monotonic() + seconds
    net.wait_until(lambda: time.monotonic() > end, seconds + 5, "time passes")
    return bridge.cpu_seconds() - before <= 0.05 * seconds


@pytest.mark.skipif(bridge_module.is_sanitized(), reason="sanitizers need descriptors")
def test_without_descriptors_accepting_pauses_and_goes_on_by_itself(start_bridge, lax):
    """64 are room for 16 sessions."""
    bridge = start_bridge(one_worker(lax), before=["prlimit", "--nofile=64:64"])
    clients = []
    for number in range(16):
        clients.append(bridge.client())
        clients[-1].sign_in(f"user{number}")
    late = waiting(bridge, 5)
    bridge.wait_log("accepting paused")
    assert is_idle(bridge)
    assert not any(client.has_input(0.01) for client in late)
    assert len(bridge.log("accepting paused")) <= 4
    assert "LimitNOFILE" in bridge.log("accepting paused")[0]["message"]
    for client in clients[:5]:
        client.ok("NOOP")  # who is in is served
        client.quit()
    for client in late:
        assert client.line().startswith(b"+OK")
        client.close()
    for client in clients[5:]:
        client.quit()


def test_too_few_descriptors_are_named_at_the_start(start_bridge, lax):
    bridge = start_bridge(one_worker(lax, limits={"sessions": 500, "parking": "off"}),
                          before=["prlimit", "--nofile=200:200"])
    said = bridge.wait_log("too few descriptors")[0]["message"]
    assert "limits.sessions is 500" in said and "room for 68 in 1 workers" in said


def test_the_soft_limit_is_raised_to_the_hard_one(start_bridge, lax):
    bridge = start_bridge(one_worker(lax, limits={"sessions": 500}),
                          before=["prlimit", "--nofile=100:2000"])
    for pid in bridge.pids():
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (2000, 2000)
    assert not bridge.log("too few descriptors")


def test_a_limit_met_by_surprise_is_waited_out(start_bridge, lax):
    """accept() itself fails: no spin, at most a line a second, and it goes on after it."""
    bridge = start_bridge(one_worker(lax))
    with bridge.client() as before:
        worker = roles.pids(bridge, "worker")[0]
        soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        used = max(map(int, os.listdir(f"/proc/{worker}/fd"))) + 1
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (used, hard))
        late = waiting(bridge, 3)
        bridge.wait_log("accepting paused")
        assert is_idle(bridge)
        before.ok("CAPA")
        before.multiline()
        paused = len(bridge.log("accepting paused"))
        assert paused <= 5, paused
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
        for client in late:
            assert client.line().startswith(b"+OK")
            client.close()


# TLS keys ----------------------------------------------------------------------------


class KeyChanger:
    """
    TLS 1.3 by libssl itself: Python's cannot change its keys. A client; a server where it
    has a certificate.
    """

    def __init__(self, connected, certificate=None):
        self._ssl = ctypes.CDLL(ctypes.util.find_library("ssl"))
        for name in ("TLS_method", "SSL_CTX_new", "SSL_new"):
            getattr(self._ssl, name).restype = ctypes.c_void_p
        self.socket = connected
        self.socket.settimeout(None)  # libssl reads and writes it, blocking
        context = ctypes.c_void_p(self._ssl.SSL_CTX_new(
            ctypes.c_void_p(self._ssl.TLS_method())))
        if certificate:
            self._ssl.SSL_CTX_use_certificate_chain_file(context, certificate.chain.encode())
            self._ssl.SSL_CTX_use_PrivateKey_file(context, certificate.key.encode(), 1)
        self._session = ctypes.c_void_p(self._ssl.SSL_new(context))
        self._ssl.SSL_set_fd(self._session, self.socket.fileno())
        begin = self._ssl.SSL_accept if certificate else self._ssl.SSL_connect
        assert begin(self._session) == 1

    def line(self):
        out = ctypes.create_string_buffer(1024)
        got = self._ssl.SSL_read(self._session, out, 1024)
        return out.raw[:got] if got > 0 else b""

    def change_keys(self, times, wanted=0):
        """wanted: the other side has to change its own as well."""
        for _ in range(times):
            self._ssl.SSL_key_update(self._session, wanted)
            if self._ssl.SSL_do_handshake(self._session) != 1:
                return False
        return True

    def say(self, text):
        return self._ssl.SSL_write(self._session, text, len(text)) == len(text)


def key_changer(bridge):
    return KeyChanger(socket.create_connection(("127.0.0.1", bridge.port("implicit"))))


def test_a_few_key_changes_are_fine(start_bridge, lax, pki):
    bridge = start_bridge(one_worker(lax), tls=pki)
    client = key_changer(bridge)
    assert client.line().startswith(b"+OK")
    for _ in range(8):
        client.change_keys(4, wanted=1)
        assert client.say(b"AUTH\r\n") and client.line().startswith(b"+OK")


@pytest.mark.parametrize("wanted", [0, 1])
def test_a_flood_of_key_changes_ends_the_session(start_bridge, lax, pki, wanted):
    bridge = start_bridge(one_worker(lax), tls=pki)
    client = key_changer(bridge)
    assert client.line().startswith(b"+OK")
    client.change_keys(32, wanted)
    assert client.say(b"QUIX\r\n") and client.line().startswith(b"-ERR")
    client.change_keys(100, wanted)
    said = bridge.wait_log("TLS failed")[0]["cause"]
    assert "changes its TLS keys or tickets over and over" in said
    bridge.wait_log("session ended", reason="TLS failed")


def test_a_flood_of_key_changes_holds_nobody_up(start_bridge, lax, pki):
    """100,000 of them before anybody looks: they are not all worked through."""
    bridge = start_bridge(one_worker(lax), tls=pki)
    before = bridge.cpu_seconds()
    for _ in range(20):
        client = key_changer(bridge)
        assert client.line().startswith(b"+OK")
        client.change_keys(5000)
    bridge.wait_log("session ended", reason="TLS failed", count=20)
    assert bridge.cpu_seconds() - before < 2 * net.slow_factor()
    with bridge.client("implicit") as other:
        other.sign_in("alice")


@pytest.mark.parametrize("times", [8, 5000])
def test_a_server_that_changes_its_keys_over_and_over_is_left(start_bridge, lax, pki, times):
    """It would never be done with, and the others of its worker would wait."""
    def serve():
        server = KeyChanger(listener.accept()[0], pki.server)
        server.change_keys(times)
        server.say(b"* BYE later\r\n")
        server.line()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=serve, daemon=True).start()
        bridge = start_bridge(one_worker(lax, routes=[
            {"match": "alice", "server": f"imaps://localhost:{port}", "ca-file": pki.ca},
            {"match": "*", "server": lax.url}]))
        with bridge.client() as client:
            client.ok("USER alice")
            answer = client.err("PASS secret", code="SYS/TEMP")
        cause = bridge.reference(answer)[0]["cause"]
        assert ("TLS keys or tickets over and over" in cause) == (times > 32), cause
        with bridge.signed_in("bob") as other:
            other.ok("STAT")


# Commands ----------------------------------------------------------------------------


def flood(client, octets):
    """Sends until nothing more goes out."""
    client.socket.setblocking(False)
    sent, quiet_since = 0, time.monotonic()
    while sent < len(octets) and time.monotonic() - quiet_since < 1:
        try:
            sent += client.socket.send(octets[sent:sent + 65536])
            quiet_since = time.monotonic()
        except BlockingIOError:
            select.select([], [client.socket], [], 0.1)  # nothing is read here
    client.socket.setblocking(True)
    return sent


@pytest.mark.parametrize("command", [b"NOOP\r\n", b"LIST\r\n", b"TOP 1 0\r\n", b"CAPA\r\n"])
def test_a_million_commands_without_reading_cost_no_memory(start_bridge, lax, command):
    for _ in range(50):
        lax.mailbox("alice").add(mails.simple())
    bridge = start_bridge(one_worker(lax))
    with bridge.signed_in("alice") as client:
        client.list()
        client.top(1, 0)
        before = bridge.rss_kib()
        assert flood(client, command * 1_000_000) < len(command) * 1_000_000
        if not bridge_module.is_sanitized():
            assert bridge.rss_kib() - before <= 512
        with bridge.signed_in("bob") as other:
            other.ok("STAT")


# Who leaves without a word -----------------------------------------------------------


def keepalive_seconds(port, peer_port):
    """Until the kernel asks whether the peer is there; None: it never will."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            local, remote = (int(fields[at].split(":")[1], 16) for at in (1, 2))
            if (local, remote) == (port, peer_port):
                kind, when = fields[5].split(":")
                return int(when, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None
    raise AssertionError("no such connection")


@pytest.mark.parametrize("proxy", [False, True])
def test_clients_are_asked_after_a_minute_whether_they_are_there(start_bridge, lax, proxy):
    listen = {"address": "127.0.0.1:0", "plain-from": ["127.0.0.0/8", "192.0.2.0/24"]}
    if proxy:
        listen["proxy-from"] = ["127.0.0.0/8"]
    bridge = start_bridge(one_worker(lax, listen=[listen]))
    client = pop3.Client(bridge.port(), greet=False)
    if proxy:
        client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 110\r\n")
    assert client.line().startswith(b"+OK")
    port, peer_port = bridge.port(), client.socket.getsockname()[1]
    seconds = net.wait_until(lambda: keepalive_seconds(port, peer_port), 5, "a timer")
    assert 50 < seconds <= 60
    client.close()

"""
Behind a load balancer: the PROXY header says who the client is, only balancers may say
so, and what comes without one is not served.
"""

import socket
import struct
import time

import mails
import net
import pop3
import pytest
from bridge import run

CLIENT = "192.0.2.7"  # behind the balancer; in plain-from of the listeners here
STRANGER = "198.51.100.1"  # behind the balancer as well, not in plain-from
BALANCER = "127.0.0.1"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def text(source=CLIENT, port=40000):
    kind, target = ("TCP6", "2001:db8::110") if ":" in source else ("TCP4", "192.0.2.110")
    return f"PROXY {kind} {source} {target} {port} 110\r\n".encode()


def binary(source=CLIENT, port=40000, more=b""):
    family, code, target = (socket.AF_INET6, 0x21, "2001:db8::110") if ":" in source \
        else (socket.AF_INET, 0x11, "192.0.2.110")
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    return block(0x21, code, ends + struct.pack("!HH", port, 110) + more)


def block(command, family, octets):
    return SIGNATURE + struct.pack("!BBH", command, family, len(octets)) + octets


LOCAL = block(0x20, 0, b"")


@pytest.fixture
def behind(start_bridge, fake, pki):
    """behind(...): listeners of every kind, reached through a balancer on 127.0.0.1."""
    fake.mailbox("alice").add(mails.simple())

    def start(limits=None, plain_from=("192.0.2.0/24", "2001:db8:1::/48"), **route):
        listen = [{"address": "127.0.0.1:0", "tls": kind, "plain-from": list(plain_from),
                   "proxy-from": [BALANCER]} for kind in ("none", "starttls", "implicit")]
        return start_bridge({"listen": listen, "limits": limits or {},
                             "routes": [{"match": "*", "server": fake.url, **route}]},
                            tls=pki)
    return start


def connect(bridge, header=b"", tls="starttls", **how):
    client = pop3.Client(bridge.port(tls), greet=False, **how)
    client.send(header)
    return client


def greeted(bridge, header, tls="starttls"):
    client = connect(bridge, header, tls)
    assert client.line().startswith(b"+OK ")
    return client


def read_mail(client):
    client.sign_in("alice")
    assert client.retr(1) == mails.simple()
    client.quit()


def is_refused(bridge, header, words, **how):
    """Closed without a word, and one line of the log says why."""
    before = len(bridge.log("PROXY header refused"))
    with connect(bridge, header, **how) as client:
        assert client.rest() == b""
    lines = bridge.wait_log("PROXY header refused", count=before + 1)
    bridge.wait_log("session ended", reason="PROXY header refused", count=before + 1)
    assert len(bridge.log("PROXY header refused")) == before + 1
    assert words in lines[-1]["cause"], lines[-1]
    return lines[-1]["peer"]


# The client's address ---------------------------------------------------------------


@pytest.mark.parametrize("header,peer", [
    (text(), CLIENT), (text("2001:db8:1::7"), "2001:db8:1::7"),
    (text("::ffff:192.0.2.9"), "192.0.2.9"),
    (binary(), CLIENT), (binary("2001:db8:1::7"), "2001:db8:1::7"),
    (binary(more=b"\x04\x00\x01x" * 100), CLIENT)])
def test_the_header_names_the_client(behind, header, peer):
    bridge = behind()
    with greeted(bridge, header, "none") as client:
        read_mail(client)
    assert bridge.wait_log("session ended", reason="quit")[0]["peer"] == peer


def test_plain_from_is_about_the_client_not_the_balancer(behind, fake):
    bridge = behind()
    for header in (text(STRANGER), binary(STRANGER), text("2001:db8:2::1")):
        with greeted(bridge, header) as client:
            assert "USER" not in client.capa()
            answer = client.err("USER alice", "SYS/PERM")
            assert bridge.reference(answer)[0]["peer"] != BALANCER
            client.stls(bridge.tls_context())
            read_mail(client)
    assert len(fake.credentials) == 3


def test_a_loopback_listener_takes_no_password_for_that_alone(behind, fake):
    bridge = behind(plain_from=["203.0.113.1"])
    for header in (text(), binary(), LOCAL):
        with greeted(bridge, header, "none") as client:
            client.err("USER alice", "SYS/PERM")
    assert fake.credentials == []


def test_a_client_the_balancer_cannot_name_is_nobody_in_plain_from(behind):
    bridge = behind(plain_from=[BALANCER])
    unnamed = [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n",
               block(0x21, 0x00, b""), block(0x21, 0x31, bytes(216))]
    for header in unnamed:
        with greeted(bridge, header) as client:
            client.err("USER alice", "SYS/PERM")
            client.stls(bridge.tls_context())
            read_mail(client)
    ended = bridge.wait_log("session ended", reason="quit", count=len(unnamed))
    assert {line["peer"] for line in ended} == {BALANCER}


def test_local_is_the_balancer_itself(behind):
    bridge = behind(plain_from=[BALANCER])
    for header in (LOCAL, block(0x20, 0x11, binary()[16:])):
        with greeted(bridge, header) as client:
            read_mail(client)
    ended = bridge.wait_log("session ended", reason="quit", count=2)
    assert {line["peer"] for line in ended} == {BALANCER}


def test_sessions_are_counted_by_the_client(behind):
    bridge = behind(limits={"sessions-per-address": 2})
    open_clients = [greeted(bridge, header) for header in (text(), binary())]
    with connect(bridge, text(port=40001)) as third:
        assert third.line().startswith(b"-ERR [SYS/TEMP] too many sessions")
    with greeted(bridge, text(STRANGER)) as other:
        other.ok("QUIT")
    for client in open_clients:
        client.ok("QUIT")
        client.close()


def test_the_server_is_told_of_the_client(behind, fake):
    bridge = behind(**{"forward-client": "id"})
    with greeted(bridge, binary(port=40123), "none") as client:
        read_mail(client)
    told = " ".join(str(one) for one in fake.seen("ID"))
    assert f'"x-originating-ip" "{CLIENT}"' in told.replace("\\", "")
    assert '"x-originating-port" "40123"' in told.replace("\\", "")


# Arriving in pieces, and what stands behind -------------------------------------------


@pytest.mark.parametrize("header", [text(), text("2001:db8:1::7"), binary(), LOCAL,
                                    b"PROXY UNKNOWN x\r\n"])
def test_a_header_may_be_cut_anywhere(behind, header):
    bridge = behind()
    for cut in range(1, len(header)):
        with connect(bridge, header[:cut]) as client:
            assert not client.has_input(0.004), "an answer to half a header"
            client.send(header[cut:])
            assert client.line().startswith(b"+OK ")


def test_a_header_may_come_octet_by_octet(behind):
    bridge = behind()
    header = binary(more=bytes(40))
    with connect(bridge) as client:
        for at in range(len(header)):
            assert not client.has_input(0.001)
            client.send(header[at:at + 1])
        assert client.line().startswith(b"+OK ")


@pytest.mark.parametrize("header", [text(), binary(), binary(more=bytes(4096 - 12))])
def test_commands_may_follow_in_the_same_segment(behind, header):
    bridge = behind()
    with connect(bridge, header + b"NOOP\r\nQUIT\r\n") as client:
        answers = client.rest().split(b"\r\n")
    assert [one[:4] for one in answers] == [b"+OK ", b"-ERR", b"+OK ", b""]


@pytest.mark.parametrize("header", [text(), text("2001:db8:1::7"), binary(), LOCAL,
                                    b"PROXY UNKNOWN\r\n", binary(more=bytes(1000))])
@pytest.mark.parametrize("corked", [False, True], ids=["apart", "one segment"])
def test_tls_begins_right_behind_the_header(behind, header, corked):
    bridge = behind()
    with pop3.Client(bridge.port("implicit"), greet=False) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)
        client.send(header)
        client.start_tls(bridge.tls_context())
        assert client.line().startswith(b"+OK ")
        read_mail(client)
    assert bridge.wait_log("session ended", reason="quit")[0]["tls"].startswith("TLS")


def test_a_second_header_is_a_command(behind):
    bridge = behind()
    with greeted(bridge, text() + text(STRANGER), "none") as client:
        assert client.line().startswith(b"-ERR")
        read_mail(client)
    assert bridge.wait_log("session ended", reason="quit")[0]["peer"] == CLIENT


# What is refused -------------------------------------------------------------------


MALFORMED = {
    "a POP3 client": b"USER alice\r\nPASS secret\r\n",
    "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "small letters": b"proxy TCP4 192.0.2.7 192.0.2.110 1 2\r\n",
    "bare LF": b"PROXY TCP4 192.0.2.7 192.0.2.110 1 2\n" + b"CAPA\r\n" * 20,
    "two spaces": b"PROXY TCP4  192.0.2.7 192.0.2.110 1 2\r\n",
    "leading zero": b"PROXY TCP4 192.0.2.07 192.0.2.110 1 2\r\n",
    "port": b"PROXY TCP4 192.0.2.7 192.0.2.110 65536 2\r\n",
    "wrong family": b"PROXY TCP6 192.0.2.7 192.0.2.110 1 2\r\n",
    "108 octets": b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n",
    "endless": b"PROXY UNKNOWN " + b"x" * 20000,
    "version": block(0x11, 0x11, bytes(12)),
    "command": block(0x22, 0x11, bytes(12)),
    "family": block(0x21, 0x41, bytes(12)),
    "short": block(0x21, 0x11, bytes(11)),
    "10 KiB of TLVs": block(0x21, 0x11, bytes(10240)),
    "LOCAL of 5 KiB": block(0x20, 0x00, bytes(5000)),
    "signature": SIGNATURE.replace(b"QUIT", b"QUIX") + b"\x20\0\0\0",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_header_is_not_served(behind, fake, name):
    bridge = behind()
    peer = is_refused(bridge, MALFORMED[name], "valid PROXY header")
    assert peer == BALANCER and "PASS" not in bridge.stderr
    assert fake.connections == []


def test_a_missing_header_is_waited_for_5_seconds(behind):
    bridge = behind()
    started = time.monotonic()
    with connect(bridge) as silent, connect(bridge, tls="implicit") as cut_short:
        cut_short.send(text()[:-1])
        assert silent.rest() == b"" and cut_short.rest() == b""
    assert 4.5 < time.monotonic() - started < 5 + 4 * net.slow_factor()
    lines = bridge.wait_log("PROXY header refused", count=2)
    said = sorted(line["cause"] for line in lines)
    assert "no PROXY header came" in said[0] and "was not complete" in said[1]
    assert len(lines) == 2


def test_a_slow_header_gets_no_more_than_5_seconds(behind):
    """The limit is for the whole header, not for each octet."""
    bridge = behind()
    started = time.monotonic()
    with connect(bridge) as client:
        with pytest.raises((pop3.Closed, ConnectionError)):
            for octet in binary(more=bytes(4000)):
                client.has_input(0.1)
                client.send(bytes([octet]))
    assert 4.5 < time.monotonic() - started < 5 + 4 * net.slow_factor()
    assert len(bridge.wait_log("PROXY header refused")) == 1


@pytest.mark.parametrize("header", [text(), binary(), LOCAL, b"", b"QUIT\r\n"])
@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_nobody_else_reaches_the_listener(behind, fake, header, tls):
    """Neither with a header, which would be a forged one, nor without."""
    bridge = behind()
    peer = is_refused(bridge, header, "proxy-from", tls=tls, source="127.0.0.2")
    assert peer == "127.0.0.2" and CLIENT not in bridge.stderr
    assert fake.connections == []


def test_a_look_at_the_port_is_not_worth_a_line(behind):
    """Balancers that check by connecting and closing do so every second."""
    bridge = behind()
    connect(bridge).close()
    bridge.wait_log("session ended", reason="client gone")
    assert bridge.log("PROXY header refused") == []


def test_half_a_header_and_the_end_is(behind):
    bridge = behind()
    connect(bridge, text()[:-2]).close()
    line = bridge.wait_log("PROXY header refused")[0]
    assert "ended within the PROXY header" in line["cause"]


def test_without_proxy_from_no_header_is_read(start_bridge, fake):
    fake.mailbox("alice").add(mails.simple())
    bridge = start_bridge({"routes": [{"match": "*", "server": fake.url}]})
    with pop3.Client(bridge.port()) as client:
        client.send(text())
        assert client.line().startswith(b"-ERR")
        read_mail(client)
    assert bridge.wait_log("session ended", reason="quit")[0]["peer"] == BALANCER


def test_sessions_that_wait_for_a_header_end_with_the_service(behind):
    bridge = behind()
    with connect(bridge, text()[:10]) as client:
        assert not client.has_input(0.1)
        bridge.stop(seconds=3)
        assert client.rest() == b""


def test_check_tells_what_a_listener_is_for(tmp_path):
    config = tmp_path / "popbridge.yaml"
    config.write_text('listen: [{address: "127.0.0.1:0", proxy-from: ["10.0.0.0/8"], '
                      'plain-from: ["192.168.7.0/24"]}]\n'
                      'routes: [{match: "*", server: "imaps://imap.example.com"}]\n')
    done = run("check", "-c", str(config))
    assert done.returncode == 0
    assert b"PROXY header, from: 10.0.0.0/8" in done.stdout
    assert b"loopback" not in done.stdout.split(b"\n")[0]

"""
A handshake that fails is explained in the log: what the client offered, what is wrong, and
what to do. One line, in the words of the settings.
"""

import socket
import ssl

import net
import pop3
import pytest

V = ssl.TLSVersion
OLD = "127.0.1.5"  # in legacy-tls-from

pytestmark = pytest.mark.filterwarnings("ignore:ssl")


@pytest.fixture
def bridge(start_bridge, fake, pki):
    listen = [{"address": "0.0.0.0:0", "tls": kind, "legacy-tls-from": [OLD]}
              for kind in ("starttls", "implicit")]
    return start_bridge({"listen": listen, "limits": {"tls": "1s"},
                         "routes": [{"match": "*", "server": fake.url}]}, tls=pki)


def context_for(bridge, lowest, highest=None, ciphers="ALL:@SECLEVEL=0"):
    context = bridge.tls_context()
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = lowest, highest or lowest
    return context


def fail_with(bridge, context, source="127.0.0.1", name="localhost", listener="implicit"):
    """The handshake must fail; gives the one log line about it."""
    with pop3.Client(bridge.port(listener), source=source, greet=False) as client:
        with pytest.raises((OSError, ssl.SSLError)):
            client.start_tls(context, name)
            client.line()
    return the_line(bridge)


def send(bridge, octets, source="127.0.0.1", listener="implicit"):
    with pop3.Client(bridge.port(listener), source=source, greet=False) as client:
        if listener == "starttls":
            client.line()
            client.ok("STLS")
        client.send(octets)
        client.rest()
    return the_line(bridge)


def the_line(bridge):
    line, = bridge.wait_log("TLS failed")
    ended = bridge.wait_log("session ended")[0]
    assert line["session"] == ended["session"] and ended["reason"] == "TLS failed"
    return line


def vector(octets, length=2):
    return len(octets).to_bytes(length, "big") + octets


def hello(version, ciphers, extensions=b""):
    """A ClientHello as no library of today makes it."""
    body = version + bytes(32) + b"\0" + vector(ciphers) + b"\1\0"
    if extensions:
        body += vector(extensions)
    message = b"\1" + vector(body, 3)
    return b"\x16" + b"\3\0" + vector(message)


# Windows XP's list: RC4, 3DES, DES, export
XP = bytes.fromhex("0004 0005 000a 0009 0064 0062 0003 0006 0013 0012 0063")


@pytest.mark.parametrize("version,name", [(V.TLSv1, "TLS 1.0"), (V.TLSv1_1, "TLS 1.1")])
def test_an_old_version_is_named_with_its_setting(bridge, version, name):
    line = fail_with(bridge, context_for(bridge, V.TLSv1, version))
    assert "no TLS version in common" in line["cause"]
    assert f"the client knows {name} at most" in line["cause"]
    assert "legacy-tls-from" in line["advice"]
    assert line["offered_versions"] == f"up to {name}"
    assert "ECDHE-RSA-AES256-SHA" in line["offered_ciphers"]
    assert line["offered_name"] == "localhost" and line["offered_protocols"] == ""


def test_a_minimum_of_1_3_is_named(start_bridge, fake, pki):
    bridge = start_bridge({
        "tls": {"certificate": pki.server.chain, "key": pki.server.key, "minimum": "1.3"},
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    line = fail_with(bridge, context_for(bridge, V.TLSv1_2))
    assert "TLS 1.2 at most" in line["cause"] and "tls.minimum" in line["advice"]


def test_ssl_3_0_can_come_only_without_tls(bridge):
    line = send(bridge, hello(b"\3\0", bytes.fromhex("002f 000a")))
    assert "SSL 3.0 at most" in line["cause"] and "plain-from" in line["advice"]
    assert line["offered_versions"] == "up to SSL 3.0"
    assert line["offered_ciphers"] == "AES128-SHA DES-CBC3-SHA"


def test_ssl_3_0_in_the_form_of_ssl_2_0_is_read_as_well(bridge):
    body = b"\1\3\0" + b"\0\6\0\0\0\x10" + b"\1\0\x80\0\0\4" + bytes(16)
    line = send(bridge, (0x8000 | len(body)).to_bytes(2, "big") + body)
    assert "SSL 3.0 at most" in line["cause"] and "plain-from" in line["advice"]
    assert line["offered_ciphers"] == "0x10080 RC4-MD5"


@pytest.mark.parametrize("source", ["127.0.0.1", OLD])
def test_windows_xp_is_told_the_truth(bridge, source):
    """TLS 1.0, but nothing that OpenSSL 3 still has: legacy-tls-from would not help."""
    line = send(bridge, hello(b"\3\1", XP), source)
    assert "plain-from" in line["advice"] and "legacy-tls-from" not in line["advice"]
    assert line["offered_ciphers"].startswith("RC4-MD5 RC4-SHA DES-CBC3-SHA DES-CBC-SHA")
    assert "RC4 and 3DES" in line["cause"] or source != OLD


def test_a_client_that_needs_rsa_is_said_to(bridge):
    """The test's certificate is ECDSA, the client knows RSA only."""
    line = fail_with(bridge, context_for(bridge, V.TLSv1_2, ciphers="aRSA:@SECLEVEL=0"))
    assert "no cipher in common" in line["cause"]
    assert "RSA certificate" in line["advice"]


def test_a_client_that_does_not_trust_the_certificate_is_named(bridge):
    line = fail_with(bridge, ssl.create_default_context())
    assert "does not accept our certificate" in line["cause"]
    assert "unknown CA" in line["cause"] and "authority the client knows" in line["advice"]
    assert line["offered_versions"].startswith("TLS 1.3, TLS 1.2")


def test_a_client_that_hangs_up_without_a_word_is_guessed_about(bridge):
    with socket.create_connection(("127.0.0.1", bridge.port("implicit")), 10) as plain:
        plain.sendall(hello(b"\3\3", bytes.fromhex("c02b c02f"),
                            bytes.fromhex("000a 0004 0002 0017 000b 0002 0100 "
                                          "000d 0004 0002 0403")))
        assert plain.recv(5)[:1] == b"\x16"  # our answer
    assert "certificate" in the_line(bridge)["advice"]


def test_other_protocols_and_names_are_shown_escaped(bridge):
    context = context_for(bridge, V.TLSv1_2, V.TLSv1_3)
    context.set_alpn_protocols(["h2", "x\n\" level=error"])
    line = fail_with(bridge, context, name="pop.example")
    assert "ALPN" in line["cause"] and line["offered_name"] == "pop.example"
    assert line["offered_protocols"].startswith("h2, x") and line["level"] == "info"
    assert "\n" not in line["offered_protocols"]


@pytest.mark.parametrize("text", [b"CAPA\r\n", b"USER alice\r\nPASS s3cret\r\n",
                                  b"GET / HTTP/1.0\r\n\r\n"])
def test_plain_text_on_a_tls_port_is_named(bridge, text):
    line = send(bridge, text)
    assert "plain text on a port for TLS" in line["cause"] and "110" in line["advice"]
    assert "s3cret" not in bridge.stderr and "offered_ciphers" not in line


def test_plain_text_after_stls_is_named(bridge):
    line = send(bridge, b"USER alice\r\n", listener="starttls")
    assert "plain text after STLS" in line["cause"]


def test_a_client_that_waits_for_a_greeting_is_named(bridge):
    line = send(bridge, b"")
    assert "waits for a greeting" in line["cause"] and "110" in line["advice"]


def test_silence_after_stls_is_named(bridge):
    assert "said STLS and then nothing" in send(bridge, b"", listener="starttls")["cause"]


def test_a_look_at_the_port_is_not_worth_a_line(bridge):
    socket.create_connection(("127.0.0.1", bridge.port("implicit")), 10).close()
    assert net.wait_until(lambda: bridge.log("TLS failed"), 10, "the line")[0]["level"] == "debug"


def test_half_a_hello_is_no_trouble(bridge):
    """Cut anywhere, lengths that lie: an explanation, no crash."""
    whole = hello(b"\3\1", XP, vector(b"\0" * 20))
    for octets in (whole[:3], whole[:30], whole[:-5], whole[:9] + b"\xff" * 40,
                   whole.replace(b"\0\x16", b"\xff\xff", 1)):
        with pop3.Client(bridge.port("implicit"), greet=False) as client:
            client.send(octets)
            client.socket.shutdown(socket.SHUT_WR)
            client.rest()
    bridge.wait_log("TLS failed", count=5)

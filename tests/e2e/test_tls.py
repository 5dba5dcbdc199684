"""
TLS towards the client: implicit, STLS, none; what must not work without it. The upstream
side is test_tls_upstream.py.
"""

import os
import socket
import ssl
import subprocess
import time

import mails
import net
import pop3
import pytest
from bridge import is_sanitized

# A password that must not reach the server in these tests.
SECRET = "s3cret-of-the-client"


@pytest.fixture
def tls_bridge(bridge_to, fake, pki):
    fake.mailbox("alice").add(mails.simple())
    return bridge_to(fake.url, tls=pki, limits={"tls": "1s"})


# Listeners ------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_mail_is_read_over_every_kind_of_listener(tls_bridge, tls):
    with tls_bridge.client(tls) as client:
        client.sign_in("alice")
        assert client.retr(1) == mails.simple()
        client.quit()
    ended = tls_bridge.wait_log("session ended", reason="quit")[0]
    assert (ended["tls"] == "none") == (tls == "none")


def test_stls_is_offered_only_where_it_works(tls_bridge):
    with tls_bridge.client("none") as client:
        assert "STLS" not in client.capa()
        client.err("STLS")
        client.sign_in("alice")
    with tls_bridge.client("implicit") as client:
        assert "STLS" not in client.capa()
        client.err("STLS")
    port = tls_bridge.port("starttls")
    with pop3.Client(port) as client:
        assert "STLS" in client.capa()
        client.stls(tls_bridge.tls_context())
        assert "STLS" not in client.capa()
        client.err("STLS")
        client.sign_in("alice")
        assert "STLS" not in client.capa()
        client.err("STLS")
        client.quit()


def test_what_was_said_before_tls_is_forgotten(tls_bridge):
    with pop3.Client(tls_bridge.port("starttls")) as client:
        client.ok("USER alice")
        client.stls(tls_bridge.tls_context())
        client.err("PASS secret")  # USER has to come again
        client.sign_in("alice")
        client.quit()


# Commands smuggled in front of TLS ------------------------------------------------

SMUGGLED = [b"CAPA\r\n", b"USER alice\r\nPASS secret\r\nSTAT\r\n", b"X", b"\r\n",
            b"NOOP\nCAPA\n", b"\0\0\0\0"]


def _cuts():
    """Every place where STLS and what follows can be cut in two, with and without a pause."""
    for number, smuggled in enumerate(SMUGGLED):
        whole = b"STLS\r\n" + smuggled
        for cut in range(len(whole) + 1):
            for pause in (0, 0.01):
                yield pytest.param(whole[:cut], whole[cut:], pause,
                                   id=f"{number}-{cut}-{pause}")


CUTS = list(_cuts())


def after_the_handshake(client, context):
    """What the server says unasked within TLS; None where TLS does not come about."""
    client.socket.settimeout(10 * net.slow_factor())
    try:
        client.start_tls(context)
        return b"talks" if client.has_input(0.2) else b"waits"
    except (OSError, ssl.SSLError, AssertionError, pop3.Closed):
        return None


def test_commands_smuggled_in_front_of_tls_are_never_obeyed(tls_bridge, fake):
    """STARTTLS injection (CVE-2011-0411), cut in two at every place."""
    assert len(CUTS) >= 60
    context = tls_bridge.tls_context()
    for case in CUTS:
        first, second, pause = case.values
        with pop3.Client(tls_bridge.port("starttls"), greet=True) as client:
            _send_in_two(client, first, second, pause)
            answered = _all_before_tls(client)
            assert answered in (b"", b"+OK begin TLS\r\n"), (case.id, answered)
            assert after_the_handshake(client, context) is None, case.id
    assert fake.credentials == []
    net.wait_until(lambda: _ended_or_unsaid(tls_bridge) >= len(CUTS), 10, "all have ended")
    ended = {line["reason"] for line in tls_bridge.log("session ended")}
    assert ended and ended <= {"commands before TLS", "TLS failed"}


def _ended_or_unsaid(bridge):
    """So many come from one address here that the log does not say each of them."""
    unsaid = sum(int(line["lines"]) for line in bridge.log("lines suppressed"))
    return len(bridge.log("session ended")) + unsaid


def _send_in_two(client, first, second, pause):
    try:
        client.send(first)
        if pause:
            time.sleep(pause)  # so that the two arrive apart; there is nothing to wait on
        client.send(second)
    except OSError:
        pass  # the bridge has hung up already


def _all_before_tls(client):
    """What is answered in the clear, up to +OK or the end."""
    try:
        return client.line() + b"\r\n"
    except pop3.Closed as closed:
        return closed.got
    except OSError:
        return b""


def test_a_whole_handshake_that_comes_with_stls_is_refused(tls_bridge, pki):
    """A client that does not wait for +OK: its ClientHello is refused like a command."""
    with pop3.Client(tls_bridge.port("starttls")) as client:
        client.send(b"STLS\r\n" + client_hello(tls_bridge.tls_context()))
        assert b"+OK" not in client.rest()
    tls_bridge.wait_log("session ended", reason="commands before TLS")


def client_hello(context):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        machine.do_handshake()
    return outgoing.read()


# Versions, names, ALPN ------------------------------------------------------------

V = ssl.TLSVersion


def versions(context, lowest, highest):
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    return context


def agreed(port, context, name="localhost"):
    with pop3.Client(port, greet=False) as client:
        client.start_tls(context, name)
        assert client.line().startswith(b"+OK ")
        return client.socket.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1])
@pytest.mark.parametrize("listener", ["implicit", "starttls"])
def test_tls_before_1_2_is_refused_and_the_log_says_so(tls_bridge, listener, version):
    context = versions(tls_bridge.tls_context(), version, version)
    with pop3.Client(tls_bridge.port(listener), greet=listener == "starttls") as client:
        if listener == "starttls":
            client.ok("STLS")
        with pytest.raises(ssl.SSLError):
            client.start_tls(context)
    failed = tls_bridge.wait_log("TLS failed")[0]
    assert "no TLS version in common" in failed["cause"]


@pytest.mark.parametrize("version,text", [(V.TLSv1_2, "TLSv1.2"), (V.TLSv1_3, "TLSv1.3")])
def test_tls_1_2_and_1_3_are_welcome(tls_bridge, version, text):
    context = versions(tls_bridge.tls_context(), version, version)
    assert agreed(tls_bridge.port("implicit"), context) == text


def test_the_oldest_version_is_a_setting(start_bridge, fake, pki):
    good = pki.server
    bridge = start_bridge({
        "tls": {"certificate": good.chain, "key": good.key, "minimum": "1.3"},
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    port = bridge.port("implicit")
    assert agreed(port, versions(bridge.tls_context(), V.TLSv1_3, V.TLSv1_3))
    with pytest.raises((ssl.SSLError, OSError)):
        agreed(port, versions(bridge.tls_context(), V.TLSv1_2, V.TLSv1_2))


def test_the_certificate_is_chosen_by_the_name_asked_for(start_bridge, fake, pki):
    one = pki.leaf("one.example", names=("DNS:one.example", "DNS:uno.example"))
    many = pki.leaf("many.example", names=("DNS:*.many.example",))
    good = pki.server
    bridge = start_bridge({
        "tls": {"certificate": good.chain, "key": good.key,
                "additional": [{"certificate": c.chain, "key": c.key} for c in (one, many)]},
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    expected = {
        "localhost": good, "one.example": one, "UNO.example": one,
        "pop.many.example": many, "unknown.example": good, "many.example": good,
        "a.b.many.example": good, None: good,
    }
    for listener in ("implicit", "starttls"):
        for name, certificate in expected.items():
            shown = shown_certificate(bridge.port(listener), listener, name)
            assert shown == der_of(certificate), (listener, name)


def shown_certificate(port, listener, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pop3.Client(port, greet=listener == "starttls") as client:
        if listener == "starttls":
            client.ok("STLS")
        client.start_tls(context, name)
        return client.socket.getpeercert(binary_form=True)


def der_of(certificate):
    with open(certificate.leaf, encoding="ascii") as pem:
        return ssl.PEM_cert_to_DER_cert(pem.read())


@pytest.mark.parametrize("offered", [["http/1.1"], ["h2", "http/1.1"], ["imap"], ["pop"],
                                     ["POP3"]])
def test_alpn_other_than_pop3_is_refused(tls_bridge, offered):
    """What keeps a browser from being talked into speaking POP3 (ALPACA)."""
    context = tls_bridge.tls_context()
    context.set_alpn_protocols(offered)
    with pop3.Client(tls_bridge.port("implicit"), greet=False) as client:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            client.start_tls(context)
    assert "ALPN" in tls_bridge.wait_log("TLS failed")[0]["cause"]


@pytest.mark.parametrize("offered,chosen", [(["pop3"], "pop3"), (["h2", "pop3"], "pop3"),
                                            ([], None)])
def test_alpn_pop3_or_none_is_accepted(tls_bridge, offered, chosen):
    context = tls_bridge.tls_context()
    if offered:
        context.set_alpn_protocols(offered)
    with pop3.Client(tls_bridge.port("implicit"), greet=False) as client:
        client.start_tls(context)
        assert client.socket.selected_alpn_protocol() == chosen
        assert client.line().startswith(b"+OK ")


# No sign-in without TLS -----------------------------------------------------------


def open_bridge(start_bridge, fake, pki, address, *plain_from):
    listener = {"address": address, "tls": "starttls", "plain-from": list(plain_from)}
    return start_bridge({"listen": [listener],
                         "routes": [{"match": "*", "server": fake.url}]}, tls=pki)


SIGN_INS = [b"USER alice", b"AUTH PLAIN AGFsaWNlAHNlY3JldA==", b"AUTH PLAIN", b"AUTH LOGIN",
            b"AUTH XOAUTH2", b"AUTH OAUTHBEARER", b"PASS " + SECRET.encode()]


def test_no_password_is_taken_without_tls_from_another_network(start_bridge, fake, pki):
    bridge = open_bridge(start_bridge, fake, pki, "0.0.0.0:0")
    with pop3.Client(bridge.port("starttls"), source="127.0.0.9") as client:
        before = client.capa()
        assert "STLS" in before
        assert "USER" not in before and not any(one.startswith("SASL") for one in before)
        for line in SIGN_INS:
            answer = client.err(line, "SYS/PERM")
            assert b"TLS" in answer
            assert "plain-from" in bridge.reference(answer)[0]["advice"]
        assert client.ok("AUTH") and client.lines() == []
        client.stls(bridge.tls_context())
        after = client.capa()
        assert "USER" in after and any(one.startswith("SASL ") for one in after)
        client.sign_in("alice")
        client.quit()
    assert len(fake.credentials) == 1
    assert SECRET not in bridge.stderr


def test_a_password_sent_at_once_is_not_used(start_bridge, fake, pki):
    """A client that pipelines: the answers are refusals and nothing went upstream."""
    bridge = open_bridge(start_bridge, fake, pki, "0.0.0.0:0")
    with pop3.Client(bridge.port("starttls"), source="127.0.0.9") as client:
        client.send(b"USER alice\r\nPASS " + SECRET.encode() + b"\r\nSTAT\r\nQUIT\r\n")
        answers = client.rest().split(b"\r\n")[:-1]
    assert [one[:4] for one in answers] == [b"-ERR", b"-ERR", b"-ERR", b"+OK "]
    assert fake.connections == []


def test_plain_from_names_the_networks_that_may(start_bridge, fake, pki):
    bridge = open_bridge(start_bridge, fake, pki, "0.0.0.0:0", "127.0.1.0/24", "127.0.0.7")
    port = bridge.port("starttls")
    for source in ("127.0.1.1", "127.0.1.255", "127.0.0.7"):
        with pop3.Client(port, source=source) as client:
            assert "USER" in client.capa()
            client.sign_in("alice")
            client.quit()
    for source in ("127.0.2.1", "127.0.0.8", "127.0.0.6"):
        with pop3.Client(port, source=source) as client:
            assert "USER" not in client.capa()
            client.err("USER alice", "SYS/PERM")
    assert len(fake.credentials) == 3


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_plain_from_is_about_ipv6_as_well(start_bridge, fake, pki):
    refusing = open_bridge(start_bridge, fake, pki, "[::]:0", "2001:db8::/32", "127.0.0.1")
    with pop3.Client(refusing.port("starttls"), host="::1") as client:
        client.err("USER alice", "SYS/PERM")
    allowing = open_bridge(start_bridge, fake, pki, "[::]:0", "::1/128")
    with pop3.Client(allowing.port("starttls"), host="::1") as client:
        client.sign_in("alice")
        client.quit()


def test_a_loopback_listener_takes_passwords_without_being_told(start_bridge, fake, pki):
    bridge = open_bridge(start_bridge, fake, pki, "127.0.0.1:0")
    with pop3.Client(bridge.port("starttls"), source="127.0.0.9") as client:
        client.sign_in("alice")
        client.quit()


# The wrong port -------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"CAPA\r\n", b"USER alice\r\n", b"QUIT\r\n",
                                  b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n" * 4])
def test_a_plain_client_on_a_tls_port_ends_at_once_and_is_named(tls_bridge, line):
    begin = time.monotonic()
    with pop3.Client(tls_bridge.port("implicit"), greet=False) as client:
        client.send(line)
        answer = client.rest()
    assert b"+OK" not in answer and b"-ERR" not in answer
    assert time.monotonic() - begin < 0.8 * net.slow_factor()
    failed = tls_bridge.wait_log("TLS failed", peer="127.0.0.1")[0]
    assert "does not speak TLS on this port" in failed["cause"]


def test_a_plain_client_that_waits_for_the_greeting_ends_in_time(tls_bridge):
    with pop3.Client(tls_bridge.port("implicit"), greet=False) as client:
        assert client.wait_closed() in ("FIN", "RST")
    failed = tls_bridge.wait_log("TLS failed", peer="127.0.0.1")[0]
    assert "TLS" in failed["cause"]


@pytest.mark.parametrize("listener", ["none", "starttls"])
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_tls_client_on_a_plain_port_ends_at_once_and_is_named(tls_bridge, listener, version):
    context = versions(tls_bridge.tls_context(), version, version)
    begin = time.monotonic()
    with pop3.Client(tls_bridge.port(listener), greet=False) as client:
        with pytest.raises((ssl.SSLError, OSError)):
            client.start_tls(context)
    assert time.monotonic() - begin < 0.8 * net.slow_factor()
    failed = tls_bridge.wait_log("TLS failed", peer="127.0.0.1")[0]
    assert "begins with TLS" in failed["cause"] and "995" in failed["advice"]
    assert tls_bridge.log("refused") == []


def test_a_handshake_that_stops_half_way_costs_no_more_than_its_time(tls_bridge):
    hello = client_hello(tls_bridge.tls_context())
    for octets in (hello[:1], hello[:5], hello[:len(hello) // 2]):
        with pop3.Client(tls_bridge.port("implicit"), greet=False) as client:
            client.send(octets)
            assert client.wait_closed() in ("FIN", "RST")
    tls_bridge.wait_log("TLS failed", count=3)


def test_a_client_that_leaves_in_the_handshake_is_no_trouble(tls_bridge):
    hello = client_hello(tls_bridge.tls_context())
    for octets in (b"", hello[:7], hello):
        for leave in ("close", "reset"):
            client = pop3.Client(tls_bridge.port("implicit"), greet=False)
            client.send(octets)
            getattr(client, leave)()
    with tls_bridge.client("implicit") as client:
        client.sign_in("alice")
        client.quit()
    tls_bridge.wait_log("TLS failed", count=6)


def test_a_lost_tls_connection_deletes_nothing(tls_bridge, fake):
    """TLS truncated behind DELE, and QUIT never sent."""
    with tls_bridge.client("implicit") as client:
        client.sign_in("alice")
        client.ok("DELE 1")
        client.socket.shutdown(socket.SHUT_RDWR)
    tls_bridge.wait_log("session ended", user="alice", reason="client gone")
    assert fake.deletions == [] and fake.mailbox("alice").uids() == [1]


def test_the_end_of_a_session_is_said_in_tls(tls_bridge):
    """close_notify: a client can tell the end from a cut."""
    with tls_bridge.client("implicit") as client:
        client.sign_in("alice")
        client.ok("QUIT")
        assert client.wait_closed() == "FIN"


def test_openssl_s_client_finds_nothing_weak(tls_bridge, pki):
    """The command a worried administrator would run."""
    port = tls_bridge.port("starttls")
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "pop3",
         "-CAfile", pki.ca, "-verify_return_error", "-servername", "localhost"],
        input=b"QUIT\r\n", capture_output=True, check=False, timeout=30 * net.slow_factor())
    text = done.stdout.decode(errors="replace")
    assert "Verify return code: 0 (ok)" in text
    assert "Secure Renegotiation IS NOT supported" not in text or "TLSv1.3" in text


def test_a_key_that_cannot_be_read_stops_the_start(start_bridge, fake, pki, tmp_path):
    other = pki.leaf("other-key")
    config = {"listen": [{"address": "127.0.0.1:0", "tls": "implicit"}],
              "tls": {"certificate": pki.server.chain, "key": other.key},
              "routes": [{"match": "*", "server": fake.url}]}
    bridge = start_bridge(config, wait=False)
    assert bridge.process.wait(20) == 1
    bridge._forgiven = True
    assert "does not belong to the certificate" in bridge.stderr
    assert os.path.basename(other.key) in bridge.stderr
    assert is_sanitized() or "Sanitizer" not in bridge.stderr

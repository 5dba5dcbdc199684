"""
CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034) and the references of refused sign-ins,
in front of a real Dovecot.
"""

import base64
import re

import mails
import pop3
import pytest

ALWAYS = {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"}
SASL = "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER"
ANY_ADDRESS = "0.0.0.0:0"  # not bound to loopback: a password needs TLS or plain-from


@pytest.fixture
def alice(dovecot, user):
    dovecot.deliver(user, mails.simple())
    return user


@pytest.fixture
def open_bridge(start_bridge, dovecot, pki):
    """open_bridge(plain_from): listeners with STLS and implicit TLS on any address."""
    def start(plain_from=()):
        listen = [{"address": ANY_ADDRESS, "tls": kind, "plain-from": list(plain_from)}
                  for kind in ("starttls", "implicit")]
        return start_bridge({"listen": listen,
                             "routes": [{"match": "*", "server": dovecot.url}]}, tls=pki)
    return start


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def plain(user, password="secret", identity=""):
    return encoded(f"{identity}\0{user}\0{password}")


def signed_in(client):
    return client.command("STAT").startswith(b"+OK ")


def starttls_client(bridge):
    return pop3.Client(bridge.port("starttls"))


# CAPA -----------------------------------------------------------------------------


def test_capa_before_sign_in_lists_what_works(bridge):
    with bridge.client() as client:
        assert set(client.capa()) == ALWAYS | {"USER", SASL}


def test_capa_after_sign_in_names_the_implementation(bridge, alice):
    with bridge.signed_in(alice) as client:
        names = client.capa()
        assert ALWAYS <= set(names) and "STLS" not in names
        assert [name for name in names if name.startswith("IMPLEMENTATION popbridge")]
        assert len(names) == len(set(names))


def test_capa_offers_stls_until_tls_is_up(start_bridge, dovecot, pki, alice):
    config = {"routes": [{"match": "*", "server": dovecot.url}]}
    bridge = start_bridge(config, tls=pki)
    with starttls_client(bridge) as client:
        assert set(client.capa()) == ALWAYS | {"USER", SASL, "STLS"}
        client.stls(pop3.tls_context(pki.ca))
        assert set(client.capa()) == ALWAYS | {"USER", SASL}
        client.sign_in(alice)
        assert "STLS" not in client.capa()
    with bridge.client("implicit") as client:
        assert set(client.capa()) == ALWAYS | {"USER", SASL}


def test_without_tls_no_password_is_offered_or_taken(open_bridge, alice):
    with starttls_client(open_bridge()) as client:
        assert set(client.capa()) == ALWAYS | {"STLS"}
        for line in (f"USER {alice}", "PASS secret", f"AUTH PLAIN {plain(alice)}",
                     "AUTH LOGIN", "AUTH PLAIN"):
            assert client.command(line).startswith(b"-ERR ")
        client.ok("AUTH")
        assert client.lines() == []


def test_a_refused_password_without_tls_has_a_reference(open_bridge, alice):
    bridge = open_bridge()
    with starttls_client(bridge) as client:
        answer = client.err(f"USER {alice}", code="SYS/PERM")
        assert "without TLS" in bridge.reference(answer)[0]["cause"]


def test_a_network_in_plain_from_signs_in_without_tls(open_bridge, alice):
    with starttls_client(open_bridge(["127.0.0.0/8"])) as client:
        assert set(client.capa()) == ALWAYS | {"STLS", "USER", SASL}
        client.sign_in(alice)
    with starttls_client(open_bridge(["192.0.2.0/24"])) as client:
        assert "USER" not in client.capa()
        client.err(f"USER {alice}")


# STLS -----------------------------------------------------------------------------


def test_stls_leads_to_a_whole_session(open_bridge, alice, pki):
    with starttls_client(open_bridge()) as client:
        client.stls(pop3.tls_context(pki.ca))
        client.sign_in(alice)
        assert client.retr(1) == mails.simple()
        client.quit()


def test_stls_is_refused_where_it_makes_no_sense(bridge, open_bridge, alice, pki):
    with bridge.client() as client:
        client.err("STLS")
        client.sign_in(alice)
    tls_bridge = open_bridge()
    for kind in ("starttls", "implicit"):
        with tls_bridge.client(kind) as client:
            client.err("STLS")
            client.sign_in(alice)
            client.err("STLS")


@pytest.mark.parametrize("behind", [b"USER x\r\n", b"C", b"\n"])
def test_octets_behind_stls_close_the_connection(open_bridge, behind):
    bridge = open_bridge()
    with starttls_client(bridge) as client:
        client.send(b"STLS\r\n" + behind)
        assert client.rest() == b""
    assert bridge.wait_log("session ended")[0]["reason"] == "commands before TLS"


def test_what_was_said_before_stls_is_forgotten(open_bridge, alice, pki):
    with starttls_client(open_bridge(["127.0.0.1"])) as client:
        client.ok(f"USER {alice}")
        client.stls(pop3.tls_context(pki.ca))
        client.err("PASS secret")
        client.sign_in(alice)


# AUTH -----------------------------------------------------------------------------


def test_bare_auth_lists_the_mechanisms(bridge, alice):
    with bridge.client() as client:
        client.ok("AUTH")
        assert set(client.lines()) == {b"PLAIN", b"LOGIN", b"XOAUTH2", b"OAUTHBEARER"}
        client.sign_in(alice)


@pytest.mark.parametrize("verb", ["AUTH PLAIN", "auth plain", "Auth Plain"])
def test_plain_with_initial_response(bridge, alice, verb):
    with bridge.client() as client:
        client.ok(f"{verb} {plain(alice)}")
        assert signed_in(client)


def test_plain_without_initial_response(bridge, alice):
    with bridge.client() as client:
        assert client.command("AUTH PLAIN") == b"+ "
        client.ok(plain(alice))
        assert signed_in(client)


def test_login_asks_twice(bridge, alice):
    with bridge.client() as client:
        assert client.command("AUTH LOGIN") == b"+ " + encoded("Username:").encode()
        assert client.command(encoded(alice)) == b"+ " + encoded("Password:").encode()
        client.ok(encoded("secret"))
        assert signed_in(client)


def test_login_takes_the_name_with_the_command(bridge, alice):
    with bridge.client() as client:
        assert client.command(f"AUTH LOGIN {encoded(alice)}").startswith(b"+ ")
        client.ok(encoded("secret"))
        assert signed_in(client)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_an_equals_sign_is_an_empty_initial_response(bridge, alice, mechanism):
    """Not bad base64, not a missing one; and nobody's credential."""
    with bridge.client() as client:
        answer = client.command(f"AUTH {mechanism} =")
        if mechanism == "LOGIN":
            assert answer.startswith(b"+ ")
            answer = client.command(encoded("secret"))
        assert answer.startswith(b"-ERR ") and b"base64" not in answer
        client.sign_in(alice)


@pytest.mark.parametrize("steps", [["AUTH PLAIN"], ["AUTH LOGIN"],
                                   ["AUTH LOGIN", encoded("alice")], ["AUTH XOAUTH2"]])
def test_a_star_cancels(bridge, alice, steps):
    with bridge.client() as client:
        for line in steps:
            assert client.command(line).startswith(b"+ ")
        client.err("*")
        client.sign_in(alice)


NO_BASE64 = ["!!!!", "AAA", "AAAAA", "A===", "AA=A", "AAA=AAAA", "AA-_", "QQ=Q", "QR=="]


@pytest.mark.parametrize("text", NO_BASE64)
def test_bad_base64_is_refused(bridge, alice, text):
    with bridge.client() as client:
        client.err(f"AUTH PLAIN {text}")
        assert client.command("AUTH PLAIN").startswith(b"+ ")
        client.err(text)
        assert client.command("AUTH LOGIN").startswith(b"+ ")
        client.err(text)
        client.sign_in(alice)


@pytest.mark.parametrize("message", ["", "\0", "\0\0", "alice\0secret", "\0alice",
                                     "\0alice\0", "\0\0secret", "\0alice\0sec\0ret"])
def test_malformed_plain_is_refused(bridge, alice, message):
    with bridge.client() as client:
        client.err(f"AUTH PLAIN {encoded(message) or '='}")
        client.sign_in(alice)


def test_plain_takes_the_users_own_identity_only(bridge, alice):
    with bridge.client() as client:
        client.ok(f"AUTH PLAIN {plain(alice, identity=alice)}")
    with bridge.client() as client:
        client.err(f"AUTH PLAIN {plain(alice, identity='bob')}")
        client.err(f"AUTH PLAIN {plain(alice, identity=alice.upper())}")
        assert not signed_in(client)


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256", "EXTERNAL", "X", "*"])
def test_unknown_mechanisms_are_refused(bridge, alice, mechanism):
    with bridge.client() as client:
        client.err(f"AUTH {mechanism}")
        client.sign_in(alice)


def test_line_ends_in_a_credential_never_go_upstream(bridge, alice):
    with bridge.client() as client:
        for bad in (f"{alice}\r\na LOGOUT", f"{alice}\n", f"{alice}\r"):
            answer = client.command(f"AUTH PLAIN {plain(bad)}")
            assert answer.startswith(b"-ERR ")
        client.sign_in(alice)


def test_a_password_of_thousands_of_octets_passes(start_dovecot, bridge_to):
    password = b"p" * 5000
    dovecot = start_dovecot(passwords={"long": password})
    bridge = bridge_to(dovecot.url)
    with bridge.client() as client:
        client.ok(b"AUTH PLAIN " + base64.b64encode(b"\0long\0" + password))
    with bridge.client() as client:
        assert client.command("AUTH PLAIN").startswith(b"+ ")
        client.ok(base64.b64encode(b"\0long\0" + password))
        assert signed_in(client)


@pytest.mark.parametrize("initial", [True, False])
def test_a_bearer_token_of_twelve_thousand_octets_passes(fake, bridge_to, initial):
    token = "t" * 12_000
    message = encoded(f"user=alice\x01auth=Bearer {token}\x01\x01")
    fake.tokens = {token.encode()}
    fake.mailbox("alice").add(mails.simple())
    with bridge_to(fake.url).client() as client:
        if not initial:
            assert client.command("AUTH XOAUTH2").startswith(b"+ ")
        client.ok(f"AUTH XOAUTH2 {message}" if initial else message)
        assert signed_in(client)
    assert fake.sent_secret(token.encode())


@pytest.mark.parametrize("initial", [True, False])
def test_a_sasl_line_above_sixteen_kib_is_refused(bridge, alice, initial):
    with bridge.client() as client:
        if not initial:
            assert client.command("AUTH PLAIN").startswith(b"+ ")
        client.err(("AUTH PLAIN " if initial else "") + "A" * 17_000)
        client.sign_in(alice)


# References -----------------------------------------------------------------------


def check_reference(bridge, answer):
    """-ERR ... (ref 7F3A9C), and one log line with that ref, a cause and the user."""
    assert re.search(rb" \(ref [0-9A-F]{6}\)$", answer), answer
    lines = bridge.reference(answer)
    assert len(lines) == 1 and lines[0]["cause"]
    return lines[0]


def test_a_wrong_password_has_its_reference_in_the_log(bridge, user):
    with bridge.client() as client:
        answer = client.try_sign_in(user, "wrong-password")
        assert answer.startswith(b"-ERR [AUTH] ")
        assert check_reference(bridge, answer)["user"] == user
        assert "wrong-password" not in bridge.stderr


def test_no_route_and_a_wrong_password_look_alike(start_bridge, dovecot):
    config = {"routes": [{"match": "*@here.example", "server": dovecot.url}]}
    bridge = start_bridge(config)
    with bridge.client() as client:
        answers = [client.try_sign_in("a@elsewhere.example", "wrong"),
                   client.try_sign_in("a@here.example", "wrong")]
        causes = [check_reference(bridge, answer)["cause"] for answer in answers]
    blank = [re.sub(rb"ref [0-9A-F]+", b"", answer) for answer in answers]
    assert blank[0] == blank[1] and causes[0] != causes[1]


def test_the_clients_own_mistakes_have_no_reference(bridge, alice):
    with bridge.client() as client:
        answers = [client.err("FOO"), client.err("STAT"), client.err("PASS x")]
        client.sign_in(alice)
        answers += [client.err("RETR 0"), client.err("USER x"), client.err("RETR 9")]
    assert not [answer for answer in answers if b"(ref " in answer]


def test_no_secret_reaches_the_log(bridge, alice):
    secrets = ["hunter2-plain", "hunter2-pass", "hunter2-login"]
    with bridge.client() as client:
        client.err(f"AUTH PLAIN {plain(alice, secrets[0])}")
        client.try_sign_in(alice, secrets[1])
        client.auth("LOGIN", alice.encode(), secrets[2].encode())
        client.sign_in(alice)
    bridge.wait_log("session ended")
    for secret in [*secrets, *(encoded(f"\0{alice}\0{s}") for s in secrets)]:
        assert secret not in bridge.stderr

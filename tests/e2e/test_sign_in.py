"""
Signing in: what reaches the server is what the client meant, octet for octet, by every
mechanism; who is refused learns nothing; and no secret stays anywhere.
"""

import base64
import random
import re
import time

import fake_imap
import mails
import net
import pop3
import pytest

# The ways upstream: what the server offers, and the mechanism the fake then writes down.
UPSTREAM = {
    "AUTHENTICATE": (fake_imap.FULL, "PLAIN"),
    "AUTHENTICATE without SASL-IR": ("IMAP4rev1 AUTH=PLAIN UIDPLUS", "PLAIN"),
    "LOGIN": ("IMAP4rev1 UIDPLUS", "LOGIN"),
    "LOGIN with LITERAL+": ("IMAP4rev1 UIDPLUS LITERAL+", "LOGIN"),
}


def coded(octets):
    return base64.b64encode(octets)


@pytest.fixture
def lax(request):
    """lax(capability): a fake server that takes every password."""
    started = []

    def start(capability=fake_imap.FULL):
        server = fake_imap.FakeImap(capability=capability)
        server.accepts = lambda user, password: True
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()
    assert [one.errors for one in started] == [[]] * len(started)


# Ways to sign in; each returns the final answer -----------------------------------


def by_pass(client, user, password):
    client.send(b"USER " + user + b"\r\nPASS " + password + b"\r\n")
    assert client.line().startswith(b"+OK")
    return client.line()


def by_plain(client, user, password):
    return client.auth("PLAIN", b"\0" + user + b"\0" + password)


def by_plain_at_once(client, user, password):
    return client.command(b"AUTH PLAIN " + coded(b"\0" + user + b"\0" + password))


def by_login(client, user, password):
    return client.auth("LOGIN", user, password)


WAYS = {"USER and PASS": by_pass, "AUTH PLAIN": by_plain,
        "AUTH PLAIN with the first answer": by_plain_at_once, "AUTH LOGIN": by_login}


def expect_arrives(bridge, fake, way, user, password):
    """The server got exactly this, once."""
    before = len(fake.credentials)
    with bridge.client() as client:
        answer = WAYS[way](client, user, password)
        assert answer.startswith(b"+OK"), (way, user, password, answer)
    got = fake.credentials[before:]
    assert [(one.user, one.secret) for one in got] == [(user, password)]
    return got[0]


# Odd passwords --------------------------------------------------------------------

PASSWORDS = {
    "inner spaces": b"two  words here", "leading space": b" secret",
    "trailing space": b"secret ", "only spaces": b"   ", "quotes": b'"secret"',
    "one quote": b'sec"ret', "backslashes": b"\\sec\\\\ret\\", "quote and backslash": b'\\"',
    "8 bit": b"gr\xfc\xdfe\xff\x80", "UTF-8": "пароль🙂".encode(), "literal": b"{5}",
    "literal+": b"x {5+}", "percent": b"%s%n%d", "parentheses": b"(secret) [x] *",
    "command": b"secret a1 LOGOUT", "200 octets": b"p" * 200, "one octet": b"x",
    "equals": b"=", "star": b"*", "tilde": b"~{3}abc", "NIL": b"NIL",
}


@pytest.mark.parametrize("upstream", UPSTREAM)
def test_odd_passwords_arrive_as_they_are(upstream, lax, bridge_to):
    capability, mechanism = UPSTREAM[upstream]
    fake = lax(capability)
    bridge = bridge_to(fake.url)
    for way in WAYS:
        for password in PASSWORDS.values():
            got = expect_arrives(bridge, fake, way, b"alice", password)
            assert got.mechanism == mechanism


@pytest.mark.parametrize("upstream", UPSTREAM)
@pytest.mark.parametrize("length", [1000, 5000])
def test_a_very_long_password_arrives_whole(upstream, length, lax, bridge_to):
    """Longer ones than a command line holds come by AUTH only."""
    fake = lax(UPSTREAM[upstream][0])
    bridge = bridge_to(fake.url)
    password = random.Random(length).randbytes(length).translate(None, b"\0\r\n")
    for way in ("AUTH PLAIN", "AUTH LOGIN"):
        expect_arrives(bridge, fake, way, b"alice", password)


def test_a_password_too_long_for_its_line_is_refused_and_not_cut(lax, bridge_to):
    fake = lax()
    with bridge_to(fake.url).client() as client:
        client.ok("USER alice")
        client.err(b"PASS " + b"p" * 600)
        assert fake.credentials == []
        client.sign_in("alice")


def random_credentials(count, seed, octets):
    rng = random.Random(seed)
    for _ in range(count):
        user, password = (bytes(rng.choices(octets, k=rng.randrange(1, 60)))
                          for _ in range(2))
        yield user, password


LINE_OCTETS = [*range(0x20, 0x7f), *range(0x80, 0x100)]
SASL_OCTETS = sorted(set(range(1, 256)) - set(b"\r\n"))


@pytest.mark.parametrize("upstream", ["AUTHENTICATE", "LOGIN"])
@pytest.mark.parametrize("way", ["USER and PASS", "AUTH PLAIN", "AUTH LOGIN"])
def test_random_credentials_arrive_octet_for_octet(way, upstream, lax, bridge_to):
    """2,040 in all."""
    fake = lax(UPSTREAM[upstream][0])
    bridge = bridge_to(fake.url)
    octets = LINE_OCTETS if way == "USER and PASS" else SASL_OCTETS
    sent = list(random_credentials(340, f"{way} {upstream}", octets))
    for user, password in sent:
        with bridge.client() as client:
            assert WAYS[way](client, user, password).startswith(b"+OK"), (user, password)
    assert [(one.user, one.secret) for one in fake.credentials] == sent
    expect_only_known_commands(fake)


def expect_only_known_commands(fake):
    names = {command.name for command in fake.commands}
    assert names <= {"CAPABILITY", "ID", "LOGIN", "AUTHENTICATE", "ENABLE", "SELECT", "NOOP",
                     "UID FETCH", "UID SEARCH", "FETCH", "LOGOUT", "UNSELECT"}, names


@pytest.mark.parametrize("upstream", ["AUTHENTICATE", "LOGIN", "LOGIN with LITERAL+"])
def test_no_octet_of_a_credential_becomes_a_command(upstream, lax, bridge_to):
    """Every octet value, in user and password, by every way: through or refused."""
    fake = lax(UPSTREAM[upstream][0])
    bridge = bridge_to(fake.url)
    for value in range(256):
        evil = b"x" + bytes([value]) + b"a9 LOGOUT"
        for way in ("USER and PASS", "AUTH PLAIN"):
            try_hostile(bridge, way, evil, evil)
    expect_only_known_commands(fake)
    assert all(one.user == one.secret for one in fake.credentials)
    assert not fake.sent_secret(b"\na9 LOGOUT") and not fake.sent_secret(b"\ra9 LOGOUT")
    assert len(fake.credentials) > 2 * 220  # the others were refused


def try_hostile(bridge, way, user, password):
    with bridge.client() as client:
        try:
            if way == "USER and PASS":
                client.send(b"USER " + user + b"\r\nPASS " + password + b"\r\n")
                client.line(), client.line()
            else:
                WAYS[way](client, user, password)
        except pop3.Closed:
            pass  # refused by hanging up


# AUTH: the dialogue ---------------------------------------------------------------


@pytest.mark.parametrize("authzid,good", [(b"", True), (b"alice", True), (b"bob", False),
                                          (b"Alice", False), (b"alic", False),
                                          (b"alicex", False)])
@pytest.mark.parametrize("at_once", [False, True])
def test_plain_acts_for_nobody_else(fake, bridge_to, authzid, good, at_once):
    message = authzid + b"\0alice\0secret"
    with bridge_to(fake.url).client() as client:
        if at_once:
            answer = client.command(b"AUTH PLAIN " + coded(message))
        else:
            answer = client.auth("PLAIN", message)
        assert answer.startswith(b"+OK" if good else b"-ERR"), answer
        if not good:
            assert fake.credentials == []
            client.sign_in("alice")
    assert {one.user for one in fake.credentials} == {b"alice"}
    assert all(one.raw.startswith(b"\0") for one in fake.credentials)


@pytest.mark.parametrize("message", [b"", b"alice", b"alice\0secret", b"\0alice\0",
                                     b"\0\0secret", b"\0alice\0sec\0ret",
                                     b"\0alice\0sec\r\nret", b"\0al\nice\0secret"])
def test_malformed_plain_is_refused(fake, bridge_to, message):
    with bridge_to(fake.url).client() as client:
        assert client.auth("PLAIN", message).startswith(b"-ERR")
        client.sign_in("alice")
    assert len(fake.credentials) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("reply", [b"*", b"!!!", b"YWxpY2U", b"YWxp Y2U=", b"====", b"Y===",
                                   b"AGFsaWNlAHNlY3JldA==x"])
def test_cancelled_and_bad_base64_leave_the_session_usable(fake, bridge_to, mechanism, reply):
    with bridge_to(fake.url).client() as client:
        assert client.command(f"AUTH {mechanism}").startswith(b"+ ")
        client.err(reply)
        if reply != b"*":
            client.err(b"AUTH " + mechanism.encode() + b" " + reply)
        client.sign_in("alice")
    assert len(fake.credentials) == 1


def test_auth_login_can_be_cancelled_at_the_password(fake, bridge_to):
    with bridge_to(fake.url).client() as client:
        assert client.auth("LOGIN", b"alice").startswith(b"+ ")
        client.err("*")
        assert client.command(b"AUTH LOGIN " + coded(b"alice")) == b"+ UGFzc3dvcmQ6"
        assert client.command(coded(b"secret")).startswith(b"+OK")


def test_an_equals_sign_is_an_empty_first_answer(fake, bridge_to):
    with bridge_to(fake.url).client() as client:
        for mechanism in ("PLAIN", "XOAUTH2", "OAUTHBEARER"):
            client.err(f"AUTH {mechanism} =")
        client.sign_in("alice")
    assert len(fake.credentials) == 1


def test_bare_auth_lists_the_mechanisms_and_unknown_ones_are_refused(fake, bridge_to):
    with bridge_to(fake.url).client() as client:
        client.ok("AUTH")
        assert client.lines() == [b"PLAIN", b"LOGIN", b"XOAUTH2", b"OAUTHBEARER"]
        assert "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER" in client.capa()
        for unknown in ("CRAM-MD5", "PLAINX", "EXTERNAL", "ANONYMOUS AAAA", "SCRAM-SHA-256"):
            client.err(f"AUTH {unknown}")
        assert client.command(b"auth plain " + coded(b"\0alice\0secret")).startswith(b"+OK")


@pytest.mark.parametrize("length,good", [(16_000, True), (16_400, False), (200_000, False)])
def test_sasl_lines_reach_16_kib(lax, bridge_to, length, good):
    fake = lax()
    text = coded(b"\0alice\0" + b"p" * length)[:length // 4 * 4]
    message = base64.b64decode(text)
    with bridge_to(fake.url).client() as client:
        assert client.command("AUTH PLAIN").startswith(b"+ ")
        answer = client.command(text)
        assert answer.startswith(b"+OK" if good else b"-ERR"), answer
    assert [one.raw for one in fake.credentials] == ([message] if good else [])


# OAuth2 ---------------------------------------------------------------------------

TOKEN = b"ya29.token-of_the~client+/="


def xoauth2(user=b"alice", token=TOKEN):
    return b"user=" + user + b"\x01auth=Bearer " + token + b"\x01\x01"


def oauthbearer(user=b"alice", token=TOKEN, middle=b"host=pop.example\x01port=995\x01"):
    return b"n,a=" + user + b",\x01" + middle + b"auth=Bearer " + token + b"\x01\x01"


@pytest.fixture
def oauth():
    with fake_imap.FakeImap(tokens=[TOKEN]) as server:
        yield server


@pytest.mark.parametrize("at_once", [False, True])
def test_xoauth2_is_passed_upstream(oauth, bridge_to, at_once):
    with bridge_to(oauth.url).client() as client:
        if at_once:
            answer = client.command(b"AUTH XOAUTH2 " + coded(xoauth2()))
        else:
            answer = client.auth("XOAUTH2", xoauth2())
        assert answer.startswith(b"+OK")
    assert [(one.mechanism, one.raw) for one in oauth.credentials] == \
        [("XOAUTH2", xoauth2())]


@pytest.mark.parametrize("middle", [b"", b"host=pop.example\x01port=995\x01",
                                    b"port=995\x01host=pop.example\x01"])
def test_oauthbearer_is_rebuilt_with_the_upstreams_host_and_port(oauth, bridge_to, middle):
    """RFC 7628 3.1: a server refuses a message that names another."""
    with bridge_to(oauth.url).client() as client:
        assert client.auth("OAUTHBEARER", oauthbearer(middle=middle)).startswith(b"+OK")
    expected = oauthbearer(middle=f"host=127.0.0.1\x01port={oauth.port}\x01".encode())
    assert [one.raw for one in oauth.credentials] == [expected]


@pytest.mark.parametrize("given,offered", [("XOAUTH2", "OAUTHBEARER"),
                                           ("OAUTHBEARER", "XOAUTH2")])
def test_a_token_is_passed_by_the_mechanism_the_server_has(bridge_to, given, offered):
    message = xoauth2() if given == "XOAUTH2" else oauthbearer()
    with fake_imap.FakeImap(capability=f"IMAP4rev1 SASL-IR AUTH={offered} UIDPLUS",
                            tokens=[TOKEN]) as fake:
        with bridge_to(fake.url).client() as client:
            assert client.auth(given, message).startswith(b"+OK")
        assert [(one.mechanism, one.user, one.secret) for one in fake.credentials] == \
            [(offered, b"alice", TOKEN)]


def test_a_name_with_comma_and_equals_sign_survives_oauthbearer(oauth, bridge_to):
    with bridge_to(oauth.url).client() as client:
        message = oauthbearer(user=b"a=2Cb=3Dc@example.com")
        assert client.auth("OAUTHBEARER", message).startswith(b"+OK")
    assert oauth.credentials[0].raw.startswith(b"n,a=a=2Cb=3Dc@example.com,\x01host=")


@pytest.mark.parametrize("mechanism,make", [("XOAUTH2", xoauth2),
                                            ("OAUTHBEARER", oauthbearer)])
def test_a_refused_token_is_a_wrong_password_and_the_next_one_works(oauth, bridge_to,
                                                                    mechanism, make):
    with bridge_to(oauth.url).client() as client:
        answer = client.auth(mechanism, make(token=b"expired"))
        if answer.startswith(b"+ "):  # a server may explain itself first
            answer = client.command(b"AQ==" if mechanism == "OAUTHBEARER" else b"")
        assert answer.startswith(b"-ERR [AUTH] "), answer
        assert client.auth(mechanism, make()).startswith(b"+OK")


@pytest.mark.parametrize("message", [
    b"user=alice\x01auth=Basic x\x01\x01", b"user=alice\x01auth=Bearer x\x01",
    b"user=\x01auth=Bearer x\x01\x01", b"user=alice\x01auth=Bearer \x01\x01",
    b"user=alice\x01auth=Bearer x\r\ny\x01\x01", b"user=a\x01auth=Bearer x\x01y=z\x01\x01"])
def test_malformed_xoauth2_is_refused(oauth, bridge_to, message):
    with bridge_to(oauth.url).client() as client:
        assert client.auth("XOAUTH2", message).startswith(b"-ERR")
    assert oauth.credentials == []


@pytest.mark.parametrize("message", [
    b"n,a=alice,\x01auth=Basic x\x01\x01", b"y,a=alice,\x01auth=Bearer x\x01\x01",
    b"p=tls-unique,a=alice,\x01auth=Bearer x\x01\x01", b"n,a=al=ice,\x01auth=Bearer x\x01\x01",
    b"n,a=alice,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", b"n,,\x01auth=Bearer x\x01\x01"])
def test_malformed_oauthbearer_is_refused(oauth, bridge_to, message):
    with bridge_to(oauth.url).client() as client:
        assert client.auth("OAUTHBEARER", message).startswith(b"-ERR")
    assert oauth.credentials == []


def test_a_token_is_not_tried_where_the_server_takes_none(bridge_to):
    with fake_imap.FakeImap(capability="IMAP4rev1 AUTH=PLAIN SASL-IR") as fake:
        bridge = bridge_to(fake.url)
        with bridge.client() as client:
            answer = client.auth("XOAUTH2", xoauth2())
            assert answer.startswith(b"-ERR [SYS/PERM] ")
            assert "XOAUTH2" in bridge.reference(answer)[0]["cause"]
        assert fake.credentials == [] and not fake.sent_secret(TOKEN)


# A real server takes part ---------------------------------------------------------


def test_dovecot_takes_odd_passwords_through_the_bridge(start_dovecot, bridge_to):
    odd = bytes(sorted(set(range(0x20, 0x100)) - {0x7f}))
    dovecot = start_dovecot(passwords={"odd": odd})
    bridge = bridge_to(dovecot.url)
    for way in WAYS.values():
        with bridge.client() as client:
            assert way(client, b"odd", odd).startswith(b"+OK")
            client.quit()
        with bridge.client() as client:
            assert way(client, b"odd", odd[:-1]).startswith(b"-ERR [AUTH] ")


# Guessing -------------------------------------------------------------------------


def seconds_of(question):
    begin = time.monotonic()
    question()
    return time.monotonic() - begin


def test_wrong_passwords_are_answered_later_and_later(fake, bridge_to):
    """On a grid of whole seconds; each guess another one, or it would not count."""
    with bridge_to(fake.url, limits={"sign-in-delay": "2s..15s"}).client() as client:
        took = [seconds_of(lambda: client.err_sign_in(password=f"wrong{number}"))
                for number in range(5)]
    assert all(abs(second - round(second)) < 0.3 * net.slow_factor() for second in took), took
    assert took[0] < 1.5 * net.slow_factor() and max(took[2:]) >= 2, took


@pytest.fixture(autouse=True)
def wrong_sign_in(monkeypatch):
    """client.err_sign_in(): a wrong password, [AUTH]."""
    def err_sign_in(self, user="alice", password="wrong"):
        self.ok(f"USER {user}")
        return self.err(f"PASS {password}", "AUTH")
    monkeypatch.setattr(pop3.Client, "err_sign_in", err_sign_in, raising=False)


def test_the_delay_holds_nobody_else_up(fake, bridge_to):
    bridge = bridge_to(fake.url, limits={"sign-in-delay": "1s..1s"})
    with bridge.client() as guesser:
        guesser.send(b"USER alice\r\nPASS wrong\r\n")
        fake.wait_command("AUTHENTICATE")
        assert seconds_of(lambda: bridge.signed_in("bob").quit()) < 0.7 * net.slow_factor()
        assert guesser.line().startswith(b"+OK")
        assert guesser.line().startswith(b"-ERR [AUTH] ")


def test_a_server_in_trouble_is_no_wrong_password_and_not_delayed(fake, bridge_to):
    fake.on("AUTHENTICATE", lambda connection, tag, rest:
            connection.no(tag, "[UNAVAILABLE] come back") or True)
    with bridge_to(fake.url, limits={"sign-in-delay": "5s..5s"}).client() as client:
        client.ok("USER alice")
        assert seconds_of(lambda: client.err("PASS secret", "SYS/TEMP")) < 3


def test_the_25th_wrong_password_ends_the_session(fake, bridge_to):
    bridge = bridge_to(fake.url)
    with bridge.client() as client:
        for _ in range(25):
            client.err_sign_in()
        client.wait_closed()
    bridge.wait_log("session ended", reason="too many errors")


# Routes ---------------------------------------------------------------------------


def without_reference(answer):
    assert re.search(rb" \(ref [0-9A-F]{6}\)$", answer), answer
    return answer[:answer.rindex(b" (ref")]


def test_the_first_route_that_matches_is_taken(start_bridge):
    with fake_imap.FakeImap() as one, fake_imap.FakeImap() as two:
        bridge = start_bridge({"routes": [
            {"match": "boss@example.com", "server": two.url},
            {"match": "*@example.com", "server": one.url},
            {"match": "b*", "server": two.url},
            {"match": "*@EXAMPLE.net", "server": two.url}]})
        for user in ("boss@example.com", "amy@example.com", "BOSS@Example.COM", "bob",
                     "bob@example.com", "x@example.net"):
            bridge.signed_in(user).quit()
        assert [c.user for c in one.credentials] == [b"amy@example.com", b"bob@example.com"]
        assert [c.user for c in two.credentials] == \
            [b"boss@example.com", b"BOSS@Example.COM", b"bob", b"x@example.net"]


def test_an_unknown_user_is_answered_like_a_wrong_password(start_bridge, fake):
    bridge = start_bridge({"routes": [{"match": "*@example.com", "server": fake.url}],
                           "limits": {"sign-in-delay": "10ms..10ms"}})
    took, answers = [], []
    for user in ("alice@example.com", "alice@nowhere.example", "alice", "@", "*"):
        with bridge.client() as client:
            took.append(seconds_of(lambda: answers.append(client.err_sign_in(user))))
    assert len({without_reference(answer) for answer in answers}) == 1
    assert min(took) >= 0.99 and max(took) < 1 + 0.4 * net.slow_factor()
    assert "no route" in bridge.reference(answers[1])[0]["cause"]
    assert {one.user for one in fake.credentials} == {b"alice@example.com"}


@pytest.mark.parametrize("template,user,expected", [
    ("{user}", "al@example.com", b"al@example.com"),
    ("{local}", "al@example.com", b"al"),
    ("{local}", "al", b"al"),
    ("{local}", "a@b@example.com", b"a@b"),
    ("{local}@new.example", "al@example.com", b"al@new.example"),
    ("{domain}/{local}", "al@example.com", b"example.com/al"),
    ("{user}*shared", "al@example.com", b"al@example.com*shared"),
    ("fixed", "whoever", b"fixed"),
    ("{local} ", "al@example.com", b"al "),
])
def test_the_user_name_is_rewritten_for_the_server(fake, bridge_to, template, user, expected):
    bridge = bridge_to(fake.url, user=template)
    bridge.signed_in(user).quit()
    assert [one.user for one in fake.credentials] == [expected]
    assert bridge.wait_log("session ended", reason="quit")[0]["user"] == user


def test_a_name_that_rewriting_leaves_empty_signs_nobody_in(fake, bridge_to):
    bridge = bridge_to(fake.url, user="{domain}")
    with bridge.client() as client:
        client.err_sign_in("alice", "secret")
        client.sign_in("alice@bob")
    assert [one.user for one in fake.credentials] == [b"bob"]


# No secret stays anywhere ---------------------------------------------------------

WORDS = [b"correct-Horse", b"battery-Staple", b"sTaple-token-42"]


def forms(secret):
    """As it could turn up somewhere: plain, base64 at any place, hexadecimal."""
    yield secret
    yield secret.hex().encode()
    for before in range(3):
        # Only what does not depend on the neighbours.
        yield coded(b"x" * before + secret)[4 if before else 0:-4]


def use_secrets(bridge):
    """Right, wrong, refused, malformed and misplaced, by every mechanism."""
    good, wrong, token = WORDS
    for way in WAYS.values():
        for password in (good, wrong):
            with bridge.client() as client:
                way(client, b"alice", password)
    with bridge.client() as client:
        client.err(b"PASS " + wrong)
        client.err(b"AUTH PLAIN " + coded(b"bob\0alice\0" + wrong))
        client.err(b"AUTH PLAIN " + coded(b"alice\0" + wrong))
        client.err(b"AUTH NONSENSE " + coded(wrong))
        assert client.auth("LOGIN", b"alice").startswith(b"+ ")
        client.err(wrong)  # not base64
        client.auth("XOAUTH2", xoauth2(token=token))
    with bridge.client() as client:
        client.err(b"PASS" + wrong)  # a space forgotten
        client.auth("OAUTHBEARER", oauthbearer(token=token))
    with bridge.client() as client:
        client.ok("USER alice")
        client.send(b"PASS " + wrong + b"\0\r\n")
        client.rest()
    with bridge.client() as client:
        client.sign_in("alice", good)
        client.err(b"PASS " + wrong)  # in the wrong state
        client.quit()


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
@pytest.mark.parametrize("upstream", ["AUTHENTICATE", "LOGIN"])
def test_no_secret_is_ever_logged_or_shown_by_the_process(start_bridge, upstream, log_format):
    """At the debug level, with a server that repeats the password in its answers."""
    capability = UPSTREAM[upstream][0]
    with fake_imap.FakeImap(capability=capability, passwords={"alice": WORDS[0]}) as fake:
        for name in ("LOGIN", "AUTHENTICATE"):
            fake.on(name, echo_what_was_sent, times=2)
        bridge = start_bridge({"routes": [{"match": "*", "server": fake.url}],
                               "log": {"level": "debug", "format": log_format}})
        use_secrets(bridge)
        bridge.wait_log("session ended", reason="quit")
        assert fake.sent_secret(WORDS[0])
        places = {"log": bridge.stderr.encode(), **process_places(bridge.pids())}
    for place, text in places.items():
        for word in WORDS:
            for form in forms(word):
                assert form not in text, (place, form)


def echo_what_was_sent(connection, tag, rest):
    connection.no(tag, b"[AUTHENTICATIONFAILED] I was sent " + rest)
    return True


def process_places(pids):
    """What other users of the machine may see (where we may look at all)."""
    found = {}
    for pid in pids:
        for name in ("cmdline", "environ", "comm", "status"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as text:
                    found[name, pid] = text.read()
            except PermissionError:
                found[name, pid] = b""  # nor may anybody else
        assert found["cmdline", pid]
    return found


def test_the_message_of_another_user_is_never_served(lax, bridge_to):
    """Sessions side by side, each with its own user, get their own mail."""
    fake = lax()
    bridge = bridge_to(fake.url)
    clients = []
    for number in range(20):
        fake.mailbox(f"user{number}").add(mails.simple(f"for {number}"))
        clients.append(bridge.client())
    for number, client in enumerate(clients):
        client.send(f"USER user{number}\r\nPASS x{number}\r\n".encode())
    for number, client in enumerate(clients):
        assert client.line().startswith(b"+OK") and client.line().startswith(b"+OK")
        assert client.retr(1) == mails.simple(f"for {number}")
        client.quit()

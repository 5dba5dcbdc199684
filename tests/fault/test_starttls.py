"""
STARTTLS towards the server: injection behind its OK, PREAUTH, stripping, and what was
learnt before TLS. No password is ever sent where the channel is not verified.
"""

import fake_imap
import pytest
from world import answer_properly


def no_credential(world, run, before):
    assert run.answer.startswith(b"-ERR [SYS/"), run.answer
    assert len(world.fake.credentials) == before
    world.judge(run)


@pytest.fixture
def world(make_world, pki):
    """Without volunteered capabilities, so that every step is asked for."""
    return make_world("starttls", announce=False)


INJECTED = {
    "a tagged OK": b"B OK signed in\r\n", "EXISTS": b"* 99 EXISTS\r\n",
    "FETCH": b"* 1 FETCH (UID 1 RFC822.SIZE 5)\r\n",
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    "PREAUTH": b"* PREAUTH hello\r\n", "one octet": b"*", "CRLF": b"\r\n",
    "the next tag": b"3 OK done\r\n", "half a line": b"* OK ", "NUL": b"\0",
}


@pytest.mark.parametrize("together", [True, False], ids=["one segment", "two segments"])
@pytest.mark.parametrize("injected", INJECTED)
def test_plain_text_behind_the_ok_to_starttls_ends_the_connection(world, injected,
                                                                  together):
    def hook(connection, tag, rest):
        ok = tag + b" OK begin TLS\r\n"
        if together:
            connection.send(ok + INJECTED[injected])
        else:
            connection.send(ok)
            connection.send(INJECTED[injected])
        connection.start_tls(connection.server.starttls)
        return True
    world.on("STARTTLS", hook)
    before = len(world.fake.credentials)
    run = world.run(world.new_user())
    assert world.fired
    no_credential(world, run, before)


def test_a_starttls_answered_in_advance_ends_the_connection(world):
    """CVE-2026-42246: the OK comes before the command did."""
    def hook(connection, tag, rest):
        answer_properly(connection, "CAPABILITY", tag, rest)
        connection.ok(b"%d" % (int(tag) + 1), "begin TLS")
        return True
    world.on("CAPABILITY", hook)
    before = len(world.fake.credentials)
    run = world.run(world.new_user())
    assert world.fired
    no_credential(world, run, before)


def _preauth(connection, tag, rest):
    connection.untagged("PREAUTH you are signed in")
    return True


@pytest.mark.parametrize("kind", ["starttls", "tls", "plain"])
def test_preauth_is_refused(make_world, kind):
    world = make_world(kind)
    world.on("GREETING", _preauth)
    before = len(world.fake.credentials)
    run = world.run(world.new_user())
    assert world.fired
    assert run.answer.startswith(b"-ERR [SYS/PERM] ")
    no_credential(world, run, before)


def _capability(words):
    def hook(connection, tag, rest):
        connection.untagged(f"CAPABILITY {words}")
        connection.ok(tag)
        return True
    return "CAPABILITY", hook


def _answer(text):
    def hook(connection, tag, rest):
        connection.send(text.encode().replace(b"TAG", tag) + b"\r\n")
        return True
    return "STARTTLS", hook


def _ok_and_go_on_in_plain_text(connection, tag, rest):
    connection.ok(tag, "begin TLS")
    connection.untagged("OK never mind")
    return True


def _greeting(text):
    def hook(connection, tag, rest):
        connection.untagged(text)
        return True
    return "GREETING", hook


STRIPPED = {
    "not offered": _capability("IMAP4rev1 AUTH=PLAIN"),
    "not offered, LOGIN": _capability("IMAP4rev1"),
    "offered by a longer word": _capability("IMAP4rev1 STARTTLSX XSTARTTLS"),
    "offered after CAPABILITY": _capability("STARTTL S"),
    "capability NO": ("CAPABILITY", lambda c, tag, rest: c.no(tag) or True),
    "capability BAD": ("CAPABILITY", lambda c, tag, rest: c.bad(tag) or True),
    "greeting without": _greeting("OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready"),
    "NO": _answer("TAG NO not now"), "BAD": _answer("TAG BAD what?"),
    "BYE": _answer("* BYE no TLS"), "another tag": _answer("Z OK begin TLS"),
    "untagged": _answer("* OK begin TLS"), "PREAUTH": _answer("* PREAUTH come in"),
    "continuation": _answer("+ go on"),
    "OK, then plain text": ("STARTTLS", _ok_and_go_on_in_plain_text),
}


@pytest.mark.parametrize("how", STRIPPED)
def test_where_starttls_is_stripped_no_password_is_sent(make_world, how):
    world = make_world("starttls", hasty=True, announce=False)
    name, hook = STRIPPED[how]
    world.on(name, hook)
    before = len(world.fake.credentials)
    run = world.run(world.new_user())
    assert world.fired
    no_credential(world, run, before)


def test_capabilities_learnt_before_tls_are_forgotten(world):
    """Mechanisms, SASL-IR and LITERAL+ offered only in plain text are not used."""
    def before(connection, tag, rest):
        connection.untagged("CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN "
                            "AUTH=XOAUTH2 LITERAL+ ID")
        connection.ok(tag)
        return True

    def within(connection, tag, rest):
        connection.untagged("CAPABILITY IMAP4rev1 UIDPLUS")
        connection.ok(tag)
        return True
    world.on("CAPABILITY", before, when=lambda c, rest: not c.is_tls())
    world.on("CAPABILITY", within, when=lambda c, rest: c.is_tls(), times=None)
    counts = {name: len(world.fake.seen(name)) for name in ("AUTHENTICATE", "ID")}
    run = world.run(world.new_user())
    assert run.quit_ok and world.fired >= 2
    assert counts == {name: len(world.fake.seen(name)) for name in counts}
    world.judge(run)


def test_a_login_disabled_before_tls_only_does_not_count(world):
    world.on(*_capability("IMAP4rev1 STARTTLS LOGINDISABLED"),
             when=lambda c, rest: not c.is_tls())
    run = world.run(world.new_user())
    assert run.quit_ok and world.fired
    world.judge(run)


def test_a_mailbox_size_and_uidvalidity_told_before_tls_are_forgotten(world):
    def hook(connection, tag, rest):
        connection.send(b"* 99 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 3] x\r\n"
                        b"* OK [READ-ONLY] x\r\n* OK [PERMANENTFLAGS ()] x\r\n"
                        b"* OK [ALERT] x\r\n")
        return answer_properly(connection, "CAPABILITY", tag, rest)
    world.on("CAPABILITY", hook, when=lambda c, rest: not c.is_tls())
    run = world.run(world.new_user())
    assert run.quit_ok and world.fired
    world.judge(run)


BAD_CERTIFICATES = ["expired", "not_yet_valid", "wrong_host", "common_name_only",
                    "client_only", "unknown_ca", "missing_intermediate", "self_signed"]


@pytest.mark.parametrize("kind", ["starttls", "tls"])
@pytest.mark.parametrize("certificate", BAD_CERTIFICATES)
def test_a_certificate_that_does_not_verify_gets_no_password(make_world, pki, kind,
                                                             certificate):
    world = make_world(kind, announce=False)
    bad = fake_imap._server_context(getattr(pki, certificate)(), None)
    proper = getattr(world.fake, kind)
    before = len(world.fake.credentials)
    setattr(world.fake, kind, bad)
    try:
        run = world.run(world.new_user())
    finally:
        setattr(world.fake, kind, proper)
    no_credential(world, run, before)

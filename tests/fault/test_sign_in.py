"""
What upstream answers to sign-in mean to the client, capability lists from bare to full,
and credentials of every octet.
"""

import base64
import re

import fake_imap
import pytest

# What AUTHENTICATE or LOGIN is answered -> the response code the client gets. Only a NO
# that means a wrong password may become [AUTH] (RFC 3206): clients ask their user then.
ANSWERS = {
    "NO": "AUTH",
    "NO [AUTHENTICATIONFAILED] Invalid credentials": "AUTH",
    "NO Login failed: wrong password": "AUTH",
    "NO [ALERT] Invalid credentials (Failure)": "AUTH",
    "NO [AUTHENTICATIONFAILED] Too many login failures": "AUTH",
    "NO [UNAVAILABLE] Temporary authentication failure.": "SYS/TEMP",
    "NO [UNAVAILABLE] LDAP is down": "SYS/TEMP",
    "NO [LIMIT] Too many connections": "SYS/TEMP",
    "NO [THROTTLED] slow down": "SYS/TEMP",
    "NO [INUSE] mailbox locked": "SYS/TEMP",
    "NO [SERVERBUG] oops": "SYS/TEMP",
    "NO [OVERQUOTA] full": "SYS/TEMP",
    "NO Server Unavailable. 15": "SYS/TEMP",
    "NO Internal error occurred": "SYS/TEMP",
    "NO Temporary system error, try again later": "SYS/TEMP",
    "NO Request is throttled. Suggested Backoff Time: 299961 milliseconds": "SYS/TEMP",
    "NO [ALERT] Too many simultaneous connections. (Failure)": "SYS/TEMP",
    "NO Account is temporarily unavailable.": "SYS/TEMP",
    "NO User is authenticated but not connected.": "SYS/TEMP",
    "BAD User is authenticated but not connected.": "SYS/TEMP",
    "BAD Command Error. 12": "SYS/TEMP",
    "NO [AUTHORIZATIONFAILED] not for you": "SYS/PERM",
    "NO [EXPIRED] password expired": "SYS/PERM",
    "NO [PRIVACYREQUIRED] use TLS": "SYS/PERM",
    "NO [CONTACTADMIN] account suspended": "SYS/PERM",
    "NO [CANNOT] no such mechanism": "SYS/PERM",
    "NO [NOPERM] IMAP is disabled": "SYS/PERM",
}


@pytest.mark.parametrize("capability", [fake_imap.FULL, fake_imap.BARE],
                         ids=["AUTHENTICATE", "LOGIN"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_upstream_answer_to_sign_in_becomes_the_right_code(make_world, capability,
                                                             answer):
    world = make_world(capability=capability)

    def refuse(connection, tag, rest):
        connection.send(tag + b" " + answer.encode() + b"\r\n")
        return True
    for name in ("AUTHENTICATE", "LOGIN"):
        world.on(name, refuse, times=None)
    run = world.run(world.new_user())
    assert world.fired
    assert run.answer.startswith(f"-ERR [{ANSWERS[answer]}] ".encode()), run.answer
    text = answer.split("] ")[-1].removeprefix("NO ").removeprefix("BAD ")
    assert text == "NO" or text.encode() not in run.answer, "upstream text stays here"
    assert world.bridge.reference(run.answer)
    world.judge(run)


@pytest.mark.parametrize("how", ["FIN", "RST", "BYE"])
def test_a_connection_that_ends_at_sign_in_is_no_wrong_password(make_world, how):
    world = make_world()

    def end(connection, tag, rest):
        if how == "BYE":
            connection.untagged("BYE Too many invalid login attempts")
        connection.cut("RST" if how == "RST" else "FIN")
    world.on("AUTHENTICATE", end)
    run = world.run(world.new_user())
    assert run.answer.startswith(b"-ERR [SYS/TEMP] ")
    world.judge(run)


NOT_CONNECTED = "User is authenticated but not connected."


@pytest.mark.parametrize("step", ["CAPABILITY", "SELECT"])
@pytest.mark.parametrize("condition", ["BAD", "NO"])
def test_authenticated_but_not_connected_is_named_for_what_it_is(make_world, step,
                                                                 condition):
    """Microsoft 365's commonest failure: never [AUTH], and the log names the causes."""
    world = make_world(capability=fake_imap.OUTLOOK, announce=False)

    def refuse(connection, tag, rest):
        connection.send(tag + f" {condition} {NOT_CONNECTED}\r\n".encode())
        return True
    world.on(step, refuse, when=lambda connection, rest: connection.user, times=None)
    run = world.run(world.new_user())
    assert world.fired
    assert run.answer.startswith((b"-ERR [SYS/TEMP] ", b"-ERR [SYS/PERM] "))
    line = world.bridge.reference(run.answer)[0]
    assert NOT_CONNECTED in line["cause"]
    for cause in ("IMAP", "mailbox", "permission", "throttled"):
        assert cause in line["advice"]
    world.judge(run)


@pytest.mark.parametrize("capability", [
    "IMAP4rev1 LOGINDISABLED", "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2",
    "IMAP4rev1 AUTH=GSSAPI LOGINDISABLED"])
def test_login_disabled_is_honoured(make_world, capability):
    world = make_world()
    world.on("GREETING", lambda connection, tag, rest: connection.untagged(
        f"OK [CAPABILITY {capability}] ready") or True)
    before = len(world.fake.seen("LOGIN"))
    run = world.run(world.new_user())
    assert run.answer.startswith(b"-ERR [SYS/PERM] ") and world.fired
    assert len(world.fake.seen("LOGIN")) == before
    world.judge(run)


CAPABILITIES = {
    "bare": fake_imap.BARE, "Microsoft 365": fake_imap.OUTLOOK, "Gmail": fake_imap.GMAIL,
    "full": fake_imap.FULL, "rev2": "IMAP4rev2 AUTH=PLAIN SASL-IR UIDPLUS ESEARCH ENABLE",
    "old": "IMAP4 IMAP4REV1 LOGIN-REFERRALS AUTH=CRAM-MD5 NAMESPACE",
    "no SASL-IR": "IMAP4rev1 AUTH=PLAIN UIDPLUS",
    "lower case": "imap4rev1 auth=plain uidplus sasl-ir esearch",
}


@pytest.mark.parametrize("announce", [True, False], ids=["volunteered", "asked"])
@pytest.mark.parametrize("name", CAPABILITIES)
def test_a_session_works_with_any_list_of_capabilities(make_world, name, announce):
    capability = CAPABILITIES[name]
    if name == "lower case":  # the fake server itself speaks capitals
        capability = capability.upper()
    world = make_world(capability=capability, announce=announce)
    run = world.run(world.new_user(), top=True)
    assert run.quit_ok and len(run.whole) == 4
    unknown = [one.name for one in world.fake.commands if one.name not in (
        "CAPABILITY", "ID", "AUTHENTICATE", "LOGIN", "SELECT", "UID FETCH", "UID SEARCH",
        "UID STORE", "UID EXPUNGE", "EXPUNGE", "ENABLE", "LOGOUT", "NOOP", "UID MOVE")]
    assert not unknown
    world.judge(run)


def test_the_outlook_list_as_it_comes_is_enough(make_world):
    """As Microsoft sends it: before and after sign-in, no code in the OK."""
    world = make_world(capability="IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS "
                       "ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+",
                       after_sign_in="IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR "
                       "UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CHILDREN IDLE "
                       "NAMESPACE LITERAL+", announce=False)
    run = world.run(world.new_user())
    assert run.quit_ok
    world.judge(run)


# Credentials -----------------------------------------------------------------------

FORBIDDEN = b"\0\r\n"
NAMES = {"CAPABILITY", "ID", "AUTHENTICATE", "LOGIN", "SELECT", "UID FETCH", "UID SEARCH",
         "LOGOUT", "ENABLE"}


def _commands_are_ours(world, start):
    """Every line the server got is a command with a proper tag that we know of."""
    for command in world.fake.commands[start:]:
        assert command.name in NAMES, f"octets became a command: {command.line!r}"
        assert re.fullmatch(rb"[A-Za-z0-9]+", command.tag), command.line


def _at_place(octet, place):
    return {"start": octet + b"a1", "middle": b"a " + octet + b"b",
            "end": b"ab" + octet}[place]


def _by_user_pass(client, user, secret):
    return client.try_sign_in(user, secret)


def _by_auth_plain(client, user, secret):
    client.send(b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + secret) + b"\r\n")
    return client.line()


def _try(world, how, user, secret):
    """(answer, commands were ours, credentials noted) of one sign-in."""
    start, noted = len(world.fake.commands), len(world.fake.credentials)
    with world.bridge.client() as client:
        # USER/PASS cannot carry line ends: what follows one is a POP3 command.
        answer = how(client, user, secret)
    _commands_are_ours(world, start)
    return answer, world.fake.credentials[noted:]


WAYS = {"USER/PASS to PLAIN": (_by_user_pass, fake_imap.FULL),
        "AUTH PLAIN to LOGIN": (_by_auth_plain, "IMAP4rev1 LITERAL+")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_no_octet_of_a_credential_becomes_a_command(make_world, way, place):
    """Each octet in user and password at once; what is accepted arrives as it is."""
    how, capability = WAYS[way]
    world = make_world(capability=capability)
    arrived = 0
    for value in range(256):
        octet = bytes([value])
        user = secret = _at_place(octet, place)
        world.fake.passwords[user.decode("latin-1")] = secret
        answer, noted = _try(world, how, user, secret)
        assert answer.startswith((b"+OK", b"-ERR")), answer
        if answer.startswith(b"+OK") and noted:
            assert octet not in FORBIDDEN, f"{octet!r} was let through"
            assert [(one.user, one.secret) for one in noted] == [(user, secret)]
            arrived += 1
        for one in noted:
            assert not set(one.user + one.secret) & set(FORBIDDEN)
    assert arrived >= 90, "printable ASCII at least must be accepted"


INJECTIONS = [b"a\r\nX1 CREATE pwn", b"a\nX1 CREATE pwn", b"a\rX1 CREATE pwn",
              b'a" x\r\nX1 CREATE pwn\r\n', b"{5}\r\nX1 CREATE pwn", b"a\0X1 CREATE pwn",
              b"a\r\n\r\n", b'"', b'\\', b'\\"', b'a" "b', b"{5}", b"{5+}", b"(a b)", b"*",
              b"%n%s%{x}", b"../../x", b"NIL", b"a b ", b"a]b", b"\xff\xfe", b"{0}",
              "grüße 🙂".encode(), b"x" * 900]


@pytest.mark.parametrize("server", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("field", ["user", "password"])
def test_a_credential_made_to_inject_is_refused_or_arrives_as_it_is(make_world, server,
                                                                    field):
    world = make_world(capability=fake_imap.FULL if server == "PLAIN" else "IMAP4rev1")
    for text in INJECTIONS:
        user, secret = (text, b"secret") if field == "user" else (b"v", text)
        world.fake.passwords[user.decode("latin-1")] = secret
        answer, noted = _try(world, _by_auth_plain, user, secret)
        if any(octet in text for octet in FORBIDDEN):
            assert answer.startswith(b"-ERR ") and not noted, answer
        else:
            assert answer.startswith(b"+OK"), (text, answer)
            assert [(one.user, one.secret) for one in noted] == [(user, secret)]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_control_octets_in_a_token_are_refused(make_world, mechanism):
    world = make_world()
    forms = {"XOAUTH2": b"user=%s\x01auth=Bearer %s\x01\x01",
             "OAUTHBEARER": b"n,a=%s,\x01auth=Bearer %s\x01\x01"}
    for bad in (b"a\x01auth=Bearer evil", b"a\r\nX1 CREATE pwn", b"a\0b", b"a\nb"):
        for user, token in ((bad, b"token"), (b"u", bad)):
            start = len(world.fake.commands)
            with world.bridge.client() as client:
                message = base64.b64encode(forms[mechanism] % (user, token))
                answer = client.command(b"AUTH " + mechanism.encode() + b" " + message)
            assert answer.startswith((b"-ERR", b"+ ")), answer
            _commands_are_ours(world, start)
            assert not world.fake.sent_secret(b"evil")


# Who the client is -----------------------------------------------------------------

def _id_fields(world):
    rest = world.fake.seen("ID")[-1].rest
    words = [word.decode() for word in re.findall(rb'"([^"]*)"', rest)]
    return dict(zip(words[::2], words[1::2]))


def test_forward_client_id_names_the_client(make_world):
    """As Dovecot's login takes it from a trusted proxy."""
    world = make_world(route={"forward-client": "id"})
    run, client = world.begin(world.new_user())
    with client:
        assert run.signed_in
        fields = _id_fields(world)
        host, port = client.socket.getsockname()
        assert fields["x-originating-ip"] == host == "127.0.0.1"
        assert fields["x-originating-port"] == str(port)
        session = fields["x-session-ext-id"]
        client.ok("QUIT")
    world.bridge.wait_log("session ended", session=session)
    assert fields["name"] == "popbridge" and fields["version"]


def test_without_forward_client_nothing_tells_who_the_client_is(make_world):
    world = make_world()
    run = world.run(world.new_user())
    assert set(_id_fields(world)) == {"name", "version"}
    world.judge(run)

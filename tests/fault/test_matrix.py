"""
Faults x steps: every fault at every step of a session, judged by one oracle (world.py).
Hasty cells (stall, drip) run against a bridge with short limits.
"""

import random

import fake_imap
import pytest
from world import (BODIES, answer_properly, body_response, do_silently, is_body_of,
                   is_index)

WITHOUT_UIDPLUS = fake_imap.FULL.replace(" UIDPLUS", "")


# Steps -----------------------------------------------------------------------------
# name: (command, which of them, what to prepare, is it executed before the fault)

def _is_tls(connection, rest):
    return connection.is_tls() and connection.user is None


def _is_signed_in(connection, rest):
    return connection.user is not None


def _says(text):
    return lambda connection, rest: text in rest


def _only_login(world):
    def capability(connection, tag, rest):
        connection.untagged("CAPABILITY IMAP4rev1 ID UIDPLUS")
        connection.ok(tag)
        return True
    world.on("CAPABILITY", capability, when=_is_tls, times=None, counts=False)


def _no_uidplus(world):
    def capability(connection, tag, rest):
        connection.untagged("CAPABILITY IMAP4rev1")
        connection.ok(tag)
        return True
    world.on("CAPABILITY", capability, when=_is_signed_in, times=None,
             counts=False)


LINE_STEPS = {
    "greeting": ("GREETING", None, None, False),
    "CAPABILITY before TLS":
        ("CAPABILITY", lambda connection, rest: not connection.is_tls(), None, False),
    "STARTTLS": ("STARTTLS", None, None, False),
    "CAPABILITY in TLS": ("CAPABILITY", _is_tls, None, False),
    "ID": ("ID", None, None, False),
    "AUTHENTICATE": ("AUTHENTICATE", None, None, False),
    "AUTHENTICATE executed": ("AUTHENTICATE", None, None, True),
    "LOGIN": ("LOGIN", None, _only_login, False),
    "CAPABILITY after sign-in": ("CAPABILITY", _is_signed_in, None, False),
    "SELECT": ("SELECT", None, None, False),
    "SELECT executed": ("SELECT", None, None, True),
    "index FETCH": ("UID FETCH", is_index, None, False),
    "index FETCH middle": ("UID FETCH", is_index, None, False),
    "SEARCH DELETED at sign-in":
        ("UID SEARCH", _says(b"DELETED"), _no_uidplus, False),
    "body FETCH": ("UID FETCH", is_body_of(12), None, False),
    "body FETCH after )": ("UID FETCH", is_body_of(12), None, False),
    "TOP FETCH": ("UID FETCH", _says(b"BODY.PEEK[]<0"), None, False),
    "between commands": ("UID FETCH", is_body_of(11), None, False),
    "UID STORE": ("UID STORE", None, None, False),
    "UID STORE executed": ("UID STORE", None, None, True),
    "UID EXPUNGE": ("UID EXPUNGE", None, None, False),
    "UID EXPUNGE executed": ("UID EXPUNGE", None, None, True),
    "EXPUNGE": ("EXPUNGE", None, _no_uidplus, False),
    "EXPUNGE executed": ("EXPUNGE", None, _no_uidplus, True),
    "proof SEARCH": ("UID SEARCH", _says(b"UID 11"), None, False),
}

OCTET_STEPS = {"first octet": 1, "middle": len(BODIES[12]) // 2,
               "behind a CR": BODIES[12].index(b"\r\n", 900) + 1,
               "last octet": len(BODIES[12]) - 1, "before )": len(BODIES[12])}


def _before(step, connection, tag, rest):
    """What is sent before the fault at places in the middle of an answer."""
    if step == "index FETCH middle":
        first = connection.view[0]
        connection.send(b"* 1 FETCH (UID %d RFC822.SIZE %d)\r\n" % (first.uid, first.size))
    elif step == "body FETCH after )":
        connection.send(body_response(connection, 12))
    elif step == "between commands":
        answer_properly(connection, "UID FETCH", tag, rest)


# Faults ----------------------------------------------------------------------------
# Each gets the connection, the tag and go_on(), which answers as if nothing had been.

def _fin(connection, tag, go_on):
    connection.cut("FIN")


def _eof(connection, tag, go_on):
    connection.cut("EOF")


def _rst(connection, tag, go_on):
    connection.cut("RST")


def _half_a_line(connection, tag, go_on):
    connection.send(b"* OK ha")
    connection.cut("FIN")


def _half_a_tag(connection, tag, go_on):
    connection.send(tag + b" O")
    connection.cut("EOF")


def _bye(connection, tag, go_on):
    connection.untagged("BYE not now")
    connection.cut("FIN")


def _bye_and_on(connection, tag, go_on):
    connection.untagged("BYE or perhaps not")
    go_on()


def _no(connection, tag, go_on):
    connection.no(tag)


def _bad(connection, tag, go_on):
    connection.bad(tag)


def _untagged_bad(connection, tag, go_on):
    connection.untagged("BAD that was not understood")
    go_on()


def _early_ok(connection, tag, go_on):
    connection.ok(tag, "without a word")


def _ok_twice(connection, tag, go_on):
    connection.ok(tag, "done already")
    go_on()


def _wrong_tag(connection, tag, go_on):
    connection.ok(b"X" + tag)
    go_on()


def _tag_to_come(connection, tag, go_on):
    """libetpan counts its tags, so the next can be guessed."""
    go_on()
    if tag.isdigit():
        connection.ok(b"%d" % (int(tag) + 1), "answered in advance")


def _garbage(connection, tag, go_on):
    connection.send(random.Random(3).randbytes(500) + b"\r\n")
    go_on()


def _http(connection, tag, go_on):
    connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    go_on()


def _nul(connection, tag, go_on):
    connection.untagged(b"OK a\0b")
    go_on()


def _long_line(connection, tag, go_on):
    connection.untagged(b"OK " + b"a" * 70_000)
    go_on()


def _endless_line(connection, tag, go_on):
    for _ in range(40):
        connection.send(b"a" * 50_000)
    connection.cut("FIN")


def _flood(connection, tag, go_on):
    connection.send(b"* OK hm\r\n" * 12_000)
    go_on()


def _nested(connection, tag, go_on):
    connection.send(b"* 1 FETCH (X " + b"(" * 5000 + b")" * 5000 + b")\r\n")
    go_on()


def _huge_literal(connection, tag, go_on):
    connection.send(b'* LIST () "/" {4294967295}\r\n')
    go_on()


def _wrapping_literal(connection, tag, go_on):
    connection.send(b'* LIST () "/" {4294967301}\r\nINBOX\r\n')
    go_on()


def _negative_literal(connection, tag, go_on):
    connection.send(b'* LIST () "/" {-5}\r\nINBOX\r\n')
    go_on()


def _open_parenthesis(connection, tag, go_on):
    connection.send(b"* OK [PERMANENTFLAGS (\\Deleted\r\n* FLAGS (\\Seen\r\n")
    go_on()


def _unasked_data(connection, tag, go_on):
    connection.send(b"* 2 FETCH (FLAGS (\\Seen))\r\n* OK [XYZZY] hm\r\n* XYZZY 1 2\r\n"
                    b"* 4 XYZZY\r\n* 4 FETCH (UID 16 BODY[] {5}\r\nWRONG)\r\n")
    go_on()


def _continuation(connection, tag, go_on):
    connection.send(b"+ more\r\n")
    go_on()


def _stall(connection, tag, go_on):
    connection.stall()


def _drip(connection, tag, go_on):
    connection.drip(b"* OK " + b"a" * 100_000, seconds=0.05)


CUTS = {"FIN": _fin, "no close_notify": _eof, "RST": _rst}
HASTY = {"stall": _stall, "drip": _drip}
LINE_FAULTS = {
    **CUTS, "half a line": _half_a_line, "half a tag": _half_a_tag, "BYE": _bye,
    "BYE and on": _bye_and_on, "NO": _no, "BAD": _bad, "untagged BAD": _untagged_bad,
    "early OK": _early_ok, "OK twice": _ok_twice, "wrong tag": _wrong_tag,
    "tag to come": _tag_to_come, "garbage": _garbage, "HTTP": _http, "NUL": _nul,
    "long line": _long_line, "endless line": _endless_line, "flood": _flood,
    "nested": _nested, "huge literal": _huge_literal,
    "wrapping literal": _wrapping_literal, "negative literal": _negative_literal,
    "open parenthesis": _open_parenthesis, "unasked data": _unasked_data,
    "unasked continuation": _continuation, **HASTY,
}


# The matrix ------------------------------------------------------------------------

def _world_for(make_world, fault):
    hasty = fault in HASTY
    return make_world("starttls", hasty=hasty, announce=False)


def _greet(connection, tag, rest):
    connection.untagged("OK ready")
    return True


def _install(world, step, fault, times=1):
    command, when, prepare, executed = LINE_STEPS[step]
    if prepare:
        prepare(world)

    def hook(connection, tag, rest):
        world.check_neighbour()
        _before(step, connection, tag, rest)
        if executed:
            do_silently(connection, command, tag, rest)

        def go_on():
            if command == "GREETING":
                _greet(connection, tag, rest)
            elif step == "body FETCH after )" or step == "between commands" or executed:
                connection.ok(tag) if step != "between commands" else None
            else:
                answer_properly(connection, command, tag, rest)
        LINE_FAULTS[fault](connection, tag or b"*", go_on)
        return True
    world.fired = 0
    world.on(command, hook, when=when, times=times)


def _check_refusal(run, step, fault):
    """A sign-in that failed says why, and blames the password only for a plain NO."""
    if run.signed_in:
        return
    blames = run.answer.startswith(b"-ERR [AUTH] ")
    assert blames or run.answer.startswith((b"-ERR [SYS/TEMP] ", b"-ERR [SYS/PERM] "))
    may_blame = fault == "NO" and step.split()[0] in ("AUTHENTICATE", "LOGIN")
    assert not blames or may_blame, run.answer


@pytest.mark.parametrize("fault", LINE_FAULTS)
@pytest.mark.parametrize("step", LINE_STEPS)
def test_a_fault_at_a_step_costs_nothing_but_this_session(make_world, step, fault):
    world = _world_for(make_world, fault)
    _install(world, step, fault)
    run = world.run(world.new_user(), top=step == "TOP FETCH")
    assert world.fired == 1, "the fault never came"
    _check_refusal(run, step, fault)
    world.judge(run)


@pytest.mark.parametrize("fault", [*CUTS, "BYE"])
@pytest.mark.parametrize("step", LINE_STEPS)
def test_a_server_that_always_ends_at_a_step_is_given_up(make_world, step, fault):
    world = _world_for(make_world, fault)
    _install(world, step, fault, times=None)
    run = world.run(world.new_user(), top=step == "TOP FETCH")
    assert 1 <= world.fired <= 12, "given up at some time"
    _check_refusal(run, step, fault)
    world.judge(run)


def _drip_octets(connection, rest_of_body):
    connection.drip(rest_of_body, seconds=0.05)


def _octet_fault(connection, fault, rest_of_body):
    if fault == "drip":
        _drip_octets(connection, rest_of_body + b")\r\n")
    elif fault == "stall":
        connection.stall()
    elif fault == "garbage behind":
        connection.send(rest_of_body + b"\r\n.\r\n+OK garbage\r\n")
        connection.cut("FIN")
    else:
        connection.cut({"FIN": "FIN", "no close_notify": "EOF", "RST": "RST"}[fault])


@pytest.mark.parametrize("kind", ["plain", "tls"])
@pytest.mark.parametrize("place", OCTET_STEPS)
@pytest.mark.parametrize("fault", [*CUTS, *HASTY, "garbage behind"])
def test_a_body_that_breaks_is_never_taken_for_whole(make_world, kind, place, fault):
    world = make_world(kind, hasty=fault in HASTY)
    at = OCTET_STEPS[place]

    def hook(connection, tag, rest):
        connection.send(body_response(connection, 12, after=b"")[:at - len(BODIES[12])]
                        if at < len(BODIES[12]) else
                        body_response(connection, 12, after=b""))
        world.check_neighbour()
        _octet_fault(connection, fault, BODIES[12][at:])
        return True
    world.on("UID FETCH", hook, when=is_body_of(12))
    run = world.run(world.new_user())
    assert world.fired == 1
    assert 12 not in run.whole and run.closed and not run.quit_sent
    world.judge(run)

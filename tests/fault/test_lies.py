"""A server that says what is not so: sizes, counts, UIDs, UIDNEXT, UIDVALIDITY, bodies."""

import fake_imap
import pytest
from world import (BODIES, VALIDITY, answer_properly, answer_with, body_response, finish,
                   is_body_of, is_index, learn, mark, retrieve, sequence_number,
                   unique_id)

UIDS = tuple(BODIES)


def refused(run, code="SYS/TEMP"):
    assert run.answer.startswith(f"-ERR [{code}] ".encode()), run.answer


def complete(run):
    assert run.signed_in and set(run.whole) == set(UIDS) and run.quit_ok


# Sizes -----------------------------------------------------------------------------

@pytest.mark.parametrize("factor", [0, 0.9, 1.1, 1000], ids=str)
def test_a_body_is_framed_by_its_literal_whatever_size_was_announced(make_world, factor):
    world = make_world()
    user = world.new_user()
    for message in world.mailbox(user).messages:
        message.size = int(len(message.body) * factor)
    run = world.run(user, top=True)
    complete(run)
    assert run.sizes[12] == int(len(BODIES[12]) * factor), "LIST is frozen at sign-in"
    assert set(run.tops) == set(UIDS)
    world.judge(run)


@pytest.mark.parametrize("announced", [1, 100, 1500, len(BODIES[12]) - 1])
def test_a_literal_that_is_too_short_ends_the_session_hard(make_world, announced):
    world = make_world()

    def hook(connection, tag, rest):
        whole = body_response(connection, 12)
        connection.send(whole.replace(b"{%d}" % len(BODIES[12]), b"{%d}" % announced, 1))
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=is_body_of(12))
    run = world.run(world.new_user())
    assert run.closed and 12 not in run.whole and world.fired
    world.judge(run)


@pytest.mark.parametrize("more", [1, 3, 7, 100, 2 ** 33], ids=str)
def test_a_literal_that_is_too_long_ends_the_session_hard(make_world, more):
    world = make_world(hasty=True)

    def hook(connection, tag, rest):
        whole = body_response(connection, 12)
        size = len(BODIES[12])
        connection.send(whole.replace(b"{%d}" % size, b"{%d}" % (size + more), 1))
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=is_body_of(12))
    run = world.run(world.new_user())
    assert run.closed and 12 not in run.whole and world.fired
    world.judge(run)


def _partial(connection, tag, rest):
    """BODY[]<0> where all was asked for."""
    connection.send(b"* %d FETCH (UID 12 BODY[]<0> {100}\r\n%s)\r\n" % (
        sequence_number(connection, 12), BODIES[12][:100]))
    connection.ok(tag)
    return True


def test_a_part_is_not_taken_for_the_whole(make_world):
    world = make_world()
    world.on("UID FETCH", _partial, when=is_body_of(12), times=None)
    run = world.run(world.new_user())
    assert world.fired and 12 not in run.whole
    world.judge(run)


def test_a_top_from_short_parts_is_not_cut_off(make_world):
    """A server that gives less than was asked for of a longer message."""
    world = make_world()

    def hook(connection, tag, rest):
        origin = int(rest.split(b"<")[1].split(b".")[0])
        part = BODIES[12][origin:origin + 40]
        connection.send(b"* %d FETCH (UID 12 BODY[]<%d> {%d}\r\n%s)\r\n" % (
            sequence_number(connection, 12), origin, len(part), part))
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=lambda connection, rest: rest.startswith(b"12 ") and
             b"<" in rest, times=None)
    run = world.run(world.new_user(), top=True)
    assert world.fired
    world.judge(run)


# Bodies ----------------------------------------------------------------------------

def _nil(connection, number):
    return b"* %d FETCH (UID 12 BODY[] NIL)\r\n" % number


def _zero(connection, number):
    return b"* %d FETCH (UID 12 BODY[] {0}\r\n)\r\n" % number


def _empty_string(connection, number):
    return b'* %d FETCH (UID 12 BODY[] "")\r\n' % number


def _nothing(connection, number):
    return b""


def _wrong_uid(connection, number):
    return body_response(connection, 12).replace(b"UID 12", b"UID 16")


def _wrong_uid_behind(connection, number):
    return b"* %d FETCH (BODY[] {%d}\r\n%s UID 16)\r\n" % (
        number, len(BODIES[12]), BODIES[12])


def _no_uid(connection, number):
    return b"* %d FETCH (BODY[] {%d}\r\n%s)\r\n" % (number, len(BODIES[12]), BODIES[12])


def _two_uids(connection, number):
    return body_response(connection, 12, after=b" UID 16)\r\n")


def _flags_only(connection, number):
    return b"* %d FETCH (UID 12 FLAGS (\\Seen))\r\n" % number


def _no_body_name(connection, number):
    return b"* %d FETCH (UID 12 BODY[HEADER] {5}\r\nhello)\r\n" % number


NO_BODY = {"NIL": _nil, "zero octets": _zero, "empty string": _empty_string,
           "OK alone": _nothing, "another UID": _wrong_uid,
           "another UID behind the body": _wrong_uid_behind, "no UID": _no_uid,
           "two UIDs": _two_uids, "flags only": _flags_only, "a section": _no_body_name}


@pytest.mark.parametrize("lie", NO_BODY)
def test_what_is_no_body_of_the_message_is_never_given_out_as_one(make_world, lie):
    world = make_world()

    def hook(connection, tag, rest):
        connection.send(NO_BODY[lie](connection, sequence_number(connection, 12)))
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=is_body_of(12), times=None)
    run = world.run(world.new_user())
    assert world.fired and 12 not in run.whole
    assert run.closed or 12 in run.refused
    world.judge(run)


def _uid_behind(connection, number):
    return b"* %d FETCH (BODY[] {%d}\r\n%s UID 12)\r\n" % (
        number, len(BODIES[12]), BODIES[12])


def _literal8(connection, number):
    return body_response(connection, 12).replace(b"BODY[] {", b"BODY[] ~{")


def _lower_case(connection, number):
    return b"* %d fetch (flags (\\Seen) uid 12 body[] {%d}\r\n%s x-odd (1 (2 \"3\") NIL))\r\n" % (
        number, len(BODIES[12]), BODIES[12])


def _flags_between(connection, number):
    return b"* %d FETCH (FLAGS ())\r\n* 1 FETCH (UID 11 FLAGS (\\Seen))\r\n" % number + \
        body_response(connection, 12) + b"* %d FETCH (UID 12 FLAGS (\\Seen))\r\n" % number


def _other_first(connection, number):
    return body_response(connection, 16) + body_response(connection, 12)


def _other_behind(connection, number):
    return body_response(connection, 12) + body_response(connection, 16)


def _twice(connection, number):
    return body_response(connection, 12) * 2


GOOD_BODY = {"UID behind the body": _uid_behind, "literal8": _literal8,
             "lower case and unknown items": _lower_case, "flags around": _flags_between,
             "another body first": _other_first, "another body behind": _other_behind,
             "the body twice": _twice}


@pytest.mark.parametrize("style", GOOD_BODY)
def test_odd_but_right_answers_give_the_right_message(make_world, style):
    world = make_world()

    def hook(connection, tag, rest):
        connection.send(GOOD_BODY[style](connection, sequence_number(connection, 12)))
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=is_body_of(12))
    run = world.run(world.new_user())
    assert world.fired
    complete(run)
    world.judge(run)


def test_a_message_expunged_by_others_is_refused_and_shifts_nothing(make_world):
    for gone in ("nothing", "NIL"):
        world = make_world(gone=gone)
        user = world.new_user()
        run, client = world.begin(user)
        with client:
            learn(run, client)
            world.mailbox(user).remove(12)
            run.expunged.add(12)
            for uid in UIDS:
                retrieve(run, client, uid)
            mark(run, client, 12)
            mark(run, client, 15)
            finish(run, client)
        assert set(run.whole) == {11, 15, 16} and set(run.refused) == {12}
        assert run.quit_ok, "gone is gone, whoever did it"
        world.judge(run)


# Counts and rows -------------------------------------------------------------------

def _rewrite(world, name, old, new, when=None, times=1):
    def hook(connection, tag, rest):
        return answer_with(connection, name, tag, rest,
                           lambda octets: octets.replace(old, new))
    world.on(name, hook, when=when, times=times)


@pytest.mark.parametrize("exists", [1, 3, 5, 1000, 4294967295])
def test_an_exists_that_does_not_match_gives_no_list(make_world, exists):
    world = make_world()
    _rewrite(world, "SELECT", b"4 EXISTS", b"%d EXISTS" % exists)
    run = world.run(world.new_user())
    refused(run, "SYS/PERM" if exists == 4294967295 else "SYS/TEMP")  # too large a folder
    world.judge(run)


def test_no_exists_at_all_gives_no_list(make_world):
    world = make_world()
    _rewrite(world, "SELECT", b"* 4 EXISTS\r\n", b"")
    run = world.run(world.new_user())
    refused(run)
    world.judge(run)


def _rows(world, rows, ok=True, extra=b""):
    def hook(connection, tag, rest):
        for number, row in enumerate(rows, 1):
            connection.send(b"* %d FETCH (%s)\r\n" % (number, row))
        connection.send(extra)
        connection.ok(tag)
        return True
    world.on("UID FETCH", hook, when=is_index)


def _row(uid):
    return b"UID %d RFC822.SIZE %d" % (uid, len(BODIES.get(uid, b"")))


ROWS = {uid: _row(uid) for uid in UIDS}
BAD_ROWS = {
    "none": [], "one short": [_row(11), _row(12), _row(15)],
    "a duplicate for a missing one": [_row(11), _row(12), _row(12), _row(16)],
    "UID 0": [_row(0), _row(12), _row(15), _row(16)],
    "UID of 33 bits": [b"UID 4294967307 RFC822.SIZE 9", *list(ROWS.values())[1:]],
    "no UID": [b"RFC822.SIZE 10", *list(ROWS.values())[1:]],
    "no size": [b"UID 11", *list(ROWS.values())[1:]],
    "size of 65 bits": [b"UID 11 RFC822.SIZE 18446744073709551621",
                        *list(ROWS.values())[1:]],
    "a negative size": [b"UID 11 RFC822.SIZE -5", *list(ROWS.values())[1:]],
}


@pytest.mark.parametrize("rows", BAD_ROWS)
def test_rows_that_are_not_what_exists_give_no_list(make_world, rows):
    world = make_world()
    _rows(world, BAD_ROWS[rows])
    run = world.run(world.new_user())
    assert world.fired
    refused(run)
    world.judge(run)


GOOD_ROWS = {
    "not in order": [ROWS[16], ROWS[11], ROWS[15], ROWS[12]],
    "a duplicate": [ROWS[11], ROWS[12], ROWS[12], ROWS[15], ROWS[16]],
    "all twice": [*ROWS.values(), *ROWS.values()],
    "one too many, which a search shows": [*ROWS.values(), _row(14)],
    "size before UID": [b"RFC822.SIZE %d UID %d" % (len(BODIES[u]), u) for u in UIDS],
}


@pytest.mark.parametrize("rows", GOOD_ROWS)
def test_rows_in_another_form_list_each_message_once_by_uid(make_world, rows):
    world = make_world()
    _rows(world, GOOD_ROWS[rows])
    run = world.run(world.new_user())
    complete(run)
    assert [uid for uid, _ in sorted(run.msgnos.items(), key=lambda x: x[1])] == list(UIDS)
    world.judge(run)


@pytest.mark.parametrize("capability", [fake_imap.FULL, fake_imap.OUTLOOK],
                         ids=["ESEARCH", "SEARCH"])
def test_messages_that_vanish_during_sign_in_are_settled_by_a_search(make_world,
                                                                     capability):
    world = make_world(capability=capability)
    user = world.new_user()

    def hook(connection, tag, rest):
        world.mailbox(user).remove(12)
        return answer_with(connection, "UID FETCH", tag, rest, lambda octets: octets)
    world.on("UID FETCH", hook, when=is_index)
    run, client = world.begin(user)
    run.expunged.add(12)
    with client:
        assert run.signed_in
        learn(run, client)
        assert set(run.msgnos) == {11, 15, 16}
        finish(run, client)
    world.judge(run)


@pytest.mark.parametrize("lie", ["* SEARCH 11 15 16\r\n", "* SEARCH\r\n", "",
                                 "* SEARCH 11 12 15 16 17\r\n"])
def test_a_search_that_contradicts_the_rows_gives_no_list(make_world, lie):
    world = make_world(capability=fake_imap.OUTLOOK)
    _rows(world, [ROWS[11], ROWS[12], ROWS[15]])

    def search(connection, tag, rest):
        connection.send(lie.encode())
        connection.ok(tag)
        return True
    world.on("UID SEARCH", search)
    run = world.run(world.new_user())
    assert world.fired == 2
    refused(run)
    world.judge(run)


def test_what_arrives_during_sign_in_waits_for_the_next_session(make_world):
    world = make_world()
    user = world.new_user()

    def hook(connection, tag, rest):
        world.mailbox(user).add(b"Subject: new\r\n\r\nnew\r\n")
        connection.send(b"* 5 EXISTS\r\n")
        return answer_properly(connection, "UID FETCH", tag, rest)
    world.on("UID FETCH", hook, when=is_index)
    run = world.run(user)
    complete(run)
    assert set(run.ids) == set(UIDS)
    world.judge(run)


# UIDNEXT, UIDVALIDITY --------------------------------------------------------------

@pytest.mark.parametrize("uidnext", [0, 1, 5, 12, 16, 2 ** 32 + 20])
def test_a_uidnext_too_low_or_out_of_range_gives_no_list(make_world, uidnext):
    world = make_world()
    _rewrite(world, "SELECT", b"UIDNEXT 17", b"UIDNEXT %d" % uidnext)
    run = world.run(world.new_user())
    refused(run)
    world.judge(run)


def test_a_uidnext_too_high_does_no_harm(make_world):
    world = make_world()
    _rewrite(world, "SELECT", b"UIDNEXT 17", b"UIDNEXT 4294967295")
    run = world.run(world.new_user())
    complete(run)
    world.judge(run)


def test_a_server_without_uidnext_works(make_world):
    """Courier."""
    world = make_world(capability="IMAP4rev1 CHILDREN NAMESPACE IDLE UIDPLUS")
    _rewrite(world, "SELECT", b"* OK [UIDNEXT 17] next UID\r\n", b"", times=None)
    run = world.run(world.new_user())
    complete(run)
    world.judge(run)


@pytest.mark.parametrize("line", [
    b"", b"* OK [UIDVALIDITY] UIDs valid\r\n", b"* OK [UIDVALIDITY 0] UIDs valid\r\n",
    b"* OK [UIDVALIDITY 1700000001] x\r\n* NO [UIDNOTSTICKY] x\r\n",
    b"* OK [UIDVALIDITY 4294967297] UIDs valid\r\n"])
def test_without_lasting_uids_there_is_no_list(make_world, line):
    world = make_world()
    _rewrite(world, "SELECT", b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % VALIDITY, line)
    run = world.run(world.new_user())
    assert run.answer.startswith((b"-ERR [SYS/PERM] ", b"-ERR [SYS/TEMP] "))
    world.judge(run)


CHANGED = b"* OK [UIDVALIDITY 99] changed\r\n"
STEPS = {"index FETCH": ("UID FETCH", is_index), "body FETCH": ("UID FETCH", is_body_of(12)),
         "before UID STORE": ("UID FETCH", is_body_of(16)), "UID STORE": ("UID STORE", None)}


@pytest.mark.parametrize("step", STEPS)
def test_a_uidvalidity_that_changes_in_the_session_stops_every_deletion(make_world, step):
    world = make_world()
    name, when = STEPS[step]

    def hook(connection, tag, rest):
        connection.send(CHANGED)
        return answer_properly(connection, name, tag, rest)
    world.on(name, hook, when=when)
    before = len(world.fake.seen("UID EXPUNGE"))
    run = world.run(world.new_user())
    assert world.fired and not run.quit_ok
    assert len(world.fake.seen("UID EXPUNGE")) == before
    world.judge(run)


@pytest.mark.parametrize("at", ["RETR", "QUIT"])
def test_after_a_reconnect_under_another_uidvalidity_nothing_is_touched(make_world, at):
    world = make_world()
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 11)
        mark(run, client, 11)
        cut(world, user)
        world.mailbox(user).recreate([BODIES[16]] * 20)  # UIDs 1 to 20, all different
        stores = len(world.fake.seen("UID STORE"))
        if at == "RETR":
            client.err("RETR 2", "SYS/TEMP")
            assert client.rest() == b""
        else:
            client.err("QUIT", "SYS/TEMP")
    assert len(world.fake.seen("UID STORE")) == stores
    assert not any(one.user == user for one in world.fake.deletions)
    assert world.mailbox(user).uids() == list(range(1, 21))
    again = world.sign_in_again(user)
    with again:
        assert list(again.uidl().values()) == [
            unique_id(uid, VALIDITY + 1) for uid in range(1, 21)]
    world.check_neighbour()


@pytest.mark.parametrize("old, new", [
    (b"UIDVALIDITY 1700000001", b"XYZZY 1"), (b"UIDNEXT 17", b"UIDNEXT 12"),
    (b"[UIDVALIDITY 1700000001]", b"[UIDNOTSTICKY]")])
def test_a_reconnect_that_finds_other_values_touches_nothing(make_world, old, new):
    world = make_world()
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        cut(world, user)
        _rewrite(world, "SELECT", old, new, times=None)
        finish(run, client)
    assert run.quit_answer.startswith(b"-ERR [SYS/") and world.fired
    world.judge(run)


def test_a_reconnect_that_finds_other_messages_under_the_same_uids_touches_nothing(
        make_world):
    world = make_world(capability=fake_imap.OUTLOOK)
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        cut(world, user)
        message = world.mailbox(user).find(11)
        message.body, message.size = b"Subject: other\r\n\r\n", 18
        run.bodies[11] = message.body
        finish(run, client)
    assert run.quit_answer.startswith(b"-ERR [SYS/TEMP]")
    world.judge(run)


def cut(world, user, how="FIN"):
    """Ends this user's connections from outside, and waits until they are gone."""
    mine = [one for one in world.fake.open_connections() if one.user == user]
    assert mine
    for connection in mine:
        connection.cut_from_outside(how)
        connection.thread.join(5)

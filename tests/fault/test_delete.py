"""
DELE and QUIT where the server makes it hard: no UIDPLUS, Gmail's ways, read-only
folders, proofs that are none, marks of other clients.
"""

import fake_imap
import pytest
from world import (BODIES, answer_properly, answer_with, do_silently, finish, learn, mark,
                   retrieve)

BARE = "IMAP4rev1 AUTH=PLAIN"


def without_uidplus(make_world, policy, **how):
    return make_world(capability=BARE, route={"without-uidplus": policy}, **how)


# Without UIDPLUS -------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["leave", "careful"])
def test_without_uidplus_and_foreign_marks_messages_are_expunged(make_world, policy):
    world = without_uidplus(make_world, policy)
    user = world.new_user()
    run = world.run(user)
    assert run.quit_ok and world.mailbox(user).uids() == [12, 16]
    assert not world.fake.seen("UID EXPUNGE") and not world.fake.seen("CLOSE")
    world.judge(run)


def test_leave_flags_only_where_others_have_marked_something(make_world):
    world = without_uidplus(make_world, "leave")
    user = world.new_user(flagged=(16,))
    run = world.run(user)
    assert 16 not in run.msgnos, "what is \\Deleted is hidden by leave"
    assert run.quit_answer.startswith(b"-ERR [SYS/TEMP] ")
    assert world.mailbox(user).uids() == [11, 12, 15, 16]
    world.judge(run)


def test_leave_hides_what_it_flagged_and_takes_it_up_later(make_world):
    world = without_uidplus(make_world, "leave")
    user = world.new_user(flagged=(16,))
    first = world.run(user)
    assert not first.quit_ok
    second = world.run(user, delete=(12,))
    assert set(second.msgnos) == {12}, "nothing is downloaded again"
    assert not second.quit_ok
    second.flagged |= first.marked
    world.judge(second)


@pytest.mark.parametrize("how", ["FIN", "RST", "NO", "BAD"])
def test_leave_takes_up_later_what_a_failed_expunge_left_flagged(make_world, how):
    """Its flags are nobody else's: they must not stand in the way of later sessions."""
    world = without_uidplus(make_world, "leave")
    user = world.new_user()

    def fail(connection, tag, rest):
        if how in ("NO", "BAD"):
            connection.send(b"%s %s not now\r\n" % (tag, how.encode()))
        else:
            connection.cut(how)
        return True
    world.on("EXPUNGE", fail)
    first = world.run(user)
    assert world.fired == 1 and not first.quit_ok
    assert world.mailbox(user).uids() == [11, 12, 15, 16]
    world.calm()
    second = world.run(user, delete=(12,))
    assert second.quit_ok and world.mailbox(user).uids() == [16]
    second.marked |= first.marked
    world.judge(second)


def test_careful_expunges_around_the_marks_of_others(make_world):
    world = without_uidplus(make_world, "careful")
    user = world.new_user(flagged=(12, 16))
    run = world.run(user)
    assert run.quit_ok and world.mailbox(user).uids() == [12, 16]
    world.judge(run)


def test_never_refuses_dele(make_world):
    world = without_uidplus(make_world, "never")
    user = world.new_user(flagged=(16,))
    stores = len(world.fake.seen("UID STORE"))
    run = world.run(user)
    assert not run.marked and run.quit_ok
    assert all(one.startswith(b"-ERR [SYS/PERM] ") for one in run.dele_answers.values())
    assert len(world.fake.seen("UID STORE")) == stores
    world.judge(run)


CAREFUL_STEPS = {
    "STORE of ours": ("UID STORE", 0), "SEARCH for others": ("UID SEARCH", 0),
    "unflagging others": ("UID STORE", 1), "EXPUNGE": ("EXPUNGE", 0),
    "flagging others again": ("UID STORE", 2), "proof": ("UID SEARCH", 1)}


@pytest.mark.parametrize("how", ["FIN", "RST", "NO", "BAD"])
@pytest.mark.parametrize("executed", [False, True], ids=["unexecuted", "executed"])
@pytest.mark.parametrize("step", CAREFUL_STEPS)
def test_careful_gives_others_their_marks_back_wherever_it_is_cut(make_world, step,
                                                                  executed, how):
    world = without_uidplus(make_world, "careful")
    name, which = CAREFUL_STEPS[step]
    user = world.new_user(flagged=(12, 16))
    seen = [0]

    def is_it(connection, rest):
        seen[0] += 1
        return seen[0] == which + 1

    def hook(connection, tag, rest):
        if executed:
            do_silently(connection, name, tag, rest)
        if how in ("FIN", "RST"):
            connection.cut(how)
        connection.send(tag + f" {how} no\r\n".encode())
        return True
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        mark(run, client, 15)
        world.on(name, hook, when=is_it)
        finish(run, client)
    assert world.fired == 1
    world.judge(run)


def test_a_plain_expunge_is_not_sent_when_the_search_for_others_fails(make_world):
    for answer in (b"NO later", b"BAD what", b"OK but no answer"):
        world = without_uidplus(make_world, "careful")
        user = world.new_user(flagged=(16,))
        expunges = len(world.fake.seen("EXPUNGE"))

        def refuse(connection, tag, rest, answer=answer):
            connection.send(tag + b" " + answer + b"\r\n")
            return True
        world.on("UID SEARCH", refuse, when=lambda connection, rest: b"DELETED" in rest)
        run = world.run(user)
        assert world.fired and not run.quit_ok
        assert len(world.fake.seen("EXPUNGE")) == expunges
        world.judge(run)


# Proof -----------------------------------------------------------------------------

@pytest.mark.parametrize("capability", [
    fake_imap.FULL, fake_imap.FULL.replace(" ESEARCH", "")], ids=["ESEARCH", "SEARCH"])
def test_the_commit_is_proved_by_a_search(make_world, capability):
    world = make_world(capability=capability)
    user = world.new_user()
    run = world.run(user)
    assert run.quit_ok and world.mailbox(user).uids() == [12, 16]
    names = [one.name for one in world.fake.commands if one.name.startswith("UID ")]
    assert names[-3:] == ["UID STORE", "UID EXPUNGE", "UID SEARCH"] or \
        names[names.index("UID EXPUNGE") + 1] == "UID SEARCH"
    world.judge(run)


def _ok_without_doing(connection, tag, rest):
    connection.ok(tag)
    return True


@pytest.mark.parametrize("idle", ["UID STORE", "UID EXPUNGE"])
@pytest.mark.parametrize("expunges", [b"", b"* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n",
                                      b"* VANISHED 11,15\r\n"])
def test_an_ok_that_removed_nothing_is_found_out(make_world, idle, expunges):
    world = make_world()

    def hook(connection, tag, rest):
        connection.send(expunges if idle == "UID EXPUNGE" else b"")
        return _ok_without_doing(connection, tag, rest)
    world.on(idle, hook)
    run = world.run(world.new_user())
    assert world.fired and run.quit_answer.startswith(b"-ERR [SYS/TEMP] ")
    world.judge(run)


NO_PROOFS = {"OK alone": b"", "NO": None, "of another tag":
             b"* ESEARCH (TAG \"other\") UID\r\n",
             "FETCH data": b"* 1 FETCH (UID 11)\r\n", "EXISTS": b"* 0 EXISTS\r\n"}


@pytest.mark.parametrize("capability", [
    fake_imap.FULL, fake_imap.FULL.replace(" ESEARCH", "")], ids=["ESEARCH", "SEARCH"])
@pytest.mark.parametrize("answer", NO_PROOFS)
def test_what_is_no_answer_to_the_search_is_no_proof(make_world, capability, answer):
    world = make_world(capability=capability)

    def hook(connection, tag, rest):
        octets = NO_PROOFS[answer]
        if octets is None:
            connection.no(tag)
        else:
            connection.send(octets)
            connection.ok(tag)
        return True
    world.on("UID SEARCH", hook, times=None)
    run = world.run(world.new_user())
    assert world.fired and run.quit_answer.startswith(b"-ERR [SYS/TEMP] ")
    world.judge(run)


def test_a_part_of_the_set_that_stays_is_reported(make_world):
    world = make_world()
    user = world.new_user()

    def hook(connection, tag, rest):
        connection.default("UID EXPUNGE", tag, b"11")
        return True
    world.on("UID EXPUNGE", hook)
    run = world.run(user)
    assert run.quit_answer.startswith(b"-ERR [SYS/TEMP] ")
    assert world.mailbox(user).uids() == [12, 15, 16]
    world.judge(run)


# Gmail -----------------------------------------------------------------------------

@pytest.mark.parametrize("then", ["OK", "NO", "BAD"])
def test_messages_gone_at_the_store_are_gone(make_world, then):
    """Gmail expunges as soon as \\Deleted is set; UID EXPUNGE then finds nothing."""
    world = make_world(capability=fake_imap.GMAIL)
    user = world.new_user()
    world.mailbox(user).auto_expunge = True
    if then != "OK":
        world.on("UID EXPUNGE", lambda connection, tag, rest: connection.send(
            tag + f" {then} nothing to expunge\r\n".encode()) or True)
    run = world.run(user)
    assert world.mailbox(user).uids() == [12, 16]
    assert run.quit_ok or then != "OK"
    world.judge(run)


# Folders in which nothing may be deleted -------------------------------------------

def _read_only(world, user):
    world.mailbox(user).read_only = True


def _no_deleted_flag(world, user):
    world.mailbox(user).permanent_flags = r"\Answered \Seen"


def _no_flags(world, user):
    world.mailbox(user).permanent_flags = ""


def _star_only(world, user):
    world.mailbox(user).permanent_flags = r"\*"


@pytest.mark.parametrize("how", [_read_only, _no_deleted_flag, _no_flags, _star_only])
def test_dele_is_refused_where_nothing_can_be_deleted(make_world, how):
    world = make_world()
    user = world.new_user()
    how(world, user)
    stores = len(world.fake.seen("UID STORE"))
    run = world.run(user)
    assert not run.marked and run.quit_ok and len(run.whole) == 4
    assert all(one.startswith(b"-ERR [SYS/PERM] ") for one in run.dele_answers.values())
    assert len(world.fake.seen("UID STORE")) == stores
    world.judge(run)


def test_a_folder_without_permanentflags_can_be_deleted_in(make_world):
    """RFC 9051 6.3.2: no PERMANENTFLAGS means all flags are kept."""
    world = make_world()
    user = world.new_user()
    line = f"* OK [PERMANENTFLAGS ({world.mailbox(user).permanent_flags})] flags\r\n"

    def hook(connection, tag, rest):
        return answer_with(connection, "SELECT", tag, rest,
                           lambda octets: octets.replace(line.encode(), b""))
    world.on("SELECT", hook)
    run = world.run(user)
    assert run.quit_ok and run.marked == {11, 15}
    world.judge(run)


# mark-read -------------------------------------------------------------------------

def test_mark_read_sets_seen_after_the_message_and_for_nothing_else(make_world):
    world = make_world(route={"mark-read": "true"})
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        client.top(run.msgnos[15], 1)
        retrieve(run, client, 12)
        finish(run, client)
    seen = [one.uid for one in world.mailbox(user).messages if "\\Seen" in one.flags]
    assert seen == [12]
    world.judge(run)


@pytest.mark.parametrize("fault", ["NO", "BAD", "FIN", "RST", "before )"])
def test_mark_read_that_fails_costs_no_message(make_world, fault):
    world = make_world(route={"mark-read": "true"})
    user = world.new_user()

    def store(connection, tag, rest):
        if fault in ("FIN", "RST"):
            connection.cut(fault)
        connection.send(tag + f" {fault} no\r\n".encode())
        return True

    def body(connection, tag, rest):
        return answer_with(connection, "UID FETCH", tag, rest, lambda octets: b""
                           if octets == b")\r\n" else octets)
    if fault == "before )":
        world.on("UID FETCH", body, when=lambda c, rest: rest.startswith(b"12 (UID BODY"))
    else:
        world.on("UID STORE", store, when=lambda connection, rest: b"Seen" in rest)
    run = world.run(user)
    assert world.fired == 1
    if fault == "before )":
        assert "\\Seen" not in world.mailbox(user).find(12).flags
        assert 12 not in run.whole
    else:
        assert len(run.whole) == 4 and run.quit_ok
    world.judge(run)


def test_without_mark_read_nothing_is_marked(make_world):
    world = make_world()
    user = world.new_user()
    run = world.run(user, top=True, delete=())
    assert run.quit_ok
    assert not any(one.flags for one in world.mailbox(user).messages)
    assert set(run.whole) == set(BODIES)
    world.judge(run)

"""
DELE, RSET and QUIT against a real Dovecot: what is removed, what never is, and what the
log and the client are told.
"""

import mails
import net
import pytest
from dovecot import CAPABILITY_365, CAPABILITY_BARE

HELLO = mails.simple()


def mark(client, *msgnos):
    """DELE for each, pipelined."""
    client.send(b"".join(b"DELE %d\r\n" % msgno for msgno in msgnos))
    for msgno in msgnos:
        assert client.line().startswith(b"+OK "), msgno


def deleted(dovecot, user):
    return {uid for uid, flags in dovecot.flags(user).items() if "\\Deleted" in flags}


def members(uid_set):
    """The UIDs of "1:3,7" as a list."""
    found = []
    for part in uid_set.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def audit(bridge, removed=True):
    """The UIDs that the log says were removed, or were not."""
    return [uid for line in bridge.log("commit")
            if (line["result"] == "removed") == removed for uid in members(line["uids"])]


# Large sets -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(dovecot):
    """crowd(user): a mailbox of 5000 messages, cheaply made."""
    def make(user):
        for number in range(5000):
            dovecot.write_maildir(user, b"Subject: %d\n\n" % number)
        assert dovecot.uids(user) == list(range(1, 5001))
    return make


def test_every_other_message_of_five_thousand(bridge, dovecot, user, crowd):
    """The set of odd UIDs is 12 KB long: more than one command line holds."""
    crowd(user)
    odd = list(range(1, 5001, 2))
    with bridge.signed_in(user) as client:
        mark(client, *odd)
        assert client.stat()[0] == 2500
        client.ok("RSET")
        assert client.stat()[0] == 5000
        mark(client, *odd)
        client.quit()
    assert dovecot.uids(user) == list(range(2, 5001, 2))
    assert sorted(audit(bridge)) == odd
    assert bridge.log("session ended")[-1]["deleted"] == "2500"


def test_all_of_five_thousand(bridge, dovecot, user, crowd):
    crowd(user)
    with bridge.signed_in(user) as client:
        mark(client, *range(1, 5001))
        assert client.stat() == (0, 0)
        client.quit()
    assert dovecot.uids(user) == []
    assert audit(bridge) == list(range(1, 5001))


def test_five_thousand_without_uidplus(start_dovecot, bridge_to, user):
    dovecot = start_dovecot(capability=CAPABILITY_BARE)
    for number in range(5000):
        dovecot.write_maildir(user, b"Subject: %d\n\n" % number)
    with bridge_to(dovecot.url).signed_in(user) as client:
        assert client.stat()[0] == 5000
        mark(client, *range(1, 5001, 2))
        client.quit()
    assert dovecot.uids(user) == list(range(2, 5001, 2))


# The ordinary commit --------------------------------------------------------------


def test_each_commit_is_one_audit_line(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO] * 6)
    with bridge.signed_in(user) as client:
        mark(client, 1, 2, 3, 6)
        client.quit()
    [line] = bridge.log("commit")
    assert line["account"] == user and line["folder"] == "INBOX"
    assert line["uidvalidity"] == str(dovecot.uidvalidity(user))
    assert (line["uids"], line["result"]) == ("1:3,6", "removed")


def test_the_log_tells_the_unique_ids_before_and_after(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO] * 3)
    for msgnos in ([], [2]):
        with bridge.signed_in(user) as client:
            mark(client, *msgnos)
            client.quit()
    first, second = bridge.wait_log("session ended", count=2)
    assert first["unique_ids_before"] == first["unique_ids_after"] == \
        second["unique_ids_before"] != second["unique_ids_after"]


def test_a_quit_without_marks_touches_nothing(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO] * 3)
    dovecot.set_flags(user, [2], "\\Deleted \\Flagged")
    with bridge.signed_in(user) as client:
        client.retr(1)
        client.quit()
    assert dovecot.flags(user) == {1: set(), 2: {"\\Deleted", "\\Flagged"}, 3: set()}
    assert bridge.log("commit") == []


@pytest.mark.parametrize("capability", [None, CAPABILITY_365])
def test_foreign_deleted_flags_are_left_alone(start_dovecot, bridge_to, user, capability):
    dovecot = start_dovecot(capability=capability)
    dovecot.deliver(user, [HELLO] * 5)
    dovecot.set_flags(user, [2, 4], "\\Deleted")
    with bridge_to(dovecot.url).signed_in(user) as client:
        assert client.stat()[0] == 5
        mark(client, 1, 4)
        dovecot.set_flags(user, [5], "\\Deleted")
        client.quit()
    assert dovecot.uids(user) == [2, 3, 5]
    assert deleted(dovecot, user) == {2, 5}


# Without UIDPLUS ------------------------------------------------------------------


@pytest.fixture
def bare(start_dovecot, user):
    """A Dovecot that says it can do nothing but IMAP4rev1, with five messages."""
    dovecot = start_dovecot(capability=CAPABILITY_BARE)
    dovecot.deliver(user, [HELLO] * 5)
    return dovecot


@pytest.mark.parametrize("policy", ["leave", "careful"])
def test_a_plain_expunge_serves_where_nothing_foreign_is_marked(bridge_to, bare, user,
                                                               policy):
    with bridge_to(bare.url, without_uidplus=policy).signed_in(user) as client:
        mark(client, 2, 3)
        client.quit()
    assert bare.uids(user) == [1, 4, 5] and deleted(bare, user) == set()


def test_leave_expunges_nothing_beside_foreign_marks(bridge_to, bare, user):
    bridge = bridge_to(bare.url)
    with bridge.signed_in(user) as client:
        mark(client, 1, 2)
        bare.set_flags(user, [5], "\\Deleted")
        answer = client.err("QUIT", code="SYS/TEMP")
        client.wait_closed()
    assert bare.uids(user) == [1, 2, 3, 4, 5]
    assert deleted(bare, user) == {1, 2, 5}
    assert "UIDPLUS" in bridge.reference(answer)[0]["cause"]
    assert audit(bridge, removed=False) == [1, 2]
    assert audit(bridge) == []


def test_what_leave_flagged_is_not_downloaded_again(bridge_to, bare, user):
    bridge = bridge_to(bare.url)
    with bridge.signed_in(user) as client:
        ids = client.uidl()
        mark(client, 1, 2)
        bare.set_flags(user, [5], "\\Deleted")
        client.err("QUIT")
    with bridge.signed_in(user) as client:
        assert client.uidl() == {1: ids[3], 2: ids[4]}
        assert client.stat()[0] == 2


def test_marks_of_our_own_from_earlier_are_not_foreign(bridge_to, bare, user):
    bridge = bridge_to(bare.url)
    with bridge.signed_in(user) as client:
        mark(client, 1, 2)
        bare.set_flags(user, [5], "\\Deleted")
        client.err("QUIT")
    bare.set_flags(user, [5], "\\Deleted", change="-FLAGS.SILENT")
    with bridge.signed_in(user) as client:
        mark(client, 1)
        client.quit()
    assert bare.uids(user) == [4, 5] and deleted(bare, user) == set()


def test_careful_keeps_foreign_messages_and_their_marks(bridge_to, bare, user):
    bare.set_flags(user, [4, 5], "\\Deleted")
    with bridge_to(bare.url, without_uidplus="careful").signed_in(user) as client:
        assert client.stat()[0] == 5
        mark(client, 1, 2, 4)
        client.quit()
    assert bare.uids(user) == [3, 5] and deleted(bare, user) == {5}


def test_never_refuses_to_delete(bridge_to, bare, user):
    bridge = bridge_to(bare.url, without_uidplus="never")
    with bridge.signed_in(user) as client:
        answer = client.err("DELE 1", code="SYS/PERM")
        assert "UIDPLUS" in bridge.reference(answer)[0]["cause"]
        assert client.stat()[0] == 5
        client.quit()
    assert bare.uids(user) == [1, 2, 3, 4, 5] and deleted(bare, user) == set()


# Read-only folders ----------------------------------------------------------------


@pytest.mark.parametrize("rights", ["lr", "lrs"])
@pytest.mark.parametrize("mark_read", [False, True])
def test_a_read_only_folder_is_only_read(start_dovecot, bridge_to, user, rights,
                                         mark_read):
    dovecot = start_dovecot(acl=True)
    dovecot.deliver(user, [HELLO] * 2)
    dovecot.make_read_only(user, rights=rights)
    bridge = bridge_to(dovecot.url, mark_read=mark_read)
    with bridge.signed_in(user) as client:
        assert client.retr(1) == HELLO
        for _ in range(30):  # policy, not the client's mistake: never closes
            answer = client.err("DELE 1", code="SYS/PERM")
        bridge.reference(answer)
        assert client.stat()[0] == 2
        client.quit()
    assert dovecot.uids(user) == [1, 2] and deleted(dovecot, user) == set()


# UIDVALIDITY ----------------------------------------------------------------------


def test_another_uidvalidity_before_quit_deletes_nothing(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO] * 3)
    with bridge.signed_in(user) as client:
        mark(client, 1, 2)
        dovecot.change_uidvalidity(user)
        bridge.reference(client.err("QUIT", code="SYS/TEMP"))
        client.wait_closed()
    assert dovecot.flags(user) == {1: set(), 2: set(), 3: set()}


def test_a_folder_made_anew_in_mid_session_loses_nothing(bridge_to, dovecot, user):
    """The same low UIDs are other messages now."""
    dovecot.deliver(user, [HELLO] * 3, folder="Work")
    bridge = bridge_to(dovecot.url, folder="Work")
    with bridge.signed_in(user) as client:
        mark(client, 1, 2)
        dovecot.recreate(user, "Work", [mails.simple("new")] * 3)
        client.err("QUIT", code="SYS/TEMP")
    assert dovecot.flags(user, "Work") == {1: set(), 2: set(), 3: set()}


def test_a_folder_made_anew_gives_no_other_message(bridge_to, dovecot, user):
    dovecot.deliver(user, [HELLO] * 3, folder="Work")
    bridge = bridge_to(dovecot.url, folder="Work")
    with bridge.signed_in(user) as client:
        dovecot.recreate(user, "Work", [mails.simple("new")] * 3)
        client.err("RETR 2")


# Sessions that end otherwise ------------------------------------------------------


def untouched(dovecot, user):
    return dovecot.flags(user) == {1: set(), 2: set(), 3: set()}


@pytest.fixture
def marked(bridge, dovecot, user):
    """A session of three messages, the first two marked."""
    dovecot.deliver(user, [HELLO] * 3)
    with bridge.signed_in(user) as client:
        mark(client, 1, 2)
        yield client


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_deletes_nothing(bridge, dovecot, user, marked, how):
    getattr(marked, how)()
    assert bridge.wait_log("session ended")[0]["reason"] == "client gone"
    assert untouched(dovecot, user)


def test_a_killed_bridge_deletes_nothing(bridge, dovecot, user, marked):
    bridge.kill()
    marked.rest()
    net.wait_until(lambda: not dovecot.imap_processes(user), 10, "Dovecot's sessions end")
    assert untouched(dovecot, user)


def test_a_stopped_bridge_deletes_nothing(bridge, dovecot, user, marked):
    bridge.stop()
    assert marked.rest() == b""
    assert bridge.log("session ended")[0]["reason"] == "shutdown"
    assert untouched(dovecot, user)


def test_a_client_that_vanishes_in_mid_message_deletes_nothing(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO, mails.of_size(20_000_000), HELLO])
    client = bridge.signed_in(user)
    mark(client, 1)
    client.ok("RETR 2")
    client.reset()
    assert bridge.wait_log("session ended")[0]["reason"] == "client gone"
    assert untouched(dovecot, user)

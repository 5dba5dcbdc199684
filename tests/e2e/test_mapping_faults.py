"""
Locks, lost connections and a Dovecot that is not there: the session goes on where it can,
and says [SYS/TEMP] where it cannot.
"""

import contextlib
import time

import fake_mailbox
import mails
import net
import pop3
import pytest

MESSAGES = [mails.simple(f"number {n}", b"text\r\n" * n) for n in range(1, 7)]


@pytest.fixture
def six(dovecot, user):
    dovecot.deliver(user, MESSAGES)
    return user


def sign_in_again(client, user):
    """As soon as the session before has ended."""
    net.wait_until(lambda: client.try_sign_in(user).startswith(b"+OK "), 5, "a free lock")


def view(client):
    return client.stat(), client.list(), client.uidl()


# One session per maildrop ---------------------------------------------------------


def test_a_second_session_is_refused_as_in_use(bridge, six):
    with bridge.signed_in(six) as first, bridge.client() as second:
        answer = second.try_sign_in(six)
        assert answer.startswith(b"-ERR [IN-USE] ")
        bridge.reference(answer)
        assert first.stat()[0] == 6
        first.quit()
        second.sign_in(six)
        assert second.stat()[0] == 6


def test_two_users_do_not_disturb_each_other(bridge, dovecot, six):
    dovecot.deliver(f"{six}b", MESSAGES[:1])
    with bridge.signed_in(six) as first, bridge.signed_in(f"{six}b") as second:
        assert (first.stat()[0], second.stat()[0]) == (6, 1)


def test_shared_maildrops_let_everybody_in(bridge_to, dovecot, six):
    bridge = bridge_to(dovecot.url, when_locked="share")
    with bridge.signed_in(six) as first, bridge.signed_in(six) as second:
        assert view(first) == view(second)
        first.ok("DELE 1")
        first.quit()
        second.err("RETR 1")
        assert second.retr(2) == MESSAGES[1]
        second.ok("DELE 1")
        second.ok("DELE 3")
        second.quit()
    assert dovecot.uids(six) == [2, 4, 5, 6]


def test_the_answer_to_quit_means_that_the_lock_is_free(bridge, six):
    for msgno in range(20):
        client = bridge.signed_in(six)
        if msgno < 5:
            client.ok("DELE 1")
        client.ok("QUIT")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_dropped_client_frees_the_lock_at_once(bridge, six, leave):
    client = bridge.signed_in(six)
    getattr(client, leave)()
    began = time.monotonic()
    with bridge.client() as second:
        sign_in_again(second, six)
    assert time.monotonic() - began < 2 * net.slow_factor()


def test_a_client_dropped_in_mid_message_frees_the_lock(bridge, dovecot, user):
    dovecot.deliver(user, mails.of_size(20_000_000))
    client = bridge.signed_in(user)
    client.ok("RETR 1")
    client.close()
    with bridge.client() as second:
        sign_in_again(second, user)


def test_a_refused_session_leaves_the_lock_where_it_is(bridge, six):
    with bridge.signed_in(six) as first:
        for _ in range(3):
            with bridge.client() as other:
                assert other.try_sign_in(six).startswith(b"-ERR [IN-USE] ")
        first.ok("DELE 1")
        first.quit()
    with bridge.signed_in(six) as client:
        assert client.stat()[0] == 5


# The upstream connection is lost between commands ---------------------------------


def drop(dovecot, user):
    assert dovecot.drop_connections(user) == 1


def test_a_session_goes_on_over_a_new_connection(bridge_to, dovecot, six):
    bridge = bridge_to(dovecot.url, read_ahead=False)  # else it would not need one
    with bridge.signed_in(six) as client:
        before = view(client)
        for msgno, message in enumerate(MESSAGES, 1):
            drop(dovecot, six)
            assert client.retr(msgno) == message
            assert view(client) == before
        drop(dovecot, six)
        assert client.top(6, 2) == pop3.as_top(MESSAGES[5], 2)
        client.quit()
    [end] = bridge.wait_log("session ended")
    assert (end["reason"], end["reconnects"]) == ("quit", "7")


def test_quit_commits_over_a_new_connection(bridge, dovecot, six):
    with bridge.signed_in(six) as client:
        client.ok("DELE 2")
        drop(dovecot, six)
        client.ok("DELE 5")
        dovecot.drop_connections(six)  # nothing needed a new one so far
        client.quit()
    assert dovecot.uids(six) == [1, 3, 4, 6]
    assert [line["uids"] for line in bridge.log("commit")] == ["2,5"]


def test_commands_that_need_no_upstream_go_on_without_it(bridge, dovecot, six):
    with bridge.signed_in(six) as client:
        before = view(client)
        drop(dovecot, six)
        assert view(client) == before
        client.ok("NOOP")
        client.quit()
    assert dovecot.imap_processes(six) == []


def test_what_happened_during_the_gap_is_noticed(bridge, dovecot, six):
    with bridge.signed_in(six) as client:
        before = view(client)
        drop(dovecot, six)
        dovecot.expunge(six, [2])
        dovecot.deliver(six, MESSAGES[0])
        client.err("RETR 2")
        assert client.retr(3) == MESSAGES[2]
        client.err("RETR 7")
        assert view(client) == before
        client.ok("DELE 1")
        drop(dovecot, six)
        client.quit()
    assert dovecot.uids(six) == [3, 4, 5, 6, 7]


def test_another_uidvalidity_after_the_gap_ends_the_session(bridge, dovecot, six):
    with bridge.signed_in(six) as client:
        client.ok("DELE 1")
        drop(dovecot, six)
        dovecot.change_uidvalidity(six)
        cause = bridge.reference(client.err("RETR 2", code="SYS/TEMP"))[0]["cause"]
        assert "UIDVALIDITY" in cause
        client.wait_closed()
    assert dovecot.uids(six) == [1, 2, 3, 4, 5, 6]


def test_another_uidvalidity_after_the_gap_deletes_nothing(bridge, dovecot, six):
    with bridge.signed_in(six) as client:
        client.ok("DELE 1")
        drop(dovecot, six)
        dovecot.change_uidvalidity(six)
        client.err("QUIT", code="SYS/TEMP")
    assert dovecot.flags(six) == {uid: set() for uid in range(1, 7)}


def test_a_folder_made_anew_in_the_gap_is_another_folder(bridge_to, dovecot, user):
    dovecot.deliver(user, MESSAGES, folder="Work")
    with bridge_to(dovecot.url, folder="Work").signed_in(user) as client:
        client.ok("DELE 1")
        drop(dovecot, user)
        dovecot.recreate(user, "Work", MESSAGES[::-1])
        client.err("QUIT", code="SYS/TEMP")
    assert dovecot.flags(user, "Work") == {uid: set() for uid in range(1, 7)}


def test_a_message_cut_short_is_never_taken_as_whole(bridge, dovecot, user):
    """No final line of one dot; the next session reads it whole."""
    message = mails.of_size(30_000_000)
    dovecot.deliver(user, [message] * 2)
    with bridge.signed_in(user) as client:
        client.ok("DELE 2")
        client.ok("RETR 1")
        drop(dovecot, user)
        with pytest.raises(pop3.Closed) as end:
            client.multiline()
    assert end.value.how == "RST"
    assert bridge.wait_log("session ended")[0]["reason"] == "message broke off"
    with bridge.signed_in(user) as client:
        assert client.stat()[0] == 2
        assert client.retr(1) == message


def test_other_sessions_do_not_notice(bridge, dovecot, six):
    dovecot.deliver(f"{six}b", MESSAGES)
    with bridge.signed_in(six) as first, bridge.signed_in(f"{six}b") as second:
        drop(dovecot, six)
        assert second.retr(1) == MESSAGES[0]
        assert first.retr(1) == MESSAGES[0]
        second.quit()
        first.quit()
    ends = bridge.wait_log("session ended", count=2)
    assert {end["user"]: end["reconnects"] for end in ends} == {six: "1", f"{six}b": "0"}


# A Dovecot that is not there ------------------------------------------------------


@pytest.fixture
def own(start_dovecot, user):
    """A Dovecot that may be stopped, with six messages."""
    server = start_dovecot()
    server.deliver(user, MESSAGES)
    return server


def cut_off(dovecot, user):
    """Its session processes would live on for a moment otherwise."""
    drop(dovecot, user)
    dovecot.stop()


def test_a_stopped_server_is_no_wrong_password(bridge_to, own, user):
    bridge = bridge_to(own.url)
    own.stop()
    with bridge.client() as client:
        answer = client.try_sign_in(user)
        assert answer.startswith(b"-ERR [SYS/TEMP] ")
        assert "refused" in bridge.reference(answer)[0]["cause"].lower()
        own.start_again()
        client.sign_in(user)
        assert client.stat()[0] == 6


def test_a_server_stopped_in_mid_session_is_temporary(bridge_to, own, user):
    bridge = bridge_to(own.url)
    with bridge.signed_in(user) as client:
        client.ok("DELE 1")
        cut_off(own, user)
        bridge.reference(client.err("RETR 2", code="SYS/TEMP"))
        client.wait_closed()
    own.start_again()
    assert own.flags(user) == {uid: set() for uid in range(1, 7)}


def test_quit_without_a_server_is_no_success(bridge_to, own, user):
    bridge = bridge_to(own.url)
    with bridge.signed_in(user) as client:
        client.ok("DELE 1")
        cut_off(own, user)
        bridge.reference(client.err("QUIT", code="SYS/TEMP"))
        client.wait_closed()
    [line] = bridge.log("commit")
    assert line["uids"] == "1" and line["result"] != "removed"
    own.start_again()
    assert own.flags(user) == {uid: set() for uid in range(1, 7)}
    with bridge.signed_in(user) as client:
        client.ok("DELE 1")
        client.quit()
    assert own.uids(user) == [2, 3, 4, 5, 6]


def test_quit_without_marks_needs_no_server(bridge_to, own, user):
    with bridge_to(own.url).signed_in(user) as client:
        client.retr(1)
        cut_off(own, user)
        client.quit()


def test_a_server_restarted_in_mid_session_goes_unnoticed(bridge_to, own, user):
    with bridge_to(own.url).signed_in(user) as client:
        client.ok("DELE 1")
        cut_off(own, user)
        own.start_again()
        assert client.retr(2) == MESSAGES[1]
        client.quit()
    assert own.uids(user) == [2, 3, 4, 5, 6]


def test_a_password_changed_in_mid_session_is_no_auth_failure(start_dovecot, bridge_to):
    """It was right at sign-in: nobody is to be asked for another one."""
    dovecot = start_dovecot(passwords={"erin": b"old"})
    dovecot.deliver("erin", MESSAGES)
    bridge = bridge_to(dovecot.url)
    with bridge.signed_in("erin", "old") as client:
        client.ok("DELE 1")
        dovecot.set_password("erin", b"another one")
        dovecot.drop_connections("erin")
        client.err("RETR 2", code="SYS/TEMP")
    assert dovecot.uids("erin") == [1, 2, 3, 4, 5, 6]


def test_no_session_leaves_anything_open(bridge, dovecot, six):
    before = bridge.descriptors()
    for leave in ("quit", "close", "reset"):
        client = bridge.signed_in(six)
        client.retr(1)
        getattr(client, leave)()
        with contextlib.closing(bridge.client()) as other:
            sign_in_again(other, six)
            other.quit()
    net.wait_until(lambda: bridge.descriptors() == before, 5, "all is closed again")
    net.wait_until(lambda: not dovecot.imap_processes(six), 5, "Dovecot's sessions ended")


# A folder that is written as it was read -------------------------------------------


def write_back_as_selected(fake, mailbox):
    """
    GNU imap4d on an mbox: EXPUNGE writes the folder as it was when it was selected, over
    what others removed and delivered since.
    """
    def remember(connection, tag, rest):
        connection.notes["selected"] = list(mailbox.messages)

    def write_back(connection, tag, rest):
        mailbox.messages = connection.notes["selected"]

    fake.capability = fake.after_sign_in = "IMAP4rev1 AUTH=PLAIN"
    fake.on("SELECT", remember)
    fake.on("EXPUNGE", write_back)


def test_without_uidplus_the_folder_is_read_anew_before_messages_are_deleted(
        fake, bridge_to, user):
    mailbox = fake.mailbox(user)
    write_back_as_selected(fake, mailbox)
    for message in MESSAGES[:4]:
        mailbox.add(message)
    with bridge_to(fake.url).signed_in(user) as client:
        mailbox.remove(4)
        mailbox.add(MESSAGES[4])
        client.ok("DELE 1")
        client.quit()
    assert mailbox.uids() == [2, 3, 5]


def test_without_uidplus_another_uidvalidity_at_quit_deletes_nothing(fake, bridge_to, user):
    mailbox = fake.mailbox(user)
    fake.capability = fake.after_sign_in = "IMAP4rev1 AUTH=PLAIN"
    mailbox.add(MESSAGES[0])
    with bridge_to(fake.url).signed_in(user) as client:
        client.ok("DELE 1")
        mailbox.recreate(MESSAGES[1:2])
        client.err("QUIT", "SYS/TEMP")
    assert mailbox.uids() == [1] and not mailbox.find(1).flags


# Servers that say nothing where a search finds nothing --------------------------------


def leave_out_empty_searches(fake):
    def silent(connection, tag, rest):
        if fake_mailbox.search(connection.view, rest):
            return None
        connection.ok(tag)
        return True

    fake.capability = fake.capability.replace("ESEARCH ", "")
    fake.after_sign_in = fake.after_sign_in.replace("ESEARCH ", "")
    fake.on("UID SEARCH", silent)


@pytest.mark.parametrize("uidplus", [True, False], ids=["UIDPLUS", "no UIDPLUS"])
@pytest.mark.parametrize("marked", [[2], [1, 2, 3]], ids=["some", "all"])
def test_an_empty_search_may_be_left_out(fake, bridge_to, user, marked, uidplus):
    leave_out_empty_searches(fake)
    if not uidplus:
        fake.after_sign_in = fake.capability = "IMAP4rev1 AUTH=PLAIN"
    for message in MESSAGES[:3]:
        fake.mailbox(user).add(message)
    with bridge_to(fake.url).signed_in(user) as client:
        assert client.stat()[0] == 3
        for msgno in marked:
            client.ok(f"DELE {msgno}")
        client.quit()
    assert fake.mailbox(user).uids() == [uid for uid in (1, 2, 3) if uid not in marked]


def test_silence_about_what_is_still_there_is_no_proof(fake, bridge_to, user):
    """UID EXPUNGE does nothing, and no search is ever answered."""
    fake.on("UID EXPUNGE", lambda connection, tag, rest: connection.ok(tag) or True)
    fake.on("UID SEARCH", lambda connection, tag, rest: connection.ok(tag) or True)
    fake.mailbox(user).add(MESSAGES[0])
    with bridge_to(fake.url).signed_in(user) as client:
        client.ok("DELE 1")
        client.err("QUIT", "SYS/TEMP")


def test_one_silent_search_is_no_proof(fake, bridge_to, user):
    fake.on("UID EXPUNGE", lambda connection, tag, rest: connection.ok(tag) or True)
    fake.on("UID SEARCH", lambda connection, tag, rest: connection.ok(tag) or True, times=1)
    fake.mailbox(user).add(MESSAGES[0])
    with bridge_to(fake.url).signed_in(user) as client:
        client.ok("DELE 1")
        client.err("QUIT", "SYS/TEMP")

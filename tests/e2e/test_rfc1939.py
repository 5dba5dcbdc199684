"""RFC 1939 clause by clause, in front of a real Dovecot: states, and what verbs do."""

import time

import mails
import net
import pop3
import pytest

MESSAGES = [mails.simple(f"number {n}", b"line\r\n" * n) for n in range(1, 6)]
TRANSACTION_ONLY = ["STAT", "LIST", "LIST 1", "UIDL", "UIDL 1", "RETR 1", "TOP 1 0",
                    "DELE 1", "NOOP", "RSET"]


@pytest.fixture
def five(dovecot, user):
    """A user with five messages."""
    dovecot.deliver(user, MESSAGES)
    return user


def sizes(msgnos):
    return {msgno: len(MESSAGES[msgno - 1]) for msgno in msgnos}


def end_reason(bridge):
    return bridge.wait_log("session ended")[-1]["reason"]


# AUTHORIZATION --------------------------------------------------------------------


def test_greeting_is_ok_and_offers_no_apop(bridge):
    with bridge.client() as client:
        assert client.greeting.startswith(b"+OK ")
        assert b"<" not in client.greeting and b">" not in client.greeting
        client.err("APOP alice c4c9334bac560ecc979e58001b3e22fb")


def test_transaction_commands_are_refused_before_sign_in(bridge, five):
    with bridge.client() as client:
        for line in TRANSACTION_ONLY:
            client.err(line)
        client.sign_in(five)
        assert client.stat()[0] == 5


def test_pass_needs_user_first(bridge, five):
    with bridge.client() as client:
        client.err("PASS secret")
        client.sign_in(five)


def test_user_and_pass_need_an_argument(bridge, five):
    with bridge.client() as client:
        client.err("USER")
        client.ok(f"USER {five}")
        client.err("PASS")
        client.sign_in(five)


def test_the_last_user_counts(bridge, five):
    with bridge.client() as client:
        client.ok("USER somebody-else")
        client.sign_in(five)
        assert client.stat()[0] == 5


def test_sign_in_may_be_tried_again_after_a_refusal(bridge, start_dovecot, bridge_to):
    dovecot = start_dovecot(passwords={"carol": b"right"})
    with bridge_to(dovecot.url).client() as client:
        assert client.try_sign_in("carol", "wrong").startswith(b"-ERR [AUTH] ")
        assert client.try_sign_in("carol", "right").startswith(b"+OK ")


def test_passwords_keep_their_spaces(start_dovecot, bridge_to):
    odd = {"inner": b"a  b", "leading": b"  ab", "trailing": b"ab  ", "only": b" "}
    dovecot = start_dovecot(passwords=odd)
    bridge = bridge_to(dovecot.url)
    for user, password in odd.items():
        with bridge.client() as client:
            client.sign_in(user, password)
        with bridge.client() as client:
            wrong = client.try_sign_in(user, password.strip() + b"x")
            assert wrong.startswith(b"-ERR [AUTH] ")


def test_quit_before_sign_in_says_goodbye(bridge):
    with bridge.client() as client:
        client.quit()
    assert end_reason(bridge) == "quit before sign-in"


def test_user_and_pass_are_refused_after_sign_in(bridge, five):
    with bridge.signed_in(five) as client:
        for line in ("USER bob", "PASS secret", "AUTH PLAIN", "APOP a b", "STLS"):
            client.err(line)
        assert client.stat()[0] == 5


@pytest.mark.parametrize("verb", ["stat", "Stat", "sTaT"])
def test_keywords_count_in_any_case(bridge, five, verb):
    with bridge.client() as client:
        client.ok(f"uSeR {five}")
        client.ok("pass secret")
        assert client.ok(verb).split()[1] == b"5"


def test_every_ok_has_a_space_behind_it(bridge, five):
    lines = [f"USER {five}", "PASS secret", "CAPA", "STAT", "LIST", "LIST 1", "UIDL",
             "UIDL 1", "RETR 1", "TOP 1 1", "DELE 1", "RSET", "NOOP", "QUIT"]
    with bridge.client() as client:
        client.send("".join(f"{line}\r\n" for line in lines).encode())
        received = client.rest().split(b"\r\n")
    answers = [line for line in received if line.startswith(b"+OK")]
    assert len(answers) == len(lines)
    assert all(answer.startswith(b"+OK ") for answer in answers)


# TRANSACTION ----------------------------------------------------------------------


def test_stat_counts_messages_and_octets(bridge, five):
    with bridge.signed_in(five) as client:
        assert client.stat() == (5, sum(map(len, MESSAGES)))
        assert client.ok("STAT") == b"+OK 5 %d" % sum(map(len, MESSAGES))


def test_list_gives_numbers_from_one_and_octets(bridge, five):
    with bridge.signed_in(five) as client:
        assert client.list() == sizes(range(1, 6))
        assert client.ok("LIST 2") == b"+OK 2 %d" % len(MESSAGES[1])


def test_uidl_gives_each_message_an_id_of_its_own(bridge, five):
    with bridge.signed_in(five) as client:
        ids = client.uidl()
        assert list(ids) == [1, 2, 3, 4, 5] and len(set(ids.values())) == 5
        assert client.ok("UIDL 4") == f"+OK 4 {ids[4]}".encode()
        client.quit()
    with bridge.signed_in(five) as client:
        assert client.uidl() == ids


def test_retr_gives_the_message(bridge, five):
    with bridge.signed_in(five) as client:
        for msgno, message in enumerate(MESSAGES, 1):
            assert client.retr(msgno) == message


def test_lines_that_begin_with_a_dot_are_stuffed(bridge, dovecot, user):
    dovecot.deliver(user, mails.ODD["dots"])
    with bridge.signed_in(user) as client:
        client.ok("RETR 1")
        assert client.multiline_raw() == \
            b"Subject: x\r\n\r\n..\r\n...\r\n....\r\n..a\r\na.\r\n..\r\n"
        client.ok("TOP 1 2")
        assert client.multiline_raw() == b"Subject: x\r\n\r\n..\r\n...\r\n"


def test_top_gives_header_blank_line_and_so_many_lines(bridge, five):
    with bridge.signed_in(five) as client:
        for count in (0, 1, 4, 5, 6, 1000):
            assert client.top(5, count) == pop3.as_top(MESSAGES[4], count)


def test_noop_does_nothing(bridge, five):
    with bridge.signed_in(five) as client:
        client.ok("DELE 1")
        client.ok("NOOP")
        assert client.stat()[0] == 4


def test_an_empty_maildrop_is_empty(bridge, user):
    with bridge.signed_in(user) as client:
        assert client.stat() == (0, 0)
        assert client.list() == {} and client.uidl() == {}
        for line in ("LIST 1", "UIDL 1", "RETR 1", "TOP 1 0", "DELE 1"):
            client.err(line)
        client.quit()


@pytest.mark.parametrize("line", ["LIST 6", "UIDL 6", "RETR 6", "TOP 6 1", "DELE 6",
                                  "RETR 4294967295"])
def test_a_number_above_the_last_is_refused(bridge, five, line):
    with bridge.signed_in(five) as client:
        client.err(line)
        assert client.stat()[0] == 5


@pytest.mark.parametrize("line", ["STAT 1", "NOOP x", "RSET 1", "QUIT now", "RETR",
                                  "RETR 1 2", "DELE", "DELE 1 2", "TOP", "TOP 1",
                                  "TOP 1 2 3", "LIST 1 2", "UIDL 1 2", "CAPA x", "",
                                  "XYZ"])
def test_malformed_commands_are_refused_and_do_nothing(bridge, five, line):
    with bridge.signed_in(five) as client:
        client.err(line)
        assert client.stat()[0] == 5
        client.quit()


# Deleted messages -----------------------------------------------------------------


def test_a_deleted_message_is_refused_by_every_command(bridge, five):
    with bridge.signed_in(five) as client:
        client.ok("DELE 2")
        for line in ("LIST 2", "UIDL 2", "RETR 2", "TOP 2 0", "DELE 2"):
            client.err(line)


def test_deleted_messages_are_left_out_and_numbers_stay(bridge, five):
    with bridge.signed_in(five) as client:
        ids = client.uidl()
        client.ok("DELE 1")
        client.ok("DELE 3")
        left = [2, 4, 5]
        assert client.stat() == (3, sum(len(MESSAGES[n - 1]) for n in left))
        assert client.list() == sizes(left)
        assert client.uidl() == {msgno: ids[msgno] for msgno in left}
        assert client.retr(4) == MESSAGES[3]


def test_rset_takes_all_marks_off(bridge, dovecot, five):
    with bridge.signed_in(five) as client:
        before = client.stat(), client.list(), client.uidl()
        for msgno in range(1, 6):
            client.ok(f"DELE {msgno}")
        assert client.stat() == (0, 0) and client.list() == {} and client.uidl() == {}
        client.ok("RSET")
        assert (client.stat(), client.list(), client.uidl()) == before
        client.quit()
    assert dovecot.uids(five) == [1, 2, 3, 4, 5]


def test_after_rset_only_later_marks_count(bridge, dovecot, five):
    with bridge.signed_in(five) as client:
        client.ok("DELE 1")
        client.ok("RSET")
        client.ok("DELE 5")
        client.quit()
    assert dovecot.uids(five) == [1, 2, 3, 4]


# UPDATE ---------------------------------------------------------------------------


def test_quit_removes_the_marked_messages_and_no_other(bridge, dovecot, five):
    with bridge.signed_in(five) as client:
        client.ok("DELE 2")
        client.ok("DELE 4")
        assert dovecot.uids(five) == [1, 2, 3, 4, 5]
        client.quit()
    assert dovecot.uids(five) == [1, 3, 5]
    assert dovecot.flags(five) == {1: set(), 3: set(), 5: set()}
    assert end_reason(bridge) == "quit"


def test_numbers_begin_anew_in_the_next_session(bridge, five):
    with bridge.signed_in(five) as client:
        ids = client.uidl()
        client.ok("DELE 1")
        client.quit()
    with bridge.signed_in(five) as client:
        assert client.uidl() == {n - 1: ids[n] for n in range(2, 6)}
        assert client.retr(1) == MESSAGES[1]


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_dropped_connection_deletes_nothing(bridge, dovecot, five, leave):
    client = bridge.signed_in(five)
    client.ok("DELE 1")
    getattr(client, leave)()
    assert end_reason(bridge) == "client gone"
    assert dovecot.flags(five) == {uid: set() for uid in range(1, 6)}


def test_a_quit_without_line_end_deletes_nothing(bridge, dovecot, five):
    client = bridge.signed_in(five)
    client.ok("DELE 1")
    client.send(b"QUIT")
    client.close()
    assert end_reason(bridge) == "client gone"
    assert dovecot.uids(five) == [1, 2, 3, 4, 5]


# Time limits ----------------------------------------------------------------------


def test_an_idle_session_ends_without_answer_and_without_update(bridge_to, dovecot, five):
    bridge = bridge_to(dovecot.url, limits={"idle": "1500ms"})
    with bridge.signed_in(five) as client:
        client.ok("DELE 1")
        client.wait_closed()
    assert end_reason(bridge) == "idle"
    assert dovecot.uids(five) == [1, 2, 3, 4, 5]


def test_every_command_begins_the_idle_time_anew(bridge_to, dovecot, five):
    bridge = bridge_to(dovecot.url, limits={"idle": "1500ms"})
    with bridge.signed_in(five) as client:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            client.ok("NOOP")
            assert not client.has_input(0.5)
        client.quit()


def test_half_a_command_is_no_sign_of_life(bridge_to, dovecot, five):
    bridge = bridge_to(dovecot.url, limits={"idle": "1s"})
    with bridge.signed_in(five) as client:
        began = time.monotonic()
        with pytest.raises((pop3.Closed, OSError)):
            while time.monotonic() < began + 6 * net.slow_factor():
                client.send(b"N")
                assert not client.has_input(0.3)
        assert end_reason(bridge) == "idle"


def test_signing_in_has_an_absolute_limit(bridge_to, dovecot, five):
    bridge = bridge_to(dovecot.url, limits={"sign-in": "1500ms"})
    with bridge.client() as client:
        began = time.monotonic()
        with pytest.raises((pop3.Closed, OSError)):
            while time.monotonic() < began + 6 * net.slow_factor():
                client.ok("CAPA")
                client.lines()
                client.has_input(0.2)
        assert time.monotonic() - began > 1
        assert end_reason(bridge) == "sign-in took too long"


def test_the_sign_in_limit_ends_with_the_sign_in(bridge_to, dovecot, five):
    bridge = bridge_to(dovecot.url, limits={"sign-in": "1s"})
    with bridge.signed_in(five) as client:
        assert not client.has_input(1.5)
        assert client.stat()[0] == 5

"""
Lines, numbers, errors and pipelining (RFC 1939 sections 3 and 5, RFC 2449 sections 4, 6.6
and 6.8), in front of a real Dovecot.
"""

import contextlib

import bridge as bridge_module
import mails
import net
import pop3
import pytest

HELLO = mails.simple()
NO_NUMBERS = ["0", "-1", "+1", "01", "0x1", "1e0", "1.0", "1,2", "1:2", "*", "a", "1a",
              "4294967296", "4294967297", "18446744073709551617", "9" * 100]


@pytest.fixture
def three(dovecot, user):
    dovecot.deliver(user, [HELLO] * 3)
    return user


# Lines ----------------------------------------------------------------------------


def test_a_bare_lf_ends_a_line(bridge, three):
    with bridge.client() as client:
        client.send(f"USER {three}\nPASS secret\nSTAT\n".encode())
        assert [client.line()[:4] for _ in range(3)] == [b"+OK "] * 3


@pytest.mark.parametrize("octets", [255, 510])
def test_long_commands_are_taken(bridge, three, octets):
    with bridge.signed_in(three) as client:
        client.ok("NOOP".ljust(octets))
    with bridge.client() as client:
        client.ok("USER " + "u" * (octets - 5))


@pytest.mark.parametrize("octets", [513, 600, 5000, 100_000])
def test_an_overlong_line_gets_one_error_and_is_skipped(bridge, three, octets):
    with bridge.signed_in(three) as client:
        client.send(b"DELE 1".ljust(octets) + b"\r\nSTAT\r\n")
        assert client.line().startswith(b"-ERR ")
        assert client.line().startswith(b"+OK 3 ")
        client.quit()


def test_an_overlong_line_before_sign_in_is_skipped_as_well(bridge, three):
    with bridge.client() as client:
        client.send(b"USER " + b"x" * 5000 + b"\r\nUSER " + b"x" * 50_000 + b"\r\n")
        assert client.line().startswith(b"-ERR ")
        assert client.line().startswith(b"-ERR ")
        client.sign_in(three)


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_third_overlong_line_closes(bridge, three, signed_in):
    with bridge.signed_in(three) if signed_in else bridge.client() as client:
        client.err("x" * 20_000)
        client.err("x" * 20_000)
        client.err("x" * 20_000)
        client.wait_closed()
    assert bridge.wait_log("session ended")[0]["reason"] == "too many errors"


def test_an_endless_line_costs_no_memory(bridge, three):
    with bridge.signed_in(three) as client:
        before = bridge.rss_kib()
        for _ in range(320):
            client.send(b"x" * 65536)
        client.send(b"\r\n")
        assert client.line().startswith(b"-ERR ")
        assert client.stat()[0] == 3
        if not bridge_module.is_sanitized():
            assert bridge.rss_kib() - before < 1024


@pytest.mark.parametrize("octet", [0, 1, 8, 9, 0x0B, 0x0D, 0x1B, 0x7F])
def test_control_octets_are_refused(bridge, dovecot, three, octet):
    with bridge.signed_in(three) as client:
        for line in (b"DELE 1%c", b"DELE%c1", b"%cDELE 1", b"DELE 1 %cx"):
            client.err(line.replace(b"%c", bytes([octet])))
        client.ok("NOOP")
        client.quit()
    assert dovecot.uids(three) == [1, 2, 3]


@pytest.mark.parametrize("line", [b"USER al\0ice", b"PASS sec\x01ret", b"CA\x7fPA"])
def test_control_octets_are_refused_before_sign_in(bridge, line):
    with bridge.client() as client:
        client.err(line)
        client.wait_closed()
    assert bridge.wait_log("session ended")[0]["reason"] == "too many errors"


def test_eight_bit_user_names_reach_the_server(bridge, dovecot, user):
    name = f"{user}ü"
    dovecot.deliver(name, HELLO)
    with bridge.signed_in(name) as client:
        assert client.stat()[0] == 1


# Numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["RETR {}", "DELE {}", "LIST {}", "UIDL {}", "TOP {} 1"])
def test_odd_numbers_are_refused_and_never_wrapped(bridge, dovecot, three, line):
    with bridge.signed_in(three) as client:
        for number in NO_NUMBERS:
            client.err(line.format(number))
        assert client.stat()[0] == 3
        client.quit()
    assert dovecot.uids(three) == [1, 2, 3]


def test_odd_line_counts_are_refused(bridge, three):
    with bridge.signed_in(three) as client:
        for number in [n for n in NO_NUMBERS if n != "0"]:
            client.err(f"TOP 1 {number}")
        assert client.top(1, 0) == pop3.as_top(HELLO, 0)


def test_the_largest_line_count_gives_all(bridge, three):
    with bridge.signed_in(three) as client:
        assert client.top(1, 4294967294) == HELLO
        assert client.top(1, 4294967295) == HELLO


# Errors ---------------------------------------------------------------------------


def test_the_twenty_fifth_error_closes(bridge, three):
    mistakes = ["FOO", "RETR 0", "USER x", "LIST -1", "NOOP x"] * 5
    with bridge.signed_in(three) as client:
        for line in mistakes[:-1]:
            client.err(line)
        client.ok("NOOP")
        client.err(mistakes[-1])
        client.wait_closed()
    assert bridge.wait_log("session ended")[0]["reason"] == "too many errors"


def test_errors_before_sign_in_count_for_the_whole_session(bridge, three):
    with bridge.client() as client:
        for _ in range(20):
            client.err("STAT")
        client.sign_in(three)
        for _ in range(5):
            client.err("FOO")
        client.wait_closed()


def test_failed_sign_ins_count_as_errors(bridge, user):
    with bridge.client() as client:
        for _ in range(25):
            assert client.try_sign_in(user, "wrong").startswith(b"-ERR [AUTH] ")
        client.wait_closed()


def test_twenty_five_errors_delete_nothing(bridge, dovecot, three):
    with bridge.signed_in(three) as client:
        client.ok("DELE 1")
        for _ in range(25):
            client.err("FOO")
        client.wait_closed()
    assert dovecot.uids(three) == [1, 2, 3]


def test_a_message_that_is_gone_counts_for_nothing(bridge, dovecot, three):
    with bridge.signed_in(three) as client:
        dovecot.expunge(three, [2])
        for _ in range(40):
            client.err("RETR 2")
        client.ok("DELE 1")
        for _ in range(40):
            client.err("DELE 1")
        assert client.retr(3) == HELLO


def test_a_browser_gets_no_answer(bridge):
    with bridge.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER alice\r\nPASS secret\r\n")
        assert client.rest() == b""


# Pipelining -----------------------------------------------------------------------


def whole_session(user):
    """Some 400 commands, sign-in and QUIT included, and what each must be answered."""
    steps = [(f"USER {user}", b"+OK "), ("PASS secret", b"+OK 3 ")]
    for _ in range(100):
        steps += [("STAT", b"+OK 3 "), ("NOOP", b"+OK "),
                  ("LIST 2", b"+OK 2 %d" % len(HELLO)), ("UIDL 3", b"+OK 3 ")]
    steps += [("DELE 2", b"+OK "), ("STAT", b"+OK 2 "), ("RETR 2", b"-ERR "),
              ("QUIT", b"+OK ")]
    return steps


def octets_of(steps):
    return "".join(f"{line}\r\n" for line, _ in steps).encode()


def check_answers(client, steps):
    for line, expected in steps:
        assert client.line().startswith(expected), line
    client.wait_closed()


def test_a_whole_session_in_one_segment(bridge, dovecot, three):
    steps = whole_session(three)
    with bridge.client() as client:
        client.send(octets_of(steps))
        check_answers(client, steps)
    assert dovecot.uids(three) == [1, 3]


def test_a_whole_session_byte_by_byte(bridge, dovecot, three):
    steps = whole_session(three)
    with bridge.client() as client:
        for octet in octets_of(steps):
            client.send(bytes([octet]))
        check_answers(client, steps)
    assert dovecot.uids(three) == [1, 3]


def test_half_a_command_waits_for_its_other_half(bridge, three):
    with bridge.signed_in(three) as client:
        client.send(b"NOOP\r\nST")
        assert client.line().startswith(b"+OK ")
        assert not client.has_input(0.2)
        client.send(b"AT\r\n")
        assert client.line().startswith(b"+OK 3 ")


def test_pipelined_bodies_come_in_order(bridge, dovecot, user):
    messages = mails.mixed(60)
    dovecot.deliver(user, messages)
    with bridge.signed_in(user) as client:
        client.send(b"".join(b"RETR %d\r\nTOP %d 2\r\n" % (n, n) for n in range(1, 61)))
        for message in messages:
            assert client.line().startswith(b"+OK ")
            assert client.multiline() == pop3.as_pop3(message)
            assert client.line().startswith(b"+OK ")
            assert client.multiline() == pop3.as_top(message, 2)


def test_commands_after_a_pipelined_quit_are_not_obeyed(bridge, dovecot, three):
    with bridge.signed_in(three) as client:
        client.send(b"QUIT\r\nDELE 1\r\nQUIT\r\n")
        assert client.line().startswith(b"+OK ")
    assert bridge.wait_log("session ended")[0]["deleted"] == "0"
    assert dovecot.uids(three) == [1, 2, 3]


def is_quiet(bridge):
    """No CPU time used while half a second passes."""
    before = bridge.cpu_seconds()
    with contextlib.suppress(AssertionError):
        net.wait_until(lambda: bridge.cpu_seconds() != before, 0.5, "work")
        return False
    return True


def test_answers_that_nobody_reads_stop_the_reading(bridge, dovecot, user):
    message = mails.of_size(1_000_000)
    dovecot.deliver(user, message)
    with bridge.signed_in(user) as client:
        client.retr(1)
        before = bridge.rss_kib()
        client.send(b"RETR 1\r\n" * 40)
        net.wait_until(lambda: is_quiet(bridge), 30, "the bridge waits for its client")
        if not bridge_module.is_sanitized():
            assert bridge.rss_kib() - before < 2048
        for _ in range(40):
            assert client.line().startswith(b"+OK ")
            assert client.multiline() == message

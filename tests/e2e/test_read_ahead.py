"""
What a real Dovecot makes of many commands at once: four bodies, then their tags; large
messages among small ones; messages that others take away meanwhile.
"""

import random

import mails
import pop3
import pytest

COUNT = 120
LARGE = {7: 100_000, 8: 100_000, 9: 100_000, 20: 300_000, 21: 300_000, 40: 3_000_000,
         41: 90_000, 90: 700_000, COUNT: 400_000}


def messages():
    """Small ones, and the large ones at these numbers."""
    return [mails.of_size(LARGE[number], seed=number) if number in LARGE else one
            for number, one in enumerate(mails.mixed(COUNT), 1)]


@pytest.fixture
def full(dovecot, user):
    """(user, {number: what RETR must give})"""
    dovecot.deliver(user, messages())
    bodies = dovecot.bodies(user)
    assert list(bodies) == list(range(1, COUNT + 1))
    return user, {number: pop3.as_pop3(body) for number, body in bodies.items()}


def orders():
    upwards = list(range(1, COUNT + 1))
    some = random.Random(4).sample(upwards, 25)
    return {"upwards": upwards, "downwards": upwards[::-1], "at random": some,
            "every third": upwards[::3],
            "runs": [*range(30, 45), *range(5, 25), *range(110, 80, -1)]}


@pytest.mark.parametrize("kind", ["plain", "tls"])
@pytest.mark.parametrize("order", orders())
def test_each_number_gives_its_own_message(bridge_to, dovecot, pki, full, order, kind):
    user, expected = full
    bridge = bridge_to(dovecot.url_tls, ca_file=pki.ca) if kind == "tls" else \
        bridge_to(dovecot.url)
    with bridge.signed_in(user) as client:
        client.uidl()
        for number in orders()[order]:
            assert client.retr(number) == expected[number], number
        client.quit()


def test_pipelined_commands_give_each_its_own(bridge, full):
    user, expected = full
    order = [*range(1, 50), 90, 89, 88, 3, 4, 5, COUNT]
    with bridge.signed_in(user) as client:
        client.list()
        client.send(b"".join(b"RETR %d\r\nTOP %d 3\r\n" % (n, n) for n in order))
        for number in order:
            assert client.line().startswith(b"+OK")
            assert client.multiline() == expected[number]
            assert client.line().startswith(b"+OK")
            assert client.multiline() == pop3.as_top(expected[number], 3)
        client.quit()


def test_messages_deleted_as_they_come_are_gone_and_no_others(bridge, dovecot, full):
    user, expected = full
    with bridge.signed_in(user) as client:
        client.uidl()
        for number in range(1, 61):
            assert client.retr(number) == expected[number]
            client.ok(f"DELE {number}")
        client.quit()
    assert dovecot.uids(user) == list(range(61, COUNT + 1))


def test_messages_others_remove_meanwhile_are_refused_and_shift_nothing(bridge, dovecot, full):
    user, expected = full
    gone = {4, 30, 31, 40, 64, COUNT}
    with bridge.signed_in(user) as client:
        client.uidl()
        for number in range(1, COUNT + 1):
            if number == 3:
                dovecot.expunge(user, sorted(gone))
            answer = client.command(f"RETR {number}")
            if answer.startswith(b"+OK"):  # what was on its way may still come
                assert client.multiline() == expected[number]
            else:
                assert number in gone, answer
        client.quit()
    assert dovecot.uids(user) == [n for n in range(1, COUNT + 1) if n not in gone]

"""How often the upstream is asked: over a real link each command costs a round trip."""

import mails

COUNT = 5


def said_after(fake, before):
    """The names of the commands the server got since there were `before` of them."""
    return [command.name for command in fake.commands[before:]]


def several(fake):
    for number in range(COUNT):
        fake.mailbox("alice").add(mails.simple(f"message {number}"))


def test_retr_and_top_are_one_command_each(fake, bridge_to):
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        for number in range(1, COUNT + 1):
            client.retr(number)
            client.top(number, 0)
        assert said_after(fake, before) == ["UID FETCH"] * (2 * COUNT)


def test_listings_ask_nothing(fake, bridge_to):
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        assert len(client.uidl()) == len(client.list()) == COUNT
        assert said_after(fake, before) == []


def test_deletions_are_asked_about_before_they_are_sent(fake, bridge_to):
    """What the server knows of the folder by then has to be known before the STORE."""
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        client.ok("DELE 1")
        client.ok("QUIT")
        assert said_after(fake, before)[:2] == ["NOOP", "UID STORE"]

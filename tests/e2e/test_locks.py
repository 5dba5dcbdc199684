"""Two sessions in one maildrop: when-locked, over two workers."""

import pytest

import mails

HELLO = mails.simple("hello")


@pytest.fixture
def bridge(dovecot, bridge_to):
    def start(policy, **limits):
        return bridge_to(dovecot.url, limits=limits, **{"when-locked": policy})
    return start


def in_use(bridge, user):
    with bridge.client() as client:
        client.ok(f"USER {user}")
        return client.command("PASS secret").startswith(b"-ERR [IN-USE] ")


def test_refuse_answers_in_use_until_the_other_ends(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO])
    bridge = bridge("refuse")
    with bridge.signed_in(user) as first:
        assert in_use(bridge, user)
        first.quit()
    bridge.signed_in(user).quit()


def test_wait_gets_in_when_the_other_ends(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO])
    bridge = bridge("wait")
    first = bridge.signed_in(user)
    with bridge.client() as second:
        second.ok(f"USER {user}")
        second.send(b"PASS secret\r\n")
        assert not second.has_input(1)
        first.quit()
        assert second.line().startswith(b"+OK")
        assert second.stat()[0] == 1


def test_wait_gives_up_with_in_use(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO])
    bridge = bridge("wait", **{"upstream-sign-in": "2s"})
    with bridge.signed_in(user):
        assert in_use(bridge, user)


def test_take_over_ends_the_older_session_without_update(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO] * 2)
    bridge = bridge("take-over")
    with bridge.signed_in(user) as older:
        older.ok("DELE 1")
        with bridge.signed_in(user) as newer:
            older.wait_closed()
            assert newer.stat()[0] == 2
            newer.quit()
    assert len(dovecot.uids(user)) == 2
    bridge.wait_log("session ended", reason="taken over")


def test_take_over_needs_the_right_password(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO])
    bridge = bridge("take-over")
    with bridge.signed_in(user) as owner:
        with bridge.client() as thief:
            thief.ok(f"USER {user}")
            thief.err("PASS wrong", "AUTH")
        assert owner.stat()[0] == 1
        owner.quit()


def test_share_lets_several_in(bridge, dovecot, user):
    dovecot.deliver(user, [HELLO])
    bridge = bridge("share")
    with bridge.signed_in(user) as one, bridge.signed_in(user) as other:
        assert one.stat() == other.stat()
        one.quit()
        other.quit()

"""Servers that drop the connection between commands: the session goes on and commits."""

import threading

import pop3
import pytest
from test_lies import cut
from world import BODIES, finish, learn, mark, retrieve


class Dropper:
    """Cuts this user's upstream connections again and again, as an idle server does."""

    def __init__(self, world, user, seconds):
        self.cuts = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(world, user, seconds))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _run(self, world, user, seconds):
        while not self._end.wait(seconds):
            for connection in world.fake.open_connections():
                if connection.user == user and not connection.notes.get("busy"):
                    connection.cut_from_outside("FIN")
                    self.cuts += 1


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_a_connection_dropped_all_the_time_does_not_end_a_long_session(make_world, kind):
    """Commands are short against the interval; one that is hit itself may be refused."""
    world = make_world(kind, route={"read-ahead": "false"})
    bodies = {uid: BODIES[12] + b"%d\r\n" % uid for uid in range(3, 40, 3)}
    user = world.new_user(bodies)
    run, client = world.begin(user)
    with client:
        learn(run, client)
        signed_in = len(world.fake.credentials)
        for uid in bodies:
            retrieve(run, client, uid)
            mark(run, client, uid)
            cut(world, user)
        finish(run, client)
    assert set(run.whole) == set(bodies) and run.quit_ok
    assert len(world.fake.credentials) >= signed_in + len(bodies)
    assert world.mailbox(user).uids() == []
    world.judge(run)


def test_a_server_that_drops_by_the_clock_is_put_up_with(make_world):
    world = make_world()
    user = world.new_user()
    with Dropper(world, user, 0.3) as dropper:
        run, client = world.begin(user)
        with client:
            try:
                learn(run, client)
                while dropper.cuts < 5 and not run.refused:
                    retrieve(run, client, 12)
                mark(run, client, 12)
            except pop3.Closed as closed:
                run.closed = closed
            else:
                dropper.__exit__()
                finish(run, client)
    if run.closed or run.refused:  # hit in the middle of a body: a hard end, no lie
        assert run.closed or not run.quit_ok or run.marked
    else:
        assert run.quit_ok and dropper.cuts >= 5
    world.judge(run)


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_a_connection_lost_before_quit_is_reopened_for_the_commit(make_world, kind, how):
    world = make_world(kind)
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        mark(run, client, 15)
        cut(world, user, how)
        finish(run, client)
    assert run.quit_ok and world.mailbox(user).uids() == [12, 16]
    world.judge(run)


def test_a_bye_between_commands_is_reopened_for_the_next(make_world):
    world = make_world()
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        connection = next(one for one in world.fake.open_connections() if one.user == user)
        connection.send(b"* BYE Session expired\r\n")
        cut(world, user)
        retrieve(run, client, 12)
        mark(run, client, 12)
        finish(run, client)
    assert 12 in run.whole and run.quit_ok
    world.judge(run)


def test_a_server_that_is_down_afterwards_ends_the_session_without_deleting(make_world):
    world = make_world()
    user = world.new_user()
    world.on("SELECT", lambda connection, tag, rest: connection.no(tag, "later") or True,
             when=lambda connection, rest: connection.server.seen("NOOP"), times=0)
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        world.on("GREETING", lambda connection, tag, rest: connection.cut("RST"),
                 times=None)
        cut(world, user)
        finish(run, client)
    assert run.quit_answer.startswith(b"-ERR [SYS/TEMP] ") and world.fired
    world.judge(run)


def test_a_password_changed_in_mid_session_is_no_auth_failure(make_world):
    """Clients ask their user for a password on [AUTH]: not in mid-session."""
    world = make_world()
    user = world.new_user()
    run, client = world.begin(user)
    with client:
        learn(run, client)
        mark(run, client, 11)
        world.on("AUTHENTICATE", lambda connection, tag, rest: connection.no(
            tag, "[AUTHENTICATIONFAILED] no") or True, times=None)
        cut(world, user)
        finish(run, client)
    assert run.quit_answer.startswith(b"-ERR [SYS/TEMP] ") and world.fired
    world.judge(run)

"""
Messages asked for ahead: in order, out of it, twice, unasked, missing, refused, late. The
client gets the right octets or none, and only the message that is hit is.
"""

import fake_imap
import net
import pop3
import pytest
from world import body_response, finish, learn, mark, retrieve, sequence_number

COUNT = 12


def bodies(count=COUNT, size=400):
    """Each of its own length and octets."""
    return {uid: b"Subject: %d\r\n\r\n" % uid + (b"%d\r\n" % uid) * (size // 4 + uid)
            for uid in range(21, 21 + count)}


def fetches(world, user):
    """UIDs whose body this user's connections were asked for, in order."""
    mine = {one.number for one in world.fake.connections if one.user == user}
    return [int(one.rest.split()[0]) for one in world.fake.seen("UID FETCH")
            if one.connection in mine and b"BODY.PEEK[]" in one.rest]


class Held:
    """
    Collects body FETCHes that come together and answers them all at once with
    answer(connection, [(tag, uid), ...]): what a server of several threads may do.
    """

    def __init__(self, world, answer, rounds=None):
        self.world, self.answer, self.rounds = world, answer, rounds
        self.largest = 0
        world.on("UID FETCH", self, when=lambda connection, rest: b"BODY.PEEK[]" in rest,
                 times=None)

    def __call__(self, connection, tag, rest):
        if self.rounds == 0:
            return None
        held = connection.notes.setdefault("held", [])
        held.append((tag, int(rest.split()[0])))
        if connection.is_readable(0.05):
            return True
        connection.notes["held"] = []
        self.largest = max(self.largest, len(held))
        if self.rounds:
            self.rounds -= 1
        self.answer(connection, held)
        return True


def send_all(connection, held, order=None, tags=None):
    for _, uid in order or held:
        connection.send(body_response(connection, uid))
    for tag, _ in tags or held:
        connection.ok(tag)


def read_all(world, user, between=None):
    run, client = world.begin(user)
    with client:
        try:
            learn(run, client)
            for uid in sorted(run.msgnos):
                retrieve(run, client, uid)
                if between:
                    between(client, uid)
            finish(run, client)
        except pop3.Closed as closed:
            run.closed = closed
    return run


def is_whole(run):
    return set(run.whole) == set(run.bodies) and run.quit_ok


def test_messages_in_sequence_are_asked_for_before_the_client_does(make_world):
    world = make_world()
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 21)
        world.fake.wait_command("UID FETCH", 1)
        net.wait_until(lambda: fetches(world, user) == list(run.bodies), 5, "all are asked for")
        finish(run, client)
    world.judge(run)


def test_without_read_ahead_nothing_is_asked_before_its_time(make_world):
    world = make_world(route={"read-ahead": "false"})
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 21)
        retrieve(run, client, 22)
        finish(run, client)
    assert fetches(world, user) == [21, 22]
    world.judge(run)


def test_downwards_too(make_world):
    world = make_world()
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        for uid in sorted(run.msgnos, reverse=True):
            retrieve(run, client, uid)
        finish(run, client)
    assert is_whole(run) and fetches(world, user) == sorted(run.bodies, reverse=True)
    world.judge(run)


ORDERS = {
    "in order, all tags behind": lambda held: (held, held),
    "tags backwards": lambda held: (held, held[::-1]),
    "bodies backwards": lambda held: (held[::-1], held),
    "both backwards": lambda held: (held[::-1], held[::-1]),
    "the first one last": lambda held: (held[1:] + held[:1], held),
    "every other one first": lambda held: (held[::2] + held[1::2], held),
}


@pytest.mark.parametrize("kind", ["plain", "tls"])
@pytest.mark.parametrize("order", ORDERS)
def test_answers_in_any_order_give_each_message_its_own_octets(make_world, kind, order):
    world = make_world(kind)
    held = Held(world, lambda connection, held: send_all(connection, held, *ORDERS[order](held)))
    run = read_all(world, world.new_user(bodies()))
    assert held.largest > 1, "several came together"
    assert is_whole(run)
    world.judge(run)


def test_a_body_and_its_tag_with_more_between_than_is_spooled(make_world):
    """Each message is 100 KiB: three of them are above the spool."""
    world = make_world()
    held = Held(world, send_all)
    user = world.new_user(bodies(8, 100 * 1024))
    run = read_all(world, user)
    assert held.largest > 3 and is_whole(run)
    world.judge(run)
    asked = len(fetches(world, user))
    assert world.fake.seen("NOOP"), "what is too much is kept apart"
    again = world.new_user(bodies(8, 100 * 1024))
    run = read_all(world, again)
    assert is_whole(run) and asked > 8
    world.judge(run)


def _twice(connection, held):
    for tag, uid in held:
        connection.send(body_response(connection, uid) * 2)
        connection.ok(tag)


def _unasked(connection, held):
    for tag, uid in held:
        other = next(one.uid for one in connection.view if one.uid not in dict(held).values())
        connection.send(body_response(connection, other, b"WRONG\r\n"))
        connection.send(body_response(connection, uid))
        connection.ok(tag)


def _nameless(connection, held):
    for tag, uid in held:
        body = connection.mailbox.find(uid).body
        connection.send(b"* %d FETCH (BODY[] {%d}\r\n%s UID %d)\r\n" % (
            sequence_number(connection, uid), len(body), body, uid))
        connection.ok(tag)


def _bad_if_several(connection, held):
    send_all(connection, held[:1])
    for tag, _ in held[1:]:
        connection.bad(tag, "one at a time, please")


def _no_for_others(connection, held):
    send_all(connection, held[:1])
    for tag, _ in held[1:]:
        connection.no(tag, "[THROTTLED] slow down")


def _ok_without(connection, held):
    send_all(connection, held[:1])
    for tag, _ in held[1:]:
        connection.ok(tag)


GOOD = {"twice": _twice, "the UID behind the body": _nameless,
        "BAD where several come": _bad_if_several, "THROTTLED": _no_for_others,
        "OK without a body": _ok_without}


@pytest.mark.parametrize("answer", GOOD)
def test_odd_answers_to_several_commands_are_asked_for_again_one_by_one(make_world, answer):
    world = make_world(odd=answer)
    held = Held(world, GOOD[answer])
    run = read_all(world, world.new_user(bodies()))
    assert held.largest > 1 and is_whole(run)
    world.judge(run)


def test_a_server_that_names_the_uid_behind_is_known_for_it(make_world):
    world = make_world(odd="known")
    held = Held(world, _nameless)
    run = read_all(world, world.new_user(bodies()))
    assert is_whole(run) and held.largest > 1
    held.largest = 0
    run = read_all(world, world.new_user(bodies()))
    assert is_whole(run) and held.largest == 1
    assert len(world.bridge.log("nothing is read ahead")) == 1
    world.judge(run)


def test_bodies_nobody_asked_for_are_nobodys(make_world):
    world = make_world()
    Held(world, _unasked, rounds=1)
    run, client = world.begin(world.new_user(bodies()))
    with client:
        retrieve_by_number(run, client, 21, 1)
        retrieve_by_number(run, client, 29, 9)
        finish_by_number(run, client)
    assert run.whole.keys() == {21, 29}
    world.judge(run)


def retrieve_by_number(run, client, uid, msgno):
    run.msgnos[uid] = msgno
    retrieve(run, client, uid)


def finish_by_number(run, client):
    finish(run, client)


def _swapped(connection, held):
    """The first command is answered with its octets under the name of the second."""
    (tag, uid), rest = held[0], held[1:]
    name = rest[0][1] if rest else uid + 1
    connection.send(body_response(connection, uid).replace(b"UID %d" % uid, b"UID %d" % name))
    connection.ok(tag)
    send_all(connection, rest)


def test_octets_under_another_ones_name_are_given_to_nobody(make_world):
    world = make_world()
    held = Held(world, _swapped, rounds=1)
    run = read_all(world, world.new_user(bodies()))
    assert held.largest > 1 and not run.closed
    assert set(run.whole) | set(run.refused) == set(run.bodies) and len(run.refused) <= 1
    world.judge(run)


def _out_of_step(connection, held):
    """Every command is answered with its octets under the next one's name."""
    for (tag, uid), (_, name) in zip(held, [*held[1:], (None, held[-1][1] + 1)]):
        connection.send(body_response(connection, uid).replace(b"UID %d" % uid, b"UID %d" % name))
        connection.ok(tag)


def _out_of_step_tags_behind(connection, held):
    for (_, uid), (_, name) in zip(held, held[1:]):
        connection.send(body_response(connection, uid).replace(b"UID %d" % uid, b"UID %d" % name))
    for tag, _ in held:
        connection.ok(tag)


@pytest.mark.parametrize("answer", [_out_of_step, _out_of_step_tags_behind])
def test_a_server_that_is_one_message_out_of_step_is_not_believed(make_world, answer):
    world = make_world()
    held = Held(world, answer, rounds=1)
    run = read_all(world, world.new_user(bodies()))
    assert held.largest > 1 and not run.closed
    assert set(run.whole) | set(run.refused) == set(run.bodies) and len(run.refused) <= 1
    world.judge(run)


def test_bodies_that_come_newest_first_are_fetched_once(make_world):
    """Dovecot's order where a slow reader has made its output wait."""
    world = make_world()
    held = Held(world, lambda connection, held: send_all(connection, held,
                                                         held[:1] + held[:0:-1]))
    user = world.new_user(bodies())
    run = read_all(world, user)
    assert held.largest > 1 and is_whole(run)
    assert sorted(fetches(world, user)) == sorted(run.bodies)
    world.judge(run)


@pytest.mark.parametrize("gone", ["nothing", "NIL"])
def test_messages_that_vanish_meanwhile_are_refused_alone(make_world, gone):
    world = make_world(gone=gone)
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        world.mailbox(user).remove(24, 25, 32)
        run.expunged |= {24, 25, 32}
        for uid in sorted(run.msgnos):
            retrieve(run, client, uid)
        finish(run, client)
    assert set(run.refused) == run.expunged and set(run.whole) == set(run.bodies) - run.expunged
    world.judge(run)


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_a_connection_lost_with_several_on_their_way_costs_one_message_at_most(make_world, kind,
                                                                               how):
    world = make_world(kind)

    def answer(connection, held):
        send_all(connection, held[:2])
        if len(held) > 3:
            connection.send(body_response(connection, held[2][1])[:200])
            connection.cut(how)
        send_all(connection, held[2:])
    held = Held(world, answer, rounds=1)
    run = read_all(world, world.new_user(bodies()))
    assert held.largest > 3
    assert run.closed or is_whole(run)
    world.judge(run)


# What else a client may do meanwhile --------------------------------------------------

def test_other_commands_between_cost_nothing(make_world):
    world = make_world()
    user = world.new_user(bodies())

    def between(client, uid):
        client.ok("NOOP")
        client.ok("STAT")
        client.ok(f"DELE {uid - 20}")
        if uid == 24:
            client.ok("RSET")
    run = read_all(world, user, between)
    run.marked = set(range(25, 33))
    assert is_whole(run) and fetches(world, user) == list(run.bodies)
    assert world.mailbox(user).uids() == [21, 22, 23, 24]
    world.judge(run)


def test_jumps_of_all_kinds_give_the_right_messages(make_world):
    world = make_world()
    run, client = world.begin(world.new_user(bodies()))
    with client:
        learn(run, client)
        for uid in (21, 22, 26, 27, 24, 23, 22, 32, 21, 21, 29, 30, 31, 22, 23, 28, 25):
            retrieve(run, client, uid)
            assert run.whole[uid] == pop3.as_pop3(run.bodies[uid])
        finish(run, client)
    assert is_whole(run)
    world.judge(run)


def test_top_in_sequence_is_asked_ahead_too(make_world):
    world = make_world()
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        for uid, msgno in sorted(run.msgnos.items()):
            assert client.top(msgno, 2) == pop3.as_top(run.bodies[uid], 2)
            if uid == 22:
                net.wait_until(lambda: len(fetches(world, user)) == COUNT, 5, "all are asked")
        finish(run, client)
    assert fetches(world, user) == list(run.bodies)
    world.judge(run)


def test_pipelined_retr_of_any_order_gives_each_its_own(make_world):
    world = make_world()
    run, client = world.begin(world.new_user(bodies()))
    order = [21, 22, 23, 24, 30, 29, 28, 21, 25, 26, 27, 31, 32]
    with client:
        learn(run, client)
        client.send(b"".join(b"RETR %d\r\n" % run.msgnos[uid] for uid in order))
        for uid in order:
            assert client.line().startswith(b"+OK")
            run.whole[uid] = client.multiline()
            assert run.whole[uid] == pop3.as_pop3(run.bodies[uid])
        finish(run, client)
    assert is_whole(run)
    world.judge(run)


def test_quit_with_much_on_its_way_commits_over_another_connection(make_world):
    world = make_world()
    user = world.new_user(bodies(12, 60_000))
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 21)
        mark(run, client, 21)
        finish(run, client)
    assert run.quit_ok and world.mailbox(user).uids() == list(range(22, 33))
    assert len([one for one in world.fake.credentials if one.user == user.encode()]) == 2
    world.judge(run)


def test_quit_with_little_on_its_way_commits_over_the_same_one(make_world):
    world = make_world()
    user = world.new_user(bodies())
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 21)
        mark(run, client, 21)
        finish(run, client)
    assert run.quit_ok
    assert len([one for one in world.fake.credentials if one.user == user.encode()]) == 1
    world.judge(run)


def test_a_client_that_idles_gives_the_connection_up_and_goes_on_later(make_world):
    world = make_world(bridge_limits={"command": f"{int(1500 * net.slow_factor())}ms"})
    user = world.new_user(bodies(12, 60_000))
    run, client = world.begin(user)
    with client:
        learn(run, client)
        retrieve(run, client, 21)
        net.wait_until(lambda: not any(one.user == user for one in world.fake.open_connections()),
                       20 * net.slow_factor(), "the connection is given up")
        for uid in sorted(run.msgnos):
            retrieve(run, client, uid)
        finish(run, client)
    assert is_whole(run)
    world.judge(run)


@pytest.mark.parametrize("capability", [fake_imap.FULL, fake_imap.BARE], ids=["full", "bare"])
def test_marking_as_read_is_on_its_way_with_the_rest(make_world, capability):
    world = make_world(capability=capability, route={"mark-read": "true"})
    user = world.new_user(bodies())
    run = read_all(world, user)
    assert is_whole(run) and fetches(world, user) == list(run.bodies)
    assert all("\\Seen" in one.flags for one in world.mailbox(user).messages)
    world.judge(run)

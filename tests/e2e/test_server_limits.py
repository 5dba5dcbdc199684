"""
What a provider allows: connections, sign-ins a second, octets a day by the route's settings;
and what a server says itself when it is asked for too much.
"""

import time

import bridge as bridge_module
import mails
import net
import pop3
import pytest
import roles

BACKOFF = "[UNAVAILABLE] Request is throttled. Suggested Backoff Time: {} milliseconds"


@pytest.fixture(autouse=True)
def mail(fake):
    fake.messages[:] = [mails.simple(f"message {number}") for number in range(20)]


@pytest.fixture
def bridge_with(start_bridge, fake):
    """bridge_with(limits=..., **route settings)"""
    def start(limits=None, **route):
        settings = {key.replace("_", "-"): value for key, value in route.items()}
        return start_bridge({"workers": 2, "limits": {"parking": "off", **(limits or {})},
                             "routes": [{"match": "*", "server": fake.url, **settings}]})
    return start


def answer(bridge, user="alice", source=None):
    with bridge.client(source=source) as client:
        return client.try_sign_in(user)


def poll(bridge, user="alice"):
    with bridge.signed_in(user) as client:
        client.ok("QUIT")


def refuse(text):
    def hook(connection, tag, _rest):
        connection.no(tag, text)
        return True
    return hook


def throttled(connection, _tag, _rest):
    """The answer is as ever, but for its code."""
    def ok(tag, _text=""):
        del connection.ok
        connection.send(tag + b" OK [THROTTLED] done\r\n")
    connection.ok = ok


def bodies_asked(fake):
    return [command for command in fake.seen("UID FETCH") if b"BODY" in command.rest]


# What the server says -----------------------------------------------------------------------


def test_a_suggested_backoff_is_kept_by_every_worker(bridge_with, fake):
    bridge = bridge_with()
    fake.on("AUTHENTICATE", refuse(BACKOFF.format(4000)), times=1)
    assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    line = bridge.wait_log("server asks for less")[0]
    assert line["no_sign_in_seconds"] in ("3", "4")
    for source in roles.SOURCES:
        said = answer(bridge, source=source)
        assert said.startswith(b"-ERR [SYS/TEMP]")
        assert b"3600" not in said and b"Backoff" not in said
    assert len(fake.connections) == 1
    assert answer(bridge, "bob").startswith(b"+OK")
    net.wait_until(lambda: answer(bridge).startswith(b"+OK"), 20, "the time is over")


@pytest.mark.parametrize("text", [
    "[THROTTLED] slowly", "[LIMIT] enough", "[OVERQUOTA] Account exceeded bandwidth limits",
    "[ALERT] Too many simultaneous connections. (Failure)"])
@pytest.mark.parametrize("command", ["AUTHENTICATE", "SELECT"])
def test_a_server_that_is_asked_too_much_is_left_alone(bridge_with, fake, text, command):
    bridge = bridge_with()
    fake.on(command, refuse(text), times=1)
    for _ in range(3):
        assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    assert len(fake.connections) == 1


def test_so_is_one_that_says_so_instead_of_a_greeting(bridge_with, fake):
    def bye(connection, _tag, _rest):
        connection.send(b"* BYE Too many simultaneous connections\r\n")
        connection.cut()
    fake.on("GREETING", bye, times=1)
    bridge = bridge_with()
    for _ in range(2):
        assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    assert len(fake.connections) == 1


def test_a_wrong_password_or_a_busy_server_is_no_such_thing(bridge_with, fake):
    bridge = bridge_with()
    fake.on("AUTHENTICATE", refuse("[AUTHENTICATIONFAILED] no"), times=1)
    assert answer(bridge).startswith(b"-ERR [AUTH]")
    fake.on("AUTHENTICATE", refuse("[UNAVAILABLE] later"), times=1)
    assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    assert answer(bridge).startswith(b"+OK")
    assert not bridge.log("server asks for less")


@pytest.mark.parametrize("slowed", [False, True])
def test_who_is_throttled_reads_nothing_ahead(bridge_with, fake, slowed):
    if slowed:
        fake.on("UID FETCH", throttled, times=1)
    with bridge_with().signed_in("alice") as client:
        client.uidl()
        for number in range(1, 6):
            assert client.retr(number) == pop3.as_pop3(fake.messages[number - 1])
        asked = len(bodies_asked(fake))
        assert (asked == 5) if slowed else (asked > 5)
        client.ok("QUIT")


def test_only_the_second_time_in_a_session_stops_sign_ins(bridge_with, fake):
    bridge = bridge_with()
    with bridge.signed_in("alice") as client:
        for number in (1, 2):
            fake.on("UID FETCH", refuse("[THROTTLED] slowly"), times=1)
            assert client.command(f"RETR {number}").startswith(b"-ERR [SYS/TEMP]")
            if number == 1:
                assert answer(bridge, "alice").startswith(b"-ERR [IN-USE]")
        assert client.retr(3) == pop3.as_pop3(fake.messages[2])
        client.ok("QUIT")
    assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")


def test_a_list_of_a_moment_ago_needs_no_server(bridge_with, fake):
    bridge = bridge_with(min_poll="1h")
    poll(bridge)
    with bridge.signed_in("alice") as client:
        fake.on("SELECT", refuse(BACKOFF.format(60000)), times=1)
        assert client.command("RETR 1").startswith(b"-ERR [SYS/TEMP]")
    assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    assert len(fake.connections) == 2


# What the settings say ----------------------------------------------------------------------


def test_an_account_has_no_more_connections_than_it_may(bridge_with, fake):
    bridge = bridge_with(when_locked="share", server_connections_per_account=2)
    with bridge.signed_in("alice"), bridge.signed_in("alice"):
        before = len(fake.connections)
        assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
        assert answer(bridge, "bob").startswith(b"+OK")
        assert len(fake.connections) == before + 1
    net.wait_until(lambda: len(fake.open_connections()) < 2, 10, "one has ended")
    assert answer(bridge).startswith(b"+OK")


def test_a_parked_connection_makes_way(bridge_with, fake):
    bridge = bridge_with({"parking": "5m"}, server_connections=1)
    for user in ("alice", "bob", "alice"):
        poll(bridge, user)
    assert len(fake.open_connections()) == 1
    assert [one.user for one in fake.credentials] == [b"alice", b"bob", b"alice"]


def test_who_has_too_many_costs_others_nothing_that_is_parked(bridge_with, fake):
    bridge = bridge_with({"parking": "5m"}, server_connections_per_account=1,
                         when_locked="share")
    poll(bridge, "bob")
    with bridge.signed_in("alice"):
        assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    poll(bridge, "bob")
    assert [one.user for one in fake.credentials] == [b"bob", b"alice"]


def test_sign_ins_wait_for_their_turn(bridge_with, fake):
    bridge = bridge_with(server_sign_in_rate=1)
    since = time.monotonic()
    for number in range(9):
        poll(bridge, f"user{number}")
    assert len(fake.credentials) == 9
    assert time.monotonic() - since > 2  # four at once, four seconds later the next


def test_a_day_has_so_many_octets_for_an_account(bridge_with, fake):
    fake.mailbox("alice").add(mails.of_size(1_200_000))
    bridge = bridge_with(server_octets_per_day="1MiB")
    with bridge.signed_in("alice") as client:
        assert client.retr(1) == pop3.as_pop3(fake.messages[0])
        client.retr(21)
        assert client.command("RETR 2").startswith(b"-ERR [SYS/TEMP]")
        client.ok("NOOP")
        client.ok("DELE 1")
        client.ok("QUIT")
    assert [one.uid for one in fake.deletions] == [1]
    before = len(fake.connections)
    assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
    assert len(fake.connections) == before
    assert answer(bridge, "bob").startswith(b"+OK")


def test_all_of_it_is_shown(fake):
    config = {"workers": 1, "web": {"address": f"127.0.0.1:{net.free_port()}"},
              "routes": [{"match": "*", "server": fake.url}]}
    with bridge_module.Bridge(config) as bridge:
        fake.on("AUTHENTICATE", refuse(BACKOFF.format(60000)), times=1)
        for _ in range(3):
            assert answer(bridge).startswith(b"-ERR [SYS/TEMP]")
        said = bridge_module.run("status", "-c", bridge.config_path).stdout.decode()
        assert "asked for less by the server: 1, last at" in said
        assert "by server-... limits: 2" in said
        data = bridge_module.run("status", "--json", "-c", bridge.config_path).stdout
        assert b'"slowed-down":1' in data and b'"held-back":2' in data

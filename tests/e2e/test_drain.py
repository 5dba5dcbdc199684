"""SIGTERM: nobody new, those inside may finish, nothing is done that was not asked for."""

import signal
import time
import urllib.error
import urllib.request

import pytest

import net
import pop3
import roles


@pytest.fixture
def drained(start_bridge, fake):
    """drained("2s") starts a service with that limit, two workers, roles.BODIES."""
    fake.messages[:] = roles.BODIES

    def start(limit, **more):
        return start_bridge(roles.config(fake.url, limits={"drain": limit, **more}))
    return start


def signed_in(service, user, source=roles.SOURCES[0]):
    client = service.client(source=source)
    client.sign_in(user)
    return client


def terminate(service):
    service.process.send_signal(signal.SIGTERM)
    service.wait_log("stopping")


def end_of(service, seconds):
    """The exit code, which must come in time."""
    return service.process.wait(seconds * net.slow_factor())


def test_without_sessions_it_ends_at_once(drained):
    service = drained("60s")
    everybody = service.pids()
    terminate(service)
    assert end_of(service, 3) == 0
    assert not any(roles.is_alive(pid) for pid in everybody)


def test_nobody_new_is_let_in(drained, user):
    service = drained("20s")
    port = service.port()
    running = [signed_in(service, f"{user}{source}", source) for source in roles.SOURCES]
    terminate(service)
    for source in roles.SOURCES:
        net.wait_until(lambda s=source: roles.is_refused(port, s), 2 * net.slow_factor(),
                       "connections are refused")
    for client in running:
        client.quit()
    assert end_of(service, 3) == 0


def test_running_transactions_finish(drained, fake, user):
    service = drained("20s")
    with signed_in(service, user) as client:
        terminate(service)
        assert client.retr(1) == pop3.as_pop3(roles.BODIES[0])
        client.ok("DELE 1")
        assert client.uidl().keys() == {2, 3, 4}
        client.quit()
    assert fake.mailbox(user).uids() == [2, 3, 4]
    assert end_of(service, 3) == 0


def test_a_message_on_its_way_arrives_whole(drained, fake, user):
    fake.mailbox(user).add(b"Subject: slow\r\n\r\n" + b"0123456789\r\n" * 40)

    def drip(connection, tag, rest):
        body = fake.mailbox(user).find(5).body
        connection.send(b"* 5 FETCH (UID 5 BODY[] {%d}\r\n" % len(body))
        connection.drip(body, size=50, seconds=0.1)
        connection.send(b")\r\n")
        connection.ok(tag)
        return True

    service = drained("20s")
    with signed_in(service, user) as client:
        fake.on("UID FETCH", drip)
        client.send(b"RETR 5\r\n")
        net.wait_until(lambda: client.has_input(0.1), 10, "the answer begins")
        terminate(service)
        assert client.line().startswith(b"+OK")
        assert client.multiline() == pop3.as_pop3(fake.mailbox(user).find(5).body)
        client.quit()
    assert end_of(service, 3) == 0


def test_after_the_limit_sessions_end_without_update(drained, fake, user):
    service = drained("1s")
    with signed_in(service, user) as client, service.client() as visitor:
        client.ok("DELE 1")
        began = time.monotonic()
        terminate(service)
        client.wait_closed()
        assert time.monotonic() - began >= 0.9
        visitor.rest()
    assert end_of(service, 5) == 0
    assert fake.mailbox(user).uids() == [1, 2, 3, 4]
    assert not fake.seen("UID STORE") and not fake.deletions


def test_a_message_cut_by_the_limit_has_no_end(drained, fake, user):
    def half(connection, tag, rest):
        connection.send(b"* 1 FETCH (UID 1 BODY[] {100}\r\nSubject: x\r\n\r\nhalf\r\n")
        connection.stall()
        return True

    service = drained("500ms")
    with signed_in(service, user) as client:
        fake.on("UID FETCH", half)
        client.send(b"RETR 1\r\n")
        net.wait_until(lambda: client.has_input(0.1), 10, "the answer begins")
        terminate(service)
        assert not client.rest().endswith(b"\r\n.\r\n")
    assert end_of(service, 5) == 0


@pytest.mark.parametrize("command", ["UID STORE", "UID EXPUNGE"])
def test_a_commit_under_way_at_the_limit_finishes(drained, fake, user, command):
    def slow(connection, tag, rest):
        connection.server._closing.wait(3)
        return None

    service = drained("500ms")
    with signed_in(service, user) as client:
        client.ok("DELE 2")
        client.ok("DELE 3")
        fake.on(command, slow, times=1)
        client.send(b"QUIT\r\n")
        fake.wait_command(command)
        terminate(service)
        assert client.line().startswith(b"+OK")
    assert fake.mailbox(user).uids() == [1, 4]
    assert end_of(service, 5) == 0
    assert not service.log("role killed")


def test_a_sign_in_on_its_way_may_end(drained, fake, user):
    def slow(connection, tag, rest):
        connection.server._closing.wait(1)
        return None

    service = drained("20s")
    fake.on("SELECT", slow)
    with service.client() as client:
        client.ok(f"USER {user}")
        client.send(b"PASS secret\r\n")
        fake.wait_command("SELECT")
        terminate(service)
        assert client.line().startswith(b"+OK")
        client.quit()
    assert end_of(service, 3) == 0


def test_a_second_sigterm_changes_nothing(drained, fake, user):
    service = drained("20s")
    with signed_in(service, user) as client:
        terminate(service)
        service.process.send_signal(signal.SIGTERM)
        client.ok("DELE 4")
        client.quit()
    assert fake.mailbox(user).uids() == [1, 2, 3]
    assert end_of(service, 3) == 0


def test_a_worker_killed_while_draining_takes_only_its_own_with_it(drained, fake, user):
    service = drained("20s")
    one = signed_in(service, user + "one", roles.SOURCES[0])
    two = signed_in(service, user + "two", roles.SOURCES[1])
    victim = roles.worker_of(service, one)
    terminate(service)
    one.ok("DELE 1")
    two.ok("DELE 1")
    roles.kill(victim)
    with pytest.raises(pop3.Closed):
        one.command("QUIT")
    two.quit()
    assert [(entry.user, entry.uid) for entry in fake.deletions] == [(user + "two", 1)]
    assert end_of(service, 3) == 0


def test_the_keeper_serves_until_the_last_session_is_over(drained, user):
    service = drained("20s")
    with signed_in(service, user) as client, service.client() as other:
        terminate(service)
        roles.kill(roles.pids(service, "keeper")[0])
        assert other.try_sign_in(user).startswith(b"-ERR [IN-USE]")
        assert other.try_sign_in(user + "b").startswith(b"+OK")
        other.quit()
        client.quit()
    assert end_of(service, 3) == 0


def test_ready_says_that_it_drains(start_bridge, fake, user):
    port = net.free_port()
    service = start_bridge(roles.config(fake.url, limits={"drain": "20s"},
                                        web={"address": f"127.0.0.1:{port}"}))

    def ready():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return answer.read().decode()

    def is_ready():
        try:
            return "ok" in ready()
        except urllib.error.URLError:
            return False  # the web role is started last

    with signed_in(service, user) as client:
        net.wait_until(is_ready, 5 * net.slow_factor(), "ready")
        terminate(service)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ready()
        assert refused.value.code == 503
        assert "Draining: " in refused.value.read().decode()
        client.quit()
    assert end_of(service, 3) == 0


def test_under_load_everybody_who_was_in_finishes(drained, fake):
    service = drained("20s")
    with roles.Load(service, fake, clients=6) as load:
        load.wait_sessions(12)
        before = time.monotonic()
        terminate(service)
        assert end_of(service, 20) == 0
    load.check()
    assert load.refused == []
    assert time.monotonic() - before < 20

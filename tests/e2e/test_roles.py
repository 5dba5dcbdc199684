"""Master, workers, keeper: what is lost when one of them is killed, and what never is."""

import os
import random
import re
import signal
import socket
import time
import urllib.request

import pytest

import net
import pop3
import roles

ONE = 1.0  # second: how long a killed role may be missed


@pytest.fixture
def service(start_bridge, fake):
    """Two workers in front of the fake server, whose mailboxes start with roles.BODIES."""
    fake.messages[:] = roles.BODIES
    return start_bridge(roles.config(fake.url))


def signed_in(service, user, source=roles.SOURCES[0]):
    client = service.client(source=source)
    client.sign_in(user)
    return client


# A worker is killed ---------------------------------------------------------------------


def test_a_killed_workers_sessions_end_without_update(service, fake, user):
    with signed_in(service, user) as client:
        client.ok("DELE 1")
        roles.kill(roles.worker_of(service, client))
        with pytest.raises(pop3.Closed):
            client.command("NOOP")
    fake.wait_no_connections()
    assert fake.mailbox(user).uids() == [1, 2, 3, 4]
    assert not fake.seen("UID STORE") and not fake.deletions


def test_a_killed_workers_locks_are_free_within_a_second(service, user):
    client = signed_in(service, user)
    with service.client(source=roles.SOURCES[1]) as other:
        assert other.try_sign_in(user).startswith(b"-ERR [IN-USE]")
    roles.kill(roles.worker_of(service, client))
    again, before = roles.sign_in_within(service, user, ONE, roles.SOURCES[1])
    assert all(answer.startswith(b"-ERR [IN-USE]") for answer in before)
    assert again.stat()[0] == 4
    again.quit()


def test_another_worker_accepts_within_a_second(service, user):
    for _ in range(5):
        with service.client(source=roles.SOURCES[0]) as client:
            roles.kill(roles.worker_of(service, client))
        roles.greeting_within(service, ONE, roles.SOURCES[0])
    assert len(service.wait_log("role died", 5, role="worker")) == 5


def test_the_other_workers_sessions_go_on(service, user):
    with signed_in(service, user, roles.SOURCES[1]) as other:
        with service.client(source=roles.SOURCES[0]) as client:
            victim = roles.worker_of(service, client)
        assert victim != roles.worker_of(service, other)
        roles.kill(victim)
        service.wait_log("role died", role="worker")
        assert other.retr(2) == pop3.as_pop3(roles.BODIES[1])
        other.ok("DELE 2")
        other.quit()


def test_connections_queued_while_a_worker_is_down_are_served_by_its_successor(service):
    with service.client(source=roles.SOURCES[0]) as client:
        worker = roles.worker_of(service, client)
    os.kill(worker, signal.SIGSTOP)
    queued = [service.client(source=roles.SOURCES[0], greet=False) for _ in range(20)]
    assert not queued[0].has_input(0.2)
    began = time.monotonic()
    roles.kill(worker)
    for client in queued:
        assert client.line().startswith(b"+OK ")
        client.close()
    assert time.monotonic() - began < ONE * net.slow_factor()


def test_a_message_cut_by_a_workers_death_has_no_end(service, fake, user):
    def half(connection, tag, rest):
        connection.send(b"* 1 FETCH (UID 1 BODY[] {100}\r\nSubject: x\r\n\r\nhalf\r\n")
        connection.stall()
        return True

    with signed_in(service, user) as client:
        fake.on("UID FETCH", half)
        client.send(b"RETR 1\r\n")
        net.wait_until(lambda: client.has_input(0.1), 10, "the answer begins")
        roles.kill(roles.worker_of(service, client))
        got = client.rest()
    assert not got.endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("command", ["UID STORE", "UID EXPUNGE", "UID SEARCH"])
def test_a_worker_killed_in_a_commit_removes_nothing_but_what_was_marked(
        service, fake, user, command):
    def stall(connection, tag, rest):
        if command == "UID SEARCH" and not fake.seen("UID STORE"):
            return None
        connection.stall()
        return True

    with signed_in(service, user) as client:
        client.ok("DELE 2")
        fake.on(command, stall)
        client.send(b"QUIT\r\n")
        fake.wait_command(command)
        roles.kill(roles.worker_of(service, client))
        assert client.rest() == b""
    fake.clear_hooks()
    assert {one.uid for one in fake.deletions} <= {2}
    again, _ = roles.sign_in_within(service, user, ONE, roles.SOURCES[1])
    assert {1, 3, 4} <= {int(unique[:8], 16) for unique in again.uidl().values()}
    again.quit()


def test_an_account_that_kills_workers_is_refused_for_a_while(service, fake, user):
    def stall(connection, tag, rest):
        connection.stall()
        return True

    fake.on("SELECT", stall)
    fake.on("EXAMINE", stall)
    for count in (1, 2):
        with service.client() as client:
            worker = roles.worker_of(service, client)
            client.ok(f"USER {user}")
            client.send(b"PASS secret\r\n")
            fake.wait_command("SELECT", count)
            roles.kill(worker)
    fake.clear_hooks()
    service.wait_log("account refused for a while", user=user)
    with service.client() as client:
        assert client.try_sign_in(user).startswith(b"-ERR [SYS/TEMP]")
    with signed_in(service, user + "other") as client:
        client.quit()


def test_a_crash_loop_backs_off_and_is_logged(service):
    slot = roles.SOURCES[0]
    deaths = []
    for count in range(1, 6):
        with service.client(source=slot) as client:
            roles.kill(roles.worker_of(service, client))
        deaths.append(time.monotonic())
        service.wait_log("role died", count, role="worker", how="killed by signal 9")
        with service.client(source=slot) as client:
            assert client.greeting
        deaths[-1] = time.monotonic() - deaths[-1]
    assert deaths[4] > deaths[0] + 0.1, f"no slower: {deaths}"
    assert max(deaths) < 2 * ONE * net.slow_factor()


# The keeper is killed -------------------------------------------------------------------


def test_sessions_go_on_while_there_is_no_keeper(service, fake, user):
    with signed_in(service, user) as client:
        client.ok("DELE 3")
        keeper = roles.pids(service, "keeper")[0]
        os.kill(keeper, signal.SIGSTOP)
        assert client.retr(1) == pop3.as_pop3(roles.BODIES[0])
        client.quit()
        assert fake.mailbox(user).uids() == [1, 2, 4]
        roles.kill(keeper)


def test_sign_ins_wait_for_the_next_keeper_and_then_work(service, user):
    keeper = roles.pids(service, "keeper")[0]
    os.kill(keeper, signal.SIGSTOP)
    with service.client() as client:
        answer = roles.answer_in_thread(lambda: client.sign_in(user))
        net.wait_until(lambda: client.socket.getsockname(), 1, "connected")
        time.sleep(0.3)  # nothing shows that a sign-in waits
        assert not answer.is_done()
        began = time.monotonic()
        roles.kill(keeper)
        assert answer().startswith(b"+OK")
        assert time.monotonic() - began < 1.5 * ONE * net.slow_factor()
        client.quit()


def test_locks_hold_across_the_keepers_death(service, user):
    with signed_in(service, user, roles.SOURCES[0]) as client:
        for count in (1, 2):
            roles.kill(roles.pids(service, "keeper")[0])
            with service.client(source=roles.SOURCES[1]) as other:
                assert other.try_sign_in(user).startswith(b"-ERR [IN-USE]")
            service.wait_log("role died", count, role="keeper")
        client.quit()
    with signed_in(service, user, roles.SOURCES[1]) as client:
        client.quit()


def test_a_lock_given_back_while_the_keeper_was_away_is_free(service, user):
    with signed_in(service, user) as client:
        keeper = roles.pids(service, "keeper")[0]
        os.kill(keeper, signal.SIGSTOP)
        client.quit()
        roles.kill(keeper)
    with signed_in(service, user) as client:
        client.quit()


def test_a_worker_and_the_keeper_killed_at_once_come_back_together(service, user):
    for turn in range(5):
        victims = roles.pids(service, "keeper") + roles.pids(service, "worker")
        random.Random(turn).shuffle(victims)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        for source in roles.SOURCES:
            client, _ = roles.sign_in_within(service, f"{user}t{turn}", 10, source)
            client.quit()
        net.wait_until(lambda: len(roles.pids(service, "worker")) == 2, 10, "two workers")


# The master is killed -------------------------------------------------------------------


def test_all_roles_are_gone_within_a_second_of_the_masters_death(service, fake, user):
    client = signed_in(service, user)
    client.ok("DELE 1")
    everybody = service.pids()
    assert len(everybody) == 4
    service.kill()
    roles.wait_gone(everybody, ONE)
    with pytest.raises(pop3.Closed):
        client.command("QUIT")
    assert roles.is_refused(service.port())
    assert not fake.deletions


# What a role is given -------------------------------------------------------------------


def kinds(pid):
    """What the descriptors lead to, numbers taken out: {"socket": 3, "/dev/null": 2}"""
    found = {}
    for link in roles.descriptors(pid).values():
        kind = re.sub(r":?\[\w*\d\w*\]", "", link).removesuffix(" (deleted)")
        found[kind] = found.get(kind, 0) + 1
    return found


def listening(pid):
    inodes = roles.sockets(pid)
    return sorted(row[0] for row in roles.tcp_table() if row[2] and row[3] in inodes)


def test_only_workers_and_master_have_listeners(service):
    ports = [address[1] for address in service.addresses()]
    for worker in roles.pids(service, "worker"):
        assert listening(worker) == ports
    assert listening(roles.pids(service, "keeper")[0]) == []
    assert sorted(set(listening(service.process.pid))) == ports


def test_a_role_has_only_the_descriptors_it_was_given(service, fake, user):
    for source in roles.SOURCES:
        signed_in(service, f"{user}{source}", source).quit()
    fake.wait_no_connections()
    allowed = {"socket", "pipe", "anon_inode:[eventpoll]", "anon_inode:[eventfd]",
               "/dev/null", f"{service.folder}/stderr", "/memfd:popbridge metrics"}
    for role in ("worker", "keeper"):
        for pid in roles.pids(service, role):
            # To the master; a worker: to the keeper, a listener; a keeper: to two workers.
            net.wait_until(lambda p=pid: kinds(p)["socket"] == 3, 5 * net.slow_factor(),
                           lambda p=pid: f"three sockets; {roles.descriptors(p)}")
            assert set(kinds(pid)) <= allowed, roles.descriptors(pid)


def test_roles_do_not_leak_descriptors_when_others_die(service, user):
    def count():
        return [len(roles.descriptors(pid)) for pid in
                (service.process.pid, *roles.pids(service, "keeper"))]

    for source in roles.SOURCES:  # now every worker and the keeper know each other
        signed_in(service, f"{user}{source}", source).quit()
    before = count()
    for turn in range(1, 6):
        roles.kill(roles.pids(service, "worker")[0])
        service.wait_log("role died", turn)
        net.wait_until(lambda: len(roles.pids(service, "worker")) == 2, 10, "two workers")
        for source in roles.SOURCES:
            roles.greeting_within(service, 5, source)
    net.wait_until(lambda: count() == before, 10,
                   lambda: f"descriptors as before: {before}, now {count()}")


def test_the_environment_is_cleared_and_the_command_lines_tell_nothing(start_bridge, fake):
    service = start_bridge(roles.config(fake.url),
                           environment={"POPBRIDGE_TEST_SECRET": "hunter2"})
    for pid in service.pids()[1:]:
        with open(f"/proc/{pid}/environ", "rb") as environment:
            assert environment.read() == b""
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            assert re.fullmatch(rb"popbridge\0--role\0(worker|keeper|web)\0", line.read())


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_the_log_lines_of_all_roles_parse(start_bridge, fake, user, form):
    fake.messages[:] = roles.BODIES
    service = start_bridge(roles.config(fake.url, log={"format": form, "level": "debug"}))
    with signed_in(service, user) as client:
        client.quit()
    for role in ("worker", "keeper"):
        roles.kill(roles.pids(service, role)[0])
        service.wait_log("role died", role=role)
    with signed_in(service, user + "2") as client:
        client.quit()
    service.stop()
    lines = [line for line in service.stderr.splitlines()
             if not line.startswith("==")]  # a sanitizer's own words
    assert len(service.log()) == len(lines) > 5
    assert all({"time", "level", "event"} <= set(line) for line in service.log())


# Together -------------------------------------------------------------------------------


def guess(service, user, source, number):
    with service.client(source=source) as client:
        return client.try_sign_in(user, f"wrong{number}")


def test_the_throttle_is_shared_by_the_workers(start_bridge, fake, user):
    """Guesses from many addresses at one account, over both workers: the account counts."""
    service = start_bridge(roles.config(fake.url, limits={"sign-in-delay": "2s..15s"}))
    sources = [f"127.0.{turn}.{turn + 1}" for turn in range(40)]
    waits = [roles.answer_in_thread(
        lambda s=source, n=number: guess(service, user, s, n))
        for number, source in enumerate(sources)]
    with service.client(source=roles.SOURCES[0]) as one:
        with service.client(source=roles.SOURCES[1]) as two:
            assert roles.worker_of(service, one) != roles.worker_of(service, two)
    for wait in waits:
        assert wait(60).startswith(b"-ERR [AUTH]")
    asked = [one for one in fake.credentials if one.user == user.encode()]
    assert 1 <= len(asked) <= 20, f"{len(asked)} guesses went upstream"


def test_random_kills_under_load_lose_no_mail(service, fake):
    rng = random.Random(time.time_ns())
    with roles.Load(service, fake, clients=6) as load:
        until, killed = time.monotonic() + 20, 0
        while time.monotonic() < until:
            victims = roles.pids(service, rng.choice(["worker", "worker", "keeper"]))
            if victims:
                roles.kill(rng.choice(victims))
                killed += 1
            time.sleep(rng.uniform(0, 0.8))
        load.wait_sessions(12, 30)
    assert killed >= 10
    load.check()
    for answer in load.refused:
        assert answer.startswith((b"-ERR [SYS/TEMP]", b"-ERR [IN-USE]")), answer
    roles_now = len(roles.pids(service, "worker")), len(roles.pids(service, "keeper"))
    assert roles_now == (2, 1)


# The web role ---------------------------------------------------------------------------


def is_live(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_killed_web_role_comes_back(start_bridge, fake):
    port = net.free_port()
    service = start_bridge(roles.config(fake.url, web={"address": f"127.0.0.1:{port}"}))
    net.wait_until(lambda: is_live(port), 5, "the web role answers")
    for count in (1, 2, 3):
        roles.kill(roles.pids(service, "web")[0])
        service.wait_log("role died", count, role="web")
        net.wait_until(lambda: is_live(port), 5 * net.slow_factor(), "it answers again")


def test_a_web_role_that_could_not_start_is_tried_again(start_bridge, fake, user):
    fake.messages[:] = roles.BODIES
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start_bridge(
            roles.config(fake.url, web={"address": f"127.0.0.1:{port}"}))
        net.wait_until(lambda: len([line for line in service.log("role not started")
                                    if line["message"].startswith("web")]) >= 2,
                       10, "it was tried twice")
        with signed_in(service, user) as client:
            client.quit()
    net.wait_until(lambda: is_live(port), 10 * net.slow_factor(), "it answers")

"""SIGHUP: another configuration for new sessions, without anybody noticing."""

import json
import os
import random
import signal
import time

import pytest

import fake_imap
import injection
import net
import pop3
import roles


@pytest.fixture
def other():
    """A second server, with one message of its own."""
    with fake_imap.FakeImap(messages=[b"Subject: other\r\n\r\nother server\r\n"]) as server:
        yield server


class Service:
    """A service whose configuration is changed and reloaded. Keywords replace settings."""

    def __init__(self, start, server, **options):
        self._reloads = {"reloaded": 0, "not reloaded": 0}
        self.port = net.free_port()
        self.settings = roles.config(server, limits={"drain": "20s"},
                                     listen=[listener(self.port)])
        self.bridge = start(self.settings, **options)

    def write(self, **settings):
        self.settings = {**self.settings, **settings}
        self.write_text(json.dumps(self.bridge._with_defaults(self.settings), indent=2))

    def write_text(self, text):
        with open(f"{self.bridge.config_path}.new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(f"{self.bridge.config_path}.new", self.bridge.config_path)

    def reload(self, event="reloaded"):
        """SIGHUP; returns the log line that ends it, which must be this event."""
        self.bridge.process.send_signal(signal.SIGHUP)
        self._reloads[event] += 1
        return self.bridge.wait_log(event, self._reloads[event], seconds=20)[-1]

    def client(self, port=None, source=None):
        return pop3.Client(port or self.port, source=source)

    def signed_in(self, user, source=None):
        client = self.client(source=source)
        client.sign_in(user)
        return client


def listener(port, **settings):
    return {"address": f"127.0.0.1:{port}", "tls": "none", **settings}


def route(server, **settings):
    return [{"match": "*", "server": server, **settings}]


@pytest.fixture
def service(start_bridge, fake):
    fake.messages[:] = roles.BODIES
    return Service(start_bridge, fake.url)


def test_new_sessions_use_the_new_route_and_running_ones_go_on(service, fake, other, user):
    running = [service.signed_in(f"{user}{source}", source) for source in roles.SOURCES]
    service.write(routes=route(other.url))
    service.reload()
    for source in roles.SOURCES:
        with service.signed_in(user + "new" + source, source) as client:
            assert client.retr(1) == b"Subject: other\r\n\r\nother server\r\n"
            client.quit()
    for client in running:
        assert client.retr(2) == pop3.as_pop3(roles.BODIES[1])
        client.ok("DELE 2")
        client.quit()
    assert {one.uid for one in fake.deletions} == {2}


def test_a_session_that_has_not_signed_in_goes_on_across_a_reload(service, user):
    with service.client() as client:
        client.ok(f"USER {user}")
        service.reload()
        client.ok("PASS secret")
        assert client.stat()[0] == 4
        client.quit()


def test_a_lock_of_the_old_worker_holds_against_the_new_one(service, user):
    with service.signed_in(user) as client:
        service.reload()
        with service.client() as again:
            assert again.try_sign_in(user).startswith(b"-ERR [IN-USE]")
        client.quit()
    with service.signed_in(user) as again:
        again.quit()


def test_old_workers_end_with_their_last_session(service, user):
    old = roles.pids(service.bridge, "worker")
    with service.signed_in(user) as client:
        kept = roles.worker_of(service.bridge, client)
        service.reload()
        roles.wait_gone(set(old) - {kept}, 5)
        assert roles.is_alive(kept)
        client.quit()
    roles.wait_gone([kept], 5)
    assert len(roles.pids(service.bridge, "worker")) == 2


def test_new_limits_apply_to_new_sessions(service, user):
    service.write(limits={"drain": "20s", "sessions": 1})
    service.reload()
    with service.client() as one:
        one.sign_in(user)  # or it would have to make room
        with pop3.Client(service.port, greet=False) as two:
            assert two.line().startswith(b"-ERR [SYS/TEMP] too many sessions")


def test_the_throttles_new_delays_apply(service, fake, user):
    service.write(limits={"drain": "20s", "sign-in-delay": "2s..15s"})
    service.reload()
    sources = [f"127.0.{turn}.{turn + 1}" for turn in range(30)]
    waits = []
    for number, source in enumerate(sources):
        client = service.client(source=source)
        waits.append((client, roles.answer_in_thread(
            lambda c=client, n=number: c.try_sign_in(user, f"wrong{n}"))))
    for client, wait in waits:
        assert wait(60).startswith(b"-ERR [AUTH]")
        client.close()
    assert len(fake.credentials) <= 20


def peer_certificate(bridge, port):
    with pop3.Client(port, tls=bridge.tls_context()) as client:
        return client.socket.getpeercert()["subject"]


def test_a_new_certificate_is_shown_to_new_sessions(start_bridge, fake, pki, user):
    fake.messages[:] = roles.BODIES
    service = Service(start_bridge, fake.url, tls=pki)
    port = net.free_port()
    service.write(listen=[listener(service.port),
                          {"address": f"127.0.0.1:{port}", "tls": "implicit"}])
    service.reload()
    before = peer_certificate(service.bridge, port)
    running = pop3.Client(port, tls=service.bridge.tls_context())
    running.sign_in(user)
    renewed = pki.leaf("renewed")
    service.write(tls={"certificate": renewed.chain, "key": renewed.key})
    service.reload()
    assert peer_certificate(service.bridge, port) != before
    assert running.retr(3) == pop3.as_pop3(roles.BODIES[2])
    running.quit()


# Anything wrong, and the old configuration stays ----------------------------------------


@pytest.mark.parametrize("text, said", [
    ("routes:\n  - match: '*'\n    servr: imap://127.0.0.1\n", ":3:5: routes[0]: unknown"),
    ("rout: []\nlimits: {idle: 1x}\n", ":2:16: limits.idle"),
    ("routes: [\n", "popbridge.yaml:"),
    ("", "routes: is missing"),
    ("routes:\n  - match: '*'\n    server: ftp://127.0.0.1\n", "routes[0].server"),
])
def test_a_broken_file_keeps_the_old_one_and_says_where(service, user, text, said):
    workers = roles.pids(service.bridge, "worker")
    service.write_text(text)
    line = service.reload("not reloaded")
    assert said in line["message"] and "the old configuration stays" in line["message"]
    assert roles.pids(service.bridge, "worker") == workers
    with service.signed_in(user) as client:
        assert client.stat()[0] == 4
        client.quit()
    service.write()
    service.reload()


def test_a_file_that_is_gone_keeps_the_old_one(service, user):
    os.remove(service.bridge.config_path)
    service.reload("not reloaded")
    with service.signed_in(user) as client:
        client.quit()


def test_a_certificate_that_cannot_be_read_keeps_the_old_one(service, user):
    service.write(tls={"certificate": "/nowhere/chain.pem", "key": "/nowhere/key.pem"})
    assert "/nowhere" in service.reload("not reloaded")["message"]
    with service.signed_in(user) as client:
        client.quit()


def test_a_port_that_is_taken_keeps_the_old_ones(service, other, user):
    added = net.free_port()
    service.write(listen=[listener(service.port), listener(added), listener(other.port)])
    assert str(other.port) in service.reload("not reloaded")["message"]
    assert roles.is_refused(added)
    with service.signed_in(user) as client:
        client.quit()


# Listeners ------------------------------------------------------------------------------


def test_listeners_are_added_and_removed(service, user):
    added = net.free_port()
    assert roles.is_refused(added)
    service.write(listen=[listener(service.port), listener(added)])
    service.reload()
    for source in roles.SOURCES:
        with service.client(added, source) as client:
            client.sign_in(f"{user}{source}")
            client.quit()
    running = service.signed_in(user)
    service.write(listen=[listener(added)])
    service.reload()
    for source in roles.SOURCES:
        net.wait_until(lambda s=source: roles.is_refused(service.port, s), 5, "removed")
        with service.client(added, source) as client:
            assert client.greeting
    running.quit()


def test_a_removed_listener_can_come_back(service):
    first, second = service.port, net.free_port()
    for port in (second, first, second, first):
        service.write(listen=[listener(port)])
        service.reload()
        for source in roles.SOURCES:
            with service.client(port, source) as client:
                assert client.greeting


def test_a_listeners_settings_change_in_place(service, user):
    service.write(listen=[listener(service.port, **{"plain-from": ["127.0.0.2"]})])
    service.reload()
    with service.signed_in(user, roles.SOURCES[1]) as client:
        client.quit()


# Under load -----------------------------------------------------------------------------


def test_thirty_reloads_under_load_are_noticed_by_nobody(service, fake, other):
    rng = random.Random(7)
    with roles.Load(service.bridge, fake, clients=6, port=service.port) as load:
        for turn in range(30):
            if turn % 3 == 2:
                service.write_text(rng.choice(["routes: [", "nothing: true\n", "\0"]))
                service.reload("not reloaded")
            else:
                service.write(routes=route(fake.url, **{"mark-read": turn % 2 == 0}))
                service.reload()
            load.wait_sessions(3)
    assert load.aborted == [] and load.refused == []
    assert load.sessions >= 90
    load.check()
    assert not service.bridge.log("role died")


def test_reloads_asked_for_at_once_are_not_lost(service, other, user):
    for _ in range(5):
        service.bridge.process.send_signal(signal.SIGHUP)
    service.write(routes=route(other.url))
    service.bridge.process.send_signal(signal.SIGHUP)

    def is_new():
        with service.signed_in(f"{user}{time.monotonic_ns()}") as client:
            count = client.stat()[0]
            client.quit()
        return count == 1

    net.wait_until(is_new, 20 * net.slow_factor(), "the last configuration is used")


def test_a_worker_that_dies_during_reloads_comes_back_with_the_new_configuration(
        service, other, user):
    for turn in range(6):
        server = other.url if turn % 2 else service.settings["routes"][0]["server"]
        service.write(routes=route(server))
        service.bridge.process.send_signal(signal.SIGHUP)
        service._reloads["reloaded"] += 1
        for pid in roles.pids(service.bridge, "worker"):
            os.kill(pid, signal.SIGKILL)
        net.wait_until(
            lambda: len(service.bridge.log("reloaded") + service.bridge.log("not reloaded"))
            > turn, 20 * net.slow_factor(), "the reload ends")
    service.write(routes=route(other.url))
    service.bridge.process.send_signal(signal.SIGHUP)
    for source in roles.SOURCES:
        def is_new(at=source):
            client, _ = roles.sign_in_within(
                service.bridge, f"{user}{time.monotonic_ns()}", 20, at)
            count = client.stat()[0]
            client.quit()
            return count == 1
        net.wait_until(is_new, 20 * net.slow_factor(), "the last configuration is used")


@pytest.mark.parametrize("call, why", [
    ("memfd_create", "cannot be handed on: Too many open files"),
    ("openat", "was replaced while it was read")])
def test_a_configuration_that_cannot_be_handed_on_leaves_the_old_one(service, call, why):
    """Not even the master notices more of it than a refused reload."""
    with service.client() as client:
        with injection.Injection([service.bridge.process.pid], call, "error=EMFILE:when=1"):
            refused = service.reload("not reloaded")
        assert why in refused["message"]
        client.ok("CAPA")
        client.multiline()
    service.reload()
    with service.client() as client:
        client.ok("CAPA")

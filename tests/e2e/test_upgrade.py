"""SIGUSR2: the program file that is installed by now takes over, in the same process."""

import os
import shutil
import signal
import socket
import time

import pytest

import bridge as bridge_module
import net
import pop3
import roles


class Service:
    """A service whose program file is a copy that can be replaced."""

    def __init__(self, server, **config):
        self.folder = net.short_folder("up")
        self.program = f"{self.folder}/popbridge"
        self.state = f"{self.folder}/state"
        self.install(bridge_module.binary())
        settings = {"limits": {"drain": "20s"}, "state": self.state, **config}
        if not settings["state"]:
            del settings["state"]
        self.bridge = bridge_module.Bridge(roles.config(server, **settings),
                                           program=self.program)
        self._ends = {"upgraded": 0, "not upgraded": 0}

    def install(self, source):
        """As package managers do: another file under the same name."""
        shutil.copy(source, f"{self.program}.new")
        os.replace(f"{self.program}.new", self.program)

    def install_script(self, text):
        with open(f"{self.program}.new", "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(f"{self.program}.new", 0o755)
        os.replace(f"{self.program}.new", self.program)

    def upgrade(self, event="upgraded"):
        """SIGUSR2; returns the log line that ends it, which must be this event."""
        self.bridge.process.send_signal(signal.SIGUSR2)
        self._ends[event] += 1
        return self.bridge.wait_log(event, self._ends[event], seconds=30)[-1]

    def command(self):
        return bridge_module.run("upgrade", "-c", self.bridge.config_path, seconds=60)

    def close(self):
        try:
            self.bridge.close()
        finally:
            net.remove_folder(self.folder)


@pytest.fixture
def start_service(request):
    started = []

    def start(*arguments, **config):
        started.append(Service(*arguments, **config))
        return started[-1]

    yield start
    for one in started:
        one.bridge._forgiven |= getattr(request.node, "failed_in_call", False)
        one.close()


@pytest.fixture
def service(start_service, fake):
    fake.messages[:] = roles.BODIES
    return start_service(fake.url)


def roles_of(service):
    return {role: set(roles.pids(service.bridge, role))
            for role in ("worker", "keeper", "web")}


def test_the_process_stays_and_every_role_is_another(start_service, fake, user):
    fake.messages[:] = roles.BODIES
    service = start_service(fake.url,
                            web={"address": f"127.0.0.1:{net.free_port()}"})
    old = roles_of(service)
    service.install(bridge_module.binary())
    service.upgrade()
    roles.wait_gone(old["worker"] | old["keeper"] | old["web"], 10)
    new = net.wait_until(lambda: roles_of(service)["web"] and roles_of(service), 10, "web")
    assert [len(new[role]) for role in ("worker", "keeper", "web")] == [2, 1, 1]
    assert not any(old[role] & new[role] for role in new)
    assert service.bridge.process.poll() is None
    with service.bridge.signed_in(user) as client:
        assert client.stat()[0] == 4
        client.quit()


def test_old_sessions_finish_and_delete_what_they_marked(service, fake, user):
    clients = [service.bridge.signed_in(f"{user}{source}", source=source)
               for source in roles.SOURCES]
    service.upgrade()
    for client in clients:
        assert client.retr(2) == pop3.as_pop3(roles.BODIES[1])
        client.ok("DELE 2")
        client.quit()
    assert {one.uid for one in fake.deletions} == {2}
    assert len(fake.deletions) == 2


def test_a_session_that_has_not_signed_in_signs_in_afterwards(service, user):
    with service.bridge.client() as client:
        client.ok(f"USER {user}")
        service.upgrade()
        client.ok("PASS secret")
        assert client.stat()[0] == 4
        client.quit()


@pytest.mark.parametrize("times", [1, 3])
def test_a_lock_of_an_old_session_holds_against_new_ones(service, user, times):
    with service.bridge.signed_in(user) as client:
        for _ in range(times):
            service.upgrade()
        for source in roles.SOURCES:
            with service.bridge.client(source=source) as again:
                assert again.try_sign_in(user).startswith(b"-ERR [IN-USE]")
        client.quit()
    with service.bridge.signed_in(user) as again:
        again.quit()


def test_connections_that_wait_in_the_queue_are_served(service, user):
    workers = roles.pids(service.bridge, "worker")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", service.bridge.port()))
               for _ in range(8)]
    service.bridge.process.send_signal(signal.SIGUSR2)
    service.bridge.wait_log("upgraded", seconds=30)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    for one in waiting:
        one.settimeout(20)
        assert one.recv(3) == b"+OK"
        one.close()


def test_sessions_of_old_workers_count_in_the_limit(start_service, fake):
    fake.messages[:] = roles.BODIES
    service = start_service(fake.url, limits={"drain": "20s", "sessions": 2})
    held = [service.bridge.signed_in(f"held{source}", source=source)
            for source in roles.SOURCES]
    service.upgrade()
    with pop3.Client(service.bridge.port(), greet=False) as third:
        assert third.line().startswith(b"-ERR [SYS/TEMP]")
    for client in held:
        client.quit()
        client.close()


def test_the_port_and_a_reload_work_as_before(service, user):
    port = service.bridge.port()
    service.upgrade()
    service.bridge.process.send_signal(signal.SIGHUP)
    service.bridge.wait_log("reloaded", seconds=20)
    with pop3.Client(port) as client:
        client.sign_in(user)
        client.quit()


@pytest.mark.parametrize("script, said", [
    ("#!/bin/sh\nexit 3\n", "cannot take over"),
    ("nonsense", "cannot take over"),
])
def test_a_broken_program_is_refused_and_the_old_one_stays(service, user, script, said):
    old = roles_of(service)
    with service.bridge.signed_in(user) as client:
        service.install_script(script)
        assert said in service.upgrade("not upgraded")["message"]
        assert roles_of(service) == old
        client.ok("DELE 1")
        client.quit()
    with service.bridge.signed_in(user + "2") as client:
        client.quit()
    service.install(bridge_module.binary())
    service.upgrade()


def test_a_program_that_is_gone_is_refused(service):
    os.remove(service.program)
    assert service.program in service.upgrade("not upgraded")["message"]


def test_a_worker_that_dies_after_an_upgrade_is_replaced(service, user):
    service.upgrade()
    for pid in roles.pids(service.bridge, "worker"):
        roles.kill(pid)
    for source in roles.SOURCES:
        client, _ = roles.sign_in_within(service.bridge, user + source, 5, source)
        client.quit()
        client.close()


def guess_in_thread(bridge, user, password):
    """Returns what waits for its answer, which must be no."""
    def guess():
        with bridge.client(timeout=30) as client:
            assert client.try_sign_in(user, password).startswith(b"-ERR [AUTH]")
    return roles.answer_in_thread(guess)


def test_guesses_are_remembered_without_a_state_directory(start_service, fake, user):
    service = start_service(fake.url, state=None,
                            limits={"drain": "20s", "sign-in-delay": "2s..15s"})
    for turn in range(3):
        guess_in_thread(service.bridge, user, f"wrong{turn}")()
    service.upgrade()
    guess_in_thread(service.bridge, user, "wrong again")()
    began = time.monotonic()  # two guesses are free, and these were more
    guess_in_thread(service.bridge, user, "wrong for ever")()
    assert time.monotonic() - began > 1.9


def test_a_service_told_by_its_url_is_upgraded(fake):
    folder = net.short_folder("up")
    program = f"{folder}/popbridge"
    shutil.copy(bridge_module.binary(), program)
    with bridge_module.Bridge(command=[fake.url], program=program) as bridge:
        bridge.process.send_signal(signal.SIGUSR2)
        bridge.wait_log("upgraded", seconds=30)
        bridge.process.send_signal(signal.SIGHUP)
        bridge.wait_log("reloaded", seconds=20)
    net.remove_folder(folder)


def test_the_environment_is_read_no_second_time(fake):
    folder = net.short_folder("up")
    secret = f"{folder}/upstream"
    with open(secret, "w", encoding="ascii") as out:
        out.write(fake.url + "\n")
    environment = {"POPBRIDGE_UPSTREAM_FILE": secret, "POPBRIDGE_STATE": f"{folder}/state"}
    with bridge_module.Bridge(command=["serve"], environment=environment) as bridge:
        os.remove(secret)
        bridge.process.send_signal(signal.SIGUSR2)
        bridge.wait_log("upgraded", seconds=30)
        bridge.process.send_signal(signal.SIGHUP)
        bridge.wait_log("reloaded", seconds=20)
    net.remove_folder(folder)


# popbridge upgrade ----------------------------------------------------------------------


def test_the_command_says_that_it_is_done(service, user):
    service.install(bridge_module.binary())
    old = roles_of(service)
    done = service.command()
    assert done.returncode == 0 and done.stdout.startswith(b"upgraded: now it is popbridge ")
    assert not old["worker"] & roles_of(service)["worker"]


def test_the_command_says_why_not(service):
    service.install_script("#!/bin/sh\nexit 3\n")
    done = service.command()
    assert done.returncode == 1
    assert b"not upgraded, the service goes on as before" in done.stderr
    service.bridge.wait_log("not upgraded")


def test_the_command_finds_no_service_that_does_not_run(service):
    service.bridge.stop()
    done = service.command()
    assert done.returncode == 1 and b"is popbridge running with" in done.stderr


def test_the_command_waits_where_there_is_only_a_control_socket(start_service, fake):
    folder = net.short_folder("up")
    service = start_service(fake.url, state=None, control=f"{folder}/control")
    done = service.command()
    assert done.returncode == 0 and done.stdout.startswith(b"upgraded: now it is popbridge ")
    service.bridge.wait_log("upgraded")
    service.install_script("#!/bin/sh\nexit 3\n")
    done = service.command()
    assert done.returncode == 1 and b"not upgraded" in done.stderr
    net.remove_folder(folder)


def test_the_command_says_what_it_cannot_know_without_a_control_socket(start_service, fake):
    service = start_service(fake.url, state=None)
    done = service.command()
    assert done.returncode == 1 and b"neither control nor state" in done.stderr
    assert b"--pid" in done.stderr
    done = bridge_module.run("upgrade", "--pid", str(service.bridge.process.pid))
    assert done.returncode == 0 and b"cannot be known from here" in done.stdout
    service.bridge.wait_log("upgraded", seconds=30)


# Under load -----------------------------------------------------------------------------


def test_upgrades_and_reloads_under_load_are_noticed_by_nobody(service, fake):
    with roles.Load(service.bridge, fake, clients=4) as load:
        for turn in range(4):
            if turn == 2:
                service.install_script("#!/bin/sh\nexit 3\n")
                service.upgrade("not upgraded")
                service.install(bridge_module.binary())
            service.upgrade()
            service.bridge.process.send_signal(signal.SIGHUP)
            service.bridge.wait_log("reloaded", turn + 1, seconds=20)
            load.wait_sessions(3)
    assert load.aborted == [] and load.refused == []
    load.check()
    assert not service.bridge.log("role died")

"""Started as root, popbridge binds its ports and is an ordinary user from then on."""

import os
import pwd
import shutil
import signal
import socket
import subprocess

import pytest

import bridge as bridge_module
import net
import pop3
import roles

CAP_NET_BIND_SERVICE, CAP_DAC_READ_SEARCH = 1 << 10, 1 << 2

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def low_port():
    for port in range(700, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no port below 1024 is free")


class Rooted:
    """Started by root in a folder of root's, with keys that only root may read."""

    def __init__(self, server, pki, user="nobody"):
        self.folder = net.short_folder("pr")
        os.mkdir(f"{self.folder}/keys", 0o700)
        self.install(pki.server)
        self.program = f"{self.folder}/popbridge"
        shutil.copy(bridge_module.binary(), self.program)
        self.port, self.tls_port = low_port(), net.free_port()
        self.settings = roles.config(
            server, user=user, state=f"{self.folder}/state",
            tls={"certificate": f"{self.folder}/keys/chain", "key": f"{self.folder}/keys/key"},
            listen=[{"address": f"127.0.0.1:{self.port}"},
                    {"address": f"127.0.0.1:{self.tls_port}", "tls": "implicit"}],
            web={"address": f"127.0.0.1:{net.free_port()}"}, limits={"drain": "20s"})
        self.bridge = bridge_module.Bridge(self.settings, tls=pki, program=self.program)
        self._counts = {}

    def install(self, certificate):
        for source, name in ((certificate.chain, "chain"), (certificate.key, "key")):
            path = f"{self.folder}/keys/{name}"
            shutil.copy(source, f"{path}.new")
            os.chmod(f"{path}.new", 0o600)
            os.replace(f"{path}.new", path)

    def write(self, **settings):
        self.settings.update(settings)
        with open(f"{self.bridge.config_path}.new", "w", encoding="utf-8") as out:
            out.write(bridge_module.json.dumps(self.bridge._with_defaults(self.settings)))
        os.chmod(f"{self.bridge.config_path}.new", 0o600)
        os.replace(f"{self.bridge.config_path}.new", self.bridge.config_path)

    def tell(self, number, event):
        self._counts[event] = self._counts.get(event, 0) + 1
        self.bridge.process.send_signal(number)
        return self.bridge.wait_log(event, self._counts[event], seconds=30)[-1]

    def certificate(self):
        with pop3.Client(self.tls_port, tls=self.bridge.tls_context()) as client:
            return client.socket.getpeercert()["subject"]

    def close(self):
        try:
            self.bridge.close()
        finally:
            net.remove_folder(self.folder)


@pytest.fixture
def service(fake, pki, request):
    fake.messages[:] = roles.BODIES
    started = Rooted(fake.url, pki)
    yield started
    started.bridge._forgiven |= getattr(request.node, "failed_in_call", False)
    started.close()


def assert_unprivileged(service):
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    master, *others = service.bridge.pids()
    assert len(others) == 4, "two workers, a keeper, a web role"
    for pid in (master, *others):
        assert set(status(pid)["Uid"].split()) == {nobody}
        assert "0" not in status(pid)["Gid"].split() + status(pid)["Groups"].split()
        assert status(pid)["NoNewPrivs"] == "1"
        assert int(status(pid)["CapAmb"], 16) == 0
    assert int(status(master)["CapPrm"], 16) == CAP_NET_BIND_SERVICE | CAP_DAC_READ_SEARCH
    for pid in others:
        assert int(status(pid)["CapPrm"], 16) == int(status(pid)["CapInh"], 16) == 0


def all_serve(service):
    """Every role is there, and past its start: what it may read then, it may not later."""
    def question():
        counts = [len(roles.pids(service.bridge, role))
                  for role in ("worker", "keeper", "web")]
        return counts == [2, 1, 1] and not any(
            int(status(pid)["CapAmb"], 16) for pid in service.bridge.pids())
    net.wait_until(question, 10 * net.slow_factor(), "all roles have started")


def test_no_process_is_root_and_the_roles_may_nothing_more(service, user):
    all_serve(service)
    assert_unprivileged(service)
    with pop3.Client(service.port) as client:
        client.sign_in(user)
        client.quit()
    assert service.certificate()


def test_the_state_directory_is_the_users(service):
    state = os.stat(f"{service.folder}/state")
    assert state.st_uid == pwd.getpwnam("nobody").pw_uid and state.st_mode & 0o777 == 0o700


def test_a_renewed_key_that_only_root_may_read_is_used(service, pki):
    before = service.certificate()
    service.install(pki.leaf("renewed"))
    net.wait_until(lambda: service.certificate() != before, 20 * net.slow_factor(), "renewed")


def test_a_reload_adds_a_port_below_1024(service):
    added = low_port()
    service.write(listen=[*service.settings["listen"], {"address": f"127.0.0.1:{added}"}])
    service.tell(signal.SIGHUP, "reloaded")
    with pop3.Client(added) as client:
        assert client.greeting.startswith(b"+OK")


def test_an_upgrade_keeps_what_the_master_may_and_gives_the_roles_none(service, pki, user):
    for _ in range(2):
        service.tell(signal.SIGUSR2, "upgraded")
    net.wait_until(lambda: len(service.bridge.pids()) == 5, 20, "the old ones end")
    all_serve(service)
    assert_unprivileged(service)
    before = service.certificate()
    service.install(pki.leaf("after"))
    service.tell(signal.SIGHUP, "reloaded")
    assert service.certificate() != before
    with pop3.Client(service.port) as client:
        client.sign_in(user)
        client.quit()


def test_a_worker_that_died_is_started_again_with_roots_key(service):
    for pid in roles.pids(service.bridge, "worker"):
        roles.kill(pid)
    all_serve(service)
    assert net.wait_until(service.certificate, 10, "TLS")


def test_a_user_that_is_not_there_is_said(fake, folder="/nonexistent"):
    config = f"user: no-such-user-here\nlisten: [{{address: '127.0.0.1:{net.free_port()}'}}]\n" \
        f"routes: [{{match: '*', server: '{fake.url}'}}]\n"
    with bridge_module.Bridge(config, wait=False) as bridge:
        assert bridge.process.wait(20) == 1
        bridge._forgiven = True
        assert "no user no-such-user-here" in bridge.log("not started")[0]["message"]


def test_an_ordinary_user_is_told_that_a_low_port_takes_a_restart(fake, tmp_path):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as start:
        if int(start.read()) < 1024:
            pytest.skip("here anybody may bind any port")
    folder = net.short_folder("pr")
    config, log = f"{folder}/popbridge.yaml", f"{folder}/log"

    def write(*ports):
        with open(config, "w", encoding="ascii") as out:
            out.write(f"routes: [{{match: '*', server: '{fake.url}'}}]\nlisten:\n")
            out.writelines(f"- address: '127.0.0.1:{port}'\n" for port in ports)

    port = net.free_port()
    write(port)
    with open(log, "wb") as stderr:
        process = subprocess.Popen(
            ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
             bridge_module.binary(), "serve", "-c", config], stderr=stderr)

    def said(words):
        with open(log, encoding="utf-8") as text:
            return words in text.read()

    try:
        net.wait_until(lambda: said("event=ready"), 20, "ready")
        write(port, low_port())
        process.send_signal(signal.SIGHUP)
        net.wait_until(lambda: said("not reloaded"), 20, "refused")
        assert said("one that a reload adds takes a restart")
        with pop3.Client(port) as client:
            assert client.greeting
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        net.remove_folder(folder)


# What is said at the start ---------------------------------------------------------------


def has_user(name):
    return any(found.pw_name == name for found in pwd.getpwall())


@pytest.mark.skipif(has_user("popbridge"), reason="there is a user popbridge here")
def test_root_is_told_that_the_service_runs_as_nobody(fake):
    settings = roles.config(fake.url, listen=[{"address": "127.0.0.1:0"}])
    with bridge_module.Bridge(bridge_module.json.dumps(settings)) as bridge:
        said = bridge.wait_log("runs as nobody")[0]
        assert said["level"] == "warning" and "adduser" in said["message"]


def test_a_key_that_others_may_read_is_told_at_the_start(fake, pki):
    folder = net.short_folder("pr")
    key = shutil.copy(pki.server.key, f"{folder}/key")
    os.chmod(key, 0o644)
    settings = roles.config(fake.url, tls={"certificate": pki.server.chain, "key": key})
    with bridge_module.Bridge(settings, tls=pki) as bridge:
        said = bridge.wait_log("secret exposed")
        assert [line["level"] for line in said] == ["warning"]
        assert f"run: chmod o-rwx {key}" in said[0]["message"]
    net.remove_folder(folder)

"""The image as people run it: read-only, without capabilities, as any user."""

import contextlib
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess

import pytest
from engine import HOST, PEER, run, wait_until

LOCKED = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
USERS = [None, "4321:4321"]  # the image's own, and one it has never heard of


def options(*more, user=None):
    return [*LOCKED, *(("--user", user) if user else ()), *more]


@pytest.fixture
def bridge_to(host, network, pki, dovecot):
    """popbridge with the environment alone, ports published, in front of `dovecot`."""
    started = []

    def start(*more, user=None, upstream=("-e", "POPBRIDGE_UPSTREAM=imaps://dovecot")):
        bridge = host.start("popbridge", options=options(
            "--network", network, *upstream, "-p", "1110:1110", "-p", "1995:1995",
            "-v", f"{pki.ca}:/usr/lib/ssl/cert.pem:ro", *more, user=user))
        started.append(bridge)
        return bridge.wait_log("event=ready")

    yield start
    for bridge in started:
        host.podman("rm", "-f", "-t", "5", "-v", bridge.name)


def configuration(host):
    return json.loads(host.podman("image", "inspect", "localhost/popbridge").stdout)[0]


def test_the_image_says_what_it_needs(host):
    config = configuration(host)["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/var/lib/popbridge"]
    assert config["Entrypoint"] == ["/usr/sbin/popbridge"]
    assert set(config["ExposedPorts"]) == {"1110/tcp", "1995/tcp", "9110/tcp"}
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "popbridge"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    said = host.podman("run", "--rm", "--network", "none", "localhost/popbridge", "--version")
    assert said.stdout == f"popbridge {labels['org.opencontainers.image.version']}\n"
    check = configuration(host)["Healthcheck"]
    assert check["Test"] == ["CMD", "/usr/sbin/popbridge", "health"]


@pytest.fixture(scope="module")
def tree(host):
    """Where the image's files are, as paths from its root."""
    mount = host.podman("image", "mount", "localhost/popbridge").stdout.strip()
    yield mount
    host.podman("image", "umount", "localhost/popbridge")


def files(tree):
    return {os.path.join("/", os.path.relpath(os.path.join(folder, name), tree))
            for folder, _, names in os.walk(tree) for name in names}


def test_no_program_but_ours_is_in_the_image(host, tree):
    """No shell, no compiler, no package manager."""
    programs = {path for path in files(tree)
                if os.access(tree + path, os.X_OK) and not re.search(r"\.so(\.\d+)*$", path)}
    assert programs == {"/usr/sbin/popbridge"}
    setuid = [path for path in files(tree) if os.lstat(tree + path).st_mode & 0o6000]
    assert setuid == []
    assert configuration(host)["Size"] < 40e6


def test_scanners_and_lawyers_find_each_package(tree):
    records = os.listdir(f"{tree}/var/lib/dpkg/status.d")
    assert {"libc6", "libssl3", "libetpan20", "libuv1", "ca-certificates"} <= set(records)
    for package in records:
        with open(f"{tree}/var/lib/dpkg/status.d/{package}", encoding="utf-8") as record:
            assert re.search(rf"^Package: {re.escape(package)}$.*^Version: \S", record.read(),
                             re.M | re.S)
    assert {f"/usr/share/doc/{package}/copyright" for package in [*records, "popbridge"]} <= \
        files(tree)


@pytest.mark.parametrize("user", USERS)
def test_a_server_alone_is_enough(host, bridge_to, user):
    bridge_to("-e", f"POPBRIDGE_PLAIN_FROM={PEER}/32", user=user)
    mail = host.curl("-u", "demo:demo", f"pop3://{HOST}:1110/1").stdout
    assert "This message lies on an IMAP server" in mail
    over_tls = host.curl("-k", "-u", "demo:demo", f"pop3s://{HOST}:1995/1").stdout
    assert over_tls == mail


def test_plain_passwords_are_for_the_named_networks_only(host, bridge_to):
    bridge_to("-e", "POPBRIDGE_PLAIN_FROM=192.168.0.0/16")
    refused = host.curl("-u", "demo:demo", f"pop3://{HOST}:1110/1", check=False)
    assert refused.returncode != 0
    listing = host.curl("-k", "--ssl-reqd", "-u", "demo:demo", f"pop3://{HOST}:1110/").stdout
    assert len(listing.splitlines()) == 3


def test_the_client_keeps_its_address(host, bridge_to):
    bridge = bridge_to()
    host.curl("-k", "-u", "demo:wrong", f"pop3s://{HOST}:1995/", check=False)
    bridge.wait_log(PEER)


def test_the_server_may_stand_in_a_file(host, bridge_to, tmp_path):
    secret = tmp_path / "upstream"
    secret.write_text("imaps://dovecot\n")
    secret.chmod(0o644)
    bridge_to("-v", f"{secret}:/run/secrets/upstream:ro",
              upstream=("-e", "POPBRIDGE_UPSTREAM_FILE=/run/secrets/upstream"))
    host.curl("-k", "-u", "demo:demo", f"pop3s://{HOST}:1995/1")


def test_it_listens_on_both_families(bridge_to):
    bridge = bridge_to()
    for address in ("127.0.0.1", "[::1]"):
        for port, scheme in ((1110, "pop3"), (1995, "pop3s")):
            capabilities = bridge.inside("curl", "-sSk", "--max-time", "10", "-X", "CAPA",
                                         f"{scheme}://{address}:{port}").stdout
            assert "UIDL" in capabilities


def fingerprint(bridge):
    return re.search(r"sha256=([0-9A-F:]+)", bridge.log)[1]


def test_the_certificate_is_kept_in_the_volume(host, bridge_to):
    seen = []
    for _ in range(2):
        bridge = bridge_to("-v", "kept:/var/lib/popbridge")
        shown = run("nsenter", f"--net=/run/netns/{host.peer}", "openssl", "s_client",
                    "-connect", f"{HOST}:1995", input="")
        pem = re.search(r"-----BEGIN.*END CERTIFICATE-----", shown.stdout, re.S)[0]
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem))
        assert digest.hexdigest().upper() == fingerprint(bridge).replace(":", "")
        seen.append(fingerprint(bridge))
        assert bridge.stop() == 0
    host.podman("volume", "rm", "-f", "kept")
    assert seen[0] == seen[1]


@pytest.mark.parametrize("user", USERS)
def test_stop_ends_it_with_exit_code_0(bridge_to, user):
    bridge = bridge_to(user=user)
    assert bridge.stop() == 0
    assert "event=stopping" in bridge.log


def is_healthy(host, bridge):
    done = host.podman("healthcheck", "run", bridge.name, check=False)
    print(done.stdout, done.stderr)
    return done.returncode == 0


def test_the_health_check_tells_well_from_ill(bridge_to, host):
    bridge = bridge_to()
    assert is_healthy(host, bridge), bridge.log
    master = bridge.state["Pid"]
    with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as children:
        roles = [int(role) for role in children.read().split()]
    for role in roles:
        os.kill(role, signal.SIGSTOP)
    try:
        assert not is_healthy(host, bridge)
    finally:
        for role in roles:
            with contextlib.suppress(ProcessLookupError):  # the master has replaced it
                os.kill(role, signal.SIGCONT)
    wait_until(lambda: is_healthy(host, bridge), 20, "it is well again")


def test_health_metrics_and_status_page_are_on_the_containers_address(bridge_to, host):
    bridge_to("-p", "9110:9110")
    assert '"status":"ok"' in host.curl("-f", f"http://{HOST}:9110/ready").stdout
    assert "popbridge_sessions" in host.curl("-f", f"http://{HOST}:9110/metrics").stdout
    assert "All is well" in host.curl("-f", f"http://{HOST}:9110/").stdout
    by_name = host.curl("--resolve", f"evil.example:9110:{HOST}", "-o", "/dev/null",
                        "-w", "%{http_code}", "http://evil.example:9110/").stdout
    assert by_name == "421"


class Session:
    """A POP3 session over TLS from outside, command by command."""

    def __init__(self, host):
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{host.peer}", "openssl", "s_client", "-quiet",
             "-connect", f"{HOST}:1995"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline().startswith("+OK")
        assert self.say("USER demo").startswith("+OK")
        assert self.say("PASS demo").startswith("+OK")

    def say(self, command):
        self.process.stdin.write(f"{command}\r\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def close(self):
        self.process.kill()
        self.process.communicate()


def test_sessions_end_in_their_own_time_when_it_is_stopped(bridge_to, host):
    bridge = bridge_to()
    session = Session(host)
    try:
        host.podman("kill", "-s", "TERM", bridge.name)
        bridge.wait_log("event=stopping")
        assert session.say("STAT").startswith("+OK 3 ")
        assert bridge.state["Running"]
        assert session.say("QUIT").startswith("+OK")
    finally:
        session.close()
    assert bridge.wait_end() == 0


@pytest.mark.parametrize("kept", ["nothing", "what another user left"])
def test_an_unwritable_state_directory_names_the_command_that_mends_it(host, bridge_to,
                                                                       tmp_path, kept):
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    mount = ("-v", f"{state}:/var/lib/popbridge")
    if kept != "nothing":
        state.chmod(0o777)
        first = bridge_to(*mount, user="1234:1234")
        assert first.stop() == 0
        host.podman("rm", "-f", first.name)
    bridge = host.start("popbridge", options=options(
        "--network", "none", "-e", "POPBRIDGE_UPSTREAM=imaps://dovecot", *mount,
        user="4321:4321"))
    assert bridge.wait_end() == 1
    command = re.search(r"run: (chown -R 4321:4321 /var/lib/popbridge &&"
                        r" chmod -R u\+rwX /var/lib/popbridge)\b", bridge.log)
    assert command, bridge.log
    run("sh", "-c", command[1].replace("/var/lib/popbridge", str(state)))
    bridge_to(*mount, user="4321:4321")
    assert os.path.exists(state / "self-signed.pem")


def test_a_second_instance_on_the_same_state_is_refused(host, bridge_to):
    bridge_to("-v", "shared:/var/lib/popbridge")
    second = host.start("popbridge", options=options(
        "--network", "none", "-e", "POPBRIDGE_UPSTREAM=imaps://dovecot",
        "-v", "shared:/var/lib/popbridge"))
    try:
        assert second.wait_end() == 1
        assert "another popbridge" in second.log
    finally:
        host.podman("rm", "-f", "-t", "2", second.name)


def test_a_mistake_in_the_file_is_said_and_nothing_beside_it(host, tmp_path):
    file = tmp_path / "popbridge.yaml"
    file.write_text("routes: [{match: '*', server: 'imap://imap.example.com'}]\n")
    bridge = host.start("popbridge", options=options(
        "--network", "none", "-v", f"{file}:/etc/popbridge/popbridge.yaml:ro"))
    assert bridge.wait_end() == 1
    assert "routes[0].server" in bridge.log and "give a configuration" not in bridge.log


def test_a_variable_it_does_not_know_is_refused_with_the_right_names(host):
    bridge = host.start("popbridge", options=options(
        "--network", "none", "-e", "POPBRIDGE_UPSTREAM=imaps://dovecot",
        "-e", "POPBRIDGE_PLAINFROM=192.168.0.0/16"))
    assert bridge.wait_end() == 1
    assert "POPBRIDGE_PLAINFROM is no variable" in bridge.log
    assert "POPBRIDGE_PLAIN_FROM" in bridge.log


def test_a_file_and_the_environment_at_once_are_refused(host):
    file = os.path.join(os.path.dirname(__file__), "../../docker/sample/popbridge.yaml")
    bridge = host.start("popbridge", options=options(
        "--network", "none", "-e", "POPBRIDGE_UPSTREAM=imaps://dovecot",
        "-v", f"{os.path.abspath(file)}:/etc/popbridge/popbridge.yaml:ro"))
    assert bridge.wait_end() == 1
    assert "both POPBRIDGE_UPSTREAM and /etc/popbridge/popbridge.yaml" in bridge.log

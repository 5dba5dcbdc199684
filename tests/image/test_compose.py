"""docker/compose.yaml, by docker-compose against podman's Docker API."""

import contextlib
import os
import subprocess

import pytest
import yaml
from engine import TOP, run, wait_until

COMPOSE = os.path.join(TOP, "docker/compose.yaml")


@pytest.fixture
def compose(host):
    socket = os.path.join(os.environ["IMAGE_STATE"], "podman.sock")
    # What build: would make is there already; a Docker API cannot be told about chroots.
    for image in ("popbridge", "popbridge-sample"):
        host.podman("tag", f"localhost/{image}", f"docker.io/library/{image}:latest")
    service = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{host.name}", "podman", "system", "service",
         "--time=0", f"unix://{socket}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def call(*arguments):
        return run("docker-compose", "-p", "sample", "-f", COMPOSE, *arguments,
                   env={**os.environ, "DOCKER_HOST": f"unix://{socket}"})
    try:
        wait_until(lambda: os.path.exists(socket), 10, "the API answers")
        yield call
    finally:
        with contextlib.suppress(RuntimeError):
            call("down", "-v", "-t", "5")
        service.terminate()
        service.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket)


def test_one_command_and_curl_reads_mail(compose, host):
    compose("up", "-d", "--no-build")

    def listing():
        done = host.curl("-u", "demo:demo", "pop3://127.0.0.1:1110/", check=False,
                         outside=False)
        return done.returncode == 0 and done.stdout
    assert len(wait_until(listing, 30, "mail over POP3").splitlines()) == 3
    mail = host.curl("-u", "demo:demo", "pop3://127.0.0.1:1110/1", outside=False).stdout
    assert "you are reading it over POP3" in mail
    over_tls = host.curl("-k", "-u", "demo:demo", "pop3s://127.0.0.1:1995/1", outside=False)
    assert over_tls.stdout == mail


def test_nothing_is_published_beyond_this_host(compose):
    published = [line.strip() for line in compose("config").stdout.splitlines()
                 if line.strip().startswith("- 127.0.0.1:") or "0.0.0.0:" in line]
    assert len(published) == 3
    assert all(line.startswith("- 127.0.0.1:") for line in published)


def test_sessions_have_their_time_to_end():
    with open(COMPOSE, encoding="utf-8") as text:
        service = yaml.safe_load(text)["services"]["popbridge"]
    assert service["stop_grace_period"] == "150s"

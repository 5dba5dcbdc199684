"""
What is shipped beside the program: configurations that it takes, and times that agree. The
rest, by installing and running it, is tests/container's.
"""

import os
import re
import textwrap

import net
import pytest
from bridge import run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text_of(path):
    with open(f"{TOP}/docker/{path}", encoding="utf-8") as file:
        return file.read()


def config_of(path):
    """The file, or what a ConfigMap holds."""
    text = text_of(path)
    inner = re.search(r"^  popbridge.yaml: \|\n((?:    .*\n|\n)+)", text, re.M)
    return textwrap.dedent(inner[1]) if inner else text


@pytest.fixture
def folder():
    path = net.short_folder("shipped")
    yield path
    net.remove_folder(path)


@pytest.mark.parametrize("path", ["debian/popbridge.yaml", "sample/popbridge.yaml",
                                  "kubernetes/configuration.yaml"])
def test_shipped_configurations_are_taken(path, folder, pki):
    config = re.sub(r"(certificate: ).*\.crt", rf"\g<1>{pki.server.chain}", config_of(path))
    config = re.sub(r"(key: ).*\.key", rf"\g<1>{pki.server.key}", config)
    with open(f"{folder}/popbridge.yaml", "w", encoding="utf-8") as file:
        file.write(config.replace("/var/lib/popbridge", f"{folder}/state"))
    done = run("check", f"{folder}/popbridge.yaml")
    assert done.returncode == 0, done.stderr.decode()


def test_whoever_stops_it_waits_longer_than_sessions_may_take():
    drain = int(re.search(r"^  drain: (\d+)s$", text_of("popbridge.yaml"), re.M)[1])
    for path, pattern in (("compose.yaml", r"stop_grace_period: (\d+)s"),
                          ("kubernetes/popbridge.yaml",
                           r"terminationGracePeriodSeconds: (\d+)"),
                          ("systemd/popbridge.service", r"TimeoutStopSec=(\d+)")):
        waits = int(re.search(pattern, text_of(path))[1])
        assert waits == 150 and waits >= drain + 30, path

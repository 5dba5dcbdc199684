"""
What changes while somebody waits: an import that was begun before a token was rotated, a
chosen password that is removed while it is hashed. strace makes them wait.
"""

import os
import signal
import subprocess
import threading

import bridge
import injection
import net
import pytest
import roles
from test_refresh import live_for_a_second, needs_consent, refreshes, sign_in
from test_oauth import Service

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can trace a role")


@pytest.fixture
def service(provider, server):
    provider.clear()
    provider.rewrite = live_for_a_second
    started = Service(provider, server.url)
    yield started
    started.close()


class Held:
    """A subcommand that stops when it has sent its n-th message."""

    def __init__(self, when, *words):
        folder = net.short_folder("he")
        self._trace = f"{folder}/trace"
        # LeakSanitizer cannot work while somebody else traces the process.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.process = subprocess.Popen(
            ["strace", "-qq", "-o", self._trace, "-e", "trace=sendto", "-e",
             f"inject=sendto:signal=STOP:when={when}", bridge.binary(), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**bridge.without_ours(), "ASAN_OPTIONS": sanitizer})
        self._pid = net.wait_until(self._stopped, 10 * net.slow_factor(), "it is stopped")
        self._folder = folder

    def _stopped(self):
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                with open(self._trace, encoding="utf-8", errors="replace") as trace:
                    text = trace.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == self.process.pid and "--- stopped by SIGSTOP" in text:
                return pid
        return None

    def go_on(self):
        """What it says to its end."""
        os.kill(self._pid, signal.SIGCONT)
        out, _ = self.process.communicate(timeout=20 * net.slow_factor())
        net.remove_folder(self._folder)
        return out


def test_an_import_keeps_the_token_that_was_rotated_meanwhile(service, user):
    password = service.consented(user)
    refreshes(service, user, password)
    path = service.file("accounts.csv", "user,mailbox,kind,provider\n"
                        f"{user},{user},oauth,test")
    held = Held(1, "account", "import", path, "-c", service.running.config_path)
    refreshes(service, user, password)
    assert "1 account" in held.go_on()
    refreshes(service, user, password)
    assert not needs_consent(service, user)


def test_an_import_that_names_another_person_drops_the_token_rotated_meanwhile(
        service, user):
    password = service.consented(user)
    refreshes(service, user, password)
    path = service.file("accounts.csv", "user,mailbox,kind,provider,signs_in_as\n"
                        f"{user},{user},oauth,test,other@example.test")
    held = Held(1, "account", "import", path, "-c", service.running.config_path)
    refreshes(service, user, password)
    assert "1 account" in held.go_on()
    assert service.shown(user)["consent"] == "nobody has consented yet"
    assert "[SYS/PERM]" in sign_in(service, user, password)


def test_a_chosen_password_removed_while_it_is_hashed_admits_nobody(service, user):
    service.consented(user)
    chosen = "correct horse battery"
    service.account("password", user, "--password-file", service.file("chosen", chosen))
    assert sign_in(service, user, "makes the threads") != "0"
    keeper = roles.pids(service.running, "keeper")[0]
    answers = []
    # The threads that hash wake the keeper with a write.
    with injection.Injection(injection.other_threads(keeper), "write",
                             "delay_enter=2000000:when=1"):
        client = threading.Thread(
            target=lambda: answers.append(sign_in(service, user, chosen)))
        client.start()
        removed = service.account("password", user, "--remove", "2")
        client.join(30 * net.slow_factor())
    assert "gone" in removed and answers and answers[0] != "0"

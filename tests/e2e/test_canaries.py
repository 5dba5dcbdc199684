"""
A thousand secrets of every kind go through a service that logs all it can, and none of
them stands anywhere afterwards: not in what it says, not in /proc, not in its files, not
in a core file.
"""

import base64
import concurrent.futures
import itertools
import os
import poplib
import re
import signal
import subprocess
import urllib.parse

import bridge
import fake_imap
import net
import oauth
import pytest
import roles
from test_oauth import Service
from test_web import Web, find_port

MARK = "cAnArY7f3A"  # every secret that we can choose begins so; the rest is a number
ACCOUNTS = 200  # each with five secrets
KEY = base64.b64encode(b"cAnArY7f3A-the-32-octets-of-key!").decode()


def forms(secret):
    """How a secret may stand in a text that nobody meant to put it into."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(),
             urllib.parse.quote(secret).encode(), raw[::-1]}
    for skip in range(3):  # wherever in a larger text it stands
        part = base64.b64encode(raw[skip:][:len(raw[skip:]) // 3 * 3])
        found |= {part, part.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def pattern_of(secrets):
    """The mark stands for all that begin with it; the others are looked for one by one."""
    words = set(forms(MARK)).union(*(forms(one) for one in secrets if MARK not in one))
    return re.compile(b"|".join(re.escape(word) for word in sorted(words, key=len)))


class Canaries(oauth.Front):
    """A provider whose every token is a canary."""

    def __init__(self, secrets):
        super().__init__()
        self._secrets, self._numbers = secrets, itertools.count()
        self.on("/token", self._grant)
        self.folder = net.short_folder("cn")
        path = f"{self.folder}/client.secret"
        with open(path, "w", encoding="ascii") as out:
            out.write(self._new("client"))
        self.config = {"name": "test", "kind": "custom", "client-id": "client",
                       "scope": "imap", "token-endpoint": f"{self.url}/token",
                       "client-secret-file": path}

    def _new(self, kind):
        secret = f"{MARK}-{kind}-{next(self._numbers)}"
        self._secrets.add(secret)
        return secret

    def _grant(self, asked):
        return 200, {"access_token": self._new("access"), "token_type": "Bearer",
                     "expires_in": 1, "refresh_token": self._new("refresh")}

    def close(self):
        super().close()
        net.remove_folder(self.folder)


def sign_in(service, name, password):
    """The server takes no canary: the refusal is a line more that might name it."""
    client = poplib.POP3(*service.running.addresses()[0], timeout=30 * net.slow_factor())
    try:
        client.user(name)
        client.pass_(password)
        client.quit()
    except poplib.error_proto:
        client.close()


def equip(service, secrets, n):
    """What the commands say to whom they are told secrets."""
    stored, pasted, chosen = (f"{MARK}-{kind}-{n}" for kind in
                              ("stored", "pasted", "chosen"))
    secrets |= {stored, pasted, chosen}
    paths = [service.file(f"secret{n}-{place}", secret)
             for place, secret in enumerate((stored, pasted, chosen))]
    said = service.account("change", f"stored{n}", "--password-file", paths[0])
    said += service.account("consent", f"oauth{n}", "--refresh-token-file", paths[1])
    said += service.account("password", f"oauth{n}", "--password-file", paths[2],
                            *(["--apop"] if n % 2 else []))
    for path in paths:
        os.unlink(path)
    return said


def fill(service, secrets, said):
    """Accounts of both kinds; some sign in, rightly, wrongly, and unknown ones."""
    rows = ["user,mailbox,kind,provider"]
    rows += [f"stored{n},stored{n},password," for n in range(ACCOUNTS)]
    rows += [f"oauth{n},oauth{n},oauth,test" for n in range(ACCOUNTS)]
    said.append(service.account("import", service.file("all.csv", "\n".join(rows))))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        said += pool.map(lambda n: equip(service, secrets, n), range(ACCOUNTS))
    for n in range(0, ACCOUNTS, 10):
        sign_in(service, f"oauth{n}", f"{MARK}-chosen-{n}")
        sign_in(service, f"oauth{n}", f"{MARK}-wrong-{n}")
        sign_in(service, f"nobody{n}", f"{MARK}-upstream-{n}")
        secrets |= {f"{MARK}-wrong-{n}", f"{MARK}-upstream-{n}"}


def what_it_shows(service):
    """Its log at the highest level, its pages, its commands."""
    web = Web(net.wait_until(lambda: find_port(service.running.log()), 10, "web"))
    said = [service.running.stderr]
    said += [web.ask(page)[2] for page in ("/", "/metrics", "/status.json", "/status.txt")]
    for words in (["list", "--json"], ["list"], ["show", "oauth1"], ["show", "stored1"],
                  ["export", "-"]):
        said.append(service.account(*words))
    for words in (["status"], ["status", "--problems", "--json"], ["explain", "oauth10"],
                  ["check"]):
        done = bridge.run(*words, "-c", service.running.config_path)
        said.append((done.stdout + done.stderr).decode())
    return "".join(said).encode()


def proc_files(service):
    """What another process may see of ours; its memory is another matter."""
    found = b""
    for pid in service.running.pids():
        for name in ("cmdline", "environ", "maps", "status", "comm"):
            with open(f"/proc/{pid}/{name}", "rb") as text:
                found += text.read()
        for number, link in roles.descriptors(pid).items():
            found += f"{number} {link}\n".encode()
    return found


def files_below(folder):
    found = b""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path):
                with open(path, "rb") as content:
                    found += name.encode() + content.read()
    return found


@pytest.fixture(scope="module")
def filled():
    """A service through which all of it has gone, and the secrets."""
    secrets, said = {KEY}, []
    provider = Canaries(secrets)
    with fake_imap.FakeImap() as fake:
        service = Service(provider, fake.url, web={"address": "127.0.0.1:0"},
                          log={"level": "debug", "trace": ["oauth*", "stored*"]})
        service.file("master.key", KEY)
        service.running.close()
        net.remove_folder(f"{service.folder}/state")
        service.running = bridge.Bridge(service.config)
        fill(service, secrets, said)
        yield service, secrets, "".join(said).encode()
        service.close()
    provider.close()


def test_no_secret_is_said_or_shown(filled):
    service, secrets, said = filled
    said += what_it_shows(service) + proc_files(service)
    assert len(secrets) >= 1000 and b"oauth10" in said and b"trace" in said
    found = pattern_of(secrets).search(said)
    assert not found, said[max(found.start() - 200, 0):found.end() + 50]


def test_no_secret_is_in_a_file(filled):
    """The store with its write-ahead log, as it is while it serves, and when it has ended."""
    service, secrets, _ = filled
    folder = f"{service.folder}/state"
    names = os.listdir(folder)
    assert "popbridge.db-wal" in names
    kept = files_below(folder)
    assert b"oauth10" in kept
    assert not pattern_of(secrets).search(kept)


@pytest.mark.skipif(bridge.is_sanitized(), reason="sanitizers have other ideas")
def test_no_core_file_is_left(filled):
    service, secrets, _ = filled
    before = set(os.listdir(service.running.folder))
    service.running._forgiven = True
    for role in ("worker", "keeper", "oauth", "web"):
        pid = roles.pids(service.running, role)[0]
        with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], role
        roles.kill(pid, signal.SIGSEGV)
        roles.wait_gone([pid], 10)
    assert set(os.listdir(service.running.folder)) == before
    assert not pattern_of(secrets).search(files_below(service.running.folder))


@pytest.mark.skipif(bridge.is_sanitized(), reason="sanitizers trace themselves")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_no_other_process_of_the_same_user_may_look(start_bridge):
    """Into its memory or environment, that is: ptrace is off, and so are core files."""
    other = subprocess.Popen(net.die_with_parent(["setpriv", *NOBODY, "sleep", "60"]))
    net.wait_until(lambda: not _is_hidden(other.pid, "environ"), 5, "others are seen")
    running = start_bridge({"user": "nobody", "web": {"address": "127.0.0.1:0"},
                            "routes": [{"match": "*", "server": "imaps://localhost"}]})
    for pid in running.pids():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            assert "\nUid:\t65534" in status.read()
        assert _is_hidden(pid, "environ") and _is_hidden(pid, "maps"), pid
    other.kill()
    other.wait()


NOBODY = ["--reuid", "nobody", "--clear-groups", "--bounding-set", "-all"]


def _is_hidden(pid, name):
    looks = ["setpriv", *NOBODY, "head", "-c", "1", f"/proc/{pid}/{name}"]
    return subprocess.run(looks, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("text", [
    f"password={MARK}-chosen-7", f"x{base64.b64encode(('u' + MARK + '-a-1').encode()).decode()}",
    (MARK + "-stored-3").encode().hex(), KEY, urllib.parse.quote(KEY)])
def test_a_planted_secret_is_found(text):
    assert pattern_of({KEY}).search(b"some text " + text.encode() + b" more")
    assert not pattern_of({KEY}).search(b"some text and more")

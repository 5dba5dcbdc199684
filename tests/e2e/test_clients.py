"""
Real POP3 clients: curl, fetchmail, getmail, mpop and Python's poplib, each over every kind
of TLS it knows. Each fetches the same 200 messages twice, and nothing new the second time;
then each fetches and deletes. The measure is always what IMAP says: BODY.PEEK[], octet by
octet, line ends aside where a client stores them in the way of its machine.
"""

import os
import poplib
import re
import shutil
import stat
import subprocess
import uuid

import mails
import net
import pop3
import pytest

COUNT = 200
FETCHMAIL_LINE = 8000  # it breaks longer ones itself, whatever server it reads from
PASSWORD = "secret"
MODES = ["none", "starttls", "implicit"]


class Job:
    """One client's configuration and memory in a folder of its own."""

    def __init__(self, folder, bridge, tls, user, ca):
        self.folder = str(folder)
        self.port = bridge.port(tls)
        self.tls, self.user, self.ca = tls, user, ca
        os.makedirs(self.path("home"), exist_ok=True)

    def path(self, name):
        return f"{self.folder}/{name}"

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def run(self, *command, codes=(0,)):
        # Only what the client needs: no proxy or configuration of who runs the tests.
        environment = {"PATH": os.environ["PATH"], "HOME": self.path("home"),
                       "LANG": "C.UTF-8"}
        done = subprocess.run(command, capture_output=True, env=environment, check=False,
                              cwd=self.folder, stdin=subprocess.DEVNULL,
                              timeout=CLIENT_S * net.slow_factor())
        text = f"{command[0]}: {done.returncode}\n" \
            f"{done.stdout[-3000:].decode(errors='replace')}" \
            f"{done.stderr[-3000:].decode(errors='replace')}"
        assert done.returncode in codes, text
        return done

    def take(self, *folders):
        """The files a client left in these folders, by name, and they are gone."""
        found = []
        for folder in folders:
            place = self.path(folder)
            for name in sorted(os.listdir(place)):
                with open(f"{place}/{name}", "rb") as message:
                    found.append(message.read())
                os.unlink(f"{place}/{name}")
        return found

    def make_maildir(self, given_away=False):
        """given_away: to nobody, whose name it returns."""
        for name in ("maildir", "maildir/cur", "maildir/new", "maildir/tmp"):
            os.makedirs(self.path(name), exist_ok=True)
            if given_away:
                shutil.chown(self.path(name), "nobody")
        return "nobody" if given_away else None


# The clients: fetch(job, delete) gives the messages that were new to it ------------


class Curl:
    """
    Has no memory of its own: the script around it has, as scripts do. UIDL first, then
    all new messages over one connection.
    """

    modes = MODES
    keeps_line_ends = True

    @staticmethod
    def arguments(job):
        scheme = "pop3s" if job.tls == "implicit" else "pop3"
        text = f'user = "{job.user}:{PASSWORD}"\ncacert = "{job.ca}"\nfail\nsilent\n' \
            "show-error\n"
        if job.tls == "starttls":
            text += "ssl-reqd\n"
        return text, f"{scheme}://localhost:{job.port}"

    def fetch(self, job, delete=False):
        text, url = self.arguments(job)
        config = job.write("uidl", f'{text}request = "UIDL"\nurl = "{url}/"\n')
        listing = job.run("/usr/bin/curl", "-q", "-K", config).stdout
        seen = self._memory(job)
        new = [(number, unique) for number, unique in
               (line.split() for line in listing.split(b"\r\n") if line)
               if unique not in seen]
        self._remember(job, [unique for _, unique in new])
        os.makedirs(job.path("out"), exist_ok=True)
        if new:
            self._download(job, text, url, [number.decode() for number, _ in new])
        if delete and new:
            self._delete(job, text, url, [number.decode() for number, _ in new])
        return job.take("out")

    @staticmethod
    def _download(job, text, url, numbers):
        for number in numbers:
            text += f'url = "{url}/{number}"\n' \
                f'output = "{job.path("out")}/{int(number):04}"\n'
        job.run("/usr/bin/curl", "-q", "-K", job.write("retr", text))
        empty = [number for number in numbers  # curl makes no file of no octets
                 if not os.path.exists(f'{job.path("out")}/{int(number):04}')]
        assert not empty, f"not downloaded: {empty}"

    @staticmethod
    def _delete(job, text, url, numbers):
        """list-only: curl then expects no message to follow."""
        parts = [f'{text}list-only\nrequest = "DELE"\nurl = "{url}/{number}"\n'
                 for number in numbers]
        job.run("/usr/bin/curl", "-q", "-K", job.write("dele", "next\n".join(parts)))

    @staticmethod
    def _memory(job):
        if not os.path.exists(job.path("seen")):
            return set()
        with open(job.path("seen"), "rb") as seen:
            return set(seen.read().split())

    @staticmethod
    def _remember(job, uniques):
        with open(job.path("seen"), "ab") as seen:
            seen.write(b"".join(unique + b"\n" for unique in uniques))


class Fetchmail:
    """Stores what its mda gets on standard input; no header of its own ("invisible")."""

    modes = MODES
    keeps_line_ends = False
    store = ('#!/bin/sh\nset -e\nn=$(cat count 2>/dev/null || echo 0)\n'
             'cat > "out/$(printf %04d "$n")"\necho $((n + 1)) > count\n')

    def fetch(self, job, delete=False):
        os.makedirs(job.path("out"), exist_ok=True)
        mda = job.write("mda", self.store, mode=0o700)
        tls = {"none": "sslproto ''", "implicit": "ssl", "starttls": "sslproto 'TLS1.2+'"}
        trust = "" if job.tls == "none" else f" sslcertck sslcertfile '{job.ca}'"
        rc = job.write("fetchmailrc", f"""
set invisible
set no bouncemail
set idfile '{job.path("fetchids")}'
set pidfile '{job.path("fetchmail.pid")}'
poll localhost protocol pop3 service {job.port} uidl
  user '{job.user}' password '{PASSWORD}' is nobody here
  no rewrite no mimedecode {"no keep" if delete else "keep"}
  mda '{mda}' {tls[job.tls]}{trust}
""")
        # 1: no new mail.
        job.run("/usr/bin/fetchmail", "-f", rc, "--nosyslog", "-v", codes=(0, 1))
        return job.take("out")


CLIENT_S = 240  # a client that gets stuck, not one that is slow

# getmail 6.18 forks for each message and sleeps for 60 s when the child was quicker than
# its own wait(): the wake-up is not remembered. Here it is; nothing else is changed.
GETMAIL = """
import runpy, threading
import getmailcore.baseclasses

class Remembering(threading.Condition):
    told = False

    def notify_all(self):
        self.told = True
        super().notify_all()

    def wait(self, timeout=None):
        return self.told or super().wait(timeout)

getmailcore.baseclasses.Condition = Remembering
runpy.run_path("/usr/bin/getmail", run_name="__main__")
"""


class Getmail:
    """Writes no mail as root: there it is told to become somebody else for it."""

    modes = ["none", "implicit"]  # this version knows no STLS
    keeps_line_ends = False
    adds = b"Return-Path: <unknown>\n"

    def fetch(self, job, delete=False):
        owner = job.make_maildir(given_away=os.getuid() == 0)
        kind = "SimplePOP3SSLRetriever" if job.tls == "implicit" else "SimplePOP3Retriever"
        trust = f"ca_certs = {job.ca}" if job.tls == "implicit" else ""
        rc = job.write("getmailrc", f"""
[retriever]
type = {kind}
server = localhost
port = {job.port}
username = {job.user}
password = {PASSWORD}
{trust}
[destination]
type = Maildir
path = {job.path("maildir")}/
{f"user = {owner}" if owner else ""}
[options]
read_all = false
delete = {"true" if delete else "false"}
delivered_to = false
received = false
""")
        launcher = job.write("getmail.py", GETMAIL)
        job.run("/usr/bin/python3", launcher, f"--getmaildir={job.folder}", f"--rcfile={rc}")
        got = job.take("maildir/new", "maildir/cur")
        assert all(one.startswith(self.adds) for one in got)
        return [one.removeprefix(self.adds) for one in got]


class Mpop:
    modes = MODES
    keeps_line_ends = False

    def fetch(self, job, delete=False):
        job.make_maildir()
        tls = {"none": "tls off", "implicit": "tls on\ntls_starttls off",
               "starttls": "tls on\ntls_starttls on"}[job.tls]
        trust = "" if job.tls == "none" else f"tls_trust_file {job.ca}"
        rc = job.write("mpoprc", f"""
defaults
account test
host localhost
port {job.port}
{tls}
{trust}
user {job.user}
password {PASSWORD}
auth user
delivery maildir {job.path("maildir")}
uidls_file {job.path("uidls")}
received_header off
{"keep off" if delete else "keep on"}
""")
        job.run("/usr/bin/mpop", f"--file={rc}", "--quiet", "test")
        return job.take("maildir/new", "maildir/cur")


class Poplib:
    modes = MODES
    keeps_line_ends = True

    def fetch(self, job, delete=False):
        session = self._connect(job)
        session.user(job.user)
        session.pass_(PASSWORD)
        seen = self.__dict__.setdefault("seen", {}).setdefault(job.folder, set())
        found = []
        for line in session.uidl()[1]:
            number, unique = line.split()
            if unique not in seen:
                found.append(b"".join(one + b"\r\n" for one in
                                      session.retr(int(number))[1]))
                seen.add(unique)
                if delete:
                    session.dele(int(number))
        session.quit()
        return found

    @staticmethod
    def _connect(job):
        context = pop3.tls_context(job.ca)
        limit = 60 * net.slow_factor()
        if job.tls == "implicit":
            return poplib.POP3_SSL("localhost", job.port, context=context, timeout=limit)
        session = poplib.POP3("localhost", job.port, timeout=limit)
        if job.tls == "starttls":
            session.stls(context=context)
        return session


CLIENTS = {"curl": Curl, "fetchmail": Fetchmail, "getmail": Getmail, "mpop": Mpop,
           "poplib": Poplib}
CASES = [(name, mode) for name, client in CLIENTS.items() for mode in client.modes]


# What they have to agree with -----------------------------------------------------


def as_stored(body, client):
    """This body as the client keeps it: complete lines, its machine's line ends."""
    octets = pop3.as_pop3(body)
    return octets if client.keeps_line_ends else octets.replace(b"\r\n", b"\n")


def first_difference(got, expected):
    for number, (one, other) in enumerate(zip(sorted(got), sorted(expected))):
        if one != other:
            place = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b),
                         min(len(one), len(other)))
            return f"message {number} (sorted) at octet {place}: " \
                f"{one[max(0, place - 40):place + 40]!r}, " \
                f"expected {other[max(0, place - 40):place + 40]!r}"
    return None


def expect_all(got, bodies, client):
    """Each message once, octet for octet; the order is the client's business."""
    expected = [as_stored(body, client) for body in bodies]
    assert len(got) == len(expected)
    assert sorted(got) == sorted(expected), first_difference(got, expected)


def longest_line(message):
    return max(map(len, message.split(b"\r\n")))


@pytest.fixture(autouse=True)
def long_lines(monkeypatch):
    """poplib takes no line above 2048 octets unless told; mail has longer ones."""
    monkeypatch.setattr(poplib, "_MAXLINE", 1_000_000)


@pytest.fixture(scope="module")
def shared(dovecot):
    """A mailbox of 200 mixed messages that nobody changes: (user, its bodies by IMAP)."""
    user = f"clients{uuid.uuid4().hex[:8]}"
    messages = [one for one in mails.mixed(COUNT * 2) if longest_line(one) < FETCHMAIL_LINE]
    dovecot.deliver(user, messages[:COUNT])
    return user, list(dovecot.bodies(user).values())


@pytest.fixture
def job(bridge_to, dovecot, pki):
    """job(mode, user): a client's run against a bridge with all three listeners."""
    folder = net.short_folder("cl")

    def make(mode, user):
        bridge = bridge_to(dovecot.url_tls, tls=pki, ca_file=pki.ca)
        return Job(folder, bridge, mode, user, pki.ca), bridge

    yield make
    net.remove_folder(folder)


def need(name):
    program = {"poplib": "python3"}.get(name, name)
    assert shutil.which(program), f"{program} is not installed (see tests/README.md)"


def deleted_and_retrieved(bridge, user):
    lines = bridge.wait_log("session ended", user=user, reason="quit")
    return (sum(int(line["deleted"]) for line in lines),
            sum(int(line["retrieved"]) for line in lines))


# Tests ----------------------------------------------------------------------------


@pytest.mark.parametrize("name,mode", CASES)
def test_fetches_200_messages_and_the_second_time_none(name, mode, job, shared, dovecot):
    need(name)
    user, bodies = shared
    assert len(bodies) == COUNT
    client, (task, bridge) = CLIENTS[name](), job(mode, user)
    expect_all(client.fetch(task), bodies, client)
    assert client.fetch(task) == []
    assert deleted_and_retrieved(bridge, user)[0] == 0
    assert len(dovecot.uids(user)) == COUNT
    # What came since is the only thing that is new to it.
    late = mails.simple(f"late for {name} {mode}")
    uid = dovecot.deliver(user, late)[0]
    try:
        expect_all(client.fetch(task), [late], client)
    finally:
        dovecot.expunge(user, [uid])


@pytest.mark.parametrize("name,mode", CASES)
def test_fetches_and_deletes(name, mode, job, user, dovecot):
    need(name)
    messages = [one for one in mails.mixed(30, seed=11)
                if longest_line(one) < FETCHMAIL_LINE]
    dovecot.deliver(user, messages)
    bodies = list(dovecot.bodies(user).values())
    client, (task, _) = CLIENTS[name](), job(mode, user)
    expect_all(client.fetch(task, delete=True), bodies, client)
    assert dovecot.uids(user) == []
    assert client.fetch(task, delete=True) == []


@pytest.mark.parametrize("name", CLIENTS)
def test_messages_that_are_odd_arrive_as_imap_has_them(name, job, user, dovecot):
    """Dots, long lines, 8 bit, no line end at the end; NUL and bare CR no client keeps."""
    need(name)
    odd = ["8 bit", "long line", "no final line end", "dots", "looks like the end",
           "looks like IMAP", "many short lines", "trailing blank lines", "empty body"]
    if name == "fetchmail":
        odd.remove("long line")
    dovecot.deliver(user, [mails.ODD[one] for one in odd])
    bodies = list(dovecot.bodies(user).values())
    client, (task, _) = CLIENTS[name](), job("none", user)
    expect_all(client.fetch(task), bodies, client)


@pytest.mark.parametrize("name", ["curl", "fetchmail", "mpop", "poplib"])
def test_a_wrong_certificate_authority_is_noticed_by_the_client(
        name, job, user, dovecot, pki):
    """The comparison above would be worth little if TLS were not what it seems."""
    need(name)
    dovecot.deliver(user, mails.simple())
    client, (task, bridge) = CLIENTS[name](), job("implicit", user)
    task.ca = pki.self_signed().leaf
    with pytest.raises((AssertionError, OSError)):
        client.fetch(task)
    assert bridge.log("refused") == []
    assert [line for line in bridge.log("session ended") if line["user"] == user] == []


def test_the_clients_are_really_there():
    for name in CLIENTS:
        need(name)
    mode = os.stat(shutil.which("curl")).st_mode
    assert mode & stat.S_IXUSR
    done = subprocess.run(["curl", "--version"], capture_output=True, check=True)
    assert re.search(rb"^Protocols:.* pop3 pop3s ", done.stdout, re.M)

"""
The processes of a service by their role, and a load of clients whose every deletion is
written down: what a test needs that kills, reloads or drains under load.
"""

import os
import signal
import socket
import threading
import time

import net
import pop3

# Two loopback addresses that the listeners hand to different workers of two.
SOURCES = ("127.0.0.1", "127.0.0.2")

# What the shared mailboxes of the load start with.
BODIES = [b"Subject: %d\r\n\r\nbody of message %d\r\n" % (n, n) * n for n in range(1, 5)]


def config(server, **more):
    """Two workers, one plain listener, everybody to that server."""
    return {"workers": 2, "routes": [{"match": "*", "server": server}], **more}


def pids(bridge, role):
    """The processes of this role, in the order they were started."""
    return [pid for pid in bridge.pids()[1:]
            if _command_line(pid)[1:3] == ["--role", role]]


def _command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
            return line.read().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(pid):
    """A zombie is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(gone, seconds):
    net.wait_until(lambda: not any(is_alive(pid) for pid in gone),
                   seconds * net.slow_factor(), f"the processes {gone} end")


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_gone([pid], 5)


def sockets(pid):
    """{inode: descriptor} of the process's sockets."""
    return {int(link[8:-1]): number for number, link in descriptors(pid).items()
            if link.startswith("socket:[")}


def descriptors(pid):
    """{descriptor: what it leads to}"""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def tcp_table():
    """[(local port, remote port, is listening, inode)] of this machine, IPv4."""
    rows = []
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            local, remote = (int(fields[at].split(":")[1], 16) for at in (1, 2))
            rows.append((local, remote, fields[3] == "0A", int(fields[9])))
    return rows


def worker_of(bridge, client):
    """The worker that serves this client's connection."""
    def end(address):  # as /proc/net/tcp spells it
        number = int.from_bytes(socket.inet_aton(address[0]), "little")
        return f"{number:08X}:{address[1]:04X}"

    ends = [end(client.socket.getpeername()), end(client.socket.getsockname())]
    with open("/proc/net/tcp", encoding="ascii") as table:
        inode = next(int(fields[9]) for fields in map(str.split, table)
                     if fields[1:3] == ends)
    return next(pid for pid in pids(bridge, "worker") if inode in sockets(pid))


def greeting_within(bridge, seconds, source):
    """A connection made now: how long until it is greeted."""
    began = time.monotonic()
    with bridge.client(source=source, timeout=20) as client:
        assert client.greeting.startswith(b"+OK")
    took = time.monotonic() - began
    assert took <= seconds * net.slow_factor(), f"greeted after {took:.2f} s"


def sign_in_within(bridge, user, seconds, source):
    """Tries until it works, and says which answers came before."""
    deadline = time.monotonic() + seconds * net.slow_factor()
    answers = []
    while True:
        client = bridge.client(source=source)
        answer = client.try_sign_in(user)
        if answer.startswith(b"+OK"):
            return client, answers
        answers.append(answer)
        client.close()
        assert time.monotonic() < deadline, f"not signed in within {seconds} s: {answers}"


class Load:
    """
    with Load(bridge, fake) as load: ...
    load.check()

    Clients in threads, each session with a user of its own: read, compare, mark some, then
    QUIT or hang up. load.sessions, load.refused (answers), load.aborted (exceptions).
    The fake server's mailboxes must start with BODIES.
    """

    def __init__(self, bridge, fake, clients=4, port=None):
        self._fake, self._port = fake, port or bridge.port()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.sessions, self.refused, self.aborted, self.wrong = 0, [], [], []
        self._asked, self._confirmed = {}, {}  # user: UIDs
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                         for number in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def wait_sessions(self, more, seconds=20):
        goal = self.sessions + more
        net.wait_until(lambda: self.sessions >= goal, seconds * net.slow_factor(),
                       lambda: f"{more} more sessions; {self.refused[-3:]} "
                               f"{self.aborted[-3:]}")

    def _run(self, number):
        source, turn = SOURCES[number % len(SOURCES)], 0
        while not self._stop.is_set():
            turn += 1
            try:
                self._session(f"load{number}x{turn}", source, turn % 3)
            except (pop3.Closed, OSError) as end:
                with self._lock:
                    self.aborted.append((time.monotonic(), repr(end)))

    def _session(self, user, source, kind):
        with pop3.Client(self._port, source=source) as client:
            answer = client.try_sign_in(user)
            if not answer.startswith(b"+OK"):
                with self._lock:
                    self.refused.append(answer)
                return
            marked = [1 + kind, 4]
            self._compare(client, 1 + kind)
            for msgno in marked:
                client.command(f"DELE {msgno}")
            if kind:
                self._quit(client, user, marked)
        with self._lock:
            self.sessions += 1

    def _compare(self, client, msgno):
        answer = client.command(f"RETR {msgno}")
        if not answer.startswith(b"+OK"):
            with self._lock:
                self.refused.append(answer)
        elif client.multiline() != pop3.as_pop3(BODIES[msgno - 1]):
            with self._lock:
                self.wrong.append(msgno)

    def _quit(self, client, user, marked):
        with self._lock:
            self._asked[user] = set(marked)
        answer = client.command("QUIT")
        with self._lock:
            if answer.startswith(b"+OK"):
                self._confirmed[user] = set(marked)
            else:
                self.refused.append(answer)

    def check(self):
        """Nothing is gone that was not asked for, nothing confirmed is there still."""
        assert not self.wrong, f"wrong bodies: {self.wrong}"
        deleted = {}
        for one in self._fake.deletions:
            deleted.setdefault(one.user, set()).add(one.uid)
        for user, uids in deleted.items():
            assert uids <= self._asked.get(user, set()), f"{user} lost {uids}"
        for user, uids in self._confirmed.items():
            assert uids == deleted.get(user), f"{user}: {uids} were not removed"
            assert set(self._fake.mailbox(user).uids()) == {1, 2, 3, 4} - uids


def answer_in_thread(call):
    """call() in a thread; returns a function that waits for its result."""
    done = []

    def run():
        try:
            done.append((call(), None))
        except Exception as error:  # given to whoever waits
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait(seconds=20):
        thread.join(seconds * net.slow_factor())
        assert done, f"no answer within {seconds} s"
        if done[0][1]:
            raise done[0][1]
        return done[0][0]

    wait.is_done = lambda: bool(done)
    return wait


def is_refused(port, source=SOURCES[0]):
    """Does nobody listen there?"""
    with socket.socket() as probe:
        probe.settimeout(5)
        probe.bind((source, 0))
        return probe.connect_ex(("127.0.0.1", port)) != 0

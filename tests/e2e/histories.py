"""
Random histories of a mailbox, looked at through popbridge after every step: whatever it
kept of the steps before, in memory, on disk or as half a list, it must show what IMAP
itself does.

    with Dovecot(...) as dovecot, Relay(dovecot) as relay:
        History(dovecot, relay, "user", random.Random(seed)).run(100)
"""

import collections
import shutil
import socket
import threading

import bridge
import mails
import net
import roles

# What servers offer: all that Dovecot has, and less.
SERVERS = {
    "all": None,
    "no CONDSTORE, no QRESYNC": "IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN ID ENABLE ESEARCH",
    "no ESEARCH": "IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN ID ENABLE CONDSTORE QRESYNC",
    "UIDPLUS alone": "IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN ID",
    "nothing": "IMAP4rev1 AUTH=PLAIN",
}
STEPS = {  # and how often
    "nothing": 4, "arrive": 8, "expunge": 5, "delete": 4, "retrieve": 3, "flag": 1,
    "renumber": 1, "empty": 1, "cut": 3, "drop": 1, "restart": 1, "kill_worker": 0.3,
    "kill_keeper": 0.3, "kill": 0.3,
}
MOST = 60  # messages; more make it slow and find nothing
CUT_OCTETS = 3000  # of a sign-in and a list


class Relay:
    """Between popbridge and the server: cut() lets so many octets through, then resets."""

    def __init__(self, server):
        self._to = server.port if hasattr(server, "port") else int(
            server.url.rsplit(":", 1)[1])
        self._left = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"imap://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def cut(self, octets):
        """None: no more."""
        with self._lock:
            self._left = octets

    def _accept(self):
        try:
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._to))
                for one, other in ((client, server), (server, client)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pump, args=(one, other, one is server),
                                     daemon=True).start()
        except OSError:
            pass

    def _may_pass(self, count):
        with self._lock:
            if self._left is None:
                return count
            passed = min(count, self._left)
            self._left -= passed
            return passed

    def _pump(self, source, sink, counts):
        try:
            while octets := source.recv(65536):
                passed = self._may_pass(len(octets)) if counts else len(octets)
                sink.sendall(octets[:passed])
                if passed < len(octets):
                    break
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def fresh_view(dovecot, user):
    """As IMAP itself lists it: [(unique-id, octets)]."""
    with dovecot.imap(user) as imap:
        imap.select("INBOX", readonly=True)
        validity = int(imap.response("UIDVALIDITY")[1][0])
        answer = imap.uid("FETCH", "1:*", "(UID RFC822.SIZE)")[1]
    rows = []
    for line in answer:
        if line:
            words = line.decode().replace("(", " ").replace(")", " ").split()
            rows.append((int(words[words.index("UID") + 1]),
                         int(words[words.index("RFC822.SIZE") + 1])))
    return [(f"{uid:08x}{validity:08x}", octets) for uid, octets in sorted(rows)]


class Service:
    """popbridge with a state directory, which outlives it."""

    def __init__(self, relay, parking):
        self.folder = net.short_folder("hi")
        self._config = {"workers": 1, "state": self.folder, "limits": {"parking": parking},
                        "log": {"level": "info"},
                        "routes": [{"match": "*", "server": relay.url,
                                    "without-uidplus": "careful"}]}
        self.bridge = bridge.Bridge(self._config)

    def start_again(self, kill=False):
        if kill:
            self.bridge.kill()
        self.bridge.close()
        self.bridge = bridge.Bridge(self._config)

    def close(self):
        if self.bridge.process.poll() is None:
            self.bridge.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class History:
    """Things happen to a mailbox, to its server and to popbridge."""

    def __init__(self, dovecot, relay, user, dice):
        self.dovecot, self.relay, self.user, self.dice = dovecot, relay, user, dice
        self.services = [Service(relay, "5m"), Service(relay, "off")]
        self.service = self.services[0]
        self.said = []
        self.counts = collections.Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for service in self.services:
            service.close()

    def run(self, steps):
        for number in range(steps):
            self.service = self.dice.choice(self.services)
            name = self.dice.choices(list(STEPS), list(STEPS.values()))[0]
            self.said.append(name)
            self.counts[name] += 1
            self.act = lambda client: None
            try:
                getattr(self, name)()
                self.look()
            except (AssertionError, OSError) as wrong:
                raise AssertionError(f"step {number}, after {self.said[-10:]}: {wrong!r}\n"
                                     f"{self.service.bridge.stderr[-4000:]}") from wrong

    def look(self):
        """A sign-in sees what is there, and goes on to see it; what it does is done."""
        with self.service.bridge.signed_in(self.user) as client:
            self.counts["sign-ins"] += 1
            truth = fresh_view(self.dovecot, self.user)
            self.compare(client, truth)
            self.act(client)
            if self.dice.random() < 0.15:
                self.arrive()  # while it is open: not in this view, in the next
                self.compare_what_is_left(client, truth)
            if self.dice.random() < 0.9:
                client.ok("QUIT")

    def compare(self, client, truth):
        uidl, sizes = client.uidl(), client.list()
        shown = [(uidl[n], sizes[n]) for n in sorted(uidl)]
        assert shown == truth, f"shown: {shown}, there: {truth}"
        stat = client.stat()
        assert stat == (len(truth), sum(octets for _, octets in truth)), stat

    def compare_what_is_left(self, client, truth):
        more = set(client.uidl().values()) - {unique_id for unique_id, _ in truth}
        assert not more, f"shown, though they came later: {more}"

    # The mailbox ------------------------------------------------------------------

    def nothing(self):
        pass

    def arrive(self):
        count = self.dice.randrange(1, 5)
        if len(self.dovecot.uids(self.user)) > MOST:
            self.empty()
        self.dovecot.deliver(self.user, [
            mails.of_size(self.dice.randrange(100, 3000)) for _ in range(count)])

    def expunge(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            some = self.dice.sample(uids, self.dice.randrange(1, len(uids) // 2 + 2))
            self.dovecot.expunge(self.user, some)

    def renumber(self):
        """
        Dovecot goes on to give the old UIDVALIDITY to who selected the folder before, over
        a connection that is kept, so that none is.
        """
        self.dovecot.change_uidvalidity(self.user)
        self.dovecot.drop_connections(self.user)

    def empty(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            self.dovecot.expunge(self.user, uids)

    def flag(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            self.dovecot.set_flags(self.user, [self.dice.choice(uids)], r"\Seen")

    # The session ------------------------------------------------------------------

    def delete(self):
        """By popbridge itself, which then knows without asking what is gone."""
        def act(client):
            count = client.stat()[0]
            for msgno in self.dice.sample(range(1, count + 1), min(count, 2)):
                client.ok(f"DELE {msgno}")
        self.act = act

    def retrieve(self):
        def act(client):
            count = client.stat()[0]
            for msgno in self.dice.sample(range(1, count + 1), min(count, 2)):
                client.retr(msgno)
        self.act = act

    # The connection ---------------------------------------------------------------

    def cut(self):
        """In the middle of a sign-in or a list, mostly."""
        if self.dice.random() < 0.5:
            self.arrive()
        self.relay.cut(self.dice.randrange(CUT_OCTETS))
        with self.service.bridge.client() as client:
            answer = client.try_sign_in(self.user)
            if answer.startswith(b"+OK"):
                self.compare(client, fresh_view(self.dovecot, self.user))
            else:
                assert answer.startswith(b"-ERR [SYS/TEMP]"), answer
                self.counts["sign-ins cut off"] += 1
        self.relay.cut(None)

    def drop(self):
        """In the middle of a session, which opens another."""
        def act(client):
            self.dovecot.drop_connections(self.user)
            count = client.stat()[0]
            if count:
                client.retr(self.dice.randrange(1, count + 1))
        self.act = act

    # The service ------------------------------------------------------------------

    def restart(self):
        self.service.start_again()

    def kill(self):
        self.service.start_again(kill=True)

    def kill_worker(self):
        self._kill("worker")

    def kill_keeper(self):
        self._kill("keeper")

    def _kill(self, role):
        running = self.service.bridge
        before = len(running.log("role died"))
        roles.kill(roles.pids(running, role)[0])
        running.wait_log("role died", before + 1)

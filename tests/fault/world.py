"""
A bridge, a scripted IMAP server behind it, a neighbour who must never notice anything,
and the one oracle by which every session of the fault tests is judged.

    run = world.run(world.new_user(), ...)    a session as clients do them
    world.judge(run)                          nothing lost, truncated, invented
"""

import os
import threading

import bridge as bridge_module
import fake_imap
import mails
import net
import pop3
import roles
from fake_commands import Refused

NEIGHBOUR = "neighbour"
VALIDITY = 1_700_000_001

# UIDs with gaps, so that no sequence number is taken for one. 11 and 15 get deleted, 12
# is where bodies break, 16 stays.
BODIES = {
    11: mails.simple("first", b".dot\r\n..dots\r\nend\r\n"),
    12: mails.simple("second", b"".join(b"line %d (of many)\r\n.%d\r\n" % (i, i)
                                        for i in range(120))),
    15: mails.simple("third", b"no end"),
    16: mails.simple("fourth", b"A1 OK done\r\n)\r\n* 1 FETCH (UID 9)\r\n"),
}
TO_DELETE = (11, 15)


def unique_id(uid, validity=VALIDITY):
    return f"{uid:08x}{validity:08x}"


class Run:
    """What one session was told, as its client saw it."""

    def __init__(self, user, bodies, flagged, deletable=True):
        self.user = user
        self.bodies = dict(bodies)  # what the server had when it began
        self.flagged = set(flagged)  # \\Deleted before, by somebody else
        self.expunged = set()  # taken away by the test itself
        self.answer = b""  # to PASS
        self.ids = {}  # UID: unique-id
        self.msgnos = {}  # UID: message number
        self.sizes = {}  # UID: octets in LIST
        self.whole = {}  # UID: octets of a message that ended with CRLF.CRLF
        self.tops = {}  # UID: octets of TOP 2
        self.refused = {}  # UID: answer to RETR that was -ERR
        self.marked = set()  # UIDs whose DELE was answered +OK
        self.dele_answers = {}
        self.quit_sent = False
        self.quit_answer = b""
        self.closed = None  # pop3.Closed where the bridge hung up early

    @property
    def signed_in(self):
        return self.answer.startswith(b"+OK")

    @property
    def quit_ok(self):
        return self.quit_answer.startswith(b"+OK")


class World:
    """
    kind: "plain", "starttls" or "tls" between bridge and server. hasty: short limits, for
    stalls. bridge_limits, route: configuration. odd: a world of one's own, for what a bridge
    remembers of a server. Other keywords go to fake_imap.FakeImap.
    """

    def __init__(self, pki, kind="plain", hasty=False, route=None, bridge_limits=None,
                 odd="", **server):
        self.kind = kind
        self.odd = odd
        self.hasty = hasty
        if kind != "plain":
            server[kind] = pki.server
        self.fake = fake_imap.FakeImap(**server)
        self.route = {"match": "*", "server": self.fake.url,
                      "read-ahead": os.environ.get("FAULT_READ_AHEAD", "true"),
                      **(route or {})}
        if kind != "plain":
            self.route.setdefault("ca-file", pki.ca)
        limits = {**_limits(hasty), **(bridge_limits or {})}
        self.bridge = bridge_module.Bridge({"workers": len(roles.SOURCES),
                                            "routes": [self.route], "limits": limits})
        self.unsafe = []  # sign-in commands that came without TLS where TLS is asked for
        self.fired = 0
        self._users = 0
        self._lock = threading.RLock()
        self.calm()
        self._settle()
        self._move_in()

    def _settle(self):
        """
        Every worker and the keeper have received the channel between them: the service is
        ready before, and on a busy machine would be counted without.
        """
        for source in roles.SOURCES:
            self.bridge.signed_in("settler", source=source).quit()
        self.fake.wait_no_connections()

    # A neighbour -------------------------------------------------------------------

    def _move_in(self):
        self.fake.mailbox(NEIGHBOUR).add(BODIES[11])
        self._neighbour = self.bridge.signed_in(NEIGHBOUR)
        self.check_neighbour()
        self.descriptors = self.bridge.descriptors()

    def check_neighbour(self):
        """The other session reads its mail, over the connection it has always had."""
        with self._lock:
            assert self._neighbour.retr(1) == pop3.as_pop3(BODIES[11])
        mine = [one for one in self.fake.credentials if one.user == NEIGHBOUR.encode()]
        assert len(mine) == 1, "the neighbour had to sign in again"

    # Hooks -------------------------------------------------------------------------

    def calm(self):
        """A correct server again. One watch stays: who signs in over what channel."""
        self.fake.clear_hooks()
        self.fake.on("*", self._watch)
        self.fired = 0

    def _watch(self, connection, tag, rest):
        last = self.fake.commands[-1]
        if self.kind != "plain" and last.name in ("AUTHENTICATE", "LOGIN") and \
                not connection.is_tls():
            self.unsafe.append(last)

    def on(self, name, hook, when=None, times=1, counts=True):
        """
        hook(connection, tag, rest) where others than the neighbour send name. times: so
        often, None for always. What it answers itself it returns True for. counts: it is
        the fault, not the stage for one.
        """
        fired = [0]

        def guarded(connection, tag, rest):
            if connection.user == NEIGHBOUR or (times is not None and fired[0] >= times) \
                    or (when and not when(connection, rest)):
                return None
            fired[0] += 1
            self.fired += counts
            return hook(connection, tag, rest)
        self.fake.on(name, guarded)

    # Sessions ----------------------------------------------------------------------

    def new_user(self, bodies=None, flagged=()):
        """A user with a mailbox of these messages: {UID: body}."""
        self._users += 1
        user = f"user{self._users}"
        mailbox = self.fake.mailbox(user)
        mailbox.uidvalidity = VALIDITY
        for uid, body in (BODIES if bodies is None else bodies).items():
            mailbox.add(body, uid=uid, flags=("\\Deleted",) if uid in flagged else ())
        return user

    def mailbox(self, user):
        return self.fake.mailbox(user)

    def begin(self, user):
        """(run, client) with the client signed in, if that went well."""
        mailbox = self.mailbox(user)
        run = Run(user, {one.uid: one.body for one in mailbox.messages},
                  [one.uid for one in mailbox.messages if "\\Deleted" in one.flags])
        client = self.bridge.client()
        run.answer = client.try_sign_in(user)
        return run, client

    def run(self, user, top=False, delete=TO_DELETE, between=None):
        """
        Sign in, list, read everything, delete, QUIT; as far as it goes. between: called
        with the client after the second message.
        """
        run, client = self.begin(user)
        with client:
            try:
                if run.signed_in:
                    self._session(run, client, top, delete, between)
            except pop3.Closed as closed:
                run.closed = closed
        return run

    def _session(self, run, client, top, delete, between):
        learn(run, client)
        for count, uid in enumerate(sorted(run.msgnos), 1):
            if top:
                take_top(run, client, uid)
            retrieve(run, client, uid)
            if between and count == 2:
                between(client)
        for uid in delete:
            mark(run, client, uid)
        finish(run, client)

    # The oracle --------------------------------------------------------------------

    def judge(self, run):
        """The promises of the issue, after any session whatever. Calms the server."""
        mailbox = self.mailbox(run.user)
        self._judge_octets(run)
        self._judge_deletions(run, mailbox)
        assert not self.unsafe, f"credential over an unverified channel: {self.unsafe}"
        self.calm()
        self._judge_next_session(run, mailbox)
        assert self.is_alive, f"the bridge died:\n{self.bridge.stderr[-3000:]}"
        self.check_neighbour()

    def _judge_octets(self, run):
        """(a) What looked whole to the client is the server's message."""
        for uid, octets in run.whole.items():
            expected = pop3.as_pop3(run.bodies[uid])
            assert octets == expected, f"UID {uid}: {len(octets)} octets taken for whole"
        for uid, octets in run.tops.items():
            assert octets == pop3.as_top(run.bodies[uid], 2), f"TOP of UID {uid}"

    def _judge_deletions(self, run, mailbox):
        """(b) Nothing but what QUIT committed is gone or flagged; (c) no false +OK."""
        wanted = run.marked if run.quit_sent else set()
        left = {one.uid: one for one in mailbox.messages}
        gone = set(run.bodies) - set(left) - run.expunged
        assert gone <= wanted, f"deleted unasked: {sorted(gone - wanted)}"
        ledger = {one.uid for one in self.fake.deletions if one.user == run.user}
        assert ledger <= wanted, f"expunged unasked: {sorted(ledger - wanted)}"
        flagged = {uid for uid, one in left.items() if "\\Deleted" in one.flags}
        assert flagged - run.flagged <= wanted, f"flagged unasked: {sorted(flagged)}"
        for uid in run.flagged & set(left):
            assert uid in flagged, f"UID {uid} lost somebody else's \\Deleted"
        if run.quit_ok:
            assert not run.marked & set(left), f"+OK, but {run.marked & set(left)} remain"

    def _judge_next_session(self, run, mailbox):
        """(d) Everything that survived is there under the same unique-id, whole."""
        if self.is_left_alone(run.user):
            with self.bridge.client() as client:
                assert client.try_sign_in(run.user).startswith(b"-ERR [SYS/TEMP]")
            return
        client = self.sign_in_again(run.user)
        expected = {unique_id(one.uid, mailbox.uidvalidity)
                    for one in mailbox.messages if not self._is_hidden(one)}
        with client:
            listed = client.uidl()
            assert set(listed.values()) == expected and len(listed) == len(expected)
            for msgno, name in listed.items():
                body = mailbox.find(int(name[:8], 16)).body
                assert client.retr(msgno) == pop3.as_pop3(body)
            assert client.command("QUIT").startswith(b"+OK")

    def is_left_alone(self, user):
        """Did the server say in a session of his that it is asked too much?"""
        slowed = {line["session"] for line in self.bridge.log("server asks for less")
                  if line["no_sign_in_seconds"] != "0"}
        return any(line.get("session") in slowed and line.get("user") == user
                   for line in self.bridge.log())

    def _is_hidden(self, message):
        return "\\Deleted" in message.flags and "UIDPLUS" not in self.fake.capability and \
            self.route.get("without-uidplus", "leave") == "leave"

    def sign_in_again(self, user):
        """Within a moment: the session before may still be saying goodbye upstream."""
        answers = []

        def attempt():
            client = self.bridge.client()
            answers.append(client.try_sign_in(user))
            if answers[-1].startswith(b"+OK"):
                return client
            client.close()
            return None
        return net.wait_until(attempt, 5 * net.slow_factor(),
                              lambda: f"the next session works; got {answers[-3:]}")

    # The end -----------------------------------------------------------------------

    def _open_files(self):
        return {pid: sorted(roles.descriptors(pid).values()) for pid in self.bridge.pids()}

    @property
    def is_alive(self):
        return self.bridge.process.poll() is None

    def close(self):
        """Nothing has leaked: connections, descriptors."""
        try:
            assert self.is_alive, f"the bridge died:\n{self.bridge.stderr[-3000:]}"
            self.check_neighbour()
            net.wait_until(lambda: self.bridge.descriptors() <= self.descriptors,
                           10 * net.slow_factor(),
                           lambda: f"the bridge closes its descriptors, all but "
                                   f"{self.descriptors}: {self._open_files()}")
        finally:
            self._neighbour.close()
            try:
                self.bridge.close()
            finally:
                self.fake.__exit__(None)


def _limits(hasty):
    factor = net.slow_factor()
    if not hasty:
        return {}
    steps = {"connect": 500, "tls": 500, "authenticate": 400, "command": 400}
    return {**{name: f"{int(ms * factor)}ms" for name, ms in steps.items()},
            "upstream-sign-in": f"{int(3000 * factor)}ms"}


def uid_of(name):
    return int(name[:8], 16)


def learn(run, client):
    """UIDL and LIST: which number is which UID."""
    for msgno, name in client.uidl().items():
        run.ids[uid_of(name)] = name
        run.msgnos[uid_of(name)] = msgno
    sizes = client.list()
    run.sizes = {uid: sizes[msgno] for uid, msgno in run.msgnos.items()}
    for uid, name in run.ids.items():
        assert name[:8] == f"{uid:08x}"


def retrieve(run, client, uid):
    answer = client.command(f"RETR {run.msgnos[uid]}")
    if answer.startswith(b"+OK"):
        run.whole[uid] = client.multiline()
    else:
        assert answer.startswith(b"-ERR"), answer
        run.refused[uid] = answer


def take_top(run, client, uid):
    answer = client.command(f"TOP {run.msgnos[uid]} 2")
    if answer.startswith(b"+OK"):
        run.tops[uid] = client.multiline()


def mark(run, client, uid):
    if uid not in run.msgnos:
        return
    answer = client.command(f"DELE {run.msgnos[uid]}")
    run.dele_answers[uid] = answer
    if answer.startswith(b"+OK"):
        run.marked.add(uid)


def finish(run, client):
    run.quit_sent = True
    run.quit_answer = client.command("QUIT")
    assert run.quit_answer[:4] in (b"+OK ", b"-ERR"), run.quit_answer


# For hooks ------------------------------------------------------------------------

def answer_properly(connection, name, tag, rest):
    """What the server would have said without the hook."""
    try:
        connection.default(name, tag, rest)
    except Refused as refused:
        connection.send(tag + b" " + str(refused).encode() + b"\r\n")
    return True


def do_silently(connection, name, tag, rest):
    """Execute the command, lose the answer."""
    connection.send = lambda octets: None
    try:
        connection.default(name, tag, rest)
    except Refused:
        pass
    finally:
        del connection.send


def answer_with(connection, name, tag, rest, change):
    """change(line) -> octets for each piece of the proper answer before it goes out."""
    send = type(connection).send

    def changed(octets):
        send(connection, change(octets))
    connection.send = changed
    try:
        answer_properly(connection, name, tag, rest)
    finally:
        del connection.send
    return True


def is_index(connection, rest):
    return b"RFC822.SIZE" in rest


def is_body_of(uid):
    return lambda connection, rest: rest.startswith(b"%d " % uid) and \
        b"BODY.PEEK[]" in rest and b"<" not in rest


def sequence_number(connection, uid):
    return next(n for n, one in enumerate(connection.view, 1) if one.uid == uid)


def body_response(connection, uid, body=None, after=b")\r\n"):
    """`* n FETCH (UID u BODY[] {s}` CRLF body `)` as a correct server writes it."""
    body = connection.mailbox.find(uid).body if body is None else body
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (
        sequence_number(connection, uid), uid, len(body)) + body + after

"""
An IMAP server for what real ones won't do. It is correct until a test says otherwise:

    def cut_in_the_body(connection, tag, rest):
        connection.send(b"* 1 FETCH (UID 1 BODY[] {1000}\\r\\nSubject: ")
        connection.cut("RST")

    fake.mailbox("alice").add(b"Subject: x\\r\\n\\r\\nhello\\r\\n")
    fake.on("UID FETCH", cut_in_the_body)

A hook returns True when it answered itself and None to let the server answer. What the
server was told and what it gave away is written down in fake.commands, fake.deliveries,
fake.deletions and fake.credentials: the ledger the tests judge by.
"""

import base64
import select
import socket
import ssl
import struct
import threading
import time
import zlib
from typing import NamedTuple

import net
from fake_commands import COMMANDS, SIGNED_IN_ONLY, Refused
from fake_mailbox import Mailbox

FULL = ("IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER ENABLE ID "
        "IDLE UIDPLUS MOVE ESEARCH CONDSTORE LITERAL+ UNSELECT")
BARE = "IMAP4rev1"
# Microsoft 365's list.
OUTLOOK = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT " \
    "CHILDREN IDLE NAMESPACE LITERAL+"
GMAIL = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS " \
    "ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT LITERAL- SASL-IR AUTH=XOAUTH2 AUTH=PLAIN"


class Command(NamedTuple):
    connection: int
    tag: bytes
    name: str  # "UID FETCH", "LOGIN"; "" for a line that is no command
    rest: bytes  # what follows the name, literals included as they came
    line: bytes  # all of it


class Delivery(NamedTuple):
    connection: int
    user: str
    uid: int
    origin: int
    octets: int  # how many were sent whole


class Deletion(NamedTuple):
    connection: int
    user: str
    uid: int
    how: str  # "UID EXPUNGE", "EXPUNGE", "CLOSE", "STORE" (auto_expunge), "UID MOVE"


class Credential(NamedTuple):
    connection: int
    mechanism: str  # "LOGIN", "PLAIN", "AUTH LOGIN", "XOAUTH2", "OAUTHBEARER"
    user: bytes
    secret: bytes
    tls: bool
    raw: bytes  # the SASL message, decoded


class Gone(Exception):
    """The connection is over."""


class FakeImap:
    """
    capability     what it can; every command checks it (UID EXPUNGE without UIDPLUS: BAD)
    after_sign_in  the capability line then, default the same without AUTH= and STARTTLS
    announce       does it volunteer [CAPABILITY ...] in the greeting and after sign-in
    tls            pki.Certificate: TLS from the first octet
    starttls       pki.Certificate: offers STARTTLS
    client_ca      path: asks for a client certificate of this authority
    messages       bodies every user's INBOX starts with
    passwords      {user: bytes}; others have "secret"; tokens: bearer tokens accepted
    gone           how UID FETCH answers for a message somebody expunged: "nothing" or
                   "NIL" (Dovecot)
    """

    def __init__(self, capability=FULL, after_sign_in=None, announce=True, tls=None,
                 starttls=None, client_ca=None, messages=(), passwords=None,
                 tokens=(b"token",), gone="nothing", host="127.0.0.1"):
        if starttls and "STARTTLS" not in capability:
            capability += " STARTTLS"
        self.capability = capability
        self.after_sign_in = after_sign_in or " ".join(
            word for word in capability.split()
            if not word.startswith("AUTH=") and word not in ("STARTTLS", "LOGINDISABLED"))
        self.announce = announce
        self.messages = list(messages)
        self.passwords = dict(passwords or {})
        self.tokens = set(tokens)
        self.gone = gone
        self.commands, self.deliveries, self.deletions = [], [], []
        self.credentials, self.tls_failures, self.errors = [], [], []
        self.connections = []  # every Connection ever accepted
        self.tls = _server_context(tls, client_ca)
        self.starttls = _server_context(starttls, client_ca)
        self._hooks = []
        self._mailboxes = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=512)
        self.host, self.port = host, self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None:
            assert not self.errors, f"the fake server itself failed: {self.errors}"

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.tls:
            return f"imaps://localhost:{self.port}"
        if self.starttls:
            return f"imap+starttls://localhost:{self.port}"
        return f"imap://{host}:{self.port}"

    # For tests --------------------------------------------------------------------

    def on(self, name, hook, times=None):
        """
        Call hook(connection, tag, rest) where the command name comes. "GREETING" and
        "CONNECT" (before TLS) are names too, "*" is every command. The newest hook is
        asked first. times: only so often.
        """
        with self._lock:
            self._hooks.insert(0, [name, hook, times])
        return hook

    def clear_hooks(self):
        with self._lock:
            self._hooks.clear()

    def mailbox(self, user, folder="INBOX"):
        """This user's mailbox, made when first asked for."""
        user = user.decode("latin-1") if isinstance(user, bytes) else user
        with self._lock:
            if folder.upper() == "INBOX":
                folder = "INBOX"
                self._mailboxes.setdefault((user, folder), Mailbox(self.messages))
            return self._mailboxes.get((user, folder))

    def add_folder(self, user, folder, bodies=()):
        with self._lock:
            self._mailboxes[user, folder] = Mailbox(bodies)
            return self._mailboxes[user, folder]

    def folders(self, user):
        with self._lock:
            return sorted({f for u, f in self._mailboxes if u == user} | {"INBOX"})

    def seen(self, name):
        """The commands of this name so far."""
        with self._lock:
            return [command for command in self.commands if command.name == name]

    def wait_command(self, name, count=1, seconds=10):
        return net.wait_until(
            lambda: self.seen(name) if len(self.seen(name)) >= count else None,
            seconds * net.slow_factor(), lambda: f"{name} x{count}; got {self.transcript()}")

    def transcript(self):
        with self._lock:
            return [(command.connection, command.line) for command in self.commands]

    def open_connections(self):
        return [one for one in self.connections if one.is_open]

    def wait_no_connections(self, seconds=10):
        net.wait_until(lambda: not self.open_connections(), seconds * net.slow_factor(),
                       "all connections to the fake server are closed")

    def drop_connections(self, how="FIN"):
        """Cut every open connection from outside of its thread."""
        for connection in self.open_connections():
            connection.cut_from_outside(how)

    def sent_secret(self, secret):
        """Did these bytes come in any command, plain or in base64?"""
        with self._lock:
            lines = [command.line for command in self.commands]
            raws = [one.raw for one in self.credentials]
        return any(secret in line for line in lines + raws)

    # Inside -----------------------------------------------------------------------

    def _accept(self):
        while not self._closing.is_set():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            if self.is_closing:  # close() knocked
                connected.close()
                return
            with self._lock:
                connection = Connection(self, connected, len(self.connections) + 1)
                connection.thread.start()
                self.connections.append(connection)

    def run_hooks(self, name, connection, tag, rest):
        with self._lock:
            hooks = [entry for entry in self._hooks if entry[0] in (name, "*")]
            if name in ("GREETING", "CONNECT"):
                hooks = [entry for entry in hooks if entry[0] == name]
        for entry in hooks:
            with self._lock:
                if entry[2] == 0:
                    continue
                if entry[2] is not None:
                    entry[2] -= 1
            if entry[1](connection, tag, rest):
                return True
        return False

    def note(self, ledger, entry):
        with self._lock:
            ledger.append(entry)

    def accepts(self, user, password):
        expected = self.passwords.get(user.decode("latin-1"), b"secret")
        return password == expected

    @property
    def is_closing(self):
        return self._closing.is_set()

    def close(self):
        self._closing.set()
        self._listener.close()
        with socket.socket(self._listener.family) as knock:  # wakes accept()
            knock.settimeout(1)
            knock.connect_ex((self.host, self.port))
        for connection in list(self.connections):
            connection.cut_from_outside("RST")
        for connection in list(self.connections):
            connection.thread.join(10)
        self._acceptor.join(5)


def _server_context(certificate, client_ca):
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Deflated:
    """A socket whose octets are deflated (RFC 4978); wire_in, wire_out: so many were."""

    def __init__(self, inner):
        self.inner, self.wire_in, self.wire_out = inner, 0, 0
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def sendall(self, octets):
        deflated = self._out.compress(octets) + self._out.flush(zlib.Z_SYNC_FLUSH)
        self.wire_out += len(deflated)
        self.inner.sendall(deflated)

    def recv(self, size):
        while True:
            got = self.inner.recv(size)
            self.wire_in += len(got)
            octets = self._in.decompress(got)
            if octets or not got:
                return octets


class Connection:
    """One client. Hooks use send, ok, no, bad, untagged, drip, stall, cut, tagged."""

    def __init__(self, server, connected, number):
        self.server = server
        self.number = number
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.user = None  # str once signed in
        self.mailbox = None
        self.view = []  # messages by sequence number - 1
        self.read_only = False
        self.enabled = set()
        self.sent = 0  # plaintext octets
        self.flights = 0  # how often the client said something after it was answered
        self._answered = True
        self.resumed = None  # was the TLS session of an earlier connection taken up
        self.cut_after = None  # cut when so many octets have been sent in all
        self.cut_how = "FIN"
        self.is_open = True
        self.notes = {}  # a hook's own memory
        self._input = b""
        self.thread = threading.Thread(target=self._run, daemon=True)

    # For hooks --------------------------------------------------------------------

    def send(self, octets):
        if self.cut_after is not None and self.sent + len(octets) > self.cut_after:
            octets = octets[:max(0, self.cut_after - self.sent)]
            self._send_all(octets)
            self.cut(self.cut_how)
        self._send_all(octets)

    def _send_all(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:
            raise Gone from None
        self.sent += len(octets)
        self._answered = True

    def untagged(self, text):
        self.send(b"* " + _bytes(text) + b"\r\n")

    def ok(self, tag, text="completed"):
        self.send(tag + b" OK " + _bytes(text) + b"\r\n")

    def no(self, tag, text="failed"):
        self.send(tag + b" NO " + _bytes(text) + b"\r\n")

    def bad(self, tag, text="what?"):
        self.send(tag + b" BAD " + _bytes(text) + b"\r\n")

    def drip(self, octets, size=1, seconds=0.01):
        """Send so many octets at a time, with a pause after each."""
        for start in range(0, len(octets), size):
            self.send(octets[start:start + size])
            if self.server._closing.wait(seconds):
                raise Gone

    def stall(self, seconds=None):
        """Say nothing until the client gives up (then the connection ends) or time is up."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is None or time.monotonic() < deadline:
            if self.server.is_closing:
                raise Gone
            if self._has_arrived(0.05):
                self._receive()  # raises Gone at the end; keeps what else comes

    def cut(self, how="FIN"):
        """
        End it now: "FIN" (with close_notify where there is TLS), "EOF" (FIN alone, TLS
        truncated), "RST".
        """
        if how == "FIN" and isinstance(self.socket, ssl.SSLSocket):
            self._say_goodbye()
        self._close(how)
        raise Gone

    def cut_from_outside(self, how):
        try:
            if how == "RST":
                self._linger_zero()
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def default(self, name, tag, rest):
        """What the server would have answered itself."""
        COMMANDS[name](self, tag, rest)

    def has(self, word):
        return word in self.server.capability.split() or \
            word in self.server.after_sign_in.split()

    # Reading ----------------------------------------------------------------------

    def is_readable(self, seconds):
        """Has the client sent anything that was not read yet?"""
        return bool(self._input) or self._has_arrived(seconds)

    def _has_arrived(self, seconds):
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        try:
            return bool(select.select([self.socket], [], [], seconds)[0])
        except (OSError, ValueError):
            raise Gone from None

    def _receive(self):
        try:
            got = self.socket.recv(65536)
        except OSError:
            raise Gone from None
        if not got:
            raise Gone
        self.flights += self._answered
        self._answered = False
        self._input += got

    def read_line(self):
        while b"\n" not in self._input:
            self._receive()
        line, self._input = self._input.split(b"\n", 1)
        return line.removesuffix(b"\r")

    def read_exactly(self, count):
        while len(self._input) < count:
            self._receive()
        got, self._input = self._input[:count], self._input[count:]
        return got

    def _read_command(self):
        """One command with its literals: b'a LOGIN {3}' CRLF b'abc' b' x'."""
        whole = b""
        while True:
            line = self.read_line()
            whole += line
            start = line.rfind(b"{")
            if not line.endswith(b"}") or start < 0:
                return whole
            size = line[start + 1:-1]
            if not size.rstrip(b"+").isdigit():
                return whole
            if not size.endswith(b"+"):
                self.send(b"+ go on\r\n")
            elif not (self.has("LITERAL+") or self.has("LITERAL-")):
                self.send(b"* BYE LITERAL+ was not offered\r\n")
                self.cut()
            whole += b"\r\n" + self.read_exactly(int(size.rstrip(b"+")))

    # Life -------------------------------------------------------------------------

    def _run(self):
        try:
            self._talk()
        except Gone:
            pass
        except Exception as error:  # a test must learn of mistakes in here
            self.server.note(self.server.errors, repr(error))
        finally:
            self._close("EOF")

    def _talk(self):
        if self.server.run_hooks("CONNECT", self, b"", b""):
            return
        if self.server.tls:
            self.start_tls(self.server.tls)
        if not self.server.run_hooks("GREETING", self, b"", b""):
            code = f"[CAPABILITY {self.server.capability}] " if self.server.announce else ""
            self.untagged(f"OK {code}fake IMAP ready")
        while True:
            self._one_command()

    def _one_command(self):
        line = self._read_command()
        tag, name, rest = _split(line)
        self.server.note(self.server.commands,
                         Command(self.number, tag, name, rest, line))
        if self.server.run_hooks(name, self, tag, rest):
            return
        if name not in COMMANDS:
            self.bad(tag or b"*", "unknown command")
            return
        if name in SIGNED_IN_ONLY and self.user is None:
            self.bad(tag, "sign in first")
            return
        try:
            COMMANDS[name](self, tag, rest)
        except Refused as refused:
            self.send(tag + b" " + _bytes(str(refused)) + b"\r\n")

    def start_tls(self, context):
        if self._input:
            self.server.note(self.server.tls_failures, f"plaintext: {self._input!r}")
        try:
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              suppress_ragged_eofs=False)
            self.resumed = self.socket.session_reused
        except (OSError, ValueError) as error:
            self.server.note(self.server.tls_failures, repr(error))
            raise Gone from None

    def deflate(self):
        self.socket = Deflated(self.socket)

    def is_tls(self):
        return isinstance(self.socket, ssl.SSLSocket)

    def logout(self):
        self.cut("FIN")

    def _say_goodbye(self):
        try:
            self.socket.settimeout(0.5)
            self.socket = self.socket.unwrap()
        except (OSError, ValueError):
            pass

    def _linger_zero(self):
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _close(self, how):
        self.is_open = False
        try:
            if how == "RST":
                self._linger_zero()
            self.socket.close()
        except OSError:
            pass

    # The ledger, for the commands -------------------------------------------------

    def note_delivery(self, uid, origin, octets):
        self.server.note(self.server.deliveries,
                         Delivery(self.number, self.user, uid, origin, octets))

    def note_deletion(self, uid, how):
        self.server.note(self.server.deletions, Deletion(self.number, self.user, uid, how))

    def note_credential(self, mechanism, user, secret, raw):
        self.server.note(self.server.credentials, Credential(
            self.number, mechanism, user, secret, self.is_tls(), raw))

    def decoded(self, text):
        """A base64 reply; "=" is the empty one, "*" cancels."""
        if text == b"*":
            raise Refused("BAD cancelled")
        if text == b"=":
            return b""
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise Refused("BAD this is no base64") from None


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


def _split(line):
    """(tag, upper-case name, rest): UID and the word behind it are one name."""
    tag, _, rest = line.partition(b" ")
    word, _, after = rest.partition(b" ")
    name = word.upper().decode("latin-1")
    if name == "UID":
        word, _, after = after.partition(b" ")
        name += " " + word.upper().decode("latin-1")
    return tag, name, after

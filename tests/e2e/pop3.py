"""
A POP3 client for tests: it sends exactly the bytes it is given and hands back exactly
the octets it was sent, which poplib does not.
"""

import base64
import socket
import ssl
import struct

import net


class Closed(Exception):
    """The server ended the connection; .got is what came before the end."""

    def __init__(self, got=b"", how="FIN"):
        super().__init__(f"connection closed ({how}) after {got[-200:]!r}")
        self.got = got
        self.how = how  # "FIN" (TLS: close_notify came), "RST", "TLS EOF" (it did not)


class Client:
    """
    with Client(port) as client:
        assert client.greeting.startswith(b"+OK ")
        client.sign_in("alice", "secret")
        octets = client.retr(1)
    """

    def __init__(self, port, host="127.0.0.1", tls=None, timeout=20, greet=True,
                 source=None):
        """tls: an ssl.SSLContext, for a listener with TLS from the first octet."""
        where = (source, 0) if source else None
        self.socket = socket.create_connection(
            (host, port), timeout * net.slow_factor(), source_address=where)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = b""
        self.greeting = None
        if tls:
            self.start_tls(tls)
        if greet:
            self.greeting = self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Octets -----------------------------------------------------------------------

    def send(self, octets):
        self.socket.sendall(octets)

    def _receive(self):
        try:
            got = self.socket.recv(65536)
        except ConnectionResetError:
            raise Closed(self._input, "RST") from None
        except ssl.SSLEOFError:  # what Python makes of a reset under TLS
            raise Closed(self._input, "RST") from None
        except ssl.SSLError as error:
            if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            raise Closed(self._input, "TLS EOF") from None
        if not got:
            raise Closed(self._input)
        self._input += got

    def line(self):
        """One line, CRLF taken off. A line that ends in a bare LF fails the test."""
        while b"\n" not in self._input:
            self._receive()
        line, self._input = self._input.split(b"\n", 1)
        assert line.endswith(b"\r"), f"bare LF in an answer: {line!r}"
        return line[:-1]

    def multiline(self):
        """
        The octets up to the final ".", dots unstuffed, CRLF kept: the message exactly as
        the client would store it.
        """
        return unstuff(self.multiline_raw())

    def multiline_raw(self):
        """As it came over the wire, without the final line of one dot."""
        searched = 0
        while True:
            if self._input.startswith(b".\r\n"):
                self._input = self._input[3:]
                return b""
            end = self._input.find(b"\r\n.\r\n", searched)
            if end >= 0:
                got, self._input = self._input[:end + 2], self._input[end + 5:]
                return got
            searched = max(0, len(self._input) - 4)
            self._receive_into()

    def _receive_into(self):
        """Like _receive, in big steps, so that a large message costs linear time."""
        parts, size, goal = [self._input], 0, max(65536, len(self._input))
        while size < goal:
            self._input = b""
            try:
                self._receive()
            except Closed as end:
                self._input = b"".join(parts)
                raise Closed(self._input, end.how) from None
            parts.append(self._input)
            size += len(self._input)
            if self._input.endswith(b".\r\n"):
                break
        self._input = b"".join(parts)

    def lines(self):
        """A multi-line answer as a list of lines without CRLF."""
        return self.multiline().split(b"\r\n")[:-1]

    def rest(self):
        """Everything until the server closes (FIN, RST or TLS end alike)."""
        while True:
            try:
                self._receive()
            except Closed:
                got, self._input = self._input, b""
                return got

    def wait_closed(self):
        """How it ended ("FIN", "RST", "TLS EOF"); nothing else may come before."""
        try:
            self._receive()
        except Closed as end:
            assert not self._input, f"unexpected octets {self._input!r}"
            return end.how
        raise AssertionError(f"expected the end, got {self._input!r}")

    def has_input(self, seconds):
        """Does anything arrive within so many seconds? Consumes nothing."""
        if self._input:
            return True
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._receive()
            return True
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        finally:
            self.socket.settimeout(before)

    # Commands ---------------------------------------------------------------------

    def command(self, line):
        """Send one line, CRLF added; returns the status line."""
        if isinstance(line, str):
            line = line.encode()
        self.send(line + b"\r\n")
        return self.line()

    def ok(self, line):
        answer = self.command(line)
        assert answer.startswith(b"+OK"), f"{line!r} was answered {answer!r}"
        return answer

    def err(self, line, code=None):
        """Expect -ERR; code: the response code, such as "AUTH" or "SYS/TEMP"."""
        answer = self.command(line)
        assert answer.startswith(b"-ERR "), f"{line!r} was answered {answer!r}"
        if code is not None:
            start = f"-ERR [{code}] ".encode()
            assert answer.startswith(start), f"{line!r} was answered {answer!r}"
        return answer

    def sign_in(self, user, password="secret"):
        user = user.encode() if isinstance(user, str) else user
        password = password.encode() if isinstance(password, str) else password
        self.ok(b"USER " + user)
        return self.ok(b"PASS " + password)

    def try_sign_in(self, user, password="secret"):
        """The answer to PASS (or to USER, where that is refused already)."""
        user = user.encode() if isinstance(user, str) else user
        password = password.encode() if isinstance(password, str) else password
        answer = self.command(b"USER " + user)
        return self.command(b"PASS " + password) if answer.startswith(b"+OK") else answer

    def auth(self, mechanism, *replies):
        """AUTH with each reply (bytes, sent as base64) to a "+ " challenge."""
        answer = self.command(f"AUTH {mechanism}")
        for reply in replies:
            assert answer.startswith(b"+ "), answer
            answer = self.command(base64.b64encode(reply))
        return answer

    def capa(self):
        self.ok("CAPA")
        return [line.decode() for line in self.lines()]

    def stat(self):
        """(messages, octets)"""
        fields = self.ok("STAT").split()
        return int(fields[1]), int(fields[2])

    def list(self):
        """{msgno: octets}"""
        self.ok("LIST")
        return {int(msgno): int(octets) for msgno, octets in map(bytes.split, self.lines())}

    def uidl(self):
        """{msgno: unique-id}"""
        self.ok("UIDL")
        pairs = (line.split(b" ", 1) for line in self.lines())
        return {int(msgno): unique.decode() for msgno, unique in pairs}

    def retr(self, msgno):
        self.ok(f"RETR {msgno}")
        return self.multiline()

    def top(self, msgno, lines):
        self.ok(f"TOP {msgno} {lines}")
        return self.multiline()

    def quit(self):
        """QUIT with +OK, then the server closes."""
        answer = self.ok("QUIT")
        self.wait_closed()
        return answer

    # TLS and the end --------------------------------------------------------------

    def start_tls(self, context, name="localhost"):
        assert not self._input, f"plaintext before TLS: {self._input!r}"
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python hides truncation
        self.socket = context.wrap_socket(self.socket, server_hostname=name,
                                          suppress_ragged_eofs=False)

    def stls(self, context, name="localhost"):
        self.ok("STLS")
        self.start_tls(context, name)

    def reset(self):
        """Vanish with an RST."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self):
        """Hang up without QUIT."""
        self.socket.close()


def tls_context(ca, **how):
    """A context that trusts the test CA. how: minimum_version, maximum_version."""
    context = ssl.create_default_context(cafile=ca)
    for name, value in how.items():
        setattr(context, name, value)
    return context


def unstuff(octets):
    """Undo dot stuffing (RFC 1939 section 3)."""
    if octets.startswith(b"."):
        octets = octets[1:]
    return octets.replace(b"\r\n.", b"\r\n")


def as_pop3(body):
    """
    What RETR must give for this IMAP body: every line end (CR LF, bare LF, bare CR) made
    CR LF and one at the end. The naive model of what the bridge does.
    """
    octets = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"


def as_top(body, count):
    """What TOP n count must give: header, blank line, count lines of the body."""
    octets = as_pop3(body)
    if octets.startswith(b"\r\n"):
        head, rest = b"\r\n", octets[2:]
    else:
        head, blank, rest = octets.partition(b"\r\n\r\n")
        head += blank
    return head + b"".join(line + b"\r\n" for line in rest.split(b"\r\n")[:-1][:count])

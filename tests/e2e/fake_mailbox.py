"""The mailboxes of the fake IMAP server: messages, UID sets, SEARCH and FETCH items."""

import re
import threading


class Message:
    """
    One message. What the server says of it can be made to lie: size (RFC822.SIZE).
    """

    def __init__(self, uid, body, flags=(), size=None, gm_msgid=None, emailid=None):
        self.uid = uid
        self.body = body
        self.flags = set(flags)
        self.size = len(body) if size is None else size
        self.gm_msgid = gm_msgid or 1_600_000_000_000_000_000 + uid
        self.emailid = emailid or f"M{uid:010d}"
        self.modseq = 1


class Mailbox:
    """
    messages in the order of their UIDs. Change it from a test with the methods, which
    hold the lock that the connections hold while they answer.

    auto_expunge: a message is gone as soon as it gets \\Deleted, as at Gmail.
    """

    def __init__(self, bodies=(), uidvalidity=1_700_000_001, first_uid=1):
        self.lock = threading.RLock()
        self.uidvalidity = uidvalidity
        self.uidnext = first_uid
        self.messages = []
        self.read_only = False
        self.permanent_flags = r"\Answered \Flagged \Deleted \Seen \Draft \*"
        self.auto_expunge = False
        self.modseq = 1
        for body in bodies:
            self.add(body)

    def add(self, body, flags=(), uid=None, **lies):
        with self.lock:
            uid = uid or self.uidnext
            self.uidnext = max(self.uidnext, uid + 1)
            message = Message(uid, body, flags, **lies)
            self.touch(message)
            self.messages.append(message)
            self.messages.sort(key=lambda one: one.uid)
            return message

    def find(self, uid):
        with self.lock:
            return next((one for one in self.messages if one.uid == uid), None)

    def uids(self):
        with self.lock:
            return [one.uid for one in self.messages]

    def remove(self, *uids):
        """Expunged by somebody else."""
        with self.lock:
            gone = [one for one in self.messages if one.uid in uids]
            self.messages = [one for one in self.messages if one.uid not in uids]
            self.modseq += 1
            return gone

    def recreate(self, bodies=(), uidvalidity=None):
        """Deleted and made anew: low UIDs again, under another UIDVALIDITY."""
        with self.lock:
            self.uidvalidity = uidvalidity or self.uidvalidity + 1
            self.messages, self.uidnext = [], 1
            for body in bodies:
                self.add(body)

    def touch(self, message):
        self.modseq += 1
        message.modseq = self.modseq


def in_set(text, number, largest):
    """Is number in an IMAP set such as b"1:3,7,9:*"?"""
    for part in text.split(b","):
        ends = [largest if end == b"*" else int(end) for end in part.split(b":")]
        if min(ends) <= number <= max(ends):
            return True
    return False


def compact(numbers):
    """[1, 2, 3, 7] -> "1:3,7"."""
    runs = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in runs)


_FLAG_KEYS = {
    b"ANSWERED": "\\Answered", b"DELETED": "\\Deleted", b"DRAFT": "\\Draft",
    b"FLAGGED": "\\Flagged", b"SEEN": "\\Seen",
}
_SET = re.compile(rb"[\d:,*]+$")


def search(view, criteria):
    """Indexes into view of what matches; ValueError for what is not understood."""
    tokens = re.findall(rb"\(|\)|[^\s()]+", criteria.upper())
    largest_uid = view[-1].uid if view else 0
    wanted = list(range(len(view)))
    while tokens:
        test = _search_key(tokens, view, largest_uid)
        wanted = [index for index in wanted if test(index)]
    return wanted


def _search_key(tokens, view, largest_uid):
    key = tokens.pop(0)
    if key == b"ALL":
        return lambda index: True
    if key == b"NOT":
        inner = _search_key(tokens, view, largest_uid)
        return lambda index: not inner(index)
    if key == b"OR":
        one = _search_key(tokens, view, largest_uid)
        other = _search_key(tokens, view, largest_uid)
        return lambda index: one(index) or other(index)
    if key == b"(":
        inner = []
        while tokens[0] != b")":
            inner.append(_search_key(tokens, view, largest_uid))
        tokens.pop(0)
        return lambda index: all(test(index) for test in inner)
    if key == b"UID":
        uid_set = tokens.pop(0)
        return lambda index: in_set(uid_set, view[index].uid, largest_uid)
    if key in (b"KEYWORD", b"UNKEYWORD"):
        flag, has = tokens.pop(0), key == b"KEYWORD"
        return lambda index: has == (flag in {f.upper().encode() for f in view[index].flags})
    if key in _FLAG_KEYS:
        return lambda index: _FLAG_KEYS[key] in view[index].flags
    if key.startswith(b"UN") and key[2:] in _FLAG_KEYS:
        return lambda index: _FLAG_KEYS[key[2:]] not in view[index].flags
    if _SET.match(key):
        return lambda index: in_set(key, index + 1, len(view))
    raise ValueError(f"search key {key!r}")


_ITEM = re.compile(
    rb"(?P<body>BODY(?P<peek>\.PEEK)?\[(?P<section>[^\]]*)\](?:<(?P<from>\d+)\.(?P<count>\d+)>)?)"
    rb"|(?P<name>[A-Z0-9.\-]+)", re.IGNORECASE)


class FetchItem:
    """One item of a FETCH command: a plain name, or a body section with a range."""

    def __init__(self, match):
        self.is_body = match["body"] is not None
        self.name = (match["name"] or b"BODY").upper().decode()
        self.peek = match["peek"] is not None
        self.section = (match["section"] or b"").upper()
        self.origin = None if match["from"] is None else int(match["from"])
        self.count = None if match["count"] is None else int(match["count"])
        if self.name == "RFC822":
            self.is_body = True

    def octets(self, message):
        """(label, bytes) of a body item."""
        head, blank, text = message.body.partition(b"\r\n\r\n")
        octets = {b"": message.body, b"HEADER": head + blank, b"TEXT": text}[self.section]
        label = b"BODY[" + self.section + b"]"
        if self.name == "RFC822":
            label = b"RFC822"
        if self.origin is not None:
            octets = octets[self.origin:self.origin + self.count]
            label += b"<%d>" % self.origin
        return label, octets


def fetch_items(text):
    """The items of b"(UID FLAGS BODY.PEEK[]<0.100>)"."""
    return [FetchItem(match) for match in _ITEM.finditer(text)]


def plain_item(name, message):
    """The value of an item that is no body, as text; None where it is not known."""
    values = {
        "UID": lambda: f"UID {message.uid}",
        "FLAGS": lambda: f"FLAGS ({' '.join(sorted(message.flags))})",
        "RFC822.SIZE": lambda: f"RFC822.SIZE {message.size}",
        "INTERNALDATE": lambda: 'INTERNALDATE "01-Jan-2024 00:00:00 +0000"',
        "MODSEQ": lambda: f"MODSEQ ({message.modseq})",
        "X-GM-MSGID": lambda: f"X-GM-MSGID {message.gm_msgid}",
        "EMAILID": lambda: f"EMAILID ({message.emailid})",
    }
    return values[name]() if name in values else None

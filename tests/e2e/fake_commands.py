"""
What the fake IMAP server answers when no hook answers for it. Each function gets the
connection, the tag and the rest of the line; Refused carries "NO ..." or "BAD ...".
"""

import re

from fake_mailbox import compact, fetch_items, in_set, plain_item, search


class Refused(Exception):
    pass


def _need(connection, word):
    if not connection.has(word):
        raise Refused(f"BAD {word} is not offered")


def _arguments(rest):
    """astrings, quoted strings, literals and parenthesised lists, as bytes."""
    found, place = [], 0
    while place < len(rest):
        if rest[place:place + 1] == b" ":
            place += 1
        elif rest[place:place + 1] == b'"':
            match = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(rest, place)
            if not match:
                raise Refused("BAD open quote")
            found.append(re.sub(rb"\\(.)", rb"\1", match[1], flags=re.S))
            place = match.end()
        elif match := re.compile(rb"\{(\d+)\+?\}\r\n").match(rest, place):
            end = match.end() + int(match[1])
            found.append(rest[match.end():end])
            place = end
        elif rest[place:place + 1] == b"(":
            end = rest.find(b")", place) + 1
            if end == 0:
                raise Refused("BAD open parenthesis")
            found.append(rest[place:end])
            place = end
        else:
            match = re.compile(rb"[^ ]+").match(rest, place)
            found.append(match[0])
            place = match.end()
    return found


# Any state ------------------------------------------------------------------------

def _capability(connection, tag, rest):
    signed_in = connection.user is not None
    server = connection.server
    connection.untagged(
        f"CAPABILITY {server.after_sign_in if signed_in else server.capability}")
    connection.ok(tag)


def _noop(connection, tag, rest):
    _announce_changes(connection)
    connection.ok(tag)


def _logout(connection, tag, rest):
    connection.untagged("BYE see you")
    connection.ok(tag)
    connection.logout()


def _id(connection, tag, rest):
    _need(connection, "ID")
    connection.untagged('ID ("name" "fake")')
    connection.ok(tag)


# Before sign-in -------------------------------------------------------------------

def _starttls(connection, tag, rest):
    if not connection.server.starttls or connection.is_tls():
        raise Refused("BAD no TLS here")
    connection.ok(tag, "begin TLS")
    connection.start_tls(connection.server.starttls)


def _signed_in(connection, tag, user):
    connection.user = user.decode("latin-1")
    server = connection.server
    code = f"[CAPABILITY {server.after_sign_in}] " if server.announce else ""
    connection.ok(tag, f"{code}signed in")


def _login(connection, tag, rest):
    if "LOGINDISABLED" in connection.server.capability.split():
        raise Refused("NO [PRIVACYREQUIRED] no LOGIN here")
    arguments = _arguments(rest)
    if len(arguments) != 2:
        raise Refused("BAD LOGIN takes two arguments")
    user, password = arguments
    connection.note_credential("LOGIN", user, password, rest)
    if not connection.server.accepts(user, password):
        raise Refused("NO [AUTHENTICATIONFAILED] wrong password")
    _signed_in(connection, tag, user)


def _authenticate(connection, tag, rest):
    mechanism, _, initial = rest.partition(b" ")
    mechanism = mechanism.upper().decode("latin-1")
    if mechanism not in _MECHANISMS or not connection.has(f"AUTH={mechanism}"):
        raise Refused("NO [CANNOT] no such mechanism")
    if initial and not connection.has("SASL-IR"):
        raise Refused("BAD no initial response here")
    user = _MECHANISMS[mechanism](connection, initial)
    _signed_in(connection, tag, user)


def _ask(connection, challenge=b""):
    connection.send(b"+ " + challenge + b"\r\n")
    return connection.decoded(connection.read_line())


def _first(connection, initial):
    return connection.decoded(initial) if initial else _ask(connection)


def _plain(connection, initial):
    raw = _first(connection, initial)
    parts = raw.split(b"\0")
    if len(parts) != 3:
        raise Refused("BAD PLAIN has three parts")
    connection.note_credential("PLAIN", parts[1], parts[2], raw)
    if not connection.server.accepts(parts[1], parts[2]):
        raise Refused("NO [AUTHENTICATIONFAILED] wrong password")
    return parts[1]


def _auth_login(connection, initial):
    user = connection.decoded(initial) if initial else _ask(connection, b"VXNlcm5hbWU6")
    password = _ask(connection, b"UGFzc3dvcmQ6")
    connection.note_credential("AUTH LOGIN", user, password, user + b"\0" + password)
    if not connection.server.accepts(user, password):
        raise Refused("NO [AUTHENTICATIONFAILED] wrong password")
    return user


def _bearer(connection, mechanism, raw, pattern):
    match = re.match(pattern, raw, re.S)
    if not match:
        raise Refused(f"BAD this is no {mechanism}")
    user, token = match[1], match[2]
    connection.note_credential(mechanism, user, token, raw)
    if token not in connection.server.tokens:
        _ask(connection, b"eyJzdGF0dXMiOiI0MDEifQ==")  # {"status":"401"}
        raise Refused("NO [AUTHENTICATIONFAILED] token refused")
    return user


def _xoauth2(connection, initial):
    return _bearer(connection, "XOAUTH2", _first(connection, initial),
                   rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01$")


def _oauthbearer(connection, initial):
    return _bearer(connection, "OAUTHBEARER", _first(connection, initial),
                   rb"n,a=([^,]*),\x01(?:host=[^\x01]*\x01)?(?:port=\d+\x01)?"
                   rb"auth=Bearer ([^\x01]*)\x01\x01$")


_MECHANISMS = {"PLAIN": _plain, "LOGIN": _auth_login, "XOAUTH2": _xoauth2,
               "OAUTHBEARER": _oauthbearer}


# Signed in ------------------------------------------------------------------------

def _enable(connection, tag, rest):
    _need(connection, "ENABLE")
    words = rest.upper().decode("latin-1").split()
    known = [word for word in words if connection.has(word)]
    connection.enabled.update(known)
    connection.untagged("ENABLED " + " ".join(known))
    connection.ok(tag)


def _open(connection, tag, rest, read_only):
    connection.mailbox, connection.view = None, []
    arguments = _arguments(rest)
    folder = arguments[0].decode("latin-1") if arguments else ""
    mailbox = connection.server.mailbox(connection.user, folder)
    if mailbox is None:
        raise Refused("NO [NONEXISTENT] no such folder")
    read_only = read_only or mailbox.read_only
    with mailbox.lock:
        connection.mailbox, connection.read_only = mailbox, read_only
        connection.view = list(mailbox.messages)
        flags = "" if read_only else mailbox.permanent_flags
        connection.untagged(r"FLAGS (\Answered \Flagged \Deleted \Seen \Draft)")
        connection.untagged(f"OK [PERMANENTFLAGS ({flags})] flags")
        connection.untagged(f"{len(connection.view)} EXISTS")
        connection.untagged("0 RECENT")
        connection.untagged(f"OK [UIDVALIDITY {mailbox.uidvalidity}] UIDs valid")
        connection.untagged(f"OK [UIDNEXT {mailbox.uidnext}] next UID")
        if connection.has("CONDSTORE"):
            connection.untagged(f"OK [HIGHESTMODSEQ {mailbox.modseq}] highest")
    connection.ok(tag, "[READ-ONLY] opened" if read_only else "[READ-WRITE] opened")


def _select(connection, tag, rest):
    _open(connection, tag, rest, False)


def _examine(connection, tag, rest):
    _open(connection, tag, rest, True)


def _create(connection, tag, rest):
    folder = _arguments(rest)[0].decode("latin-1")
    if connection.server.mailbox(connection.user, folder):
        raise Refused("NO [ALREADYEXISTS] it is there")
    connection.server.add_folder(connection.user, folder)
    connection.ok(tag)


def _list(connection, tag, rest):
    for folder in connection.server.folders(connection.user):
        connection.untagged(f'LIST () "/" "{folder}"')
    connection.ok(tag)


def _status(connection, tag, rest):
    arguments = _arguments(rest)
    folder = arguments[0].decode("latin-1")
    mailbox = connection.server.mailbox(connection.user, folder)
    if mailbox is None:
        raise Refused("NO [NONEXISTENT] no such folder")
    values = {b"MESSAGES": len(mailbox.messages), b"UIDNEXT": mailbox.uidnext,
              b"UIDVALIDITY": mailbox.uidvalidity, b"RECENT": 0}
    asked = arguments[1].strip(b"()").upper().split()
    text = " ".join(f"{name.decode()} {values[name]}" for name in asked if name in values)
    connection.untagged(f'STATUS "{folder}" ({text})')
    connection.ok(tag)


def _append(connection, tag, rest):
    arguments = _arguments(rest)
    folder, body = arguments[0].decode("latin-1"), arguments[-1]
    mailbox = connection.server.mailbox(connection.user, folder)
    if mailbox is None:
        raise Refused("NO [TRYCREATE] no such folder")
    flags = arguments[1].strip(b"()").decode().split() if len(arguments) > 2 else ()
    message = mailbox.add(body, flags)
    _announce_changes(connection)
    connection.ok(tag, f"[APPENDUID {mailbox.uidvalidity} {message.uid}] stored")


# A folder is open -----------------------------------------------------------------

def _compress(connection, tag, rest):
    _need(connection, "COMPRESS=DEFLATE")
    connection.ok(tag)
    connection.deflate()


def _mailbox(connection, to_write=False):
    if connection.mailbox is None:
        raise Refused("BAD no folder is open")
    if to_write and connection.read_only:
        raise Refused("NO [NOPERM] read-only")
    return connection.mailbox


def _announce_changes(connection):
    """EXPUNGE (or VANISHED) and EXISTS for what others did meanwhile."""
    mailbox = connection.mailbox
    if mailbox is None:
        return
    with mailbox.lock:
        alive = set(mailbox.messages)
        for index in range(len(connection.view) - 1, -1, -1):
            if connection.view[index] not in alive:
                uid = connection.view.pop(index).uid
                vanished = "QRESYNC" in connection.enabled
                connection.untagged(f"VANISHED {uid}" if vanished else f"{index + 1} EXPUNGE")
        new = [one for one in mailbox.messages if one not in connection.view]
        if new:
            connection.view.extend(new)
            connection.untagged(f"{len(connection.view)} EXISTS")


def _chosen(connection, number_set, by_uid):
    """(sequence number, message) of a set."""
    view = connection.view
    largest = (view[-1].uid if by_uid else len(view)) if view else 0
    for index, message in enumerate(list(view)):
        number = message.uid if by_uid else index + 1
        try:
            if in_set(number_set, number, largest):
                yield index + 1, message
        except ValueError:
            raise Refused("BAD this is no set") from None


def _fetch_either(by_uid):
    def fetch(connection, tag, rest):
        mailbox = _mailbox(connection)
        number_set, _, asked = rest.partition(b" ")
        asked = re.sub(rb"\(CHANGEDSINCE [^)]*\)$", b"", asked.strip(), flags=re.I)
        items = fetch_items(asked)
        if by_uid and not any(item.name == "UID" for item in items):
            items = fetch_items(b"UID") + items
        for number, message in _chosen(connection, number_set, by_uid):
            _fetch_one(connection, mailbox, number, message, items)
        if by_uid:
            _announce_changes(connection)
        connection.ok(tag)
    return fetch


def _fetch_one(connection, mailbox, number, message, items):
    with mailbox.lock:
        gone = message not in mailbox.messages
    if gone and connection.server.gone == "nothing":
        return
    connection.send(b"* %d FETCH (" % number)
    for place, item in enumerate(items):
        if place:
            connection.send(b" ")
        if item.is_body:
            _send_body(connection, mailbox, message, item, gone)
        else:
            text = plain_item(item.name, message)
            if text is None:
                raise Refused(f"BAD unknown item {item.name}")
            connection.send(text.encode())
    connection.send(b")\r\n")


def _send_body(connection, mailbox, message, item, gone):
    label, octets = item.octets(message)
    if gone:
        connection.send(label + b" NIL")
        return
    connection.send(label + b" {%d}\r\n" % len(octets))
    connection.send(octets)
    connection.note_delivery(message.uid, item.origin or 0, len(octets))
    if not item.peek and not connection.read_only:
        with mailbox.lock:
            message.flags.add("\\Seen")


def _search_either(by_uid):
    def run(connection, tag, rest):
        _mailbox(connection)
        match = re.match(rb"RETURN \(([^)]*)\) ", rest, re.I)
        if match:
            _need(connection, "ESEARCH")
        criteria = rest[match.end():] if match else rest
        criteria = re.sub(rb"^CHARSET \S+ ", b"", criteria, flags=re.I)
        view = connection.view
        try:
            found = search(view, criteria)
        except (ValueError, IndexError) as error:
            raise Refused(f"BAD {error}") from None
        numbers = [view[index].uid if by_uid else index + 1 for index in found]
        if match:
            _send_esearch(connection, tag, by_uid, match[1].upper().split(), numbers)
        else:
            connection.untagged("SEARCH" + "".join(f" {number}" for number in numbers))
        if by_uid:
            _announce_changes(connection)
        connection.ok(tag)
    return run


def _send_esearch(connection, tag, by_uid, wanted, numbers):
    text = f'ESEARCH (TAG "{tag.decode()}")' + (" UID" if by_uid else "")
    if b"COUNT" in wanted:
        text += f" COUNT {len(numbers)}"
    if numbers and b"MIN" in wanted:
        text += f" MIN {min(numbers)}"
    if numbers and b"MAX" in wanted:
        text += f" MAX {max(numbers)}"
    if numbers and (b"ALL" in wanted or not wanted):
        text += f" ALL {compact(numbers)}"
    connection.untagged(text)


_STORE = re.compile(
    rb"(\S+) (?:\(UNCHANGEDSINCE \d+\) )?([+-]?)FLAGS(\.SILENT)? \(?([^)]*)\)?$", re.I)


def _store_either(by_uid):
    def store(connection, tag, rest):
        mailbox = _mailbox(connection, to_write=True)
        match = _STORE.match(rest)
        if not match:
            raise Refused("BAD STORE")
        change, silent, flags = match[2], match[3], set(match[4].decode().split())
        with mailbox.lock:
            for number, message in _chosen(connection, match[1], by_uid):
                if message not in mailbox.messages:
                    continue
                _change_flags(mailbox, message, change, flags)
                if not silent:
                    connection.untagged(f"{number} FETCH ({plain_item('UID', message)} "
                                        f"{plain_item('FLAGS', message)})")
            if mailbox.auto_expunge:
                _delete(connection, mailbox, lambda one: "\\Deleted" in one.flags, "STORE")
        if by_uid:
            _announce_changes(connection)
        connection.ok(tag)
    return store


def _change_flags(mailbox, message, change, flags):
    if change == b"+":
        message.flags |= flags
    elif change == b"-":
        message.flags -= flags
    else:
        message.flags = set(flags)
    mailbox.touch(message)


def _delete(connection, mailbox, is_chosen, how):
    with mailbox.lock:
        uids = [one.uid for one in mailbox.messages if is_chosen(one)]
        mailbox.remove(*uids)
    for uid in uids:
        connection.note_deletion(uid, how)


def _expunge(connection, tag, rest):
    mailbox = _mailbox(connection, to_write=True)
    _delete(connection, mailbox, lambda one: "\\Deleted" in one.flags, "EXPUNGE")
    _announce_changes(connection)
    connection.ok(tag)


def _uid_expunge(connection, tag, rest):
    _need(connection, "UIDPLUS")
    mailbox = _mailbox(connection, to_write=True)
    chosen = {message for _, message in _chosen(connection, rest, True)}
    _delete(connection, mailbox,
            lambda one: "\\Deleted" in one.flags and one in chosen, "UID EXPUNGE")
    _announce_changes(connection)
    connection.ok(tag)


def _uid_move(connection, tag, rest):
    _need(connection, "MOVE")
    mailbox = _mailbox(connection, to_write=True)
    uid_set, folder = _arguments(rest)
    target = connection.server.mailbox(connection.user, folder.decode("latin-1"))
    if target is None:
        raise Refused("NO [TRYCREATE] no such folder")
    chosen = {message for _, message in _chosen(connection, uid_set, True)}
    for message in sorted(chosen, key=lambda one: one.uid):
        target.add(message.body, message.flags)
    _delete(connection, mailbox, lambda one: one in chosen, "UID MOVE")
    _announce_changes(connection)
    connection.ok(tag)


def _close(connection, tag, rest):
    mailbox = _mailbox(connection)
    if not connection.read_only:
        _delete(connection, mailbox, lambda one: "\\Deleted" in one.flags, "CLOSE")
    connection.mailbox, connection.view = None, []
    connection.ok(tag)


def _unselect(connection, tag, rest):
    _need(connection, "UNSELECT")
    _mailbox(connection)
    connection.mailbox, connection.view = None, []
    connection.ok(tag)


def _idle(connection, tag, rest):
    _need(connection, "IDLE")
    connection.send(b"+ idling\r\n")
    while not connection.is_readable(0.05):
        _announce_changes(connection)
    line = connection.read_line()
    if line.upper() != b"DONE":
        raise Refused("BAD expected DONE")
    _announce_changes(connection)
    connection.ok(tag)


COMMANDS = {
    "CAPABILITY": _capability, "NOOP": _noop, "LOGOUT": _logout, "ID": _id,
    "STARTTLS": _starttls, "LOGIN": _login, "AUTHENTICATE": _authenticate,
    "ENABLE": _enable, "SELECT": _select, "EXAMINE": _examine, "CREATE": _create,
    "LIST": _list, "STATUS": _status, "APPEND": _append, "CHECK": _noop,
    "FETCH": _fetch_either(False), "UID FETCH": _fetch_either(True),
    "SEARCH": _search_either(False), "UID SEARCH": _search_either(True),
    "STORE": _store_either(False), "UID STORE": _store_either(True),
    "EXPUNGE": _expunge, "UID EXPUNGE": _uid_expunge, "UID MOVE": _uid_move,
    "CLOSE": _close, "COMPRESS": _compress, "UNSELECT": _unselect, "IDLE": _idle,
}

SIGNED_IN_ONLY = set(COMMANDS) - {
    "CAPABILITY", "NOOP", "LOGOUT", "ID", "STARTTLS", "LOGIN", "AUTHENTICATE"}

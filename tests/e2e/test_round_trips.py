"""How often the upstream is asked: over a real link each command costs a round trip."""

import socket
import statistics
import time

import fake_imap
import mails
import net
import roles

COUNT = 5


def said_after(fake, before):
    """The names of the commands the server got since there were `before` of them."""
    return [command.name for command in fake.commands[before:]]


def several(fake):
    for number in range(COUNT):
        fake.mailbox("alice").add(mails.simple(f"message {number}"))


def test_retr_and_top_are_one_command_each(fake, bridge_to):
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        for number in range(1, COUNT + 1):
            client.retr(number)
            client.top(number, 0)
        assert said_after(fake, before) == ["UID FETCH"] * (2 * COUNT)


def _in_pieces(connection, tag, rest):
    """As servers do whose every write waits for the acknowledgement of the one before."""
    if b"BODY.PEEK[]" not in rest:
        return None
    uid = int(rest.split()[0])
    body = connection.mailbox.find(uid).body
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    for piece in (b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (uid, uid, len(body)), body, b")\r\n",
                  tag + b" OK done\r\n"):
        connection.send(piece)
    return True


def test_a_server_that_answers_in_pieces_is_acknowledged_at_once(fake, bridge_to):
    several(fake)
    fake.on("UID FETCH", _in_pieces)
    taken = []
    with bridge_to(fake.url).signed_in("alice") as client:
        for number in (1, 3, 5, 2, 4) * 4:
            before = time.monotonic()
            client.retr(number)
            taken.append(time.monotonic() - before)
    assert statistics.median(taken) < 0.03 * net.slow_factor(), "a delayed acknowledgement takes 0.04"


def test_listings_ask_nothing(fake, bridge_to):
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        assert len(client.uidl()) == len(client.list()) == COUNT
        assert said_after(fake, before) == []


def test_deletions_are_asked_about_before_they_are_sent(fake, bridge_to):
    """What the server knows of the folder by then has to be known before the STORE."""
    several(fake)
    with bridge_to(fake.url).signed_in("alice") as client:
        before = len(fake.commands)
        client.ok("DELE 1")
        client.ok("QUIT")
        assert said_after(fake, before)[:2] == ["NOOP", "UID STORE"]


def sign_in_flights(server, bridge_to):
    with bridge_to(server.url).signed_in("alice"):
        return server.connections[-1].flights


def test_a_sign_in_asks_three_times(fake, bridge_to):
    """The credential with ID in front of it, SELECT, FETCH; capabilities come by themselves."""
    several(fake)
    assert sign_in_flights(fake, bridge_to) == 3
    assert [command.name for command in fake.commands] == \
        ["ID", "AUTHENTICATE", "SELECT", "UID FETCH"]


def poll(bridge):
    with bridge.signed_in("alice") as client:
        return client.uidl()


def flights_and_commands(fake, bridge):
    with bridge.signed_in("alice"):
        connection = fake.connections[-1]
        return connection.flights, [(command.name, command.rest) for command in fake.commands
                                    if command.connection == connection.number]


def test_a_mailbox_that_did_not_change_is_not_listed(fake, bridge_to):
    """A cold sign-in: connect, greeting, and twice there and back."""
    several(fake)
    bridge = bridge_to(fake.url)
    first = poll(bridge)
    flights, commands = flights_and_commands(fake, bridge)
    assert flights == 2
    assert [name for name, _ in commands] == ["ID", "AUTHENTICATE", "SELECT"]
    assert poll(bridge) == first


def test_of_a_mailbox_that_grew_only_what_is_new_is_listed(fake, bridge_to):
    several(fake)
    bridge = bridge_to(fake.url)
    poll(bridge)
    for _ in range(2):
        fake.mailbox("alice").add(mails.simple("new"))
    _, commands = flights_and_commands(fake, bridge)
    assert commands[-1] == ("UID FETCH", b"6:7 (UID RFC822.SIZE)")
    assert len(poll(bridge)) == COUNT + 2


def test_what_vanished_is_found_by_one_search(fake, bridge_to):
    several(fake)
    bridge = bridge_to(fake.url)
    poll(bridge)
    fake.mailbox("alice").remove(2, 3)
    _, commands = flights_and_commands(fake, bridge)
    assert [name for name, _ in commands][3:] == ["UID SEARCH"]
    assert len(poll(bridge)) == COUNT - 2
    _, commands = flights_and_commands(fake, bridge)
    assert [name for name, _ in commands][3:] == []


def test_as_many_gone_as_left_out_is_found_out(fake, bridge_to):
    """The server does not list what is new but broken; the number of messages agrees."""
    several(fake)
    bridge = bridge_to(fake.url)
    poll(bridge)
    mailbox = fake.mailbox("alice")
    mailbox.remove(1)
    for _ in range(2):
        mailbox.add(mails.simple("new"))

    def leave_out(connection, tag, rest):
        first = int(rest.split(b":")[0])
        for place, one in enumerate(mailbox.messages[:-1], 1):
            if one.uid >= first:
                connection.untagged(f"{place} FETCH (UID {one.uid} RFC822.SIZE {one.size})")
        connection.ok(tag)
        return True

    fake.on("UID FETCH", leave_out)
    with bridge.client() as client:
        assert client.try_sign_in("alice").startswith(b"-ERR [SYS/TEMP]")


def test_what_was_deleted_here_needs_no_search(fake, bridge_to):
    several(fake)
    bridge = bridge_to(fake.url)
    with bridge.signed_in("alice") as client:
        client.ok("DELE 2")
        client.ok("QUIT")
    _, commands = flights_and_commands(fake, bridge)
    assert [name for name, _ in commands][3:] == []
    assert len(poll(bridge)) == COUNT - 1


def test_a_list_that_was_cut_off_goes_on_where_it_was(fake, bridge_to):
    several(fake)

    def cut_off(connection, _tag, _rest):
        for number in (1, 2, 3):
            connection.untagged(f"{number} FETCH (UID {number} RFC822.SIZE "
                                f"{fake.mailbox('alice').find(number).size})")
        connection.cut("RST")

    fake.on("UID FETCH", cut_off, times=1)
    bridge = bridge_to(fake.url)
    with bridge.client() as client:
        assert client.try_sign_in("alice").startswith(b"-ERR [SYS/TEMP]")
    _, commands = flights_and_commands(fake, bridge)
    assert commands[3] == ("UID FETCH", b"4:5 (UID RFC822.SIZE)")
    assert [name for name, _ in commands[4:]] == ["UID SEARCH"]  # nobody knows of gaps
    assert len(poll(bridge)) == COUNT


def test_a_list_that_was_cut_off_with_holes_is_made_anew(fake, bridge_to):
    several(fake)

    def cut_off(connection, _tag, _rest):
        for number in (1, 4):
            connection.untagged(f"{number} FETCH (UID {number} RFC822.SIZE 9)")
        connection.cut("RST")

    fake.on("UID FETCH", cut_off, times=1)
    bridge = bridge_to(fake.url)
    with bridge.client() as client:
        client.try_sign_in("alice")
    with bridge.signed_in("alice") as client:
        assert client.list() == {n: one.size for n, one in
                                 enumerate(fake.mailbox("alice").messages, 1)}


def test_a_client_that_hangs_up_does_not_stop_the_list(fake, bridge_to):
    """Old clients give up on a large folder; the next sign-in finds it listed."""
    several(fake)

    def slow(connection, tag, rest):
        while client.socket.fileno() >= 0:
            if fake.is_closing:
                return True
        connection.default("UID FETCH", tag, rest)
        return True

    fake.on("UID FETCH", slow, times=1)
    bridge = bridge_to(fake.url)
    client = bridge.client()
    client.ok("USER alice")
    client.send(b"PASS secret\r\n")
    fake.wait_command("UID FETCH")
    client.reset()
    bridge.wait_log("session ended")
    _, commands = flights_and_commands(fake, bridge)
    assert [name for name, _ in commands] == ["ID", "AUTHENTICATE", "SELECT"]


def test_a_server_without_uidnext_is_asked_for_everything(fake, bridge_to):
    several(fake)

    def without_uidnext(connection, tag, rest):
        connection.untagged(f"{COUNT} EXISTS")
        connection.untagged("OK [UIDVALIDITY 5] valid")
        connection.mailbox = connection.server.mailbox(connection.user)
        connection.view = list(connection.mailbox.messages)
        connection.ok(tag)
        return True

    fake.on("SELECT", without_uidnext)
    bridge = bridge_to(fake.url)
    poll(bridge)
    _, commands = flights_and_commands(fake, bridge)
    assert commands[-1] == ("UID FETCH", b"1:* (UID RFC822.SIZE)")


def test_a_server_that_keeps_its_capabilities_to_itself_is_asked(bridge_to):
    with fake_imap.FakeImap(announce=False) as server:
        assert sign_in_flights(server, bridge_to) == 4
        assert [command.name for command in server.commands] == \
            ["CAPABILITY", "ID", "AUTHENTICATE", "CAPABILITY", "SELECT"]


def test_refused_or_late_answers_to_id_do_not_matter(fake, bridge_to):
    """Capabilities in it neither: they are those from before the sign-in."""
    fake.on("ID", lambda connection, tag, rest: connection.send(
        tag + b" NO [CAPABILITY IMAP4rev1 LOGINDISABLED] who?\r\n") or True)
    with bridge_to(fake.url).signed_in("alice") as client:
        client.ok("STAT")

    def late(connection, tag, rest):
        connection.send(tag + b" OK in\r\n" + connection.notes["id"] + b" OK known\r\n")
        connection.user = "alice"
        return True

    fake.on("ID", lambda connection, tag, rest: connection.notes.update(id=tag) or True)
    fake.on("AUTHENTICATE", late)
    with bridge_to(fake.url).signed_in("alice") as client:
        client.ok("STAT")


def test_tls_with_the_server_is_resumed(pki, bridge_to):
    with fake_imap.FakeImap(tls=pki.server) as server:
        bridge = bridge_to(server.url, ca_file=pki.ca)
        for _ in range(2):
            with bridge.signed_in("alice") as client:
                client.ok("QUIT")
        assert [connection.resumed for connection in server.connections] == [False, True]


def test_a_resumed_server_is_held_to_the_pins(pki, bridge_to):
    """A pin that does not fit is refused each time, before a credential is sent."""
    with fake_imap.FakeImap(tls=pki.server) as server:
        bridge = bridge_to(server.url, ca_file=pki.ca, pins=["A" * 43 + "="])
        for _ in range(3):
            with bridge.client() as client:
                client.ok("USER alice")
                assert client.command("PASS secret").startswith(b"-ERR [SYS/PERM]")
        assert server.credentials == []


def connect_tls(bridge, context, session=None):
    """A connection after its greeting, with which the tickets have come."""
    plain = socket.create_connection(("127.0.0.1", bridge.port("implicit")), 20)
    connection = context.wrap_socket(plain, server_hostname="localhost", session=session)
    assert connection.recv(100).startswith(b"+OK")
    return connection


def test_tls_with_the_client_is_resumed_by_another_worker(pki, fake, start_bridge):
    """Clients' tickets are good at every worker, so at a worker's successor too."""
    bridge = start_bridge({**roles.config(fake.url), "workers": 1}, tls=pki)
    context = bridge.tls_context()
    with connect_tls(bridge, context) as connection:
        session = connection.session
    roles.kill(roles.pids(bridge, "worker")[0])
    with connect_tls(bridge, context, session) as connection:
        assert connection.session_reused

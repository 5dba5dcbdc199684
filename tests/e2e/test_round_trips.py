"""How often the upstream is asked: over a real link each command costs a round trip."""

import socket

import fake_imap
import mails
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

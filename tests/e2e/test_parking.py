"""
A signed-in upstream connection that waits for the same user's next session: it spares the
sign-in, and never costs anybody anything else.
"""

import signal

import dovecot as dovecot_server
import fake_imap
import mails
import net
import pop3
import pytest
import roles


@pytest.fixture(autouse=True)
def mail(fake):
    fake.messages[:] = [mails.simple(f"message {number}") for number in range(3)]


def parked_bridge(start_bridge, fake, limits=None, trace=(), **route):
    """One worker, so that every client finds what an earlier one has left."""
    return start_bridge({
        "workers": 1, "limits": {"parking": "5m", **(limits or {})},
        "log": {"trace": list(trace)},
        "routes": [{"match": "*", "server": fake.url, **route}]})


def poll(bridge, user="alice", password="secret"):
    """A whole session: {unique-id}."""
    with bridge.signed_in(user, password) as client:
        seen = set(client.uidl().values())
        client.ok("QUIT")
        client.wait_closed()
    return seen


def names_after(fake, count):
    return [command.name for command in fake.commands[count:]]


def sign_ins(fake):
    return len(fake.credentials)


def test_the_next_session_spares_the_sign_in(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    before = len(fake.commands)
    assert poll(bridge) == first and len(first) == 3
    assert names_after(fake, before)[0] == "SELECT"
    assert sign_ins(fake) == 1 and len(fake.connections) == 1


# GNU imap4d writes the view of a connection that was parked over newer mail ---------------


def lacks(fake, *words):
    for word in words:
        fake.capability = fake.capability.replace(f" {word}", "")
        fake.after_sign_in = fake.after_sign_in.replace(f" {word}", "")


def test_a_server_without_uidplus_and_unselect_is_left(fake, start_bridge):
    lacks(fake, "UIDPLUS", "UNSELECT")
    bridge = parked_bridge(start_bridge, fake)
    assert poll(bridge) == poll(bridge)
    assert sign_ins(fake) == 2


def test_without_uidplus_the_folder_is_left_before_the_connection_waits(fake, start_bridge):
    lacks(fake, "UIDPLUS")
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.wait_command("UNSELECT")
    fake.mailbox("alice").add(mails.simple("a new one"))
    before = len(fake.commands)
    assert len(poll(bridge) - first) == 1
    assert names_after(fake, before)[0] == "SELECT"
    assert sign_ins(fake) == 1 and not fake.deletions


def test_quit_does_not_wait_for_the_folder_to_be_left(fake, start_bridge):
    """Nor is a connection given to anybody that has not left it within seconds."""
    lacks(fake, "UIDPLUS")
    fake.on("UNSELECT", lambda connection, tag, rest: connection.stall(), times=1)
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.wait_command("UNSELECT")
    fake.wait_no_connections(20)
    assert poll(bridge) == first
    assert sign_ins(fake) == 2


@pytest.mark.parametrize("answer", ["no", "bad"])
def test_a_folder_that_cannot_be_left_costs_a_sign_in_and_no_more(
        fake, start_bridge, answer):
    lacks(fake, "UIDPLUS")

    def refuse(connection, tag, _rest):
        getattr(connection, answer)(tag)
        return True
    fake.on("UNSELECT", refuse, times=1)
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.wait_no_connections(20)
    assert poll(bridge) == first
    assert sign_ins(fake) == 2


def test_a_dovecot_without_uidplus_gives_the_same_over_it(pki, start_bridge):
    with dovecot_server.Dovecot(
            pki, capability="IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UNSELECT") as server:
        for number in range(3):
            server.deliver("joe", mails.simple(f"message {number}"))
        bridge = parked_bridge(start_bridge, server, trace=["joe"])
        fresh = parked_bridge(start_bridge, server, {"parking": "off"})
        assert poll(bridge, "joe") == poll(fresh, "joe")
        server.deliver("joe", mails.simple("a new one"))
        assert poll(bridge, "joe") == poll(fresh, "joe")
        with bridge.signed_in("joe") as client:
            client.ok("DELE 1")
            client.ok("QUIT")
        server.expunge("joe", [3])
        left = poll(bridge, "joe")
        assert left == poll(fresh, "joe") and len(left) == 2
        said = [line["text"] for line in bridge.log("trace") if line["from"] == "upstream"]
        assert said.count("AUTHENTICATE PLAIN ***") == 1 and said.count("UNSELECT") == 4


def test_what_a_waiting_connection_is_told_does_not_cost_it(fake, start_bridge):
    """Microsoft's servers say EXISTS unasked."""
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.mailbox("alice").add(mails.simple("a new one"))
    fake.open_connections()[0].send(b"* 4 EXISTS\r\n* 1 RECENT\r\n")
    assert len(poll(bridge) - first) == 1
    assert sign_ins(fake) == 1


def test_what_happened_meanwhile_is_seen(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.mailbox("alice").add(mails.simple("a new one"))
    grown = poll(bridge)
    assert len(grown) == 4 and first < grown
    fake.mailbox("alice").remove(1)
    assert len(poll(bridge)) == 3
    fake.mailbox("alice").uidvalidity += 1
    assert not poll(bridge) & grown
    assert sign_ins(fake) == 1


def test_deleted_messages_are_gone_for_the_next_session(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    with bridge.signed_in("alice") as client:
        client.ok("DELE 2")
        client.ok("QUIT")
    assert len(poll(bridge)) == 2
    assert sign_ins(fake) == 1 and [one.uid for one in fake.deletions] == [2]


def test_a_client_that_just_leaves_deletes_nothing_and_leaves_its_connection(
        fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    with bridge.signed_in("alice") as client:
        client.ok("DELE 2")
    bridge.wait_log("session ended")
    assert len(poll(bridge)) == 3
    assert sign_ins(fake) == 1 and not fake.deletions


def test_a_wrong_password_neither_gets_nor_costs_it(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    poll(bridge)
    for wrong in ("Secret", "secre", "secretx"):
        with bridge.client() as client:
            assert client.try_sign_in("alice", wrong).startswith(b"-ERR [AUTH]")
    assert not [command for command in fake.commands
                if command.connection > 1 and command.name == "SELECT"]
    before = sign_ins(fake)
    poll(bridge)
    assert sign_ins(fake) == before


def test_nobody_else_gets_it(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    poll(bridge)
    poll(bridge, "bob")
    poll(bridge, "ALICE")
    assert sorted(one.user for one in fake.credentials) == [b"ALICE", b"alice", b"bob"]


def test_another_mechanism_signs_in_anew(fake, start_bridge):
    """A token is no password, were it spelt like one."""
    fake.tokens.add(b"secret")
    bridge = parked_bridge(start_bridge, fake)
    poll(bridge)
    with bridge.client() as client:
        assert client.auth("XOAUTH2", b"user=alice\x01auth=Bearer secret\x01\x01") \
            .startswith(b"+OK")
    assert sign_ins(fake) == 2


def test_another_folder_of_the_account_is_selected_anew(fake, start_bridge):
    fake.add_folder("alice", "Archive", [mails.simple("old")])
    bridge = parked_bridge(start_bridge, fake, **{"folder-separator": "+"})
    assert len(poll(bridge)) == 3
    assert len(poll(bridge, "alice+Archive")) == 1
    assert len(poll(bridge)) == 3
    assert sign_ins(fake) == 1


def test_the_credential_is_verified_anew_when_the_time_is_over(fake, start_bridge):
    """Counted from when the server judged it, however often the connection was used."""
    bridge = parked_bridge(start_bridge, fake, {"parking": "300ms"})

    def asked_again():
        poll(bridge)
        return sign_ins(fake) > 1
    net.wait_until(asked_again, 10, "the server is asked for its judgement again")
    fake.passwords["alice"] = b"changed"

    def refused():
        with bridge.client() as client:
            return client.try_sign_in("alice").startswith(b"-ERR [AUTH]")
    net.wait_until(refused, 10, "the old password is refused")


def test_it_is_closed_when_the_time_is_over(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake, {"parking": "100ms"})
    poll(bridge)
    fake.wait_no_connections()
    assert fake.commands[-1].name == "LOGOUT"


def test_off_means_off(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake, {"parking": "off"})
    poll(bridge)
    fake.wait_no_connections()
    poll(bridge)
    assert sign_ins(fake) == 2


def test_no_more_are_kept_than_the_limit(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake, {"parked": 2})
    for user in ("alice", "bob", "carol"):
        poll(bridge, user)
    net.wait_until(lambda: len(fake.open_connections()) == 2, 10, "two are left")
    before = sign_ins(fake)
    poll(bridge, "bob")
    poll(bridge, "carol")
    assert sign_ins(fake) == before
    poll(bridge, "alice")
    assert sign_ins(fake) == before + 1


def test_a_reload_and_the_end_close_it(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    poll(bridge)
    bridge.process.send_signal(signal.SIGHUP)
    fake.wait_no_connections()
    poll(bridge)
    bridge.stop()
    assert not fake.open_connections() or fake.wait_no_connections() is None


# What goes wrong with it costs the client nothing ------------------------------------------


def cut(connection, _tag, _rest):
    connection.cut("RST")


def bye(connection, _tag, _rest):
    connection.send(b"* BYE time is over\r\n")
    connection.cut()


def no(connection, tag, _rest):
    connection.no(tag, "[UNAVAILABLE] not now")
    return True


def garbage(connection, _tag, _rest):
    connection.send(b"* 3 EXISTS\r\n* %%% (((\x00\r\n")
    return True


def bad_list(connection, tag, _rest):
    """Two numbers of messages."""
    connection.send(b"* 5 EXISTS\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n" +
                    tag + b" OK done\r\n")
    return True


@pytest.mark.parametrize("fault", [cut, bye, no, garbage, bad_list])
def test_a_fault_of_the_parked_connection_costs_a_sign_in_and_no_more(
        fake, start_bridge, fault):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.on("SELECT", fault, times=1)
    assert poll(bridge) == first
    assert sign_ins(fake) == 2


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_server_that_hung_up_meanwhile_costs_a_sign_in_and_no_more(
        fake, start_bridge, how):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.drop_connections(how)
    fake.wait_no_connections()
    assert poll(bridge) == first
    assert sign_ins(fake) == 2


def test_a_server_that_is_silent_from_then_on_costs_some_seconds(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.on("SELECT", lambda connection, tag, rest: connection.stall(), times=1)
    assert poll(bridge) == first
    assert sign_ins(fake) == 2


def test_a_cut_in_the_list_costs_a_sign_in_and_no_more(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    fake.mailbox("alice").add(mails.simple("a new one"))
    fake.on("UID FETCH", cut, times=1)
    grown = poll(bridge)
    assert first < grown and len(grown) == 4


def test_a_session_cut_in_a_message_does_not_leave_its_connection(fake, start_bridge):
    """What would come over it next is the rest of the message."""
    fake.mailbox("alice").add(mails.of_size(4_000_000))
    bridge = parked_bridge(start_bridge, fake)
    with bridge.signed_in("alice") as client:
        client.send(b"RETR 4\r\n")
        client.line()
        client.reset()
    bridge.wait_log("session ended")
    fake.wait_no_connections()
    assert len(poll(bridge)) == 4
    assert sign_ins(fake) == 2


def test_who_finds_the_mailbox_locked_does_not_lose_it(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    poll(bridge)
    with bridge.signed_in("alice") as holder:
        with bridge.client() as client:
            assert client.try_sign_in("alice").startswith(b"-ERR [IN-USE]")
        holder.ok("QUIT")
    assert len(poll(bridge)) == 3
    assert sign_ins(fake) == 2


def test_a_worker_that_dies_takes_it_along(fake, start_bridge):
    bridge = parked_bridge(start_bridge, fake)
    first = poll(bridge)
    roles.kill(roles.pids(bridge, "worker")[0])
    fake.wait_no_connections()
    client, _ = roles.sign_in_within(bridge, "alice", 5, "127.0.0.1")
    assert set(client.uidl().values()) == first


def test_a_dovecot_gives_the_same_over_it(dovecot, start_bridge, user):
    """Arrivals, expunges and a new UIDVALIDITY, each over a parked connection."""
    for number in range(3):
        dovecot.deliver(user, mails.simple(f"message {number}"))
    bridge = parked_bridge(start_bridge, dovecot)
    fresh = parked_bridge(start_bridge, dovecot, {"parking": "off"})
    assert poll(bridge, user) == poll(fresh, user)
    dovecot.deliver(user, mails.simple("a new one"))
    assert poll(bridge, user) == poll(fresh, user)
    dovecot.expunge(user, [1, 3])
    assert poll(bridge, user) == poll(fresh, user)
    with bridge.signed_in(user) as client:
        assert len(client.uidl()) == 2
        assert client.retr(1) == \
            pop3.as_pop3(next(iter(dovecot.bodies(user).values())))
        client.ok("DELE 1")
        client.ok("QUIT")
    assert poll(bridge, user) == poll(fresh, user)
    dovecot.change_uidvalidity(user)
    assert poll(bridge, user) == poll(fresh, user)


def test_a_connection_with_tls_is_parked_like_a_plain_one(pki, start_bridge):
    with fake_imap.FakeImap(tls=pki.server, messages=[mails.simple()]) as server:
        bridge = parked_bridge(start_bridge, server, **{"ca-file": pki.ca})
        assert poll(bridge) == poll(bridge)
        assert len(server.connections) == 1


@pytest.mark.parametrize("parking", ["5m", "off"])
def test_a_worker_that_drains_ends_with_its_last_session(fake, start_bridge, parking):
    """What its sessions leave when nothing is parked any more is closed all the same."""
    bridge = parked_bridge(start_bridge, fake, limits={"parking": parking, "drain": "60s"})
    for turn in range(3):
        client = bridge.signed_in("alice")
        old = roles.pids(bridge, "worker")
        bridge.process.send_signal(signal.SIGHUP)
        bridge.wait_log("reloaded", turn + 1)
        client.ok("QUIT")
        client.close()
        roles.wait_gone(old, 5)
    assert not bridge.log("role died")

"""
min-poll: who asks again within so long gets the list of a moment ago, after his password
was compared here; the server is asked once something is to be read or deleted.
"""

import bridge as bridge_module
import mails
import net
import pop3
import pytest
import test_accounts

LONG = "1h"  # no test takes that long


@pytest.fixture(autouse=True)
def mail(fake):
    fake.messages[:] = [mails.simple(f"message {number}") for number in range(3)]


def config_of(server, min_poll=LONG, parking="off", **route):
    """One worker, so that every client finds what an earlier one has left."""
    return {"workers": 1, "limits": {"parking": parking},
            "routes": [{"match": "*", "server": server.url, "min-poll": min_poll, **route}]}


@pytest.fixture
def polled(start_bridge, fake):
    """After alice's first session, whose connection is gone."""
    bridge = start_bridge(config_of(fake))
    assert len(poll(bridge)) == 3
    fake.wait_no_connections()
    return bridge


def poll(bridge, user="alice", password="secret", **how):
    """A whole session: {unique-id}."""
    with bridge.signed_in(user, password, **how) as client:
        seen = set(client.uidl().values())
        assert client.stat()[0] == len(seen) == len(client.list())
        client.ok("NOOP")
        client.ok("QUIT")
        client.wait_closed()
    return seen


def refusal(bridge, user="alice", password="secret"):
    with bridge.client() as client:
        return client.try_sign_in(user, password)


def test_who_asks_again_soon_is_answered_without_the_server(polled, fake):
    first = poll(polled)
    fake.mailbox("alice").add(mails.simple("a new one"))
    assert poll(polled) == first and len(first) == 3
    assert len(fake.connections) == 1


def test_what_is_new_is_there_when_the_time_is_over(start_bridge, fake):
    bridge = start_bridge(config_of(fake, "1s"))
    first = poll(bridge)
    fake.mailbox("alice").add(mails.simple("a new one"))
    net.wait_until(lambda: len(poll(bridge) - first) == 1, 20, "the new one is listed")
    assert len(fake.credentials) > 1


def test_without_the_setting_every_sign_in_asks(start_bridge, fake):
    bridge = start_bridge(config_of(fake, "off"))
    poll(bridge)
    poll(bridge)
    assert len(fake.credentials) == 2


def test_a_wrong_password_is_the_servers_matter_and_costs_nothing(polled, fake):
    for wrong in ("Secret", "secre", "secretx"):
        assert refusal(polled, password=wrong).startswith(b"-ERR [AUTH]")
    before = len(fake.credentials)
    assert before == 4
    assert len(poll(polled)) == 3
    assert len(fake.credentials) == before


def test_nobody_else_gets_it(polled, fake):
    for user in ("bob", "ALICE"):
        poll(polled, user)
    assert [one.user for one in fake.credentials] == [b"alice", b"bob", b"ALICE"]


def test_another_folder_has_a_list_of_its_own(start_bridge, fake):
    fake.add_folder("alice", "Archive", [mails.simple("old")])
    bridge = start_bridge(config_of(fake, **{"folder-separator": "+"}))
    for _ in range(2):
        assert len(poll(bridge)) == 3
        assert len(poll(bridge, "alice+Archive")) == 1
    assert len(fake.credentials) == 2


def test_another_mechanism_is_no_same_credential(polled, fake):
    fake.tokens.add(b"secret")
    with polled.client() as client:
        assert client.auth("XOAUTH2", b"user=alice\x01auth=Bearer secret\x01\x01") \
            .startswith(b"+OK")
    assert len(fake.credentials) == 2


@pytest.mark.parametrize("parking", ["off", "5m"])
def test_a_message_is_read_from_the_server(start_bridge, fake, parking):
    bridge = start_bridge(config_of(fake, parking=parking))
    poll(bridge)
    with bridge.signed_in("alice") as client:
        for number, body in enumerate(fake.messages, 1):
            assert client.retr(number) == pop3.as_pop3(body)
        assert client.top(1, 0) == pop3.as_top(fake.messages[0], 0)
        client.ok("QUIT")
    assert len(fake.credentials) == (2 if parking == "off" else 1)
    bridge.wait_log("session ended", 2)
    assert [line["reconnects"] for line in bridge.log("session ended")] == ["0", "0"]


@pytest.mark.parametrize("parking", ["off", "5m"])
def test_what_is_deleted_is_gone_and_nothing_else(start_bridge, fake, parking):
    bridge = start_bridge(config_of(fake, parking=parking))
    poll(bridge)
    fake.mailbox("alice").add(mails.simple("a new one"))
    with bridge.signed_in("alice") as client:
        client.ok("DELE 2")
        client.ok("QUIT")
    assert [one.uid for one in fake.deletions] == [2]
    assert len(poll(bridge)) == 3  # asked anew: 1, 3 and the new one


def test_what_is_deleted_through_one_worker_no_other_lists(start_bridge, fake):
    bridge = start_bridge({**config_of(fake), "workers": 2})
    one, other = {"source": "127.0.0.2"}, {"source": "127.0.0.3"}  # the address chooses
    assert len(poll(bridge, **one)) == len(poll(bridge, **other)) == 3
    assert len(poll(bridge, **one)) == len(poll(bridge, **other)) == 3
    assert len(fake.credentials) == 2  # each worker has a list of its own
    with bridge.signed_in("alice", **one) as client:
        client.ok("DELE 2")
        client.ok("QUIT")
    assert len(poll(bridge, **other)) == 2


def test_dele_without_quit_deletes_nothing(polled, fake):
    with polled.signed_in("alice") as client:
        client.ok("DELE 2")
    polled.wait_log("session ended", 2)
    assert len(poll(polled)) == 3
    assert not fake.deletions and len(fake.connections) == 1


@pytest.mark.parametrize("parking", ["off", "5m"])
def test_another_uidvalidity_ends_the_session_and_deletes_nothing(
        start_bridge, fake, parking):
    bridge = start_bridge(config_of(fake, parking=parking))
    first = poll(bridge)
    fake.mailbox("alice").uidvalidity += 1
    with bridge.signed_in("alice") as client:
        client.ok("DELE 2")
        assert client.command("QUIT").startswith(b"-ERR [SYS/TEMP]")
    assert not fake.deletions
    now = poll(bridge)
    assert len(now) == 3 and not now & first


def test_retr_under_another_uidvalidity_gives_nothing(polled, fake):
    fake.mailbox("alice").uidvalidity += 1
    with polled.signed_in("alice") as client:
        assert client.command("RETR 1").startswith(b"-ERR [SYS/TEMP]")
        client.wait_closed()


def test_what_vanished_meanwhile_is_listed_but_not_had(polled, fake):
    fake.mailbox("alice").remove(2)
    with polled.signed_in("alice") as client:
        assert len(client.uidl()) == 3
        assert client.command("RETR 2").startswith(b"-ERR")
        assert client.retr(3) == pop3.as_pop3(fake.messages[2])
        client.ok("QUIT")
    assert len(poll(polled)) == 2


def test_a_password_changed_at_the_server_shows_the_list_and_no_more(polled, fake):
    fake.passwords["alice"] = b"changed"
    with polled.signed_in("alice") as client:
        assert len(client.uidl()) == 3
        assert client.command("RETR 1").startswith(b"-ERR [SYS/TEMP]")
        client.wait_closed()
    assert refusal(polled).startswith(b"-ERR [AUTH]")
    assert len(poll(polled, password="changed")) == 3


def test_the_new_password_ends_the_time_of_the_old_one(polled, fake):
    fake.passwords["alice"] = b"changed"
    assert len(poll(polled, password="changed")) == 3
    assert refusal(polled).startswith(b"-ERR [AUTH]")


def test_a_server_that_is_down_is_noticed_only_by_who_reads(polled, fake):
    fake.on("GREETING", lambda connection, tag, rest: connection.cut())
    assert len(poll(polled)) == 3
    with polled.signed_in("alice") as client:
        assert client.command("RETR 1").startswith(b"-ERR [SYS/TEMP]")


def test_the_maildrop_is_locked_as_ever(polled):
    with polled.signed_in("alice") as holder:
        assert refusal(polled).startswith(b"-ERR [IN-USE]")
        holder.ok("QUIT")
    assert len(poll(polled)) == 3


def test_kick_forgets_the_list(fake):
    folder = net.short_folder("mp")
    config = {**config_of(fake), "state": f"{folder}/state"}
    try:
        with bridge_module.Bridge(config) as bridge:
            poll(bridge)
            assert bridge_module.run("kick", "ALICE", "-c",
                                     bridge.config_path).returncode == 0
            poll(bridge)
            assert len(fake.credentials) == 2
    finally:
        net.remove_folder(folder)


def test_a_dovecot_gives_the_same(dovecot, start_bridge, user):
    for number in range(3):
        dovecot.deliver(user, mails.simple(f"message {number}"))
    bridge = start_bridge({**config_of(dovecot, parking="5m"), "log": {"trace": [user]}})
    first = poll(bridge, user)
    assert poll(bridge, user) == first
    asked = [line for line in bridge.log("trace") if line["from"] == "upstream"]
    assert len([line for line in asked if line["text"].startswith("SELECT")]) == 1
    bodies = dovecot.bodies(user)
    with bridge.signed_in(user) as client:
        for number, uid in enumerate(sorted(bodies), 1):
            assert client.retr(number) == pop3.as_pop3(bodies[uid])
        client.ok("DELE 2")
        client.ok("QUIT")
    left = poll(bridge, user)
    assert len(left) == 2 and left < first
    assert len(dovecot.uids(user)) == 2


def test_a_device_password_is_judged_here_as_ever(dovecot, user):
    for number in range(2):
        dovecot.deliver(user, mails.simple(f"message {number}"))
    service = test_accounts.Service(dovecot.url, **config_of(dovecot))
    try:
        service.add("scanner", user, test_accounts.UPSTREAM)
        password = service.device("scanner")
        other = service.device("scanner")
        first = poll(service.running, "scanner", password)
        dovecot.deliver(user, mails.simple("a new one"))
        assert poll(service.running, "scanner", password) == first and len(first) == 2
        assert poll(service.running, "SCANNER", other) == first
        assert refusal(service.running, "scanner", password[:-1]).startswith(b"-ERR [AUTH]")
        with service.running.signed_in("scanner", password) as client:
            assert client.retr(1) == pop3.as_pop3(mails.simple("message 0"))
            client.ok("QUIT")
        assert len(poll(service.running, user, test_accounts.UPSTREAM)) == 3
    finally:
        service.close()

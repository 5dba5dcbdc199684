"""
What the service knows of mailboxes outlives it: the index that the keeper keeps in the
state directory. Nothing hangs on it; it only saves asking the server.
"""

import glob
import os
import shutil
import sqlite3

import bridge as bridges
import fake_imap
import mails
import net
import pytest
import roles

COUNT = 5


@pytest.fixture
def state():
    folder = net.short_folder("st")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(start_bridge, state):
    """A service with that state directory; stop() it, and start another."""
    def started(server, workers=1, **more):
        return start_bridge({"workers": workers, "state": state,
                             "routes": [{"match": "*", "server": server.url,
                                         "without-uidplus": "careful",
                                         **more.pop("route", {})}], **more})
    return started


def fill(fake, count=COUNT, user="alice"):
    for number in range(count):
        fake.mailbox(user).add(mails.simple(f"message {number}"))


def said(fake, bridge, user="alice"):
    """What one sign-in asks, and what the client sees."""
    with bridge.signed_in(user) as client:
        connection = fake.connections[-1].number
        seen = client.uidl(), client.list(), client.stat()
        client.ok("QUIT")
    return seen, [(command.name, command.rest) for command in fake.commands
                  if command.connection == connection and
                  command.name in ("UID FETCH", "UID SEARCH")]


def table(state, sql):
    with sqlite3.connect(f"file:{state}/popbridge.db?mode=ro", uri=True) as store:
        return store.execute(sql).fetchall()


def holds(folder, octets):
    return any(octets in open(path, "rb").read() for path in glob.glob(f"{folder}/*")
               if os.path.isfile(path))


def wait_kept(state, count=1):
    net.wait_until(lambda: len(table(
        state, "SELECT 1 FROM indexes WHERE octets > 0")) == count, 20, "kept")


def test_after_a_restart_an_unchanged_mailbox_costs_no_fetch(fake, start):
    fill(fake)
    first = start(fake)
    seen, asked = said(fake, first)
    assert [name for name, _ in asked] == ["UID FETCH"]
    first.stop()
    assert said(fake, start(fake)) == (seen, [])


def test_another_worker_knows_what_one_has_learnt(fake, start, state):
    fill(fake)
    bridge = start(fake)
    seen, _ = said(fake, bridge)
    wait_kept(state)
    roles.kill(roles.pids(bridge, "worker")[0])
    bridge.wait_log("role died")
    assert said(fake, bridge) == (seen, [])


def test_after_a_restart_only_what_is_new_is_listed(fake, start):
    fill(fake)
    first = start(fake)
    said(fake, first)
    first.stop()
    fill(fake, 2)
    _, asked = said(fake, start(fake))
    assert asked == [("UID FETCH", b"6:7 (UID RFC822.SIZE)")]


def test_what_was_deleted_here_is_known_to_be_gone_after_a_restart(fake, start):
    fill(fake)
    first = start(fake)
    with first.signed_in("alice") as client:
        client.ok("DELE 2")
        client.ok("QUIT")
    first.stop()
    seen, asked = said(fake, start(fake))
    assert asked == []
    assert len(seen[0]) == COUNT - 1


def test_a_killed_service_loses_nothing_but_time(fake, start):
    fill(fake)
    first = start(fake)
    seen, _ = said(fake, first)
    first.kill()
    assert said(fake, start(fake))[0] == seen


def test_without_a_state_directory_nothing_is_asked_of_the_keeper(fake, start_bridge):
    fill(fake)
    config = {"workers": 1, "routes": [{"match": "*", "server": fake.url}]}
    first = start_bridge(config)
    seen, _ = said(fake, first)
    assert said(fake, first) == (seen, [])
    first.stop()
    again, asked = said(fake, start_bridge(config))
    assert again == seen
    assert [name for name, _ in asked] == ["UID FETCH"]


@pytest.mark.parametrize("damage", [
    "UPDATE index_pieces SET piece = x'00'",
    "UPDATE index_pieces SET piece = zeroblob(40000)",
    "UPDATE index_pieces SET piece = substr(piece, 1, length(piece) - 1)",
    "UPDATE index_pieces SET piece = CAST(substr(piece, 1, 16) || x'7f' || "
    "substr(piece, 18) AS BLOB)",
    "DELETE FROM index_pieces",
    "UPDATE indexes SET octets = 0",
    "UPDATE indexes SET maildrop = CAST(replace(CAST(maildrop AS TEXT), 'alice', 'bob') "
    "AS BLOB)"])
def test_a_damaged_index_is_thrown_away(fake, start, state, damage):
    fill(fake)
    first = start(fake)
    seen, _ = said(fake, first)
    first.stop()
    with sqlite3.connect(f"{state}/popbridge.db") as store:
        assert store.execute(damage).rowcount > 0
    bridge = start(fake)
    again, asked = said(fake, bridge)
    assert again == seen
    assert [name for name, _ in asked] == ["UID FETCH"]
    fake.mailbox("bob").recreate([mails.simple("another")])
    assert said(fake, bridge, "bob")[0][2][0] == 1


def test_another_uidvalidity_is_another_mailbox(fake, start):
    fill(fake)
    first = start(fake)
    before, _ = said(fake, first)
    first.stop()
    fake.mailbox("alice").recreate([mails.simple("new")] * COUNT)
    after, asked = said(fake, start(fake))
    assert [name for name, _ in asked] == ["UID FETCH"]
    assert not set(before[0].values()) & set(after[0].values())


def test_a_list_that_was_cut_off_goes_on_after_a_restart(fake, start):
    fill(fake)

    def cut_off(connection, _tag, _rest):
        for number in (1, 2, 3):
            connection.untagged(f"{number} FETCH (UID {number} RFC822.SIZE "
                                f"{fake.mailbox('alice').find(number).size})")
        connection.cut("RST")

    fake.on("UID FETCH", cut_off, times=1)
    first = start(fake)
    with first.client() as client:
        assert client.try_sign_in("alice").startswith(b"-ERR [SYS/TEMP]")
    first.stop()
    again = start(fake)
    seen, asked = said(fake, again)
    assert asked[0] == ("UID FETCH", b"4:5 (UID RFC822.SIZE)")
    assert [name for name, _ in asked[1:]] == ["UID SEARCH"]  # nobody knows of gaps
    assert seen[1] == {n: one.size for n, one in
                       enumerate(fake.mailbox("alice").messages, 1)}
    assert said(fake, again) == (seen, [])


def test_a_list_that_was_cut_off_with_a_gap_is_found_out(fake, start):
    """A message was left out, and as many have vanished when it goes on: the counts agree."""
    fill(fake)

    def cut_off(connection, _tag, _rest):
        for number in (1, 3):
            connection.untagged(f"{number} FETCH (UID {number} RFC822.SIZE "
                                f"{fake.mailbox('alice').find(number).size})")
        connection.cut("RST")

    fake.on("UID FETCH", cut_off, times=1)
    bridge = start(fake)
    with bridge.client() as client:
        client.try_sign_in("alice")
    fake.mailbox("alice").remove(1)
    with bridge.signed_in("alice") as client:
        assert sorted(client.uidl()) == [1, 2, 3, 4]
        assert client.list() == {n: one.size for n, one in
                                 enumerate(fake.mailbox("alice").messages, 1)}


def test_a_large_index_goes_in_pieces(start, state):
    with fake_imap.FakeImap(capability=fake_imap.FULL + " OBJECTID") as fake:
        for number in range(1500):
            fake.mailbox("alice").add(b"Subject: x\r\n\r\n" + b"y" * (number % 50),
                                      emailid=f"M{number:055d}")
        first = start(fake, route={"unique-id": "{emailid}"})
        seen, _ = said(fake, first)
        first.stop()
        pieces = table(state, "SELECT length(piece) FROM index_pieces ORDER BY place")
        assert len(pieces) == 3
        assert {size for (size,) in pieces[:-1]} == {32768}
        assert said(fake, start(fake, route={"unique-id": "{emailid}"})) == (seen, [])


def test_sizes_that_transfers_have_shown_are_listed_from_the_next_session_on(fake, start):
    body = b"Subject: bare\n\nline ends\n"
    fake.mailbox("alice").add(body)
    fake.mailbox("alice").add(b"Subject: lie\r\n\r\nx\r\n", size=1000)
    fake.mailbox("alice").add(mails.simple("honest"))
    honest = len(mails.simple("honest"))
    exact = len(body) + body.count(b"\n")
    first = start(fake)
    with first.signed_in("alice") as client:
        listed = client.list()
        assert listed == {1: len(body), 2: 1000, 3: honest}
        for msgno in (3, 2, 1):
            client.retr(msgno)
        assert client.list() == listed  # frozen
        assert client.stat() == (3, sum(listed.values()))
        client.ok("QUIT")
    expected = {1: exact, 2: len(b"Subject: lie\r\n\r\nx\r\n"), 3: honest}
    with first.signed_in("alice") as client:
        assert client.list() == expected
        assert client.stat() == (3, sum(expected.values()))
        assert client.ok("RETR 1").startswith(f"+OK {exact} octets".encode())
    first.stop()
    seen, asked = said(fake, start(fake))
    assert asked == []
    assert seen[1] == expected


def test_a_client_that_just_leaves_has_taught_sizes_and_deleted_nothing(fake, start):
    fake.mailbox("alice").add(b"Subject: bare\n\nline ends\n")
    fill(fake)
    bridge = start(fake)
    with bridge.signed_in("alice") as client:
        client.retr(1)
        client.ok("DELE 1")
        client.ok("DELE 2")
        client.close()
    bridge.wait_log("session ended")
    seen, asked = said(fake, bridge)
    assert asked == []
    assert seen[1][1] == len(b"Subject: bare\n\nline ends\n") + 3
    assert seen[2][0] == COUNT + 1


def test_forget_leaves_no_index_in_the_store_nor_in_a_workers_memory(fake, start, state):
    fill(fake)
    fill(fake, user="Joe.Unforgettable")
    bridge = start(fake, workers=2)
    said(fake, bridge)
    said(fake, bridge, "Joe.Unforgettable")
    wait_kept(state, 2)
    done = bridges.run("forget", "-c", bridge.config_path, "joe.unforgettable")
    assert done.returncode == 0
    assert b"1 indexes of folders" in done.stdout
    assert not holds(state, b"nforgettable")
    assert [name for name, _ in said(fake, bridge, "Joe.Unforgettable")[1]] == ["UID FETCH"]
    assert said(fake, bridge)[1] == []


def test_forget_also_takes_what_was_still_waiting_to_be_kept(fake, start, state):
    fill(fake, user="Joe.Unforgettable")
    bridge = start(fake)
    said(fake, bridge, "Joe.Unforgettable")
    assert bridges.run("forget", "-c", bridge.config_path,
                       "Joe.Unforgettable").returncode == 0
    bridge.stop()  # what waits is passed on now
    assert table(state, "SELECT count(*) FROM indexes") == [(0,)]


def test_a_keeper_that_dies_costs_no_sign_in_its_list(fake, start, state):
    fill(fake)
    bridge = start(fake)
    seen, _ = said(fake, bridge)
    wait_kept(state)
    roles.kill(roles.pids(bridge, "keeper")[0])
    assert said(fake, bridge) == (seen, [])
    fill(fake, 1)
    assert len(said(fake, bridge)[0][0]) == COUNT + 1
    bridge.stop()
    assert said(fake, start(fake))[1] == []


def test_after_a_reload_new_workers_know_what_the_old_ones_passed_on(fake, start, state):
    fill(fake)
    bridge = start(fake)
    seen, _ = said(fake, bridge)
    wait_kept(state)
    bridge.process.send_signal(1)
    bridge.wait_log("reloaded")
    assert said(fake, bridge) == (seen, [])


def test_an_empty_mailbox_is_not_written_down_again_and_again(fake, start, state):
    bridge = start(fake)
    for _ in range(3):
        assert said(fake, bridge)[1] == []
    wait_kept(state)
    before = table(state, "SELECT id FROM indexes")
    said(fake, bridge)
    bridge.stop()
    assert table(state, "SELECT id FROM indexes") == before


def test_a_server_without_uidnext_leaves_no_index(fake, start, state):
    fill(fake)

    def without_uidnext(connection, tag, _rest):
        connection.untagged(f"{COUNT} EXISTS")
        connection.untagged("OK [UIDVALIDITY 5] valid")
        connection.mailbox = connection.server.mailbox(connection.user)
        connection.view = list(connection.mailbox.messages)
        connection.ok(tag)
        return True

    fake.on("SELECT", without_uidnext)
    first = start(fake)
    said(fake, first)
    first.stop()
    assert table(state, "SELECT count(*) FROM indexes") == [(0,)]

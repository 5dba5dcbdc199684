"""
How a Dovecot folder becomes a maildrop: order, unique-ids, folders, what others do to it
in mid-session, and what reading leaves behind.
"""

import re

import mails
import net
import pop3
import pytest

HELLO = mails.simple()


def deliver(dovecot, user, count, folder="INBOX"):
    return dovecot.deliver(
        user, [mails.simple(f"number {n}", b"text\r\n" * n) for n in range(1, count + 1)],
        folder)


def default_ids(dovecot, user, folder="INBOX"):
    validity = dovecot.uidvalidity(user, folder)
    return [f"{uid:08x}{validity:08x}" for uid in dovecot.uids(user, folder)]


def view(client):
    """Everything a client keeps of a maildrop."""
    return client.stat(), client.list(), client.uidl()


# Order and unique-ids -------------------------------------------------------------


def test_numbers_follow_the_order_of_uids(bridge, dovecot, user):
    deliver(dovecot, user, 12)
    dovecot.expunge(user, [1, 2, 5, 9, 12])
    bodies = dovecot.bodies(user)
    assert list(bodies) == [3, 4, 6, 7, 8, 10, 11]
    with bridge.signed_in(user) as client:
        assert list(client.uidl().values()) == default_ids(dovecot, user)
        assert [client.retr(n) for n in range(1, 8)] == list(bodies.values())


def test_a_user_who_comes_from_dovecots_pop3_downloads_nothing_again(
        start_dovecot, bridge_to, user):
    dovecot = start_dovecot(pop3=True)
    dovecot.deliver(user, mails.mixed(40))
    dovecot.expunge(user, [3, 17])
    with pop3.Client(dovecot.pop3_port) as before:
        before.sign_in(user)
        seen = view(before)
    with bridge_to(dovecot.url).signed_in(user) as client:
        assert view(client) == seen
        assert len(seen[2]) == 38


@pytest.mark.parametrize("template, expected", [
    ("{uid:08X}{uidvalidity:08X}", "{uid:08X}{validity:08X}"),
    ("{uidvalidity}-{uid}", "{validity}-{uid}"),
    ("{uidvalidity:010d}.{uid:010d}", "{validity:010d}.{uid:010d}"),
    ("pop/{uid:x}/{uidvalidity:x}!", "pop/{uid:x}/{validity:x}!"),
])
def test_unique_ids_follow_the_template(bridge_to, dovecot, user, template, expected):
    deliver(dovecot, user, 12)
    validity = dovecot.uidvalidity(user)
    with bridge_to(dovecot.url, unique_id=template).signed_in(user) as client:
        assert list(client.uidl().values()) == \
            [expected.format(uid=uid, validity=validity) for uid in range(1, 13)]
        assert client.ok("UIDL 10").decode() == \
            f"+OK 10 {expected.format(uid=10, validity=validity)}"


def test_bare_uids_are_possible_where_somebody_wants_them(bridge_to, dovecot, user):
    deliver(dovecot, user, 3)
    bridge = bridge_to(dovecot.url, unique_id="{uid}", uid_only=True)
    with bridge.signed_in(user) as client:
        assert client.uidl() == {1: "1", 2: "2", 3: "3"}


@pytest.mark.parametrize("template", ["{gm-msgid:x}", "{emailid}"])
def test_ids_the_server_does_not_have_refuse_the_sign_in(bridge_to, dovecot, user,
                                                         template):
    deliver(dovecot, user, 1)
    bridge = bridge_to(dovecot.url, unique_id=template)
    with bridge.client() as client:
        answer = client.try_sign_in(user)
        assert answer.startswith(b"-ERR [SYS/PERM] "), answer
        bridge.reference(answer)


def test_another_uidvalidity_gives_other_unique_ids(bridge, dovecot, user):
    deliver(dovecot, user, 3)
    with bridge.signed_in(user) as client:
        before = set(client.uidl().values())
        client.quit()
    dovecot.change_uidvalidity(user)
    with bridge.signed_in(user) as client:
        assert not before & set(client.uidl().values())
        assert list(client.uidl().values()) == default_ids(dovecot, user)


# Folders --------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["Archive", "Old mail", 'a "quoted" one', "R&D",
                                    "Übung"])
def test_a_route_names_its_folder(bridge_to, dovecot, user, folder):
    dovecot.deliver(user, HELLO)
    on_server = folder.replace("&", "&-").replace("Ü", "&ANw-")
    deliver(dovecot, user, 2, on_server)
    with bridge_to(dovecot.url, folder=folder).signed_in(user) as client:
        assert list(client.uidl().values()) == default_ids(dovecot, user, on_server)
        client.ok("DELE 1")
        client.quit()
    assert dovecot.uids(user, on_server) == [2] and dovecot.uids(user) == [1]


@pytest.mark.parametrize("name", ["{}+Archive", "{}+Archive@example.com",
                                  "{}@example.com+Archive"])
def test_a_suffix_of_the_user_names_the_folder(bridge_to, dovecot, user, name):
    deliver(dovecot, user, 2, "Archive")
    bridge = bridge_to(dovecot.url, folder_separator="+", user="{local}")
    with bridge.signed_in(name.format(user)) as client:
        assert list(client.uidl().values()) == default_ids(dovecot, user, "Archive")
    with bridge.signed_in(user) as client:
        assert client.stat()[0] == 0


def test_without_a_separator_a_plus_belongs_to_the_name(bridge, dovecot, user):
    dovecot.deliver(f"{user}+Archive", HELLO)
    with bridge.signed_in(f"{user}+Archive") as client:
        assert client.retr(1) == HELLO


def test_a_missing_folder_is_no_wrong_password(bridge_to, dovecot, user):
    deliver(dovecot, user, 1)
    bridge = bridge_to(dovecot.url, folder="Nowhere")
    with bridge.client() as client:
        answer = client.try_sign_in(user)
        assert answer.startswith(b"-ERR [SYS/PERM] "), answer
        assert "Nowhere" in bridge.reference(answer)[0]["cause"]
        assert client.try_sign_in(user).startswith(b"-ERR [SYS/PERM] ")


def test_two_folders_of_a_user_are_two_maildrops(bridge_to, dovecot, user):
    deliver(dovecot, user, 1)
    deliver(dovecot, user, 3, "Archive")
    bridge = bridge_to(dovecot.url, folder_separator="+")
    with bridge.signed_in(user) as inbox, bridge.signed_in(f"{user}+Archive") as archive:
        assert (inbox.stat()[0], archive.stat()[0]) == (1, 3)


# What others do in mid-session ----------------------------------------------------


def test_new_mail_does_not_appear_in_the_session(bridge, dovecot, user):
    deliver(dovecot, user, 3)
    with bridge.signed_in(user) as client:
        before = view(client)
        dovecot.deliver(user, [HELLO] * 2)
        client.retr(2)
        assert view(client) == before
        client.err("RETR 4")
        for msgno in (1, 2, 3):
            client.ok(f"DELE {msgno}")
        client.quit()
    assert dovecot.uids(user) == [4, 5]
    with bridge.signed_in(user) as client:
        assert client.stat()[0] == 2


def test_a_message_others_removed_is_refused_and_shifts_nothing(bridge, dovecot, user):
    deliver(dovecot, user, 5)
    bodies = dovecot.bodies(user)
    with bridge.signed_in(user) as client:
        before = view(client)
        dovecot.expunge(user, [2, 3])
        for line in ("RETR 2", "TOP 3 0", "RETR 3"):
            cause = bridge.reference(client.err(line))[0]["cause"]
            assert "removed by another client" in cause
        assert view(client) == before
        for msgno in (1, 4, 5):
            assert client.retr(msgno) == bodies[msgno]


def test_a_message_others_removed_is_gone_after_quit(bridge, dovecot, user):
    deliver(dovecot, user, 5)
    with bridge.signed_in(user) as client:
        client.ok("DELE 2")
        client.ok("DELE 4")
        dovecot.expunge(user, [2])
        client.quit()
    assert dovecot.uids(user) == [1, 3, 5]
    audit = bridge.log("commit")
    assert [(line["uids"], line["result"]) for line in audit] == [("2,4", "removed")]


def test_a_folder_emptied_by_others_keeps_its_numbers(bridge, dovecot, user):
    deliver(dovecot, user, 3)
    with bridge.signed_in(user) as client:
        dovecot.expunge(user, [1, 2, 3])
        for msgno in (1, 2, 3):
            client.err(f"RETR {msgno}")
        assert client.stat()[0] == 3
        client.ok("DELE 1")
        client.quit()
    with bridge.signed_in(user) as client:
        assert client.stat() == (0, 0)


# What reading leaves behind -------------------------------------------------------


def test_reading_leaves_messages_unread(bridge, dovecot, user):
    deliver(dovecot, user, 3)
    with bridge.signed_in(user) as client:
        client.retr(1)
        client.top(2, 5)
        view(client)
        client.quit()
    assert dovecot.flags(user) == {1: set(), 2: set(), 3: set()}


def seen(dovecot, user):
    return [uid for uid, flags in dovecot.flags(user).items() if "\\Seen" in flags]


def test_mark_read_marks_what_was_retrieved_and_only_that(bridge_to, dovecot, user):
    deliver(dovecot, user, 4)
    with bridge_to(dovecot.url, mark_read=True).signed_in(user) as client:
        client.top(1, 1000)
        client.top(3, 4294967295)
        client.ok("LIST 4")
        client.retr(2)
        net.wait_until(lambda: seen(dovecot, user) == [2], 5, "message 2 is marked read")
        client.quit()
    assert seen(dovecot, user) == [2]


def test_a_broken_off_transfer_marks_nothing_read(bridge_to, dovecot, user):
    dovecot.deliver(user, mails.of_size(20_000_000))
    bridge = bridge_to(dovecot.url, mark_read=True)
    client = bridge.signed_in(user)
    client.ok("RETR 1")
    client.reset()
    assert bridge.wait_log("session ended")[0]["reason"] == "client gone"
    assert seen(dovecot, user) == []


# Signing in -----------------------------------------------------------------------


def test_a_wrong_password_is_auth_and_takes_no_lock(start_dovecot, bridge_to):
    dovecot = start_dovecot(passwords={"dora": b"right"})
    dovecot.deliver("dora", HELLO)
    bridge = bridge_to(dovecot.url)
    with bridge.client() as client, bridge.client() as other:
        answer = client.try_sign_in("dora", "wrong")
        assert re.match(rb"-ERR \[AUTH\] .* \(ref [0-9A-F]{6}\)$", answer)
        other.sign_in("dora", "right")
        assert client.try_sign_in("dora", "wrong").startswith(b"-ERR [AUTH] ")
        assert client.try_sign_in("dora", "right").startswith(b"-ERR [IN-USE] ")


@pytest.mark.parametrize("url", ["url", "url_starttls", "url_tls"])
def test_every_kind_of_upstream_reads_and_deletes(bridge_to, dovecot, pki, user, url):
    route = {} if url == "url" else {"ca_file": pki.ca}
    deliver(dovecot, user, 3)
    bodies = dovecot.bodies(user)
    with bridge_to(getattr(dovecot, url), **route).signed_in(user) as client:
        assert [client.retr(n) for n in (1, 2, 3)] == list(bodies.values())
        client.ok("DELE 2")
        client.quit()
    assert dovecot.uids(user) == [1, 3]

"""The tools of the other tests, tried without popbridge."""

import imaplib
import socket
import ssl

import fake_imap
import mails
import net
import pki as pki_module
import pop3
import pytest
from bridge import parse_line

HELLO = b"Subject: x\r\n\r\nhello\r\n"


def imap_to(fake, user="alice", password="secret"):
    imap = imaplib.IMAP4(fake.host, fake.port)
    imap.login(user, password)
    return imap


# Dovecot --------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["maildir", "sdbox"])
def test_dovecot_gives_back_what_was_delivered(start_dovecot, storage):
    dovecot = start_dovecot(storage=storage)
    messages = mails.mixed(12)
    uids = dovecot.deliver("alice", messages)
    assert list(dovecot.bodies("alice").items()) == list(zip(uids, messages))


def test_dovecot_changes_behind_the_back(start_dovecot):
    dovecot = start_dovecot()
    dovecot.deliver("alice", [HELLO] * 3)
    dovecot.set_flags("alice", [2], "\\Seen")
    dovecot.expunge("alice", [1])
    assert dovecot.flags("alice") == {2: {"\\Seen"}, 3: set()}
    before = dovecot.uidvalidity("alice")
    assert dovecot.change_uidvalidity("alice") != before
    assert dovecot.uids("alice") == [2, 3]
    dovecot.deliver("alice", HELLO, folder="Work")
    before = dovecot.uidvalidity("alice", "Work")
    assert dovecot.recreate("alice", "Work", [HELLO]) == [1]
    assert dovecot.uidvalidity("alice", "Work") != before


def test_dovecot_keeps_a_maildir_file_as_it_is(start_dovecot):
    dovecot = start_dovecot()
    dovecot.write_maildir("alice", b"Subject: x\n\nbare\rCR\n.dot\n")
    assert dovecot.bodies("alice") == {1: b"Subject: x\r\n\r\nbare\rCR\r\n.dot\r\n"}


def test_dovecot_takes_odd_passwords_and_only_those(start_dovecot):
    odd = bytes(set(range(2, 256)) - set(b"\t\r\n"))
    dovecot = start_dovecot(passwords={"odd": odd})
    dovecot.imap("odd").logout()
    with pytest.raises(imaplib.IMAP4.error):
        dovecot.imap("odd", "secret")
    dovecot.set_password("odd", b"new")
    dovecot.imap("odd", b"new").logout()


def test_dovecot_drops_the_connections_of_one_user(dovecot):
    alice, bob = dovecot.imap("alice", tls=True), dovecot.imap("bob")
    assert dovecot.drop_connections("alice") == 1
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        alice.noop()
    assert bob.noop()[0] == "OK"
    bob.logout()


def test_dovecot_refuses_to_change_a_read_only_folder(start_dovecot):
    dovecot = start_dovecot(acl=True)
    dovecot.deliver("alice", HELLO)
    dovecot.make_read_only("alice")
    imap = dovecot.imap("alice")
    with pytest.raises(imaplib.IMAP4.readonly):
        imap.select("INBOX")
    imap.shutdown()
    dovecot.make_read_only("alice", rights="lrs")
    with dovecot.imap("alice") as imap:
        imap.select("INBOX", readonly=True)
        assert imap.response("READ-ONLY")[1] == [b""]


def test_dovecot_hides_capabilities(start_dovecot):
    dovecot = start_dovecot(capability="IMAP4rev1")
    with dovecot.imap("alice") as imap:
        assert imap.capability()[1][-1] == b"IMAP4rev1"


def test_dovecot_refuses_plain_passwords_when_told(start_dovecot):
    # Loopback counts as secure for Dovecot, so this is about what it announces.
    dovecot = start_dovecot(refuse_plain=True)
    with dovecot.imap("alice", tls=True) as imap:
        assert imap.noop()[0] == "OK"


def test_dovecot_comes_back_on_the_same_ports(start_dovecot):
    dovecot = start_dovecot()
    dovecot.deliver("alice", HELLO)
    dovecot.stop()
    dovecot.start_again()
    assert dovecot.uids("alice") == [1]


# The POP3 client ------------------------------------------------------------------


def test_pop3_client_reads_exact_octets(start_dovecot):
    dovecot = start_dovecot(pop3=True)
    messages = mails.mixed(30)
    dovecot.deliver("alice", messages)
    with pop3.Client(dovecot.pop3_port) as client:
        client.sign_in("alice")
        assert client.stat()[0] == 30
        assert set(client.list()) == set(client.uidl()) == set(range(1, 31))
        for msgno, message in enumerate(messages, 1):
            assert client.retr(msgno) == pop3.as_pop3(message)
            assert client.top(msgno, 3) == pop3.as_top(message, 3)
        client.err("RETR 31")
        client.quit()


def test_pop3_client_changes_to_tls(start_dovecot, pki):
    dovecot = start_dovecot(pop3=True)
    with pop3.Client(dovecot.pop3_port) as client:
        assert "STLS" in client.capa()
        client.stls(pop3.tls_context(pki.ca))
        client.sign_in("alice")
        assert client.stat() == (0, 0)


def test_models_of_retr_and_top():
    assert pop3.as_pop3(b"a\nb\rc\r\nd") == b"a\r\nb\r\nc\r\nd\r\n"
    assert pop3.as_pop3(b"") == b""
    assert pop3.as_top(b"H: 1\r\n\r\none\r\ntwo\r\n", 1) == b"H: 1\r\n\r\none\r\n"
    assert pop3.as_top(b"H: 1\r\n\r\none\r\ntwo\r\n", 0) == b"H: 1\r\n\r\n"
    assert pop3.as_top(b"\r\none\r\n", 0) == b"\r\n"
    assert pop3.as_top(b"H: 1\r\n", 5) == b"H: 1\r\n"
    assert pop3.unstuff(b"..a\r\n..\r\nb\r\n") == b".a\r\n.\r\nb\r\n"


# The fake IMAP server -------------------------------------------------------------


def test_fake_serves_the_whole_dialogue(fake):
    box = fake.mailbox("alice")
    for body in mails.ODD.values():
        box.add(body)
    imap = imap_to(fake)
    assert imap.select()[1] == [str(len(mails.ODD)).encode()]
    for number, body in enumerate(mails.ODD.values(), 1):
        answer = imap.uid("FETCH", str(number), "(UID RFC822.SIZE FLAGS BODY.PEEK[])")
        assert answer[1][0][1] == body
        assert f"RFC822.SIZE {len(body)}".encode() in answer[1][0][0]
    partial = imap.uid("FETCH", "8", "(UID BODY.PEEK[]<10.20>)")[1][0]
    assert partial[1] == mails.ODD["long line"][10:30] and b"BODY[]<10>" in partial[0]
    assert box.find(1).flags == set()
    imap.uid("STORE", "2:3", "+FLAGS.SILENT", "(\\Deleted)")
    assert imap.uid("SEARCH", "DELETED")[1] == [b"2 3"]
    assert imap.uid("SEARCH", "UID", "1:4", "NOT", "DELETED")[1] == [b"1 4"]
    assert imap.uid("EXPUNGE", "2")[0] == "OK"
    assert [entry.uid for entry in fake.deletions] == [2]
    assert imap.expunge()[0] == "OK"
    assert [entry.how for entry in fake.deletions] == ["UID EXPUNGE", "EXPUNGE"]
    imap.logout()
    assert fake.seen("LOGIN")[0].rest.startswith(b"alice")
    assert {entry.uid for entry in fake.deliveries} == set(range(1, len(mails.ODD) + 1))


def test_fake_answers_esearch(fake):
    for _ in range(5):
        fake.mailbox("alice").add(HELLO)
    fake.mailbox("alice").remove(4)
    imap = imap_to(fake)
    imap.select()
    imap.uid("SEARCH", "RETURN", "(ALL COUNT)", "ALL")
    assert imap.response("ESEARCH")[1][0].endswith(b"UID COUNT 4 ALL 1:3,5")
    imap.uid("SEARCH", "RETURN", "(ALL)", "DELETED")
    assert imap.response("ESEARCH")[1][0].endswith(b"UID")
    imap.logout()


def test_fake_tells_what_others_did(fake):
    box = fake.mailbox("alice")
    for _ in range(3):
        box.add(HELLO)
    imap = imap_to(fake)
    imap.select()
    box.remove(2)
    box.add(HELLO)
    imap.noop()
    assert imap.response("EXPUNGE")[1] == [b"2"]
    assert imap.response("EXISTS")[1][-1] == b"3"
    imap.logout()


def test_fake_takes_every_sign_in(fake):
    sasl = {
        "PLAIN": [b"\0alice\0secret"], "LOGIN": [b"alice", b"secret"],
        "XOAUTH2": [b"user=alice\x01auth=Bearer token\x01\x01"],
        "OAUTHBEARER": [b"n,a=alice,\x01host=h\x01port=1\x01auth=Bearer token\x01\x01"],
    }
    for mechanism, replies in sasl.items():
        imap, left = imaplib.IMAP4(fake.host, fake.port), iter(replies)
        imap.authenticate(mechanism, lambda _, left=left: next(left))
        assert imap.noop()[0] == "OK"
        imap.logout()
    assert {entry.mechanism for entry in fake.credentials} == \
        {"PLAIN", "AUTH LOGIN", "XOAUTH2", "OAUTHBEARER"}
    assert {entry.user for entry in fake.credentials} == {b"alice"}
    with pytest.raises(imaplib.IMAP4.error):
        imap_to(fake, password="wrong")
    assert fake.sent_secret(b"wrong") and not fake.sent_secret(b"never sent")


def test_fake_speaks_tls_both_ways(pki):
    trust = pop3.tls_context(pki.ca)
    with fake_imap.FakeImap(tls=pki.server) as fake:
        imap = imaplib.IMAP4_SSL("localhost", fake.port, ssl_context=trust)
        imap.login("alice", "secret")
        imap.logout()
        assert fake.credentials[0].tls
        with pytest.raises(ssl.SSLError):
            imaplib.IMAP4_SSL("localhost", fake.port,
                              ssl_context=ssl.create_default_context())
        net.wait_until(lambda: fake.tls_failures, 5, "the handshake's failure is noted")
    with fake_imap.FakeImap(starttls=pki.server) as fake:
        imap = imaplib.IMAP4("localhost", fake.port)
        imap.starttls(trust)
        imap.login("alice", "secret")
        imap.logout()


@pytest.mark.parametrize("name", ["expired", "not_yet_valid", "wrong_host", "client_only",
                                  "unknown_ca", "missing_intermediate", "self_signed"])
def test_bad_certificates_are_bad(pki, name):
    certificate = getattr(pki, name)()
    with fake_imap.FakeImap(tls=certificate) as fake:
        with pytest.raises(ssl.SSLCertVerificationError):
            imaplib.IMAP4_SSL("localhost", fake.port, ssl_context=pop3.tls_context(pki.ca))


def test_fake_runs_hooks_before_its_own_answers(fake):
    fake.mailbox("alice").add(HELLO)
    fake.on("SELECT", lambda connection, tag, rest: connection.no(tag, "later") or True,
            times=1)
    imap = imap_to(fake)
    assert imap.select()[0] == "NO"
    assert imap.select()[0] == "OK"

    def cut(connection, tag, rest):
        connection.send(b"* 1 FETCH (UID 1 BODY[] {100}\r\nSubj")
        connection.cut("RST")

    fake.on("UID FETCH", cut)
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        imap.uid("FETCH", "1", "(BODY.PEEK[])")


@pytest.mark.parametrize("how", ["FIN", "EOF", "RST"])
def test_fake_cuts_after_so_many_octets(pki, how):
    with fake_imap.FakeImap(tls=pki.server) as fake:
        def greeting(connection, tag, rest):
            connection.cut_after, connection.cut_how = 8, how

        fake.on("GREETING", greeting)
        client = pop3.Client(fake.port, tls=pop3.tls_context(pki.ca), greet=False)
        with pytest.raises(pop3.Closed) as closed:
            client.line()
        expected = {"FIN": "FIN", "EOF": "TLS EOF", "RST": "RST"}[how]
        assert closed.value.how == expected
        assert how == "RST" or closed.value.got == b"* OK [CA"


def test_fake_stalls_until_the_client_gives_up(fake):
    fake.on("NOOP", lambda connection, tag, rest: connection.stall())
    imap = imap_to(fake)
    imap.sock.settimeout(0.3)
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        imap.noop()
    imap.shutdown()
    fake.wait_no_connections()


def test_fake_drops_all_connections(fake):
    imap = imap_to(fake)
    fake.drop_connections("RST")
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        imap.noop()


def test_fake_reads_literals_of_both_kinds(fake):
    with socket.create_connection((fake.host, fake.port)) as raw:
        raw.settimeout(10)
        lines = raw.makefile("rb")
        lines.readline()
        raw.sendall(b"a LOGIN {5}\r\n")
        assert lines.readline().startswith(b"+ ")
        raw.sendall(b"al\r\ni {6+}\r\nsecret\r\n")
        assert lines.readline().startswith(b"a OK")
    assert fake.credentials[0].user == b"al\r\ni"


# The log --------------------------------------------------------------------------


def test_log_lines_are_read_as_fields():
    line = 'time=2024-01-01T00:00:00.000Z level=info event="session ended" user="a \\"b" n='
    assert parse_line(line) == {"time": "2024-01-01T00:00:00.000Z", "level": "info",
                                "event": "session ended", "user": 'a "b', "n": ""}
    assert parse_line('{"event": "ready", "n": 3}') == {"event": "ready", "n": "3"}
    assert parse_line("no fields here") is None


def test_authority_makes_a_chain_of_three(pki):
    with open(pki.server.chain, encoding="ascii") as chain:
        assert chain.read().count("BEGIN CERTIFICATE") == 2  # the third is the root
    assert len(pki.pin(pki.server)) == 44
    assert isinstance(pki, pki_module.Pki)

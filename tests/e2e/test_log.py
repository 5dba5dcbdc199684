"""
The log of a service that runs: every line of a session carries its id, no peer fills it,
addresses stand there as they are wanted, and a traced dialogue holds no secret.
"""

import base64
import binascii
import collections
import re
import urllib.parse

import fake_imap
import mails
import net
import pop3
import pytest

# Lines that are not about one session.
SERVICE = {"listening", "ready", "stopping", "web", "reloaded", "self-signed certificate",
           "nothing is kept", "lines suppressed", "certificates changed", "store", "state"}

PEER = "127.0.1.5"


@pytest.fixture
def start(start_bridge, fake):
    def start_it(log=None, **more):
        return start_bridge({"listen": [{"address": "0.0.0.0:0", "plain-from": [PEER]}],
                             "log": log or {}, "routes": [{"match": "*", "server": fake.url}],
                             **more})
    return start_it


def test_every_line_of_a_session_carries_its_id_and_time(start, fake):
    fake.mailbox("alice").add(mails.simple())
    fake.mailbox("alice").add(mails.simple())
    bridge = start()
    with pop3.Client(bridge.port(), source=PEER) as client:
        client.err("RETR 1")
        client.sign_in("alice")
        client.retr(1)
        client.err("RETR 9")
        client.ok("DELE 1")
        client.quit()
    with pop3.Client(bridge.port(), source=PEER) as client:
        client.sign_in("alice")
        fake.on("UID FETCH", lambda *_: None)
        client.ok("DELE 1")
    with pop3.Client(bridge.port(), source="127.0.2.1") as client:
        client.err("USER alice", "SYS/PERM")
    ended = bridge.wait_log("session ended", count=3)
    ids = {line["session"] for line in ended}
    assert len(ids) == 3
    for line in bridge.log():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line
        if line["event"] not in SERVICE:
            assert line["session"] in ids, line
    assert {"legacy sign-in", "commit", "refused", "session ended"} <= \
        {line["event"] for line in bridge.log()}


# One peer does not fill it --------------------------------------------------------


def test_one_peer_writes_a_hundred_lines_a_second_and_the_rest_is_counted(start):
    bridge = start(workers=1)
    loud, refused = "127.0.2.1", 24 * 40
    for _ in range(40):
        with pop3.Client(bridge.port(), source=loud) as client:
            client.send(b"USER x\r\n" * 24 + b"QUIT\r\n")
            client.rest()
    with pop3.Client(bridge.port(), source=PEER) as client:
        client.sign_in("alice")
        client.quit()
    expected = refused + 40  # and "session ended" for each

    def written_and_counted():
        lines = [line for line in bridge.log() if line.get("peer") == loud]
        counted = sum(int(line["lines"]) for line in lines
                      if line["event"] == "lines suppressed")
        written = [line for line in lines if line["event"] != "lines suppressed"]
        return written if len(written) + counted == expected else None
    written = net.wait_until(written_and_counted, 10, "what was suppressed is said")
    assert len(written) < expected
    # Their seconds are another clock's, so a second here may hold the end of one there.
    each = collections.Counter(line["time"][:19] for line in written)
    assert max(each.values()) <= 200
    assert [line["peer"] for line in bridge.log("legacy sign-in")] == [PEER]


# Addresses ------------------------------------------------------------------------


@pytest.mark.parametrize("how,shown", [("full", r"127\.0\.1\.5"), ("truncated", r"127\.0\.1\.0/24"),
                                       ("hashed", r"hash-[0-9a-f]{16}")])
def test_addresses_stand_as_they_are_wanted(start, how, shown):
    bridge = start({"addresses": how})
    for source in (PEER, PEER, "127.0.2.1"):
        with pop3.Client(bridge.port(), source=source) as client:
            client.command("USER alice")
            client.quit()
    peers = [line["peer"] for line in bridge.wait_log("session ended", count=3)]
    assert re.fullmatch(shown, peers[0]) and peers[0] == peers[1] != peers[2]
    assert (PEER in bridge.stderr) == (how == "full")


@pytest.mark.parametrize("how,shown", [("truncated", "2001:db8:7::/48"),
                                       ("full", "2001:db8:7:1::9")])
def test_networks_of_ipv6_are_longer(start_bridge, fake, how, shown):
    bridge = start_bridge({
        "listen": [{"address": "127.0.0.1:0", "plain-from": ["::/0"],
                    "proxy-from": ["127.0.0.1"]}],
        "log": {"addresses": how}, "routes": [{"match": "*", "server": fake.url}]})
    with pop3.Client(bridge.port(), greet=False) as client:
        client.send(b"PROXY TCP6 2001:db8:7:1::9 2001:db8::1 4000 110\r\n")
        client.line()
        client.quit()
    assert bridge.wait_log("session ended")[0]["peer"] == shown


# A traced dialogue ----------------------------------------------------------------

PASSWORD = "c4nary-pass word-7Qz"
TOKEN = "c4nary.token-9Xk_ya29"


def forms(secret):
    """As it is, and as it might be written."""
    octets = secret.encode()
    encoded = [base64.b64encode(prefix + octets).decode()[len(prefix) * 2:].rstrip("=")[4:-4]
               for prefix in (b"", b"a", b"ab")]
    return [secret, secret.split()[0], binascii.hexlify(octets).decode(),
            urllib.parse.quote(secret), *encoded]


def sasl(user):
    return {"PLAIN": f"\0{user}\0{PASSWORD}",
            "XOAUTH2": f"user={user}\1auth=Bearer {TOKEN}\1\1",
            "OAUTHBEARER": f"n,a={user},\1auth=Bearer {TOKEN}\1\1"}


def dialogue_of(bridge, session):
    return [(line["from"], line["text"]) for line in bridge.log("trace")
            if line["session"] == session]


def test_a_traced_user_s_dialogue_is_recorded(start, fake):
    fake.mailbox("alice").add(mails.simple())
    fake.passwords["alice"] = PASSWORD.encode()
    bridge = start({"trace": ["al*"], "level": "info"})
    with pop3.Client(bridge.port(), source=PEER) as client:
        client.sign_in("alice", PASSWORD)
        client.uidl()
        body = client.retr(1)
        client.ok("DELE 1")
        client.quit()
    session = bridge.wait_log("session ended")[0]["session"]
    lines = dialogue_of(bridge, session)
    said = [text for side, text in lines if side == "client"]
    assert said == ["USER alice", "PASS ***", "UIDL", "RETR 1", "DELE 1", "QUIT"]
    answers = [text for side, text in lines if side == "answer"]
    assert f"(message, {len(body)} octets)" in answers and "(1 lines)" in answers
    assert answers[0] == "+OK now the password" and answers[-1] == "+OK goodbye"
    asked = [text for side, text in lines if side == "upstream"]
    for verb in ("AUTHENTICATE PLAIN ***", "SELECT INBOX", "UID FETCH", "UID STORE", "UID EXPUNGE",
                 "UID SEARCH"):
        assert any(text.startswith(verb) for text in asked), (verb, asked)
    assert mails.simple().split(b"\r\n\r\n", 1)[1][:20].decode() not in bridge.stderr


@pytest.mark.parametrize("capability", ["", "SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER"])
@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("right", [True, False])
def test_no_secret_is_in_any_log(start_bridge, level, right, capability):
    """Every way to sign in, right and wrong, and secrets said in the wrong place."""
    base = "IMAP4rev1 UIDPLUS LITERAL+ ID "
    with fake_imap.FakeImap(base + capability) as fake:
        fake.passwords["alice"] = PASSWORD.encode() if right else b"another"
        fake.tokens = {TOKEN.encode()} if right else {b"another"}
        bridge = start_bridge({"log": {"trace": ["*"], "level": level},
                               "routes": [{"match": "*", "server": fake.url}]})
        try_everything(bridge)
        bridge.wait_log("session ended", count=10 + len(MISPLACED))
        assert bridge.log("trace")
        for secret in (PASSWORD, TOKEN):
            for form in forms(secret):
                assert form not in bridge.stderr, form


# In the wrong place, or malformed.
MISPLACED = (PASSWORD, f"PASSWORD {PASSWORD}", f"AUTH PLAIN {PASSWORD}", f"PASS{PASSWORD}",
             f"APOP alice {PASSWORD}")


def try_everything(bridge):
    with bridge.client() as client:
        client.try_sign_in("alice", PASSWORD)
    for mechanism, message in sasl("alice").items():
        for how in ("at once", "asked"):
            with bridge.client() as client:
                encoded = base64.b64encode(message.encode())
                if how == "at once":
                    client.command(f"AUTH {mechanism} ".encode() + encoded)
                else:
                    client.auth(mechanism, message.encode())
    with bridge.client() as client:
        client.auth("LOGIN", b"alice", PASSWORD.encode())
    for line in MISPLACED:
        with bridge.client() as client:
            client.ok("USER alice")
            assert client.command(line).startswith(b"-ERR")
    with bridge.client() as client:  # twice
        client.try_sign_in("alice", PASSWORD)
        client.command(f"PASS {PASSWORD}")
        client.command(PASSWORD)
    with bridge.client() as client:  # with 8 bits: LOGIN by literals
        client.try_sign_in("alice", PASSWORD + "\u00e9")


def test_nobody_else_is_traced(start):
    bridge = start({"trace": ["alice"]})
    for user in ("bob", "malice", "alice2"):
        with pop3.Client(bridge.port(), source=PEER) as client:
            client.sign_in(user)
            client.quit()
    bridge.wait_log("session ended", count=3)
    assert bridge.log("trace") == []

"""COMPRESS=DEFLATE (RFC 4978) with the IMAP server: the same mail, in fewer octets."""

import dovecot as dovecot_server
import fake_imap
import mails
import pop3
import pytest

PLUGIN = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"


@pytest.fixture(scope="module")
def zlib_dovecot(pki):
    with dovecot_server.Dovecot(pki, extra=PLUGIN) as server:
        yield server


@pytest.fixture
def able():
    messages = [mails.simple(f"message {number}") for number in range(5)]
    with fake_imap.FakeImap(capability=fake_imap.FULL + " COMPRESS=DEFLATE",
                            messages=messages) as server:
        yield server


def compressing(start_bridge, server, parking="off", url=None, **route):
    return start_bridge({"workers": 1, "limits": {"parking": parking},
                         "log": {"trace": ["*"]},
                         "routes": [{"match": "*", "server": url or server.url,
                                     "compress": "true", **route}]})


def asked(bridge):
    return [line["text"] for line in bridge.log("trace") if line["from"] == "upstream"]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("read_ahead", ["true", "false"])
def test_a_dovecot_gives_the_same_mail(zlib_dovecot, start_bridge, user, pki, tls, read_ahead):
    bodies = [*mails.mixed(40), mails.of_size(3_000_000), *(body for body in mails.ODD.values() if body)]
    zlib_dovecot.deliver(user, bodies)
    stored = zlib_dovecot.bodies(user)
    more = {"url": zlib_dovecot.url_tls, "ca-file": pki.ca} if tls else {}
    bridge = compressing(start_bridge, zlib_dovecot, **{"read-ahead": read_ahead}, **more)
    with bridge.signed_in(user) as client:
        assert len(client.uidl()) == len(stored)
        for number, uid in enumerate(sorted(stored), 1):
            assert client.retr(number) == pop3.as_pop3(stored[uid])
        assert client.top(3, 2) == pop3.as_top(stored[sorted(stored)[2]], 2)
        client.ok("DELE 2")
        client.ok("QUIT")
    assert asked(bridge).count("COMPRESS DEFLATE") == 1
    assert len(zlib_dovecot.uids(user)) == len(stored) - 1


def test_a_parked_connection_stays_compressed(zlib_dovecot, start_bridge, user):
    zlib_dovecot.deliver(user, mails.simple("one"))
    bridge = compressing(start_bridge, zlib_dovecot, "5m")
    for count in (1, 2):
        with bridge.signed_in(user) as client:
            assert client.stat()[0] == count
            client.ok("QUIT")
        zlib_dovecot.deliver(user, mails.simple("another"))
    assert asked(bridge).count("COMPRESS DEFLATE") == 1


def test_nothing_is_compressed_unless_it_is_set_and_offered(able, fake, start_bridge):
    for server, setting in ((able, "false"), (fake, "true")):
        bridge = compressing(start_bridge, server, compress=setting)
        with bridge.signed_in("alice") as client:
            client.ok("QUIT")
        assert "COMPRESS DEFLATE" not in asked(bridge)


def test_mail_takes_fewer_octets(able, start_bridge):
    text = b"Subject: report\r\n\r\n" + b"".join(
        b"row %d: nothing to report today\r\n" % number for number in range(40000))
    able.mailbox("alice").add(text)
    with compressing(start_bridge, able).signed_in("alice") as client:
        assert client.retr(6) == pop3.as_pop3(text)
        assert able.connections[0].socket.wire_out < len(text) / 5


def test_a_server_that_does_not_like_to_goes_on_without(able, start_bridge):
    def refuse(connection, tag, _rest):
        connection.no(tag, "[COMPRESSIONACTIVE] TLS does it")
        return True
    able.on("COMPRESS", refuse)
    with compressing(start_bridge, able).signed_in("alice") as client:
        assert client.retr(1) == pop3.as_pop3(able.messages[0])
        client.ok("QUIT")


def test_data_that_grows_beyond_measure_loses_the_connection(able, start_bridge):
    able.mailbox("alice").add(b"Subject: x\r\n\r\n" + (b"a" * 998 + b"\r\n") * 30000)
    bridge = compressing(start_bridge, able)
    with bridge.signed_in("alice") as client:
        client.ok("RETR 6")
        with pytest.raises((pop3.Closed, OSError)):
            client.multiline()
    bridge.wait_log("session ended")
    assert "compressed data grows more than 200-fold" in bridge.stderr
    assert bridge.rss_kib() < 100_000


@pytest.mark.parametrize("octets", [b"* 3 EXISTS\r\n" * 20, b"\xff" * 64, b"\x03\x00"],
                         ids=["plain text", "no deflate", "its end"])
def test_broken_data_is_no_mail(able, start_bridge, octets):
    def spoil(connection, _tag, _rest):
        connection.socket.inner.sendall(octets)
        return True
    able.on("SELECT", spoil, times=1)
    bridge = compressing(start_bridge, able)
    with bridge.client() as client:
        assert client.try_sign_in("alice").startswith(b"-ERR [SYS/TEMP]")
    with bridge.signed_in("alice") as client:
        assert len(client.uidl()) == 5


def test_plain_text_behind_the_answer_is_not_taken(able, start_bridge):
    def early(connection, tag, _rest):
        connection.send(tag + b" OK done\r\n* 9 EXISTS\r\n")
        return True
    able.on("COMPRESS", early, times=1)
    with compressing(start_bridge, able).client() as client:
        assert client.try_sign_in("alice").startswith(b"-ERR [SYS/TEMP]")

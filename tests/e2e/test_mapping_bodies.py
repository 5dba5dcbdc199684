"""
RETR and TOP octet by octet: files written into a maildir as they are, past every
conversion of a delivery, compared with what Dovecot's IMAP says they are.
"""

import re

import bridge as bridge_module
import mails
import net
import pop3
import pytest

COUNTS = [0, 1, 2, 3, 7, 8, 20, 100, 1000, 4999, 5000, 5001, 100_000]


@pytest.fixture
def odd(dovecot, user):
    """(user, {name: body as IMAP gives it}): every odd message, in the order of UIDs."""
    for name, content in mails.ODD.items():
        dovecot.write_maildir(user, content)
        assert len(dovecot.uids(user)) == list(mails.ODD).index(name) + 1
    bodies = dovecot.bodies(user)
    return user, {name: bodies.get(uid, b"") for uid, name in enumerate(mails.ODD, 1)}


def test_dovecot_really_serves_odd_messages(odd):
    """Otherwise the tests below would compare the ordinary with the ordinary."""
    _, bodies = odd
    assert re.search(rb"\r[^\n]", bodies["bare CR"])
    assert bodies["zero octets"] == b""
    assert not bodies["no final line end"].endswith(b"\n")
    assert b"a" * 100_000 in bodies["long line"]
    assert bytes(range(128, 256)) in bodies["8 bit"]


def test_retr_gives_the_octets_of_the_body_with_line_ends_repaired(bridge, odd):
    user, bodies = odd
    with bridge.signed_in(user) as client:
        for msgno, (name, body) in enumerate(bodies.items(), 1):
            assert client.retr(msgno) == pop3.as_pop3(body), name
        assert client.stat()[0] == len(bodies)


def test_retr_over_tls_gives_the_same(bridge_to, dovecot, pki, odd):
    user, bodies = odd
    bridge = bridge_to(dovecot.url_tls, tls=pki, ca_file=pki.ca)
    with bridge.signed_in(user, tls="implicit") as client:
        for msgno, (name, body) in enumerate(bodies.items(), 1):
            assert client.retr(msgno) == pop3.as_pop3(body), name


def test_top_is_where_retr_begins(bridge, odd):
    user, bodies = odd
    with bridge.signed_in(user) as client:
        for msgno, (name, body) in enumerate(bodies.items(), 1):
            whole = client.retr(msgno)
            for count in COUNTS:
                part = client.top(msgno, count)
                assert part == pop3.as_top(body, count), (name, count)
                assert whole.startswith(part)
            assert client.top(msgno, 100_000) == whole, name


def test_every_message_ends_with_a_line_end(bridge, odd):
    user, bodies = odd
    with bridge.signed_in(user) as client:
        for msgno, name in enumerate(bodies, 1):
            octets = client.retr(msgno)
            assert octets.endswith(b"\r\n") or octets == b"", name
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n", octets), name


def test_deleting_odd_messages_works_as_with_any(bridge, dovecot, odd):
    user, bodies = odd
    with bridge.signed_in(user) as client:
        for msgno in range(1, len(bodies) + 1):
            client.ok(f"DELE {msgno}")
        client.quit()
    assert dovecot.uids(user) == []


@pytest.mark.parametrize("storage", ["maildir", "sdbox"])
def test_two_hundred_mixed_messages_are_the_same_over_both(start_dovecot, bridge_to, user,
                                                           storage):
    dovecot = start_dovecot(storage=storage)
    messages = mails.mixed(200)
    dovecot.deliver(user, messages)
    with bridge_to(dovecot.url).signed_in(user) as client:
        sizes = client.list()
        for msgno, message in enumerate(messages, 1):
            octets = client.retr(msgno)
            assert octets == pop3.as_pop3(message)
            assert sizes[msgno] in (len(message), len(octets))


def test_list_and_stat_agree_with_retr_for_ordinary_mail(bridge, dovecot, user):
    messages = [mails.simple(f"n {n}", b"x" * n + b"\r\n") for n in range(30)]
    dovecot.deliver(user, messages)
    with bridge.signed_in(user) as client:
        assert client.list() == {n: len(client.retr(n)) for n in range(1, 31)}
        assert client.stat()[1] == sum(map(len, messages))


def test_listed_sizes_stay_when_they_prove_wrong(bridge, dovecot, user):
    """The line end added at the end of a message is not in RFC822.SIZE."""
    dovecot.deliver(user, [mails.simple(body=b"no end")] * 3)
    with bridge.signed_in(user) as client:
        before = client.stat(), client.list()
        for msgno in (1, 2, 3):
            assert len(client.retr(msgno)) == before[1][msgno] + 2
        assert (client.stat(), client.list()) == before
    assert bridge.log("sizes differ") == []


def test_a_servers_wrong_sizes_are_logged_once(fake, bridge_to):
    for _ in range(3):
        fake.mailbox("alice").add(mails.simple(), size=1000)
    bridge = bridge_to(fake.url)
    for octets in (1000, len(mails.simple())):  # exact from the second session on
        with bridge.signed_in("alice") as client:
            for msgno in (1, 2, 3):
                assert client.retr(msgno) == mails.simple()
            assert client.stat() == (3, 3 * octets)
            client.quit()
    assert len(bridge.log("sizes differ")) == 1


@pytest.mark.parametrize("setting, expected", [("keep", b"\0"), ("replace", b"\x80")])
def test_nul_is_kept_or_replaced(fake, bridge_to, setting, expected):
    """Dovecot never sends NUL, so the scripted server does."""
    fake.mailbox("alice").add(mails.ODD["NUL"])
    with bridge_to(fake.url, nul=setting).signed_in("alice") as client:
        wanted = mails.ODD["NUL"].replace(b"\0", expected)
        assert client.retr(1) == wanted
        assert client.top(1, 1) == pop3.as_top(wanted, 1)


# Large messages -------------------------------------------------------------------


def upstream_octets(dovecot, user):
    """What Dovecot sent in this user's last session: its log line says it."""
    pattern = re.compile(rf"imap\({user}\).*(?:Logged out|Disconnected).* out=(\d+)")
    return int(net.wait_until(lambda: pattern.findall(dovecot.log), 10,
                              "Dovecot logs the end of the session")[-1])


@pytest.fixture
def fifty(dovecot, user):
    message = mails.of_size(50_000_000)
    dovecot.write_maildir(user, message.replace(b"\r\n", b"\n"))
    return user, message


def test_a_message_of_fifty_megabytes_passes(bridge, fifty):
    user, message = fifty
    with bridge.signed_in(user) as client:
        before = bridge.rss_kib()
        assert client.retr(1) == message
        if not bridge_module.is_sanitized():
            assert bridge.peak_rss_kib() - before < 4096


@pytest.mark.parametrize("lines", [0, 20])
def test_the_top_of_fifty_megabytes_costs_little(bridge, dovecot, fifty, lines):
    user, message = fifty
    with bridge.signed_in(user) as client:
        assert client.top(1, lines) == pop3.as_top(message[:100_000], lines)
        client.quit()
    assert upstream_octets(dovecot, user) < 40_000


def test_a_long_top_fetches_what_it_needs(bridge, dovecot, fifty):
    user, message = fifty
    with bridge.signed_in(user) as client:
        assert client.top(1, 20_000) == pop3.as_top(message[:2_000_000], 20_000)
        client.quit()
    assert upstream_octets(dovecot, user) < 5_000_000


def test_a_header_larger_than_the_first_part_comes_whole(bridge, dovecot, user):
    header = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 900) for n in range(400))
    message = header + b"\r\n" + b"body\r\n" * 100
    dovecot.deliver(user, message)
    with bridge.signed_in(user) as client:
        assert client.top(1, 0) == header + b"\r\n"
        assert client.top(1, 3) == header + b"\r\n" + b"body\r\n" * 3

"""
Hostile upstreams: lines that crash libetpan, literals that wrap, floods, bombs, foreign
hosts. The bridge loses that session and nothing else, in little memory and time.
"""

import random

import bridge as bridge_module
import fake_imap
import net
import pytest
from world import answer_properly, is_body_of, is_index

MIB = 1024

# Each is sent in the middle of the answer to a step.
LINES = {
    "open PERMANENTFLAGS": b"* OK [PERMANENTFLAGS (\\Deleted\r\n",
    "bare PERMANENTFLAGS": b"* OK [PERMANENTFLAGS\r\n",
    "empty PERMANENTFLAGS": b"* OK [PERMANENTFLAGS ] x\r\n",
    "bare ALERT": b"* OK [ALERT]\r\n", "bare PARSE": b"* OK [PARSE]\r\n",
    "open code": b"* OK [\r\n",
    "code without a word": b"* OK [] x\r\n",
    "NAMESPACE": b"* NAMESPACE ((\"\" \"/\" \"X\"\r\n",
    "NAMESPACE NIL": b"* NAMESPACE NIL NIL\r\n",
    "ANNOTATION": b"* ANNOTATION \"INBOX\" \"/x\" (\"value.shared\"\r\n",
    "ANNOTATIONS": b"* ANNOTATION (a) (b) (\r\n",
    "open FLAGS": b"* FLAGS (\\Seen \\\r\n",
    "FLAGS of nothing": b"* FLAGS\r\n",
    "LIST of nothing": b"* LIST () NIL\r\n",
    "STATUS open": b"* STATUS INBOX (MESSAGES\r\n",
    "ACL": b"* ACL INBOX\r\n",
    "QUOTA": b"* QUOTA \"\" (STORAGE 10\r\n",
    "ID open": b"* ID (\"name\" \r\n",
    "ENABLED": b"* ENABLED\r\n",
    "SEARCH of a word": b"* SEARCH one 2\r\n",
    "SEARCH of 33 bits": b"* SEARCH 4294967297\r\n",
    "ESEARCH open": b"* ESEARCH (TAG \"x\r\n",
    "ESEARCH backwards": b"* ESEARCH (TAG \"x\") UID ALL 9:1\r\n",
    "SORT": b"* SORT 1 2 x\r\n",
    "VANISHED": b"* VANISHED (EARLIER) 1:*\r\n",
    "VANISHED of nothing": b"* VANISHED\r\n",
    "EXPUNGE 0": b"* 0 EXPUNGE\r\n",
    "EXPUNGE too high": b"* 4294967295 EXPUNGE\r\n",
    "EXISTS of 33 bits": b"* 4294967299 EXISTS\r\n",
    "EXISTS of a minus": b"* -4 EXISTS\r\n",
    "FETCH 0": b"* 0 FETCH (UID 11 RFC822.SIZE 4)\r\n",
    "FETCH open": b"* 1 FETCH (UID 11\r\n",
    "FETCH of nothing": b"* 1 FETCH\r\n",
    "BODYSTRUCTURE": b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 50_000 + b"\r\n",
    "nested in LIST": b"* LIST (" + b"(" * 60_000 + b"\r\n",
    "ENVELOPE": b"* 1 FETCH (ENVELOPE (NIL NIL\r\n",
    "open quote": b"* LIST () \"/\" \"INBOX\r\n",
    "long quote": b"* LIST () \"/\" \"" + b"a" * 20_000 + b"\"\r\n",
    "CR alone": b"* OK a\rb\r\n", "LF alone": b"* OK bare\n",
    "empty line": b"\r\n", "blank": b" \r\n", "star": b"*\r\n", "star blank": b"* \r\n",
    "no tag": b"OK done\r\n", "8 bit": b"* OK \xff\xfe\xfd\r\n", "ESC": b"* OK \x1b[2J\r\n",
    "literal 2^32-1": b"* 1 FETCH (X {4294967295}\r\n",
    "literal 2^32+5": b"* 1 FETCH (X {4294967301}\r\nhello)\r\n",
    "literal 2^63-1": b"* OK {9223372036854775807}\r\n",
    "literal 2^64+5": b"* 1 FETCH (X {18446744073709551621}\r\nhello)\r\n",
    "literal -5": b"* 1 FETCH (X {-5}\r\nhello)\r\n",
    "literal with a blank": b"* 1 FETCH (X { 5}\r\nhello)\r\n",
    "literal with zeros": b"* 1 FETCH (X {" + b"0" * 30 + b"5}\r\nhello)\r\n",
    "literal of nothing": b"* 1 FETCH (X {}\r\nhello)\r\n",
    "literal without CRLF": b"* 1 FETCH (X {5}hello)\r\n",
    "literal with plus": b"* 1 FETCH (X {5+}\r\nhello)\r\n",
    "STATUS literal": b"* STATUS {4294967295}\r\n",
    "body of 2^63": b"* 1 FETCH (UID 11 BODY[] {9223372036854775807}\r\n",
    "body of 2^64": b"* 1 FETCH (UID 11 BODY[] {18446744073709551616}\r\n",
    "referral": b"* OK [REFERRAL imap://localhost:1/] x\r\n",
    "alert": b"* OK [ALERT] +OK <b>call 0900</b>\r\n",
}
PLACES = {"SELECT": ("SELECT", None), "index FETCH": ("UID FETCH", is_index),
          "body FETCH": ("UID FETCH", is_body_of(12)), "UID STORE": ("UID STORE", None),
          "proof SEARCH": ("UID SEARCH", None), "greeting": ("GREETING", None)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("line", LINES)
def test_a_hostile_line_costs_at_most_its_session(make_world, place, line):
    world = make_world(hasty=True)
    name, when = PLACES[place]

    def hook(connection, tag, rest):
        connection.send(LINES[line])
        if name == "GREETING":
            connection.untagged("OK ready")
            return True
        return answer_properly(connection, name, tag, rest)
    world.on(name, hook, when=when)
    run = world.run(world.new_user())
    assert world.fired == 1
    assert not run.answer.startswith(b"-ERR [AUTH]")
    world.judge(run)


def _send_greeting(octets):
    def hook(connection, tag, rest):
        connection.send(octets)
        return True
    return hook


@pytest.mark.parametrize("octets", [
    b"HTTP/1.0 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"+OK POP3 ready\r\n",
    b"220 smtp\r\n", b"* BYE busy\r\n", b"* NO\r\n", b"\r\n\r\n", b"* LIST () NIL {9}\r\n",
    b"A1 OK hm\r\n", b"* PREAUTH you are root\r\n"], ids=repr)
def test_a_greeting_that_is_none_gets_no_password(make_world, octets):
    world = make_world(hasty=True)
    world.on("GREETING", _send_greeting(octets))
    before = len(world.fake.credentials)
    run = world.run(world.new_user())
    assert run.answer.startswith(b"-ERR [SYS/")
    assert len(world.fake.credentials) == before
    world.judge(run)


# Memory, time ----------------------------------------------------------------------

def _grown(world, run):
    """KiB of resident memory more than before, at the peak."""
    before = world.bridge.peak_rss_kib()
    run()
    return world.bridge.peak_rss_kib() - before


def _line_without_end(connection):
    for _ in range(400):
        connection.send(b"a" * 65536)


def _flood_of_fetches(connection):
    for _ in range(100):
        connection.send(b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 2000)


def _flood_of_rows(connection):
    for start in range(1, 200_000, 1000):
        connection.send(b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n)
                                 for n in range(start, start + 1000)))


def _flood_of_parentheses(connection):
    connection.send(b"* 1 FETCH (X ")
    for _ in range(200):
        connection.send(b"(" * 65536)


def _flood_of_relays(connection):
    for _ in range(100):
        connection.send(b"* LIST () \"/\" \"" + b"a" * 1000 + b"\"\r\n" * 60)


FLOODS = {"line": _line_without_end, "FETCH": _flood_of_fetches, "rows": _flood_of_rows,
          "parentheses": _flood_of_parentheses, "LIST": _flood_of_relays}


@pytest.mark.parametrize("place", ["SELECT", "index FETCH", "proof SEARCH"])
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_cut_off_in_little_memory(make_world, flood, place):
    world = make_world()
    name, when = PLACES[place]

    def hook(connection, tag, rest):
        FLOODS[flood](connection)
        return answer_properly(connection, name, tag, rest)
    world.on(name, hook, when=when)
    runs = []
    grown = _grown(world, lambda: runs.append(world.run(world.new_user())))
    assert world.fired == 1
    assert not runs[0].quit_ok
    assert bridge_module.is_sanitized() or grown < 4 * MIB, f"{grown} KiB"
    world.judge(runs[0])


def test_a_huge_announced_body_is_streamed_not_allocated(make_world):
    """{3 GiB}, of which 8 MiB come: hard end, bounded memory."""
    world = make_world()

    def hook(connection, tag, rest):
        connection.send(b"* 2 FETCH (UID 12 BODY[] {3221225472}\r\n")
        for _ in range(128):
            connection.send(b"x" * 65534 + b"\r\n")
        connection.cut("FIN")
    world.on("UID FETCH", hook, when=is_body_of(12))
    runs = []
    grown = _grown(world, lambda: runs.append(world.run(world.new_user())))
    assert 12 not in runs[0].whole and runs[0].closed
    assert bridge_module.is_sanitized() or grown < 4 * MIB, f"{grown} KiB"
    world.judge(runs[0])


@pytest.mark.parametrize("compress", [True, False])
def test_compression_is_not_used_where_it_is_not_configured(make_world, compress):
    world = make_world(capability=fake_imap.FULL + " COMPRESS=DEFLATE" * compress)
    run = world.run(world.new_user())
    assert run.quit_ok and not world.fake.seen("COMPRESS")
    world.judge(run)


def test_a_referral_is_not_followed(make_world):
    """Neither at sign-in nor at SELECT: no password for a host that a server names."""
    world = make_world()
    with fake_imap.FakeImap() as other:
        code = f"[REFERRAL {other.url}/] go there"
        world.on("AUTHENTICATE", lambda connection, tag, rest:
                 connection.no(tag, code) or True)
        run = world.run(world.new_user())
        assert run.answer.startswith(b"-ERR [SYS/PERM] ")
        world.judge(run)
        world.on("SELECT", lambda connection, tag, rest: connection.no(tag, code) or True)
        run = world.run(world.new_user())
        assert not run.signed_in
        world.judge(run)
        assert other.connections == []


def _index_time(world, count):
    """CPU seconds for an index of so many rows, sent as fast as they are taken."""
    rows = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n)
                    for n in range(1, count + 1))

    def select(connection, tag, rest):
        connection.send(b"* %d EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n"
                        b"* OK [UIDNEXT %d] x\r\n" % (count, count + 1))
        connection.ok(tag)
        return True

    def fetch(connection, tag, rest):
        connection.send(rows)
        connection.ok(tag)
        return True
    world.on("SELECT", select)
    world.on("UID FETCH", fetch)
    before = world.bridge.cpu_seconds()
    with world.bridge.signed_in(world.new_user()) as client:
        assert client.stat() == (count, 9 * count)
        return world.bridge.cpu_seconds() - before


def test_the_work_for_an_index_grows_with_its_size_only(make_world):
    world = make_world()
    short, long = _index_time(world, 20_000), _index_time(world, 160_000)
    assert long <= max(short, 0.02) * 8 * 2.2, f"{short} s, then {long} s"


def _list_of(connection, tag, count, exists):
    connection.send(b"* %d EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT %d] x\r\n"
                    % (exists, count + 1))
    connection.ok(tag)
    return True


@pytest.mark.parametrize("asked", ["what exists", "what others deleted", "the proof"])
def test_a_search_that_names_all_over_and_over_holds_nobody_up(make_world, asked):
    """1 MiB of ranges, each of them the whole folder: 5,000,000,000 steps if taken."""
    count, ranges = 40_000, b",".join([b"1:40000"] * 120_000)
    world = make_world(capability=fake_imap.BARE if asked == "what others deleted"
                       else fake_imap.FULL)
    rows = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n)
                    for n in range(1, count + 1))

    def fetch(connection, tag, rest):
        connection.send(rows)
        connection.ok(tag)
        return True

    def search(connection, tag, rest):
        connection.send(b"* ESEARCH (TAG \"%s\") UID ALL %s\r\n" % (tag, ranges))
        connection.ok(tag)
        return True
    exists = count + 1 if asked == "what exists" else count
    world.on("SELECT", lambda connection, tag, rest: _list_of(connection, tag, count, exists))
    world.on("UID FETCH", fetch)
    world.on("UID SEARCH", search)
    world.on("UID STORE", lambda connection, tag, rest: connection.ok(tag) or True)
    world.on("UID EXPUNGE", lambda connection, tag, rest: connection.ok(tag) or True)
    before = world.bridge.cpu_seconds()
    with world.bridge.client() as client:
        client.ok("USER " + world.new_user())
        if asked == "the proof":
            client.ok("PASS secret")
            client.ok("DELE 1")
            client.ok("DELE 40000")
            client.err("QUIT", code="SYS/TEMP")
        else:
            client.err("PASS secret", code="SYS/TEMP")
    assert world.bridge.cpu_seconds() - before < 2 * net.slow_factor()
    world.check_neighbour()


def test_bytes_of_any_kind_at_any_step_do_no_harm(make_world):
    """A small fuzzer as upstream; its seed is its number."""
    world = make_world(hasty=True)
    words = [b"* ", b"OK ", b"(", b")", b"{5}\r\n", b"\r\n", b"FETCH ", b"1 ", b"UID 12 ",
             b"BODY[] ", b"NIL ", b"\"", b"[UIDVALIDITY 9] ", b"EXISTS", b"\0", b"\xff",
             b"SEARCH ", b"EXPUNGE\r\n", b"+ ", b"BYE ", b"{99999999999}\r\n", b"12"]
    for seed in range(60):
        rng = random.Random(seed)
        name, when = PLACES[rng.choice(list(PLACES))]
        noise = b"".join(rng.choices(words, k=rng.randrange(1, 30)))

        def hook(connection, tag, rest, noise=noise):
            connection.send(noise + b"\r\n")
            connection.cut("FIN")
        world.on(name, hook, when=when)
        run = world.run(world.new_user())
        assert world.fired, seed
        world.judge(run)

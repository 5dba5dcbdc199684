"""
The limits of sessions, counted over all workers before TLS begins: in all, by address
block, by account; connections a second; who has to go when it gets crowded.
"""

import socket
import time

import fake_imap
import net
import pop3
import pytest
import roles

BALANCER = "127.0.0.1"
BALANCERS = "127.0.0.0/8"
SESSIONS = b"-ERR [SYS/TEMP] too many sessions, try again later"
CONNECTIONS = b"-ERR [SYS/TEMP] too many connections, try again later"


@pytest.fixture
def lax():
    """Takes everybody."""
    with fake_imap.FakeImap() as server:
        server.accepts = lambda user, password: True
        yield server


@pytest.fixture
def two_workers(start_bridge, lax):
    """two_workers(limits...): two of them, a plain listener, 127.0.0.1 and .2 apart."""
    def start(tls=None, **limits):
        limits = {name.replace("_", "-"): value for name, value in limits.items()}
        return start_bridge(roles.config(lax.url, limits=limits), tls=tls)
    return start


@pytest.fixture
def behind(start_bridge, lax, pki):
    """Listeners behind a balancer, so that clients come from any address."""
    def start(shared=(), **limits):
        listen = [{"address": "127.0.0.1:0", "tls": kind, "proxy-from": [BALANCERS],
                   "plain-from": ["0.0.0.0/0", "::/0"]} for kind in ("none", "implicit")]
        limits = {name.replace("_", "-"): value for name, value in limits.items()}
        return start_bridge(roles.config(lax.url, listen=listen, limits=limits,
                                         **{"shared-addresses": list(shared)}), tls=pki)
    return start


def from_address(bridge, address, source=BALANCER, tls="none"):
    """The first line a client of this address gets; the connection stays open."""
    kind, target = ("TCP6", "2001:db8::110") if ":" in address else ("TCP4", "192.0.2.110")
    client = pop3.Client(bridge.port(tls), greet=False, source=source)
    client.send(f"PROXY {kind} {address} {target} 40000 110\r\n".encode())
    if tls == "none":
        client.greeting = client.line()
    return client


def is_in(client):
    return client.greeting.startswith(b"+OK")


def spread(count):
    """Loopback addresses, every other one for the other of two workers."""
    return [f"127.0.1.{number}" for number in range(1, count + 1)]


def open_until_full(bridge, sources):
    return [pop3.Client(bridge.port(), source=source) for source in sources]


def close_all(clients):
    for client in clients:
        client.close()


def free_again(bridge, source="127.0.0.1"):
    """Waits until somebody is let in."""
    def let_in():
        client = pop3.Client(bridge.port(), source=source)
        if is_in(client):
            return client
        client.close()
        return None
    return net.wait_until(let_in, 5 * net.slow_factor(), "a session is let in")


# In all --------------------------------------------------------------------------------


def signed_in(bridge, count):
    """They cannot be asked to make room."""
    clients = []
    for number, source in enumerate(spread(count)):
        client = bridge.client(source=source)
        client.sign_in(f"user{number}")
        clients.append(client)
    return clients


def test_the_limit_of_sessions_is_over_all_workers(two_workers):
    bridge = two_workers(sessions=6)
    clients = signed_in(bridge, 6)
    assert {roles.worker_of(bridge, client) for client in clients} == \
        set(roles.pids(bridge, "worker"))
    for source in roles.SOURCES:
        with pop3.Client(bridge.port(), source=source, greet=False) as client:
            assert client.line() == SESSIONS
            assert client.wait_closed() == "FIN"
    clients.pop().quit()
    free_again(bridge).close()
    close_all(clients)


def test_refused_sessions_are_one_line_a_second(two_workers):
    bridge = two_workers(sessions=2)
    clients = signed_in(bridge, 2)
    for _ in range(50):
        with pop3.Client(bridge.port(), greet=False) as client:
            assert client.line() == SESSIONS
    refused = net.wait_until(lambda: sum(int(line["refused"])
                                         for line in bridge.log("crowded")) == 50,
                             10, lambda: bridge.log("crowded"))
    assert refused and len(bridge.log("crowded")) < 25
    assert "limits.sessions" in bridge.log("crowded")[0]["cause"]
    assert bridge.log("crowded")[0]["sessions"] == "2"
    assert not bridge.log("refused")
    close_all(clients)


def test_a_killed_workers_sessions_are_not_counted_any_more(two_workers):
    bridge = two_workers(sessions=6)
    clients = signed_in(bridge, 6)
    killed = roles.worker_of(bridge, clients[0])
    gone = [client for client in clients if roles.worker_of(bridge, client) == killed]
    roles.kill(killed)
    kept = [client for client in clients if client not in gone]
    fresh = [free_again(bridge, source=roles.SOURCES[0]) for _ in gone]
    for number, client in enumerate(fresh):
        client.sign_in(f"fresh{number}")
    with pop3.Client(bridge.port(), source=roles.SOURCES[1], greet=False) as client:
        assert client.line() == SESSIONS  # exactly as many as were lost
    for client in kept:
        client.ok("NOOP")
    close_all(kept + fresh)


def test_counts_come_back_to_nothing_after_many_kills(two_workers):
    """Killed again and again while clients come and go: the limit holds, and no less."""
    bridge = two_workers(sessions=4)
    for turn in range(5):
        clients = [free_again(bridge, source) for source in roles.SOURCES]
        roles.kill(roles.pids(bridge, "worker")[turn % 2])
        close_all(clients)
    clients = []
    for number in range(4):
        client = free_again(bridge, roles.SOURCES[number % 2])
        client.sign_in(f"user{number}")
        clients.append(client)
    with pop3.Client(bridge.port(), greet=False) as client:
        assert client.line() == SESSIONS
    close_all(clients)


def test_silence_is_all_that_a_tls_port_can_say(two_workers, pki):
    """Refused before TLS, which would cost more than it is worth."""
    bridge = two_workers(tls=pki, sessions=2)
    clients = signed_in(bridge, 2)
    with pop3.Client(bridge.port("implicit"), greet=False) as client:
        assert client.rest() == b""
    bridge.wait_log("session ended", reason="too many sessions")
    close_all(clients)


# By address ------------------------------------------------------------------------------


def test_an_ipv4_address_has_its_limit_over_all_workers(behind):
    bridge = behind(sessions_per_address=3)
    open_clients = [from_address(bridge, "192.0.2.7", source)
                    for source in (*roles.SOURCES, roles.SOURCES[0])]
    assert all(map(is_in, open_clients))
    for source in roles.SOURCES:
        assert from_address(bridge, "192.0.2.7", source).greeting == SESSIONS
    assert is_in(from_address(bridge, "192.0.2.8"))
    open_clients[0].ok("QUIT")
    net.wait_until(lambda: is_in(from_address(bridge, "192.0.2.7")), 5, "one is let in")
    cause = bridge.wait_log("crowded")[0]["cause"]
    assert "limits.sessions-per-address" in cause


def test_an_ipv6_network_of_64_bits_is_one_address(behind):
    bridge = behind(sessions_per_address=2)
    kept = [from_address(bridge, f"2001:db8:1:2::{host}") for host in (1, 2)]
    assert all(map(is_in, kept))
    assert from_address(bridge, "2001:db8:1:2:ffff::3").greeting == SESSIONS
    assert is_in(from_address(bridge, "2001:db8:1:3::1"))


def test_an_ipv6_network_of_48_bits_has_a_wider_limit(behind):
    """Four times as many."""
    bridge = behind(sessions_per_address=2)
    kept = [from_address(bridge, f"2001:db8:1:{net_number}::1") for net_number in range(8)]
    assert all(map(is_in, kept))
    assert from_address(bridge, "2001:db8:1:99::1").greeting == SESSIONS
    assert is_in(from_address(bridge, "2001:db8:2::1"))


def test_shared_addresses_have_no_limit_of_their_own(behind):
    bridge = behind(shared=["192.0.2.0/24"], sessions_per_address=1,
                    accept_rate_per_address=1)
    kept = [from_address(bridge, "192.0.2.7") for _ in range(10)]
    assert all(map(is_in, kept))


def test_this_host_has_no_limit_of_its_own(two_workers):
    bridge = two_workers(sessions_per_address=1, accept_rate_per_address=1)
    clients = [bridge.client() for _ in range(10)]
    assert all(map(is_in, clients))
    close_all(clients)


def test_a_refused_address_does_not_use_up_what_is_there_for_all(behind):
    bridge = behind(sessions_per_address=1, sessions=10)
    kept = from_address(bridge, "192.0.2.7")
    for _ in range(30):
        assert from_address(bridge, "192.0.2.7").greeting == SESSIONS
    others = [from_address(bridge, f"198.51.100.{number}") for number in range(9)]
    assert is_in(kept) and all(map(is_in, others))


# By account ------------------------------------------------------------------------------


def test_an_account_has_its_limit_over_all_workers(start_bridge, lax):
    bridge = start_bridge({"workers": 2, "limits": {"sessions-per-account": 3},
                           "routes": [{"match": "*", "server": lax.url, "user": "{local}",
                                       "when-locked": "share"}]})
    names = ["alice", "alice@one.example", "alice@two.example"]
    clients = []
    for number, name in enumerate(names):  # the same mailbox, by whichever name
        client = bridge.client(source=roles.SOURCES[number % 2])
        client.sign_in(name)
        clients.append(client)
    with bridge.client(source=roles.SOURCES[1]) as client:
        client.ok("USER alice")
        answer = client.err("PASS secret", "IN-USE")
        assert "sessions-per-account" in bridge.reference(answer)[0]["advice"]
        client.sign_in("bob")
    clients.pop().quit()
    with bridge.client() as client:
        client.sign_in("alice")
    close_all(clients)


def test_a_wrong_password_is_no_session_of_the_account(start_bridge, fake):
    bridge = start_bridge({"limits": {"sessions-per-account": 1},
                           "routes": [{"match": "*", "server": fake.url}]})
    guessers = [bridge.client() for _ in range(3)]
    for client in guessers:
        client.ok("USER alice")
        client.err("PASS wrong", "AUTH")
    with bridge.client() as client:
        client.sign_in("alice")
    close_all(guessers)


# Connections a second --------------------------------------------------------------------


def arrivals(connect, seconds, most=400):
    """Connections tried for so long, and how many of them were let in."""
    deadline, tried, let_in = time.monotonic() + seconds, 0, 0
    while time.monotonic() < deadline and tried < most:
        client = connect(tried)
        tried += 1
        let_in += is_in(client)
        client.close()
    return tried, let_in


def test_an_address_may_not_come_too_often(behind):
    """A burst of four seconds' worth, then the rate; also if it leaves each time."""
    bridge = behind(accept_rate_per_address=5)
    began = time.monotonic()
    tried, let_in = arrivals(
        lambda turn: from_address(bridge, "192.0.2.7", roles.SOURCES[turn % 2]), 2)
    took = time.monotonic() - began
    assert tried > 60 and 19 <= let_in <= 20 + 5 * took + 2, (tried, let_in, took)
    net.wait_until(lambda: from_address(bridge, "192.0.2.7").greeting == CONNECTIONS, 5,
                   "one is refused")
    assert is_in(from_address(bridge, "192.0.2.8"))
    assert "accept-rate-per-address" in bridge.wait_log("crowded")[0]["cause"]
    bridge.wait_log("session ended", reason="too many connections")
    net.wait_until(lambda: is_in(from_address(bridge, "192.0.2.7")), 5, "it may again")


def test_all_together_may_not_come_too_often(two_workers):
    bridge = two_workers(accept_rate=5)
    began = time.monotonic()
    tried, let_in = arrivals(
        lambda turn: pop3.Client(bridge.port(), source=spread(50)[turn % 50]), 2)
    took = time.monotonic() - began
    assert tried > 60 and 19 <= let_in <= 20 + 5 * took + 2, (tried, let_in, took)


# When it is crowded ----------------------------------------------------------------------


def test_from_nine_tenths_on_the_oldest_not_signed_in_goes_first(two_workers):
    bridge = two_workers(sessions=10)
    stayed = signed_in(bridge, 2)
    waiting = open_until_full(bridge, spread(8))
    oldest = waiting[0]
    # Full: the new one comes in, and the oldest of its worker hears why it goes.
    fresh = pop3.Client(bridge.port(), source=spread(1)[0])
    assert is_in(fresh)
    assert oldest.line() == SESSIONS
    assert oldest.wait_closed() == "FIN"
    bridge.wait_log("session ended", reason="made room for others")
    net.wait_until(lambda: bridge.log("crowded"), 5, "a line about it")
    assert bridge.log("crowded")[0]["dropped"] == "1"
    for client in [*stayed, *waiting[1:], fresh]:
        if client in stayed:
            client.ok("NOOP")
        else:
            client.ok("CAPA")
            client.multiline()
    close_all([*stayed, *waiting, fresh])


def test_the_oldest_goes_whichever_worker_has_it(two_workers):
    """All that wait are one worker's, those who come are the other's."""
    bridge = two_workers(sessions=10)
    ones, twos = spread(20)[::2], spread(20)[1::2]
    waiting = open_until_full(bridge, ones[:9])
    assert len({roles.worker_of(bridge, client) for client in waiting}) == 1
    served = []
    for number in range(6):
        client = free_again(bridge, twos[0])
        client.sign_in(f"user{number}")
        served.append(client)
    dropped = [client for client in waiting if client.has_input(0.1)]
    assert dropped == waiting[:len(dropped)] and len(dropped) >= 5
    close_all(waiting + served)


def test_who_is_signing_in_is_not_dropped(two_workers, lax):
    bridge = two_workers(sessions=4)
    lax.on("AUTHENTICATE", lambda connection, tag, rest: time.sleep(1.5) or False)
    busy = bridge.client()
    busy.send(b"USER alice\r\nPASS secret\r\n")
    assert busy.line().startswith(b"+OK")
    lax.wait_command("AUTHENTICATE")
    flood = open_until_full(bridge, [roles.SOURCES[0]] * 12)
    assert busy.line().startswith(b"+OK")
    close_all([busy, *flood])


def test_with_room_left_nobody_is_dropped(two_workers):
    bridge = two_workers(sessions=20)
    waiting = open_until_full(bridge, spread(17))
    net.wait_until(lambda: not any(client.has_input(0.2) for client in waiting), 10, "quiet")
    for client in waiting:
        client.ok("CAPA")
        client.multiline()
    close_all(waiting)


def test_who_is_dropped_in_mid_handshake_gets_no_plain_text(two_workers, pki):
    bridge = two_workers(tls=pki, sessions=1)
    with socket.create_connection(("127.0.0.1", bridge.port("implicit"))) as half:
        half.sendall(b"\x16\x03\x01")
        net.wait_until(lambda: roles.is_alive(bridge.process.pid), 5, "alive")
        with bridge.client(source=roles.SOURCES[0]) as client:
            assert is_in(client)
        half.settimeout(10)
        try:
            assert half.recv(100) == b""
        except ConnectionResetError:
            pass

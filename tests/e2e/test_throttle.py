"""
Guessing passwords from one address, and what it costs everybody else: over all workers,
with the delays as they are by default.
"""

import concurrent.futures
import time

import fake_imap
import net
import pop3
import pytest
import roles
from bridge import run

GUESSER, OWNER, OFFICE = "198.51.100.66", "203.0.113.5", "192.0.2.7"


@pytest.fixture
def server():
    with fake_imap.FakeImap(passwords={"alice": b"secret", "bob": b"secret"}) as one:
        yield one


@pytest.fixture
def throttled(start_bridge, server):
    """Two workers behind a balancer; users of example.com have a route."""
    def start(shared=(), **limits):
        limits = {name.replace("_", "-"): value for name, value in limits.items()}
        return start_bridge({
            "workers": 2, "shared-addresses": list(shared),
            "listen": [{"address": "127.0.0.1:0", "proxy-from": ["127.0.0.0/8"],
                        "plain-from": ["0.0.0.0/0"]}],
            "routes": [{"match": "*@example.com", "server": server.url, "user": "{local}"}],
            "limits": {"sign-in-delay": "2s..15s", **limits}})
    return start


def come_from(bridge, address, source="127.0.0.1"):
    client = pop3.Client(bridge.port(), greet=False, source=source, timeout=60)
    client.send(f"PROXY TCP4 {address} 192.0.2.110 40000 110\r\n".encode())
    assert client.line().startswith(b"+OK")
    return client


def sign_in_from(bridge, address, user="alice@example.com", password="secret"):
    """The answer, and how long it took."""
    with come_from(bridge, address) as client:
        began = time.monotonic()
        answer = client.try_sign_in(user, password)
        return answer, time.monotonic() - began


def guess(bridge, number, times):
    """Guesses over one connection: their answers."""
    with come_from(bridge, GUESSER, roles.SOURCES[number % 2]) as client:
        return [client.try_sign_in("alice@example.com", f"guess{number}x{turn}")
                for turn in range(times)]


def test_a_thousand_guesses_are_twenty_upstream_and_the_owner_gets_in(throttled, server):
    """In less than a minute, over 200 connections."""
    bridge = throttled(sessions_per_address=300, accept_rate_per_address=300)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda number: guess(bridge, number, 5), range(200)))
        took = time.monotonic() - began
        answer, owners = sign_in_from(bridge, OWNER)
    assert answer.startswith(b"+OK") and owners < 3 * net.slow_factor(), (answer, owners)
    assert len({line.split(b" (ref")[0] for one in answers for line in one}) == 1
    assert sum(map(len, answers)) == 1000 and took < 60 * net.slow_factor()
    guesses = [one for one in server.credentials if one.secret != b"secret"]
    print(f"1000 guesses in {took:.0f} s: {len(guesses)} upstream sign-ins; the owner's "
          f"took {owners:.2f} s")
    assert 1 <= len(guesses) <= 20


def test_the_owner_gets_in_while_the_guessing_goes_on(throttled):
    bridge = throttled(sessions_per_address=200, accept_rate_per_address=200)
    sign_in_from(bridge, OWNER)  # known from there
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        guesses = [pool.submit(guess, bridge, number, 3) for number in range(30)]
        for _ in range(5):
            answer, took = sign_in_from(bridge, OWNER)
            assert answer.startswith(b"+OK") and took < 2 * net.slow_factor(), took
        for one in guesses:
            one.result()


def test_a_device_with_an_old_password_locks_nobody_out(throttled):
    """The same wrong one again and again is no guessing."""
    bridge = throttled()
    for _ in range(6):
        answer, took = sign_in_from(bridge, OFFICE, password="old")
        assert answer.startswith(b"-ERR [AUTH]") and took < 3.5 * net.slow_factor(), took
    answer, took = sign_in_from(bridge, OFFICE)
    assert answer.startswith(b"+OK") and took < 3 * net.slow_factor(), took


def wrong_ones(bridge, count):
    for number in range(count):
        answer, _ = sign_in_from(bridge, OFFICE, password=f"wrong{number}")
        assert answer.startswith(b"-ERR [AUTH]")


def test_from_a_shared_address_only_the_account_that_fails_waits(throttled):
    bridge = throttled(shared=["192.0.2.0/24"])
    wrong_ones(bridge, 6)
    answer, took = sign_in_from(bridge, OFFICE, "bob@example.com")
    assert answer.startswith(b"+OK") and took < 1 * net.slow_factor(), took
    _, took = sign_in_from(bridge, OFFICE)
    assert took >= 1.9, took


def test_from_an_address_that_is_not_shared_all_accounts_wait(throttled):
    bridge = throttled()
    wrong_ones(bridge, 6)
    _, took = sign_in_from(bridge, OFFICE, "bob@example.com")
    assert took >= 1.9, took
    answer, took = sign_in_from(bridge, OWNER, "bob@example.com")
    assert answer.startswith(b"+OK") and took < 1 * net.slow_factor(), took


def test_unknown_users_are_throttled_and_answered_like_known_ones(throttled, server):
    """No word and no second tells who has a mailbox."""
    bridge = throttled()
    answers, seconds = {}, {}
    for user, source in (("alice@example.com", "198.51.100.1"),
                         ("nobody@example.com", "198.51.100.2"),
                         ("alice@no.route", "198.51.100.3")):
        tried = [sign_in_from(bridge, source, user, f"wrong{turn}") for turn in range(3)]
        answers[user] = {answer.split(b" (ref")[0] for answer, _ in tried}
        seconds[user] = [round(took) for _, took in tried]
    assert len(set.union(*answers.values())) == 1
    assert len({tuple(one) for one in seconds.values()}) == 1, seconds
    assert not [one for one in server.credentials if one.user == b"alice@no.route"]


def test_a_look_at_the_port_is_counted_and_nothing_else(start_bridge, server):
    """Neither logged nor held against the address."""
    web = net.free_port()
    bridge = start_bridge({"workers": 2, "log": {"level": "info"},
                           "web": {"address": f"127.0.0.1:{web}"},
                           "limits": {"sign-in-delay": "2s..15s"},
                           "routes": [{"match": "*", "server": server.url}]})
    for number in range(50):
        with bridge.client(source=roles.SOURCES[number % 2]):
            pass

    def silent():
        status = run("status", "--json", "-c", bridge.config_path)
        return b'"silent-connections":50' in status.stdout.replace(b" ", b"")
    net.wait_until(silent, 10, "50 are counted")
    assert not bridge.log("session ended") and not bridge.log("refused")
    began = time.monotonic()
    with bridge.signed_in("alice"):
        assert time.monotonic() - began < 1 * net.slow_factor()

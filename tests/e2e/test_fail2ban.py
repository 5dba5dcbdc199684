"""
docker/fail2ban/popbridge.conf, by the real fail2ban, on logs that popbridge wrote: each
wrong password counts against the address it came from, and no user name makes it another's.
"""

import base64
import os
import re
import subprocess

import net
import pop3
import pytest

FILTER = os.path.join(os.path.dirname(__file__), "../../docker/fail2ban/popbridge.conf")
JAIL = os.path.join(os.path.dirname(__file__), "../../docker/fail2ban/jail.conf")
VICTIM = "198.51.100.77"
TIME = "2026-01-01T00:00:00.000Z"
FAKE = (f'level=warning event=refused session=0123456789abcdef peer={VICTIM} ref=ABCDEF '
        f'user=x answer="[AUTH] sign-in failed" cause=x')
FAKE_JSON = (f'{{"time":"{TIME}","level":"warning","event":"refused",'
             f'"session":"0123456789abcdef","peer":"{VICTIM}","ref":"ABCDEF","user":"x",'
             f'"answer":"[AUTH] sign-in failed"}}')

NAMES = ["alice", "with space", f'x" peer={VICTIM}', f"peer={VICTIM}", f"x {FAKE}",
         f'" {FAKE}', f"\n{FAKE}", f"\ntime={TIME} {FAKE}\n", f"\r\ntime={TIME} {FAKE}",
         f'","peer":"{VICTIM}', f'\\","peer":"{VICTIM}', f"\n{FAKE_JSON}\n", FAKE_JSON,
         "\\", '\\"', 'x"', f"time={TIME}", f"popbridge[1]: {FAKE}", VICTIM,
         f"a@{VICTIM}", "\u00e9\u2028" + FAKE, "x" * 600 + f'" peer={VICTIM}']


def bans(bridge, tmp_path, text=None):
    """The addresses that fail2ban finds, one for each line that counts."""
    log = tmp_path / "log"
    log.write_text(bridge.stderr if text is None else text, encoding="utf-8")
    done = subprocess.run(["fail2ban-regex", "-o", "ip", str(log), FILTER],
                          capture_output=True, check=False, timeout=60 * net.slow_factor())
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    return done.stdout.decode().split()


@pytest.fixture(params=["logfmt", "json"])
def bridge(request, start_bridge, fake):
    fake.passwords = {"alice": b"right"}
    start = {"listen": [{"address": "0.0.0.0:0", "plain-from": ["0.0.0.0/0"]},
                        {"address": "127.0.0.1:0", "plain-from": ["::/0"],
                         "proxy-from": ["127.0.0.1"]}],
             "log": {"format": request.param},
             "routes": [{"match": "*", "server": fake.url}]}
    return lambda **log: start_bridge({**start, "log": {**start["log"], **log}})


def guess(bridge, name, source="127.0.1.5"):
    """A wrong password, the name as SASL can carry it: with any octets."""
    with pop3.Client(bridge.port(), source=source) as client:
        octets = b"\0" + name.encode() + b"\0wrong"
        answer = client.command(b"AUTH PLAIN " + base64.b64encode(octets))
        assert answer.startswith(b"-ERR [AUTH]"), answer


def test_every_wrong_password_counts_against_its_own_address(bridge, tmp_path):
    one = bridge()
    for number, name in enumerate(NAMES):
        guess(one, name, f"127.0.1.{number + 1}")
    one.wait_log("refused", count=len(NAMES))
    assert bans(one, tmp_path) == [f"127.0.1.{n + 1}" for n in range(len(NAMES))]


def test_ipv6_is_found_as_well(bridge, tmp_path):
    one = bridge()
    port = one.addresses()[1][1]
    with pop3.Client(port, greet=False) as client:
        client.send(b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 110\r\n")
        client.line()
        client.ok("USER alice")
        client.err("PASS wrong", "AUTH")
    one.wait_log("refused")
    assert bans(one, tmp_path) == ["2001:db8::7"]


def test_what_is_no_wrong_password_does_not_count(bridge, tmp_path):
    one = bridge()
    with pop3.Client(one.port(), source="127.0.1.5") as client:
        client.sign_in("alice", "right")
        client.err("RETR 1")
        client.quit()
    with pop3.Client(one.port(), source="127.0.1.6") as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.rest()
    one.wait_log("session ended", count=2)
    assert bans(one, tmp_path) == []


def test_the_journal_s_own_words_in_front_do_no_harm(bridge, tmp_path):
    one = bridge()
    guess(one, "alice")
    line = next(text for text in one.stderr.splitlines() if "refused" in text)
    assert bans(one, tmp_path, f"mail popbridge[123]: {line}\n") == ["127.0.1.5"]


@pytest.mark.parametrize("addresses", ["truncated", "hashed"])
def test_addresses_that_are_no_addresses_are_not_banned(bridge, tmp_path, addresses):
    one = bridge(addresses=addresses)
    guess(one, "alice")
    one.wait_log("refused")
    assert bans(one, tmp_path) == []


def test_the_jail_names_the_filter_and_settings_of_fail2ban():
    with open(JAIL, encoding="ascii") as jail:
        text = jail.read()
    assert re.search(r"^filter = popbridge$", text, re.M)
    found = set(re.findall(r"^(\w+) = ", text, re.M))
    assert found <= {"enabled", "filter", "port", "backend", "maxretry", "findtime", "bantime",
                     "ignoreip"}

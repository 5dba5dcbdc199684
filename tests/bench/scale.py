"""
Thousands of sessions: what popbridge promises about them, each with its limit. Every
scenario starts servers of its own and gives rows of (figure, value, limit, kept).
"""

import json
import os
import subprocess
import time

import accounting
import state
import targets
from state import path

SESSIONS = int(os.environ.get("BENCH_SESSIONS", "10000"))
SETTLE_S = 5  # who idles for a second gives memory back
VISITS_S = 20  # a second, for sign-in times


class StandIn:
    """tests/bench/load/imap_stand_in.c, in place of Dovecot."""

    port = state.target_port(9)

    def __enter__(self):
        self._process = subprocess.Popen(
            [state.PROGRAMS["imap_stand_in"], str(self.port), path("tls", "server.pem"),
             path("tls", "server.key")], stdin=subprocess.DEVNULL)
        state.wait_port(self.port)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()


class Bridge(targets.Popbridge):
    """popbridge with two workers in front of a port, TLS on both sides."""

    _CONFIG = """\
workers: 2
listen:
  - {{address: "{host}:{port}", tls: starttls}}
  - {{address: "{host}:{tls_port}", tls: implicit}}
tls: {{certificate: {tls}/server.pem, key: {tls}/server.key}}
routes:
  - {{match: "*", server: "{scheme}://127.0.0.1:{upstream}"{trust}}}
limits: {{{limits}}}
log: {{level: warning}}
"""
    EASY = "sessions: 30000, sessions-per-address: 30000, sign-in-delay: off"

    def __init__(self, upstream_port, limits=EASY):
        super().__init__("scale", 0, "tls", 8)
        self._upstream, self._limits = upstream_port, limits

    def upstream_port(self):
        return self._upstream

    def config(self):
        return self._CONFIG.replace("{limits}", self._limits).replace("{host}", "0.0.0.0")

    def __enter__(self):
        self.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.stop()

    def pss_kib(self):
        return accounting.pss_kib(self.root)


class Load:
    """A load generator; each line it prints is a result."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [state.PROGRAMS[program], *(str(x) for x in arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii")

    def result(self):
        return json.loads(self.process.stdout.readline())

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        last = self.process.stdout.read()
        self.process.wait()
        return json.loads(last) if last.strip() else {}


def many(bridge, mode, *arguments):
    return Load("pop3_many", mode, "--port", bridge.client_port(), "--tls", "tls",
                "--ca", path("tls", "ca.pem"), *arguments)


def sign_ins(bridge, seconds):
    """What it takes to sign in, begun at even times by users of their own."""
    load = many(bridge, "visit", "--user", "100x2000-9%", "--users", 1000, "--conc", 32,
                "--sources", 200, "--rate", VISITS_S, "--sessions", int(VISITS_S * seconds))
    result = load.result()
    load.end()
    return result


def ms(seconds):
    return round(seconds * 1000, 1)


def sessions10k():
    half = SESSIONS // 2
    with StandIn(), Bridge(StandIn.port) as bridge:
        sign_ins(bridge, 2)
        before = bridge.pss_kib()
        calm = sign_ins(bridge, 10)
        loads = [many(bridge, "hold", "--user", "100x2000-%", "--users", SESSIONS,
                      "--sessions", half, "--base", base, "--conc", 8, "--sources", 200)
                 for base in (0, half)]
        held = [load.result() for load in loads]
        time.sleep(SETTLE_S)
        full = bridge.pss_kib()
        busy = sign_ins(bridge, 10)
        for load in loads:
            load.go_on()
        ended = [load.result() for load in loads]
        for load in loads:
            load.end()
        time.sleep(SETTLE_S)
        after = bridge.pss_kib()
    served = sum(r["sessions"] - r["errors"] for r in held)
    whole = sum(r["sessions"] - r["errors"] for r in ended)
    each = (full - before) / SESSIONS
    return [
        (f"{SESSIONS} sessions at once: signed in", served, f"= {SESSIONS}", served == SESSIONS),
        ("of these, then UIDL, RETR and QUIT right to the octet", whole, f"= {SESSIONS}",
         whole == SESSIONS),
        ("KiB resident each", each, "<= 64", each <= 64),
        ("sign-ins a second while they come", sum(r["sessions_s"] for r in held), "", True),
        ("sign-in with nobody there, ms: p50", ms(calm["p50"]), "", True),
        ("sign-in with nobody there, ms: p99", ms(calm["p99"]), "", True),
        ("sign-in beside them, ms: p50", ms(busy["p50"]), "", True),
        ("sign-in beside them, ms: p99", ms(busy["p99"]), "", True),
        ("MiB resident before", before / 1024, "", True),
        ("MiB resident when all are gone", after / 1024, "", True),
    ]


SCENARIOS = {"sessions10k": sessions10k}

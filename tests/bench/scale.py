"""
Thousands of sessions, a hundred thousand one after the other, hostile clients, a million
messages: what popbridge promises about them, each with its limit. Every scenario starts
servers of its own and gives rows of (figure, value, limit, kept).
"""

import contextlib
import imaplib
import json
import os
import socket
import subprocess
import time

import accounting
import state
import targets
import upstream
from state import path

SESSIONS = int(os.environ.get("BENCH_SESSIONS", "10000"))
SOAK_SESSIONS = int(os.environ.get("BENCH_SOAK", "100000"))
HOSTILE = float(os.environ.get("BENCH_HOSTILE", "1"))  # share of the hostile clients
SLOT = 70  # of the targets' ports, behind those of bench.py
SETTLE_S = 5  # who idles for a second gives memory back
VISITS_S = 20  # a second, for sign-in times


class StandIn:
    """tests/bench/load/imap_stand_in.c, in place of Dovecot."""

    port = state.target_port(SLOT + 1)
    tls, is_imap = "tls", True

    def client_port(self):
        return self.port

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
    EASY = ("sessions: 19000, sessions-per-address: 19000, accept-rate: 100000, "
            "sign-in-delay: off")

    def __init__(self, upstream_port, limits=EASY):
        super().__init__("scale", 0, "tls", SLOT)
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

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in accounting.tree(self.root))

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
        ("MiB resident when all are gone, connections parked", after / 1024, "", True),
    ]


def index1m():
    user = ["--user", "1000000x1000-1"]
    with StandIn(), Bridge(StandIn.port) as bridge:
        listed = ["--port", bridge.client_port(), "--tls", "tls", "--ca", path("tls", "ca.pem")]
        Load("pop3_load", "list", *listed, "--user", "10x1000-1").end()
        before = bridge.pss_kib()
        with accounting.Peak(bridge.root) as peak:
            whole = Load("pop3_load", "list", *listed, *user).end()
        holder = many(bridge, "hold", *user, "--sessions", 1)
        holder.result()
        time.sleep(SETTLE_S)
        idle = bridge.pss_kib()
        holder.process.kill()
        holder.process.wait()
    more, rest = (peak.kib - before) / 1024, (idle - before) / 1024
    return [
        ("a million messages: listed by UIDL and LIST", whole.get("mailbox", 0), "= 1000000",
         whole.get("mailbox") == 1000000),
        ("a million messages: MiB more at the most", more, "<= 24", more <= 24),
        ("a million messages: MiB more while the client is silent", rest, "<= 24", rest <= 24),
        ("a million messages: seconds to sign in", whole.get("t_login", 0), "", True),
        ("a million messages: seconds for UIDL, LIST",
         whole.get("t_uidl", 0) + whole.get("t_list", 0), "", True),
    ]


def uids(user):
    """What is in the INBOX now, by Dovecot itself."""
    with imaplib.IMAP4("127.0.0.1", state.upstream_port("imap")) as imap:
        imap.login(user, state.PASSWORD)
        imap.select(readonly=True)
        return set(imap.uid("SEARCH", "ALL")[1][0].split())


def balance(before, after, ledger):
    """Differences between what clients were told and what is left; and untold fates."""
    wrong = unknown = 0
    for line in state.read(ledger).splitlines():
        user, uid, fate = line.split()
        if fate == "deleted":
            before[user].discard(uid.encode())
        unknown += fate == "unknown"
    for user, expected in before.items():
        wrong += len(expected ^ after[user])
    return wrong, unknown


def slope(points):
    """Least squares over (x, y)."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points)
            / sum((x - mean_x) ** 2 for x, _ in points))


def watch_soak(load, bridge):
    """(thousand sessions done, PSS, descriptors) as they come, then the result."""
    samples = []
    while True:
        line = load.result()
        if "done" not in line:
            return samples, line
        samples.append((line["done"] / 1000, bridge.pss_kib(), bridge.descriptors()))
        if len(samples) % 10 == 0:
            print("{:.0f},000 done, {} KiB, {} descriptors".format(*samples[-1]), flush=True)


def soak():
    users = upstream.refill()
    before = {user: uids(user) for user in users}
    ledger = path("ledger")
    with Bridge(state.upstream_port("imaps"), Bridge.EASY + ", parking: 2s") as bridge:
        idle = bridge.descriptors()
        load = many(bridge, "soak", "--user", "q%", "--users", len(users), "--conc", 32,
                    "--sources", 200, "--sessions", SOAK_SESSIONS, "--ledger", ledger,
                    "--progress", max(1, SOAK_SESSIONS // 100))
        samples, result = watch_soak(load, bridge)
        load.end()
        time.sleep(SETTLE_S)
        left = bridge.descriptors() - idle
    wrong, unknown = balance(before, {user: uids(user) for user in users}, ledger)
    steady = samples[len(samples) // 5:]
    growth = slope([(thousands, kib) for thousands, kib, _ in steady])
    return [
        ("soak: sessions", result["sessions"], f"= {SOAK_SESSIONS}",
         result["sessions"] == SOAK_SESSIONS),
        ("soak: sessions that failed", result["errors"], "= 0", result["errors"] == 0),
        ("soak: messages not as clients were told", wrong, "= 0", wrong == 0),
        ("soak: messages of an unknown fate", unknown, "= 0", unknown == 0),
        ("soak: KiB more for 1,000 sessions", growth, "<= 4", growth <= 4),
        ("soak: descriptors left open", left, "<= 0", left <= 0),
        ("soak: sessions a second", result["sessions_s"], "", True),
    ]


def own_address():
    """One that is not on loopback, where nobody is limited; else that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def attack(bridge, stack):
    """1,000 who never read, 2,000 who never finish signing in, a flood from one address."""
    def enter(load):
        stack.callback(load.end)
        return load

    ports = bridge.port, bridge.port + 1
    unread = int(1000 * HOSTILE)
    readers = enter(many(bridge, "unread", "--user", "1x20000000-%", "--users", unread,
                         "--sessions", unread, "--conc", 8, "--sources", 200))
    enter(Load("pop3_hostile", "unfinished", "127.0.0.1", *ports, int(2000 * HOSTILE)))
    enter(Load("pop3_hostile", "flood", own_address(), *ports, 500 * HOSTILE))
    time.sleep(SETTLE_S)
    return readers.result()


def hostile():
    limits = "sessions: 10000"
    with contextlib.ExitStack() as stack:
        stack.enter_context(StandIn())
        bridge = stack.enter_context(Bridge(StandIn.port, limits))
        sign_ins(bridge, 2)
        before = bridge.pss_kib()
        calm = sign_ins(bridge, 30)
        with accounting.Peak(bridge.root, 0.5) as peak:  # looking takes time, too
            unread = attack(bridge, stack)
            busy = sign_ins(bridge, 30)
    ratio, more = busy["p99"] / calm["p99"], (peak.kib - before) / 1024
    return [
        ("hostile: clients that never read", unread["sessions"] - unread["errors"], "",
         unread["errors"] == 0),
        ("hostile: others' sign-in, share that failed", busy["errors"] / busy["sessions"], "= 0",
         busy["errors"] == 0),
        ("hostile: others' sign-in p99, as multiple of the idle one", ratio, "<= 2", ratio <= 2),
        ("hostile: sign-in idle, ms: p50", ms(calm["p50"]), "", True),
        ("hostile: sign-in idle, ms: p99", ms(calm["p99"]), "", True),
        ("hostile: sign-in under attack, ms: p50", ms(busy["p50"]), "", True),
        ("hostile: sign-in under attack, ms: p99", ms(busy["p99"]), "", True),
        ("hostile: MiB more at the most", more, "<= 256", more <= 256),
    ]


SCENARIOS = {"sessions10k": sessions10k, "soak": soak, "hostile": hostile, "index1m": index1m}

"""
What is done to a target, and what comes out as a dict. Each function takes (target, rep)
and may return None: nothing to do for this target.
"""

import json
import subprocess
import time

import accounting
import state
import upstream
from state import path

INDEX_READINGS = 5


def _command(target, mode, *args):
    program = "imap_load" if target.name == "floor" else "pop3_load"
    return [state.PROGRAMS[program], mode, "--port", str(target.client_port()),
            "--tls", target.tls, "--ca", path("tls", "ca.pem"), *(str(x) for x in args)]


def load(target, mode, *args):
    done = subprocess.run(_command(target, mode, *args), stdout=subprocess.PIPE, timeout=600,
                          check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"error": "no result", "detail": repr(done.stdout[-200:])}


def _by_rtt(target, near, far, farthest):
    return near if target.rtt == 0 else far if target.rtt <= 30 else farthest


def full(target, rep, window=1):
    count = _by_rtt(target, 10000, 300, 100)
    digest = ["--hash"] if rep == 0 else []
    if target.name == "floor":
        return load(target, "fetch", "--user", "u10k", "--count", count, *digest)
    return load(target, "download", "--user", "u10k", "--count", count, "--window", window, *digest)


def pipe(target, rep):
    if target.name == "floor":
        return load(target, "fetch", "--user", "u10k", "--window", 64,
                    "--count", _by_rtt(target, 10000, 300, 100))
    return full(target, rep, 64)


def serial(target, _rep):
    if target.name != "floor":
        return None
    return load(target, "fetch", "--user", "u10k", "--window", 1,
                "--count", _by_rtt(target, 3000, 200, 60))


def poll(target, _rep, conc=16, extra=()):
    return load(target, "poll", "--user", "s%", "--users", 200, "--conc", conc,
                "--seconds", _by_rtt(target, 6, 6, 8), *extra)


def poll64(target, rep):
    return poll(target, rep, 64)


def pollburst(target, rep):
    return poll(target, rep, 16, ["--burst"]) if target.name == "floor" else None


def pollcold(target, _rep):
    target.forget("*")
    return load(target, "poll", "--user", "s%", "--users", upstream.SMALL_USERS, "--conc", 16,
                "--sessions", _by_rtt(target, 400, 300, 200))


def listing(user, cold):
    def scenario(target, _rep):
        if cold:
            target.forget(user)
        return load(target, "list", "--user", user)
    return scenario


def big(number):
    """One large message; number: which of ubig's 50, 100, 300 MB."""
    def scenario(target, rep):
        digest = ["--hash"] if rep < 0 else []
        mode = "fetch" if target.name == "floor" else "download"
        arguments = (target, mode, "--user", "ubig", "--first", number, "--count", 1, *digest)
        if target.name != "popbridge":
            return load(*arguments)
        with accounting.Peak(target.root) as peak:
            result = load(*arguments)
        result.update(peak_kib=peak.kib)
        return result
    return scenario


def index(target, _rep):
    """STAT, UIDL, LIST of 100,000 messages; memory beyond what one session of 10 needs."""
    if target.name == "floor":
        return load(target, "list", "--user", "u100k")
    load(target, "list", "--user", "s0000")
    before = accounting.pss_kib(target.root)
    used = accounting.cpu_s(target.root), accounting.cpu_s(upstream.pid())
    with accounting.Peak(target.root) as peak:
        for _ in range(INDEX_READINGS):
            target.forget("u100k")
            result = load(target, "list", "--user", "u100k")
    result.update(
        cpu_each=(accounting.cpu_s(target.root) - used[0]) / INDEX_READINGS,
        up_cpu_each=(accounting.cpu_s(upstream.pid()) - used[1]) / INDEX_READINGS)
    if target.name == "popbridge":
        result.update(peak_kib=peak.kib, more_kib=peak.kib - before)
    return result


def idle(target, _rep):
    """IDLE_USERS sessions signed in and silent."""
    if target.name == "floor":
        return None
    count = upstream.IDLE_USERS
    before = accounting.pss_kib(target.root)
    command = _command(target, "idle", "--user", "i%", "--users", count, "--sessions", count,
                       "--conc", 8)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        result = json.loads(process.stdout.readline())
        time.sleep(4)  # those who wait longer than a second give memory back
        after = accounting.pss_kib(target.root)
        process.stdin.close()
    result.update(empty_kib=before, idle_kib=after, kib_per_session=(after - before) / count,
                  processes=len(accounting.tree(target.root)))
    return result


def dele(target, _rep):
    if target.name == "native" and target.rtt:
        return None  # a round trip a message by construction
    upstream.restore("udel")
    target.forget("udel")
    return load(target, "dele", "--user", "udel", "--count", 1000)


def top(target, _rep):
    mode = "header" if target.name == "floor" else "top"
    return load(target, mode, "--user", "u10k", "--count", _by_rtt(target, 1000, 200, 60))


# name: (function, mailboxes it needs)
SCENARIOS = {
    "big300": (big(3), ["ubig"]),
    "idle": (idle, ["idle"]),
    "index100k": (index, ["u100k", "small"]),
    "full": (full, ["u10k"]),
    "pipe": (pipe, ["u10k"]),
    "serial": (serial, ["u10k"]),
    "poll": (poll, ["small"]),
    "poll64": (poll64, ["small"]),
    "pollburst": (pollburst, ["small"]),
    "pollcold": (pollcold, ["small"]),
    "list1k-cold": (listing("u1k", True), ["u1k"]),
    "list1k-warm": (listing("u1k", False), ["u1k"]),
    "list10k-cold": (listing("u10k", True), ["u10k"]),
    "list10k-warm": (listing("u10k", False), ["u10k"]),
    "list100k-cold": (listing("u100k", True), ["u100k"]),
    "list100k-warm": (listing("u100k", False), ["u100k"]),
    "big": (big(2), ["ubig"]),
    "dele": (dele, ["udel"]),
    "top": (top, ["u10k"]),
}

FIGURES = ("big300", "idle", "index100k")



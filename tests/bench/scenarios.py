"""
What is done to a target, and what comes out as a dict. Each function takes (target, rep)
and may return None: nothing to do for this target.
"""

import dataclasses
import json
import subprocess
import time

import accounting
import scale
import state
import upstream
from state import path

INDEX_READINGS = 5


def _command(target, mode, *args):
    program = "imap_load" if target.is_imap else "pop3_load"
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


def full(target, rep, window=1, count=0):
    count = count or _by_rtt(target, 10000, 300, 100)
    digest = ["--hash"] if rep == 0 else []
    if target.name == "floor":
        return load(target, "fetch", "--user", "u10k", "--count", count, *digest)
    if target.name == "pipefloor":
        return load(target, "fetch", "--user", "u10k", "--window", 64, "--count", count)
    return load(target, "download", "--user", "u10k", "--count", count, "--window", window, *digest)


def full2k(target, rep):
    return full(target, rep, count=2000)


def reach(target, rep):
    """As full, over any round trip time; where each message costs one, a few will do."""
    fast = target.name in ("popbridge", "floor") or target.rtt == 0
    return full(target, rep, count=2000 if fast else 100 if target.rtt < 50 else 30)


def pipe(target, rep):
    return full(target, rep, 64)


def serial(target, _rep):
    if not target.is_imap:
        return None
    return load(target, "fetch", "--user", "u10k", "--window", 1,
                "--count", _by_rtt(target, 3000, 200, 60))


def poll(target, _rep, conc=16, extra=()):
    return load(target, "poll", "--user", "s%", "--users", 200, "--conc", conc,
                "--seconds", _by_rtt(target, 6, 6, 8), *extra)


def warm_poll(target):
    """Everybody once: what is known of a mailbox, and a connection to it, is there."""
    load(target, "poll", "--user", "s%", "--users", 200, "--sessions", 200, "--conc", 16)


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


def warm_listing(user):
    def warm(target):
        load(target, "list", "--user", user)
    return warm


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


def _cold_listing(target, user):
    result = load(target, "list", "--user", user)
    if target.is_imap:
        return result
    target.forget(user)
    load(target, "list", "--user", "s0000")
    before = accounting.pss_kib(target.root)
    with accounting.Peak(target.root) as peak:
        load(target, "list", "--user", user)
    return {**result, "more_kib": max(1, peak.kib - before)}


def grow(user):
    """STAT, UIDL, LIST with nothing cached; and its memory, in another session."""
    def scenario(target, _rep):
        target.forget(user)
        return _cold_listing(target, user)
    return scenario


def grow_million(target, _rep):
    """The same over the stand-in: nobody has a Dovecot mailbox of that size at hand."""
    user = "1000000x1000-1"
    with scale.StandIn() as server:
        if target.is_imap:
            return load(server, "list", "--user", user)
        with scale.Bridge(server.port) as bridge:
            result = load(bridge, "list", "--user", user)
        with scale.Bridge(server.port) as bridge:
            load(bridge, "list", "--user", "10x1000-1")
            before = accounting.pss_kib(bridge.root)
            with accounting.Peak(bridge.root) as peak:
                load(bridge, "list", "--user", user)
        return {**result, "more_kib": peak.kib - before}


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


@dataclasses.dataclass(frozen=True)
class Scenario:
    function: object
    mailboxes: tuple  # it needs
    warm: object = None  # done once to each target before


SCENARIOS = {
    "big300": Scenario(big(3), ("ubig",)),
    "idle": Scenario(idle, ("idle",)),
    "index100k": Scenario(index, ("u100k", "small")),
    "full": Scenario(full, ("u10k",)),
    "full2k": Scenario(full2k, ("u10k",)),
    "reach": Scenario(reach, ("u10k",)),
    "grow10": Scenario(grow("s0001"), ("small",)),
    "grow1k": Scenario(grow("u1k"), ("u1k", "small")),
    "grow10k": Scenario(grow("u10k"), ("u10k", "small")),
    "grow100k": Scenario(grow("u100k"), ("u100k", "small")),
    "grow1m": Scenario(grow_million, ()),
    "pipe": Scenario(pipe, ("u10k",)),
    "serial": Scenario(serial, ("u10k",)),
    "poll": Scenario(poll, ("small",), warm_poll),
    "poll64": Scenario(poll64, ("small",), warm_poll),
    "pollburst": Scenario(pollburst, ("small",)),
    "pollcold": Scenario(pollcold, ("small",)),
    "list1k-cold": Scenario(listing("u1k", True), ("u1k",)),
    "list1k-warm": Scenario(listing("u1k", False), ("u1k",), warm_listing("u1k")),
    "list10k-cold": Scenario(listing("u10k", True), ("u10k",)),
    "list10k-warm": Scenario(listing("u10k", False), ("u10k",), warm_listing("u10k")),
    "list100k-cold": Scenario(listing("u100k", True), ("u100k",)),
    "list100k-warm": Scenario(listing("u100k", False), ("u100k",), warm_listing("u100k")),
    "big": Scenario(big(2), ("ubig",)),
    "dele": Scenario(dele, ("udel",)),
    "top": Scenario(top, ("u10k",)),
}

FIGURES = ("big300", "idle", "index100k")



"""
1,000 SIGKILLs of workers, keeper and web role at random, under load, and then of masters.

    POPBRIDGE=build/release/popbridge /usr/bin/python3 -B tests/campaign/kills.py [count]

After each it is measured how long the service takes to come back: a worker accepts again,
the locks of its sessions are free, sign-ins work without the old keeper, the web role
answers. On a machine with other work to do, POPBRIDGE_AHEAD=1 (as root) runs the service and
who measures ahead of everything else, also of the load. Exit code 0 where all of it held: within a second each, no refused connection, no
message lost or deleted that nobody asked for, a store that is whole. The load has a process
and an IMAP server of its own, so that it does not hold up who measures; "by the log" is how
long the master was without a role, from its death to its successor's READY.
"""

import contextlib
import io
import multiprocessing
import os
import random
import sqlite3
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import bridge as bridge_module  # noqa: E402
import fake_imap  # noqa: E402
import net  # noqa: E402
import pop3  # noqa: E402
import roles  # noqa: E402

LIMIT = 1.0  # seconds
SEED = 20
MASTERS = 20


def until(works, seconds=20):
    """Seconds until it works; a try that fails says nothing."""
    began = time.monotonic()
    while True:
        try:
            if works():
                return time.monotonic() - began
        except (pop3.Closed, OSError):
            pass
        assert time.monotonic() - began < seconds, "the service does not come back"
        time.sleep(0.005)


def go_ahead():
    """What others do on this machine costs us nothing. Inherited by what we start."""
    if os.environ.get("POPBRIDGE_AHEAD"):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class QuietBridge(bridge_module.Bridge):
    """
    Its log at the end would drown the figures, and reading the port there for every
    connection would be what is measured.
    """

    _port = None

    def port(self, tls="none"):
        self._port = self._port or super().port(tls)
        return self._port

    def close(self):
        with contextlib.redirect_stdout(io.StringIO()):
            super().close()


class Campaign:
    def __init__(self, bridge, web_port):
        self.bridge, self.web_port = bridge, web_port
        self.times = {"worker accepts": [], "lock is free": [], "sign-in works": [],
                      "web answers": []}
        self.killed = {"worker": 0, "keeper": 0, "web": 0}
        self._number = 0

    def _user(self):
        self._number += 1
        return f"campaign{self._number}"

    def _greeted(self, source):
        with self.bridge.client(source=source, timeout=5) as client:
            return client.greeting.startswith(b"+OK")

    def _signed_in(self, user, source):
        with self.bridge.client(source=source, timeout=5) as client:
            return client.try_sign_in(user).startswith(b"+OK") and client.quit() is not False

    def _web_answers(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/live", timeout=5) as answer:
            return answer.status == 200

    def kill_worker(self, rng):
        source, user = rng.choice(roles.SOURCES), self._user()
        holder, _ = roles.sign_in_within(self.bridge, user, 10, source)
        other = roles.SOURCES[1 - roles.SOURCES.index(source)]
        roles.kill(roles.worker_of(self.bridge, holder))
        self.times["lock is free"].append(until(lambda: self._signed_in(user, other)))
        self.times["worker accepts"].append(until(lambda: self._greeted(source)))
        holder.close()

    def kill_keeper(self, rng):
        roles.kill(self._one("keeper"))
        user = self._user()
        self.times["sign-in works"].append(
            until(lambda: self._signed_in(user, rng.choice(roles.SOURCES))))

    def kill_web(self, _):
        roles.kill(self._one("web"))
        self.times["web answers"].append(until(self._web_answers))

    def _one(self, role):
        return net.wait_until(lambda: roles.pids(self.bridge, role), 20, role)[0]

    def run(self, count):
        rng = random.Random(SEED)
        kinds = {"worker": self.kill_worker, "keeper": self.kill_keeper, "web": self.kill_web}
        for turn in range(count):
            role = rng.choices(list(kinds), weights=[6, 3, 1])[0]
            kinds[role](rng)
            self.killed[role] += 1
            if turn % 100 == 99:
                print(f"{turn + 1} kills", flush=True)

    def report(self):
        good = True
        for what, times in self.times.items():
            times.sort()
            if times:
                print(f"{what}: {len(times)} times, median {times[len(times) // 2]:.3f} s, "
                      f"99 % {times[int(len(times) * 0.99)]:.3f} s, longest {times[-1]:.3f} s")
                good = good and times[-1] <= LIMIT * net.slow_factor()
        return good


def run_load(pipe):
    """In a process of its own: says where its mail is, hears a port, runs until told."""
    with fake_imap.FakeImap() as fake:
        fake.messages[:] = roles.BODIES
        pipe.send(fake.url)
        with roles.Load(None, fake, clients=3, port=pipe.recv()) as load:
            pipe.recv()
        try:
            load.check()
            mistake = None
        except AssertionError as wrong:
            mistake = str(wrong)
    refused = sum("Refused" in what for _, what in load.aborted)
    print(f"load: {load.sessions} sessions, {len(load.aborted)} cut off by a kill, "
          f"{len(load.refused)} answered -ERR, {refused} connections refused, "
          f"{len(load.wrong)} wrong messages{f', {mistake}' if mistake else ''}", flush=True)
    pipe.send(refused == 0 and mistake is None)


def report_log(bridge):
    """What the master itself saw."""
    outages = {}
    for line in bridge.log("role is back"):
        outages.setdefault(line["role"], []).append(float(line["after"].rstrip("s")))
    for role, times in sorted(outages.items()):
        times.sort()
        print(f"by the log, {role}: {len(times)} times, median "
              f"{times[len(times) // 2]:.3f} s, longest {times[-1]:.3f} s")
    print(f"by the log: {len(bridge.log('role died'))} deaths, "
          f"{len(bridge.log('role hangs'))} hangs")


def check_store(folder):
    """Read as the next keeper would."""
    path = f"{folder}/state/popbridge.db"
    with sqlite3.connect(path) as store:
        verdict = store.execute("PRAGMA integrity_check").fetchone()[0]
        accounts = store.execute("SELECT count(*) FROM accounts").fetchone()[0]
    print(f"store: integrity_check says {verdict}, {accounts} accounts")
    return verdict == "ok"


def kill_masters(server):
    """How long the roles outlive their master, at most."""
    longest = 0
    for _ in range(MASTERS):
        with QuietBridge(roles.config(server)) as bridge:
            everybody = bridge.pids()[1:]
            bridge.kill()
            began = time.monotonic()
            roles.wait_gone(everybody, 10)
            longest = max(longest, time.monotonic() - began)
    print(f"master: {MASTERS} killed, all roles gone after {longest:.3f} s at most")
    return longest <= LIMIT * net.slow_factor()


def main(count):
    folder = net.short_folder("kills")
    web_port = net.free_port()
    ours, theirs = multiprocessing.Pipe()
    loading = multiprocessing.Process(target=run_load, args=(theirs,), daemon=True)
    loading.start()
    go_ahead()
    with fake_imap.FakeImap() as fake:
        fake.messages[:] = roles.BODIES
        settings = {"workers": 2, "state": f"{folder}/state", "log": {"level": "info"},
                    "web": {"address": f"127.0.0.1:{web_port}"}, "limits": {"drain": "5s"},
                    "routes": [{"match": "load*", "server": ours.recv()},
                               {"match": "*", "server": fake.url}]}
        with QuietBridge(settings) as bridge:
            campaign = Campaign(bridge, web_port)
            ours.send(bridge.port())
            campaign.run(count)
            ours.send("enough")
            good = ours.recv()
            report_log(bridge)
        print(f"killed: {campaign.killed}")
        good = campaign.report() and good
        good = check_store(folder) and good
        good = kill_masters(fake.url) and good
    net.remove_folder(folder)
    print("kills: all held" if good else "kills: NOT ALL HELD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))

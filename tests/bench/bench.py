"""The bench's command line and its one interleaved run. Started by tests/bench/run."""

import argparse
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import accounting
import goals
import scale
import scenarios
import state
import table
import targets
import upstream


WHOLE = {"table": goals.plan, "plot": goals.plot_plan}


class Run:
    """Targets, scenarios and repetitions of one run; every result also goes to a file."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.rows = []
        os.makedirs(state.path("results"), exist_ok=True)
        self.file = state.path("results", time.strftime("%Y%m%d-%H%M%S.jsonl"))

    def _measure(self, function, target, rep):
        accounting.wait_quiet(self.arguments.max_steal, self.arguments.wait)
        cpu = accounting.cpu_s(target.root), accounting.cpu_s(upstream.pid())
        ticks, load = accounting.processor_ticks(), os.getloadavg()[0]
        try:
            result = function(target, rep)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            result = {"error": str(error)[:200]}
        if result is None:
            return None
        time.sleep(0.1)
        steal = accounting.stolen(ticks, accounting.processor_ticks())
        return {**result, "cpu": round(accounting.cpu_s(target.root) - cpu[0], 3),
                "up_cpu": round(accounting.cpu_s(upstream.pid()) - cpu[1], 3),
                "load": load, "steal": round(steal, 3)}

    def _keep(self, row):
        self.rows.append(row)
        with open(self.file, "a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        shown = ("msg_s", "mb_s", "sessions_s", "cmd_s", "t_total", "peak_kib", "more_kib",
                 "kib_per_session", "cpu", "up_cpu", "error", "detail", "steal")
        print(f"{row['scenario']:14} rtt={row['rtt']:<3} {row['tls']:4} {row['target']:9}",
              " ".join(f"{k}={row[k]:.4g}" if isinstance(row[k], float) else f"{k}={row[k]}"
                       for k in shown if k in row), flush=True)

    def _fresh(self, target):
        """Processes kept for reuse would count as memory, and thousands of them slow."""
        target.stop()
        upstream.stop()
        upstream.start()
        target.start()

    def _one(self, name, target, rep):
        function = scenarios.SCENARIOS[name].function
        if name == "idle":
            self._fresh(target)
        elif name in scenarios.FIGURES:  # a process that did nothing before
            target.stop()
            target.start()
        result = self._measure(function, target, rep)
        if name == "idle":
            self._fresh(target)
        if result is not None:
            self._keep({**result, "scenario": name, "target": target.name, "rep": rep,
                        "rtt": target.rtt, "tls": target.tls})

    def _scenario(self, name, group):
        # Bodies are compared apart from the timed repetitions, where they are large.
        first = -1 if name.startswith("big") else 0
        warm = scenarios.SCENARIOS[name].warm
        for target in group if warm else ():
            warm(target)
        for rep in range(first, self.arguments.reps):
            for target in group if rep % 2 == 0 else reversed(group):
                self._one(name, target, rep)

    @staticmethod
    def _seed(target, names):
        """Fill the peer's cache over the undelayed link: over the other it takes hours."""
        needed = {x for name in names for x in scenarios.SCENARIOS[name].mailboxes}
        rtt, target.rtt = target.rtt, 0
        target.start()
        for user in needed & {"u1k", "u10k", "u100k", "ubig"}:
            scenarios.load(target, "list", "--user", user)
        if "small" in needed:
            scenarios.load(target, "poll", "--user", "s%", "--users", 200, "--sessions", 200,
                           "--conc", 8)
        target.stop()
        target.rtt = rtt

    def scale(self, name):
        """One scenario of scale.py; returns its rows for the table of promises."""
        print(f"{name}: load {os.getloadavg()[0]:.1f}", flush=True)
        rows = scale.SCENARIOS[name]()
        with open(self.file, "a", encoding="utf-8") as out:
            for figure, value, limit, kept in rows:
                out.write(json.dumps({"scenario": name, "figure": figure, "value": value,
                                      "limit": limit, "kept": kept}) + "\n")
        return rows

    def all(self, plan):
        """plan: [(rtt, tls, [(scenario, targets)])]"""
        for slot, (rtt, tls, work) in enumerate(plan):
            names = sorted({name for _, wanted in work for name in wanted})
            here = {name: targets.CLASSES[name](name, rtt, tls, targets.PORTS * slot + i)
                    for i, name in enumerate(names)}
            try:
                for target in here.values():
                    if target.name == "peer":
                        self._seed(target, [name for name, _ in work])
                    target.start()
                for name, wanted in work:
                    self._scenario(name, [here[x] for x in wanted])
            finally:
                for target in here.values():
                    target.stop()


def names_of(known):
    def parse(text):
        names = text.split(",")
        wrong = [name for name in names if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]}: not one of {', '.join(known)}")
        return names
    return parse


def parse():
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Speed and memory, as ratios within one run.",
        epilog="scenarios: " + " ".join([*WHOLE, *scenarios.SCENARIOS, *scale.SCENARIOS]))
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO",
                        help="table: all figures with their targets; plot: how cost grows; "
                             f"default: {' '.join(scenarios.FIGURES)}, with TLS on both sides")
    parser.add_argument("--target", type=names_of(targets.CLASSES), default=["popbridge", "floor"],
                        help=f"a comma between: {','.join(targets.CLASSES)}; "
                             "default: popbridge,floor")
    parser.add_argument("--tls", choices=("none", "stls", "tls"), default="tls",
                        help="on both sides; default: tls")
    parser.add_argument("--rtt", type=lambda text: [int(x) for x in text.split(",")], default=[0],
                        help="milliseconds to the upstream, a comma between; 0: no relay")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--max-steal", type=float, default=0.1,
                        help="wait while the hypervisor takes more than this share")
    parser.add_argument("--wait", type=float, default=10, help="but at most so many seconds")
    parser.add_argument("--clean", action="store_true", help="remove the state folder at the end")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.scenarios = arguments.scenarios or list(scenarios.FIGURES)
    arguments.whole = arguments.scenarios[0] if arguments.scenarios[0] in WHOLE else ""
    if arguments.whole:
        arguments.scenarios = []
    arguments.scale = [name for name in arguments.scenarios if name in scale.SCENARIOS]
    arguments.scenarios = [x for x in arguments.scenarios if x not in scale.SCENARIOS]
    for name in arguments.scenarios:
        if name not in scenarios.SCENARIOS:
            parser.error(f"no scenario {name}; there are: "
                         + " ".join([*scenarios.SCENARIOS, *scale.SCENARIOS]))
    arguments.plan = WHOLE[arguments.whole]() if arguments.whole else [
        (rtt, arguments.tls, [(name, arguments.target) for name in arguments.scenarios])
        for rtt in arguments.rtt] if arguments.scenarios else []
    for rtt, _, _ in arguments.plan:
        if rtt and rtt not in state.RTTS:
            parser.error(f"the relay knows {state.RTTS} ms; set BENCH_RTTS")
    return arguments


def draw(results):
    """Into the folder report, which README.md shows."""
    folder = os.path.join(state.HERE, "report")
    os.makedirs(folder, exist_ok=True)
    subprocess.run([sys.executable, "-B", os.path.join(state.HERE, "plot.py"), results, folder],
                   check=True)
    print(f"\nplots: {folder}")


def lock():
    """One run at a time: two would stop each other's servers. Held while the file is open."""
    os.makedirs(state.STATE, exist_ok=True)
    os.chmod(state.STATE, 0o755)  # Dovecot's users pass through
    held = open(state.path("lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another run uses {state.STATE}; set BENCH_STATE and BENCH_PORT") from None
    return held


def prepare(arguments):
    upstream.make_certificates()
    upstream.start()
    for name in sorted({name for _, _, work in arguments.plan for name, _ in work}):
        for mailbox in scenarios.SCENARIOS[name].mailboxes:
            upstream.populate(mailbox)
    if any(rtt for rtt, _, _ in arguments.plan):
        upstream.start_relay()


def main():
    arguments = parse()
    state.find_programs(arguments.build)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # cleans up on the way
    held = lock()
    try:
        prepare(arguments)
        run = Run(arguments)
        run.all(arguments.plan)
        figures = []
        for name in arguments.scale:
            figures += run.scale(name)
    finally:
        upstream.stop_relay()
        upstream.stop()
        if arguments.clean:
            shutil.rmtree(state.STATE)
    held.close()
    same = table.comparisons(run.rows)
    kept = table.goals(goals.judge(run.rows)) if arguments.whole == "table" else \
        table.promises(run.rows, figures)
    if arguments.whole == "plot":
        draw(run.file)
    failed = sum(1 for row in run.rows if row.get("error"))
    if failed:
        print(f"\n{failed} measurements failed")
    if not arguments.clean:
        print(f"\nresults: {run.file}")
    return 0 if kept and same and (run.rows or figures) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

"""
The figures popbridge has to reach, and the runs that measure: `run table`, `run plot`. Every one
is compared with what other targets do in the same run, the median of each.
"""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Limit:
    """column of ours is at least (or at most) factor * that column of other, plus more."""

    column: str
    sense: str
    factor: float
    other: str = ""  # a target; "": factor is the limit itself
    more: float = 0
    of: str = ""  # the other's column, where it is another one

    def text(self):
        word = "at least" if self.sense == ">=" else "at most"
        if not self.other:
            return f"{word} {self.factor:g}"
        more = f" + {self.more:g}" if self.more else ""
        return f"{word} {self.factor:g} x {self.other}{more}"


@dataclasses.dataclass(frozen=True)
class Goal:
    title: str
    scenario: str
    rtt: int
    tls: str
    limits: tuple
    ours: str = "popbridge"

    def targets(self):
        return {self.ours, *(limit.other for limit in self.limits if limit.other)}


def _least(column, factor, other=""):
    return Limit(column, ">=", factor, other)


def _most(column, factor, other="", more=0.0):
    return Limit(column, "<=", factor, other, more)


GOALS = (
    Goal("RETR one by one, messages/s", "full", 20, "none",
         (_least("msg_s", 0.8, "pipefloor"), _least("msg_s", 40, "peer"))),
    Goal("the same over 2,000 messages", "full2k", 20, "none", (_least("msg_s", 0.4, "floor"),)),
    Goal("RETR one by one, messages/s", "full", 100, "none",
         (_least("msg_s", 0.8, "pipefloor"), _least("msg_s", 40, "peer"))),
    Goal("RETR one by one, messages/s", "full", 0, "tls",
         (_least("msg_s", 1.3, "native"), _least("msg_s", 2.5, "peer"))),
    Goal("the same, processor seconds", "full", 0, "tls", (_most("cpu", 0.5, "peer"),)),
    Goal("RETR one by one, messages/s", "full", 0, "none", (_least("msg_s", 1, "native"),)),
    Goal("RETR pipelined by the client, messages/s", "pipe", 100, "none",
         (_least("msg_s", 0.8, "pipefloor"),)),
    Goal("TOP n 0, a second", "top", 20, "none", (_least("cmd_s", 0.25, "floor"),)),
    Goal("poll, parked, seconds (p50)", "poll", 100, "none", (_most("p50", 0.15),)),
    Goal("poll, not parked, seconds (p50)", "poll", 100, "none", (_most("p50", 0.45),),
         "unparked"),
    Goal("poll, parked, sessions/s", "poll", 0, "tls", (_least("sessions_s", 1.2, "native"),)),
    Goal("list of 1,000, cold, seconds", "list1k-cold", 20, "none",
         (_most("t_total", 1.3, "floor"),)),
    Goal("list of 100,000, warm, seconds", "list100k-warm", 0, "none",
         (_most("t_total", 1, "floor"),), "unparked"),
    Goal("list of 100,000, warm, seconds", "list100k-warm", 100, "none",
         (_most("t_total", 1, "floor"),), "unparked"),
    Goal("the same, parked", "list100k-warm", 100, "none", (_most("t_total", 0.3),)),
    Goal("list of 100,000, cold, seconds", "list100k-cold", 0, "none",
         (_most("t_total", 2, "floor"),)),
    Goal("message of 300 MB, MB/s", "big300", 0, "none", (_least("mb_s", 0.5, "floor"),)),
    Goal("the same, seconds to the first octet", "big300", 0, "none", (_most("retr_ttfb", 0.005),)),
    Goal("the same, KiB resident at most", "big300", 0, "none", (_most("peak_kib", 16384),)),
    Goal("QUIT after DELE of 1,000, seconds", "dele", 100, "none",
         (_most("t_quit", 1.3, "floor", 0.1),)),
    Goal("idle session, KiB", "idle", 0, "tls", (_most("kib_per_session", 64),)),
)


def plot_plan():
    """What plot.py draws."""
    everybody = ["floor", "native", "peer", "popbridge"]
    bridges = ["floor", "peer", "popbridge"]
    growth = [(name, bridges) for name in ("grow10", "grow1k", "grow10k", "grow100k")]
    return [(0, "tls", [*growth, ("grow1m", ["floor", "popbridge"])]),
            *((rtt, "tls", [("reach", everybody)]) for rtt in (0, 5, 10, 20, 50, 100, 200))]


def plan():
    """[(rtt, tls, [(scenario, targets)])]: each scenario once, whoever asks for it."""
    needed = {}
    for goal in GOALS:
        scenarios = needed.setdefault((goal.rtt, goal.tls), {})
        scenarios.setdefault(goal.scenario, set()).update(goal.targets())
    return [(rtt, tls, [(name, sorted(names)) for name, names in scenarios.items()])
            for (rtt, tls), scenarios in needed.items()]


def _median(rows, target, column):
    values = [row[column] for row in rows
              if row["target"] == target and row["rep"] >= 0 and row.get(column) is not None]
    return statistics.median(values) if values else None


def judge(rows):
    """(title, value, limit, kept) of each limit; value None: not measured."""
    for goal in GOALS:
        here = [row for row in rows if not row.get("error") and
                (row["scenario"], row["rtt"], row["tls"]) == (goal.scenario, goal.rtt, goal.tls)]
        where = f"{goal.title}, RTT {goal.rtt} ms" + (", TLS" if goal.tls == "tls" else "")
        for limit in goal.limits:
            value = _median(here, goal.ours, limit.column)
            theirs = _median(here, limit.other, limit.column) if limit.other else 1
            if value is None or theirs is None:
                yield where, None, limit.text(), False
                continue
            bound = limit.factor * theirs + limit.more
            text = limit.text() + (f" = {bound:.3g}" if limit.other else "")
            yield where, value, text, value >= bound if limit.sense == ">=" else value <= bound

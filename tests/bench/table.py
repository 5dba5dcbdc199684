"""From results to tables: ratios between targets of the same run, promises kept or not."""

import statistics

# scenario's beginning: (what is compared, is more better?), and what is shown besides
_METRICS = (
    ("full", "msg_s", True, ("mb_s", "t_ready", "cpu", "up_cpu")),
    ("reach", "msg_s", True, ("mb_s", "cpu", "up_cpu")),
    ("grow", "t_total", False, ("more_kib", "cpu", "up_cpu")),
    ("pipe", "msg_s", True, ("mb_s", "t_ready", "cpu", "up_cpu")),
    ("serial", "msg_s", True, ("mb_s",)),
    ("poll", "sessions_s", True, ("p50", "p99", "errors", "cpu", "up_cpu")),
    ("list", "t_total", False, ("t_login", "t_uidl", "t_list", "cpu", "up_cpu")),
    ("index", "t_total", False, ("cpu_each", "up_cpu_each", "more_kib")),
    ("big", "mb_s", True, ("retr_ttfb", "peak_kib", "cpu", "up_cpu")),
    ("idle", "kib_per_session", False, ("empty_kib", "idle_kib", "errors", "processes")),
    ("dele", "t_total", False, ("t_cmds", "t_quit", "cpu", "up_cpu")),
    ("top", "cmd_s", True, ("t_total", "cpu", "up_cpu")),
)


def _number(value):
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _median(rows, column):
    values = [row[column] for row in rows if row.get(column) is not None]
    return statistics.median(values) if values else None


def _cell(rows, column):
    values = [row[column] for row in rows if row.get(column) is not None]
    if not values:
        return "-"
    text = _number(statistics.median(values))
    if min(values) != max(values):
        text += f" ({_number(min(values))}..{_number(max(values))})"
    return text


def _print(title, head, lines):
    print(f"\n### {title}\n")
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, ["-" * width for width in widths], *lines]:
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |")


def _groups(rows, *keys):
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _comparison(scenario, rows):
    _, metric, more_is_better, others = next(m for m in _METRICS if scenario.startswith(m[0]))
    lines = []
    for (rtt, tls), here in _groups(rows, "rtt", "tls").items():
        groups = _groups(here, "target")
        ours = _median(groups.get(("popbridge",), []), metric)
        for (target,), group in groups.items():
            good = [row for row in group if not row.get("error")]
            theirs = _median(good, metric)
            ratio = "-"
            if ours and theirs:
                ratio = _number(ours / theirs if more_is_better else theirs / ours)
            failed = len(group) - len(good)
            lines.append([str(rtt), tls, target + (f" ({failed} failed)" if failed else ""),
                          str(len(good)), _cell(good, metric), ratio,
                          *(_cell(good, column) for column in others)])
    _print(scenario, ["RTT ms", "TLS", "target", "n", metric, "popbridge is x times as good",
                      *others], lines)


def _same_bodies(rows):
    same = True
    hashed = [row for row in rows if row.get("sha256")]
    for (scenario, rtt, tls, _), here in _groups(hashed, "scenario", "rtt", "tls",
                                                 "messages").items():
        sums = _groups(here, "sha256")
        if len(sums) > 1:
            same = False
            print(f"\n{scenario}, {rtt} ms, {tls}: THE BODIES DIFFER between "
                  + " and ".join(sorted({row["target"] for g in sums.values() for row in g})))
    return same


def comparisons(rows):
    """False where two targets gave different bodies."""
    timed = [row for row in rows if row["rep"] >= 0]
    for (scenario,), here in _groups(timed, "scenario").items():
        _comparison(scenario, here)
    return _same_bodies(rows)


def _figures(rows):
    """(what, value, limit, kept) of each promise for which there are rows."""
    by = {key: [row for row in group if not row.get("error") and row["rep"] >= 0]
          for key, group in _groups(rows, "scenario", "target").items()}
    bridge, floor = by.get(("big300", "popbridge")), by.get(("big300", "floor"))
    if bridge and floor:
        ratio = _median(bridge, "mb_s") / _median(floor, "mb_s")
        yield ("300 MB message: throughput as a share of straight IMAP", ratio, ">= 0.5",
               ratio >= 0.5)
        peak = max(row["peak_kib"] for row in bridge) / 1024
        yield "300 MB message: highest resident size, MiB", peak, "< 16", peak < 16
    sleepers = by.get(("idle", "popbridge"))
    if sleepers:
        each = max(row["kib_per_session"] for row in sleepers)
        whole = sum(row["errors"] for row in sleepers) == 0
        yield (f"{sleepers[0]['sessions']:.0f} idle sessions: KiB resident each", each, "<= 80",
               whole and each <= 80)
    readers = by.get(("index100k", "popbridge"))
    if readers:
        more = max(row["more_kib"] for row in readers) / 1024
        yield "index of 100,000: more resident memory, MiB", more, "<= 4", more <= 4
        ratio = _median(readers, "cpu_each") / _median(readers, "up_cpu_each")
        yield ("index of 100,000: processor time as a share of the upstream's", ratio, "< 1",
               ratio < 1)


def promises(rows, more):
    """False where one is broken. more: rows of scale.py."""
    found = [*_figures(rows), *more]
    if found:
        _print("What popbridge promises", ["figure", "value", "limit", ""],
               [[what, _number(value), limit, ("kept" if limit else "") if kept else "BROKEN"]
                for what, value, limit, kept in found])
    return all(kept for *_, kept in found)


def goals(judged):
    """False where one is not held."""
    found = list(judged)
    _print("Figures to reach", ["figure", "value", "target", ""],
           [[what, "-" if value is None else _number(value), limit,
             "held" if kept else "NOT MEASURED" if value is None else "NOT HELD"]
            for what, value, limit, kept in found])
    return all(kept for *_, kept in found)

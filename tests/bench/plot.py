"""
From a results file of `run plot` to plots in SVG: how sign-in time and memory grow with the
mailbox, and throughput with the round trip time. usage: plot.py RESULTS.jsonl FOLDER
"""

import json
import statistics
import sys

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

# Fixed, so that a new plot of the same figures is the same file.
matplotlib.rcParams.update({"svg.hashsalt": "popbridge", "font.size": 9, "axes.grid": True,
                            "grid.color": "#dddddd", "axes.axisbelow": True})
STYLES = {  # target: (label, colour, line)
    "popbridge": ("popbridge", "#1f6feb", "o-"),
    "peer": ("Dovecot's POP3 over imapc", "#d1242f", "s-"),
    "native": ("Dovecot's own POP3, no bridge", "#8250df", "^--"),
    "floor": ("one IMAP FETCH", "#57606a", "x--"),
}
SIZES = {"grow10": 10, "grow1k": 1000, "grow10k": 10000, "grow100k": 100000, "grow1m": 1000000}


def read(name):
    with open(name, encoding="utf-8") as file:
        return [row for row in map(json.loads, file) if not row.get("error")]


def curves(rows, scenarios, where, column):
    """{target: [(x, median)]}; where: the row's column that gives x, or a dict by scenario."""
    found = {}
    for row in rows:
        if row.get("scenario") in scenarios and row.get(column) and row["rep"] >= 0:
            x = where[row["scenario"]] if isinstance(where, dict) else row[where]
            found.setdefault(row["target"], {}).setdefault(x, []).append(row[column])
    return {target: sorted((x, statistics.median(values)) for x, values in points.items())
            for target, points in found.items()}


def draw(axes, title, what, lines, scale=1.0):
    for target, (label, colour, style) in STYLES.items():
        if target in lines:
            axes.plot([x for x, _ in lines[target]], [y * scale for _, y in lines[target]], style,
                      color=colour, label=label, markersize=4, linewidth=1.5)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(what)


def growth(rows, out):
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    draw(time, "Sign-in, STAT, UIDL, LIST: seconds, nothing cached", "messages in the mailbox",
         curves(rows, SIZES, SIZES, "t_total"))
    draw(memory, "Memory for this session at the most, MiB", "messages in the mailbox",
         curves(rows, SIZES, SIZES, "more_kib"), 1 / 1024)
    for axes in (time, memory):
        axes.set_xscale("log")
        axes.set_yscale("log")
    time.legend()
    figure.savefig(out, metadata={"Date": None})


def throughput(rows, out):
    figure, axes = pyplot.subplots(figsize=(9, 3.4), layout="constrained")
    draw(axes, "RETR one after the other, TLS on both sides: messages a second",
         "round trip time to the IMAP server, ms", curves(rows, ("reach",), "rtt", "msg_s"))
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.legend()
    figure.savefig(out, metadata={"Date": None})


def main():
    rows = read(sys.argv[1])
    growth(rows, sys.argv[2] + "/growth.svg")
    throughput(rows, sys.argv[2] + "/throughput.svg")


if __name__ == "__main__":
    main()

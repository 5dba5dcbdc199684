"""
10,000 steps of random histories: arrivals, expunges, other UIDVALIDITYs, deletions by
POP3, connections cut in the middle of a list, workers, keepers and services killed and
started again; on five Dovecots that offer more and less. After each step the list must be
the one that IMAP itself gives.

    POPBRIDGE=build/release/popbridge /usr/bin/python3 -B tests/campaign/indexes.py [steps [seed]]

Exit code 0 where it always was.
"""

import collections
import contextlib
import io
import os
import random
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import dovecot as dovecot_module  # noqa: E402
import histories  # noqa: E402


class Run(threading.Thread):
    """One server's share of the steps."""

    def __init__(self, offers, steps, seed):
        super().__init__(daemon=True)
        self.offers, self.steps, self.seed = offers, steps, seed
        self.counts = collections.Counter()
        self.wrong = "did not end"

    def run(self):
        capability = histories.SERVERS[self.offers]
        options = {"capability": capability} if capability else {}
        try:
            with dovecot_module.Dovecot(**options) as dovecot, \
                    histories.Relay(dovecot) as relay, \
                    histories.History(dovecot, relay, "campaign",
                                      random.Random(self.seed)) as history:
                self.counts = history.counts
                history.run(self.steps)
            self.wrong = None
        except BaseException as wrong:  # pylint: disable=broad-except
            self.wrong = "".join(traceback.format_exception(wrong))


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**9)
    share = -(-steps // len(histories.SERVERS))
    runs = [Run(offers, share, seed + number)
            for number, offers in enumerate(histories.SERVERS)]
    since = time.monotonic()
    print(f"{share} steps on each of {len(runs)} servers, seed {seed}", flush=True)
    with contextlib.redirect_stdout(io.StringIO()):  # what the tools say
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    total = collections.Counter()
    for run in runs:
        total.update(run.counts)
        print(f"{run.offers:26} {run.counts['sign-ins']:6} sign-ins"
              f" {run.counts['sign-ins cut off']:5} cut off  "
              f"{'all true' if run.wrong is None else run.wrong}")
    done = sum(total[name] for name in histories.STEPS)
    print(f"{done} steps in {time.monotonic() - since:.0f} s: " +
          ", ".join(f"{total[name]} {name}" for name in histories.STEPS))
    return 0 if all(run.wrong is None for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())

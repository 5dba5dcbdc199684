"""
The kept index never shows: after any history a sign-in with it lists what one without it
does. On a real Dovecot, which is told what extensions to offer. The long run is
tests/campaign/indexes.py.
"""

import os
import random

import histories
import pytest

STEPS = int(os.environ.get("INDEX_STEPS", "60"))
SEED = int(os.environ.get("INDEX_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)


@pytest.mark.parametrize("offers", histories.SERVERS)
def test_after_random_histories_the_list_is_the_true_one(start_dovecot, user, offers):
    capability = histories.SERVERS[offers]
    dovecot = start_dovecot(**({"capability": capability} if capability else {}))
    print(f"INDEX_SEED={SEED}")
    with histories.Relay(dovecot) as relay, \
            histories.History(dovecot, relay, user, random.Random(SEED)) as history:
        history.run(STEPS)
        assert history.counts["sign-ins"] >= STEPS

"""
The kept index never shows: after any history a sign-in with it lists what one without it
does. On a real Dovecot, which is told what extensions to offer.

    POPBRIDGE=... INDEX_STEPS=10000 /usr/bin/python3 -m pytest tests/e2e/test_index.py -k histories

is the long run; `tests/run` takes the short one.
"""

import os
import random

import mails
import pytest

STEPS = int(os.environ.get("INDEX_STEPS", "60"))
SEED = int(os.environ.get("INDEX_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FULL = None  # Dovecot's own
PLAIN = "IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN ID"
BARE = "IMAP4rev1 AUTH=PLAIN"


def bridges(start_bridge, server):
    """With everything kept, with the index alone, and one that never knows anything."""
    def start(parking):
        return start_bridge({"workers": 1, "limits": {"parking": parking},
                             "routes": [{"match": "*", "server": server.url,
                                         "without-uidplus": "careful"}]})
    return start("5m"), start("off")


def view(client):
    return client.uidl(), client.list(), client.stat()


def fresh_view(dovecot, user):
    """As IMAP itself lists it: [(unique-id, octets)]."""
    with dovecot.imap(user) as imap:
        imap.select("INBOX", readonly=True)
        validity = int(imap.response("UIDVALIDITY")[1][0])
        answer = imap.uid("FETCH", "1:*", "(UID RFC822.SIZE)")[1]
    rows = []
    for line in answer:
        if line:
            words = line.decode().replace("(", " ").replace(")", " ").split()
            rows.append((int(words[words.index("UID") + 1]),
                         int(words[words.index("RFC822.SIZE") + 1])))
    return [(f"{uid:08x}{validity:08x}", octets) for uid, octets in sorted(rows)]


class History:
    """Random things happen to a mailbox, some of them while a session looks at it."""

    def __init__(self, dovecot, user, dice):
        self.dovecot, self.user, self.dice = dovecot, user, dice
        self.said = []

    def step(self):
        name = self.dice.choices(["nothing", "arrive", "expunge", "renumber", "empty",
                                  "delete_by_pop3", "flag"], [4, 8, 5, 1, 1, 4, 1])[0]
        self.said.append(name)
        getattr(self, name)()

    def nothing(self):
        pass

    def arrive(self):
        count = self.dice.randrange(1, 5)
        self.dovecot.deliver(self.user, [
            mails.of_size(self.dice.randrange(100, 3000)) for _ in range(count)])

    def expunge(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            some = self.dice.sample(uids, self.dice.randrange(1, len(uids) // 2 + 2))
            self.dovecot.expunge(self.user, some)

    def renumber(self):
        self.dovecot.change_uidvalidity(self.user)

    def empty(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            self.dovecot.expunge(self.user, uids)

    def flag(self):
        uids = self.dovecot.uids(self.user)
        if uids:
            self.dovecot.set_flags(self.user, [self.dice.choice(uids)], r"\Seen")

    def delete_by_pop3(self):
        """By the bridges themselves, which then know without asking what is gone."""
        self.pending = True

    pending = False


def delete_some(history, client):
    count = client.stat()[0]
    for msgno in history.dice.sample(range(1, count + 1), min(count, 2)):
        client.ok(f"DELE {msgno}")


@pytest.mark.parametrize("capability", [FULL, PLAIN, BARE], ids=["full", "plain", "bare"])
def test_after_random_histories_the_list_is_the_true_one(
        start_dovecot, start_bridge, user, capability):
    dovecot = start_dovecot(**({"capability": capability} if capability else {}))
    dice = random.Random(SEED)
    print(f"INDEX_SEED={SEED}")
    history = History(dovecot, user, dice)
    kept = bridges(start_bridge, dovecot)
    for number in range(STEPS):
        history.step()
        for bridge in kept:
            with bridge.signed_in(user) as client:
                uidl, sizes, stat = view(client)
                truth = fresh_view(dovecot, user)
                assert [(uidl[n], sizes[n]) for n in sorted(uidl)] == truth, \
                    (number, history.said[-10:])
                assert stat == (len(truth), sum(octets for _, octets in truth))
                if history.pending:
                    delete_some(history, client)
                    history.pending = False
                if dice.random() < 0.2:
                    history.arrive()  # while it is open: not in this view, in the next
                client.ok("QUIT")

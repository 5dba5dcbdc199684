"""
Mail, the same octets every time: mailgen.py KIND FOLDER makes a Maildir there.

Kinds: u10k u100k ubig usmall uidle udel.
"""
import math
import os
import random
import sys

WORDS = ("account address answer balance before bridge budget carrier change "
         "client closing column copied create delivery detail device during "
         "engine evening figure folder harbour invoice journey kernel ledger "
         "letter market memory message minute number office offer packet "
         "parcel period person picture please project quarter question reason "
         "report review ribbon sample season server signal socket station "
         "street summer surface system ticket travel update vendor version "
         "weather window winter yellow").split()


def pool(rng, size):
    """A block of text lines, a few of which start with a dot."""
    out, n = [], 0
    while n < size:
        k = rng.randrange(100)
        if k < 60:      # base64-looking line, as in attachments
            line = "".join(rng.choices(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                k=76))
        elif k < 96:
            line = " ".join(rng.choices(WORDS, k=rng.randrange(3, 11)))
        elif k < 98:
            line = ""
        else:
            line = "." * rng.randrange(1, 4) + rng.choice(WORDS)
        out.append(line)
        n += len(line) + 1
    return ("\n".join(out) + "\n").encode()


def header(rng, i, kind):
    name = rng.choice(WORDS)
    rec = "".join(
        "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\n"
        "\tby store%d.example.org with ESMTPS id %08x%08x\n"
        "\tfor <%s@example.org>; Tue, 03 Mar 2026 %02d:%02d:%02d +0000\n"
        % (a, a, a + 1, a, rng.getrandbits(32), rng.getrandbits(32), kind,
           i // 3600 % 24, i // 60 % 60, i % 60) for a in range(3))
    return (rec +
            "From: %s <%s%d@example.net>\n"
            "To: <%s@example.org>\n"
            "Subject: %s (%d)\n"
            "Date: Tue, 03 Mar 2026 %02d:%02d:%02d +0000\n"
            "Message-ID: <%s.%d.%08x@example.net>\n"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            "\n"
            % (name.title(), name, i, kind, " ".join(rng.choices(WORDS, k=4)),
               i, i // 3600 % 24, i // 60 % 60, i % 60, kind, i,
               rng.getrandbits(32))).encode()


def sizes(kind, rng):
    if kind == "u10k":          # log-normal: median 8 KB, mean 30 KB
        sigma = math.sqrt(2 * math.log(30 / 8))
        for _ in range(10000):
            yield int(min(12e6, max(900, rng.lognormvariate(math.log(8192), sigma))))
    elif kind == "u100k":
        for _ in range(100000):
            yield rng.randrange(900, 1150)
    elif kind == "ubig":
        for mb in (50, 100, 300):
            yield mb * 1000000
    elif kind == "usmall":
        for _ in range(10):
            yield rng.randrange(1500, 9000)
    elif kind == "uidle":
        for _ in range(100):
            yield rng.randrange(1500, 5000)
    elif kind == "udel":
        for _ in range(1000):
            yield rng.randrange(1500, 5000)
    else:
        raise SystemExit("unknown kind " + kind)


def main():
    kind, root = sys.argv[1:3]
    rng = random.Random("bench-" + kind)
    block = pool(random.Random("pool"), 1 << 20)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, sub), exist_ok=True)
    total = 0
    for i, size in enumerate(sizes(kind, rng), 1):
        head = header(rng, i, kind)
        want = max(0, size - len(head))
        path = os.path.join(root, "cur", "%d.M%dP1.bench:2," % (1700000000 + i, i))
        with open(path, "wb") as f:
            f.write(head)
            piece = head
            start = rng.randrange(len(block))
            start = block.find(b"\n", start) + 1 or 0
            while want > 0:
                piece = block[start:start + want]
                f.write(piece)
                want -= len(piece)
                start = 0
            if not piece.endswith(b"\n"):
                f.write(b"\n")
            total += f.tell()
        os.utime(path, (1700000000 + i, 1700000000 + i))
    print("%s: %d messages, %.1f MB" % (kind, i, total / 1e6))


if __name__ == "__main__":
    main()

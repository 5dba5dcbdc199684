"""Messages to deliver: the odd ones by name, and any number of ordinary mixed ones."""

import base64
import random


def simple(subject="hello", body=b"Hello.\r\n"):
    return (f"From: Alice <alice@example.com>\r\nTo: bob@example.com\r\n"
            f"Subject: {subject}\r\nDate: Mon, 01 Jan 2024 12:00:00 +0000\r\n"
            f"Message-ID: <{subject.replace(' ', '.')}@example.com>\r\n\r\n").encode() + body


def of_size(octets, subject="large", seed=1):
    """Exactly so many octets, lines of 76 with a CRLF, no two alike."""
    head = simple(subject, b"")
    rng = random.Random(seed)
    block = base64.b64encode(rng.randbytes(57 * 400)).decode()
    lines = "".join(block[i:i + 68] + "%08d\r\n" for i in range(0, len(block), 68))
    parts, size, number = [head], len(head), 0
    while size < octets:
        count = lines.count("%08d")
        piece = (lines % tuple(range(number, number + count))).encode()
        parts.append(piece)
        size += len(piece)
        number += count
    whole = b"".join(parts)[:octets - 2]
    return whole + b"\r\n"


# Names say what is odd. All of them must come out of RETR as pop3.as_pop3() says. A real
# server changes some of them when it stores them; the fake one sends them as they are.
ODD = {
    "bare LF": b"Subject: x\n\none\ntwo\n",
    "bare CR": b"Subject: x\r\n\r\none\rtwo\r\n",
    "CR CR LF": b"Subject: x\r\n\r\none\r\r\ntwo\r\n",
    "mixed line ends": b"Subject: x\r\n\n\r\rone\n\rtwo\r\n\n",
    "NUL": b"Subject: x\r\n\r\none\0two\0\r\n\0\r\n",
    "8 bit": b"Subject: gr\xfc\xdfe\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    "all octets": b"Subject: x\r\n\r\n" + bytes(range(256)) * 4 + b"\r\n",
    "long line": b"Subject: x\r\n\r\n" + b"a" * 100_000 + b"\r\nend\r\n",
    "no final line end": b"Subject: x\r\n\r\nno end",
    "final CR only": b"Subject: x\r\n\r\nend\r",
    "final dot without line end": b"Subject: x\r\n\r\n.",
    "empty body": b"Subject: x\r\n\r\n",
    "no blank line": b"Subject: x\r\nFrom: a@example.com\r\n",
    "header without line end": b"Subject: x",
    "blank line first": b"\r\nSubject: this is the body\r\n",
    "only a line end": b"\r\n",
    "only a dot": b".\r\n",
    "zero octets": b"",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n...\r\n.a\r\na.\r\n.\r\n",
    "dot in the header": b".Subject: x\r\n.From: a\r\n\r\nbody\r\n",
    "looks like the end": b"Subject: x\r\n\r\n\r\n.\r\n+OK\r\n.\r\nQUIT\r\n",
    "looks like IMAP": b"Subject: x\r\n\r\n)\r\nA1 OK done\r\n* 1 FETCH (UID 9)\r\n{5}\r\n",
    "many short lines": b"Subject: x\r\n\r\n" + b".\r\n" * 5000,
    "trailing blank lines": b"Subject: x\r\n\r\nend\r\n\r\n\r\n\r\n",
}


def mixed(count, seed=7):
    """
    count messages as they come in life, from 100 octets to some 100 kB, some of the odd
    ones that Dovecot stores faithfully among them. The same for the same seed.
    """
    rng = random.Random(seed)
    makers = [_plain, _utf8, _attachment, _dotted, _long_lines, _flowed]
    return [makers[number % len(makers)](rng, number) for number in range(count)]


def _plain(rng, number):
    text = "".join(f"line {i} of message {number}\r\n" for i in range(rng.randrange(60)))
    return simple(f"plain {number}", text.encode())


def _utf8(rng, number):
    words = ["Grüße", "日本語", "žluťoučký", "🙂", "naïve"]
    text = " ".join(rng.choices(words, k=rng.randrange(1, 200)))
    head = f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" \
           f"Content-Transfer-Encoding: 8bit\r\nSubject: =?utf-8?B?" \
           f"{base64.b64encode('Grüße'.encode()).decode()}?= {number}\r\n"
    return f"{head}From: ä@example.com\r\n\r\n{text}\r\n".encode()


def _attachment(rng, number):
    content = base64.encodebytes(rng.randbytes(rng.randrange(100, 80_000)))
    content = content.replace(b"\n", b"\r\n")
    return simple(f"attachment {number}", b"").removesuffix(b"\r\n") + (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n"
        b"--edge\r\nContent-Type: text/plain\r\n\r\nSee the attachment.\r\n"
        b"--edge\r\nContent-Type: application/octet-stream; name=data.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=data.bin\r\n\r\n"
        + content + b"--edge--\r\n")


def _dotted(rng, number):
    lines = [b"." * rng.randrange(0, 5) + b"text" * rng.randrange(0, 2) for _ in range(80)]
    return simple(f"dots {number}", b"\r\n".join(lines) + b"\r\n.\r\n")


def _long_lines(rng, number):
    lines = [b"x" * rng.randrange(500, 9000) for _ in range(rng.randrange(1, 6))]
    return simple(f"long lines {number}", b"\r\n".join(lines) + b"\r\n")


def _flowed(rng, number):
    text = b"\r\n".join(b"> " * rng.randrange(4) + b"quoted text " for _ in range(40))
    return simple(f"flowed {number}", text)  # no line end at the end


def sample():
    """The dozen that `sh proxy/demo` shows."""
    rng = random.Random(12)
    welcome = (b"This message came over IMAP and you are reading it over POP3.\r\n\r\n"
               b"Lines that begin with a dot arrive as they are:\r\n.\r\n..two\r\n.end\r\n")
    makers = [_utf8, _attachment, _dotted, _long_lines, _flowed, _plain, _utf8,
              _attachment, _plain, _flowed]
    odd = simple("no line end at the end of this one", b"the end")
    return [simple("Welcome to popbridge", welcome), odd,
            *(maker(rng, number) for number, maker in enumerate(makers, 3))]

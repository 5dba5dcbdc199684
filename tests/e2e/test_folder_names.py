"""Folders whose names are not plain ASCII, or have an "&", over a real IMAP server."""

import pytest

# As people write it, and as IMAP4rev1 does (RFC 3501 5.1.3).
NAMES = [
    ("Éléments supprimés", "&AMk-l&AOk-ments supprim&AOk-s"),
    ("日本語", "&ZeVnLIqe-"),
    ("R&D \"2024\"", "R&-D \"2024\""),
]
HELLO = b"Subject: x\r\n\r\nhello\r\n"


def check_opens(bridge, user):
    with bridge.signed_in(user) as client:
        assert client.retr(1) == HELLO
        assert client.stat() == (1, len(HELLO))
        client.quit()


@pytest.mark.parametrize("written, encoded", NAMES)
def test_a_folder_opens_by_either_spelling(dovecot, bridge_to, user, written, encoded):
    dovecot.deliver(user, HELLO, folder=encoded)
    check_opens(bridge_to(dovecot.url, folder=written), user)
    check_opens(bridge_to(dovecot.url, folder=encoded), user)


def test_a_client_names_the_folder_in_utf_8(dovecot, bridge_to, user):
    written, encoded = NAMES[0]
    dovecot.deliver(user, HELLO, folder=encoded)
    bridge = bridge_to(dovecot.url, folder_separator="+")
    check_opens(bridge, f"{user}+{written}")
    with bridge.client() as client:
        answer = client.try_sign_in(f"{user}+".encode() + written.encode("latin-1"))
        assert answer.startswith(b"-ERR [SYS/PERM] "), answer
    assert "the folder name is not UTF-8" in bridge.stderr

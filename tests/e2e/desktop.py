"""
Thunderbird as people use it: everything is downloaded and left there, nothing is downloaded
twice, what is deleted is deleted on the server. Run by `sh tests/desktop`.
"""

import mails
import pop3
import pytest
from thunderbird import Thunderbird

COUNT = 100
MODES = ["none", "starttls", "implicit"]


@pytest.fixture(scope="module")
def thunderbird(pki):
    with Thunderbird(pki.ca) as running:
        yield running


@pytest.fixture
def crowd(dovecot, user):
    """The user with mail, and the messages as Thunderbird stores them: with bare LF."""
    dovecot.deliver(user, mails.mixed(COUNT))
    return [stored(body) for body in dovecot.bodies(user).values()]


def stored(body):
    return pop3.as_pop3(body).replace(b"\r\n", b"\n")


@pytest.mark.parametrize("tls", MODES)
def test_thunderbird_downloads_everything_once(thunderbird, dovecot, bridge_to, user, crowd,
                                               pki, tls):
    bridge = bridge_to(dovecot.url, tls=pki)
    account = thunderbird.add_account(user, bridge.port(tls), tls, keep=True)
    count, inbox = thunderbird.get_mail(account)
    inbox = inbox.replace(b"\r\n", b"\n")
    assert count == COUNT
    assert [at for at, message in enumerate(crowd) if message not in inbox] == []
    assert thunderbird.get_mail(account)[0] == COUNT
    assert len(dovecot.uids(user)) == COUNT


@pytest.mark.parametrize("tls", MODES)
def test_thunderbird_keeps_nothing_on_the_server(thunderbird, dovecot, bridge_to, user,
                                                 crowd, pki, tls):
    bridge = bridge_to(dovecot.url, tls=pki)
    account = thunderbird.add_account(user, bridge.port(tls), tls, keep=False)
    count, inbox = thunderbird.get_mail(account)
    assert count == COUNT
    inbox = inbox.replace(b"\r\n", b"\n")
    assert [at for at, message in enumerate(crowd) if message not in inbox] == []
    assert dovecot.uids(user) == []


def test_what_is_deleted_in_thunderbird_is_deleted_on_the_server(thunderbird, dovecot,
                                                                 bridge_to, user, crowd):
    bridge = bridge_to(dovecot.url)
    account = thunderbird.add_account(user, bridge.port(), "none", keep=True)
    thunderbird.get_mail(account)
    thunderbird.delete(account, 3)
    assert thunderbird.get_mail(account)[0] == COUNT - 3
    assert len(dovecot.uids(user)) == COUNT - 3

"""
Accounts that sign in upstream with OAuth2: consent by the device flow at a real provider, a
device password for the client, a Dovecot that asks the provider about each token. Tokens
live for 2 s.
"""

import base64
import concurrent.futures
import contextlib
import json
import os
import poplib
import signal
import sqlite3
import subprocess
import threading

import bridge
import net
import oauth
import pytest

MAIL = b"Subject: x\r\n\r\nhello from the mailbox\r\n"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Service:
    """popbridge with the provider and a route to the Dovecot, started."""

    def __init__(self, provider, server, **more):
        self.provider = provider
        self.folder = net.short_folder("oa")
        self.config = {"workers": 2, "state": f"{self.folder}/state",
                       "master-key": self.file("master.key", KEY),
                       "providers": [provider.config],
                       "routes": [{"match": "*", "server": server}], **more}
        self.running = bridge.Bridge(self.config)

    def close(self):
        self.running.close()
        net.remove_folder(self.folder)

    def file(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text + "\n")
        return path

    def account(self, *words, code=0):
        done = bridge.run("account", *words, "-c", self.running.config_path)
        out, complaint = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"{words}: {done.returncode}: {out}{complaint}"
        return complaint if code else out

    def shown(self, name):
        return json.loads(self.account("show", name, "--json"))

    def add(self, name, *words):
        """Adds an account and gives a device password of it."""
        self.account("add", name, "--provider", self.provider.config["name"], *words)
        return json.loads(self.account("password", name, "--json"))["password"]

    def consent(self, name, login=None, code=0, refuse=False, meanwhile=None):
        """The device flow, with the person who signs in as login."""
        command = [bridge.binary(), "account", "consent", name, "--json", "-c",
                   self.running.config_path]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              env=bridge.without_ours()) as asking:
            row = json.loads(asking.stdout.readline())
            if meanwhile:
                meanwhile()
            oauth.person(row["url"], row["user_code"], login or name, refuse)
            out, complaint = asking.communicate(timeout=30 * net.slow_factor())
        assert asking.returncode == code, out + complaint
        return complaint if code else out

    def consented(self, name, *words):
        password = self.add(name, *words)
        self.consent(name)
        return password

    def client(self, name, password):
        client = poplib.POP3(*self.running.addresses()[0], timeout=30 * net.slow_factor())
        client.user(name)
        client.pass_(password)
        return client

    def messages(self, name, password):
        client = self.client(name, password)
        count = client.stat()[0]
        client.quit()
        return count

    def refusal(self, name, password):
        with pytest.raises(poplib.error_proto) as caught:
            self.messages(name, password)
        return caught.value.args[0].decode()


@pytest.fixture(scope="module")
def provider():
    with oauth.Provider(access_s=2) as started:
        yield started


@pytest.fixture(scope="module")
def server(provider):
    with oauth.dovecot_for(provider) as started:
        yield started


@pytest.fixture(scope="module")
def one_service(provider, server):
    started = Service(provider, server.url)
    yield started
    started.close()


@pytest.fixture
def service(one_service):
    """For all tests that leave it as it was; each has an account of its own."""
    one_service.provider.clear()
    return one_service


@pytest.fixture
def own_service(provider, server):
    provider.clear()
    started = Service(provider, server.url)
    yield started
    started.close()


def last_token(provider, grant="refresh_token", what="access_token"):
    return provider.granted(grant)[-1].json[what]


# Reading mail ---------------------------------------------------------------------

@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_curl_and_fetchmail_read_mail_with_a_device_password(provider, user, mechanism):
    provider.clear()
    with oauth.dovecot_for(provider, mechanism) as dovecot:
        service = Service(provider, dovecot.url)
        try:
            dovecot.write_maildir(user, MAIL)
            password = service.consented(user)
            host, port = service.running.addresses()[0]
            got = subprocess.run(["curl", "-s", "-u", f"{user}:{password}",
                                  f"pop3://{host}:{port}/1"], capture_output=True,
                                 timeout=30 * net.slow_factor(), check=True)
            assert got.stdout == MAIL
            home = f"{service.folder}/home"
            os.mkdir(home, 0o700)
            rc = f"{home}/rc"
            with open(rc, "w", opener=lambda path, flags: os.open(path, flags, 0o600),
                      encoding="ascii") as out:
                out.write(f'poll {host} port {port} protocol POP3 user "{user}" password '
                          f'"{password}" sslproto "" keep mda "cat >{home}/mail"\n')
            subprocess.run(["fetchmail", "-f", rc, "--nodetach", "--nosyslog"], check=True,
                           env={**os.environ, "FETCHMAILHOME": home, "HOME": home},
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=30 * net.slow_factor())
            with open(f"{home}/mail", "rb") as mail:
                assert b"hello from the mailbox" in mail.read()
        finally:
            service.close()


def test_a_wrong_device_password_touches_neither_provider_nor_token(
        service, provider, server, user):
    service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    asked = len(provider.answers)
    before = server.log.count(user)
    assert "[AUTH]" in service.refusal(user, "WRONG-WRONG-WRONG")
    assert len(provider.answers) == asked
    assert server.log.count(user) == before


# Consent --------------------------------------------------------------------------

def test_the_wrong_persons_consent_is_revoked_and_not_stored(service, provider, user):
    password = service.add(user)
    complaint = service.consent(user, login="mallory@example.test", code=1)
    assert "mallory@example.test consented" in complaint
    assert not provider.is_active(last_token(provider, "device_code"))
    assert service.shown(user)["consent"] == "nobody has consented yet"
    assert "[SYS/PERM]" in service.refusal(user, password)


def test_a_consent_for_an_account_that_was_changed_meanwhile_is_not_stored(
        service, provider, user):
    service.add(user)
    complaint = service.consent(
        user, code=1, meanwhile=lambda: service.account("change", user, "--mailbox", "other"))
    assert "was changed meanwhile: nothing was stored" in complaint
    assert service.shown(user)["consent"] == "nobody has consented yet"
    token = provider.granted("device_code")[-1].json["refresh_token"]
    assert not provider.is_active(token)


def test_another_person_who_is_named_may_consent_for_a_mailbox(service, provider, user):
    password = service.add(user, "--signs-in-as", "boss@example.test")
    service.consent(user, login="Boss@Example.Test".lower())
    assert service.shown(user)["consent"] == "given"
    # The Dovecot here takes a token for its own person's mailbox only: that is no
    # client's mistake.
    assert "[SYS/PERM]" in service.refusal(user, password)


def test_a_person_who_refuses_is_told_of(service, user):
    service.add(user)
    assert "denied" in service.consent(user, code=1, refuse=True)
    assert service.shown(user)["consent"] == "nobody has consented yet"


# Fresh tokens ---------------------------------------------------------------------

def test_an_expired_token_is_renewed_and_the_refresh_token_rotates(
        service, provider, server, user):
    server.write_maildir(user, MAIL)
    password = service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    used = []
    for _ in range(3):
        assert service.messages(user, password) == 1
        provider.wait_expired(last_token(provider))
    for one in provider.granted("refresh_token"):
        assert one.status == 200
        used.append(one.asked.form["refresh_token"])
    assert len(used) >= 3 and len(set(used)) == len(used)


def test_a_token_that_expires_in_mid_session_costs_the_client_nothing(
        service, provider, server, user):
    server.write_maildir(user, MAIL)
    password = service.consented(user)
    client = service.client(user, password)
    provider.wait_expired((provider.granted("refresh_token") or
                           provider.granted("device_code"))[-1].json["access_token"])
    asked = provider.count("refresh_token")
    server.drop_connections(user)
    assert b"hello from the mailbox" in client.retr(1)[1]
    assert provider.count("refresh_token") > asked
    client.quit()


def test_tokens_that_expire_again_and_again_cost_a_long_download_nothing(
        provider, server, user):
    provider.clear()
    own = Service(provider, server.url, routes=[
        {"match": "*", "server": server.url, "read-ahead": False}])
    try:
        for number in range(5):
            server.write_maildir(user, MAIL.replace(b"mailbox", b"mailbox %d" % number))
        _download_slowly(own, server, user, own.consented(user))
    finally:
        own.close()


def _download_slowly(service, server, user, password):
    """At each message the token has ended, and the server has hung up."""
    provider = service.provider
    client = service.client(user, password)
    renewed = provider.count("refresh_token")
    for number in range(1, 6):
        provider.wait_expired((provider.granted("refresh_token") or
                               provider.granted("device_code"))[-1].json["access_token"])
        server.drop_connections(user)
        assert b"hello from the mailbox %d" % (number - 1) in client.retr(number)[1]
    assert provider.count("refresh_token") >= renewed + 4
    client.quit()


def test_a_token_that_ends_before_its_time_is_renewed(service, provider, user):
    """As after our clock went back: we think it is good, and it is not."""
    provider.rewrite = _live_longer
    password = service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    assert service.messages(user, password) == 0
    assert provider.count("refresh_token") == 1


def test_a_token_from_the_future_is_not_trusted(own_service, provider, user):
    """It was got while our clock was far ahead: nobody knows when it ends."""
    provider.rewrite = _live_longer
    password = own_service.consented(user)
    own_service.running.stop()
    with contextlib.closing(sqlite3.connect(f"{own_service.folder}/state/popbridge.db")) as db:
        db.execute("UPDATE registered SET access_from_s = access_from_s + 86400, "
                   "access_until_s = access_until_s + 86400")
        db.commit()
    own_service.running = bridge.Bridge(own_service.config)
    assert own_service.messages(user, password) == 0
    assert provider.count("refresh_token") == 1


def test_fifty_sign_ins_with_an_expired_token_cost_one_refresh(provider, server, user):
    provider.clear()
    own = Service(provider, server.url, limits={"sessions-per-account": 100},
                  routes=[{"match": "*", "server": server.url, "when-locked": "share"}])
    try:
        password = own.consented(user)
        provider.wait_expired(last_token(provider, "device_code"))
        provider.rewrite = _live_longer
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            counts = list(pool.map(lambda _: own.messages(user, password), range(50)))
        assert counts == [0] * 50
        assert provider.count("refresh_token") == 1
    finally:
        own.close()


def _live_longer(answered):
    if answered.asked.path != "/token" or answered.status != 200:
        return None
    said = {**answered.json, "expires_in": 300}
    return answered._replace(body=json.dumps(said).encode())


# When it goes wrong ---------------------------------------------------------------

def test_a_revoked_consent_is_said_and_mended_by_a_new_one(service, provider, user):
    password = service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    provider.revoke(last_token(provider, "device_code", "refresh_token"))
    assert "[SYS/PERM]" in service.refusal(user, password)
    asked = provider.count("refresh_token")
    assert "[SYS/PERM]" in service.refusal(user, password)
    assert provider.count("refresh_token") == asked, "nobody asks in vain"
    assert "needed" in service.shown(user)["consent"]
    service.running.wait_log("consent needed", user=user)
    service.consent(user)
    assert service.messages(user, password) == 0


def test_a_consent_taken_back_right_after_it_was_given_is_needed_at_once(
        service, provider, user):
    """Its token is new, and refused: that is asked about, too."""
    provider.rewrite = _live_longer
    password = service.consented(user)
    provider.revoke(last_token(provider, "device_code", "refresh_token"))
    assert "[SYS/PERM]" in service.refusal(user, password)
    service.running.wait_log("consent needed", user=user)
    assert "needed" in service.shown(user)["consent"]


@pytest.mark.parametrize("trouble", ["down", "503", "page", "slow"])
def test_a_provider_in_trouble_is_temporary_and_no_token_is_lost(
        own_service, provider, user, trouble):
    password = own_service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    freed = threading.Event()
    if trouble == "down":
        provider.go_down()
    elif trouble == "slow":
        provider.on("/token", lambda asked: freed.wait(60) and (503, {}), times=1)
    else:
        provider.on("/token", lambda asked: (503, {"error": "server_error"})
                    if trouble == "503" else (200, b"<html>log in to the hotel</html>"))
    try:
        if trouble == "slow":
            client = threading.Thread(target=own_service.refusal, args=(user, password))
            client.start()
            net.wait_until(lambda: not client.is_alive() or freed.set() or True, 1, "")
            client.join(30 * net.slow_factor())
            assert not client.is_alive()
        else:
            assert "[SYS/TEMP]" in own_service.refusal(user, password)
        assert own_service.shown(user)["consent"] == "given"
    finally:
        if trouble == "down":
            provider.come_up()
        provider.clear()
    own_service.running.close()
    own_service.running = bridge.Bridge(own_service.config)
    assert own_service.messages(user, password) == 0


def _role(running, name):
    for pid in running.pids()[1:]:
        with open(f"/proc/{pid}/cmdline", "rb") as line, \
                open(f"/proc/{pid}/comm", "rb") as comm:
            if name in line.read() + comm.read():
                return pid
    raise AssertionError(f"no role {name}")


def test_a_token_is_recovered_when_the_keeper_dies_before_it_stored_it(
        own_service, provider, user):
    password = own_service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    killed = []

    def kill_keeper(answered):
        if answered.asked.form.get("grant_type") == "refresh_token" and not killed:
            killed.append(_role(own_service.running, b"keeper"))
            os.kill(killed[0], signal.SIGKILL)
        return None

    provider.rewrite = kill_keeper
    own_service.running._forgiven = True
    try:
        own_service.messages(user, password)
    except (poplib.error_proto, OSError):
        pass  # its keeper died
    assert killed
    assert own_service.messages(user, password) == 0
    assert own_service.shown(user)["consent"] == "given"


# Secrets --------------------------------------------------------------------------

def _forms(secret):
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for skip in range(3):  # wherever in a larger text it stands
        found.add(base64.b64encode(raw[skip:][:len(raw[skip:]) // 3 * 3]))
    return found


def test_secrets_are_in_no_output_log_store_or_proc_file(own_service, provider, user):
    password = own_service.consented(user)
    provider.wait_expired(last_token(provider, "device_code"))
    assert own_service.messages(user, password) == 0
    own_service.refusal(user, "CANARY-wrong-password-7f3a")
    secrets = {password, password.replace("-", ""), KEY, "CANARY-wrong-password-7f3a"}
    for one in provider.answers:
        if one.asked.path == "/token" and one.status == 200:
            secrets |= {one.json["access_token"], one.json["refresh_token"]}
    found = own_service.account("list", "--json").encode()
    found += own_service.account("show", user).encode()
    for pid in own_service.running.pids():
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as text:
                found += text.read()
    found += own_service.running.stderr.encode()
    own_service.running.stop()
    os.unlink(f"{own_service.folder}/master.key")
    for folder, _, names in os.walk(own_service.folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as stored:
                    found += stored.read()
    assert user.encode() in found and len(secrets) >= 8
    for secret in secrets:
        for form in _forms(secret):
            assert form not in found, "a secret was written down"

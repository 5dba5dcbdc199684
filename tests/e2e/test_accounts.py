"""
Registered accounts: device passwords here, a stored password there, through the control
socket of a service with two workers.
"""

import json
import os
import poplib
import sqlite3

import bridge
import net
import pop3
import pytest

MAIL = b"Subject: x\r\n\r\nhello\r\n"
UPSTREAM = "secret"  # of every user of the Dovecot
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Service:
    """popbridge with a state directory and a master key; `start` again after `stop`."""

    def __init__(self, server, **more):
        self.folder = net.short_folder("ac")
        self.key = f"{self.folder}/master.key"
        self.write_key(KEY)
        self.config = {"workers": 2, "state": f"{self.folder}/state", "master-key": self.key,
                       "routes": [{"match": "*", "server": server}], **more}
        self.running = bridge.Bridge(self.config)

    def write_key(self, text):
        with open(self.key, "w", encoding="ascii") as out:
            out.write(text + "\n")

    def restart(self):
        self.running.close()
        self.running = bridge.Bridge(self.config)

    def close(self):
        self.running.close()
        net.remove_folder(self.folder)

    def file(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def ask(self, *words):
        done = bridge.run("account", *words, "-c", self.running.config_path)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def account(self, *words, code=0):
        found, out, complaint = self.ask(*words)
        assert found == code, f"{words}: {found}: {out}{complaint}"
        return complaint if code else out

    def explain(self, name):
        done = bridge.run("explain", name, "-c", self.running.config_path)
        return " ".join(done.stdout.decode().split())

    def add(self, name, mailbox, password, *words):
        self.account("add", name, "--mailbox", mailbox, "--password-file",
                     self.file("upstream", password), *words)

    def device(self, name, *words):
        return json.loads(self.account("password", name, "--json", *words))["password"]


@pytest.fixture
def service(dovecot):
    started = Service(dovecot.url)
    yield started
    started.close()


def messages(service, name, password):
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    client.user(name)
    client.pass_(password)
    count = client.stat()[0]
    client.quit()
    return count


def refusal(service, name, password):
    with pytest.raises(poplib.error_proto) as caught:
        messages(service, name, password)
    return caught.value.args[0].decode()


def test_a_device_password_opens_the_mailbox_and_the_upstream_one_does_not(
        service, dovecot, user):
    dovecot.deliver(user, MAIL)
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner", "--label", "copier")
    assert messages(service, "scanner", password) == 1
    assert messages(service, "SCANNER", password.replace("-", "").upper()) == 1
    assert "[AUTH]" in refusal(service, "scanner", UPSTREAM)
    assert "[AUTH]" in refusal(service, "scanner", password[:-1])
    shown = json.loads(service.account("show", "scanner", "--json"))
    assert shown["mailbox"] == user
    assert shown["passwords"][0]["label"] == "copier"
    assert shown["passwords"][0]["last_address"] == "127.0.0.1"


def test_a_user_who_is_not_registered_signs_in_as_ever(service, dovecot, user):
    dovecot.deliver(user, MAIL)
    service.add("scanner", user, UPSTREAM)
    assert messages(service, user, UPSTREAM) == 1


def test_a_chosen_password_works_and_survives_a_restart(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    service.account("password", "scanner", "--password-file",
                    service.file("chosen", "correct horse battery"))
    assert messages(service, "scanner", "correct horse battery") == 0
    service.restart()
    assert messages(service, "scanner", "correct horse battery") == 0
    complaint = service.account("password", "scanner", "--password-file",
                                service.file("short", "short"), code=1)
    assert "8 characters" in complaint


def greeting(service):
    with pop3.Client(service.running.addresses()[0][1]) as client:
        return client.greeting.decode()


def test_apop_is_offered_only_where_there_is_a_password_for_it(service, dovecot, user):
    dovecot.deliver(user, MAIL)
    assert "<" not in greeting(service)
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner", "--apop")
    net.wait_until(lambda: "<" in greeting(service), 10, "APOP is offered")
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    assert client.apop("scanner", password).startswith(b"+OK")
    assert client.stat()[0] == 1
    client.quit()
    assert messages(service, "scanner", password) == 1
    wrong = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    with pytest.raises(poplib.error_proto, match="AUTH"):
        wrong.apop("scanner", "another password")
    stamps = {greeting(service) for _ in range(5)}
    assert len(stamps) == 5
    service.account("password", "scanner", "--remove", "1")
    net.wait_until(lambda: "<" not in greeting(service), 10, "APOP is offered no more")


def apop(service, name, password):
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    assert client.apop(name, password).startswith(b"+OK")
    return client


def test_an_apop_session_outlives_a_lost_upstream_connection(service, dovecot, user):
    dovecot.deliver(user, MAIL)
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner", "--apop")
    net.wait_until(lambda: "<" in greeting(service), 10, "APOP is offered")
    client = apop(service, "scanner", password)
    client.dele(1)
    dovecot.drop_connections(user)
    assert client.quit().startswith(b"+OK")
    assert not dovecot.bodies(user)


def test_a_rekey_keeps_passwords_for_apop(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner", "--apop")
    net.wait_until(lambda: "<" in greeting(service), 10, "APOP is offered")
    apop(service, "scanner", password).quit()
    service.account("rekey")
    apop(service, "scanner", password).quit()
    service.restart()
    net.wait_until(lambda: "<" in greeting(service), 10, "APOP is offered")
    apop(service, "scanner", password).quit()


def test_a_removed_password_ends_sessions_of_any_spelling(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner")
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    client.user("Scanner")
    client.pass_(password)
    service.account("password", "scanner", "--remove", "1")
    with pytest.raises((poplib.error_proto, OSError)):
        client.noop()


def test_apop_for_who_is_not_registered_is_refused(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    service.device("scanner", "--apop")
    net.wait_until(lambda: "<" in greeting(service), 10, "APOP is offered")
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client.apop(user, UPSTREAM)


def test_a_removed_password_is_no_good_at_once(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    first, second = service.device("scanner"), service.device("scanner")
    assert messages(service, "scanner", first) == 0
    service.account("password", "scanner", "--remove", "1")
    assert "[AUTH]" in refusal(service, "scanner", first)
    assert messages(service, "scanner", second) == 0
    service.account("password", "scanner", "--remove", "1", code=1)


def test_a_password_that_may_not_delete_deletes_nothing(service, dovecot, user):
    dovecot.deliver(user, MAIL)
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner", "--no-delete")
    client = poplib.POP3(*service.running.addresses()[0], timeout=20 * net.slow_factor())
    client.user("scanner")
    client.pass_(password)
    with pytest.raises(poplib.error_proto, match="SYS/PERM"):
        client.dele(1)
    assert client.quit().startswith(b"+OK")
    assert len(dovecot.bodies(user)) == 1


def test_a_password_for_one_folder_and_one_network(service, dovecot, user):
    dovecot.deliver(user, MAIL)
    service.add("scanner", user, UPSTREAM)
    here = service.device("scanner", "--from", "127.0.0.0/8")
    elsewhere = service.device("scanner", "--from", "192.0.2.0/24")
    folder = service.device("scanner", "--folder", "NoSuchFolder")
    assert messages(service, "scanner", here) == 1
    assert "[AUTH]" in refusal(service, "scanner", elsewhere)
    assert "[SYS/PERM]" in refusal(service, "scanner", folder)
    explained = service.explain("scanner")
    assert "is not for where this client is" in explained
    assert "popbridge account show lists the networks it is for" in explained
    assert "first address" in service.account(
        "password", "scanner", "--from", "192.0.2.1/24", code=1)


def test_what_is_wrong_with_a_device_password_is_explained(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    service.device("scanner")
    assert "[AUTH]" in refusal(service, "scanner", "a guess")
    explained = service.explain("scanner")
    assert "not one of the account's device passwords" in explained
    assert "popbridge account password makes another one" in explained


def test_probe_says_what_to_do_about_a_registered_account(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    done = bridge.run("probe", "scanner", "-c", service.running.config_path)
    assert done.returncode == 1
    assert f"registered account, of the mailbox {user};".encode() in done.stderr
    assert b"popbridge health --sign-in scanner" in done.stderr


def test_a_stored_password_that_is_refused_is_not_the_clients_fault(service, dovecot, user):
    service.add("scanner", user, "not the password")
    password = service.device("scanner")
    assert "[SYS/PERM]" in refusal(service, "scanner", password)
    service.account("change", "scanner", "--password-file",
                    service.file("right", UPSTREAM))
    assert messages(service, "scanner", password) == 0


def test_a_removed_account_is_gone_with_its_passwords(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner")
    service.account("remove", "scanner")
    assert "[AUTH]" in refusal(service, "scanner", password)
    assert "no such account" in service.account("show", "scanner", code=1)


def test_an_import_is_all_or_nothing_and_names_the_line(service, dovecot, user):
    rows = f"user,mailbox,password\na,{user},{UPSTREAM}\nb,,{UPSTREAM}\n"
    assert "2 accounts" in service.account("import", service.file("good.csv", rows))
    bad = service.file("bad.csv", "user,mailbox,kind\nc,c,password\nd,d,carrier-pigeon\n")
    complaint = service.account("import", bad, code=1)
    assert "bad.csv:3: kind is" in complaint and "nothing was imported" in complaint
    listed = {row["user"] for row in json.loads(service.account("list", "--json"))}
    assert listed == {"a", "b"}
    password = service.device("a")
    assert messages(service, "a", password) == 0


def test_what_was_exported_can_be_imported(service, dovecot, user):
    service.add("a", user, UPSTREAM, "--alias", "x@example.com", "--alias", "y")
    for words, name in ((["--csv"], "out.csv"), ([], "out.json")):
        path = f"{service.folder}/{name}"
        service.account("export", path, *words)
        with open(path, encoding="utf-8") as exported:
            assert UPSTREAM not in exported.read()
        service.account("import", path)
    shown = json.loads(service.account("show", "a", "--json"))
    assert shown["mailbox"] == user and shown["aliases"] == ["x@example.com", "y"]


def test_secrets_are_not_in_the_store_the_log_or_the_listing(service, dovecot, user):
    canary = "CANARY-7f3a9c-upstream"
    service.add("scanner", user, canary)
    device = service.device("scanner")
    chosen = "CANARY-chosen-device-pw"
    service.account("password", "scanner", "--password-file", service.file("c", chosen))
    refusal(service, "scanner", device)
    refusal(service, "scanner", chosen)
    text = service.account("list", "--json") + service.account("show", "scanner", "--json")
    os.unlink(f"{service.folder}/upstream")
    os.unlink(f"{service.folder}/c")
    text += str(service.running.log())
    service.running.stop()
    found = text.encode()
    for folder, _, names in os.walk(service.folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as stored:
                    found += stored.read()
    for secret in (canary, chosen, device, device.replace("-", "")):
        assert secret.encode() not in found


def test_another_master_key_is_a_clear_start_error(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner")
    service.running.close()
    service.write_key("HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    failed = bridge.Bridge(service.config, wait=False)
    assert failed.process.wait(timeout=30 * net.slow_factor()) == 1
    assert any("another master-key" in str(line) for line in failed.log())
    failed._forgiven = True
    failed.close()
    service.write_key(KEY)
    service.running = bridge.Bridge(service.config)
    assert messages(service, "scanner", password) == 0


def test_a_rekey_with_a_new_master_key(service, dovecot, user):
    service.add("scanner", user, UPSTREAM)
    password = service.device("scanner")
    new = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert "1 account sealed anew" in service.account(
        "rekey", "--master-key-file", service.file("new.key", new))
    assert messages(service, "scanner", password) == 0
    service.write_key(new)
    service.restart()
    assert messages(service, "scanner", password) == 0
    with sqlite3.connect(f"{service.folder}/state/popbridge.db") as store:
        assert store.execute("SELECT count(*) FROM vault_keys").fetchone() == (1,)


def test_without_a_master_key_nothing_is_stored(start_bridge, dovecot):
    folder = net.short_folder("ac")
    config = {"state": f"{folder}/state", "routes": [{"match": "*", "server": dovecot.url}]}
    started = start_bridge(config)
    path = f"{folder}/pw"
    with open(path, "w", encoding="ascii") as out:
        out.write("upstream-password\n")
    done = bridge.run("account", "add", "a", "--password-file", path, "-c",
                      started.config_path)
    assert done.returncode == 1
    assert b"no master-key is configured" in done.stderr
    started.stop()
    net.remove_folder(folder)

"""
An operator's way in: the control socket, and the commands that ask it, of a service with
two workers.
"""

import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess

import bridge
import net
import pop3
import pytest
import roles


MAIL = b"Subject: x\r\n\r\nhello\r\n"


def config_for(server, folder=None, **more):
    routes = more.pop("routes", None) or [{"match": "*", "server": server}]
    config = {"workers": 2, "routes": routes, **more}
    if folder:
        config["state"] = f"{folder}/state"
    return config


@pytest.fixture
def folder():
    path = net.short_folder("op")
    yield path
    net.remove_folder(path)


@pytest.fixture
def service(fake, folder):
    with bridge.Bridge(config_for(fake.url, folder)) as started:
        yield started


def ask(service, *words):
    """`popbridge WORDS -c CONFIG`: (exit code, what it prints, what it complains of)."""
    done = bridge.run(*words, "-c", service.config_path)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def command(service, *words, code=0):
    """What it prints, or complains of where it must fail; the exit code must be that."""
    found, out, complaint = ask(service, *words)
    assert found == code, f"{words}: {found}: {out}{complaint}"
    return complaint if code == 1 else out


def is_answered(service):
    return ask(service, "kick", "nobody")[0] == 0


def as_json(service, *words, code=0):
    return json.loads(command(service, *words, "--json", code=code))


def control(folder):
    return f"{folder}/state/control"


# The socket -----------------------------------------------------------------------------


def test_the_socket_is_for_root_and_the_service_alone(service, folder):
    assert stat.S_IMODE(os.stat(control(folder)).st_mode) == 0o600
    os.chmod(f"{folder}/state", 0o777)
    os.chmod(control(folder), 0o666)
    os.chmod(folder, 0o777)
    script = ("import os, socket, sys; os.setgid(65534); os.setuid(65534);"
              "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
              f"s.connect({control(folder)!r}); s.settimeout(10);"
              "sys.exit(0 if s.recv(100) == b'' else 1)")
    assert subprocess.run(["/usr/bin/python3", "-c", script], check=False).returncode == 0
    service.wait_log("control refused")
    assert command(service, "kick", "nobody") == "0 sessions ended\n"


def test_octets_that_are_no_question_end_the_connection(service, folder):
    for packet in (b"", b"\1", b"\1\377\0\0", b"\2\0\0\0", b"\1\5\0\0\377\377",
                   b"GET / HTTP/1.0\r\n\r\n", b"\1" * 50000, b"\1\7\0\0" + bytes(8)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asker:
            asker.settimeout(10 * net.slow_factor())
            asker.connect(control(folder))
            if packet:
                asker.send(packet)
            else:
                asker.shutdown(socket.SHUT_WR)
            assert asker.recv(100) == b"", packet[:20]
    assert command(service, "kick", "nobody") == "0 sessions ended\n"


def test_many_who_say_nothing_keep_nobody_out_for_long(service, folder):
    silent = []
    for _ in range(12):
        silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        silent[-1].connect(control(folder))
    for one in silent:
        one.close()
    assert command(service, "kick", "nobody") == "0 sessions ended\n"


def test_a_keeper_that_was_killed_leaves_a_socket_that_its_successor_replaces(
        service, folder):
    keeper = roles.pids(service, "keeper")[0]
    roles.kill(keeper)
    assert os.path.exists(control(folder))
    net.wait_until(lambda: roles.pids(service, "keeper"), 10 * net.slow_factor(),
                   "another keeper")
    net.wait_until(lambda: is_answered(service), 10 * net.slow_factor(), "it answers")


def test_an_upgrade_in_place_keeps_what_is_known_and_the_socket(service):
    reference = reference_of(service.client().try_sign_in("joe", "wrong"))
    net.wait_until(lambda: explained(service, reference), 10 * net.slow_factor(), "it")
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_log("upgraded", seconds=30)
    net.wait_until(lambda: is_answered(service), 10 * net.slow_factor(), "it answers")
    assert explained(service, reference)


def test_the_socket_goes_with_the_service(fake, folder):
    with bridge.Bridge(config_for(fake.url, folder)) as service:
        assert os.path.exists(control(folder))
        service.stop()
        assert not os.path.exists(control(folder))


def test_without_state_control_says_where(fake, folder):
    config = config_for(fake.url, control=f"{folder}/here")
    with bridge.Bridge(config) as service:
        assert command(service, "kick", "nobody") == "0 sessions ended\n"


def test_without_both_commands_say_what_to_set(fake):
    with bridge.Bridge(config_for(fake.url)) as service:
        for words in (["kick", "x"], ["forget", "x"], ["explain", "x"],
                      ["status", "--problems"], ["status", "--legacy"]):
            said = command(service, *words, code=1)
            assert "neither control nor state" in said
            assert "set control:" in said


def test_a_path_too_long_for_a_socket_is_said_and_mail_is_served(fake, folder, user):
    deep = folder + "/" + "d" * 110
    config = config_for(fake.url)
    config["state"] = deep
    with bridge.Bridge(config) as service:
        line = service.wait_log("no control socket")
        assert "107 octets at most" in str(line) and "set control:" in str(line)
        service.client().sign_in(user)
        said = command(service, "kick", "x", code=1)
        assert "107 octets at most" in said


def test_a_file_of_somebody_elses_is_left_alone(fake, folder, user):
    path = f"{folder}/precious"
    with open(path, "w", encoding="ascii") as out:
        out.write("x")
    with bridge.Bridge(config_for(fake.url, control=path)) as service:
        service.wait_log("no control socket")
        service.client().sign_in(user)
    with open(path, encoding="ascii") as text:
        assert text.read() == "x"


# kick -----------------------------------------------------------------------------------


def test_kick_ends_the_users_sessions_on_every_worker_and_no_others(fake, folder):
    config = config_for(fake.url, folder, routes=[
        {"match": "*", "server": fake.url, "when-locked": "share"}])
    with bridge.Bridge(config) as service:
        fake.mailbox("joe").add(MAIL)
        his = [service.client(source=source) for source in roles.SOURCES[:2] * 2]
        hers = service.client()
        for client in his:
            client.sign_in("joe")
        hers.sign_in("ann")
        his[0].command("DELE 1")
        assert command(service, "kick", "joe") == "4 sessions ended\n"
        for client in his:
            with pytest.raises((pop3.Closed, OSError)):
                while True:
                    client.command("NOOP")
        assert hers.command("NOOP").startswith(b"+OK")
        ended = [line for line in service.log("session ended") if line["user"] == "joe"]
        assert [line["reason"] for line in ended] == ["ended by an operator"] * 4
        assert not fake.deletions
        assert as_json(service, "kick", "joe") == {"kicked": 0}
        service.client().sign_in("joe")


def test_kick_leaves_a_quit_that_is_carried_out_alone(fake, folder):
    with bridge.Bridge(config_for(fake.url, folder)) as service:
        fake.mailbox("joe").add(MAIL)
        client = service.client()
        client.sign_in("joe")
        client.command("DELE 1")
        asked = []

        def on_store(*_):
            if not asked:
                asked.append(command(service, "kick", "joe"))
        fake.on("UID STORE", on_store)
        answer = client.command("QUIT")
        assert answer.startswith(b"+OK"), answer
        assert asked == ["0 sessions ended\n"]
        assert [one.uid for one in fake.deletions] == [1]


@pytest.fixture
def parking(fake, folder):
    config = config_for(fake.url, folder, limits={"parking": "5m"})
    with bridge.Bridge(config) as started:
        yield started


def polled(service, fake, *users):
    """One parked connection for each: {user: it}."""
    for user in users:
        with service.signed_in(user) as client:
            client.ok("QUIT")
    return {one.user: one for one in fake.open_connections()}


@pytest.mark.parametrize("name", ["kick", "forget"])
def test_what_is_parked_for_a_user_is_closed_and_nobody_elses(parking, fake, name):
    parked = polled(parking, fake, "joe", "ann")
    command(parking, name, "JOE")
    net.wait_until(lambda: not parked["joe"].is_open, 10 * net.slow_factor(), "his closed")
    assert parked["ann"].is_open
    before = len(fake.credentials)
    polled(parking, fake, "ann", "joe")
    assert [one.user for one in fake.credentials[before:]] == [b"joe"]


def test_forget_leaves_a_session_alone(parking, fake):
    with parking.signed_in("joe") as client:
        command(parking, "forget", "joe")
        client.ok("NOOP")


def test_a_quit_that_is_carried_out_while_kicked_parks_nothing(parking, fake):
    fake.mailbox("joe").add(MAIL)
    asked = []

    def on_store(*_):
        if not asked:
            asked.append(command(parking, "kick", "joe"))
    fake.on("UID STORE", on_store)
    with parking.signed_in("joe") as client:
        client.ok("DELE 1")
        client.ok("QUIT")
    assert asked == ["0 sessions ended\n"]
    fake.wait_no_connections()


# status --problems ----------------------------------------------------------------------


def test_accounts_that_fail_or_lose_their_deles_are_problems(service, fake):
    fake.mailbox("scanner").add(MAIL)
    for user in ("joe", "ann", "scanner"):
        service.client().sign_in(user)
    assert command(service, "status", "--problems") == \
        "no account that signed in before has a problem\n"
    for _ in range(2):
        service.client().try_sign_in("joe", "wrong")
        service.client().try_sign_in("stranger", "wrong")
    with service.signed_in("scanner") as client:
        client.command("DELE 1")
        client.reset()
    net.wait_until(lambda: len(problems(service)) == 2, 10 * net.slow_factor(),
                   lambda: f"two problems: {problems(service)}")
    found = problems(service)
    assert found["joe"]["problems"] == ["wrong-password"]
    assert found["joe"]["wrong_passwords"] == 2
    assert found["joe"]["address"] == "127.0.0.1"
    assert found["scanner"]["problems"] == ["no-quit"]
    text = command(service, "status", "--problems", code=2)
    assert "joe (last from 127.0.0.1)\n  its password was refused 2 times in a row" in text
    assert "left without QUIT" in text
    assert "1 name that never signed in was tried" in text
    assert "ann (" not in text and "stranger" not in text


def problems(service):
    code, out, complaint = ask(service, "status", "--problems", "--json")
    assert code in (0, 2), complaint
    return {one["user"]: one for one in json.loads(out)["accounts"]}


def test_a_problem_is_over_with_the_next_good_session(service, fake):
    fake.mailbox("joe").add(MAIL)
    service.client().sign_in("joe")
    service.client().try_sign_in("joe", "wrong")
    net.wait_until(lambda: problems(service), 10 * net.slow_factor(), "a problem")
    with service.signed_in("joe") as client:
        client.command("DELE 1")
        client.reset()
    net.wait_until(lambda: problems(service).get("joe", {}).get("problems") == ["no-quit"],
                   10 * net.slow_factor(), "another problem")
    with service.signed_in("joe") as client:
        client.command("DELE 1")
        client.quit()
    net.wait_until(lambda: not problems(service), 10 * net.slow_factor(), "none")


def test_who_fell_silent_is_a_problem_where_asked_for(service):
    service.client().sign_in("joe")
    assert "fell silent" not in command(service, "status", "--problems")
    assert "fell silent" not in command(service, "status", "--problems", "--silent", "6h")
    net.wait_until(lambda: ask(service, "status", "--problems", "--silent", "1s")[0] == 2,
                   10 * net.slow_factor(), "silence of a second")
    assert "last signed in" in command(service, "status", "--problems", "--silent", "1s",
                                       code=2)


@pytest.mark.parametrize("words", [
    ["status", "--silent", "6h"], ["status", "--problems", "--silent", "soon"],
    ["status", "--problems", "--legacy"], ["status", "--problems", "--watch"],
    ["kick"], ["kick", "a", "b"], ["forget"], ["explain"], ["explain", "a", "b"]])
def test_calls_that_make_no_sense_exit_with_2(words):
    done = bridge.run(*words)
    assert done.returncode == 2 and b"Try `popbridge" in done.stderr


@pytest.mark.parametrize("name", ["status", "health", "kick", "forget", "explain"])
def test_every_command_has_help(name):
    done = bridge.run(name, "--help")
    assert done.returncode == 0 and b"--control" in done.stdout


# explain --------------------------------------------------------------------------------


def reference_of(answer):
    return re.search(rb"\(ref ([0-9A-F]{6})\)", answer)[1].decode()


def test_explain_says_what_was_behind_a_reference(service, fake):
    def refuse(connection, tag, _):
        connection.send(tag + b" NO [UNAVAILABLE] the disk is on fire\r\n")
        return True
    fake.on("SELECT", refuse)
    reference = reference_of(service.client().try_sign_in("joe"))
    net.wait_until(lambda: explained(service, reference), 10 * net.slow_factor(), "it")
    text = command(service, "explain", reference.lower())
    assert f"reference  {reference}" in text
    assert "user       joe" in text and "from       127.0.0.1" in text
    assert "told       [SYS/TEMP]" in text and "the disk is on fire" in text
    assert "part       the mail server's" in text
    assert text.split("when", 1)[0] in command(service, "explain", "joe")
    assert as_json(service, "explain", "joe")[0]["reference"] == reference


def explained(service, what):
    return ask(service, "explain", what)[0] == 0


def test_explain_has_the_last_20_of_a_user_over_a_restart_of_the_keeper(service):
    answers = [service.client().try_sign_in("joe", "wrong") for _ in range(25)]
    references = [reference_of(answer) for answer in answers]
    net.wait_until(lambda: explained(service, references[-1]), 10 * net.slow_factor(), "it")
    net.wait_until(lambda: not explained(service, references[4]), 10 * net.slow_factor(),
                   "the older ones go")
    found = [one["reference"] for one in as_json(service, "explain", "joe")]
    assert sorted(found) == sorted(references[-20:])
    net.wait_until(lambda: is_committed(service), 10 * net.slow_factor(), "it is kept")
    roles.kill(roles.pids(service, "keeper")[0])
    net.wait_until(lambda: is_answered(service), 10 * net.slow_factor(), "another keeper")
    assert [one["reference"] for one in as_json(service, "explain", "joe")] == found
    assert all(one["kind"] == "auth" and "secret" not in str(one) and "wrong\"" not in str(one)
               for one in as_json(service, "explain", "joe"))


def is_committed(service):
    with open(service.config_path, encoding="utf-8") as text:
        state = json.load(text)["state"]
    with sqlite3.connect(f"{state}/popbridge.db") as store:
        return store.execute("SELECT count(*) FROM failures").fetchone()[0] == 20


def test_explain_of_what_nobody_knows_fails(service):
    for what in ("ABCDEF", "nobody"):
        assert f"no failure of {what} is known" in command(service, "explain", what, code=1)


# forget ---------------------------------------------------------------------------------


def test_forget_leaves_nothing_of_a_user_in_the_state_directory(service, folder):
    user = "Joe.Unforgettable@example.com"
    service.client().sign_in(user)
    service.client().sign_in(user.lower())
    service.client().try_sign_in(user, "wrong")
    service.client().sign_in("ann")
    net.wait_until(lambda: explained(service, user), 10 * net.slow_factor(), "it")
    net.wait_until(lambda: holds(folder, b"Unforgettable"), 10 * net.slow_factor(), "kept")
    found = as_json(service, "forget", user.upper())
    assert found["statistics of sign-ins and sessions"] == 2
    assert found["known addresses"] == 2 and found["explained failures"] == 1
    assert not holds(folder, b"nforgettable")
    assert set(as_json(service, "forget", user).values()) == {0}
    assert holds(folder, b"ann")


def holds(folder, octets):
    for name in os.listdir(f"{folder}/state"):
        path = f"{folder}/state/{name}"
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            with open(path, "rb") as text:
                if octets in text.read():
                    return True
    return False


# status --legacy ------------------------------------------------------------------------


def test_legacy_lists_who_signs_in_without_tls(fake, folder):
    config = config_for(fake.url, folder, listen=[
        {"address": "0.0.0.0:0", "tls": "none", "plain-from": ["127.0.0.0/8"]}])
    with bridge.Bridge(config) as service:
        assert command(service, "status", "--legacy").startswith("nobody")
        for _ in range(3):
            service.client().sign_in("scanner")
        service.client(source="127.0.0.2").sign_in("scanner")
        net.wait_until(lambda: sum(legacy(service).values()) == 4, 10 * net.slow_factor(),
                       lambda: f"four sign-ins: {legacy(service)}")
        assert legacy(service) == {("scanner", "127.0.0.1", "none"): 3,
                                   ("scanner", "127.0.0.2", "none"): 1}
        listed = command(service, "status", "--legacy")
        assert listed.startswith("USER  ADDRESS  TLS  LAST SIGN-IN  HOW MANY\n")
        assert "scanner  127.0.0.2  none  20" in listed


@pytest.mark.filterwarnings("ignore:ssl")
def test_legacy_lists_who_signs_in_with_tls_1_1(fake, folder, pki):
    config = config_for(fake.url, folder, listen=[
        {"address": "0.0.0.0:0", "tls": "implicit", "legacy-tls-from": ["127.0.0.0/8"]}])
    with bridge.Bridge(config, tls=pki) as service:
        for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_3):
            context = service.tls_context()
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            with pop3.Client(service.port("implicit"), tls=context) as client:
                client.sign_in("scanner")
                client.quit()
        net.wait_until(lambda: legacy(service), 10 * net.slow_factor(), "it is noted")
        assert legacy(service) == {("scanner", "127.0.0.1", "TLS 1.1"): 1}


def test_what_this_very_host_says_is_no_legacy(service):
    service.client().sign_in("joe")
    net.wait_until(lambda: holds_account(service), 10 * net.slow_factor(), "it is noted")
    assert not legacy(service)


def legacy(service):
    return {(one["user"], one["address"], one["tls"]): one["sign_ins"]
            for one in as_json(service, "status", "--legacy")["legacy"]}


def holds_account(service):
    with open(service.config_path, encoding="utf-8") as text:
        state = json.load(text)["state"]
    with sqlite3.connect(f"{state}/popbridge.db") as store:
        return store.execute("SELECT count(*) FROM accounts").fetchone()[0] == 1


# A configuration that is broken by now --------------------------------------------------


def break_config(service, how):
    with open(service.config_path, encoding="utf-8") as text:
        config = text.read()
    with open(service.config_path, "w", encoding="utf-8") as out:
        out.write(config.replace('"routes"', '"rowts"') if how == "meaning"
                  else config.rstrip().removesuffix("}"))


@pytest.mark.parametrize("how", ["meaning", "spelling"])
def test_the_service_is_asked_while_its_configuration_is_broken(fake, folder, how):
    port = net.free_port()
    config = config_for(fake.url, folder, web={"address": f"127.0.0.1:{port}"})
    config = {"state": config.pop("state"), **config}
    with bridge.Bridge(config) as service:
        service.wait_log("web")
        break_config(service, how)
        assert "sessions" in command(service, "status")
        assert as_json(service, "status")
        command(service, "health")
        assert command(service, "kick", "nobody") == "0 sessions ended\n"
        assert "popbridge check" in ask(service, "health")[2]


# What was left flagged ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["another worker", "a reload", "a killed keeper",
                                 "a restart"])
def test_marks_of_our_own_are_known_after(start_dovecot, start_bridge, folder, user, how):
    server = start_dovecot(capability="IMAP4rev1")
    server.deliver(user, [MAIL] * 5)
    config = config_for(server.url, folder)
    service = start_bridge(config)
    with service.signed_in(user) as client:
        client.command("DELE 1")
        server.set_flags(user, [5], "\\Deleted")
        client.err("QUIT")
    server.set_flags(user, [5], "\\Deleted", change="-FLAGS.SILENT")
    source = roles.SOURCES[0]
    if how == "another worker":
        source = roles.SOURCES[1]
    elif how == "a reload":
        os.kill(service.process.pid, signal.SIGHUP)
        service.wait_log("reloaded")
    elif how == "a killed keeper":
        net.wait_until(lambda: is_kept(folder), 10 * net.slow_factor(), "it is kept")
        roles.kill(roles.pids(service, "keeper")[0])
    else:
        service.stop()
        service = start_bridge(config)
    with service.client(source=source) as client:
        client.sign_in(user)
        client.command("DELE 1")
        client.quit()
    assert server.uids(user) == [3, 4, 5]


def is_kept(folder):
    with sqlite3.connect(f"{folder}/state/popbridge.db") as store:
        return store.execute("SELECT count(*) FROM leftovers").fetchone()[0] == 1


# health --sign-in -----------------------------------------------------------------------


PASSWORD = "a secret of 8 words, with blanks"


@pytest.fixture
def password_file(folder):
    path = f"{folder}/password"
    with open(path, "w", encoding="utf-8") as out:
        out.write(PASSWORD + "\n")
    return path


def listeners(*kinds):
    return [{"address": f"127.0.0.1:{net.free_port()}", "tls": kind, **more}
            for kind, more in kinds]


def sign_in(service, user, password_file, *more):
    return ask(service, "health", "--sign-in", user, "--password-file", password_file, *more)


@pytest.mark.parametrize("kind, words", [("none", "(without TLS)"), ("starttls", "(STLS)"),
                                         ("implicit", "(TLS)")])
def test_health_signs_a_user_in_over_every_kind_of_listener(
        fake, folder, password_file, kind, words):
    fake.passwords["joe"] = PASSWORD.encode()
    fake.mailbox("joe").add(MAIL)
    config = config_for(fake.url, folder, listen=listeners((kind, {})))
    with bridge.Bridge(config) as service:
        code, out, complaint = sign_in(service, "joe", password_file)
        assert code == 0, complaint
        assert words in out and "+OK 1 " in out
        service.wait_log("session ended", user="joe", reason="quit")
        assert PASSWORD not in out + complaint + service.stderr


def test_health_says_what_the_service_answered_where_it_does_not_work(
        fake, folder, password_file):
    config = config_for(fake.url, folder, listen=listeners(("none", {})))
    with bridge.Bridge(config) as service:
        code, out, complaint = sign_in(service, "joe", password_file)
        assert (code, out) == (1, "") and "PASS: -ERR [AUTH]" in complaint
        assert PASSWORD not in complaint


def test_health_takes_a_mailbox_in_use_for_a_sign_in(fake, folder, password_file):
    fake.passwords["joe"] = PASSWORD.encode()
    config = config_for(fake.url, folder, listen=listeners(("none", {})))
    with bridge.Bridge(config) as service:
        other = service.client()
        other.sign_in("joe", PASSWORD)
        code, out, complaint = sign_in(service, "joe", password_file)
        assert code == 0 and "[IN-USE]" in out, complaint
        other.quit()


def test_health_has_a_limit_of_time(fake, folder, password_file):
    fake.on("AUTHENTICATE", lambda *_: True)  # and says nothing
    config = config_for(fake.url, folder, listen=listeners(("none", {})))
    with bridge.Bridge(config) as service:
        code, _, complaint = sign_in(service, "joe", password_file, "--limit", "1s")
        assert code == 1 and "PASS: while waiting for the service" in complaint


def test_health_prefers_tls_and_passes_over_listeners_behind_balancers(
        fake, folder, password_file):
    fake.passwords["joe"] = PASSWORD.encode()
    listen = listeners(("implicit", {"proxy-from": ["127.0.0.1"]}), ("none", {}),
                       ("starttls", {}))
    with bridge.Bridge(config_for(fake.url, folder, listen=listen)) as service:
        code, out, complaint = sign_in(service, "joe", password_file)
        assert code == 0 and listen[2]["address"].rsplit(":", 1)[1] in out, complaint
    with bridge.Bridge(config_for(fake.url, folder, listen=listen[:1])) as service:
        code, _, complaint = sign_in(service, "joe", password_file)
        assert code == 1 and "PROXY header" in complaint


@pytest.mark.parametrize("content, words", [(b"", "no password"), (b"\n", "is empty"),
                                            (b"a\0b\n", "")])
def test_health_wants_a_password(service, folder, content, words):
    path = f"{folder}/none"
    with open(path, "wb") as out:
        out.write(content)
    code, _, complaint = sign_in(service, "joe", path)
    assert code == 1 and words in complaint

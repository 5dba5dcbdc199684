"""
The command line: what a person at a terminal and a program that reads exit codes get. And
the log, which other programs read, whatever users call themselves.
"""

import json
import os
import pty
import re
import select
import socket
import subprocess

import bridge as bridge_module
import fake_imap
import mails
import net
import pop3
import pytest
from bridge import run

SECRET = "s3cret-of-the-probe"


# What the sanitizer's runtime itself says of coroutines at the first switch.
_RUNTIME = re.compile(rb"^==\d+==WARNING: ASan doesn't fully support .*\n", re.M)


def text_of(done):
    return done.stdout.decode(), _RUNTIME.sub(b"", done.stderr).decode()


def expect(done, code, out=(), error=()):
    """The exit code, and these words in this order of neither importance nor place."""
    stdout, stderr = text_of(done)
    assert done.returncode == code, (stdout, stderr)
    for word in [out] if isinstance(out, str) else out:
        assert word in stdout, (word, stdout)
    for word in [error] if isinstance(error, str) else error:
        assert word in stderr, (word, stderr)
    return stdout, stderr


# Help, versions, exit codes -------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["-?"]])
def test_help_names_every_subcommand(arguments):
    stdout, stderr = expect(run(*arguments), 0, ["serve", "check", "probe", "Usage:"])
    assert stderr == ""
    assert max(map(len, stdout.splitlines())) <= 90


@pytest.mark.parametrize("name", ["serve", "check", "probe"])
def test_every_subcommand_has_help(name):
    stdout, stderr = expect(run(name, "--help"), 0, ["Usage:", f"popbridge {name}"])
    assert stderr == "" and "--help" in stdout


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["serve", "--version"],
                                       ["check", "--version"], ["probe", "--version"]])
def test_the_version_is_one_line(arguments):
    stdout, stderr = expect(run(*arguments), 0)
    assert re.fullmatch(r"popbridge \d+\.\d+\.\d+\n", stdout) and stderr == ""


@pytest.mark.parametrize("arguments", [
    ["--nonsense"], ["serve", "--nonsense"], ["check", "--nonsense"], ["probe", "--nonsense"],
    ["probe"], ["probe", "one", "two"], ["check", "one", "two"],
    ["imap://127.0.0.1", "imap://127.0.0.1"], ["serve", "-c", "x", "imap://127.0.0.1"],
    ["-c"], ["probe", "--password-file"]])
def test_a_wrong_call_is_exit_code_2_and_says_how_to_get_help(arguments):
    stdout, stderr = expect(run(*arguments), 2)
    assert stdout == "" and "--help" in stderr


@pytest.mark.parametrize("arguments", [["serve"], ["check"], ["probe", "alice"], []])
def test_a_missing_configuration_is_named_with_what_to_do(arguments):
    if os.path.exists("/etc/popbridge/popbridge.yaml"):
        pytest.skip("this machine has a configuration of its own")
    _, stderr = expect(run(*arguments), 1, error=["/etc/popbridge/popbridge.yaml", "-c FILE"])
    assert stderr.count("\n") <= 3


@pytest.mark.parametrize("url,word", [
    ("imap://imap.example.com", "in the clear"), ("http://x", "imaps://"),
    ("imaps://", "host"), ("imaps://host:0", "port"), ("imaps://host:99999", "port"),
    ("imaps://host/INBOX", "imaps://")])
def test_a_bad_url_is_refused_with_what_would_be_right(url, word):
    expect(run(url), 1, error=word)


@pytest.mark.parametrize("arguments,words", [
    (["chekc"], ["subcommand", "--help", "imaps://"]),
    (["imap.example.com"], ["subcommand", "imaps://"]),
    (["serve", "/etc/hosts"], ["/etc/hosts is a file", "serve -c /etc/hosts"]),
    (["/etc/hosts"], ["serve -c /etc/hosts"])])
def test_what_is_no_server_is_not_taken_for_one(arguments, words):
    expect(run(*arguments), 2, error=words)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    _, stderr = expect(run(f"imaps://alice:{SECRET}@host"), 1)
    assert SECRET not in stderr


# check ----------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="popbridge.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write_file


GOOD = """
listen:
  - address: "127.0.0.1:0"
    tls: none
routes:
  - match: "*@example.com"
    server: imaps://imap.example.com
    mark-read: true
  - match: "*"
    server: imap://127.0.0.1:10143
limits:
  idle: 20m
"""


def test_check_prints_what_it_understood_defaults_included(write):
    path = write(GOOD)
    for arguments in (["check", path], ["check", "-c", path]):
        expect(run(*arguments), 0, ["imaps://imap.example.com", "imap://127.0.0.1:10143",
                                    "20m", "INBOX", "127.0.0.1:0", "55s"])


def test_check_is_silent_on_standard_error_when_all_is_well(write):
    assert run("check", write(GOOD)).stderr == b""


@pytest.mark.parametrize("text,place", [
    ("routes:\n  - match: [\n", ":"), ("routes:\n  - match: a\n    match: b\n", ":3:"),
    ("routes: 5\n", ":1:"), ("rotues:\n  - match: a\n", ":1:1:"), ("\tx: 1\n", ":1:"),
    ("limits:\n  idel: 5m\nroutes: []\n", ":2:3:"), ("routes:\n- match: 'a\n", ":")])
def test_a_structural_mistake_has_file_line_and_column(write, text, place):
    path = write(text)
    _, stderr = expect(run("check", path), 1, error=[path + place])
    assert re.search(re.escape(path) + r":\d+:\d+: \S", stderr), stderr


def test_check_proposes_the_name_that_was_meant(write):
    expect(run("check", write("limits:\n  idel: 5m\n")), 1, error="idle")


MISTAKES = """
listen:
  - address: "127.0.0.1"
    tls: startls
    plain-from: ["10.0.0.0/33"]
tls:
  certificate: /nowhere/fullchain.pem
routes:
  - match: "*@example.com"
    server: imap://imap.example.com
    unique-id: "{uid}"
    pins: ["short"]
  - server: imaps://imap.example.com
    without-uidplus: perhaps
limits:
  idle: ten minutes
log:
  level: loud
"""


def test_check_reports_all_mistakes_of_meaning_at_once(write):
    _, stderr = expect(run("check", write(MISTAKES)), 1, error=[
        "listen[0].address: ", "listen[0].tls: ", "listen[0].plain-from[0]: ",
        "tls.key: ", "tls.certificate: ", "routes[0].server: ", "routes[0].unique-id: ",
        "routes[0].pins[0]: ", "routes[1].match: ", "routes[1].without-uidplus: ",
        "limits.idle: ", "log.level: "])
    lines = stderr.splitlines()
    assert len(lines) == 13  # routes[0].server has two
    assert all(re.match(r"[^:]+\.yaml:\d+:\d+: ", line) for line in lines), stderr
    assert 'did you mean "starttls"' in stderr


def test_check_says_which_secrets_others_may_read(write, tmp_path):
    key = tmp_path / "master.key"
    key.write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    path = write(f"state: {tmp_path}/state\nmaster-key: {key}\n"
                 "routes:\n  - {match: '*', server: 'imaps://a.test'}\n")
    key.chmod(0o644)
    stdout, _ = expect(run("check", path), 0)
    assert f"master-key: {key}\n" in stdout
    assert f"note: master-key: every user of this machine may read {key}; run: chmod" in stdout
    key.chmod(0o640)
    stdout, _ = expect(run("check", path), 0)
    assert "note: master-key" not in stdout


@pytest.mark.parametrize("content,word", [
    (b"", "routes"), (b"\0", ":1:"), (b"\xff\xfe", "routes"), (b"routes: []\n", "routes"),
    (b"x" * 2_000_000, "1 MiB"), (b"[" * 20_000, ":1:"), (b"a: &a [*a]\n", ":1:")],
    ids=["empty", "NUL", "UTF-16 mark", "no route", "large", "nested", "alias"])
def test_files_that_are_no_configuration_are_refused(write, content, word):
    expect(run("check", write(content)), 1, error=word)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    expect(run("check", str(tmp_path / "nowhere.yaml")), 1,
           error=["nowhere.yaml", "No such file"])
    expect(run("check", str(tmp_path)), 1, error=[str(tmp_path), "directory"])


def test_check_opens_certificates_too(write, pki):
    other = pki.leaf("cli-other")
    config = {"listen": [{"address": "127.0.0.1:0", "tls": "implicit"}],
              "tls": {"certificate": pki.server.chain, "key": other.key},
              "routes": [{"match": "*", "server": "imaps://imap.example.com"}]}
    expect(run("check", write(json.dumps(config))), 1,
           error=[other.key, "does not belong to the certificate"])


# probe ----------------------------------------------------------------------------


@pytest.fixture
def password_file(write):
    return write(SECRET + "\n", "password")


@pytest.fixture
def probed(pki):
    with fake_imap.FakeImap(tls=pki.server, passwords={"alice": SECRET.encode()},
                            messages=[mails.simple()] * 3) as server:
        yield server


@pytest.fixture
def probe_config(write, probed, pki):
    return write(json.dumps({"routes": [{"match": "*@example.com", "user": "{local}",
                                         "server": probed.url, "ca-file": pki.ca}]}))


def test_probe_shows_each_step_with_its_time_and_what_it_found(probe_config, password_file,
                                                               probed):
    stdout, stderr = expect(
        run("probe", "-c", probe_config, "--password-file", password_file,
            "alice@example.com"), 0,
        [probed.url, "alice", "UIDPLUS", "CONDSTORE", "INBOX", "UIDVALIDITY 1700000001",
         "3 (", "00000001"])
    for step in ("connect", "TLS", "greeting", "capabilities", "sign-in", "SELECT"):
        assert re.search(rf"^{step}.* +\d+ ms$", stdout, re.M), (step, stdout)
    assert stderr == "" and SECRET not in stdout
    assert probed.deletions == [] and not probed.seen("UID STORE")
    assert all("\\Seen" not in one.flags for one in probed.mailbox("alice").messages)


def test_probe_says_what_would_happen_without_uidplus(password_file):
    with fake_imap.FakeImap(capability="IMAP4rev1 AUTH=PLAIN",
                            passwords={"alice": SECRET.encode()}) as fake:
        expect(run("probe", "--url", fake.url, "--password-file", password_file, "alice"), 0,
               ["no UIDPLUS", "leave"])


@pytest.mark.parametrize("given,meant", [
    (b"two words \n", b"two words "), (b"dos\r\n", b"dos"), (b"no line end", b"no line end"),
    (b"first\nsecond\n", b"first"), (b'"\\ \xff\n', b'"\\ \xff')])
def test_the_password_is_the_first_line_of_its_file(write, given, meant):
    with fake_imap.FakeImap(passwords={"alice": meant}) as fake:
        path = write(given, "password")
        expect(run("probe", "--url", fake.url, "--password-file", path, "alice"), 0)
        expect(run("probe", "--url", fake.url, "--password-file", "-", "alice", stdin=given),
               0)
        assert [one.secret for one in fake.credentials] == [meant, meant]


def test_probe_with_a_wrong_password_says_so(probe_config, write, probed):
    path = write("wrong-password\n", "password")
    stdout, stderr = expect(
        run("probe", "-c", probe_config, "--password-file", path, "alice@example.com"), 1,
        error=["sign-in refused", "AUTHENTICATIONFAILED", "password"])
    assert "wrong-password" not in stdout + stderr
    assert re.search(r"^connect.* +\d+ ms$", stdout, re.M)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\r\nsecond line\n"])
def test_probe_needs_a_password(tmp_path, write, fake, content):
    path = str(tmp_path / "nowhere") if content is None else write(content, "password")
    expect(run("probe", "--url", fake.url, "--password-file", path, "alice"), 1, error=path)
    assert fake.connections == []


def test_probe_of_a_server_that_is_not_there(password_file):
    url = f"imap://127.0.0.1:{net.free_port()}"
    expect(run("probe", "--url", url, "--password-file", password_file, "alice"), 1,
           error=["refused", "advice"])


def test_probe_of_a_name_that_does_not_resolve(password_file):
    expect(run("probe", "--url", "imaps://no-such-host.invalid", "--password-file",
               password_file, "alice"), 1, error=["no-such-host.invalid: the name servers "
                                                  "know no such host", "correct"])


def test_a_client_hears_that_an_unknown_server_is_a_matter_of_settings(start_bridge):
    bridge = start_bridge({"routes": [{"match": "*",
                                       "server": "imaps://no-such-host.invalid"}]})
    answer = bridge.client().try_sign_in("alice")
    assert answer.startswith(b"-ERR [SYS/PERM] this user's mail server cannot be used")
    assert "know no such host" in bridge.reference(answer)[0]["cause"]


def test_probe_of_a_user_without_a_route(probe_config, password_file, probed):
    expect(run("probe", "-c", probe_config, "--password-file", password_file,
               "alice@elsewhere.example"), 1, error=["no route", "alice@elsewhere.example"])
    assert probed.connections == []


def test_probe_of_an_untrusted_server_sends_nothing(probed, password_file):
    expect(run("probe", "--url", probed.url, "--password-file", password_file, "alice"), 1,
           error=["certificate", "ca-file"])
    assert probed.credentials == []


def test_probe_asks_the_terminal_without_echo(fake):
    """Typed by a person: the prompt is shown, the password is not."""
    fake.passwords["alice"] = SECRET.encode()
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [bridge_module.binary(), "probe", "--url", fake.url, "alice"], stdin=terminal,
        stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    shown = read_until(master, b"Password: ")
    os.write(master, SECRET.encode() + b"\n")
    shown += read_until(master, b"RETR ")
    assert process.wait(20 * net.slow_factor()) == 0
    os.close(master)
    assert SECRET.encode() not in shown
    assert [one.secret for one in fake.credentials] == [SECRET.encode()]


def read_until(descriptor, wanted):
    got = b""
    while wanted not in got:
        ready = select.select([descriptor], [], [], 20 * net.slow_factor())[0]
        assert ready, got
        got += os.read(descriptor, 4096)
    return got


# serve ----------------------------------------------------------------------------


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("words", [[], ["serve"]])
def test_a_url_alone_is_enough(start_bridge, fake, words):
    if not is_free(1110):
        pytest.skip("port 1110 is in use on this machine")
    fake.mailbox("alice").add(mails.simple())
    bridge = start_bridge(command=[*words, fake.url])
    assert bridge.addresses("none") == [("127.0.0.1", 1110)]
    with pop3.Client(1110) as client:
        client.sign_in("alice")
        assert client.retr(1) == mails.simple()
        client.quit()


def test_a_port_in_use_is_named_and_ends_the_start(start_bridge, fake, write):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        config = write(json.dumps({"listen": [{"address": "127.0.0.1:0"},
                                              {"address": address}],
                                   "routes": [{"match": "*", "server": fake.url}]}))
        _, stderr = expect(run("serve", "-c", config), 1, error=["127.0.0.1", address[10:], "in use"])
        assert "listen[1]" in stderr


def test_an_address_that_is_not_ours_is_named(write, fake):
    config = write(json.dumps({"listen": [{"address": "192.0.2.1:1110",
                                           "plain-from": ["192.0.2.0/24"]}],
                               "routes": [{"match": "*", "server": fake.url}]}))
    expect(run("serve", "-c", config), 1, error=["192.0.2.1", "listen[0]"])


# The log --------------------------------------------------------------------------

HOSTILE = [b"a\rb", b"a\nlevel=error event=fake", b"\x1b[31mred\x1b]0;title\x07", b'"',
           b'a" event="x', b"\\", b'\\"', b"a=b c=d", b"\xff\xfe\x80", "ünï\u202e".encode(),
           b"%s%n", b"\x7f", b"a" * 400, b"{}", b'{"event":"x"}', b" ", b"\x01\x02", b"'", b",",
           b"\t", b"=", b"a=", b"\xc3", b"\xed\xa0\x80"]

_LOGFMT = re.compile(r'([a-z_]+)=("(?:[^"\\\x00-\x1f\x7f-\uffff]|\\["\\]|\\u00[0-9a-f]{2})*"'
                     r'|[!#-<>-\[\]-~]*)( |$)')


def strict_logfmt(line):
    """Every octet of the line accounted for: printable ASCII, known escapes only."""
    fields, place = {}, 0
    while place < len(line):
        match = _LOGFMT.match(line, place)
        assert match, f"no logfmt at {place}: {line[place:place + 80]!r}"
        assert match[1] not in fields, f"{match[1]} twice: {line!r}"
        value = match[2]
        fields[match[1]] = json.loads(value) if value.startswith('"') else value
        place = match.end()
    return fields


def strict_json(line):
    def no_twins(pairs):
        assert len(dict(pairs)) == len(pairs), f"a key twice: {line!r}"
        return dict(pairs)
    fields = json.loads(line, object_pairs_hook=no_twins)
    assert all(isinstance(value, (str, int, float, bool)) for value in fields.values())
    return fields


def raw_log(bridge):
    with open(f"{bridge.folder}/stderr", "rb") as log:
        return _RUNTIME.sub(b"", log.read())


STRICT = {"logfmt": strict_logfmt, "json": strict_json}


@pytest.mark.parametrize("log_format", STRICT)
def test_hostile_user_names_do_not_break_the_log(start_bridge, fake, log_format):
    bridge = start_bridge({"routes": [{"match": "*@never", "server": fake.url}],
                           "log": {"format": log_format, "level": "debug"}})
    for name in HOSTILE:
        with bridge.client() as client:
            assert client.auth("PLAIN", b"\0" + name + b"\0wrong").startswith(b"-ERR")
            client.ok("QUIT")
    # So long that no line may hold it: refused, and the session goes on or ends.
    with bridge.client() as client:
        client.send(b"USER " + b"\xff" * 1_000_000 + b"\r\n")
        assert client.line().startswith(b"-ERR")
        client.ok("QUIT")
    bridge.wait_log("session ended", count=len(HOSTILE) + 1)
    raw = raw_log(bridge)
    assert raw.endswith(b"\n") and not re.search(rb"[^\n\x20-\x7e]", raw)
    lines = [STRICT[log_format](line) for line in raw.decode("ascii").split("\n")[:-1]]
    assert {line["event"] for line in lines} == {"nothing is kept", "listening", "ready",
                                                 "refused",
                                                 "session ended"}
    assert max(map(len, raw.split(b"\n"))) < 8192
    refused = [line["user"] for line in lines if line["event"] == "refused"]
    whole = [name for name in HOSTILE if b"\n" not in name and b"\r" not in name]
    assert [name for name in whole if name.decode("latin-1") not in refused] == []


@pytest.mark.parametrize("log_format", STRICT)
def test_a_hostile_server_does_not_break_the_log(start_bridge, fake, log_format):
    bridge = start_bridge({"routes": [{"match": "*", "server": fake.url}],
                           "log": {"format": log_format, "level": "debug"}})
    for text in (b'[X "y"] \\ "quoted" a=b', b"\x1b[31m red", b"\xff\xfe", b"x" * 5000):
        fake.on("AUTHENTICATE", lambda connection, tag, rest, text=text:
                connection.no(tag, text) or True, times=1)
        with bridge.client() as client:
            client.ok("USER alice")
            client.err("PASS secret")
            client.ok("QUIT")
    bridge.wait_log("session ended", count=4)
    raw = raw_log(bridge)
    assert not re.search(rb"[^\n\x20-\x7e]", raw)
    lines = [STRICT[log_format](line) for line in raw.decode("ascii").split("\n")[:-1]]
    assert [line["event"] for line in lines].count("refused") == 4


@pytest.mark.parametrize("level,events", [
    ("error", set()), ("warning", {"refused"}),
    ("info", {"refused", "listening", "ready", "nothing is kept"})])
def test_the_level_says_what_is_left_out(start_bridge, fake, level, events):
    port = net.free_port()
    bridge = start_bridge({"listen": [{"address": f"127.0.0.1:{port}"}],
                           "routes": [{"match": "*", "server": fake.url}],
                           "log": {"level": level}}, wait=False)
    net.wait_until(lambda: not is_free(port), 20, "popbridge listens")
    with pop3.Client(port) as client:
        client.ok("USER alice")
        client.err("PASS wrong", "AUTH")
        client.quit()
    # The workers serve a moment before the master says so.
    net.wait_until(lambda: events <= {line["event"] for line in bridge.log()}, 10, str(events))
    seen = {line["event"] for line in bridge.log()}
    assert seen - {"session ended"} == events

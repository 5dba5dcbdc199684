"""
The web role: what it answers, to whom, and what it counts of a service that runs; the
status page in a real Chromium.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess

import bridge
import mails
import net
import openmetrics
import pytest

CONFIG = {
    "web": {"address": "127.0.0.1:0", "host-names": ["status.example.com"]},
    "routes": [{"match": "*", "server": "imap://127.0.0.1:1"}],
}
WEB_ALONE = os.environ.get("WEB_ALONE", "")


class Web:
    """Where a web role listens."""

    def __init__(self, port, address="127.0.0.1"):
        self.port, self.address = port, address

    def ask(self, path="/", method="GET", host=None, headers=None, body=None):
        """(status, headers, body as text)."""
        connection = http.client.HTTPConnection(self.address, self.port,
                                                timeout=10 * net.slow_factor())
        headers = {"Host": host, **(headers or {})} if host else headers or {}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def metrics(self):
        status, _, text = self.ask("/metrics")
        assert status == 200
        return openmetrics.parse(text)

    def status(self):
        return json.loads(self.ask("/status.json")[2])

    def ready(self):
        status, _, text = self.ask("/ready")
        return status, json.loads(text)


class Alone(Web):
    """The role by itself, in a state of our choice."""

    def __init__(self, config=None, **state):
        assert os.access(WEB_ALONE, os.X_OK), "WEB_ALONE must name the test program"
        self.folder = net.short_folder("web")
        path = f"{self.folder}/popbridge.yaml"
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config or CONFIG, out)
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                net.die_with_parent([WEB_ALONE, path, *(
                    f"{name.replace('_', '-')}={value}" for name, value in state.items())]),
                stdin=subprocess.PIPE, stderr=log)
        super().__init__(net.wait_until(self._find_port, 10 * net.slow_factor(), self.log))

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as log:
            return log.read()

    def _find_port(self):
        return find_port(filter(None, map(bridge.parse_line, self.log().splitlines())))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # the master has hung up
        code = self.process.wait(10 * net.slow_factor())
        print(self.log())
        net.remove_folder(self.folder)
        assert code == 0


def find_port(lines):
    """The port in the log line of the web role that started last; None: not yet."""
    ports = [int(line["address"].rsplit(":", 1)[1]) for line in lines
             if line.get("event") == "web"]
    return ports[-1] if ports else None


@pytest.fixture(scope="module")
def alone():
    with Alone() as web:
        yield web


@pytest.fixture
def served(dovecot, pki):
    """A whole service in front of Dovecot, and its web role."""
    config = {"web": {"address": "127.0.0.1:0"}, "workers": 2,
              "routes": [{"match": "*", "server": dovecot.url_tls, "ca-file": pki.ca}]}
    with bridge.Bridge(config) as popbridge:
        port = net.wait_until(lambda: find_port(popbridge.log()), 10, "the web role serves")
        yield popbridge, Web(port)


# Who may ask what ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/live", "/ready", "/metrics", "/status.json",
                                  "/status.txt"])
def test_every_page_is_answered_with_headers_that_let_nothing_in(alone, path):
    status, headers, body = alone.ask(path)
    assert status == 200 and body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_unknown_pages_are_not_found(alone):
    for path in ["/favicon.ico", "/metrics/", "//", "/..", "/Live", "/%3Cscript%3E"]:
        status, _, body = alone.ask(path)
        assert status == 404, path
        assert "script" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_but_reading_is_allowed(alone, method):
    status, headers, _ = alone.ask("/", method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_a_body_nobody_asked_for_is_not_waited_for(alone):
    assert alone.ask("/live", "POST", body=b"x" * 100)[0] == 405
    assert alone.ask("/live", "GET", body=b"x" * 100)[0] == 200


def test_head_is_get_without_the_body(alone):
    status, headers, body = alone.ask("/status.txt", "HEAD")
    assert status == 200 and body == ""
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:9110", "localhost", "192.0.2.1:80",
                                  "Status.Example.com:443"])
def test_addresses_localhost_and_configured_names_are_answered(alone, host):
    assert alone.ask("/live", host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a" * 300,
                                  "localhost:99999999", "[::1"])
def test_a_name_that_somebody_else_can_point_at_us_is_refused(alone, host):
    status, _, body = alone.ask("/metrics", host=host)
    assert status == 421
    assert "popbridge_" not in body and host not in body


def test_a_request_without_host_is_refused(alone):
    with socket.create_connection(("127.0.0.1", alone.port), 10) as raw:
        raw.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b""
        while part := raw.recv(4096):
            answer += part
    assert answer.split()[1] in (b"400", b"421")
    assert b"popbridge_" not in answer


def test_garbage_and_silence_hold_nobody_up(alone):
    held = [socket.create_connection(("127.0.0.1", alone.port), 10) for _ in range(20)]
    held[0].sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(500))
    held[1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100000)
    held[2].sendall(b"GET /")
    assert alone.ask("/live")[0] == 200
    for connection in held:
        connection.close()


# Health ----------------------------------------------------------------------------------


def test_a_service_that_is_well_is_ready(alone):
    assert alone.ready() == (200, {"status": "ok", "reasons": []})


@pytest.mark.parametrize("state, words", [
    ({"workers": 1}, "1 of 2 workers"),
    ({"keepers": 0}, "keeper"),
    ({"reload_broken": 1}, "reload"),
    ({"files_broken": 1}, "Certificate files"),
    ({"server_down": 1}, "imap://127.0.0.1:1 fails"),
])
def test_what_is_wrong_degrades_but_stays_ready(state, words):
    with Alone(**state) as web:
        status, body = web.ready()
        assert status == 200 and body["status"] == "degraded"
        assert len(body["reasons"]) == 1 and words in body["reasons"][0]
        assert web.metrics()["popbridge_degraded"].value() == 1
        assert web.metrics()["popbridge_ready"].value() == 1


def test_without_a_worker_it_is_alive_but_not_ready():
    with Alone(workers=0) as web:
        assert web.ready()[0] == 503
        assert web.ask("/live")[0] == 200
        assert web.metrics()["popbridge_ready"].value() == 0


@pytest.mark.parametrize("days, status, words", [
    (40, "ok", None), (3, "degraded", "expires in 3 days"), (-2, "degraded", "has expired")])
def test_a_certificate_near_its_end_degrades(pki, days, status, words):
    config = {**CONFIG, "tls": {"certificate": pki.server.chain, "key": pki.server.key}}
    with Alone(config, certificate=days) as web:
        body = web.ready()[1]
        assert body["status"] == status
        assert words is None or words in body["reasons"][0]
        assert web.status()["certificates"][0]["days-left"] == days


def test_all_of_ipv6_is_all_of_ipv4_too(folder):
    with Alone({**CONFIG, "web": {"address": "[::]:0"}}) as web:
        for address in ("127.0.0.1", "::1"):
            assert Web(web.port, address).ready()[0] == 200
        path = write_config(folder, {**CONFIG, "web": {"address": f"[::]:{web.port}"}})
        assert bridge.run("health", "-c", path).returncode == 0


def test_an_address_that_is_taken_is_said(alone):
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        config = {**CONFIG, "web": {"address": f"127.0.0.1:{taken.getsockname()[1]}"}}
        folder = net.short_folder("web")
        path = f"{folder}/popbridge.yaml"
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        done = subprocess.run([WEB_ALONE, path], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, check=False)
        net.remove_folder(folder)
    assert done.returncode == 1
    assert b"web.address: Address already in use" in done.stderr


# What is counted ---------------------------------------------------------------------------


def test_the_metrics_are_openmetrics(alone):
    status, headers, text = alone.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = openmetrics.parse(text)
    steps = families["popbridge_upstream_step_seconds"]
    assert steps.type == "histogram" and steps.unit == "seconds"
    assert steps.sum("_sum", step="sign-in") == 40
    assert steps.sum("_count", step="connect") == 1


@pytest.mark.parametrize("bad", [
    "a_total 1\n# EOF\n", "# TYPE a counter\n# HELP a b\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\na 1\n# EOF\n", "# TYPE a gauge\n# HELP a b\na 1\n",
    "# TYPE a gauge\n# HELP a b\na{b=\"c} 1\n# EOF\n",
    "# TYPE a histogram\n# HELP a b\na_bucket{le=\"1\"} 2\na_count 2\na_sum 1\n# EOF\n"])
def test_the_reader_of_openmetrics_is_strict(bad):
    with pytest.raises(openmetrics.Malformed):
        openmetrics.parse(bad)


def test_a_session_is_counted_from_accept_to_end(served, dovecot):
    popbridge, web = served
    octets = mails.simple(subject="counted")
    dovecot.deliver("counted", [octets])
    with popbridge.signed_in("counted") as client:
        assert web.metrics()["popbridge_sessions"].value(state="transaction") == 1
        assert web.metrics()["popbridge_upstream_connections"].value() == 1
        client.retr(1)
        client.command(b"DELE 1")
        client.command(b"QUIT")
    families = net.wait_until(
        lambda: (seen := web.metrics())["popbridge_sessions"].sum() == 0 and
        seen["popbridge_upstream_connections"].value() == 0 and seen,
        10 * net.slow_factor(), "the session is over")
    assert families["popbridge_connections"].value() == 1
    assert families["popbridge_sign_ins"].value() == 1
    assert families["popbridge_sign_ins_without_tls"].value() == 1
    assert families["popbridge_messages_retrieved"].value() == 1
    assert families["popbridge_retrieved_octets"].value() >= len(octets)
    assert families["popbridge_messages_deleted"].value() == 1
    assert families["popbridge_sessions_ended"].value(reason="quit") == 1
    assert families["popbridge_upstream_opened"].sum() == 1
    steps = families["popbridge_upstream_step_seconds"]
    for step in ["connect", "tls", "greeting", "sign-in", "folder", "body", "commit"]:
        assert steps.sum("_count", step=step) == 1, step


def test_a_wrong_password_is_counted_and_degrades_nothing(served):
    popbridge, web = served
    with popbridge.client() as client:
        client.command(b"USER mistaken")
        assert client.command(b"PASS wrong").startswith(b"-ERR")
    families = web.metrics()
    assert families["popbridge_sign_ins_failed"].value(kind="auth") == 1
    assert families["popbridge_upstream_failed"].sum(kind="auth") == 1
    assert web.ready()[1]["status"] == "ok"


def test_a_server_that_is_gone_degrades_and_no_user_is_named():
    config = {"web": {"address": "127.0.0.1:0"},
              "routes": [{"match": "*", "server": f"imap://127.0.0.1:{net.free_port()}"}]}
    with bridge.Bridge(config) as popbridge:
        web = Web(net.wait_until(lambda: find_port(popbridge.log()), 10, "web"))
        with popbridge.client() as client:
            client.command(b"USER very-private-name")
            assert b"[SYS/TEMP]" in client.command(b"PASS very-private-word")
        status, body = web.ready()
        assert status == 200 and body["status"] == "degraded"
        for path in ["/", "/metrics", "/status.json", "/status.txt", "/ready"]:
            assert "very-private" not in web.ask(path)[2]


# The processes ---------------------------------------------------------------------------


def roles(popbridge, name):
    """The process ids of a role."""
    def is_role(pid):
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().split(b"\0")[1:3] == [b"--role", name.encode()]
    return [pid for pid in popbridge.pids()[1:] if is_role(pid)]


def restarted(popbridge):
    """Where the web role listens once another one than that of now serves."""
    before = len(popbridge.log("web"))
    return lambda: net.wait_until(
        lambda: len(popbridge.log("web")) > before and Web(find_port(popbridge.log())),
        20 * net.slow_factor(), "another web role serves")


def test_the_sessions_of_a_killed_worker_are_not_counted_any_more(served, dovecot):
    popbridge, web = served
    dovecot.deliver("killed", [mails.simple()])
    with popbridge.signed_in("killed"):
        assert web.metrics()["popbridge_sessions"].sum() == 1
        for pid in roles(popbridge, "worker"):
            os.kill(pid, signal.SIGKILL)
        families = net.wait_until(
            lambda: (seen := web.metrics())["popbridge_worker_restarts"].value() == 2 and
            seen["popbridge_workers_ready"].value() == 2 and seen,
            10 * net.slow_factor(), "two other workers")
    assert families["popbridge_sessions"].sum() == 0
    assert families["popbridge_upstream_connections"].value() == 0
    assert families["popbridge_sign_ins"].value() == 1  # a counter never goes back
    assert web.ready()[1]["status"] == "ok"


def test_a_killed_web_role_comes_back_and_sessions_do_not_notice(served, dovecot):
    popbridge, _ = served
    dovecot.deliver("calm", [mails.simple()])
    with popbridge.signed_in("calm") as client:
        come_back = restarted(popbridge)
        os.kill(roles(popbridge, "web")[0], signal.SIGKILL)
        web = come_back()
        assert web.metrics()["popbridge_web_restarts"].value() == 1
        assert web.metrics()["popbridge_sessions"].value(state="transaction") == 1
        assert client.stat()[0] == 1


def test_a_refused_reload_degrades_until_a_good_one(served):
    popbridge, web = served
    with open(popbridge.config_path, encoding="utf-8") as config:
        good = config.read()
    with open(popbridge.config_path, "w", encoding="utf-8") as config:
        config.write("routes: []\n")
    popbridge.process.send_signal(signal.SIGHUP)
    popbridge.wait_log("not reloaded")
    assert "reload was refused" in web.ready()[1]["reasons"][0]
    with open(popbridge.config_path, "w", encoding="utf-8") as config:
        config.write(good)
    come_back = restarted(popbridge)
    popbridge.process.send_signal(signal.SIGHUP)
    web = come_back()
    assert web.ready() == (200, {"status": "ok", "reasons": []})
    families = web.metrics()
    assert families["popbridge_reloads"].value() == 1
    assert families["popbridge_reloads_refused"].value() == 1
    assert families["popbridge_workers_ready"].value() == 2


# The command line ----------------------------------------------------------------------------


def write_config(folder, config):
    path = f"{folder}/asked.yaml"
    with open(path, "w", encoding="utf-8") as out:
        json.dump(config, out)
    return path


@pytest.fixture
def folder():
    path = net.short_folder("cli")
    yield path
    net.remove_folder(path)


def asked_at(folder, port):
    return write_config(folder, {**CONFIG, "web": {"address": f"127.0.0.1:{port}"}})


def test_health_exits_0_where_the_service_can_serve(alone, folder):
    done = bridge.run("health", "-c", asked_at(folder, alone.port))
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ok"


def test_health_exits_1_where_it_cannot_and_says_why(folder):
    with Alone(workers=0) as web:
        done = bridge.run("health", "-c", asked_at(folder, web.port))
    assert done.returncode == 1
    assert b"No worker is ready" in done.stdout


def test_health_exits_1_where_nobody_answers(folder):
    done = bridge.run("health", "-c", asked_at(folder, net.free_port()))
    assert done.returncode == 1
    assert b"Connection refused" in done.stderr and b"is popbridge running" in done.stderr


def test_status_is_for_people_and_for_programs(alone, folder):
    path = asked_at(folder, alone.port)
    done = bridge.run("status", "-c", path)
    assert done.returncode == 0
    assert b"2 of 2 workers" in done.stdout and b"imap://127.0.0.1:1" in done.stdout
    done = bridge.run("status", "--json", "-c", path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["workers"] == {"ready": 2, "wanted": 2}


def test_status_without_a_web_address_says_what_is_missing(folder):
    path = write_config(folder, {"routes": CONFIG["routes"]})
    for subcommand in ["status", "health"]:
        done = bridge.run(subcommand, "-c", path)
        assert done.returncode == 1
        assert b"no web section" in done.stderr


# In a browser ------------------------------------------------------------------------------


def chromium(folder, *arguments):
    program = shutil.which("chromium")
    assert program, "chromium is not installed (apt install chromium)"
    return subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         f"--user-data-dir={folder}/profile", "--enable-logging=stderr", "--v=0", *arguments],
        capture_output=True, timeout=60 * net.slow_factor(), check=True,
        env={**os.environ, "HOME": folder})


def test_chromium_shows_the_page_with_its_style_and_complains_of_nothing(folder):
    with Alone(server_down=1) as web:
        url = f"http://127.0.0.1:{web.port}/"
        done = chromium(folder, "--window-size=500,1500",
                        f"--screenshot={folder}/page.png", url)
        page = chromium(folder, "--dump-dom", url).stdout.decode()
    assert b"CONSOLE" not in done.stderr, done.stderr.decode()
    assert "imap://127.0.0.1:1 fails" in page
    assert os.path.getsize(f"{folder}/page.png") > 20000  # unstyled or blank is far smaller

"""
OAuth2 for tests: a real provider (npm oidc-provider, oauth/provider.mjs), scripted ones, and
a Dovecot that takes their tokens. All of it on loopback.

    with Provider(access_s=2) as provider, dovecot_for(provider) as dovecot: ...

What a program asks goes through a Front, which writes it down and can be told to answer
otherwise:

    provider.on("/token", lambda asked: (503, {}), times=2)
    provider.count("refresh_token")
"""

import base64
import contextlib
import html
import http.cookiejar
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from typing import NamedTuple

import dovecot
import net

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "oauth")
SCOPE = "openid offline_access email imap"
CLIENT = "mail-bridge"
PAGE_SECRET = "bridge-test-secret"
_RS_SECRET = "rs-test-secret"


class Asked(NamedTuple):
    method: str
    path: str
    form: dict
    body: bytes
    headers: dict


class Answered(NamedTuple):
    asked: Asked
    status: int
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Front:
    """
    An HTTP server: hook(asked) answers (status, dict or bytes), or None to let the provider
    behind it answer. rewrite(answered) sees each answer before it goes out, and may block.
    """

    def __init__(self, behind=None):
        self.behind = behind  # port
        self.answers = []  # Answered, in order
        self.rewrite = None
        self._lost = {}  # grant: answers that are still to be lost
        self._hooks = []
        self._lock = threading.Lock()
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                front._serve(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._handler = Handler
        self.port = net.free_port()
        self.come_up()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def come_up(self):
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self.port), self._handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def go_down(self):
        """Connections are refused until come_up()."""
        self._server.shutdown()
        self._server.server_close()

    def on(self, path, hook, times=None):
        with self._lock:
            self._hooks.insert(0, [path, hook, times])

    def lose_answers(self, grant, times):
        """The connection ends where the answer was to come."""
        with self._lock:
            self._lost[grant] = times

    def _loses(self, asked):
        grant = asked.form.get("grant_type")
        with self._lock:
            left = self._lost.get(grant, 0)
            self._lost[grant] = max(left - 1, 0)
        return left > 0

    def clear(self):
        with self._lock:
            self._lost.clear()
            self._hooks.clear()
            self.answers.clear()
            self.rewrite = None

    def granted(self, grant):
        """The answers to requests for a token by this grant type."""
        return [one for one in list(self.answers)
                if one.asked.form.get("grant_type", "").endswith(grant)]

    def count(self, grant):
        return len(self.granted(grant))

    def _hook(self, asked):
        with self._lock:
            for entry in self._hooks:
                if entry[0] == asked.path and entry[2] != 0:
                    entry[2] = None if entry[2] is None else entry[2] - 1
                    return entry[1]
        return None

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        path = urllib.parse.urlsplit(handler.path).path
        form = dict(urllib.parse.parse_qsl(body.decode("latin-1")))
        asked = Asked(handler.command, path, form, body, dict(handler.headers))
        hook = self._hook(asked)
        said = hook(asked) if hook else None
        headers = [("Content-Type", "application/json")]
        if said is not None:
            status, body = said
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        elif self.behind:
            status, headers, body = self._forward(handler, body)
        else:
            status, body = 404, b"{}"
        answered = Answered(asked, status, body)
        if self.rewrite:
            answered = self.rewrite(answered) or answered
        with self._lock:
            self.answers.append(answered)
        if self._loses(asked):
            return
        with contextlib.suppress(OSError):
            handler.send_response(answered.status)
            for name, value in headers:
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answered.body)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(answered.body)

    def _forward(self, handler, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=30)
        headers = {name: value for name, value in handler.headers.items()
                   if name.lower() not in ("connection", "content-length")}
        connection.request(handler.command, handler.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kept = [(name, value) for name, value in answer.getheaders()
                if name.lower() not in ("connection", "content-length", "keep-alive",
                                        "transfer-encoding", "date")]
        return answer.status, kept, content

    def close(self):
        self.go_down()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Provider(Front):
    """The real one. A person's consent is asked for again after 1 s, not 5."""

    def __init__(self, access_s=300, redirect="https://localhost/callback"):
        if not os.path.isdir(f"{FOLDER}/node_modules"):
            raise RuntimeError(f"the test provider is not installed: npm ci in {FOLDER}")
        self._folder = net.short_folder("op")
        self._process = None
        self._redirect = redirect
        super().__init__(net.free_port())
        try:
            self._launch(access_s)
        except BaseException:
            self.close()
            raise
        self.clear()

    def clear(self):
        super().clear()
        self.on("/device/auth", self._hurry)

    def _hurry(self, asked):
        status, _, body = self._forward(_Replay(asked), asked.body)
        answer = json.loads(body)
        return status, {**answer, "interval": 1} if status == 200 else answer

    def _launch(self, access_s):
        with open(f"{self._folder}/log", "wb") as log:
            self._process = subprocess.Popen(
                net.die_with_parent(["node", f"{FOLDER}/provider.mjs"]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "OAUTH_PORT": str(self.behind), "OAUTH_ISSUER": self.url,
                     "OAUTH_ACCESS_TTL": str(access_s), "OAUTH_RS_SECRET": _RS_SECRET, "OAUTH_REDIRECT": self._redirect})
        net.wait_until(lambda: "listening" in self.log, 20 * net.slow_factor(),
                       lambda: f"the provider listens: {self.log}")

    @property
    def log(self):
        with open(f"{self._folder}/log", encoding="utf-8", errors="replace") as log:
            return log.read()

    @property
    def config(self):
        """An entry for providers: in popbridge's configuration."""
        return {"name": "test", "kind": "custom", "client-id": CLIENT, "scope": SCOPE,
                "discovery": f"{self.url}/.well-known/openid-configuration"}

    def page_config(self, secret_file):
        """The same, for the consent page; secret_file is to hold PAGE_SECRET."""
        return {**self.config, "client-id": "mail-bridge-page",
                "client-secret-file": secret_file}

    def is_active(self, token):
        form = urllib.parse.urlencode({"token": token}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.behind}/token/introspection", form,
            {"Host": f"127.0.0.1:{self.port}"})
        word = base64.b64encode(f"imap-server:{_RS_SECRET}".encode())
        request.add_header("Authorization", "Basic " + word.decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["active"]

    def wait_expired(self, token):
        net.wait_until(lambda: not self.is_active(token), 20 * net.slow_factor(),
                       "the token expires")

    def revoke(self, token):
        """As the person would, at the provider."""
        form = urllib.parse.urlencode({"token": token, "client_id": CLIENT}).encode()
        urllib.request.urlopen(f"{self.url}/token/revocation", form, timeout=10).close()

    def close(self):
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        super().close()
        net.remove_folder(self._folder)


class _Replay:
    """What Front._forward needs of a handler, for a request it already took apart."""

    def __init__(self, asked):
        self.command, self.path, self.headers = asked.method, asked.path, asked.headers


@contextlib.contextmanager
def dovecot_for(provider, mechanisms="xoauth2 oauthbearer"):
    """Its users are the provider's; passwords are not taken, tokens are introspected."""
    folder = net.short_folder("od")
    path = f"{folder}/oauth2.conf.ext"
    with open(path, "w", encoding="ascii") as out:
        out.write(f"""
introspection_mode = post
introspection_url = http://imap-server:{_RS_SECRET}@127.0.0.1:{provider.behind}/token/introspection
force_introspection = yes
username_attribute = username
active_attribute = active
active_value = true
scope = imap
timeout_msecs = 5000
""")
    extra = f"passdb {{\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = {path}\n}}"
    try:
        with dovecot.Dovecot(mechanisms=mechanisms, extra=extra) as server:
            yield server
    finally:
        net.remove_folder(folder)


# The human ------------------------------------------------------------------------

def person(url, user_code, login, refuse=False):
    """Opens the page, types the code, signs in as login, consents (or refuses)."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar)

    def open_page(address, form=None):
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        with browser.open(address, body, timeout=20) as answer:
            return answer.geturl(), answer.read().decode()

    place, page = open_page(url)
    for _ in range(8):
        form = re.search(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', page, re.S)
        if not form:
            break
        fields = _fields(form[2])
        if "user_code" in fields and "confirm" not in fields:
            fields["user_code"] = user_code
        if "login" in fields:
            fields.update(login=login, password="any")
        if refuse and "confirm" in fields:
            fields["abort"] = "yes"
        place, page = open_page(urllib.parse.urljoin(place, html.unescape(form[1])), fields)
    return "Success" in page


class _Stop(urllib.request.HTTPRedirectHandler):
    def __init__(self, redirect):
        self.redirect = redirect

    def redirect_request(self, request, answer, code, message, headers, url):
        if url.startswith(self.redirect):
            raise StopAt(url)
        return super().redirect_request(request, answer, code, message, headers, url)


class StopAt(Exception):
    """Where the browser would be sent back to."""


def person_at(url, login, redirect, refuse=False):
    """Opens the authorization page, signs in as login, consents: the address called back."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar, _Stop(redirect))
    place, form = url, None
    try:
        for _ in range(8):
            body = urllib.parse.urlencode(form).encode() if form is not None else None
            with browser.open(place, body, timeout=20) as answer:
                place, page = answer.geturl(), answer.read().decode()
            found = re.search(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', page, re.S)
            abort = re.search(r'href="([^"]*/abort)"', page)
            assert found, page
            form = _fields(found[2])
            if "login" in form:
                form.update(login=login, password="any")
            elif refuse:
                place, form = urllib.parse.urljoin(place, abort[1]), None
                continue
            place = urllib.parse.urljoin(place, html.unescape(found[1]))
    except StopAt as stop:
        return stop.args[0]
    raise AssertionError(f"the provider does not come to an end: {place}")


def _fields(form):
    found = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        said = dict(re.findall(r'\b(name|value)="([^"]*)"', tag))
        if "name" in said:
            found[said["name"]] = html.unescape(said.get("value", ""))
    return found

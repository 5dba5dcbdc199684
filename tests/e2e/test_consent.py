"""
The consent page: an invited person in a real Chromium, at a real provider, gets a device
password that reads mail; and what is refused.
"""

import concurrent.futures
import http.client
import itertools
import json
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import urllib.parse

import bridge
import browser
import net
import oauth
import pytest
import roles
import test_oauth

MAIL = test_oauth.MAIL
SHOTS = os.environ.get("POPBRIDGE_SHOTS")  # a folder for pictures of the pages


class Page:
    """The consent page, asked by hand from an address of its own: each has its rate."""

    _addresses = itertools.count(1)

    def __init__(self, port):
        self.port, self.cookie = port, None
        self.address = f"127.0.3.{next(self._addresses) % 250 + 1}"
        self.host = f"localhost:{port}"
        self.origin = f"https://{self.host}"

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context,
                                           timeout=30 * net.slow_factor(),
                                           source_address=(self.address, 0))

    def ask(self, method, path, form=None, **headers):
        """(status, headers, text); a header of None is not sent."""
        connection = self.connect()
        sent = {"Host": self.host}
        if self.cookie:
            sent["Cookie"] = self.cookie
        body = None
        if method == "POST":
            sent["Origin"] = self.origin
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(form or {})
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection.request(method, path, body,
                           {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.headers["Set-Cookie"]:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer.status, answer.headers, text

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, form=None, **headers):
        return self.ask("POST", path, form, **headers)

    def start(self, link):
        """Uses the invitation; where the browser is sent to."""
        status, _, text = self.post("/start", {"token": token_of(link)})
        assert status == 200, text
        return onward(text)

    def word(self):
        """The secret of this visit's forms."""
        status, _, text = self.get("/account")
        assert status == 200, text
        return re.search(r'name="form" value="(\w+)"', text)[1]


def token_of(link):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["token"][0]


def onward(text):
    """The provider's address that a page leads to, taken apart."""
    address = re.search(r'<a class="button main" href="([^"]+)"', text)[1]
    address = address.replace("&amp;", "&")
    return address, dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))


class Gateway(test_oauth.Service):
    """popbridge with the page."""

    def __init__(self, provider, server, pki, port, secret_file, **more):
        self.port = port
        super().__init__(
            provider, server.url, providers=[provider.page_config(secret_file)],
            consent={"address": f"127.0.0.1:{port}", "url": f"https://localhost:{port}",
                     "certificate": pki.server.chain, "key": pki.server.key,
                     "pop3-server": "pop3s://pop.example.com", **more})
        self.running.wait_log("consent page")

    @property
    def origin(self):
        return f"https://localhost:{self.port}"

    @property
    def callback(self):
        return f"{self.origin}/callback"

    def invite(self, name):
        return json.loads(self.account("invite", name, "--json"))["url"]

    def invited(self, name, *words):
        self.account("add", name, "--provider", "test", *words)
        return self.invite(name)

    def visit(self):
        """Another browser, with an address of its own."""
        return Page(self.port)

    def signed_in(self, name):
        """A browser whose person has just consented."""
        page = self.visit()
        address, _ = page.start(self.invited(name))
        status, headers, text = page.get(self.called_back(address, name))
        assert (status, headers["Location"]) == (303, "/account"), text
        return page

    def called_back(self, address, login, **how):
        """The path that the provider sends the browser back to."""
        called = oauth.person_at(address, login, self.callback, **how)
        return called.replace(self.origin, "")

@pytest.fixture(scope="module")
def port():
    return net.free_port()


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "client.secret"
    path.write_text(oauth.PAGE_SECRET + "\n", encoding="ascii")
    return str(path)


@pytest.fixture(scope="module")
def provider(port):
    with oauth.Provider(redirect=f"https://localhost:{port}/callback") as started:
        yield started


@pytest.fixture(scope="module")
def server(provider):
    with oauth.dovecot_for(provider) as started:
        yield started


@pytest.fixture(scope="module")
def one_gateway(provider, server, pki, port, secret_file):
    started = Gateway(provider, server, pki, port, secret_file)
    yield started
    started.close()


@pytest.fixture
def gateway(one_gateway):
    """For all tests; each has an account of its own."""
    one_gateway.provider.clear()
    return one_gateway


# A person in a browser ------------------------------------------------------------------


def shoot(chromium, name):
    if SHOTS:
        os.makedirs(SHOTS, exist_ok=True)
        for dark in (False, True):
            shade = "dark" if dark else "light"
            chromium.picture(f"{SHOTS}/{name}-desktop-{shade}.png", dark=dark)
            chromium.picture(f"{SHOTS}/{name}-phone-{shade}.png", width=390, dark=dark)


def sign_in_at_provider(chromium, login):
    chromium.fill("input[name=login]", login)
    chromium.fill("input[name=password]", "any")
    chromium.click("button[type=submit]")
    net.wait_until(lambda: "Continue" in chromium.text(), 20, "the provider asks for consent")
    chromium.click("button[type=submit]")


def test_an_invited_person_gets_a_password_that_reads_mail(gateway, server, user):
    server.write_maildir(user, MAIL)
    link = gateway.invited(user)
    with browser.Browser() as chromium:
        chromium.open(link)
        chromium.wait_title("Mail for your device")
        assert user in chromium.text()
        shoot(chromium, "invitation")
        chromium.click("button.main")
        sign_in_at_provider(chromium, user)
        chromium.wait_title("Your device can read mail now")
        assert chromium.url == f"{gateway.origin}/account"
        settings = {name: chromium.value(f"#{name}")
                    for name in ("server", "port", "security", "user", "password")}
        shoot(chromium, "account")
        complaints = chromium.complaints(gateway.origin)
    assert {**settings, "password": ""} == {
        "server": "pop.example.com", "port": "995", "security": "SSL/TLS", "user": user,
        "password": ""}
    assert not complaints
    host, at = gateway.running.addresses()[0]
    got = subprocess.run(["curl", "-s", "-u", f"{user}:{settings['password']}",
                          f"pop3://{host}:{at}/1"], capture_output=True,
                         timeout=30 * net.slow_factor(), check=True)
    assert got.stdout == MAIL


def test_a_person_copies_makes_and_removes_passwords(gateway, user):
    link = gateway.invited(user)
    with browser.Browser() as chromium:
        chromium.open(link)
        chromium.click("button.main")
        sign_in_at_provider(chromium, user)
        chromium.wait_title("Your device can read mail now")
        chromium.tell("Browser.grantPermissions",
                      permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        password = chromium.value("#password")
        chromium.click("button.copy[data-for=password]")
        net.wait_until(lambda: "Password is copied." in chromium.text(), 10, "it is copied")
        assert chromium.clipboard() == password
        chromium.open(f"{gateway.origin}/account")
        assert not chromium.script("return !!document.getElementById('password')")
        chromium.fill("#label", "scanner, <2nd> floor")
        chromium.click(".make button")
        net.wait_until(lambda: chromium.script(
            "return document.querySelectorAll('.devices li').length") == 2, 10, "two of them")
        second = chromium.value("#password")
        assert "scanner, <2nd> floor" in chromium.text()
        assert gateway.messages(user, password) == gateway.messages(user, second) == 0
        chromium.click(".devices li:first-child button")
        net.wait_until(lambda: chromium.script(
            "return document.querySelectorAll('.devices li').length") == 1, 10, "one is left")
        shoot(chromium, "later")
        assert "[AUTH]" in gateway.refusal(user, password)
        assert gateway.messages(user, second) == 0
        chromium.click("form[action='/leave'] button")
        chromium.wait_title("You are signed out")
        shoot(chromium, "left")
        assert not [one for one in chromium.cookies() if one["name"].startswith("__Host-")]
        assert not chromium.complaints(gateway.origin)


def test_the_page_works_without_its_script(gateway, user):
    with browser.Browser() as chromium:
        chromium.tell("Emulation.setScriptExecutionDisabled", value=True)
        chromium.open(gateway.invited(user))
        chromium.click("button.main")
        sign_in_at_provider(chromium, user)
        chromium.wait_title("Your device can read mail now")
        password = chromium.value("#password")
        assert not chromium.is_shown("button.copy")
    assert gateway.messages(user, password) == 0


def test_who_signs_in_as_somebody_else_is_told_and_may_try_again(gateway, user):
    with browser.Browser() as chromium:
        chromium.open(gateway.invited(user))
        chromium.click("button.main")
        sign_in_at_provider(chromium, "mallory@example.test")
        chromium.wait_title("That did not work")
        assert "Somebody else signed in" in chromium.text()
        assert "mallory@example.test" in chromium.text()
        shoot(chromium, "other-person")
        assert gateway.shown(user)["consent"] == "nobody has consented yet"
        assert gateway.provider.count("authorization_code") == 1
        token = gateway.provider.granted("authorization_code")[-1].json["refresh_token"]
        assert not gateway.provider.is_active(token)
        chromium.click("a.button")
        chromium.wait_title("You have not signed in yet")
        shoot(chromium, "not-signed-in")
    assert gateway.running.log("consent refused")


# What is refused ------------------------------------------------------------------------


def test_a_link_works_once(gateway, user):
    link = gateway.invited(user)
    page, other = gateway.visit(), gateway.visit()
    path = link.replace(gateway.origin, "")
    assert user in page.get(path)[2]
    assert user in page.get(path)[2]  # who looks does not use it up, a mail filter neither
    page.start(link)
    for status, _, text in (page.get(path), other.get(path),
                            other.post("/start", {"token": token_of(link)})):
        assert status == 403
        assert "This link is not good" in text
    assert not other.cookie


def test_a_new_link_ends_the_one_before(gateway, user):
    first = gateway.invited(user)
    second = gateway.invite(user)
    page = gateway.visit()
    assert page.post("/start", {"token": token_of(first)})[0] == 403
    page.start(second)


def test_of_many_who_use_a_link_at_once_one_gets_in(gateway, user):
    link = gateway.invited(user)
    form = {"token": token_of(link)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda page: page.post("/start", form)[0],
                                [gateway.visit() for _ in range(8)]))
    assert answers.count(200) <= 1
    assert set(answers) <= {200, 403, 503}


def test_a_link_is_over_with_its_time(provider, server, pki, secret_file, user):
    own = Gateway(provider, server, pki, net.free_port(), secret_file,
                  **{"invitation-life": "1m"})
    try:
        link = own.invited(user)
        own.running.stop()
        with sqlite3.connect(f"{own.folder}/state/popbridge.db") as store:
            store.execute("UPDATE invitations SET until_s = until_s - 60")
        own.running = bridge.Bridge(own.config)
        own.running.wait_log("consent page")
        assert own.visit().post("/start", {"token": token_of(link)})[0] == 403
        assert own.visit().start(own.invite(user))
    finally:
        own.close()


def test_the_link_is_in_no_log_and_the_store_has_a_hash_of_it_only(gateway, user):
    link = gateway.invited(user)
    page = gateway.visit()
    page.get(link.replace(gateway.origin, ""))
    page.start(link)
    session = page.cookie.split("=")[1]
    store = b""
    for name in os.listdir(f"{gateway.folder}/state"):
        path = f"{gateway.folder}/state/{name}"
        if os.path.isfile(path):
            with open(path, "rb") as file:
                store += file.read()
    for secret in (token_of(link), session):
        assert secret not in gateway.running.stderr
        assert secret.encode() not in store


def test_the_provider_is_asked_with_pkce_state_nonce_and_the_exact_way_back(gateway, user):
    page = gateway.visit()
    _, asked = page.start(gateway.invited(user))
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 43 and len(asked["nonce"]) >= 43
    assert asked["redirect_uri"] == gateway.callback
    assert asked["login_hint"] == user


def test_a_wrong_state_changes_nothing_and_the_right_one_is_taken_still(gateway, user):
    page = gateway.visit()
    address, asked = page.start(gateway.invited(user))
    called = gateway.called_back(address, user)
    wrong = called.replace(asked["state"], "x" * len(asked["state"]))
    missing = called.replace("state=", "stat=")
    for path in (wrong, missing):
        status, _, text = page.get(path)
        assert status == 409
        assert "not the one that you began here" in text
    assert gateway.shown(user)["consent"] == "nobody has consented yet"
    assert page.get(called)[0] == 303
    assert gateway.shown(user)["consent"] == "given"


def test_a_callback_counts_once_and_in_the_browser_that_began(gateway, user):
    page, other = gateway.visit(), gateway.visit()
    address, _ = page.start(gateway.invited(user))
    called = gateway.called_back(address, user)
    status, _, text = other.get(called)
    assert status == 403 and "began in another browser" in text
    assert gateway.provider.count("authorization_code") == 0
    assert page.get(called)[0] == 303
    assert page.get(called)[0] == 409
    assert gateway.provider.count("authorization_code") == 1


def test_another_persons_visit_does_not_take_this_ones_callback(gateway, user):
    victim, thief = gateway.visit(), gateway.visit()
    address, _ = victim.start(gateway.invited(user))
    thief.start(gateway.invited(user + "-thief"))
    assert thief.get(gateway.called_back(address, user))[0] == 409
    assert gateway.shown(user + "-thief")["consent"] == "nobody has consented yet"


@pytest.mark.parametrize("iss", [None, "https://evil.example"])
def test_an_answer_of_another_issuer_is_not_exchanged(gateway, user, iss):
    page = gateway.visit()
    address, _ = page.start(gateway.invited(user))
    called = gateway.called_back(address, user)
    parts = urllib.parse.urlsplit(called)
    fields = dict(urllib.parse.parse_qsl(parts.query))
    assert fields.pop("iss") == gateway.provider.url
    if iss:
        fields["iss"] = iss
    status, _, text = page.get(f"{parts.path}?{urllib.parse.urlencode(fields)}")
    assert status == 403
    assert "RFC 9207" in text
    assert gateway.provider.count("authorization_code") == 0
    assert gateway.shown(user)["consent"] == "nobody has consented yet"


def test_a_code_of_another_sign_in_is_worth_nothing(gateway, user):
    """Injected: it does not fit the verifier (PKCE)."""
    page, thief = gateway.visit(), gateway.visit()
    address, asked = page.start(gateway.invited(user))
    other_address, _ = thief.start(gateway.invited(user + "-thief"))
    stolen = urllib.parse.parse_qs(urllib.parse.urlsplit(
        gateway.called_back(other_address, user)).query)["code"][0]
    own = urllib.parse.parse_qs(urllib.parse.urlsplit(
        gateway.called_back(address, user)).query)
    fields = {"code": stolen, "state": asked["state"], "iss": own["iss"][0]}
    status, _, text = page.get("/callback?" + urllib.parse.urlencode(fields))
    assert status == 403 and "no consent" in text
    assert gateway.shown(user)["consent"] == "nobody has consented yet"


def test_a_person_who_says_no_is_told_so(gateway, user):
    page = gateway.visit()
    address, _ = page.start(gateway.invited(user))
    status, _, text = page.get(gateway.called_back(address, user, refuse=True))
    assert status == 403
    assert "Access to your mail was not allowed" in text
    assert gateway.provider.count("authorization_code") == 0


def test_an_alias_may_consent(gateway, user):
    page = gateway.visit()
    address, _ = page.start(gateway.invited(user, "--alias", "jo@example.test"))
    assert page.get(gateway.called_back(address, "Jo@Example.test"))[0] == 303


def test_a_provider_that_is_down_costs_no_link(gateway, user):
    page = gateway.visit()
    link = gateway.invited(user)
    address, _ = page.start(link)
    called = gateway.called_back(address, user)
    gateway.provider.on("/token", lambda asked: (503, {}))
    status, headers, text = page.get(called)
    assert status == 503 and headers["Retry-After"]
    assert "Try again in a minute" in text
    gateway.provider.clear()
    word = page.word()
    status, _, text = page.post("/again", {"form": word})
    assert status == 200
    assert page.get(gateway.called_back(onward(text)[0], user))[0] == 303


def test_an_account_that_is_gone_has_no_visit(gateway, user):
    page = gateway.signed_in(user)
    gateway.account("remove", user)
    assert page.get("/account")[0] == 403


def test_an_account_that_is_imported_anew_has_no_visit(gateway, user):
    """It may be another mailbox's now, and another person's."""
    page = gateway.signed_in(user)
    gateway.account("import", gateway.file(
        f"{user}.csv", f"user,provider,mailbox\n{user},test,other-{user}"))
    status, _, text = page.get("/account")
    assert status == 403, text
    assert "Your visit here is over" in text


def test_a_name_that_is_not_the_pages_is_not_answered(gateway):
    page = gateway.visit()
    for host in ("evil.example", f"127.0.0.1:{gateway.port}", "localhost", ""):
        status, _, text = page.get("/", Host=host)
        assert status in (400, 421), text


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"}, {"Content-Type": "text/plain"}, {"Content-Type": None}])
def test_a_form_of_another_site_changes_nothing(gateway, user, headers):
    link = gateway.invited(user)
    page = gateway.visit()
    status, _, text = page.post("/start", {"token": token_of(link)}, **headers)
    assert status == 403
    assert "did not come from a page of ours" in text
    page.start(link)


@pytest.mark.parametrize("path", ["/again", "/password", "/revoke", "/leave"])
def test_a_form_without_our_word_changes_nothing(gateway, user, path):
    page, other = gateway.signed_in(user), gateway.signed_in(user + "-other")
    for form in ({}, {"form": "x" * 48}, {"form": other.word()}):
        status, _, text = page.post(path, {**form, "id": "1"})
        assert status == 403
        assert "did not come from a page of ours" in text
    assert len(gateway.shown(user)["passwords"]) == 1
    assert page.get("/account")[0] == 200


def test_what_only_a_signed_in_person_may_is_refused_before(gateway, user):
    page = gateway.visit()
    page.start(gateway.invited(user))
    word = page.word()
    for path in ("/password", "/revoke"):
        assert page.post(path, {"form": word, "id": "1"})[0] == 409
    assert not gateway.shown(user)["passwords"]


def test_a_password_is_shown_once_and_another_persons_is_not_removed(gateway, user):
    page, other = gateway.signed_in(user), gateway.signed_in(user + "-other")
    shown = re.compile(r'id="password" readonly size="1" value="([\w-]+)"')
    password = shown.search(page.get("/account")[2])[1]
    assert not shown.search(page.get("/account")[2])
    assert gateway.messages(user, password) == 0
    for number in ("1", "2", "99", "-1", "x", "99999999999999999999"):
        assert other.post("/revoke", {"form": other.word(), "id": number})[0] == 303
    assert gateway.messages(user, password) == 0


def test_no_visit_outlives_its_end(gateway, user):
    page = gateway.signed_in(user)
    cookie, word = page.cookie, page.word()
    status, headers, _ = page.post("/leave", {"form": word})
    assert status == 200 and "Max-Age=0" in headers["Set-Cookie"]
    page.cookie = cookie
    assert page.get("/account")[0] == 403
    assert page.post("/password", {"form": word})[0] == 403


@pytest.mark.parametrize("path", ["/", "/account", "/nothing", "/invitation?token=x",
                                  "/callback?state=x&code=y", "/invitation?token=%00",
                                  "/callback?state=a&state=b"])
def test_every_answer_has_headers_that_let_nothing_in_or_out(gateway, path):
    _, headers, text = gateway.visit().get(path)
    policy = headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'",
                 "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert re.search(rf"<style nonce=\"{re.search('nonce-([0-9a-f]+)', policy)[1]}\"", text)
    assert "That did not work" in text or path == "/"


def test_the_cookie_is_the_visits_alone(gateway, user):
    page = gateway.visit()
    link = gateway.invited(user)
    assert not page.get("/")[1]["Set-Cookie"]
    assert not page.get(link.replace(gateway.origin, ""))[1]["Set-Cookie"]
    _, headers, _ = page.post("/start", {"token": token_of(link)})
    name, rest = headers["Set-Cookie"].split("=", 1)
    assert name == "__Host-popbridge"
    for part in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=1800"):
        assert part in rest.split("; ")
    assert "Domain" not in rest


@pytest.mark.parametrize("method,path", [("POST", "/account"), ("GET", "/start"),
                                         ("GET", "/revoke"), ("HEAD", "/account"),
                                         ("PUT", "/"), ("DELETE", "/password")])
def test_a_page_is_asked_in_its_own_way_only(gateway, method, path):
    status, headers, _ = gateway.visit().ask(method, path)
    assert status == 405 and headers["Allow"]


def test_a_flood_from_one_address_is_slowed_and_others_are_not(gateway, user):
    flooder, page = gateway.visit(), gateway.visit()
    link = gateway.invited(user)
    connection = flooder.connect()
    answers = []
    for _ in range(60):
        connection.request("GET", "/invitation?token=guess", headers={"Host": page.host})
        answer = connection.getresponse()
        answers.append((answer.status, answer.headers["Retry-After"], answer.read()))
    connection.close()
    late = [one for one in answers if one[0] == 429]
    assert late and len(answers) - len(late) >= 40
    assert late[0][1] and b"Wait half a minute" in late[0][2]
    page.start(link)


def test_too_long_a_form_or_query_is_refused(gateway, user):
    page = gateway.visit()
    status, _, text = page.post("/start", {"token": "x" * 20000})
    assert status == 400 and "cannot be understood" in text
    assert page.get("/callback?code=" + "x" * 9000)[0] == 400
    page.start(gateway.invited(user))


def test_who_sends_without_end_is_cut_off(gateway):
    page = gateway.visit()
    connection = page.connect()
    connection.putrequest("POST", "/start", skip_host=True)
    for name, value in (("Host", page.host), ("Origin", page.origin),
                        ("Content-Type", "application/x-www-form-urlencoded"),
                        ("Content-Length", str(1 << 40))):
        connection.putheader(name, value)
    connection.endheaders()
    with pytest.raises(OSError):
        for _ in range(64):
            connection.send(b"x" * (1 << 20))
    connection.close()


def test_the_page_speaks_tls_1_2_and_newer_only(gateway):
    def handshake(version, ciphers="ALL"):
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", version,
             "-cipher", f"{ciphers}:@SECLEVEL=0"], input=b"", capture_output=True,
            check=False, timeout=30 * net.slow_factor()).returncode

    assert handshake("-tls1_3") == handshake("-tls1_2") == 0
    assert handshake("-tls1_2", "ECDHE+AESGCM") == 0
    assert handshake("-tls1_1") != 0
    for weak in ("kRSA", "AES128-GCM-SHA256", "ECDHE+SHA1", "ECDHE+SHA384:!AESGCM"):
        assert handshake("-tls1_2", weak) != 0, weak


# When parts of the service end ------------------------------------------------------------


@pytest.fixture
def own_gateway(provider, server, pki, secret_file):
    started = Gateway(provider, server, pki, net.free_port(), secret_file)
    yield started
    started.close()


def test_visits_survive_the_web_role_and_links_the_keeper(own_gateway, user):
    first = own_gateway.invited(user)
    page = own_gateway.visit()
    page.start(first)
    kept = own_gateway.invite(user)
    os.kill(roles.pids(own_gateway.running, "web")[-1], signal.SIGKILL)
    net.wait_until(lambda: _answers(page), 20 * net.slow_factor(), "the page is back")
    assert page.get("/account")[0] == 200
    os.kill(roles.pids(own_gateway.running, "keeper")[-1], signal.SIGKILL)
    net.wait_until(lambda: own_gateway.visit().get(
        kept.replace(own_gateway.origin, ""))[0] == 200, 20 * net.slow_factor(),
        "the next keeper knows the link")
    status, _, text = page.get("/account")
    assert status == 403 and "Your visit here is over" in text
    own_gateway.visit().start(kept)


def _answers(page):
    try:
        return page.get("/")[0] == 200
    except OSError:
        return False


def test_a_reload_takes_the_page_away_and_brings_it_back(own_gateway, user):
    link = own_gateway.invited(user)
    with open(own_gateway.running.config_path, encoding="utf-8") as file:
        config = json.load(file)
    page = config.pop("consent")
    reload_with(own_gateway, config)
    net.wait_until(lambda: not _answers(own_gateway.visit()), 20 * net.slow_factor(),
                   "the page is gone")
    assert "there is no page to invite anybody to" in own_gateway.account(
        "invite", user, code=1)
    reload_with(own_gateway, {**config, "consent": page})
    net.wait_until(lambda: _answers(own_gateway.visit()), 20 * net.slow_factor(),
                   "the page is back")
    own_gateway.visit().start(link)


def reload_with(gateway, config):
    with open(gateway.running.config_path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    count = len(gateway.running.log("reloaded"))
    gateway.running.process.send_signal(signal.SIGHUP)
    gateway.running.wait_log("reloaded", count + 1)


def test_nobody_is_invited_where_the_provider_does_not_say_who_signs_in(own_gateway, user):
    """A link alone would do there, for whoever has it."""
    with open(own_gateway.running.config_path, encoding="utf-8") as file:
        config = json.load(file)
    silent = {"kind": "fastmail", "client-id": "x"}
    reload_with(own_gateway, {**config, "providers": [*config["providers"], silent]})
    own_gateway.account("add", user, "--provider", "fastmail")
    assert "provider fastmail does not say who signs in" in own_gateway.account(
        "invite", user, code=1)


def test_who_consents_by_himself_cannot_be_invited(gateway, user):
    gateway.account("add", user, "--kind", "pass-through")
    assert "does not sign in with OAuth2" in gateway.account("invite", user, code=1)
    assert "no such account" in gateway.account("invite", "nobody-" + user, code=1)

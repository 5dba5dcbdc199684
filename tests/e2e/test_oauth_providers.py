"""
Particulars of Microsoft's and Google's providers, and of their IMAP servers, by scripted ones
that say what those say.
"""

import base64
import json
import subprocess
import time

import bridge
import net
import oauth
import pytest
from test_oauth import Service

TOKEN = "token"  # what the scripted IMAP server takes
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "00000000-aaaa-bbbb-cccc-dddddddddddd"


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def id_token(login, began_s=0, lives_s=3600):
    """began_s: by how much the provider's clock is ahead of ours."""
    began = int(time.time()) + began_s
    return ".".join([_part({"alg": "RS256"}), _part({
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "aud": CLIENT,
        "iat": began, "nbf": began, "exp": began + lives_s, "preferred_username": login}),
        "c2ln"])


class Scripted(oauth.Front):
    """Says `said` to each request for a token; a device code is good at once."""

    def __init__(self, **entry):
        super().__init__()
        self._folder = net.short_folder("os")
        self.said = (200, {})
        self.on("/token", lambda asked: self.said)
        self.on("/device", lambda asked: (200, {
            "user_code": "ABC123", "device_code": "DEVICE", "interval": "1",
            "expires_in": "900", "verification_uri": f"{self.url}/page"}))
        self.on("/page", lambda asked: (200, b"Success"))
        self.config = {"name": "test", "client-id": CLIENT,
                       "token-endpoint": f"{self.url}/token", **entry}

    def file(self, setting, text):
        """A setting that names a file, and the file."""
        self.config[setting] = f"{self._folder}/{setting}"
        with open(self.config[setting], "w", encoding="utf-8") as out:
            out.write(text)

    def close(self):
        super().close()
        net.remove_folder(self._folder)

    def grant(self, login=None, **more):
        """Numbers as texts, as Microsoft's older endpoints have them."""
        said = {"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599",
                "access_token": TOKEN, **more}
        if login:
            said["id_token"] = id_token(login)
        self.said = (200, said)

    def microsoft_refuses(self, code, number, words):
        self.said = (400, {
            "error": code, "error_description": f"AADSTS{number}: {words} Trace ID: 0 "
            "Correlation ID: 0 Timestamp: 2026-01-01 00:00:00Z", "error_codes": [number],
            "timestamp": "2026-01-01 00:00:00Z", "trace_id": "0", "correlation_id": "0"})

    def asked(self):
        return [one.asked.form for one in self.answers if one.asked.path == "/token"]


@pytest.fixture
def start(fake):
    """start(provider): a service of it, in front of the scripted IMAP server."""
    ends = []

    def begin(provider):
        ends.append(provider)
        ends.append(Service(provider, fake.url))
        return ends[-1]

    yield begin
    for one in reversed(ends):
        one.close()


@pytest.fixture
def microsoft():
    provider = Scripted(kind="microsoft")
    provider.config["device-endpoint"] = f"{provider.url}/device"
    return provider


def test_numbers_may_be_texts_and_the_upn_says_who_consented(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant("Joe@Example.com", refresh_token="R1")
    password = service.add("scanner", "--mailbox", user, "--signs-in-as", "joe@example.com")
    service.consent("scanner")
    assert service.messages("scanner", password) == 0
    assert len(microsoft.asked()) == 1, "the token lives for an hour"


def test_consent_without_a_refresh_token_is_none(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant(user)
    service.add(user)
    assert "no refresh token" in service.consent(user, code=1)
    assert service.shown(user)["consent"] == "nobody has consented yet"


@pytest.mark.parametrize("code, number, words", [
    ("invalid_grant", 700082, "The refresh token has expired due to inactivity."),
    ("invalid_grant", 50173, "The provided grant has expired due to it being revoked."),
    ("interaction_required", 50076, "Due to a configuration change made by your "
     "administrator you must use multi-factor authentication."),
])
def test_microsofts_word_that_consent_is_over_is_shown(
        start, microsoft, user, code, number, words):
    service = start(microsoft)
    microsoft.grant(user, refresh_token="R1", expires_in="1")
    password = service.add(user)
    service.consent(user)
    microsoft.microsoft_refuses(code, number, words)
    _until_expired(microsoft)
    assert "[SYS/PERM]" in service.refusal(user, password)
    shown = service.shown(user)
    assert "needed" in shown["consent"] and f"AADSTS{number}" in shown["consent_cause"]


def test_a_busy_microsoft_is_temporary(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant(user, refresh_token="R1", expires_in="1")
    password = service.add(user)
    service.consent(user)
    microsoft.said = (503, {"error": "temporarily_unavailable",
                            "error_description": "AADSTS90033: try again"})
    _until_expired(microsoft)
    assert "[SYS/TEMP]" in service.refusal(user, password)
    assert service.shown(user)["consent"] == "given"


def _until_expired(provider):
    """The token it gave last is good for 1 s, counted in whole seconds."""
    assert int(provider.answers[-1].json["expires_in"]) == 1
    granted = time.time()
    net.wait_until(lambda: time.time() > granted + 2, 10, "a token's end")


def test_app_only_accounts_share_one_token(start, fake, user):
    provider = Scripted(kind="microsoft", tenant=TENANT, **{"app-only": True})
    provider.file("client-secret-file", "app-secret-value\n")
    service = start(provider)
    provider.grant()
    one = service.add("one", "--mailbox", f"{user}-1")
    two = service.add("two", "--mailbox", f"{user}-2")
    assert service.messages("one", one) == service.messages("two", two) == 0
    assert len(provider.asked()) == 1
    form = provider.asked()[0]
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://outlook.office365.com/.default"
    assert form["client_secret"] == "app-secret-value"
    assert {one.user.decode() for one in fake.credentials} == {f"{user}-1", f"{user}-2"}


def _rsa(name):
    """A new RSA key and a certificate of it, PEM texts."""
    folder = net.short_folder("or")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", f"{folder}/key", "-out", f"{folder}/pem"],
                   check=True, capture_output=True)
    with open(f"{folder}/key", encoding="ascii") as key, \
            open(f"{folder}/pem", encoding="ascii") as pem:
        texts = key.read(), pem.read()
    net.remove_folder(folder)
    return texts


def test_an_app_may_prove_itself_by_its_certificate(start, user):
    provider = Scripted(kind="microsoft", tenant=TENANT, **{"app-only": True})
    key, certificate = _rsa("gateway")
    provider.file("key", key)
    provider.file("certificate", certificate)
    service = start(provider)
    provider.grant()
    password = service.add("one", "--mailbox", user)
    assert service.messages("one", password) == 0
    form = provider.asked()[0]
    header, claims = map(_decoded, form["client_assertion"].split(".")[:2])
    assert header["alg"] in ("RS256", "PS256")
    assert "x5t" in header or "x5t#S256" in header
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == f"{provider.url}/token"
    assert "client_secret" not in form


@pytest.fixture
def robot():
    """A provider with a Google service account."""
    provider = Scripted(kind="google")
    del provider.config["client-id"]
    provider.file("service-account-file", json.dumps({
        "type": "service_account", "client_email": "robot@project.example.com",
        "private_key": _rsa("robot")[0]}))
    return provider


def test_no_token_is_stored_without_a_master_key(start, robot, user):
    service = start(robot)
    service.running.close()
    del service.config["master-key"]
    service.config["state"] += "-bare"
    service.running = bridge.Bridge(service.config)
    robot.grant()
    assert "SYS/PERM" in service.refusal(user, service.add(user))
    assert not robot.asked()
    assert any("no master-key is configured" in str(line) for line in service.running.log())


def test_a_google_service_account_acts_for_the_mailbox(start, robot, user):
    provider = robot
    service = start(provider)
    provider.grant()
    password = service.add(user)
    assert service.messages(user, password) == 0
    form = provider.asked()[0]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = _decoded(form["assertion"].split(".")[1])
    assert claims["iss"] == "robot@project.example.com" and claims["sub"] == user
    assert claims["scope"] == "https://mail.google.com/"
    assert 0 < claims["exp"] - claims["iat"] <= 3600


def _exchange_refuses(connection, tag, rest):
    connection.no(tag, "AUTHENTICATE failed.")
    return True


def _gmail_refuses(connection, tag, rest):
    challenge = json.dumps({"status": "400", "schemes": "Bearer",
                            "scope": "https://mail.google.com/"}).encode()
    connection.send(b"+ " + base64.b64encode(challenge) + b"\r\n")
    assert connection.read_line().strip() in (b"", b"AQ==")
    connection.no(tag, "[AUTHENTICATIONFAILED] Invalid credentials (Failure)")
    return True


@pytest.mark.parametrize("refuse", [_exchange_refuses, _gmail_refuses])
def test_a_token_the_mail_server_refuses_is_not_the_clients_fault(
        start, microsoft, fake, user, refuse):
    service = start(microsoft)
    microsoft.grant(user, refresh_token="R1")
    password = service.add(user)
    service.consent(user)
    fake.on("AUTHENTICATE", refuse)
    assert "[SYS/PERM]" in service.refusal(user, password)
    fake.clear_hooks()
    assert service.messages(user, password) == 0


# Clocks that differ ---------------------------------------------------------------

@pytest.mark.parametrize("ahead_s", [-240, 240])
def test_a_clock_that_is_minutes_wrong_costs_no_consent(start, microsoft, user, ahead_s):
    service = start(microsoft)
    microsoft.grant(refresh_token="R1", id_token=id_token(user, ahead_s, lives_s=60))
    service.add(user)
    service.consent(user)
    assert service.shown(user)["consent"] == "given"


def test_a_clock_that_is_an_hour_wrong_is_said_at_consent(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant(refresh_token="R1", id_token=id_token(user, -3600, lives_s=60))
    service.add(user)
    assert "is the clock right?" in service.consent(user, code=1)


def test_no_clock_costs_a_refresh_token_that_was_rotated(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant(user, refresh_token="R1", expires_in="1")
    password = service.add(user)
    service.consent(user)
    microsoft.grant(refresh_token="R2", expires_in="1", id_token=id_token(user, -86400))
    net.wait_until(lambda: service.messages(user, password) == 0 and
                   any(form.get("refresh_token") == "R2" for form in microsoft.asked()),
                   10 * net.slow_factor(), "what came beside a bad id_token is used")


# Who consented --------------------------------------------------------------------

def other_person(start, user, **claims):
    """What is said of a consent whose id_token names nobody, and userinfo these."""
    provider = Scripted(kind="custom", scope="imap", **{"identity-claim": "email"})
    provider.config["discovery"] = f"{provider.url}/discovery"
    provider.config["device-endpoint"] = f"{provider.url}/device"
    provider.on("/discovery", lambda asked: (200, {
        "issuer": provider.url, "token_endpoint": f"{provider.url}/token",
        "userinfo_endpoint": f"{provider.url}/me"}))
    provider.on("/me", lambda asked: (200, claims))
    provider.grant(refresh_token="R1", id_token=".".join([_part({"alg": "RS256"}), _part({
        "iss": provider.url, "aud": CLIENT, "exp": int(time.time()) + 3600}), "c2ln"]))
    service = start(provider)
    service.add(user)
    return service


@pytest.mark.parametrize("name", ["token_endpoint", "userinfo_endpoint", "revocation_endpoint"])
def test_discovery_leads_no_secret_over_a_line_that_others_read(start, user, name):
    provider = Scripted(kind="custom", scope="imap")
    provider.config["discovery"] = f"{provider.url}/discovery"
    provider.config["device-endpoint"] = f"{provider.url}/device"
    provider.on("/discovery", lambda asked: (200, {
        "issuer": provider.url, "token_endpoint": f"{provider.url}/token",
        name: "http://provider.example/there"}))
    provider.grant(refresh_token="R1")
    service = start(provider)
    service.add(user)
    assert "http://provider.example/there, which is not https" in service.account(
        "consent", user, code=1)


def test_userinfo_says_who_consented(start, user):
    service = other_person(start, user, email=user, email_verified=True)
    service.consent(user)
    assert service.shown(user)["consent"] == "given"


@pytest.mark.parametrize("word", [False, "false"])
def test_an_address_that_the_provider_has_not_verified_is_nobodys(start, user, word):
    service = other_person(start, user, email=user, email_verified=word)
    assert "not verified" in service.consent(user, code=1)
    assert service.shown(user)["consent"] == "nobody has consented yet"


def test_a_pasted_token_of_another_person_is_refused(start, microsoft, user):
    service = start(microsoft)
    microsoft.grant("mallory@example.com", refresh_token="R1")
    service.add("scanner", "--mailbox", user, "--signs-in-as", "joe@example.com")
    complaint = service.account("consent", "scanner", "--refresh-token-file",
                                service.file("token", "R0"), code=1)
    assert "mallory@example.com consented" in complaint
    assert service.shown("scanner")["consent"] == "nobody has consented yet"

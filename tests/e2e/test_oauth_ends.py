"""
What ends by itself and is told of before: consents, client secrets, certificates.
"""

import datetime
import time

import bridge
import net
import pytest
from test_oauth import Service
from test_oauth_providers import Scripted
from test_web import Web, find_port

DAY_S = 24 * 3600
TOKENS = {"access_token": "token", "token_type": "Bearer", "expires_in": 3600,
          "refresh_token": "R1"}


def date_in(days):
    return (datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(days=days, hours=1)).strftime("%Y-%m-%d")


@pytest.fixture
def start(fake):
    ends = []

    def begin(provider):
        ends.append(provider)
        ends.append(Service(provider, fake.url, web={"address": "127.0.0.1:0"}))
        return ends[-1]

    yield begin
    for one in reversed(ends):
        one.close()


def web_of(service):
    log = service.running.log
    return Web(net.wait_until(lambda: find_port(log()), 10, "the web role serves"))


def text_of(service):
    """popbridge status."""
    web = web_of(service)
    return web.ask("/status.txt")[2]


def consented(service, user):
    """By a pasted refresh token; the keeper looks at all consents when it starts."""
    service.account("add", user, "--provider", "test")
    service.account("consent", user, "--refresh-token-file", service.file("token", "R0"))
    service.running.stop()
    service.running = bridge.Bridge(service.config)


def consent_ends(service):
    value = web_of(service).metrics().get("popbridge_consent_expires_seconds")
    return value.value() if value and value.samples else None


@pytest.mark.parametrize("how", ["refresh_token_expires_in", "refresh_expires_in",
                                 "consent-lasts"])
def test_the_end_of_a_consent_is_shown_and_told_of_before(start, user, how):
    provider = Scripted(kind="custom", scope="imap")
    if how == "consent-lasts":
        provider.config[how] = f"{2 * 24}h"
        provider.said = (200, TOKENS)
    else:
        provider.said = (200, {**TOKENS, how: 2 * DAY_S})
    service = start(provider)
    consented(service, user)
    until = service.shown(user)["consent_until"]
    ends = datetime.datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp()
    assert abs(ends - time.time() - 2 * DAY_S) < 300
    assert "ends" in service.account("show", user)
    assert f"given to {until[:10]}" in service.account("list")
    told = service.running.wait_log("consent ends", user=user)[0]
    assert told["hours"] in ("47", "48") and told["accounts"] == "1"
    left = net.wait_until(lambda: consent_ends(service), 10 * net.slow_factor(), "counted")
    assert 0 < 2 * DAY_S - left < 300
    assert "consent       the next one ends in 1 days" in text_of(service)
    assert "The next consent to end" in web_of(service).ask("/")[2]
    assert web_of(service).status()["consents"]["needed"] == 0


def test_a_consent_that_is_needed_is_counted(start, user):
    provider = Scripted(kind="custom", scope="imap")
    provider.said = (200, {**TOKENS, "expires_in": 1})
    service = start(provider)
    password = service.add(user)
    service.account("consent", user, "--refresh-token-file", service.file("token", "R0"))
    provider.said = (400, {"error": "invalid_grant"})
    net.wait_until(lambda: "[SYS/PERM]" in _try(service, user, password),
                   10 * net.slow_factor(), "consent is needed")
    service.running.stop()
    service.running = bridge.Bridge(service.config)
    net.wait_until(lambda: web_of(service).status()["consents"]["needed"] == 1,
                   10 * net.slow_factor(), "it is counted")
    assert "1 accounts need it anew" in text_of(service)


def _try(service, user, password):
    try:
        return str(service.messages(user, password))
    except Exception as refusal:
        return str(refusal)


def test_a_provider_that_says_nothing_ends_no_consent(start, user):
    provider = Scripted(kind="custom", scope="imap")
    provider.said = (200, TOKENS)
    service = start(provider)
    consented(service, user)
    assert not service.shown(user)["consent_until"]
    assert consent_ends(service) is None and not service.running.log("consent ends")


def check_told(service, what):
    """It is the eleventh day from now, or about to become the tenth."""
    told = service.running.wait_log("provider credential ends", provider="test")[0]
    assert told["days"] in ("10", "11")
    web = web_of(service)
    status = net.wait_until(lambda: [one for one in web.status()["providers"]
                                     if "days-left" in one], 10, "it is counted")
    days = status[0]["days-left"]
    assert days in (10, 11)
    assert any(f"Our {what} at the provider test expires in {days} days" in reason
               for reason in web.status()["reasons"])
    assert f"{days} days left" in text_of(service)
    ends = web.metrics()["popbridge_provider_credential_expiry_timestamp_seconds"]
    assert abs(ends.value(provider="test") - time.time() - days * DAY_S) < 2 * DAY_S
    done = bridge.run("check", "-c", service.running.config_path)
    assert f"tokens to our {what} for {days} more days" in done.stdout.decode()


def test_a_client_secrets_last_day_is_warned_of(start):
    provider = Scripted(kind="custom", scope="imap")
    provider.file("client-secret-file", "s3cret")
    provider.config["client-secret-expires"] = date_in(11)
    check_told(start(provider), "client secret")


def test_a_certificates_end_is_read_from_it(start, pki):
    provider = Scripted(kind="custom", scope="imap")
    own = pki.leaf("oauth-client-soon", days_from=-30, days_to=11, key_type="rsa")
    provider.config.update({"certificate": own.leaf, "key": own.key})
    check_told(start(provider), "certificate")


def test_what_lasts_longer_is_not_warned_of(start):
    provider = Scripted(kind="custom", scope="imap")
    provider.file("client-secret-file", "s3cret")
    provider.config["client-secret-expires"] = date_in(200)
    service = start(provider)
    web = web_of(service)
    net.wait_until(lambda: "days-left" in web.status()["providers"][0], 10, "counted")
    assert web.status()["reasons"] == []
    assert not service.running.log("provider credential ends")
    assert b"more days" not in bridge.run("check", "-c", service.running.config_path).stdout

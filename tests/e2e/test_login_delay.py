"""LOGIN-DELAY (RFC 2449 section 6.5): offered as it is, and held after a valid password."""

import fake_imap
import net
import pytest
import roles


@pytest.fixture
def lax():
    with fake_imap.FakeImap(passwords={"alice": b"secret", "bob": b"secret"}) as server:
        yield server


@pytest.fixture
def delayed(start_bridge, lax):
    """delayed("60s", ...): a route for each, for users a@..., b@..., c@... and so on."""
    def start(*delays, **more):
        routes = [{"match": "abcdef"[number] + "*", "server": lax.url, "user": "alice",
                   "when-locked": "share", **({"login-delay": delay} if delay else {})}
                  for number, delay in enumerate(delays)]
        return start_bridge({"workers": 2, "routes": routes, **more})
    return start


def offered(client):
    return [line for line in client.capa() if line.startswith("LOGIN-DELAY")]


def test_it_is_off_unless_it_is_set(delayed):
    bridge = delayed(None)
    for _ in range(10):
        with bridge.client() as client:
            assert offered(client) == []
            client.sign_in("a")
            assert offered(client) == []


def test_one_delay_for_all_is_offered_before_and_after_sign_in(delayed):
    with delayed("60s", "1m").client() as client:
        assert offered(client) == ["LOGIN-DELAY 60"]
        client.sign_in("a")
        assert offered(client) == ["LOGIN-DELAY 60"]


def test_where_routes_differ_the_longest_is_offered_first(delayed):
    bridge = delayed("60s", "15m", None)
    for user, after in (("a", ["LOGIN-DELAY 60"]), ("b", ["LOGIN-DELAY 900"]), ("c", [])):
        with bridge.client() as client:
            assert offered(client) == ["LOGIN-DELAY 900 USER"]
            client.sign_in(user)
            assert offered(client) == after


def use_up(bridge, user="a"):
    """A few may come at once, from whichever worker."""
    for number in range(3):
        with bridge.client(source=roles.SOURCES[number % 2]) as client:
            client.sign_in(user)
            client.quit()


def test_too_many_sign_ins_are_answered_login_delay(delayed):
    bridge = delayed("1h")
    use_up(bridge)
    for source in roles.SOURCES:
        with bridge.client(source=source) as client:
            client.ok("USER a")
            answer = client.err("PASS secret", "LOGIN-DELAY")
            assert "3600 s" in bridge.reference(answer)[0]["cause"]
            client.err("STAT")  # not signed in


def test_only_a_right_password_hears_of_it(delayed):
    """Or it would tell which accounts are in use; and wrong ones use nothing up."""
    bridge = delayed("1h")
    with bridge.client() as client:
        for number in range(6):
            client.ok("USER a")
            client.err(f"PASS wrong{number}", "AUTH")
    use_up(bridge)
    with bridge.client() as client:
        client.ok("USER a")
        client.err("PASS wrong", "AUTH")
        client.ok("USER a")
        client.err("PASS secret", "LOGIN-DELAY")


def test_the_average_holds_and_time_heals(delayed):
    bridge = delayed("1s")
    use_up(bridge)

    def answer():
        with bridge.client() as client:
            return client.try_sign_in("a").startswith(b"+OK")
    net.wait_until(answer, 5 * net.slow_factor(), "one more is let in")


def test_it_survives_the_workers(delayed):
    bridge = delayed("1h")
    use_up(bridge)
    for pid in roles.pids(bridge, "worker"):
        roles.kill(pid)
    with bridge.client(timeout=20) as client:
        client.ok("USER a")
        client.err("PASS secret", "LOGIN-DELAY")


def test_it_is_about_the_account_by_whichever_name(delayed):
    bridge = delayed("1h")
    for name in ("a", "a2", "a3"):
        bridge.signed_in(name).quit()
    with bridge.client() as client:
        client.ok("USER a4")
        client.err("PASS secret", "LOGIN-DELAY")


def test_a_refused_sign_in_leaves_no_lock_behind(start_bridge, lax):
    """The maildrop was open already when the delay was found out."""
    bridge = start_bridge({"routes": [{"match": "*", "server": lax.url,
                                       "login-delay": "1s"}]})
    for _ in range(3):
        bridge.signed_in("alice").quit()
    refused = bridge.client()
    assert b"LOGIN-DELAY" in refused.try_sign_in("alice")
    answers = []

    def is_signed_in():
        with bridge.client() as client:
            answers.append(client.try_sign_in("alice"))
        return answers[-1].startswith(b"+OK")
    net.wait_until(is_signed_in, 10 * net.slow_factor(), "signed in")
    assert not [answer for answer in answers if b"IN-USE" in answer]
    refused.close()

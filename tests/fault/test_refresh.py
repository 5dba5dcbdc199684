"""
A refresh that ends badly: the keeper or the oauth role is killed at any system call of its
path, the disk refuses any write of it. The provider is a real one that gives each refresh
token once and takes the whole consent back when it sees one again; Front lends it the
grace that many have.
"""

import json
import os
import poplib

import injection
import net
import pytest
import roles
from test_oauth import Service

# What a role's path does to the world, or hears of it. Between two of these a kill finds
# the world as the one before has left it.
KEEPER = ["recvmsg", "sendmsg", "getrandom", "fcntl", "pwrite64", "fdatasync"]
OAUTH = ["recvmsg", "sendmsg", "read"]
OAUTH_THREADS = ["socket", "connect", "sendto", "poll", "recvfrom", "close", "write"]
WRITES = ["pwrite64", "fdatasync"]
ROUNDS_MAX = 60  # of one system call

with_strace = pytest.mark.skipif(os.getuid() != 0, reason="only root can trace a role")


@pytest.fixture
def service(provider, server):
    provider.clear()
    provider.rewrite = live_for_a_second
    started = Service(provider, server.url)
    started.running._forgiven = True  # its roles are killed
    yield started
    started.close()


def live_for_a_second(answered):
    """So that each sign-in begins a refresh, whose token is good at the server for long."""
    if answered.asked.path != "/token" or answered.status != 200:
        return None
    said = {**answered.json, "expires_in": 1}
    return answered._replace(body=json.dumps(said).encode())


class Grace:
    """A refresh token that was used lately gives the same answer again."""

    def __init__(self, provider):
        self._provider = provider
        provider.on("/token", self._again)

    def _again(self, asked):
        for one in self._provider.granted("refresh_token"):
            if one.status == 200 and one.asked.form == asked.form:
                return one.status, one.json
        return None


def sign_in(service, user, password):
    """What the client is told; a hang-up is none of our business here."""
    try:
        return str(service.messages(user, password))
    except (poplib.error_proto, OSError) as end:
        return str(end)


def refreshes(service, user, password):
    """Signs in, and waits until a refresh that began after now was granted."""
    provider = service.provider
    granted = provider.count("refresh_token")

    def is_granted():
        assert sign_in(service, user, password) != "lost"
        return any(one.status == 200
                   for one in provider.granted("refresh_token")[granted:])

    net.wait_until(is_granted, 20 * net.slow_factor(),
                   lambda: f"refreshes go on: {service.running.log()[-5:]}")


def needs_consent(service, user):
    return "needed" in service.shown(user)["consent"]


def kill_at_each(service, user, password, role, threads, calls, after):
    """
    Until the path passes untouched, for each of the calls: attach, let the client sign in
    twice, which begins a refresh; then after() judges. Returns how many kills there were.
    """
    kills = {}
    for call in calls:
        for when in range(1, ROUNDS_MAX):
            pid = net.wait_until(lambda: roles.pids(service.running, role),
                                 20 * net.slow_factor(), f"there is a {role}")[0]
            with injection.Injection(threads(pid), call, f"signal=KILL:when={when}"):
                for _ in range(2):
                    sign_in(service, user, password)
            if roles.is_alive(pid):
                break
            kills[call] = when
            after()
        assert when < ROUNDS_MAX - 1, f"{role} never passes {call} untouched"
    print(f"{role} killed at: {kills}")
    return sum(kills.values())


@with_strace
def test_a_keeper_killed_at_any_call_of_a_refresh_loses_no_token(service, user):
    password = service.consented(user)
    refreshes(service, user, password)
    kills = kill_at_each(service, user, password, "keeper", injection.main_thread, KEEPER,
                         lambda: refreshes(service, user, password))
    assert kills > 30
    assert not needs_consent(service, user)
    assert not service.running.log("consent needed")


@with_strace
def test_an_oauth_role_killed_at_any_call_loses_no_token_where_the_provider_has_grace(
        service, provider, user):
    Grace(provider)
    password = service.consented(user)

    def after():
        refreshes(service, user, password)

    after()
    kills = kill_at_each(service, user, password, "oauth", injection.main_thread, OAUTH,
                         after)
    kills += kill_at_each(service, user, password, "oauth", injection.other_threads,
                          OAUTH_THREADS, after)
    assert kills > 20
    assert not service.running.log("consent needed")


@with_strace
def test_what_a_strict_provider_gave_a_role_that_died_is_told_of_and_mended_by_consent(
        service, provider, user):
    """
    Between the provider's rotation and the answer at the keeper there is no way to have the
    new token: it was given once. Before, nothing is lost.
    """
    password = service.consented(user)
    lost = []

    def after():
        def is_settled():
            sign_in(service, user, password)
            return needs_consent(service, user) or any(
                one.status == 200 for one in provider.granted("refresh_token")[asked:])

        asked = provider.count("refresh_token")
        net.wait_until(is_settled, 20 * net.slow_factor(), "it works, or says why not")
        if needs_consent(service, user):
            told = service.running.wait_log("consent needed", len(lost) + 1, user=user)[-1]
            assert "may have been lost" in told["cause"] and "consent" in told["advice"]
            assert "[SYS/PERM]" in service.refusal(user, password)
            lost.append(told)
            service.consent(user)
            refreshes(service, user, password)

    after()
    kills = kill_at_each(service, user, password, "oauth", injection.other_threads,
                         ["socket", "connect", "sendto"], after)
    assert kills >= 3 and not lost
    kill_at_each(service, user, password, "oauth", injection.other_threads,
                 ["recvfrom", "write"], after)
    kill_at_each(service, user, password, "oauth", injection.main_thread, ["sendmsg"], after)
    assert lost


def test_an_answer_lost_on_the_way_is_asked_for_again_without_a_client(
        service, provider, user):
    """The provider rotates, and its answer does not arrive: no grace lasts for long."""
    Grace(provider)
    password = service.consented(user)
    refreshes(service, user, password)
    asked = provider.count("refresh_token")
    provider.lose_answers("refresh_token", times=1)
    net.wait_until(lambda: sign_in(service, user, password) and
                   provider.count("refresh_token") > asked, 10 * net.slow_factor(),
                   "the provider is asked")
    net.wait_until(lambda: provider.count("refresh_token") > asked + 1,
                   10 * net.slow_factor(), "and again")
    refreshes(service, user, password)


def test_a_refresh_is_one_question_to_the_provider(service, provider, user):
    """A rotated token that waits for another answer can be lost meanwhile."""
    password = service.consented(user)
    refreshes(service, user, password)
    provider.answers.clear()
    refreshes(service, user, password)
    assert {one.asked.path for one in provider.answers} == {"/token"}


# The disk -------------------------------------------------------------------------

@with_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_no_token_is_used_before_it_is_on_the_disk(service, provider, server, user, error):
    """Any write of the path fails once: the token is stored later, none is lost."""
    password = service.consented(user)
    refreshes(service, user, password)
    faults = 0
    for call in WRITES:
        for when in range(1, ROUNDS_MAX):
            keeper = roles.pids(service.running, "keeper")[0]
            with injection.Injection([keeper], call, f"error={error}:when={when}") as it:
                for _ in range(2):
                    sign_in(service, user, password)
                happened = it.happened
            assert roles.pids(service.running, "keeper") == [keeper], "service goes on"
            if not happened:
                break
            faults += 1
            refreshes(service, user, password)
    assert faults > 3
    assert service.running.log("store not written")
    assert not service.running.log("consent needed")


@with_strace
def test_a_full_disk_is_named_and_the_token_waits_for_it(service, provider, user):
    password = service.consented(user)
    refreshes(service, user, password)
    asked = provider.count("refresh_token")
    keeper = roles.pids(service.running, "keeper")[0]
    with injection.Injection([keeper], "pwrite64", "error=ENOSPC:when=1+"):
        net.wait_until(lambda: "[SYS/TEMP]" in sign_in(service, user, password),
                       10 * net.slow_factor(), "the client is told to come again")
        told = service.running.wait_log("store not written")[-1]
        assert "full" in told["message"]
    refreshes(service, user, password)
    used = [one.asked.form["refresh_token"] for one in provider.granted("refresh_token")]
    assert len(used) == len(set(used)) and provider.count("refresh_token") > asked

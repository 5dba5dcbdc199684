"""Fixtures of the end-to-end tests. The objects behind them are plain modules beside this."""

import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bridge as bridge_module  # noqa: E402
import dovecot as dovecot_module  # noqa: E402
import fake_imap  # noqa: E402
import net  # noqa: E402
import pki as pki_module  # noqa: E402

SKIPPED = 77  # SKIP_RETURN_CODE in tests/CMakeLists.txt


@pytest.fixture(scope="session")
def pki():
    """The test certificate authority."""
    folder = net.short_folder("ca")
    yield pki_module.Pki(folder)
    net.remove_folder(folder)


def _need_dovecot():
    """Missing Dovecot fails; who wants to go without says so, and it is said aloud."""
    if dovecot_module.is_installed():
        return
    if os.environ.get("POPBRIDGE_WITHOUT_DOVECOT") == "1":
        pytest.skip("POPBRIDGE_WITHOUT_DOVECOT=1: Dovecot is not installed")
    pytest.fail("Dovecot is not installed (apt install dovecot-imapd dovecot-pop3d)")


@pytest.fixture(scope="session")
def dovecot(pki):
    """One Dovecot for all tests of a file; take a user name of your own per test."""
    _need_dovecot()
    with dovecot_module.Dovecot(pki) as server:
        yield server


@pytest.fixture
def start_dovecot(pki):
    """start_dovecot(...) starts one with other options; all end with the test."""
    _need_dovecot()
    started = []

    def start(**options):
        started.append(dovecot_module.Dovecot(pki, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def start_bridge(request):
    """start_bridge(config, ...): bridge.Bridge(...), ended and judged with the test."""
    started = []

    def start(*config, **options):
        started.append(bridge_module.Bridge(*config, **options))
        return started[-1]

    yield start
    failed = getattr(request.node, "failed_in_call", False)
    for one in reversed(started):
        if failed:
            one._forgiven = True
        one.close()


@pytest.fixture
def bridge_to(start_bridge):
    """bridge_to(server.url, ...): one route for everybody; keywords are route settings."""
    def start(server, tls=None, limits=None, **route):
        route = {key.replace("_", "-"): value for key, value in route.items()}
        config = {"routes": [{"match": "*", "server": server, **route}]}
        if limits:
            config["limits"] = limits
        return start_bridge(config, tls=tls)
    return start


@pytest.fixture
def bridge(bridge_to, dovecot):
    """The ordinary case: a plain listener in front of the shared Dovecot."""
    return bridge_to(dovecot.url)


@pytest.fixture
def fake():
    """A scripted IMAP server, correct until a hook makes it otherwise."""
    with fake_imap.FakeImap() as server:
        yield server


_names = iter(range(1, 1_000_000))


@pytest.fixture
def user():
    """A user name no other test has, so with an empty mailbox."""
    return f"user{os.getpid()}x{next(_names)}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_in_call = outcome.get_result().failed


def pytest_sessionfinish(session, exitstatus):
    """
    A file in which nothing ran did not pass. Where Dovecot's absence was allowed and made
    a test skip, ctest is told with its code for that.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus != 0 or session.config.option.collectonly or not reporter:
        return
    if reporter.stats.get("skipped") and \
            os.environ.get("POPBRIDGE_WITHOUT_DOVECOT") == "1":
        session.exitstatus = SKIPPED
    elif not reporter.stats.get("passed"):
        session.exitstatus = 1

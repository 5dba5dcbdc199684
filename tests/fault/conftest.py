"""Fixtures of the fault tests: those of tests/e2e, and worlds (world.py)."""

import importlib.util
import os
import sys

import pytest

sys.dont_write_bytecode = True
_HERE = os.path.dirname(os.path.abspath(__file__))
_E2E = os.path.join(os.path.dirname(_HERE), "e2e")
sys.path[:0] = [_HERE, _E2E]

_spec = importlib.util.spec_from_file_location(
    "e2e_fixtures", os.path.join(_E2E, "conftest.py"))
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
globals().update({name: value for name, value in vars(_fixtures).items()
                  if not name.startswith("__")})

import oauth  # noqa: E402
import world as world_module  # noqa: E402


@pytest.fixture(scope="module")
def make_world(pki):
    """make_world(kind, ...) as in world.World, one for each set of arguments."""
    made, dead = {}, []

    def make(kind="plain", **how):
        key = (kind, repr(sorted(how.items())))
        if key in made and not made[key].is_alive:  # one test said so; others go on
            dead.append(made.pop(key))
        if key not in made:
            made[key] = world_module.World(pki, kind, **how)
        made[key].calm()  # a test that failed may have left its fault behind
        return made[key]

    yield make
    failures = []
    for one in [*made.values(), *dead]:
        try:
            one.close()
        except AssertionError as failure:
            failures.append(failure)
    assert not failures, failures


@pytest.fixture(scope="module")
def provider():
    """A real OAuth2 provider whose tokens outlive the tests."""
    with oauth.Provider(access_s=3600) as started:
        yield started


@pytest.fixture(scope="module")
def server(provider):
    """A real Dovecot that accepts them."""
    with oauth.dovecot_for(provider) as started:
        yield started

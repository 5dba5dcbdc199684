"""A role that hangs without dying is killed and replaced; a pause of all is no reason to."""

import os
import signal
import time

import pytest

import net
import roles

HANG = 10  # seconds, HANG_MS


@pytest.fixture
def service(start_bridge, fake):
    fake.messages[:] = roles.BODIES
    return start_bridge(roles.config(fake.url,
                                     web={"address": f"127.0.0.1:{net.free_port()}"}))


def test_roles_that_do_not_move_are_replaced(service, user):
    service.wait_log("web")
    victims = [pid for role in ("worker", "keeper", "web")
               for pid in roles.pids(service, role)]
    for pid in victims:
        os.kill(pid, signal.SIGSTOP)
    service.wait_log("role hangs", len(victims), seconds=HANG + 10)
    roles.wait_gone(victims, 5)
    for source in roles.SOURCES:
        client, _ = roles.sign_in_within(service, user + source, 10, source)
        client.quit()
        client.close()
    service.wait_log("web", 2)


def test_a_pause_of_the_whole_service_kills_nobody(service, user):
    """As a machine that slept: the master's own clock has stood as well."""
    everybody = service.pids()
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HANG + 3)  # what is waited for is that nothing happens
    for pid in reversed(everybody):
        os.kill(pid, signal.SIGCONT)
    with service.signed_in(user) as client:
        time.sleep(3)
        client.quit()
    assert not service.log("role hangs")
    assert service.pids() == everybody


def test_a_short_pause_of_a_worker_is_forgiven(service, user):
    with service.signed_in(user) as client:
        worker = roles.worker_of(service, client)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(HANG / 2)
        os.kill(worker, signal.SIGCONT)
        client.quit()
    assert not service.log("role hangs")

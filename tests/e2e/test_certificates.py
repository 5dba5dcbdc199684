"""A renewed certificate is used without being asked (certbot, Kubernetes secrets)."""

import os
import shutil
import socket
import ssl

import pytest

import net


@pytest.fixture
def folder():
    path = net.short_folder("cert")
    yield path
    net.remove_folder(path)


def put(certificate, folder):
    """One file after the other, as renewals do."""
    for source, name in ((certificate.chain, "chain.pem"), (certificate.key, "key.pem")):
        shutil.copy(source, os.path.join(folder, "new"))
        os.replace(os.path.join(folder, "new"), os.path.join(folder, name))


def start(start_bridge, folder, fake):
    return start_bridge({
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit"}],
        "tls": {"certificate": f"{folder}/chain.pem", "key": f"{folder}/key.pem"},
        "routes": [{"match": "*", "server": fake.url}]})


def shown(bridge):
    """The certificate a client sees now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", bridge.port("implicit")), 10) as plain:
        with context.wrap_socket(plain) as tls:
            return tls.getpeercert(binary_form=True)


def test_a_renewed_pair_is_shown_and_sessions_go_on(start_bridge, folder, fake, pki):
    put(pki.leaf("before"), folder)
    bridge = start(start_bridge, folder, fake)
    before = shown(bridge)
    put(pki.leaf("after"), folder)
    net.wait_until(lambda: shown(bridge) != before, 15, "the new certificate")
    bridge.wait_log("certificates changed")


def test_a_pair_that_does_not_fit_waits_until_it_does(start_bridge, folder, fake, pki):
    put(pki.leaf("first"), folder)
    bridge = start(start_bridge, folder, fake)
    before = shown(bridge)
    second = pki.leaf("second")
    shutil.copy(second.chain, os.path.join(folder, "chain.pem"))
    bridge.wait_log("certificates changed", level="warning")
    assert shown(bridge) == before
    shutil.copy(second.key, os.path.join(folder, "key.pem"))
    net.wait_until(lambda: shown(bridge) != before, 15, "the new certificate")


def test_links_that_point_elsewhere_are_followed(start_bridge, folder, fake, pki):
    for name in ("one", "two"):
        os.mkdir(os.path.join(folder, name))
        put(pki.leaf(name), os.path.join(folder, name))
    os.symlink("one", os.path.join(folder, "..data"))
    for name in ("chain.pem", "key.pem"):
        os.symlink(f"..data/{name}", os.path.join(folder, name))
    bridge = start(start_bridge, folder, fake)
    before = shown(bridge)
    os.symlink("two", os.path.join(folder, "..next"))
    os.replace(os.path.join(folder, "..next"), os.path.join(folder, "..data"))
    net.wait_until(lambda: shown(bridge) != before, 15, "the new certificate")

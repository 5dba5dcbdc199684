"""
Which certificate a client is shown: by listener, by name, by the kinds of key it knows. A
renewed one is used without being asked (certbot, Kubernetes secrets).
"""

import os
import re
import shutil
import socket
import ssl
import subprocess

import bridge as bridge_module
import net
import pytest


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


def shown(bridge, port=None, name=None):
    """The certificate a client sees now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = ("127.0.0.1", port or bridge.port("implicit"))
    with socket.create_connection(address, 10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)


def der_of(certificate):
    with open(certificate.leaf, encoding="ascii") as pem:
        return ssl.PEM_cert_to_DER_cert(pem.read())


def pair(certificate):
    return {"certificate": certificate.chain, "key": certificate.key}


# Listeners of their own, keys of two kinds ----------------------------------------


def test_a_listener_shows_certificates_of_its_own(start_bridge, fake, pki):
    inside, outside = pki.leaf("inside"), pki.leaf("outside")
    also = pki.leaf("also", names=("DNS:also.example",))
    bridge = start_bridge({
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit"},
                   {"address": "127.0.0.1:0", "tls": "implicit",
                    "certificates": [pair(inside), pair(also)]}],
        "tls": pair(outside), "routes": [{"match": "*", "server": fake.url}]})
    first, second = [port for _, port in bridge.addresses("implicit")]
    assert shown(bridge, first) == der_of(outside)
    assert shown(bridge, first, "also.example") == der_of(outside)
    assert shown(bridge, second) == der_of(inside)
    assert shown(bridge, second, "also.example") == der_of(also)


def test_a_listener_of_its_own_needs_no_default(start_bridge, fake, pki):
    own = pki.leaf("own")
    bridge = start_bridge({
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit", "certificates": [pair(own)]}],
        "routes": [{"match": "*", "server": fake.url}]})
    assert shown(bridge) == der_of(own)


def test_the_self_signed_one_is_for_listeners_without_any(start_bridge, fake, pki, folder):
    own = pki.leaf("beside-self-signed")
    config = {
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit", "certificates": [pair(own)]},
                   {"address": "127.0.0.1:0", "tls": "implicit"}],
        "state": f"{folder}/state", "routes": [{"match": "*", "server": fake.url}]}
    bridge = start_bridge(config)
    first, second = [port for _, port in bridge.addresses("implicit")]
    assert shown(bridge, first) == der_of(own)
    made = shown(bridge, second)
    printed = bridge.wait_log("self-signed certificate", made="now")[0]["sha256"]
    assert printed.replace(":", "").lower() == sha256(made)
    done = bridge_module.run("check", bridge.config_path)
    assert done.returncode == 0 and b"self-signed.pem on listen[1]" in done.stdout


def sha256(der):
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-fingerprint",
                           "-sha256"], input=der, capture_output=True, check=True)
    return done.stdout.decode().split("=")[1].strip().replace(":", "").lower()


@pytest.fixture
def two_kinds(start_bridge, fake, pki):
    """RSA and ECDSA for the same names, on a listener of its own and as the default."""
    rsa, ec = pki.leaf("kind-rsa", key_type="rsa"), pki.leaf("kind-ec")
    named = [pki.leaf(f"named-{kind}", names=("DNS:pop.example", "DNS:*.pop.example"),
                      key_type=kind) for kind in ("rsa", "ec")]
    all_of_them = [pair(rsa), *(pair(one) for one in named), pair(ec)]
    return start_bridge({
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit"},
                   {"address": "127.0.0.1:0", "tls": "implicit", "certificates": all_of_them}],
        "tls": {**all_of_them[0], "additional": all_of_them[1:]},
        "routes": [{"match": "*", "server": fake.url}]})


@pytest.mark.parametrize("options,kind", [
    (["-tls1_2", "-cipher", "ECDHE+aRSA"], "RSA"), (["-tls1_2", "-cipher", "aECDSA"], "ECDSA"),
    (["-tls1_2", "-cipher", "kRSA"], "RSA"), (["-tls1_2"], "ECDSA"), (["-tls1_3"], "ECDSA"),
    (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "RSA"),
    (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], "ECDSA")])
@pytest.mark.parametrize("name,subject", [("localhost", "kind-"), ("a.pop.example", "named-")])
def test_a_client_is_shown_the_kind_of_key_it_can_use(two_kinds, pki, options, kind, name,
                                                      subject):
    for _, port in two_kinds.addresses("implicit"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", pki.ca,
             "-servername", name, "-verify_return_error", *options],
            input=b"QUIT\r\n", capture_output=True, check=False,
            timeout=30 * net.slow_factor())
        text = done.stdout.decode(errors="replace")
        assert "Verify return code: 0 (ok)" in text, text
        wanted = subject + {"RSA": "rsa", "ECDSA": "ec"}[kind]
        assert re.search(f"subject=CN = popbridge test {wanted}", text), text


# Renewal --------------------------------------------------------------------------


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


def test_a_listener_s_own_pair_is_renewed_as_well(start_bridge, folder, fake, pki):
    """Through links, and a pair that does not fit waits: the default one is not touched."""
    for name in ("one", "two"):
        os.mkdir(os.path.join(folder, name))
        put(pki.leaf(f"own-{name}"), os.path.join(folder, name))
    os.symlink("one/chain.pem", os.path.join(folder, "chain.pem"))
    os.symlink("one/key.pem", os.path.join(folder, "key.pem"))
    own = {"certificate": f"{folder}/chain.pem", "key": f"{folder}/key.pem"}
    bridge = start_bridge({
        "listen": [{"address": "127.0.0.1:0", "tls": "implicit"},
                   {"address": "127.0.0.1:0", "tls": "implicit", "certificates": [own]}],
        "tls": pair(pki.server), "routes": [{"match": "*", "server": fake.url}]})
    first, second = [port for _, port in bridge.addresses("implicit")]

    def point(name, to):
        os.symlink(f"{to}/{name}", os.path.join(folder, "new"))
        os.replace(os.path.join(folder, "new"), os.path.join(folder, name))

    point("chain.pem", "two")
    bridge.wait_log("certificates changed", level="warning")
    assert shown(bridge, second) == der_of(pki.leaf("own-one"))
    point("key.pem", "two")
    net.wait_until(lambda: shown(bridge, second) == der_of(pki.leaf("own-two")), 15,
                   "the new certificate")
    assert shown(bridge, first) == der_of(pki.server)

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import engine  # noqa: E402
import pki as pki_module  # noqa: E402


@pytest.fixture(scope="session")
def host():
    host = engine.Host()
    try:
        yield host
    finally:
        host.close()


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return pki_module.Pki(str(tmp_path_factory.mktemp("pki")))


@pytest.fixture(scope="session")
def network(host):
    host.podman("network", "create", "--ipv6", "popbridge")
    return "popbridge"


@pytest.fixture(scope="session")
def dovecot(host, network, pki, tmp_path_factory):
    """The sample server as `dovecot` in the network, with TLS."""
    certificate = pki.leaf("dovecot", names=("DNS:dovecot",))
    more = tmp_path_factory.mktemp("dovecot") / "more.conf"
    more.write_text("ssl = yes\nssl_cert = </run/tls/dovecot.pem\n"
                    "ssl_key = </run/tls/dovecot.key\n")
    server = host.start("popbridge-sample", options=[
        "--name", "dovecot", "--network", network, "-v", f"{more}:/etc/dovecot/more.conf:ro",
        "-v", f"{certificate.chain}:/run/tls/dovecot.pem:ro",
        "-v", f"{certificate.key}:/run/tls/dovecot.key:ro"])
    server.wait_log("starting up for imap")
    return server

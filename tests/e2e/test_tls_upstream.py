"""
TLS towards the IMAP server: whatever is wrong with its certificate is found out before a
credential is sent. The judge is the fake server's ledger.
"""

import os
import ssl
import subprocess

import fake_imap
import mails
import pki as pki_module
import pytest

SECRET = "s3cret-for-the-right-server"
HELLO = mails.simple()


# Certificates the common fixture does not make ------------------------------------


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Odd:
    """Certificates that no sane authority signs, signed by the test one all the same."""

    def __init__(self, pki):
        self.pki = pki
        self.folder = f"{pki.folder}/odd"
        os.makedirs(self.folder, exist_ok=True)

    def make(self, name, san="DNS:localhost", digest="sha256", bits=2048, usage="serverAuth",
             subject="/CN=odd", issuer="intermediate", more=""):
        base = f"{self.folder}/{name}"
        with open(f"{base}.ext", "w", encoding="ascii") as out:
            out.write(f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\n"
                      f"{more}")
            out.write(f"subjectAltName={san}\n" if san else "")
        openssl("req", "-new", "-newkey", f"rsa:{bits}", "-nodes", "-subj", subject,
                "-keyout", f"{base}.key", "-out", f"{base}.csr")
        signer = f"{self.pki.folder}/{issuer}"
        if not os.path.exists(f"{signer}.pem"):
            signer = f"{self.folder}/{issuer}"
        openssl("x509", "-req", f"-{digest}", "-in", f"{base}.csr", "-out", f"{base}.pem",
                "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-days", "30",
                "-set_serial", str(len(name) + 1000), "-extfile", f"{base}.ext")
        self._write_chain(base, signer)
        return pki_module.Certificate(f"{base}.chain.pem", f"{base}.key", f"{base}.pem")

    def _write_chain(self, base, signer):
        parts = [f"{base}.pem", f"{signer}.pem", f"{self.pki.folder}/intermediate.pem"]
        with open(f"{base}.chain.pem", "w", encoding="ascii") as out:
            for part in dict.fromkeys(parts):
                with open(part, encoding="ascii") as pem:
                    out.write(pem.read())

    def nul_in_name(self):
        """localhost NUL .example.net, the trick of 2009: SEQUENCE { [2] "..." }."""
        name = b"localhost\0.example.net"
        der = bytes([0x30, len(name) + 2, 0x82, len(name)]) + name
        return self.make("nul-in-name", san="DER:" + der.hex(":"))

    def nul_in_common_name(self):
        return self.make("nul-in-cn", san="DNS:example.net", subject="/CN=localhost")

    def signed_by_a_leaf(self):
        """Whoever has any certificate of the authority plays authority himself."""
        self.make("ordinary")
        return self.make("signed-by-a-leaf", issuer="ordinary")


@pytest.fixture(scope="module")
def odd(pki):
    return Odd(pki)


# name: (how it is made, what the log must say of it)
BAD = {
    "expired": (lambda pki, odd: pki.expired(), "expired"),
    "not yet valid": (lambda pki, odd: pki.not_yet_valid(), "not yet valid"),
    "self-signed": (lambda pki, odd: pki.self_signed(), "self-signed"),
    "wrong host": (lambda pki, odd: pki.wrong_host(), "not for localhost"),
    "common name only": (lambda pki, odd: pki.common_name_only(), "not for localhost"),
    "wildcard alone": (lambda pki, odd: odd.make("star", "DNS:*"), "not for localhost"),
    "wildcard in a part": (lambda pki, odd: odd.make("part", "DNS:local*,DNS:l*t"),
                           "not for localhost"),
    "wildcard one level up": (lambda pki, odd: odd.make("level", "DNS:*.localhost"),
                              "not for localhost"),
    "client only": (lambda pki, odd: pki.client_only(), "purpose"),
    "weak key": (lambda pki, odd: odd.make("weak", bits=1024), "key too weak"),
    "SHA-1": (lambda pki, odd: odd.make("sha1", digest="sha1"), "digest algorithm"),
    "unknown authority": (lambda pki, odd: pki.unknown_ca(), "issuer"),
    "missing intermediate": (lambda pki, odd: pki.missing_intermediate(), "issuer"),
    "signed by a leaf": (lambda pki, odd: odd.signed_by_a_leaf(), "does not verify"),
    "NUL in the name": (lambda pki, odd: odd.nul_in_name(), "not for localhost"),
    "name in the subject besides another": (lambda pki, odd: odd.nul_in_common_name(),
                                            "not for localhost"),
    "address instead of a name": (lambda pki, odd: odd.make("ip-only", "IP:127.0.0.1"),
                                  "not for localhost"),
    "name as an e-mail address": (
        lambda pki, odd: odd.make("email", "email:x@localhost"), "not for localhost"),
    "name as a URI": (lambda pki, odd: odd.make("uri", "URI:imap://localhost"),
                      "not for localhost"),
    "unknown critical extension": (
        lambda pki, odd: odd.make("critical", more="1.2.3.4=critical,ASN1:UTF8String:x\n"),
        "critical extension"),
}


# The server that shows them -------------------------------------------------------


def show(server, certificate):
    """A server context as lax as a careless administrator's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(certificate.chain, certificate.key)
    if server.tls:
        server.tls = context
    else:
        server.starttls = context


@pytest.fixture
def server(request, pki):
    """server(kind): a fake server with mail for alice, "imaps" or "starttls"."""
    started = []

    def start(kind, certificate=None, **how):
        how["tls" if kind == "imaps" else "starttls"] = certificate or pki.server
        started.append(fake_imap.FakeImap(messages=[HELLO], passwords={"alice": SECRET.encode()},
                                          **how))
        return started[-1]

    yield start
    for one in started:
        one.close()
    assert [one.errors for one in started] == [[]] * len(started)


def by_address(fake, address="127.0.0.1"):
    return fake.url.replace("localhost", address)


def expect_refused(bridge, fake, text):
    """[SYS/PERM] with a reason in the log, and nothing secret left the house."""
    with bridge.client() as client:
        client.ok("USER alice")
        answer = client.err(f"PASS {SECRET}", "SYS/PERM")
        refused = bridge.reference(answer)[0]
        assert text in refused["cause"], refused["cause"]
    expect_nothing_sent(fake)
    return refused


def expect_nothing_sent(fake):
    assert fake.credentials == []
    assert not fake.sent_secret(SECRET.encode())
    assert not fake.seen("LOGIN") and not fake.seen("AUTHENTICATE")
    assert fake.connections, "the server was never asked"


def expect_works(bridge):
    with bridge.client() as client:
        client.sign_in("alice", SECRET)
        assert client.retr(1) == HELLO
        client.quit()


KINDS = ["imaps", "starttls"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_certificate_is_refused_before_any_credential(name, kind, server, bridge_to,
                                                            pki, odd):
    make, text = BAD[name]
    fake = server(kind)
    show(fake, make(pki, odd))
    expect_refused(bridge_to(fake.url, ca_file=pki.ca), fake, text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_certificate_from_the_same_workshop_is_accepted(kind, server, bridge_to, pki,
                                                               odd):
    """Else the refusals above could have any reason."""
    fake = server(kind)
    show(fake, odd.make("good"))
    expect_works(bridge_to(fake.url, ca_file=pki.ca))
    assert fake.credentials[0].tls


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_authority_is_not_trusted_without_ca_file(kind, server, bridge_to):
    fake = server(kind)
    refused = expect_refused(bridge_to(fake.url), fake, "does not verify")
    assert "ca-file" in refused["advice"]


# Pins -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_pin_is_refused_though_the_chain_is_good(kind, server, bridge_to, pki):
    fake = server(kind)
    pins = [pki.pin(pki.wrong_host())]
    refused = expect_refused(bridge_to(fake.url, ca_file=pki.ca, pins=pins), fake, "pin")
    assert pki.pin(pki.server) in refused["cause"]  # what to copy, if it is meant


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_pin_is_accepted_alone_or_as_the_second(kind, server, bridge_to, pki):
    fake = server(kind)
    right, other = pki.pin(pki.server), pki.pin(pki.wrong_host())
    expect_works(bridge_to(fake.url, ca_file=pki.ca, pins=[right]))
    expect_works(bridge_to(fake.url, ca_file=pki.ca, pins=[other, right]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_pin_excuses_nothing_else(kind, server, bridge_to, pki):
    fake = server(kind)
    show(fake, pki.expired())
    expect_refused(bridge_to(fake.url, ca_file=pki.ca, pins=[pki.pin(pki.expired())]),
                   fake, "expired")


# Addresses, client certificates ---------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_in_the_certificate_is_accepted(kind, server, bridge_to, pki):
    fake = server(kind)
    expect_works(bridge_to(by_address(fake), ca_file=pki.ca))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("san", ["DNS:localhost", "DNS:127.0.0.1", "IP:127.0.0.2",
                                 "DNS:*.0.0.1"])
def test_an_address_that_is_not_in_the_certificate_is_refused(kind, san, server, bridge_to,
                                                              pki, odd):
    fake = server(kind)
    show(fake, odd.make("for-" + san.replace(":", "-").replace("*", "x"), san))
    expect_refused(bridge_to(by_address(fake), ca_file=pki.ca), fake, "not for 127.0.0.1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_certificate_is_presented_where_one_is_set(kind, server, bridge_to, pki):
    fake = server(kind, client_ca=pki.ca)
    certificate = pki.client()
    shown = []

    def look(connection, tag, rest):
        shown.append(connection.socket.getpeercert()["subject"])

    for command in ("LOGIN", "AUTHENTICATE"):
        fake.on(command, look)
    expect_works(bridge_to(fake.url, ca_file=pki.ca, client_certificate=certificate.chain,
                           client_key=certificate.key))
    assert shown == [((("commonName", "popbridge"),),)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_wants_a_client_certificate_and_gets_none_hears_no_password(
        kind, server, bridge_to, pki):
    fake = server(kind, client_ca=pki.ca)
    with bridge_to(fake.url, ca_file=pki.ca).client() as client:
        client.ok("USER alice")
        assert client.command(f"PASS {SECRET}").startswith(b"-ERR [SYS/")
    expect_nothing_sent(fake)


# STARTTLS -------------------------------------------------------------------------


def no_starttls(connection, tag, rest):
    connection.untagged("OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready")
    return True


def preauth(connection, tag, rest):
    connection.untagged("PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] you are alice already")
    return True


@pytest.mark.parametrize("greeting", [no_starttls, preauth])
def test_a_server_that_avoids_starttls_gets_no_password(greeting, server, bridge_to, pki):
    fake = server("starttls")
    fake.on("GREETING", greeting)
    with bridge_to(fake.url, ca_file=pki.ca).client() as client:
        client.ok("USER alice")
        assert client.command(f"PASS {SECRET}").startswith(b"-ERR [SYS/")
    expect_nothing_sent(fake)


@pytest.mark.parametrize("injected", [
    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"* PREAUTH hello\r\n", b"* OK x\r\n", b"*",
    b"\r\n"])
def test_plain_text_behind_the_answer_to_starttls_is_an_attack(injected, server, bridge_to,
                                                               pki):
    fake = server("starttls")

    def inject(connection, tag, rest):
        connection.send(tag + b" OK begin TLS\r\n" + injected)
        connection.start_tls(fake.starttls)
        return True

    fake.on("STARTTLS", inject)
    bridge = bridge_to(fake.url, ca_file=pki.ca)
    with bridge.client() as client:
        client.ok("USER alice")
        answer = client.err(f"PASS {SECRET}")
        assert answer.startswith((b"-ERR [SYS/TEMP]", b"-ERR [SYS/PERM]"))
        assert bridge.reference(answer)
    expect_nothing_sent(fake)


@pytest.mark.parametrize("answer", ["NO not now", "BAD what?"])
def test_a_refused_starttls_is_not_worked_around(answer, server, bridge_to, pki):
    fake = server("starttls")
    fake.on("STARTTLS", lambda connection, tag, rest:
            connection.send(tag + b" " + answer.encode() + b"\r\n") or True)
    with bridge_to(fake.url, ca_file=pki.ca).client() as client:
        client.ok("USER alice")
        assert client.command(f"PASS {SECRET}").startswith(b"-ERR [SYS/")
    expect_nothing_sent(fake)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_with_tls_1_1_only_gets_no_password(kind, server, bridge_to, pki):
    fake = server(kind)
    context = fake.tls or fake.starttls
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    bridge = bridge_to(fake.url, ca_file=pki.ca)
    with bridge.client() as client:
        client.ok("USER alice")
        answer = client.err(f"PASS {SECRET}")
        assert answer.startswith(b"-ERR [SYS/")
        assert "version" in bridge.reference(answer)[0]["cause"]
    expect_nothing_sent(fake)


def test_a_plain_server_where_tls_is_expected_is_named(server, bridge_to, fake, pki):
    bridge = bridge_to(f"imaps://localhost:{fake.port}", ca_file=pki.ca)
    with bridge.client() as client:
        client.ok("USER alice")
        answer = client.err(f"PASS {SECRET}")
        assert answer.startswith(b"-ERR [SYS/")
        line = bridge.reference(answer)[0]
        assert "does not speak TLS on this port" in line["cause"] and "port" in line["advice"]
    assert fake.credentials == [] and not fake.sent_secret(SECRET.encode())


def test_a_tls_server_where_none_is_expected_gets_no_password(server, bridge_to):
    fake = server("imaps")
    bridge = bridge_to(f"imap://127.0.0.1:{fake.port}",
                       limits={"command": "1s", "upstream-sign-in": "2s"})
    with bridge.client() as client:
        client.ok("USER alice")
        assert client.command(f"PASS {SECRET}").startswith(b"-ERR [SYS/TEMP]")
    expect_nothing_sent(fake)

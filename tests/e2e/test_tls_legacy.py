"""
Old TLS for the networks that need it, and for nobody else on the same listener: not by a
lower version, not by a weaker cipher, not by a ticket. The upstream side knows nothing of
it.
"""

import ssl
import subprocess

import fake_imap
import mails
import net
import pop3
import pytest

V = ssl.TLSVersion
OLD = "127.0.1.5"  # in legacy-tls-from
NEW = "127.0.2.5"  # not

pytestmark = pytest.mark.filterwarnings("ignore:ssl")


@pytest.fixture
def legacy(start_bridge, fake, pki):
    """Listeners of both kinds that let 127.0.1.0/24 speak TLS 1.0 and 1.1."""
    fake.mailbox("alice").add(mails.simple())
    listen = [{"address": "0.0.0.0:0", "tls": kind, "legacy-tls-from": ["127.0.1.0/24"]}
              for kind in ("starttls", "implicit")]
    return start_bridge({"listen": listen, "workers": 1, "web": {"address": "127.0.0.1:0"},
                         "routes": [{"match": "*", "server": fake.url}]}, tls=pki)


def context_for(bridge, lowest, highest=None):
    context = bridge.tls_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest or lowest
    return context


def connect(bridge, listener, source, context, session=None):
    """A client that has said what comes before TLS, and TLS."""
    client = pop3.Client(bridge.port(listener), source=source, greet=listener == "starttls")
    try:
        if listener == "starttls":
            client.ok("STLS")
        client.socket = context.wrap_socket(client.socket, server_hostname="localhost",
                                            session=session)
        if listener == "implicit":
            client.line()
    except BaseException:
        client.close()
        raise
    return client


@pytest.mark.parametrize("listener", ["starttls", "implicit"])
@pytest.mark.parametrize("version,text", [(V.TLSv1, "TLSv1"), (V.TLSv1_1, "TLSv1.1"),
                                          (V.TLSv1_2, "TLSv1.2"), (V.TLSv1_3, "TLSv1.3")])
def test_a_named_network_reads_mail_by_any_version(legacy, listener, version, text):
    with connect(legacy, listener, OLD, context_for(legacy, version)) as client:
        assert client.socket.version() == text
        client.sign_in("alice")
        assert client.retr(1) == mails.simple()
        client.quit()


@pytest.mark.parametrize("listener", ["starttls", "implicit"])
@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1])
def test_everybody_else_is_refused_the_old_versions(legacy, listener, version):
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        connect(legacy, listener, NEW, context_for(legacy, version))
    with connect(legacy, listener, NEW, context_for(legacy, V.TLSv1, V.TLSv1_3)) as client:
        assert client.socket.version() == "TLSv1.3"


def test_each_use_is_logged_and_counted(legacy):
    uses = [(V.TLSv1, OLD), (V.TLSv1_1, OLD), (V.TLSv1_2, OLD), (V.TLSv1_3, NEW)]
    for version, source in uses:
        with connect(legacy, "implicit", source, context_for(legacy, version)) as client:
            client.sign_in("alice")
            client.quit()
    lines = legacy.wait_log("legacy sign-in", count=2)
    assert [(line["user"], line["peer"], line["tls"].split()[0]) for line in lines] == \
        [("alice", OLD, "TLSv1"), ("alice", OLD, "TLSv1.1")]
    ended = legacy.wait_log("session ended", count=4, reason="quit")
    assert {line["session"] for line in lines} < {line["session"] for line in ended}
    assert "popbridge_sign_ins_legacy_tls_total 2\n" in metrics(legacy)


def metrics(bridge):
    address = net.wait_until(lambda: bridge.log("web"), 10, "the web role")[0]["address"]
    return subprocess.run(["curl", "-sS", f"http://{address}/metrics"], check=True,
                          capture_output=True, timeout=20 * net.slow_factor()).stdout.decode()


def test_a_sign_in_without_tls_is_logged(start_bridge, fake, pki):
    bridge = start_bridge({
        "listen": [{"address": "0.0.0.0:0", "tls": "starttls", "plain-from": [OLD]}],
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    with pop3.Client(bridge.port("starttls"), source=OLD) as client:
        client.sign_in("alice")
        client.quit()
    line = bridge.wait_log("legacy sign-in")[0]
    assert (line["user"], line["peer"], line["tls"]) == ("alice", OLD, "none")


def ticket_of(bridge, source, context):
    with connect(bridge, "implicit", source, context) as client:
        client.quit()
        return client.socket.session


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_ticket_is_good_only_where_it_was_given(legacy, version):
    """What was agreed under the old rules must not be resumed under the strict ones."""
    for giver, taker, resumed in [(OLD, OLD, True), (NEW, NEW, True), (OLD, NEW, False),
                                  (NEW, OLD, False)]:
        context = context_for(legacy, version)
        session = ticket_of(legacy, giver, context)
        assert session.has_ticket
        with connect(legacy, "implicit", taker, context, session) as client:
            assert client.socket.session_reused is resumed, (giver, taker)
            client.quit()


def test_a_ticket_of_one_listener_is_not_one_of_another(legacy):
    context = context_for(legacy, V.TLSv1_2)
    session = ticket_of(legacy, NEW, context)
    with connect(legacy, "starttls", NEW, context, session) as client:
        assert client.socket.session_reused is False


def s_client(bridge, source, *options):
    port = bridge.port("implicit")
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-bind", f"{source}:0",
         *([] if "-cipher" in options else ["-cipher", "ALL:@SECLEVEL=0"]), "-quiet",
         *options],
        input=b"QUIT\r\n", capture_output=True, check=False, timeout=30 * net.slow_factor())
    return (done.stdout + done.stderr).decode(errors="replace")


# What docker/clients.md says of each age, by what these clients offer (their ciphers that
# OpenSSL still has, in their order).
AGES = {
    "Windows Vista, 7": (["-tls1", "-cipher", "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:"
                          "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"], "legacy"),
    "Android 2": (["-tls1", "-cipher", "AES128-SHA:AES256-SHA:DHE-RSA-AES128-SHA:@SECLEVEL=0"],
                  "legacy"),
    "Java 6": (["-tls1", "-cipher", "AES128-SHA:DHE-RSA-AES128-SHA:@SECLEVEL=0"], "legacy"),
    "OS X 10.6": (["-tls1", "-cipher", "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:"
                   "@SECLEVEL=0"], "legacy"),
    "Java 8": (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:AES128-SHA256"], "any"),
    "Windows 10": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:"
                    "ECDHE-RSA-AES256-GCM-SHA384"], "any"),
}


@pytest.mark.parametrize("client", AGES)
def test_clients_of_each_age_get_what_the_documentation_says(start_bridge, fake, pki, client):
    options, network = AGES[client]
    pairs = [pki.leaf(f"age-{kind}", key_type=kind) for kind in ("ec", "rsa")]
    bridge = start_bridge({
        "listen": [{"address": "0.0.0.0:0", "tls": "implicit", "legacy-tls-from": [OLD],
                    "certificates": [{"certificate": one.chain, "key": one.key}
                                     for one in pairs]}],
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    assert "+OK popbridge" in s_client(bridge, OLD, *options)
    assert ("+OK popbridge" in s_client(bridge, NEW, *options)) == (network == "any")


def test_a_client_made_to_fall_back_is_told(legacy):
    """RFC 7507: who could do better is not let down to TLS 1.1, named network or not."""
    assert "+OK popbridge" in s_client(legacy, OLD, "-tls1_1")
    assert "inappropriate fallback" in s_client(legacy, OLD, "-tls1_1", "-fallback_scsv")


def test_weak_signatures_are_not_for_everybody(start_bridge, fake, pki):
    """A client of TLS 1.2 that knows SHA-1 only: security level 0, so named networks."""
    rsa = pki.leaf("legacy-rsa", key_type="rsa")
    bridge = start_bridge({
        "listen": [{"address": "0.0.0.0:0", "tls": "implicit",
                    "certificates": [{"certificate": rsa.chain, "key": rsa.key}],
                    "legacy-tls-from": [OLD]}],
        "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    sha1 = ("-tls1_2", "-sigalgs", "RSA+SHA1")
    assert "+OK popbridge" in s_client(bridge, OLD, *sha1)
    assert "+OK popbridge" not in s_client(bridge, NEW, *sha1)


def test_a_balancer_s_client_counts_not_the_balancer(start_bridge, fake, pki):
    listener = {"address": "127.0.0.1:0", "tls": "starttls", "proxy-from": ["127.0.0.1"],
                "legacy-tls-from": ["192.0.2.7", "127.0.0.1"]}
    bridge = start_bridge({"listen": [listener],
                           "routes": [{"match": "*", "server": fake.url}]}, tls=pki)
    for header, may in [(b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 110\r\n", True),
                        (b"PROXY TCP4 192.0.2.8 192.0.2.1 4000 110\r\n", False),
                        (b"PROXY UNKNOWN\r\n", False)]:
        with pop3.Client(bridge.port("starttls"), greet=False) as client:
            client.send(header)
            assert client.line().startswith(b"+OK")
            if may:
                client.stls(context_for(bridge, V.TLSv1))
                continue
            client.ok("STLS")
            with pytest.raises(ssl.SSLError):
                client.start_tls(context_for(bridge, V.TLSv1))


@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_2])
def test_commands_in_front_of_tls_are_refused_here_as_well(legacy, version):
    """STARTTLS injection on a listener with old clients."""
    for smuggled in (b"CAPA\r\n", b"USER alice\r\nPASS secret\r\n", b"X"):
        with pop3.Client(legacy.port("starttls"), source=OLD) as client:
            client.send(b"STLS\r\n" + smuggled)
            client.rest()
    ended = legacy.wait_log("session ended", count=3)
    assert {line["reason"] for line in ended} <= {"commands before TLS", "TLS failed"}
    with connect(legacy, "starttls", OLD, context_for(legacy, version)) as client:
        client.sign_in("alice")


def test_an_old_client_does_not_weaken_the_way_to_the_server(start_bridge, pki):
    """The same session: TLS 1.0 on this side, and a server that has no better is refused."""
    with fake_imap.FakeImap(tls=pki.server) as server:
        server.tls.set_ciphers("ALL:@SECLEVEL=0")
        server.tls.minimum_version, server.tls.maximum_version = V.TLSv1, V.TLSv1_1
        bridge = start_bridge({
            "listen": [{"address": "127.0.0.1:0", "tls": "implicit",
                        "legacy-tls-from": ["127.0.0.0/8"]}],
            "routes": [{"match": "*", "server": server.url, "ca-file": pki.ca}]}, tls=pki)
        with connect(bridge, "implicit", OLD, context_for(bridge, V.TLSv1)) as client:
            assert client.try_sign_in("alice").startswith(b"-ERR [SYS/")
        assert server.credentials == []

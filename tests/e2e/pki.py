"""
A certificate authority for tests, by the openssl command: root -> intermediate -> leaf.
Certificates are made when they are first asked for, good ones and bad ones alike.
"""

import datetime
import os
import subprocess
from typing import NamedTuple

LOCAL_NAMES = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")


class Certificate(NamedTuple):
    chain: str  # path: leaf, then what leads to the root, the root not included
    key: str  # path
    leaf: str  # path: the leaf alone


def _openssl(*arguments, stdin=None):
    done = subprocess.run(
        ["openssl", *arguments], input=stdin, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments}: {done.stderr.decode()}")
    return done.stdout


def _stamp(when):
    return when.strftime("%Y%m%d%H%M%SZ")


class Pki:
    """Files live below folder; pki.ca is what a client has to trust."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self._made = {}
        self.ca = self._authority("root", None)
        self._intermediate = self._authority("intermediate", "root")
        self._other_ca = None

    @property
    def server(self):
        """localhost, 127.0.0.1 and ::1, three certificates from root to leaf."""
        return self.leaf("server")

    def leaf(self, name, names=LOCAL_NAMES, **how):
        """
        A certificate of the intermediate authority, made once per name.
        how: days_from, days_to (whole days from now), issuer, usage, common_name,
        key_type ("ec", "rsa").
        """
        if name not in self._made:
            self._made[name] = self._leaf(name, names, **how)
        return self._made[name]

    def expired(self):
        return self.leaf("expired", days_from=-30, days_to=-1)

    def not_yet_valid(self):
        return self.leaf("not-yet-valid", days_from=10, days_to=20)

    def wrong_host(self):
        return self.leaf("wrong-host", names=("DNS:mail.example.net", "IP:192.0.2.1"))

    def common_name_only(self):
        """No subjectAltName; the host name stands in the subject, which must not count."""
        return self.leaf("common-name-only", names=(), common_name="localhost")

    def client_only(self):
        """Extended key usage clientAuth: no server certificate."""
        return self.leaf("client-only", usage="clientAuth")

    def client(self, common_name="popbridge"):
        return self.leaf(f"client-{common_name}", usage="clientAuth",
                         names=(f"DNS:{common_name}",), common_name=common_name)

    def unknown_ca(self):
        """Signed by an authority nobody trusts."""
        if not self._other_ca:
            self._other_ca = self._authority("other-root", None)
        return self.leaf("unknown-ca", issuer="other-root")

    def missing_intermediate(self):
        """The good certificate, but the server forgets to send the intermediate."""
        good = self.server
        return Certificate(chain=good.leaf, key=good.key, leaf=good.leaf)

    def self_signed(self):
        if "self-signed" not in self._made:
            key = self._key("self-signed", "ec")
            leaf = self._path("self-signed.pem")
            _openssl("req", "-x509", "-new", "-key", key, "-out", leaf, "-days", "30",
                     "-subj", "/CN=localhost", "-addext",
                     "subjectAltName=" + ",".join(LOCAL_NAMES))
            self._made["self-signed"] = Certificate(chain=leaf, key=key, leaf=leaf)
        return self._made["self-signed"]

    def pin(self, certificate):
        """Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo."""
        public = _openssl("x509", "-in", certificate.leaf, "-noout", "-pubkey")
        der = _openssl("pkey", "-pubin", "-outform", "DER", stdin=public)
        digest = _openssl("dgst", "-sha256", "-binary", stdin=der)
        return _openssl("base64", "-A", stdin=digest).decode().strip()

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _key(self, name, key_type):
        key = self._path(f"{name}.key")
        if key_type == "rsa":
            _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                     "-out", key)
        else:
            _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-out", key)
        os.chmod(key, 0o644)  # servers of several users read it; it protects nothing
        return key

    def _authority(self, name, issuer):
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        return self._sign(name, issuer, f"popbridge test {name}", extensions, -10, 3650, "ec")

    def _leaf(self, name, names, days_from=-1, days_to=365, issuer="intermediate",
              usage="serverAuth", common_name=None, key_type="ec"):
        extensions = "basicConstraints=critical,CA:FALSE\n"
        also = ",keyEncipherment" if key_type == "rsa" else ""
        extensions += f"keyUsage=critical,digitalSignature{also}\nextendedKeyUsage={usage}\n"
        if names:
            extensions += "subjectAltName=" + ",".join(names) + "\n"
        subject = common_name or f"popbridge test {name}"
        leaf = self._sign(name, issuer, subject, extensions, days_from, days_to, key_type)
        chain = self._path(f"{name}.chain.pem")
        with open(chain, "w", encoding="ascii") as out:
            parts = [leaf] if issuer != "intermediate" else [leaf, self._intermediate]
            for part in parts:
                with open(part, encoding="ascii") as pem:
                    out.write(pem.read())
        return Certificate(chain=chain, key=self._path(f"{name}.key"), leaf=leaf)

    def _sign(self, name, issuer, subject, extensions, days_from, days_to, key_type):
        """openssl ca, since only that one takes dates in the past."""
        self._key(name, key_type)
        request = self._path(f"{name}.csr")
        _openssl("req", "-new", "-key", self._path(f"{name}.key"), "-out", request,
                 "-subj", f"/CN={subject}")
        config = self._path(f"{name}.cnf")
        with open(config, "w", encoding="ascii") as out:
            out.write(_CA_CONFIG.format(folder=self.folder, name=name))
            out.write(extensions)
        for empty in (f"{name}.index", f"{name}.index.attr"):
            open(self._path(empty), "w", encoding="ascii").close()
        now = datetime.datetime.now(datetime.timezone.utc)
        signer = ["-selfsign", "-keyfile", self._path(f"{name}.key")]
        if issuer:
            signer = ["-cert", self._path(f"{issuer}.pem"),
                      "-keyfile", self._path(f"{issuer}.key")]
        out = self._path(f"{name}.pem")
        _openssl("ca", "-batch", "-config", config, "-in", request, "-out", out, *signer,
                 "-startdate", _stamp(now + datetime.timedelta(days=days_from)),
                 "-enddate", _stamp(now + datetime.timedelta(days=days_to)), "-notext")
        return out


_CA_CONFIG = """[ca]
default_ca = ca
[ca]
database = {folder}/{name}.index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

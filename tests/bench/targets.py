"""
The servers that are driven. popbridge: the build under test. peer: Dovecot's POP3 on its
imapc storage, the nearest other bridge. native: Dovecot's POP3 on the mail itself. floor:
no server but raw IMAP, everything asked for at once; pipefloor: 64 single FETCHes on the way.
unparked: popbridge without parking.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import accounting
import state
import upstream
from state import MAIL_UID, path, run, target_port, upstream_port


PORTS = 8  # more than there are


class Target:
    """Listens on port (plain, STLS) and port + 1 (TLS). tls: none, stls or tls, both sides."""

    is_imap = False

    def __init__(self, name, rtt, tls, slot):
        self.name, self.rtt, self.tls = name, rtt, tls
        self.port = target_port(slot)
        self.folder = path("targets", f"{name}-{rtt}-{tls}")
        self.root = 0

    def upstream_port(self):
        return upstream_port("imaps" if self.tls == "tls" else "imap", self.rtt)

    def client_port(self):
        return self.port + (self.tls == "tls")

    def start(self):
        os.makedirs(self.folder, exist_ok=True)

    def stop(self):
        pass

    def forget(self, user):
        """Drop what is cached about a user ("*": all)."""


class Floor(Target):
    is_imap = True

    def client_port(self):
        return self.upstream_port()


class Native(Target):
    def client_port(self):
        return upstream_port("pop3s" if self.tls == "tls" else "pop3", self.rtt)

    def start(self):
        self.root = upstream.pid()


class Popbridge(Target):
    _CONFIG = """\
listen:
  - {{address: "127.0.0.1:{port}", tls: starttls}}
  - {{address: "127.0.0.1:{tls_port}", tls: implicit}}
tls: {{certificate: {tls}/server.pem, key: {tls}/server.key}}
routes:
  - {{match: "*", server: "{scheme}://127.0.0.1:{upstream}"{trust}}}
limits: {{sessions-per-address: 10000, accept-rate: 100000, sign-in-delay: off, parking: {parking}}}
log: {{level: warning}}
"""
    _PARKING = "5m"
    _SCHEMES = {"none": "imap", "stls": "imap+starttls", "tls": "imaps"}

    def config(self):
        return self._CONFIG

    def start(self):
        super().start()
        state.write(self.folder + "/popbridge.yaml", self.config().format(
            port=self.port, tls_port=self.port + 1, tls=path("tls"),
            parking=self._PARKING, scheme=self._SCHEMES[self.tls], upstream=self.upstream_port(),
            trust="" if self.tls == "none" else f", ca-file: {path('tls')}/ca.pem"))
        self.process = state.start(
            [state.PROGRAMS["popbridge"], "serve", "-c", self.folder + "/popbridge.yaml"],
            self.folder + "/pid", self.folder + "/log")
        self.root = self.process.pid
        state.wait_port(self.port)

    def _workers(self):
        found = set()
        for pid in accounting.tree(self.root):
            with contextlib.suppress(OSError):  # one that has just ended
                if "\0--role\0worker\0" in accounting.read(f"/proc/{pid}/cmdline"):
                    found.add(pid)
        return found

    def forget(self, user):
        """The workers remember; a reload replaces them."""
        before = self._workers()
        os.kill(self.root, signal.SIGHUP)
        deadline = time.monotonic() + 20
        while before & self._workers():
            if time.monotonic() > deadline:
                raise OSError("popbridge does not reload")
            time.sleep(0.05)

    def stop(self):
        if self.root:
            state.stop(self.folder + "/pid")
            self.process.wait()
            self.root = 0


class Unparked(Popbridge):
    _PARKING = "off"


class Peer(Target):
    def start(self):
        for name in ("run", "home"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
        os.chown(self.folder + "/home", MAIL_UID, MAIL_UID)
        kind = {"tls": "imaps", "stls": "starttls"}.get(self.tls)
        check = f" ssl={kind} ssl_ca_file={path('tls')}/ca.pem allow_invalid_cert=no" if kind else ""
        state.render("peer.conf", self.folder + "/dovecot.conf", FOLDER=self.folder,
                     NAME=os.path.basename(self.folder), POP3=self.port, POP3S=self.port + 1,
                     UPSTREAM=self.upstream_port(), IMAPC_SSL=kind or "no",
                     PASSDB=f"host=127.0.0.1 port={self.upstream_port()}{check}")
        self.root = state.start_dovecot(self.folder + "/dovecot.conf")
        state.wait_port(self.port)

    def stop(self):
        state.stop(self.folder + "/run/master.pid")

    def forget(self, user):
        home = self.folder + "/home"
        for name in os.listdir(home) if user == "*" else [user]:
            shutil.rmtree(f"{home}/{name}", ignore_errors=True)
        run("doveadm", "-c", self.folder + "/dovecot.conf", "auth", "cache", "flush",
            stdout=subprocess.DEVNULL)


CLASSES = {"popbridge": Popbridge, "unparked": Unparked, "peer": Peer, "native": Native,
           "floor": Floor, "pipefloor": Floor}

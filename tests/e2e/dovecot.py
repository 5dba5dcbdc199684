"""
A real Dovecot 2.3 for tests: its own configuration in a temporary folder, loopback only,
free ports, run by root (it then drops to nobody) or by an ordinary user.

Any user signs in with "secret", except those named in passwords=, who have their own.
Changing a mailbox behind the bridge's back goes over IMAP (imap()), doveadm() or the files.
"""

import base64
import contextlib
import grp
import imaplib
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import time

import net

PASSWORD = "secret"

# What Microsoft 365 offers: no ESEARCH, CONDSTORE, ENABLE.
CAPABILITY_365 = ("IMAP4rev1 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE "
                  "LITERAL+")
CAPABILITY_BARE = "IMAP4rev1"

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
instance_name = {name}
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = {protocols}
mail_location = {location}
mail_home = {folder}/mail/%u
mail_plugins = {plugins}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
mail_max_userip_connections = 0
verbose_proctitle = yes
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_chars =
auth_username_format = %u
auth_verbose = yes
disable_plaintext_auth = {refuse_plain}
ssl = {ssl}
{tls}
{capability}
{internal}
imap_hibernate_timeout = 0
default_process_limit = 2000
default_client_limit = 4000
default_vsz_limit = 1 G
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/passwd
}}
passdb {{
  driver = static
  args = password={password}
  {filter}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  {chroot}
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  {chroot}
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
# Tests sign in wrongly on purpose: no growing penalty for the loopback address.
service anvil {{
  {chroot}
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  {chroot}
}}
plugin {{
  acl = vfile
}}
{extra}
"""


def is_installed():
    return os.path.exists("/usr/sbin/dovecot")


def _mail_owner():
    """root hands the mail to nobody; anybody else owns it himself."""
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    return user, group


class Dovecot:
    """
    with Dovecot(pki) as dovecot: ...

    storage      "maildir" or "sdbox"
    certificate  pki.Certificate of the server; default pki.server; None with pki=None: no TLS
    capability   what it says it can (it still does the rest); None: everything
    passwords    {user: bytes}: users with a password of their own instead of "secret"; any
                 bytes but NUL, CR, LF, and (Dovecot refuses them) TAB and 0x01
    mechanisms   SASL mechanisms offered
    refuse_plain passwords only over TLS (LOGINDISABLED before)
    pop3         also Dovecot's own POP3, to compare with
    acl          with the ACL plugin, for make_read_only()
    extra        text at the end of dovecot.conf
    """

    def __init__(self, pki=None, storage="maildir", certificate=None, capability=None,
                 passwords=None, mechanisms="plain login", refuse_plain=False, pop3=False,
                 acl=False, extra=""):
        self.host = "127.0.0.1"
        self.user, self.group = _mail_owner()
        self.ca = pki.ca if pki else None
        self.folder = net.short_folder("dc")
        self.storage = storage
        self._process = None
        self._passwords = dict(passwords or {})
        self._certificate = certificate or (pki.server if pki else None)
        self._options = {"capability": capability, "mechanisms": mechanisms, "acl": acl,
                         "refuse_plain": refuse_plain, "pop3": pop3, "extra": extra}
        self._delivered = 0
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Where it listens -------------------------------------------------------------

    @property
    def url(self):
        """The plain one; also good for imap+starttls:// with the same port."""
        return f"imap://{self.host}:{self.imap_port}"

    @property
    def url_starttls(self):
        return f"imap+starttls://localhost:{self.imap_port}"

    @property
    def url_tls(self):
        return f"imaps://localhost:{self.imaps_port}"

    @property
    def log(self):
        try:
            with open(f"{self.folder}/dovecot.log", encoding="utf-8",
                      errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # Start and stop ---------------------------------------------------------------

    def _start(self):
        mail = f"{self.folder}/mail"
        os.makedirs(mail, exist_ok=True)
        os.makedirs(f"{self.folder}/run", exist_ok=True)
        self._give_to_mail_user(mail)
        self._write_passwords()
        for attempt in range(5):
            self._pick_ports()
            self._write_config()
            try:
                self._launch()
                return
            except AssertionError:
                if attempt == 4 or "in use" not in self.log:
                    raise

    def _pick_ports(self):
        self.imap_port = net.free_port()
        self.imaps_port = net.free_port() if self._certificate else 0
        self.pop3_port = net.free_port() if self._options["pop3"] else 0

    def _launch(self):
        command = ["/usr/sbin/dovecot", "-F", "-c", f"{self.folder}/dovecot.conf"]
        self._output = open(f"{self.folder}/output", "wb")
        self._process = subprocess.Popen(net.die_with_parent(command), cwd=self.folder,
                                         stdin=subprocess.DEVNULL,
                                         stdout=self._output, stderr=self._output)
        net.wait_until(self._answers, 20 * net.slow_factor(), self._why_not_ready)

    def _answers(self):
        if self._process.poll() is not None:
            raise AssertionError(self._why_not_ready())
        try:
            with socket.create_connection((self.host, self.imap_port), 5) as probe:
                return probe.recv(4) == b"* OK"
        except OSError:
            return False

    def _why_not_ready(self):
        with open(f"{self.folder}/output", encoding="utf-8", errors="replace") as output:
            return f"Dovecot answers on its port: {output.read()} {self.log[-3000:]}"

    def stop(self):
        """Stops it; the mail stays. start_again() continues on the same ports."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            _kill([self._process.pid, *self._children()])
            self._process.wait()
        self._output.close()
        self._process = None

    def start_again(self):
        self._launch()

    def close(self):
        """The end of it: nothing is kept, so its processes need no time to finish."""
        if self._process is not None:
            _kill([self._process.pid, *self._children()])
        self.stop()
        net.remove_folder(self.folder)

    # Configuration ----------------------------------------------------------------

    def _write_config(self):
        option = self._options
        root = os.getuid() == 0
        certificate = self._certificate
        tls = internal = ""
        if certificate:
            tls = f"ssl_cert = <{certificate.chain}\nssl_key = <{certificate.key}"
        if not root:
            internal = (f"default_internal_user = {self.user}\n"
                        f"default_internal_group = {self.group}\n"
                        f"default_login_user = {self.user}")
        odd = " ".join(f"!{user}" for user in self._passwords)
        text = _CONFIG.format(
            folder=self.folder, name=os.path.basename(self.folder),
            protocols="imap pop3" if option["pop3"] else "imap",
            location=f"{self.storage}:~/{self.storage}",
            plugins="acl" if option["acl"] else "",
            mechanisms=option["mechanisms"],
            refuse_plain="yes" if option["refuse_plain"] else "no",
            ssl="yes" if certificate else "no", tls=tls, internal=internal,
            capability=(f"imap_capability = {option['capability']}"
                        if option["capability"] else ""),
            password=PASSWORD, filter=f"username_filter = {odd}" if odd else "",
            user=self.user, group=self.group, chroot="" if root else "chroot =",
            imap=self.imap_port, imaps=self.imaps_port, pop3=self.pop3_port,
            extra=option["extra"])
        with open(f"{self.folder}/dovecot.conf", "w", encoding="utf-8") as config:
            config.write(text)

    def set_password(self, user, password):
        """Another password for a user named in passwords=, bytes as said above."""
        assert user in self._passwords, "name the user in passwords= at the start"
        self._passwords[user] = password
        self._write_passwords()
        net.wait_until(lambda: self._accepts(user), 10, "Dovecot reads its passwd-file")

    def _accepts(self, user):
        try:
            self.imap(user).logout()
            return True
        except imaplib.IMAP4.error:
            return False

    def _write_passwords(self):
        path = f"{self.folder}/passwd"
        with open(f"{path}.new", "w", encoding="utf-8") as out:
            for user, password in self._passwords.items():
                coded = base64.b64encode(password).decode()
                out.write(f"{user}:{{PLAIN.b64}}{coded}\n")
        os.chmod(f"{path}.new", 0o644)
        os.replace(f"{path}.new", path)

    def doveadm(self, *arguments):
        done = subprocess.run(
            ["doveadm", "-c", f"{self.folder}/dovecot.conf", *arguments],
            capture_output=True, check=False, cwd=self.folder)
        assert done.returncode == 0, f"doveadm {arguments}: {done.stderr.decode()}"
        return done.stdout.decode()

    # Mail -------------------------------------------------------------------------

    def imap(self, user, password=None, tls=False):
        """An imaplib connection, signed in; `with` logs it out."""
        if tls:
            trust = ssl.create_default_context(cafile=self.ca)
            imap = imaplib.IMAP4_SSL("localhost", self.imaps_port, ssl_context=trust)
        else:
            imap = imaplib.IMAP4(self.host, self.imap_port)
        if password is None:
            password = self._passwords.get(user, PASSWORD.encode())
        if isinstance(password, str):
            password = password.encode()
        plain = b"\0" + user.encode() + b"\0" + password
        imap.authenticate("PLAIN", lambda _: plain)
        return imap

    def deliver(self, user, messages, folder="INBOX", flags=None):
        """APPEND messages (bytes, or a list of them), in order. Returns their UIDs."""
        if isinstance(messages, bytes):
            messages = [messages]
        uids = []
        with self.imap(user) as imap:
            if folder != "INBOX":
                imap.create(_quoted(folder))  # NO where it is there already
            for message in messages:
                uids.append(_append(imap, folder, message, flags))
        return uids

    def write_maildir(self, user, content, folder="INBOX"):
        """
        Put these bytes into the maildir as a file, past every conversion an APPEND does
        (Dovecot stores LF and sends CRLF; a file with CRLF it sends as it is).
        """
        assert self.storage == "maildir"
        home = f"{self.folder}/mail/{user}"
        box = f"{home}/maildir"
        if folder != "INBOX":
            box += f"/.{folder}"
        for name in (home, box, f"{box}/tmp", f"{box}/new", f"{box}/cur"):
            if not os.path.isdir(name):
                os.makedirs(name)
                self._give_to_mail_user(name)
        self._delivered += 1
        name = f"{time.time_ns() // 10**9}.M{self._delivered:06}P{os.getpid()}.test"
        with open(f"{box}/tmp/{name}", "wb") as out:
            out.write(content)
        self._give_to_mail_user(f"{box}/tmp/{name}")
        os.rename(f"{box}/tmp/{name}", f"{box}/new/{name}")
        return f"{box}/new/{name}"

    def bodies(self, user, folder="INBOX"):
        """{uid: exact BODY.PEEK[]}, in the order of UIDs."""
        with self.imap(user) as imap:
            _select(imap, folder)
            return dict(_fetch(imap, "1:*", "BODY.PEEK[]"))

    def body(self, user, uid, folder="INBOX"):
        with self.imap(user) as imap:
            _select(imap, folder)
            return dict(_fetch(imap, str(uid), "BODY.PEEK[]"))[uid]

    def uids(self, user, folder="INBOX"):
        with self.imap(user) as imap:
            _select(imap, folder)
            return [int(uid) for uid in imap.uid("SEARCH", "ALL")[1][0].split()]

    def flags(self, user, folder="INBOX"):
        """{uid: set of flags}; \\Recent is left out."""
        found = {}
        with self.imap(user) as imap:
            _select(imap, folder)
            for item in imap.uid("FETCH", "1:*", "(UID FLAGS)")[1]:
                if item:
                    uid = int(re.search(rb"UID (\d+)", item).group(1))
                    flags = re.search(rb"FLAGS \(([^)]*)\)", item).group(1).decode()
                    found[uid] = set(flags.split()) - {"\\Recent"}
        return found

    def set_flags(self, user, uids, flags, folder="INBOX", change="+FLAGS.SILENT"):
        with self.imap(user) as imap:
            _select(imap, folder, readonly=False)
            _expect_ok(imap.uid("STORE", _set(uids), change, f"({flags})"))

    def expunge(self, user, uids, folder="INBOX"):
        """Gone, as if another client had deleted them."""
        with self.imap(user) as imap:
            _select(imap, folder, readonly=False)
            _expect_ok(imap.uid("STORE", _set(uids), "+FLAGS.SILENT", "(\\Deleted)"))
            if "UIDPLUS" in imap.capabilities:
                _expect_ok(imap.uid("EXPUNGE", _set(uids)))
            else:
                _expect_ok(imap.expunge())

    def uidvalidity(self, user, folder="INBOX"):
        with self.imap(user) as imap:
            _select(imap, folder)
            return int(imap.response("UIDVALIDITY")[1][0])

    def change_uidvalidity(self, user, folder="INBOX"):
        """Every UID may mean something else from now on. Returns the new UIDVALIDITY."""
        new = self.uidvalidity(user, folder) + 1000
        self.doveadm("mailbox", "update", "-u", user, "--uid-validity", str(new), folder)
        assert self.uidvalidity(user, folder) == new
        return new

    def recreate(self, user, folder, messages=()):
        """Delete the folder and make it anew: another UIDVALIDITY, the same low UIDs."""
        with self.imap(user) as imap:
            imap.delete(_quoted(folder))
            _expect_ok(imap.create(_quoted(folder)))
        return self.deliver(user, list(messages), folder)

    def make_read_only(self, user, folder="INBOX", rights="lr"):
        """Needs acl=True. "lr": read; "lrs": also \\Seen; no deleting either way."""
        assert self._options["acl"], "start it with acl=True"
        self.uids(user, folder)  # makes the folder
        box = self.doveadm("mailbox", "path", "-u", user, folder).strip()
        with open(f"{box}/dovecot-acl", "w", encoding="ascii") as acl:
            acl.write(f"owner {rights}\n")
        self._give_to_mail_user(f"{box}/dovecot-acl")

    def _give_to_mail_user(self, path):
        if os.getuid() == 0:
            owner = pwd.getpwnam(self.user)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    # Processes --------------------------------------------------------------------

    def _children(self):
        """pid -> command line of everything this Dovecot's master started."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                if parent == self._process.pid:
                    with open(f"/proc/{pid}/cmdline", "rb") as line:
                        found[int(pid)] = line.read().decode("utf-8", "replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def imap_processes(self, user):
        """The processes that serve this user's IMAP connections now."""
        title = f"/imap [{user} "
        return [pid for pid, line in self._children().items() if title in line]

    def drop_connections(self, user):
        """Kill them, as a crash or an impatient server would. Returns how many."""
        pids = self.imap_processes(user)
        _kill(pids)
        net.wait_until(lambda: not set(pids) & set(self.imap_processes(user)), 10,
                       "killed IMAP processes end")
        return len(pids)

    def cpu_seconds(self, user):
        """User and system time of this user's IMAP processes so far."""
        total = 0
        for pid in self.imap_processes(user):
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


def _kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _quoted(folder):
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _set(uids):
    return str(uids) if isinstance(uids, int) else ",".join(str(uid) for uid in uids)


def _expect_ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def _select(imap, folder, readonly=True):
    _expect_ok(imap.select(_quoted(folder), readonly=readonly))


def _append(imap, folder, message, flags):
    """imaplib's append() would change line ends; this one sends what it is given."""
    imap.literal = message
    arguments = [_quoted(folder)] + ([f"({flags})"] if flags else [])
    status, text = imap._simple_command("APPEND", *arguments)
    assert status == "OK", text
    uid = re.search(rb"APPENDUID \d+ (\d+)", text[0])
    return int(uid.group(1)) if uid else None


def _fetch(imap, uid_set, items):
    for item in _expect_ok(imap.uid("FETCH", uid_set, f"(UID {items})")):
        if isinstance(item, tuple):
            yield int(re.search(rb"UID (\d+)", item[0]).group(1)), item[1]

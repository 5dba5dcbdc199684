"""The IMAP server behind everything: Dovecot, its mail, its certificates, the delay."""

import os
import shutil
import subprocess
import sys

import state
from state import MAIL_UID, RTTS, path, run, upstream_port, write

SMALL_USERS = int(os.environ.get("BENCH_SMALL_USERS", "500"))  # 10 messages each
IDLE_USERS = int(os.environ.get("BENCH_IDLE", "1000"))  # 100 messages each
MAILBOXES = ("u10k", "u100k", "ubig", "udel")
CONFIG = path("up", "dovecot.conf")
PIDFILE = path("up", "run", "master.pid")


def make_certificates():
    """server.pem: a server's certificate and two intermediate ones, the root in ca.pem."""
    folder = path("tls")
    if os.path.exists(folder + "/server.pem"):
        return
    os.makedirs(folder, exist_ok=True)
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
        "-subj", "/CN=bench root", "-addext", "basicConstraints=critical,CA:TRUE", **quiet)
    issuer = "ca"
    for name, extension in (("first", "basicConstraints=critical,CA:TRUE"),
                            ("second", "basicConstraints=critical,CA:TRUE"),
                            ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")):
        write(f"{folder}/{name}.ext", extension + "\n")
        run("openssl", "req", *key, "-keyout", name + ".key", "-out", name + ".csr",
            "-subj", f"/CN=bench {name}", **quiet)
        run("openssl", "x509", "-req", "-in", name + ".csr", "-CA", issuer + ".pem",
            "-CAkey", issuer + ".key", "-CAcreateserial", "-days", "3650",
            "-extfile", name + ".ext", "-out", name + ".pem", **quiet)
        issuer = name
    chain = "".join(state.read(f"{folder}/{x}.pem") for x in ("server", "second", "first"))
    write(folder + "/server.pem", chain)


def pid():
    return state.pid_in(PIDFILE)


def start():
    for name in ("run", "mail", "templates"):
        os.makedirs(path("up", name), exist_ok=True)
    for name in ("mail", "templates"):
        os.chown(path("up", name), MAIL_UID, MAIL_UID)
    state.render("upstream.conf", CONFIG, UP_IMAP=upstream_port("imap"),
                 UP_IMAPS=upstream_port("imaps"), UP_POP3=upstream_port("pop3"),
                 UP_POP3S=upstream_port("pop3s"))
    state.start_dovecot(CONFIG)
    state.wait_port(upstream_port("imap"))


def stop():
    state.stop(PIDFILE)


def _import(kind):
    """The same octets every time, sizes in Dovecot's cache as after a delivery."""
    source, mail = path("source"), path("up", "mail", kind)
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(mail, ignore_errors=True)
    run(sys.executable, "-B", os.path.join(state.HERE, "mailgen.py"), kind, source)
    run("chown", "-R", f"{MAIL_UID}:{MAIL_UID}", source)
    run("doveadm", "-c", CONFIG, "import", "-u", kind, "maildir:" + source, "", "ALL")
    run("doveadm", "-c", CONFIG, "fetch", "-u", kind, "uid size.virtual size.physical",
        "mailbox", "INBOX", stdout=subprocess.DEVNULL)
    shutil.rmtree(source)
    return mail


def _template(kind):
    """Mail that is copied to its users."""
    folder = path("up", "templates", kind)
    if not os.path.exists(folder):
        os.rename(_import(kind), folder)
    return folder


def _copy(template, user):
    home = path("up", "mail", user)
    if not os.path.exists(home):
        run("cp", "-a", template, home + ".new")
        os.rename(home + ".new", home)


def restore(user="udel"):
    """A mailbox that a scenario empties, as it was."""
    shutil.rmtree(path("up", "mail", user), ignore_errors=True)
    _copy(_template("udel"), user)


def refill():
    """Users whose mail a scenario deletes, as they were; returns their names."""
    users = [f"q{number:04d}" for number in range(SMALL_USERS)]
    for user in users:
        shutil.rmtree(path("up", "mail", user), ignore_errors=True)
        _copy(_template("usmall"), user)
    return users


def populate(kind):
    """One of MAILBOXES, or "small", "idle" or "u1k"."""
    done = path("up", "done." + kind)
    if os.path.exists(done):
        return
    print(f"making the mail of {kind}", flush=True)
    if kind in ("small", "idle"):
        count = SMALL_USERS if kind == "small" else IDLE_USERS
        for number in range(count):
            _copy(_template("u" + kind), f"{kind[0]}{number:04d}")
    elif kind in ("udel", "u1k"):
        restore(kind)
    else:
        _import(kind)
    write(done, "")


def start_relay():
    pidfile = path("relay.pid")
    if state.pid_in(pidfile):
        return
    links = [(upstream_port(k, rtt), upstream_port(k), rtt / 2)
             for rtt in RTTS for k in ("imap", "imaps", "pop3", "pop3s")]
    process = state.start([state.PROGRAMS["delay_relay"], *(str(x) for link in links for x in link)],
                          pidfile, path("relay.log"))
    try:  # the "link" must not slow down when the machine is busy
        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(5))
    except OSError:
        print("the relay runs without real-time priority")
    state.wait_port(links[-1][0])


def stop_relay():
    state.stop(path("relay.pid"))

"""Where everything is: the state folder, the ports, the programs; and processes to stop."""

import os
import re
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STATE = os.path.abspath(os.environ.get("BENCH_STATE") or os.path.join(
    os.environ.get("TMPDIR", "/tmp"), "popbridge-bench"))
BASE_PORT = int(os.environ.get("BENCH_PORT", "21000"))
MAIL_UID = int(os.environ.get("BENCH_UID", "5000"))
RTTS = [int(x) for x in os.environ.get("BENCH_RTTS", "5,10,20,50,100,200").split(",") if x]
PASSWORD = "secret"
PROGRAMS = {}  # name: path
_KINDS = ("imap", "imaps", "pop3", "pop3s")


def path(*parts):
    return os.path.join(STATE, *parts)


def upstream_port(kind, rtt=0):
    """The upstream's port, or the one the relay delays by rtt milliseconds."""
    row = 10 * (1 + RTTS.index(rtt)) if rtt else 0
    return BASE_PORT + 1 + row + _KINDS.index(kind)


def target_port(slot):
    """The first of two ports of a target."""
    return BASE_PORT + 100 + 10 * slot


def find_programs(build):
    for name in ("popbridge", "pop3_load", "imap_load", "delay_relay", "pop3_many",
                 "pop3_hostile", "imap_stand_in"):
        found = [os.path.join(here, name) for here, _, names in os.walk(build)
                 if name in names and os.access(os.path.join(here, name), os.X_OK)]
        if len(found) != 1:
            raise SystemExit(f"{name}: found {found} in {build}")
        PROGRAMS[name] = os.path.abspath(found[0])


def run(*args, **kw):
    kw.setdefault("check", True)
    return subprocess.run(args, **kw)


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)


def render(template, out, **values):
    """conf/template with each @NAME@ filled in."""
    text = read(os.path.join(HERE, "conf", template))
    values = {"STATE": STATE, "UID": MAIL_UID, "PASSWORD": PASSWORD, **values}
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    left = re.findall(r"@[A-Z0-9_]+@", text)
    if left:
        raise SystemExit(f"unfilled in {template}: {left}")
    write(out, text)


def is_alive(pid):
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_in(pidfile):
    """The pid, or 0 where there is none that lives."""
    try:
        pid = int(read(pidfile))
    except (OSError, ValueError):
        return 0
    return pid if is_alive(pid) else 0


def stop(pidfile):
    pid = pid_in(pidfile)
    if pid:
        os.kill(pid, signal.SIGTERM)
        if not wait_for(lambda: not is_alive(pid), 15):
            os.kill(pid, signal.SIGKILL)
    if os.path.exists(pidfile):
        os.unlink(pidfile)


def start(args, pidfile, log):
    """In the background, its output in a file: a pipe would not end."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True)
    write(pidfile, str(process.pid))
    return process


def wait_for(question, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    return None


def wait_port(port):
    def listens():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    if not wait_for(listens):
        raise SystemExit(f"nothing listens on port {port}")


def start_dovecot(config):
    """Returns the master's pid."""
    pidfile = os.path.join(os.path.dirname(config), "run", "master.pid")
    if not pid_in(pidfile):
        with open(config + ".err", "w", encoding="utf-8") as err:
            if run("dovecot", "-c", config, stdout=err, stderr=err, check=False).returncode:
                raise SystemExit(f"dovecot -c {config}: {read(config + '.err')}")
    return wait_for(lambda: pid_in(pidfile)) or 0

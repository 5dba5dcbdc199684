"""
popbridge as a test subject: started with a configuration, ready when the constructor
returns, its log as fields, stopped with SIGTERM and required to end well.

The binary is named by the environment variable POPBRIDGE (ctest sets it).
"""

import json
import os
import re
import signal
import ssl
import subprocess

import net
import pop3

# Most tests count connections, or wait until they are closed.
PARKING = os.environ.get("POPBRIDGE_PARKING", "off")
_SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|LeakSanitizer|WARNING: \w+Sanitizer")


def binary():
    path = os.environ.get("POPBRIDGE", "")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"POPBRIDGE must name the popbridge binary, is {path!r}")
    return os.path.abspath(path)


def is_sanitized():
    """Sanitizers make memory and time measurements meaningless."""
    with open(binary(), "rb") as program:
        return b"__asan_init" in program.read()


class Bridge:
    """
    with Bridge({"routes": [{"match": "*", "server": dovecot.url}]}) as bridge:
        client = bridge.client()

    config: a dict (JSON is YAML) or YAML text. Without "listen" it gets one plain
    loopback listener; tls=pki adds the certificate, and a starttls and an implicit
    listener. log and limits get test-friendly defaults where config says nothing; started
    as root it stays root; no connection is parked (POPBRIDGE_PARKING=5m: in all tests).
    command: command-line arguments instead of `serve -c FILE`. program: another file than
    the binary, a copy of it. flags: of serve. before: a command that runs the program, such as
    ["prlimit", "--nofile=64"].
    """

    def __init__(self, config=None, tls=None, command=None, environment=None, wait=True,
                 program=None, before=(), flags=()):
        program = program or binary()
        self.folder = net.short_folder("br")
        self._tls = tls
        self.config_path = f"{self.folder}/popbridge.yaml"
        arguments = command
        if config is not None:
            self.write_config(config)
            arguments = command or ["serve", *flags, "-c", self.config_path]
        self._stderr_path = f"{self.folder}/stderr"
        self._stderr = open(self._stderr_path, "wb")
        command_line = net.die_with_parent([*before, program, *arguments])
        self.process = subprocess.Popen(
            command_line, stdin=subprocess.DEVNULL, stdout=self._stderr,
            stderr=self._stderr, cwd=self.folder,
            env={**without_ours(), **(environment or {})})
        self._forgiven = False
        if wait:
            self._wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self._forgiven = True  # the test failed already: only show what was said
        self.close()

    def write_config(self, config):
        if not isinstance(config, str):
            config = json.dumps(self._with_defaults(config), indent=2)
        with open(self.config_path, "w", encoding="utf-8") as out:
            out.write(config)

    def _with_defaults(self, config):
        config = dict(config)
        if "listen" not in config:
            kinds = ["none", "starttls", "implicit"] if self._tls else ["none"]
            config["listen"] = [{"address": "127.0.0.1:0", "tls": kind} for kind in kinds]
        if self._tls and "tls" not in config:
            certificate = self._tls.server
            config["tls"] = {"certificate": certificate.chain, "key": certificate.key}
        if os.getuid() == 0:  # else the tests' folders would have to be another user's
            config.setdefault("user", "root")
        config["limits"] = {"sign-in-delay": "off", "drain": "10ms", "parking": PARKING,
                            **config.get("limits", {})}
        config["log"] = {"level": "debug", **config.get("log", {})}
        return config

    def _wait_ready(self):
        try:
            net.wait_until(self._is_ready, 20 * net.slow_factor(), "popbridge is ready")
        except BaseException:
            self._forgiven = True
            self.close()
            raise

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"popbridge ended with {self.process.returncode}")
        return any(line.get("event") == "ready" for line in self.log())

    # Where it listens -------------------------------------------------------------

    def addresses(self, tls=None):
        """[(host, port)] of the listeners, in the order of the configuration."""
        found = []
        for line in self.log("listening"):
            if tls is None or line.get("tls") == tls:
                host, port = line["address"].rsplit(":", 1)
                found.append((host.strip("[]"), int(port)))
        return found

    def port(self, tls="none"):
        addresses = self.addresses(tls)
        assert addresses, f"no listener with tls {tls}: {self.log('listening')}"
        return addresses[0][1]

    def client(self, tls="none", **how):
        """A pop3.Client, TLS already up unless tls is "none"; not signed in."""
        context = self.tls_context() if tls != "none" else None
        client = pop3.Client(self.port(tls), tls=context if tls == "implicit" else None,
                             **how)
        if tls == "starttls":
            client.stls(context)
        return client

    def signed_in(self, user, password="secret", **how):
        client = self.client(**how)
        client.sign_in(user, password)
        return client

    def tls_context(self, **how):
        return pop3.tls_context(self._tls.ca, **how) if self._tls else \
            ssl.create_default_context()

    # What it says and uses --------------------------------------------------------

    @property
    def stderr(self):
        with open(self._stderr_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def log(self, event=None):
        """Log lines as dicts of strings, all or those of one event."""
        lines = (parse_line(line) for line in self.stderr.splitlines())
        return [line for line in lines
                if line and (event is None or line.get("event") == event)]

    def wait_log(self, event, count=1, seconds=10, **fields):
        """Waits until so many lines of this event (with these fields) are there."""
        def matching():
            found = [line for line in self.log(event)
                     if all(line.get(key) == str(value) for key, value in fields.items())]
            return found if len(found) >= count else None
        return net.wait_until(matching, seconds * net.slow_factor(),
                              f"log line {event!r} {fields}")

    def reference(self, answer):
        """The log lines that carry the reference an -ERR ends with: (ref 7F3A9C)."""
        match = re.search(rb"\(ref ([0-9A-F]+)\)$", answer)
        assert match, f"no reference in {answer!r}"
        name = match.group(1).decode()
        return net.wait_until(lambda: [line for line in self.log()
                                       if line.get("ref") == name],
                              5, f"a log line with ref={name}")

    def pids(self):
        """The master first, then its roles."""
        children = [int(pid) for pid in os.listdir("/proc")
                    if pid.isdigit() and _parent(pid) == self.process.pid]
        return [self.process.pid, *sorted(children)]

    def rss_kib(self):
        return sum(_status(pid, "VmRSS") for pid in self.pids())

    def peak_rss_kib(self):
        return sum(_status(pid, "VmHWM") for pid in self.pids())

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def cpu_seconds(self):
        return sum(_cpu_seconds(pid) for pid in self.pids())

    # The end ----------------------------------------------------------------------

    def kill(self):
        """SIGKILL, as the kernel's memory killer would; not held against it."""
        self._forgiven = True
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        """SIGTERM, then exit code 0 and no sanitizer report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds * net.slow_factor())
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            code = f"none within {seconds} s of SIGTERM"
        report = _SANITIZER.search(self.stderr)
        assert not report, f"sanitizer report:\n{self.stderr[-8000:]}"
        assert self._forgiven or code == 0, f"popbridge's exit code: {code}"

    def close(self):
        try:
            self.stop()
        finally:
            self._stderr.close()
            print(f"--- popbridge's standard error\n{self.stderr[-20000:]}")
            net.remove_folder(self.folder)


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rsplit(")", 1)[1].split()


def _parent(pid):
    try:
        return int(_stat(pid)[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _cpu_seconds(pid):
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {key} of process {pid}")


def without_ours():
    """The environment without POPBRIDGE_SLOW and its like, which are for the tests."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("POPBRIDGE_")}


def run(*arguments, stdin=b"", seconds=60, environment=None):
    """A subcommand to its end: CompletedProcess with bytes; no sanitizer report allowed."""
    done = subprocess.run([binary(), *arguments], input=stdin, capture_output=True,
                          timeout=seconds * net.slow_factor(), check=False,
                          env={**without_ours(), **(environment or {})})
    print(f"--- popbridge {' '.join(arguments)}: {done.returncode}\n"
          f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    assert not _SANITIZER.search(done.stderr.decode(errors="replace"))
    return done


_FIELD = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s|$)')


def parse_line(line):
    """One log line, logfmt or JSON, as a dict of strings; None where it is neither."""
    if line.startswith("{"):
        try:
            return {key: str(value) for key, value in json.loads(line).items()}
        except ValueError:
            return None
    fields, place = {}, 0
    while place < len(line):
        match = _FIELD.match(line, place)
        if not match:
            return None
        key, value = match.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        fields[key] = value
        place = match.end()
    return fields or None

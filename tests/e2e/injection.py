"""
strace, which makes system calls of a running process fail or be its last.

    with Injection(pids, "pwrite64", "signal=KILL:when=3") as traced: ...

Threads of one process are counted apart, so that calls are repeatable: main_thread(pid) and
other_threads(pid) say which.
"""

import os
import signal
import subprocess

import net


class Injection:
    """strace is attached when the constructor returns; it lets go at the end."""

    def __init__(self, threads, call, what):
        self._folder = net.short_folder("st")
        self._path = f"{self._folder}/trace"
        command = ["strace", "-qq", "-o", self._path, "-e", f"trace={call}",
                   "-e", f"inject={call}:{what}"]
        for thread in threads:
            command += ["-p", str(thread)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
        try:
            net.wait_until(lambda: self._is_attached(threads), 10 * net.slow_factor(),
                           "strace is attached")
        except BaseException:
            self.close()
            raise

    def _is_attached(self, threads):
        if self.happened:
            return True
        if self._process.poll() is not None:
            raise AssertionError(f"strace: {self._process.stderr.read()}")
        return all(_tracer(thread) == self._process.pid for thread in threads)

    @property
    def happened(self):
        """Was anything injected? Killed processes count."""
        if not os.path.exists(self._path):
            return False
        with open(self._path, encoding="utf-8", errors="replace") as trace:
            text = trace.read()
        return "(INJECTED)" in text or "killed by SIGKILL" in text

    def close(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=20 * net.slow_factor())
        net.remove_folder(self._folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _tracer(thread):
    try:
        with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as text:
            status = text.readlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next(int(line.split()[1]) for line in status if line.startswith("TracerPid:"))


def main_thread(pid):
    return [pid]


def other_threads(pid):
    return [thread for thread in sorted(map(int, os.listdir(f"/proc/{pid}/task")))
            if thread != pid]

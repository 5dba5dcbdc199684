"""
podman in a network namespace of its own, which plays the host: what it publishes is reached
from a second namespace, so that no client is ever on loopback.
"""

import json
import os
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOST, PEER = "198.51.100.1", "198.51.100.2"


def run(*command, check=True, **how):
    """The finished process; its output as text. A failure shows all of it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n"
                           f"{done.stdout}\n{done.stderr}")
    return done


def wait_until(question, seconds, what):
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return answer


class Host:
    def __init__(self):
        self.name, self.peer = f"pb-host-{os.getpid()}", f"pb-peer-{os.getpid()}"
        for name in (self.name, self.peer):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "link", "add", "outside", "type", "veth", "peer", "name",
            "up0", "netns", self.peer)
        for name, link, address in ((self.name, "outside", HOST), (self.peer, "up0", PEER)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")
        self.containers = []

    def close(self):
        self.podman("rm", "-fa", "-t", "2", check=False)
        self.podman("volume", "prune", "-f", check=False)
        self.podman("network", "prune", "-f", check=False)
        for name in (self.name, self.peer):
            run("ip", "netns", "del", name, check=False)

    def podman(self, *arguments, **how):
        # Not `ip netns exec`: it mounts /sys anew and hides the cgroups.
        return run("nsenter", f"--net=/run/netns/{self.name}", "podman", *arguments, **how)

    def curl(self, *arguments, check=True, outside=True):
        """From the other side of the wire, or from the host itself."""
        name = self.peer if outside else self.name
        return run("nsenter", f"--net=/run/netns/{name}", "curl", "-sS", "--max-time", "20",
                   *arguments, check=check)

    def start(self, image, *arguments, options=()):
        name = self.podman("run", "-d", "--health-interval", "disable", *options,
                           f"localhost/{image}", *arguments).stdout.strip()
        return Container(self, name)


class Container:
    def __init__(self, host, name):
        self.host, self.name = host, name

    @property
    def log(self):
        done = self.host.podman("logs", self.name)
        return done.stdout + done.stderr

    @property
    def state(self):
        return json.loads(self.host.podman("inspect", self.name).stdout)[0]["State"]

    def wait_log(self, words, seconds=20):
        def said():
            assert words in self.log or self.state["Running"], f"ended:\n{self.log}"
            return words in self.log
        wait_until(said, seconds, f"{words} in the log")
        return self

    def wait_end(self, seconds=20):
        wait_until(lambda: not self.state["Running"], seconds, "the container ends")
        return self.state["ExitCode"]

    def stop(self):
        """As `docker stop`: the image's signal, then the exit code."""
        self.host.podman("stop", "-t", "30", self.name)
        return self.state["ExitCode"]

    def inside(self, *command, check=True):
        """In its network and nothing else of it."""
        return run("nsenter", "-t", str(self.state["Pid"]), "-n", *command, check=check)

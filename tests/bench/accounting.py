"""What processes cost: processor time, memory; and what the hypervisor took away."""

import os
import threading
import time

from state import read

_TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.02


def tree(root):
    """The process and all that descend from it."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(read(f"/proc/{entry}/stat").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(entry))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_s(root):
    """utime + stime of the tree, children that ended included; 10 ms a process exact."""
    ticks = 0
    for pid in tree(root) if root else []:
        try:
            fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            ticks += sum(int(x) for x in fields[11:15])
        except (OSError, IndexError):
            pass
    return ticks / _TICKS


def pss_kib(root):
    """Shared pages divided among those who share them: for many processes."""
    total = 0
    for pid in tree(root):
        try:
            total += sum(int(line.split()[1])
                         for line in read(f"/proc/{pid}/smaps_rollup").splitlines()
                         if line.startswith("Pss:"))
        except OSError:
            pass
    return total


class Peak:
    """The highest proportional size of all processes while this is entered."""

    def __init__(self, root, every_s=SAMPLE_S):
        self.root = root
        self.every_s = every_s
        self.kib = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._over.wait(self.every_s):
            self.kib = max(self.kib, pss_kib(self.root))

    def __enter__(self):
        self._watcher.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._watcher.join()
        self.kib = max(self.kib, pss_kib(self.root))


def processor_ticks():
    """(stolen by the hypervisor, all) since boot."""
    fields = [int(x) for x in read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    return fields[7], sum(fields)


def stolen(before, after):
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def wait_quiet(limit, seconds):
    """Until the hypervisor leaves us the processors, but not longer than that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = processor_ticks()
        time.sleep(0.5)
        if stolen(before, processor_ticks()) <= limit:
            return

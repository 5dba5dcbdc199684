"""What processes cost: processor time, memory; and what the hypervisor took away."""

import os
import time

from state import read

_TICKS = os.sysconf("SC_CLK_TCK")


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


def _status(pid, name):
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def peak_rss_kib(pid):
    """The highest resident size of one process, kept by the kernel."""
    return _status(pid, "VmHWM")


def rss_kib(root):
    return sum(_status(pid, "VmRSS") for pid in tree(root))


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

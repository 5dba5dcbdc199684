"""
clang-tidy over the product's C files: tidy.py BUILD, where BUILD has compile_commands.json.
A file that was clean is not looked at again until it, a header or the rules change.

The analyzer gives up on a function after MAX_NODES steps. Three times as many, its own limit,
take twice as long and have found nothing more.
"""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys

import c_source

MAX_NODES = 75000


def _fingerprint(root, path, common):
    text = c_source.read(root, path)
    return hashlib.sha256((common + path + text).encode()).hexdigest()


def _common(root):
    """Everything besides a file itself that its result depends on."""
    paths = [".clang-tidy"] + c_source.files(root, ("protocol", "proxy"), (".h",))
    return "".join(c_source.read(root, path) for path in paths)


def _look(root, build, path):
    done = subprocess.run(
        ["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option",
         "--extra-arg=-Xclang", "--extra-arg=-analyzer-config",
         "--extra-arg=-Xclang", f"--extra-arg=max-nodes={MAX_NODES}",
         os.path.join(root, path)], cwd=root, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines()
             if ": error:" in line or ": warning:" in line]
    if done.returncode != 0 and not lines:
        lines = [f"{path}: clang-tidy failed: {done.stderr[-500:]}"]
    return [line.replace(root + "/", "") for line in lines]


def check(root, build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as text:
        built = {os.path.relpath(entry["file"], root) for entry in json.load(text)}
    paths = [path for path in c_source.files(root, ("protocol", "proxy"), (".c",))
             if path in built]
    clean = os.path.join(build, "tidy")
    os.makedirs(clean, exist_ok=True)
    common = _common(root)
    stamps = {path: os.path.join(clean, _fingerprint(root, path, common)) for path in paths}
    due = [path for path in paths if not os.path.exists(stamps[path])]
    problems = []
    os.nice(10)  # the tests that run meanwhile have deadlines
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, found in zip(due, pool.map(lambda one: _look(root, build, one), due)):
            problems += found
            if not found:
                open(stamps[path], "w", encoding="ascii").close()
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("tidy", *check(c_source.top(), os.path.abspath(sys.argv[1]))))

"""cppcheck over the product's C files: cppcheck.py BUILD, where BUILD keeps its cache."""

import os
import subprocess
import sys

import c_source

_OPTIONS = [
    "--quiet", "--std=c11", "--enable=warning,performance,portability",
    "--error-exitcode=1", "--inline-suppr", "--suppress=missingIncludeSystem",
    # A task's locals stay while it is suspended: handing their address out is the point.
    "--suppress=autoVariables",
    # Takes an array whose address is given away for one that is read; uninitvar stays.
    "--suppress=legacyUninitvar",
    "-D__GNUC__", "-DUINT64_MAX=18446744073709551615UL", "-I.",
]


def check(root, build):
    paths = c_source.files(root, ("protocol", "proxy"), (".c",))
    if not paths:
        return [], 0
    cache = os.path.join(build, "cppcheck")
    os.makedirs(cache, exist_ok=True)
    done = subprocess.run(["cppcheck", f"--cppcheck-build-dir={cache}", *_OPTIONS, *paths],
                          cwd=root, capture_output=True, text=True, check=False)
    problems = [line for line in done.stderr.splitlines()
                if ": error:" in line or ": warning:" in line or ": performance:" in line
                or ": portability:" in line]
    if done.returncode != 0 and not problems:
        problems = [done.stdout + done.stderr]
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("cppcheck", *check(c_source.top(), os.path.abspath(sys.argv[1]))))

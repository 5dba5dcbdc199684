"""The layout .clang-format prescribes."""

import subprocess
import sys

import c_source


def check(root):
    paths = c_source.c_files(root)
    problems = []
    if paths:
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--style=file", *paths],
                              cwd=root, capture_output=True, text=True, check=False)
        problems = [line for line in done.stderr.splitlines() if "error:" in line]
        if done.returncode != 0 and not problems:
            problems = [done.stderr.strip() or "clang-format failed"]
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("format", *check(c_source.top())))

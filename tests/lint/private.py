"""Nothing in a file that holds only on one machine: paths of it, registries behind it."""

import re
import sys

import c_source

_PATTERNS = [
    (re.compile(r"(?<![\w.~/}])/(?:work|root|workspace)/\w"), "a path of one machine"),
    (re.compile(r"(?<![\w.~/}])/home/(?!\$|USER|NAME|%)\w+/"), "somebody's home folder"),
    (re.compile(r"(?<![\w.~/}])/tmp/(?:build|bash)[-_]"), "a path of one machine"),
    (re.compile(r"\b(?:registry\.(?:npm|yarn)|pypi\.|files\.pythonhosted|crates\.io|"
                r"index\.crates|proxy\.golang|deb\.debian|snapshot\.debian|ghcr\.io|"
                r"quay\.io|rubygems\.|repo1?\.maven)"), "a package registry's host"),
]
_ENDINGS = ("", )


def check(root):
    problems, checked = [], 0
    for path in c_source.files(root, (".",), _ENDINGS):
        if path.startswith("tests/fuzz/corpus/") or path.endswith((".pyc", ".orig")):
            continue
        try:
            lines = c_source.read(root, path).splitlines()
        except UnicodeDecodeError:
            continue
        checked += 1
        if path == "tests/lint/private.py":
            continue
        for number, line in enumerate(lines, 1):
            problems += [f"{path}:{number}: {what}: {line.strip()}"
                         for pattern, what in _PATTERNS if pattern.search(line)]
    return problems, checked


if __name__ == "__main__":
    sys.exit(c_source.report("private", *check(c_source.top())))

"""Who may include whom: folders only to their left, each library in its one place."""

import os
import re
import sys

import c_source

# Folders of one row do not include one another.
ROWS = [
    ["protocol"], ["proxy/base"], ["proxy/rt"], ["proxy/config"], ["proxy/ipc"],
    ["proxy/keeper", "proxy/oauth", "proxy/web", "proxy/upstream"],
    ["proxy/mailbox"], ["proxy/session"], ["proxy/ops"], ["proxy/cli"], ["proxy"],
]
RANK = {folder: rank for rank, row in enumerate(ROWS) for folder in row}

# First match wins: what may include such a header.
LIBRARIES = [
    (r"uv(\.h|/)", {"proxy/rt"}),
    (r"ares(_\w+)?\.h", {"proxy/rt"}),
    (r"zlib\.h", {"proxy/rt"}),
    (r"ucontext\.h", {"proxy/rt"}),
    (r"openssl/(ssl|tls1|ssl3|bio|dtls1)\.h", {"proxy/rt"}),
    (r"openssl/", {"proxy/rt", "proxy/keeper", "proxy/oauth"}),
    (r"libetpan/", {"proxy/upstream"}),
    (r"sqlite3\.h", {"proxy/keeper"}),
    (r"curl/", {"proxy/oauth"}),
    (r"jansson\.h", {"proxy/oauth", "proxy/cli"}),
    (r"qrencode\.h", {"proxy/cli"}),
    (r"crypt\.h", {"proxy/keeper"}),
    (r"microhttpd\.h", {"proxy/web"}),
    (r"(cyaml/|yaml\.h)", {"proxy/config"}),
]

# protocol/: no I/O, no clock.
PURE = {
    "assert.h", "ctype.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "strings.h",
}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def _system(folder, header):
    if folder == "protocol":
        return None if header in PURE else "protocol/ includes nothing but libc and itself"
    for pattern, allowed in LIBRARIES:
        if re.match(pattern, header):
            return None if folder in allowed else f"only in {', '.join(sorted(allowed))}"
    return None


def _own(root, folder, header):
    if not os.path.exists(os.path.join(root, header)):
        return "no such file; an include names the folder from the top"
    target = os.path.dirname(header)
    if target == folder:
        return None
    if target not in RANK:
        return f"{target} is not in the table of tests/lint/layers.py"
    if RANK[target] == RANK[folder]:
        return f"{folder} and {target} do not include one another"
    return None if RANK[target] < RANK[folder] else f"{folder} is to the left of {target}"


def check(root):
    problems = []
    paths = c_source.c_files(root, ("protocol", "proxy"))
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in RANK:
            problems.append(f"{path}: {folder} is not in the table of tests/lint/layers.py")
            continue
        text = c_source.without_comments(c_source.read(root, path), strings=None)
        for match in _INCLUDE.finditer(text):
            own, header = match[1] == '"', match[2]
            why = _own(root, folder, header) if own else _system(folder, header)
            if why:
                line = text.count("\n", 0, match.start(1)) + 1
                problems.append(f"{path}:{line}: includes {header}: {why}")
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("layers", *check(c_source.top())))

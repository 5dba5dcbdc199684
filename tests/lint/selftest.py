"""Every lint is shown a mistake and must find it, and clean code and must not."""

import os
import sys
import tempfile

import banned
import c_source
import format as layout
import functions
import layers
import private
import reference
import suspends

_TASK_H = """#ifndef T_H
#define T_H
#define SUSPENDS
SUSPENDS void task_sleep(int ms);
void task_start(void (*entry)(void *), void *argument);
#endif
"""
_CLEAN_C = """#include "proxy/rt/task.h"

SUSPENDS static void doze(void)
{
\ttask_sleep(1); /* strcpy(a, b) in a comment, "gmtime(" in a string */
}

static void entry(void *argument)
{
\t(void)argument;
\tdoze();
}

void start(void)
{
\ttask_start(entry, 0);
}
"""

CLEAN = {"proxy/rt/task.h": _TASK_H, "proxy/session/session.c": _CLEAN_C}


def _session(body, before=""):
    return {**CLEAN, "proxy/session/session.c":
            f'#include "proxy/rt/task.h"\n{before}\n{body}\n'}


SETTINGS = {"proxy/config/config_schema.c": """
static const cyaml_schema_field_t listener_fields[] = {
\tTEXT("address", config_raw_listener, address),
};
static const cyaml_schema_value_t listener_entry = {
\tCYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_listener,
\t\t\t    listener_fields),
};
static const cyaml_schema_field_t top_fields[] = {
\tLIST("listen", config_raw, listen, &listener_entry, LIST_MAX),
\tTEXT("state", config_raw, state),
};
"""}
DOCUMENTED = """# Text.
listen:
  # Text.
  - address: a
  - address: b

# Text.
#state: x

"""


# (lint, what is planted, files, words the report must contain)
PLANTED = [
    (layers, "a folder to the right",
     {**CLEAN, "proxy/rt/x.c": '#include "proxy/session/s.h"\n', "proxy/session/s.h": ""},
     "to the left"),
    (layers, "a sibling", {"proxy/keeper/k.h": "",
                           "proxy/upstream/u.c": '#include "proxy/keeper/k.h"\n'},
     "do not include one another"),
    (layers, "libuv outside of rt", {"proxy/session/s.c": "#include <uv.h>\n"}, "only in"),
    (layers, "TLS in the keeper", {"proxy/keeper/k.c": "#include <openssl/ssl.h>\n"},
     "only in"),
    (layers, "libetpan outside of upstream",
     {"proxy/mailbox/m.c": "#include <libetpan/libetpan.h>\n"}, "only in"),
    (layers, "I/O in protocol", {"protocol/p.c": "#include <unistd.h>\n"}, "libc"),
    (layers, "an include without its folder", {"proxy/rt/x.c": '#include "task.h"\n'},
     "no such file"),
    (suspends, "an unmarked caller", _session("void f(void)\n{\n\ttask_sleep(1);\n}"),
     "f calls task_sleep"),
    (suspends, "an unmarked caller of a static one", _session(
        "SUSPENDS static void g(void)\n{\n\ttask_sleep(1);\n}\n"
        "static int f(int a)\n{\n\tif (a) {\n\t\tg();\n\t}\n\treturn 0;\n}"), "f calls g"),
    (suspends, "a call in a condition", _session(
        "SUSPENDS bool g(void);\nint f(void)\n{\n\treturn !g() && 1;\n}"), "f calls g"),
    (suspends, "a call inside a macro", _session(
        "#define NAP(x) do { task_sleep(x); } while (0)\nvoid f(void)\n{\n\tNAP(1);\n}"),
     "f calls NAP"),
    (suspends, "a call through a pointer", _session(
        "void f(struct d *d)\n{\n\td->run(1);\n}",
        "struct d {\n\tint a;\n\tSUSPENDS void (*run)(int);\n};"), "f calls run"),
    (suspends, "a mark only at the definition", _session(
        "void f(void);\nSUSPENDS void f(void)\n{\n\ttask_sleep(1);\n}"), "not at the other"),
    (suspends, "an address given away", _session(
        "void f(void)\n{\n\tatexit(task_sleep);\n}"), "takes the address"),
    (suspends, "a table of unmarked pointers", _session(
        "SUSPENDS void g(void);\nstatic void (*table[])(void) = { g };"), "table"),
    (suspends, "libetpan talking to the server",
     {"proxy/upstream/u.c": "int f(void *s)\n{\n\treturn mailimap_noop(s);\n}\n"},
     "f calls mailimap_noop"),
    (banned, "strcpy", {"proxy/rt/x.c": "void f(char *a)\n{\n\tstrcpy(a, 0);\n}\n"},
     "strcpy() is banned"),
    (banned, "gmtime in a test", {"tests/unit/t.c": "int x = gmtime(0);\n"},
     "gmtime() is banned"),
    (layout, "four blanks", {"proxy/rt/x.c": "int f(void)\n{\n    return 1;\n}\n"},
     "clang-formatted"),
    (private, "a home folder", {"README.md": "see /home/" + "somebody/notes\n"}, "home"),
    (private, "a registry", {"Dockerfile": "RUN curl https://pypi" + ".org/x\n"},
     "registry"),
    (reference, "a setting nobody documents",
     {**SETTINGS, "docker/popbridge.yaml": "# Text.\nlisten:\n  # Text.\n  - address: 1\n"},
     "state is not documented"),
    (reference, "a setting nobody reads",
     {**SETTINGS, "docker/popbridge.yaml": DOCUMENTED + "# Text.\n#stat: x\n"}, "knows no stat"),
    (reference, "a setting documented twice",
     {**SETTINGS, "docker/popbridge.yaml": DOCUMENTED + "# Text.\nstate: x\n"}, "second time"),
    (functions, "a long function",
     {"proxy/rt/x.c": "void f(void)\n{\n" + "\tg();\n" * 90 + "}\n"}, "f has 93 lines"),
]


def _run(lint, files):
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(c_source.top(), ".clang-format"), encoding="utf-8") as style:
            files = {**files, ".clang-format": style.read()}
        for path, text in files.items():
            where = os.path.join(root, path)
            os.makedirs(os.path.dirname(where), exist_ok=True)
            with open(where, "w", encoding="utf-8") as out:
                out.write(text)
        return lint.check(root)


def main():
    failed = 0
    settings = {**SETTINGS, "docker/popbridge.yaml": DOCUMENTED}
    for lint in (layers, suspends, banned, layout, private, functions, reference):
        problems, checked = _run(lint, settings if lint is reference else CLEAN)
        if problems or not checked:
            failed += 1
            print(f"{lint.__name__}: complains of clean code: {problems}")
    for lint, what, files, words in PLANTED:
        problems, _ = _run(lint, files)
        if not any(words in problem for problem in problems):
            failed += 1
            print(f"{lint.__name__}: does not find {what}: {problems}")
    print(f"selftest: {len(PLANTED)} planted mistakes, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""
Every setting that proxy/config/config_schema.c knows is documented in docker/popbridge.yaml,
once, and nothing else is. A setting is documented by a comment right above it; the manual
page popbridge.yaml(5) is made of these comments (docker/man/reference.awk).
"""

import re
import sys

import c_source

SCHEMA = "proxy/config/config_schema.c"
REFERENCE = "docker/popbridge.yaml"

_FIELDS = re.compile(r"cyaml_schema_field_t (\w+)\[\] = \{(.*?)\n\};", re.S)
_ENTRY = re.compile(r"cyaml_schema_value_t (\w+) = \{\s*CYAML_VALUE_MAPPING\(.*?(\w+_fields)\)",
                    re.S)
_FIELD = re.compile(r'\b(TEXT|LIST|SECTION)\("([\w-]+)",([^()]*)\)')
_SETTING = re.compile(r"( *)(#?)(- )?([\w-]+):(?: |$)")


def schema_paths(text):
    """"listen[].address" and so on, of the C tables."""
    fields = dict(_FIELDS.findall(text))
    entries = dict(_ENTRY.findall(text))

    def walk(table, prefix):
        for kind, key, arguments in _FIELD.findall(fields[table]):
            words = re.findall(r"\w+", arguments)
            yield prefix + key
            if kind == "SECTION":
                yield from walk(words[-1], prefix + key + ".")
            elif kind == "LIST" and words[2] in entries:
                yield from walk(entries[words[2]], prefix + key + "[].")
    return list(walk("top_fields", ""))


def documented_paths(text):
    """(path, line) of the settings with a comment right above."""
    stack, comment = [], False  # stack: (column, name, "." or "[].")
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r" *#( |$)", line):
            comment = True
            continue
        match = _SETTING.match(line)
        if match:
            column = len(match[1])
            while stack and stack[-1][0] >= column + (2 if match[3] else 0):
                stack.pop()
            if match[3] and stack:
                while stack[-1][0] >= column:
                    stack.pop()
                stack[-1] = (*stack[-1][:2], "[].")
            path = "".join(name + joint for _, name, joint in stack) + match[4]
            stack.append((column + (2 if match[3] else 0), match[4], "."))
            if comment:
                yield path, number
        comment = False


def check(root):
    wanted = schema_paths(c_source.read(root, SCHEMA))
    found = list(documented_paths(c_source.read(root, REFERENCE)))
    paths = [path for path, _ in found]
    problems = [f"{REFERENCE}: {path} is not documented" for path in wanted
                if path not in paths]
    for place, (path, line) in enumerate(found):
        if path not in wanted:
            problems.append(f"{REFERENCE}:{line}: {SCHEMA} knows no {path}")
        elif path in paths[:place]:
            problems.append(f"{REFERENCE}:{line}: {path} is documented a second time")
    return problems, len(wanted)


if __name__ == "__main__":
    sys.exit(c_source.report("reference", *check(c_source.top())))

"""The project's C files as tokens: enough of C for the lints, no more."""

import os
import re
from typing import NamedTuple

_SKIPPED = {"node_modules", ".git", "build"}  # .git is a file in a worktree of its own


class Token(NamedTuple):
    text: str
    line: int


def top():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(root, folders, endings):
    """Paths relative to root, sorted; build folders left out."""
    found = []
    for folder in folders:
        for here, inner, names in os.walk(os.path.join(root, folder)):
            inner[:] = [name for name in inner if name not in _SKIPPED]
            found += [os.path.relpath(os.path.join(here, name), root)
                      for name in names if name.endswith(endings) and name not in _SKIPPED]
    return sorted(found)


def c_files(root, folders=("protocol", "proxy", "tests")):
    return files(root, folders, (".c", ".h"))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as text:
        return text.read()


_NOISE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)


def without_comments(text, strings=""):
    """Comments become blanks, literals become "" (or stay, strings=None)."""
    def blank(match):
        found = match.group()
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found if strings is None else '""'
    return _NOISE.sub(blank, text)


_TOKEN = re.compile(r'[A-Za-z_]\w*|\d[\w.]*|""|->|\S')


def tokens(text):
    """Tokens of text that has neither comments nor preprocessor lines."""
    found, line = [], 1
    for row in text.split("\n"):
        found += [Token(match.group(), line) for match in _TOKEN.finditer(row)]
        line += 1
    return found


_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\([^)]*\)((?:[^\n\\]|\\.|\\\n)*)", re.M)


def without_directives(text):
    return _DIRECTIVE.sub(lambda match: "\n" * match.group().count("\n"), text)


def macros(text):
    """(name, tokens of the body) of function-like macros."""
    return [(match[1], tokens(match[2])) for match in _MACRO.finditer(text)]


class Chunk(NamedTuple):
    """Something at file scope: head up to "{", ";" or "=", and what is in its braces."""

    head: list
    body: list
    kind: str  # "function", "declaration", "initialiser", "type"


def chunks(text):
    """text (comments and directives removed) cut at file scope."""
    all_tokens = tokens(text)
    head, place = [], 0
    while place < len(all_tokens):
        token = all_tokens[place]
        if token.text == ";":
            yield Chunk(head, [], "declaration")
            head, place = [], place + 1
        elif token.text == "{":
            end = _closing(all_tokens, place)
            body = all_tokens[place + 1:end]
            texts = [one.text for one in head]
            if "=" in texts:
                head = head + body
                place = end + 1
                yield Chunk(head, body, "initialiser")
                head = []
            elif texts and texts[-1] == ")" and texts[0] != "typedef":
                yield Chunk(head, body, "function")
                head, place = [], end + 1
            elif texts[:1] == ["extern"] and '""' in texts:
                head, place = [], place + 1  # extern "C": look inside
            else:
                yield Chunk(head, body, "type")
                head, place = [], end + 1
        else:
            head.append(token)
            place += 1


def _closing(all_tokens, place):
    depth = 0
    for index in range(place, len(all_tokens)):
        depth += {"{": 1, "}": -1}.get(all_tokens[index].text, 0)
        if depth == 0:
            return index
    return len(all_tokens) - 1


def function_name(head):
    """
    The name a declaration or definition gives to a function, or to a pointer to one;
    None where it is neither.
    """
    place = 0
    while place < len(head):
        text = head[place].text
        if text == "__attribute__":
            place = _skip_parentheses(head, place + 1)
            continue
        if text == "(" and place > 0:
            if place + 2 < len(head) and head[place + 1].text == "*":
                return head[place + 2].text if _is_word(head[place + 2].text) else None
            before = head[place - 1].text
            return before if _is_word(before) else None
        place += 1
    return None


def _skip_parentheses(head, place):
    depth = 0
    for index in range(place, len(head)):
        depth += {"(": 1, ")": -1}.get(head[index].text, 0)
        if depth == 0:
            return index + 1
    return len(head)


def _is_word(text):
    return re.fullmatch(r"[A-Za-z_]\w*", text) is not None


def report(name, problems, checked):
    """What every lint ends with. A lint that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    if not checked:
        print(f"{name}: found nothing to look at")
        return 1
    print(f"{name}: {len(problems)} problems in {checked} files")
    return 1 if problems else 0

"""
A function that may suspend says so: SUSPENDS stands at its declaration and its definition,
and only functions that say so call it. Task entries (given to task_start()) need no mark.

Calls through a pointer count by the pointer's name when its declaration carries SUSPENDS.
libetpan's calls that talk to the server suspend in our stream driver, so they count too.
"""

import re
import sys

import c_source

MARK = "SUSPENDS"

# libetpan: whoever calls one of these waits for the server.
_ETPAN = re.compile(
    r"mailimap_(?!\w*(_new|_free|_add\w*)$)(connect|capability|noop|logout|authenticate|"
    r"oauth2_authenticate|login|starttls|id|enable|select\w*|examine\w*|close|unselect|"
    r"expunge|uid_expunge|uid_store|store|uid_move|move|uid_copy|search|uid_search|idle\w*|"
    r"custom_command|read_line|parse_response|send_\w+|status|list|compress)$")

# Where a suspending function may be named without being called.
_TAKES_ENTRIES = {"task_start", "task_start_child"}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
_NOT_CALLS = {"if", "while", "for", "switch", "return", "sizeof", "_Alignof", "defined"}


class Function:
    def __init__(self, path, name, head, body):
        self.path, self.name, self.body = path, name, body
        texts = [token.text for token in head]
        self.line = head[0].line
        self.marked = MARK in texts
        self.static = "static" in texts
        self.defined = body is not None
        self.variables = _variables(head[1:] + (body or []), name)


def _variables(found, name):
    """Words declared in a function: behind a type or a star, before = ; , ) or [."""
    return {word.text for before, word, after in zip(found, found[1:], found[2:])
            if after.text in "=;,)[" and word.text != name
            and re.match(r"[A-Za-z_*]", before.text) and before.text != "return"
            and re.match(r"[A-Za-z_]", word.text)}


class Source:
    """One file: its functions, its marked pointers, its file-scope tables, its macros."""

    def __init__(self, root, path):
        text = c_source.without_comments(c_source.read(root, path))
        self.path = path
        self.functions, self.tables, self.pointers = [], [], set()
        self.macros = c_source.macros(text)
        self.includes = _INCLUDE.findall(c_source.read(root, path))
        for chunk in c_source.chunks(c_source.without_directives(text)):
            self._take(chunk)

    def _take(self, chunk):
        name = c_source.function_name(chunk.head)
        if chunk.kind == "function" and name:
            self.functions.append(Function(self.path, name, chunk.head, chunk.body))
        elif chunk.kind == "declaration" and name and chunk.head:
            self._declaration(chunk.head, name)
        elif chunk.kind == "initialiser":
            self.tables.append(chunk.head)
            self._members(chunk.body)
        elif chunk.kind == "type":
            self._members(chunk.body)

    def _declaration(self, head, name):
        texts = [token.text for token in head]
        is_pointer = texts[0] == "typedef" or "(*" in "".join(texts)
        if is_pointer and MARK in texts:
            self.pointers.add(name)
        elif texts[0] != "typedef" and "=" not in texts:
            self.functions.append(Function(self.path, name, head, None))

    def _members(self, body):
        """Pointers to suspending functions among a struct's members."""
        member = []
        for token in body:
            if token.text != ";":
                member.append(token)
                continue
            if any(one.text == MARK for one in member):
                name = c_source.function_name(member)
                if name:
                    self.pointers.add(name)
            member = []


class Program:
    def __init__(self, sources):
        self.sources = sources
        self.problems = []
        self.pointers = set().union(*(source.pointers for source in sources))
        self.everywhere = {}  # name -> marked, of functions with external linkage
        self.declared = {}  # name -> the files that declare it
        self.seen_by = {source.path: self._seen_by(source.path) for source in sources}
        self.local = {}  # (path, name) -> marked, of static ones
        for source in sources:
            for function in source.functions:
                self._learn(function)
        self.entries = self._entries()
        self._learn_macros()

    def _seen_by(self, path):
        """The file and every header it includes, directly or not."""
        by_path = {source.path: source for source in self.sources}
        seen, waiting = set(), [path]
        while waiting:
            one = waiting.pop()
            if one in by_path and one not in seen:
                seen.add(one)
                waiting += by_path[one].includes
        return seen

    def _learn(self, function):
        table, key = self.everywhere, function.name
        self.declared.setdefault(function.name, set()).add(function.path)
        if function.static:
            table, key = self.local, (function.path, function.name)
        if table.setdefault(key, function.marked) != function.marked:
            self.problems.append(
                f"{function.path}:{function.line}: {function.name} has {MARK} at one of its "
                "declaration and definition and not at the other")
            table[key] = True

    def _entries(self):
        found = set()
        for source in self.sources:
            for function in source.functions:
                body = function.body or []
                for place in range(len(body) - 2):
                    if body[place].text in _TAKES_ENTRIES and body[place + 1].text == "(":
                        first = place + 3 if body[place + 2].text == "&" else place + 2
                        found.add((source.path, body[first].text))
        return found

    def _learn_macros(self):
        """A macro that calls a suspending function suspends; macros use macros."""
        macros = [(source.path, *macro) for source in self.sources for macro in source.macros]
        before = -1
        while before != len(self.everywhere):
            before = len(self.everywhere)
            for path, name, body in macros:
                if any(self.suspends(path, called.text) for called in _calls(body)):
                    self.everywhere.setdefault(name, True)
                    self.declared.setdefault(name, set()).add(path)

    def suspends(self, path, name):
        return self._is_function(path, name) or name in self.pointers or \
            _ETPAN.match(name) is not None

    def check(self):
        for source in self.sources:
            for function in source.functions:
                if function.defined:
                    self._check_body(source, function)
            for table in source.tables:
                self._check_table(source, table)
        return self.problems

    def _check_body(self, source, function):
        may = function.marked or (source.path, function.name) in self.entries
        for called in _calls(function.body):
            if self.suspends(source.path, called.text) and not may:
                self.problems.append(
                    f"{source.path}:{called.line}: {function.name} calls {called.text}, "
                    f"which suspends, and is not marked {MARK}")
        for named, receiver in _mentions(function.body):
            if named.text in function.variables:
                continue
            if self._is_function(source.path, named.text) and not (
                    receiver in _TAKES_ENTRIES or self.suspends(source.path, receiver)):
                self.problems.append(
                    f"{source.path}:{named.line}: {function.name} takes the address of "
                    f"{named.text}, which suspends, for something not known to be a task")

    def _check_table(self, source, table):
        """A file-scope table of suspending functions needs a pointer that says so."""
        if any(token.text == "mailstream_low_driver" for token in table):
            return
        for named in table:
            if self._is_function(source.path, named.text) and not self.pointers:
                self.problems.append(
                    f"{source.path}:{named.line}: {named.text} suspends and stands in a "
                    f"table whose pointer is not declared with {MARK}")

    def _is_function(self, path, name):
        """A suspending function by a declaration that this file can see."""
        if (path, name) in self.local:
            return self.local[path, name]
        return self.everywhere.get(name, False) and \
            not self.seen_by[path].isdisjoint(self.declared[name])


def _calls(body):
    for place in range(len(body) - 1):
        token = body[place]
        if body[place + 1].text == "(" and re.match(r"[A-Za-z_]", token.text) \
                and token.text not in _NOT_CALLS:
            yield token


def _mentions(body):
    """(token, function it is an argument of) for words that are not called themselves."""
    stack = []
    for place, token in enumerate(body):
        before = body[place - 1].text if place else ""
        after = body[place + 1].text if place + 1 < len(body) else ""
        if token.text == "(":
            stack.append(before if re.match(r"[A-Za-z_]", before) else
                         (stack[-1] if stack else ""))
        elif token.text == ")" and stack:
            stack.pop()
        elif re.match(r"[A-Za-z_]", token.text) and after != "(" \
                and before not in (".", "->", "struct", "enum"):
            yield token, stack[-1] if stack else ""


def check(root):
    paths = c_source.c_files(root, ("protocol", "proxy"))
    program = Program([Source(root, path) for path in paths])
    return program.check(), len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("suspends", *check(c_source.top())))

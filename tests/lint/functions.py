"""
How long functions and files are. The budget of the house: functions median 15 lines, p90
40, none above 80; files none above 600. Prints; fails only above the two hard limits.
"""

import os
import sys

import c_source

FUNCTION_MAX, FILE_MAX = 80, 600


def lengths(root, paths):
    """(lines, path, line, name) of every function."""
    for path in paths:
        text = c_source.without_comments(c_source.read(root, path))
        for chunk in c_source.chunks(c_source.without_directives(text)):
            if chunk.kind == "function" and chunk.body:
                start, end = chunk.head[0].line, chunk.body[-1].line + 1
                yield end - start + 1, path, start, c_source.function_name(chunk.head)


def check(root):
    problems = []
    paths = c_source.c_files(root, ("protocol", "proxy"))
    found = sorted(lengths(root, paths))
    problems += [f"{path}:{line}: {name} has {count} lines"
                 for count, path, line, name in found if count > FUNCTION_MAX]
    for path in paths:
        count = c_source.read(root, path).count("\n")
        if count > FILE_MAX:
            problems.append(f"{path}: {count} lines")
    if found:
        counts = [entry[0] for entry in found]
        print(f"{len(counts)} functions: median {counts[len(counts) // 2]}, "
              f"p90 {counts[len(counts) * 9 // 10]}, longest {counts[-1]}")
        for count, path, line, name in found[-5:]:
            print(f"  {count:4} {os.path.basename(path)}:{line} {name}")
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("functions", *check(c_source.top())))

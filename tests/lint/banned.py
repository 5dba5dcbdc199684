"""Calls that have a better sister in every case."""

import sys

import c_source

BANNED = {
    "strcpy": "memcpy with a known length", "strcat": "struct buffer",
    "sprintf": "snprintf, its result checked", "vsprintf": "vsnprintf, its result checked",
    "strtok": "bytes_take_word()", "gets": "a bounded read",
    "atoi": "bytes_take_u32()", "atol": "bytes_take_u32()", "atoll": "bytes_take_u32()",
    "gmtime": "gmtime_r()", "localtime": "localtime_r()", "ctime": "strftime()",
    "asctime": "strftime()", "alloca": "a buffer with a maximum",
    "tmpnam": "mkstemp()", "mktemp": "mkstemp()",
}
# Tests may.
BANNED_IN_PRODUCT = {
    **BANNED,
    "strncpy": "memcpy with a known length", "strncat": "struct buffer",
    "strtok_r": "bytes_take_word()", "sscanf": "a parser", "scanf": "a parser",
    "rand": "RAND_bytes()", "random": "RAND_bytes()",
}


def check(root):
    problems = []
    paths = c_source.c_files(root)
    for path in paths:
        found = c_source.tokens(c_source.without_comments(c_source.read(root, path)))
        banned = BANNED if path.startswith("tests/") else BANNED_IN_PRODUCT
        for token, after in zip(found, found[1:]):
            if token.text in banned and after.text == "(":
                problems.append(f"{path}:{token.line}: {token.text}() is banned; "
                                f"instead: {banned[token.text]}")
    return problems, len(paths)


if __name__ == "__main__":
    sys.exit(c_source.report("banned", *check(c_source.top())))

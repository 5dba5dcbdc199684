"""
A strict reader of OpenMetrics text, version 1.0.0: what it does not like is an error.
Only what popbridge writes: no timestamps, exemplars or summaries.
"""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_META = re.compile(rf"# (TYPE|HELP|UNIT) ({_NAME}) (.+)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\d+(?:\.\d+)?)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SUFFIXES = {
    "counter": {"_total"},
    "gauge": {""},
    "histogram": {"_bucket", "_count", "_sum"},
    "info": {"_info"},
}


class Malformed(Exception):
    """The text is no OpenMetrics."""


def _need(condition, what):
    if not condition:
        raise Malformed(what)


def _labels(text):
    found, place = {}, 0
    while place < len(text):
        match = _LABEL.match(text, place)
        _need(match, f"label at {text[place:]!r}")
        _need(match[1] not in found, f"label {match[1]} twice")
        found[match[1]] = match[2]
        place = match.end()
    _need(not text.endswith(","), "a comma behind the last label")
    return found


class Family:
    """A metric family: its kind and its samples {(suffix, labels): value}."""

    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, None, None
        self.samples = {}

    def _meta(self, word, text):
        key = word.lower()
        _need(not self.samples, f"{word} of {self.name} behind its samples")
        _need(getattr(self, key) is None, f"{word} of {self.name} twice")
        setattr(self, key, text)
        if word == "TYPE":
            _need(text in _SUFFIXES, f"type {text}")
        if word == "UNIT":
            _need(self.name.endswith("_" + text), f"{self.name} does not end in {text}")

    def _add(self, name, labels, value):
        suffix = name[len(self.name):]
        _need(self.type, f"{self.name} has no TYPE")
        _need(suffix in _SUFFIXES[self.type], f"{name} in a {self.type} {self.name}")
        _need(("le" in labels) == (suffix == "_bucket"), f"le in {name}")
        key = (suffix, tuple(sorted(labels.items())))
        _need(key not in self.samples, f"{name}{labels} twice")
        self.samples[key] = value

    def check(self):
        _need(self.help, f"{self.name} has no HELP")
        if self.type == "info":
            _need(set(self.samples.values()) <= {1.0}, f"info {self.name} is not 1")
        if self.type == "histogram":
            for labels in {key[1] for key in self.samples if key[0] == "_count"}:
                self._check_histogram(labels)

    def _check_histogram(self, labels):
        buckets = [(float(dict(key[1])["le"]), value) for key, value in self.samples.items()
                   if key[0] == "_bucket" and
                   tuple(l for l in key[1] if l[0] != "le") == labels]
        bounds = [bound for bound, _ in buckets]
        counts = [count for _, count in buckets]
        _need(bounds == sorted(set(bounds)), f"bounds of {self.name} in order: {bounds}")
        _need(bounds and bounds[-1] == float("inf"), f"{self.name} has no +Inf")
        _need(counts == sorted(counts), f"buckets of {self.name} add up: {counts}")
        _need(counts[-1] == self.samples[("_count", labels)], f"count of {self.name}")
        _need(("_sum", labels) in self.samples, f"sum of {self.name}")

    def value(self, **labels):
        """The one sample that has these labels and no others."""
        key = tuple(sorted(labels.items()))
        found = [value for (_, has), value in self.samples.items() if has == key]
        assert len(found) == 1, f"{self.name}{labels}: {self.samples}"
        return found[0]

    def sum(self, suffix=None, **labels):
        """All samples that have these labels, among others."""
        return sum(value for (ends, has), value in self.samples.items()
                   if set(labels.items()) <= set(has) and suffix in (None, ends))


def parse(text):
    """{name: Family}; Malformed."""
    _need(text.endswith("\n# EOF\n"), "the end is not # EOF")
    families, open_family = {}, None
    for line in text[:-len("# EOF\n")].splitlines():
        meta = _META.fullmatch(line)
        sample = _SAMPLE.fullmatch(line)
        _need(meta or sample, f"line {line!r}")
        if meta:
            if open_family is None or meta[2] != open_family.name:
                _need(meta[2] not in families, f"{meta[2]} is not in one piece")
                open_family = families[meta[2]] = Family(meta[2])
            open_family._meta(meta[1], meta[3])
        else:
            _need(open_family and sample[1].startswith(open_family.name),
                  f"{sample[1]} outside of its family")
            open_family._add(sample[1], _labels(sample[2] or ""), float(sample[3]))
    names = set()
    for family in families.values():
        family.check()
        for suffix in _SUFFIXES[family.type]:
            _need(family.name + suffix not in names, f"{family.name}{suffix} clashes")
            names.add(family.name + suffix)
    return families

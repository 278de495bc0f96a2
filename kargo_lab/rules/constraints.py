"""Semver constraints as Masterminds semver v3 reads them: which versions does `^1.2 || >=3.0.0-0` accept?

No Python package has this dialect: AND is a blank or a comma, OR is `||`, hyphen ranges are rewritten
before anything else is looked at, and a prerelease passes a whole group of comparators as soon as one of
them names a prerelease. The grammar here keeps the library's order of steps, because its surprises
come from that order (`>=1.0 1.0 - 2.0` is an error, `1 - 2||3` is not).

Source: discovery.md 6.4 to 6.7.
"""

from __future__ import annotations

import re

import attrs

from kargo_lab.errors import ConstraintError, VersionError
from kargo_lab.rules import versions
from kargo_lab.rules.comparators import END, START, Comparator, Written, comparator
from kargo_lab.rules.versions import Key, Library, Version

_BLANKS = " \t\n\f\r"
_BLANK = f"[{_BLANKS}]"
_PART = r"[0-9|xX*]++"  # the bar is the library's own slip, and visible: `x.|` is a pattern
_WORDS = r"[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*+"
_PATTERN = rf"v?{_PART}(?:\.{_PART})?+(?:\.{_PART})?+(?:-{_WORDS})?+(?:\+{_WORDS})?+"
# Blanks before the range are swallowed, so `!=1.5 1.0 - 2.0` reads `!=1.5>= 1.0, <= 2.0` and is an error. A
# range that starts in the middle of something else is an error with and without rewriting; the
# look-behinds leave it alone, which keeps the search linear.
_HYPHEN = re.compile(
    rf"(?:(?<!{_BLANK}){_BLANK}++|(?<![^ \t\n\f\r,])|(?<=\|)(?=v))"
    rf"({_PATTERN}){_BLANK}++-{_BLANK}++({_PATTERN}){_BLANK}*+",
    re.ASCII,
)
_COMPARATOR = re.compile(rf"(=>|=<|=|!=|>=|>|<=|<|~>|~|\^)?{_BLANK}*+({_PATTERN})", re.ASCII)
_SEPARATOR = re.compile(rf"{_BLANK}*+,{_BLANK}*+|{_BLANK}++")
_PIECES = re.compile(
    rf"(?P<v>v?)(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?+(?:\.(?P<patch>{_PART}))?+(?P<prerelease>(?:-{_WORDS})?+)",
    re.ASCII,
)
_WILDCARDS = ("x", "X", "*", None)


@attrs.frozen
class Group:
    """Comparators that must all hold: one interval of keys, with holes where a `!=` leaves something out."""

    comparators: tuple[Comparator, ...]
    admits_prereleases: bool
    floor: Key
    ceiling: Key
    exclusions: tuple[Comparator, ...]

    def accepts(self, key: Key) -> bool:
        """True if all comparators hold and, for a prerelease, the gate is open."""
        if not self.floor <= key < self.ceiling or (key[3] == 0 and not self.admits_prereleases):
            return False
        return all(hole.accepts(key) for hole in self.exclusions) if self.exclusions else True

    def why(self, version: Version) -> str:
        """The part of a sentence that tells why a version is accepted, or what stops it first."""
        if version.prerelease and not self.admits_prereleases:
            return "is a prerelease, and " + self._closed_gate()
        for one in self.comparators:
            if not one.accepts(version.key):
                if one.excludes:
                    return f"is {one.interval.words}, which {one.text} leaves out"
                return f"is not {one.interval.words}, as {one.text} wants"
        return "is " + " and ".join(_inside(one) for one in self.comparators)

    def _closed_gate(self) -> str:
        texts = ", ".join(one.text for one in self.comparators)
        return f"no comparator of {texts} names one" if len(self.comparators) > 1 else f"{texts} does not name one"


@attrs.frozen
class Constraint:
    """A compiled constraint. `text` is what it was compiled from."""

    text: str
    groups: tuple[Group, ...]

    def check(self, version: Version) -> bool:
        """True if one of the groups accepts the version."""
        key = version.key
        return any(group.accepts(key) for group in self.groups) if len(self.groups) > 1 else self.groups[0].accepts(key)

    def explain(self, version: Version) -> str:
        """A sentence that says whether the version is accepted and why, or what each group holds against it."""
        for group in self.groups:
            if group.accepts(version.key):
                return f"{version.original} satisfies {self.text}: it {group.why(version)}"
        reasons = "; ".join(f"it {group.why(version)}" for group in self.groups)
        return f"{version.original} does not satisfy {self.text}: {reasons}"


def compile(text: str, *, library: str = "3.5.0") -> Constraint:  # noqa: A001 - reads as re.compile does
    """Read a constraint. Raises ConstraintError, which points at the character.

    `library` is the release of Masterminds semver whose behaviour is wanted, see `versions.LIBRARIES`.
    """
    rules = versions.library_named(library)
    if rules.longest_constraint is not None and versions.too_long(text, rules.longest_constraint):
        raise ConstraintError(f"a constraint has at most {rules.longest_constraint} bytes", text)
    rewritten, origin = _without_hyphens(text)
    parts = rewritten.split("||")
    if rules.most_groups is not None and len(parts) > rules.most_groups:
        raise ConstraintError(f"a constraint has at most {rules.most_groups} groups", text)
    groups: list[Group] = []
    start = 0
    for part in parts:
        groups.append(_group(part, text, origin[start : start + len(part) + 1], library))
        start += len(part) + 2
    return Constraint(text, tuple(groups))


def _without_hyphens(text: str) -> tuple[str, list[int]]:
    """`text` with `A - B` as `>= A, <= B `, and for each of its characters and its end where that came from."""
    pieces: list[str] = []
    origin: list[int] = []

    def keep(start: int, end: int) -> None:
        pieces.append(text[start:end])
        origin.extend(range(start, end))

    def put(word: str, position: int) -> None:
        pieces.append(word)
        origin.extend([position] * len(word))

    done = 0
    for found in _HYPHEN.finditer(text):
        keep(done, found.start())
        put(">= ", found.start(1))
        keep(*found.span(1))
        put(", <= ", found.start(2))
        keep(*found.span(2))
        put(" ", found.end(2))
        done = found.end()
    keep(done, len(text))
    origin.append(len(text))
    return "".join(pieces), origin


def _group(part: str, text: str, origin: list[int], library: str) -> Group:
    """One side of `||`; `origin` says where its characters stand in `text`."""
    comparators: list[Comparator] = []
    position = len(part) - len(part.lstrip(_BLANKS))
    while True:
        found = _COMPARATOR.match(part, position)
        if found is None:
            raise ConstraintError(_expected(part, text), text, origin[position])
        comparators.append(_comparator(found, text, origin, library))
        separator = _SEPARATOR.match(part, found.end())
        position = found.end() if separator is None else separator.end()
        if position == len(part) and (separator is None or "," not in separator[0]):
            return _together(comparators, versions.library_named(library))
        if separator is None:
            raise ConstraintError("comparators are separated by a blank or a comma", text, origin[position])


def _expected(part: str, text: str) -> str:
    if part.strip(_BLANKS):
        return "a comparator is expected, such as >=1.2.3"
    return "a side of || is empty" if "||" in text else "a constraint is expected"


def _comparator(found: re.Match[str], text: str, origin: list[int], library: str) -> Comparator:
    """Understand one comparator. Parts after the first wildcard are never looked at."""
    start = found.start(2)
    pieces = _PIECES.match(found[2])
    assert pieces is not None  # noqa: S101 - the comparator has just been matched by the same pattern
    numbers: list[str] = []
    for name in ("major", "minor", "patch"):
        if pieces[name] in _WILDCARDS:
            break
        if not pieces[name].isdigit():
            raise ConstraintError(
                "a part is a number, or just x, X or *",
                text,
                origin[start + _first_odd(pieces[name]) + pieces.start(name)],
            )
        numbers.append(pieces[name])
    written = Written(len(numbers))
    complete = written is Written.FULL
    filled = found[2] if complete else ".".join([*numbers, *["0"] * (3 - written)]) + pieces["prerelease"]
    try:
        reference = versions.parse(filled, library=library)
    except VersionError as error:
        blamed, before = max(error.position, 0), len(filled) - len(pieces["prerelease"])
        if not complete:
            blamed += pieces.start("prerelease") - before if blamed >= before else len(pieces["v"])
        raise ConstraintError(error.message, text, origin[start + blamed]) from None
    return comparator(
        text=found[0],
        position=origin[found.start()],
        operator=found[1] or "",
        written=written,
        reference=reference,
    )


def _first_odd(part: str) -> int:
    """Where a part that is neither a number nor a wildcard stops being a number."""
    return len(part) - len(part.lstrip("0123456789"))


def _together(comparators: list[Comparator], rules: Library) -> Group:
    ranges = [one.interval for one in comparators if not one.excludes]
    gate = any if rules.prerelease_gate_per_group else all
    return Group(
        comparators=tuple(comparators),
        admits_prereleases=gate(
            one.names_prerelease if rules.prerelease_gate_per_group else one.passes_prereleases_alone
            for one in comparators
        ),
        floor=max((one.floor for one in ranges), default=START),
        ceiling=min((one.ceiling for one in ranges), default=END),
        exclusions=tuple(one for one in comparators if one.excludes),
    )


def _inside(one: Comparator) -> str:
    return f"not {one.interval.words}" if one.excludes else one.interval.words

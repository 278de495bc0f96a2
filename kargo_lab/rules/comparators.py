"""What one comparator of a semver constraint (`>=1.2`, `~1.x`, `^0.3.1-rc`) accepts.

Precedence is a total order, so every operator but `!=` accepts one half-open interval of keys, and `!=`
leaves one out. A group of comparators is then one interval with a few holes in it, and checking a version
costs two comparisons of tuples, however the constraint was written. The oddities of the library (`^*`
accepts only 0.0.0, `~0.0.0` everything from there on, `<=*` only 0.0.z) are bounds like any other.

Source: discovery.md 6.5 to 6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType

import attrs

from kargo_lab.rules.versions import Key, Version

START: Key = ()
END: Key = (2**64,)
_NEXT = ((-1, 0),)
"""Appended to a key, this gives the least key above it: no identifier sorts below (0, 0)."""


class Written(IntEnum):
    """How many numbers of the pattern were written out before a wildcard or the end."""

    ANY = 0
    MAJOR = 1
    MINOR = 2
    FULL = 3


@attrs.frozen
class Interval:
    """The keys from `floor` up to, but not including, `ceiling`; `words` say so to people."""

    floor: Key
    ceiling: Key
    words: str


@attrs.frozen
class Comparator:
    """One comparator, as written and as understood. `position` is where it stands in the constraint."""

    text: str
    position: int
    operator: str
    written: Written
    reference: Version
    interval: Interval

    @property
    def excludes(self) -> bool:
        """True for `!=`: the interval is what is left out."""
        return self.operator == "!="

    @property
    def names_prerelease(self) -> bool:
        """True if the pattern has a prerelease, which is what opens the gate for others."""
        return bool(self.reference.prerelease)

    @property
    def passes_prereleases_alone(self) -> bool:
        """True if this comparator lets prereleases through by the rule of library 3.3.1, which judged each alone."""
        return self.names_prerelease or (self.excludes and self.written is Written.FULL)

    def accepts(self, key: Key) -> bool:
        """True if a version with this key is accepted, the prerelease gate left aside."""
        inside = self.interval.floor <= key < self.interval.ceiling
        if not self.excludes:
            return inside
        # `!=1.2.x` compares prereleases where there are any, so 1.2.5-rc passes `!=1.2.x-0`.
        return not inside or (self.written is Written.MINOR and key[3:] != self.reference.key[3:])


def comparator(*, text: str, position: int, operator: str, written: Written, reference: Version) -> Comparator:
    """Understand one comparator."""
    return Comparator(text, position, operator, written, reference, OPERATORS[operator](reference, written))


def _same(reference: Version, written: Written) -> tuple[Key, str]:
    """The first key after those that share the numbers written out, and its words; a bare wildcard is read as 0.0."""
    major, minor = reference.major, reference.minor
    if written is Written.MAJOR:
        return (major + 1,), f"below {major + 1}.0.0"
    return (major, minor + 1), f"below {major}.{minor + 1}.0"


def _exactly(reference: Version) -> Interval:
    return Interval(reference.key, (*reference.key, *_NEXT), f"exactly {reference}")


def _equal(reference: Version, written: Written) -> Interval:
    return _exactly(reference) if written is Written.FULL else _tilde(reference, written)


def _different(reference: Version, written: Written) -> Interval:
    """What is left out."""
    major, minor = reference.major, reference.minor
    match written:
        case Written.MAJOR:
            return Interval((major,), (major + 1,), f"any {major}.y.z")
        case Written.MINOR:
            return Interval((major, minor), (major, minor + 1), f"any {major}.{minor}.z")
        case _:
            return _exactly(reference)


def _above(reference: Version, written: Written) -> Interval:
    if written in (Written.ANY, Written.FULL):
        return Interval((*reference.key, *_NEXT), END, f"above {reference}")
    floor, _ = _same(reference, written)
    return Interval(floor, END, f"at least {'.'.join(str(number) for number in floor)}")


def _below(reference: Version, written: Written) -> Interval:  # noqa: ARG001 - all operators have one shape
    return Interval(START, reference.key, f"below {reference}")


def _at_least(reference: Version, written: Written) -> Interval:  # noqa: ARG001 - all operators have one shape
    return Interval(reference.key, END, f"at least {reference}")


def _at_most(reference: Version, written: Written) -> Interval:
    if written is Written.FULL:
        return Interval(START, (*reference.key, *_NEXT), f"at most {reference}")
    ceiling, words = _same(reference, written)
    return Interval(START, ceiling, words)


def _tilde(reference: Version, written: Written) -> Interval:
    zero = written is Written.FULL and reference.key[:3] == (0, 0, 0)
    if zero or written is Written.ANY:
        return _at_least(reference, written)
    ceiling, words = _same(reference, written)
    return Interval(reference.key, ceiling, f"at least {reference} and {words}")


def _caret(reference: Version, written: Written) -> Interval:
    major, minor, patch = reference.major, reference.minor, reference.patch
    if major or written is Written.MAJOR:
        ceiling, words = _same(reference, Written.MAJOR)
    elif minor or written is Written.MINOR:
        ceiling, words = _same(reference, Written.MINOR)
    else:
        ceiling, words = (0, 0, patch + 1), f"below 0.0.{patch + 1}"
    return Interval(reference.key, ceiling, f"at least {reference} and {words}")


OPERATORS: Mapping[str, Callable[[Version, Written], Interval]] = MappingProxyType(
    {
        "": _equal,
        "=": _equal,
        "!=": _different,
        ">": _above,
        "<": _below,
        ">=": _at_least,
        "=>": _at_least,
        "<=": _at_most,
        "=<": _at_most,
        "~": _tilde,
        "~>": _tilde,
        "^": _caret,
    }
)

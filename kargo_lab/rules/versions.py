"""Versions as Masterminds semver v3 reads and orders them.

Image tags, Git tags and chart versions all go through that library, so its habits decide which tag is a
version at all: `1.2` and `v1` are, `1.2.3.4` is not, and since release 3.4.0 `2024.01.15` is as well.
`semver.Version` agrees on precedence, but refuses short forms and compares numeric identifiers of any
length, where the library reads a run of digits beyond 64 bits as text. So precedence is a plain tuple
here, cheap to sort and to compare, and the tests hold it against `semver.Version`.

Source: discovery.md 6.2 and 6.3; Kargo's strict form, its pkg/image and pkg/git selectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs
import semver

from kargo_lab.errors import UsageError, VersionError

Key = tuple[int | tuple[int, int | str], ...]
"""Major, minor, patch, then 1 for a release, or 0 and the prerelease identifiers."""

_LARGEST = 2**64 - 1

_IDENTIFIERS = r"[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*+"
_VERSION = re.compile(
    rf"v?([0-9]++)(?:\.([0-9]++))?+(?:\.([0-9]++))?+(?:-({_IDENTIFIERS}))?+(?:\+({_IDENTIFIERS}))?+", re.ASCII
)


@attrs.frozen(kw_only=True)
class Library:
    """What one release of Masterminds semver does differently from the others."""

    leading_zeros: bool = True
    prerelease_gate_per_group: bool = True
    longest_version: int | None = None
    longest_constraint: int | None = None
    most_groups: int | None = None


LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "3.3.1": Library(leading_zeros=False, prerelease_gate_per_group=False),
        "3.4.0": Library(),
        "3.5.0": Library(longest_version=256, longest_constraint=512, most_groups=32),
    }
)


def library_named(name: str) -> Library:
    """The row of one release; Kargo v1.6 has 3.3.1, v1.7 to v1.11 have 3.4.0, later ones 3.5.0."""
    try:
        return LIBRARIES[name]
    except KeyError:
        raise UsageError(f"semver library {name!r} is not known; known are {', '.join(LIBRARIES)}") from None


@attrs.frozen
class Version:
    """One version. `original` is the text it was read from; `key` orders by precedence, so metadata plays no part.

    Equal keys do not mean equal texts: `1.0` and `1.0.0+a` tie, and whoever sorts decides the tie.
    """

    original: str
    major: int
    minor: int
    patch: int
    prerelease: str
    metadata: str
    key: Key = attrs.field(eq=False, repr=False)

    @property
    def standard(self) -> semver.Version:
        """The same version as the semver package has it: short forms filled up, no `v`."""
        return semver.Version(self.major, self.minor, self.patch, self.prerelease or None, self.metadata or None)

    def __str__(self) -> str:
        """Written in full: three numbers, then prerelease and metadata."""
        return str(self.standard)


def parse(text: str, *, strict: bool = False, library: str = "3.5.0") -> Version:
    """Read a version, loosely (`1`, `v1.2`) or as Kargo's strict mode does: three numbers, at most one `v` before.

    Raises VersionError, which points at the character.
    """
    rules = library_named(library)
    if rules.longest_version is not None and too_long(text, rules.longest_version):
        raise VersionError(f"a version has at most {rules.longest_version} bytes", text)
    found = _VERSION.fullmatch(text)
    if found is None:
        raise _syntax_error(text)
    major, minor, patch, prerelease, metadata = found.groups()
    if strict and patch is None:
        raise VersionError("a strict version has three numbers", text, found.end(2 if minor else 1))
    numbers = (
        _number(major, text, found.start(1)),
        _number(minor, text, found.start(2)),
        _number(patch, text, found.start(3)),
    )
    if strict or not rules.leading_zeros:
        _refuse_leading_zeros(found, text)
    key: Key = (*numbers, 1)
    if prerelease:
        key = (*numbers, 0, *_identifiers(prerelease, text, found.start(4)))
    return Version(text, *numbers, prerelease or "", metadata or "", key)


def too_long(text: str, most: int) -> bool:
    """True if `text` has more than `most` bytes as UTF-8; cheap for the usual short text."""
    return len(text) * 4 > most and len(text.encode(errors="replace")) > most


def _number(digits: str | None, text: str, position: int) -> int:
    if digits is None:
        return 0
    # int() is only asked for what can fit: it refuses thousands of digits with an error of its own.
    if len(digits) < 20:
        return int(digits)
    digits = digits.lstrip("0")
    if len(digits) > 20 or int(digits or "0") > _LARGEST:
        raise VersionError("a number does not fit 64 bits", text, position)
    return int(digits or "0")


def _refuse_leading_zeros(found: re.Match[str], text: str) -> None:
    for group in (1, 2, 3):
        digits = found[group]
        if digits and digits[0] == "0" and len(digits) > 1:
            raise VersionError("a number starts with zero", text, found.start(group))


def _identifiers(prerelease: str, text: str, position: int) -> list[tuple[int, int | str]]:
    """What prereleases compare by: numbers below text. Digits that overflow 64 bits are text, as in the library."""
    identifiers: list[tuple[int, int | str]] = []
    for identifier in prerelease.split("."):
        if not identifier.isdigit():
            identifiers.append((1, identifier))
        elif identifier[0] == "0" and len(identifier) > 1:
            raise VersionError("a numeric prerelease identifier starts with zero", text, position)
        elif len(identifier) < 20 or (len(identifier) == 20 and int(identifier) <= _LARGEST):
            identifiers.append((0, int(identifier)))
        else:
            identifiers.append((1, identifier))
        position += len(identifier) + 1
    return identifiers


def _syntax_error(text: str) -> VersionError:
    """Says what was expected where the longest readable beginning of `text` ends."""
    found = _VERSION.match(text)
    if found is None:
        return VersionError("a version starts with a digit", text, 1 if text.startswith("v") else 0)
    position = found.end()
    if position + 1 == len(text) and text[position] in ".-+":
        return VersionError(f"nothing follows the {text[position]!r}", text, position)
    return VersionError("a version does not go on like this", text, position)

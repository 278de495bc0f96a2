"""The shapes of a document's parts, read and written by one table.

A shape reads a place in a document into a value, or reports there what was expected, and writes the
value back. Reading goes on after a misfit, so that a file's author hears of all of them at once; a
value that could not be read is WRONG, and whatever contains it is WRONG too.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import attrs

from kargo_lab.errors import Misfit
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.yaml_lines import Document, Path, spelled


class Unread(enum.Enum):
    """Stands for a value that did not fit."""

    WRONG = enum.auto()


WRONG = Unread.WRONG
MOST_MISFITS = 100  # of one document


@attrs.define
class Report:
    """What is known while one document is read: where it stands, under which rules, and what was wrong.

    `admitted` says that the admission webhook's defaults and checks apply. An object that is already
    in a cluster is read without them.
    """

    document: Document
    profile: Profile = LATEST
    namespace: str = "default"
    admitted: bool = True
    misfits: list[Misfit] = attrs.field(factory=list)

    @property
    def full(self) -> bool:
        """True if nobody would read on: a document may hold thousands of mistakes."""
        return len(self.misfits) > MOST_MISFITS


@attrs.frozen
class Place:
    """A value in a document, and where it is."""

    value: Any
    path: Path
    report: Report

    def at(self, *steps: str | int) -> Place:
        """The place below, whose value is None if there is none."""
        value = self.value
        for step in steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, Mapping) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return Place(value, (*self.path, *steps), self.report)

    def text(self, *steps: str | int) -> str:
        """The text below, empty if there is none: for checks that compare neighbours."""
        value = self.at(*steps).value
        return value if isinstance(value, str) else ""

    def items(self) -> list[Place]:
        """The places of a list's elements; none if it is no list."""
        return [self.at(index) for index in range(len(self.value))] if isinstance(self.value, list) else []

    def wrong(self, message: str) -> Unread:
        """Report a misfit here and stand for the value."""
        path, document = self.path, self.report.document
        if self.report.full:
            return WRONG
        if len(self.report.misfits) == MOST_MISFITS:
            path, message = (), f"more than {MOST_MISFITS} things are wrong; the rest is not shown"
        self.report.misfits.append(Misfit(document.file, document.line(path), spelled(path), message))
        return WRONG


def found(value: Any) -> str:
    """How a misfit calls what it found."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:60]!r}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """` (did you mean ...?)` for the known word most like `word`, case set aside; empty if none is like it."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return f" (did you mean `{by_lower[close[0]]}`?)" if close else ""


class Shape(Protocol):
    """How one kind of value is read and written."""

    def read(self, place: Place) -> Any:
        """The value, or WRONG after a report."""

    def write(self, value: Any) -> Any:
        """The value as plain data."""


@attrs.frozen(kw_only=True)
class Text:
    """Text. `pattern` must match all of it and is explained by `meaning`; `check` returns what is wrong.

    Patterns and checks hold at admission only, choices too: what is stored was once admitted.
    """

    pattern: re.Pattern[str] | None = None
    meaning: str = "text"
    choices: tuple[str, ...] = ()
    shortest: int = 0
    longest: int | None = None
    check: Callable[[str, Profile], str] | None = None

    def read(self, place: Place) -> Any:
        """Text only: YAML's `1.0` is a number, and says so."""
        value = place.value
        if not isinstance(value, str):
            hint = "; put it in quotes" if isinstance(value, int | float) else ""
            return place.wrong(f"expected {self.meaning}, found {found(value)}{hint}")
        problem = self._problem(value, place.report.profile) if place.report.admitted else ""
        return place.wrong(problem) if problem else value

    def _problem(self, value: str, profile: Profile) -> str:
        if self.choices and value not in self.choices:
            return f"expected one of {', '.join(self.choices)}; found {value!r}{nearest(value, self.choices)}"
        if len(value) < self.shortest:
            return f"expected {self.meaning}, found empty text"
        if self.longest is not None and len(value) > self.longest:
            return f"expected at most {self.longest} characters, found {len(value)}"
        if self.pattern and not self.pattern.fullmatch(value):
            return f"expected {self.meaning}, found {value[:100]!r}"
        return self.check(value, profile) if self.check else ""

    def write(self, value: Any) -> Any:
        """As it is."""
        return value


@attrs.frozen(kw_only=True)
class Number:
    """A whole number in a range, ends included."""

    lowest: int | None = None
    highest: int | None = None

    def read(self, place: Place) -> Any:
        """A boolean is no number; a float without a fraction is one, as in JSON."""
        value = place.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return place.wrong(f"expected a whole number{self._range()}, found {found(value)}")
        low = self.lowest is not None and value < self.lowest
        high = self.highest is not None and value > self.highest
        if (low or high) and place.report.admitted:
            return place.wrong(f"expected a whole number{self._range()}, found {value}")
        return value

    def _range(self) -> str:
        if self.lowest is None:
            return ""
        return f" of at least {self.lowest}" if self.highest is None else f" from {self.lowest} to {self.highest}"

    def write(self, value: Any) -> Any:
        """As it is."""
        return value


@attrs.frozen
class Flag:
    """True or false."""

    def read(self, place: Place) -> Any:
        """Only a boolean."""
        if not isinstance(place.value, bool):
            return place.wrong(f"expected true or false, found {found(place.value)}")
        return place.value

    def write(self, value: Any) -> Any:
        """As it is."""
        return value


@attrs.frozen
class Anything:
    """What the lab keeps without looking at it."""

    def read(self, place: Place) -> Any:
        """Whatever is there."""
        return place.value

    def write(self, value: Any) -> Any:
        """As it is."""
        return value


@attrs.frozen(kw_only=True)
class ListOf:
    """A list of one shape; `check` looks at the list as a whole."""

    shape: Shape
    least: int = 0
    check: Callable[[Place], None] | None = None

    def read(self, place: Place) -> Any:
        """A tuple."""
        if not isinstance(place.value, list):
            return place.wrong(f"expected a list, found {found(place.value)}")
        if place.report.admitted:
            if len(place.value) < self.least:
                return place.wrong(f"expected at least {self.least} element{'s' if self.least > 1 else ''}, found none")
            if self.check:
                self.check(place)
        values = tuple(self.shape.read(item) for item in place.items())
        return WRONG if WRONG in values else values

    def write(self, value: Any) -> Any:
        """A list."""
        return [self.shape.write(item) for item in value]


@attrs.frozen(kw_only=True)
class MapOf:
    """Text keys of the author's own to values of one shape."""

    shape: Shape
    check_key: Callable[[str], str] | None = None

    def read(self, place: Place) -> Any:
        """A dict."""
        if not isinstance(place.value, Mapping):
            return place.wrong(f"expected a mapping, found {found(place.value)}")
        values = {key: self.shape.read(place.at(key)) for key in place.value}
        wrong = WRONG in values.values()
        for key in place.value:
            if self.check_key and place.report.admitted and (problem := self.check_key(key)):
                wrong = bool(place.at(key).wrong(problem))
        return WRONG if wrong else values

    def write(self, value: Any) -> Any:
        """A plain dict."""
        return {key: self.shape.write(item) for key, item in value.items()}


@attrs.frozen
class Field:
    """One member of a record: its key in YAML, its attribute in Python, its shape.

    `spread` is a record whose members are attributes of the value around it; `skipped` is read past;
    `read_only` is another way to say what a written document says with a different member; with
    `zero_is_absent` an empty text or a zero takes the default, as Kargo's defaulting webhook has it.
    """

    key: str
    attribute: str
    shape: Shape
    required: bool = attrs.field(default=False, kw_only=True)
    spread: bool = attrs.field(default=False, kw_only=True)
    skipped: bool = attrs.field(default=False, kw_only=True)
    read_only: bool = attrs.field(default=False, kw_only=True)
    zero_is_absent: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen(kw_only=True)
class Record:
    """A mapping with known members.

    `kind` is the attrs class whose defaults a missing member takes and that `build` (itself, unless given)
    makes; without a kind the result is a dict, for a record that is spread. `check` compares members.
    `stored` are the attributes whose absence means something else once an object is past admission.
    """

    fields: tuple[Field, ...]
    kind: type | None = None
    build: Callable[..., Any] | None = None
    check: Callable[[Place], Any] | None = None
    stored: Mapping[str, Any] = attrs.field(factory=dict)

    def read(self, place: Place) -> Any:
        """The value; None stands for a missing member, as in JSON."""
        if not isinstance(place.value, Mapping):
            return place.wrong(f"expected a mapping, found {found(place.value)}")
        before = len(place.report.misfits)
        known = [field.key for field in self.fields]
        for key in place.value:
            if key not in known and not place.report.full:
                place.at(key).wrong(f"unknown field `{key[:60]}`{nearest(key[:60], known)}")
        values = self._members(place)
        if self.check and place.report.admitted:
            self.check(place)
        if len(place.report.misfits) > before:
            return WRONG
        if self.build:
            return self.build(**values)
        return self.kind(**values) if self.kind else values

    def _members(self, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {} if place.report.admitted else dict(self.stored)
        for field in self.fields:
            member = place.at(field.key)
            absent = member.value is None or (
                field.zero_is_absent and place.report.admitted and member.value in ("", 0) and member.value is not False
            )
            if field.skipped or (absent and not field.required):
                continue
            if absent:
                member.wrong("missing, and required")
                continue
            value = field.shape.read(member)
            values.update(value if field.spread and value is not WRONG else {field.attribute: value})
        return values

    def write(self, value: Any) -> dict[str, Any]:
        """Members that differ from their default."""
        defaults = _defaults(type(value))
        result: dict[str, Any] = {}
        for field in self.fields:
            if field.skipped or field.read_only:
                continue
            if field.spread:
                if written := field.shape.write(value):
                    result[field.key] = written
                continue
            member = getattr(value, field.attribute)
            if member is None or (not field.required and member == defaults.get(field.attribute)):
                continue
            result[field.key] = field.shape.write(member)
        return result


def _defaults(kind: type) -> dict[str, Any]:
    defaults = {}
    for field in attrs.fields(kind):
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to mypy
            default = default.factory()
        if default is not attrs.NOTHING:
            defaults[field.name] = default
    return defaults

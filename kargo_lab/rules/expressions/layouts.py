"""Go's layouts: dates printed and read by the example of Mon Jan 2 15:04:05 MST 2006.

Reading follows Go's parser step by step, because its leniencies are part of what filters see:
a fraction after the seconds is taken although the layout has none, names match in any case,
an unknown zone abbreviation is kept with offset 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from kargo_lab.rules.durations import SECOND
from kargo_lab.rules.expressions.dates import (
    LOCAL,
    MONTHS,
    UTC,
    WEEKDAYS,
    Location,
    Time,
    days_in,
    fixed,
    leap,
    moment,
    named_offset,
)

RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00"
STRING = "2006-01-02 15:04:05.999999999 -0700 MST"
GUESSED = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)

_CHUNK = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_(?=2006)|_2|3|4|5|PM|pm"
    r"|[-Z]07:00:00|[-Z]070000|[-Z]07:00|[-Z]0700|[-Z]07|[.,](?:0+|9+)(?![0-9])"
)
_DIGITS = frozenset("0123456789")
_MARKS = frozenset(".,")


def chunks(layout: str) -> list[tuple[str, str]]:
    """Literal text and the element behind it, pair by pair; the last element is empty."""
    found, position, literal = [], 0, ""
    for match in _CHUNK.finditer(layout):
        literal += layout[position : match.start()]
        position = match.end()
        if match.group() == "_":  # before 2006 it is a plain underscore
            literal += "_"
            continue
        found.append((literal, match.group()))
        literal = ""
    found.append((literal + layout[position:], ""))
    return found


def _offset_text(element: str, offset: int) -> str:
    if element[0] == "Z" and offset == 0:
        return "Z"
    sign, size = ("-", -offset) if offset < 0 else ("+", offset)
    hours, minutes, seconds = size // 3600, size // 60 % 60, size % 60
    parts = [f"{hours:02d}"]
    if len(element) > 3:
        parts.append(f"{minutes:02d}")
    if element.endswith(("0000", "00:00")):
        parts.append(f"{seconds:02d}")
    return sign + (":" if ":" in element else "").join(parts)


def _year(year: int) -> str:
    return f"-{-year:04d}" if year < 0 else f"{year:04d}"


def format_time(time: Time, layout: str) -> str:
    """Go's Format."""
    civil = time.civil()
    abbreviation, offset, _ = time.zone()
    twelve = civil.hour % 12 or 12
    plain = {
        "January": MONTHS[civil.month - 1],
        "Jan": MONTHS[civil.month - 1][:3],
        "Monday": WEEKDAYS[civil.weekday],
        "Mon": WEEKDAYS[civil.weekday][:3],
        "1": str(civil.month),
        "01": f"{civil.month:02d}",
        "2": str(civil.day),
        "_2": f"{civil.day:2d}",
        "02": f"{civil.day:02d}",
        "002": f"{civil.year_day:03d}",
        "__2": f"{civil.year_day:3d}",
        "15": f"{civil.hour:02d}",
        "3": str(twelve),
        "03": f"{twelve:02d}",
        "4": str(civil.minute),
        "04": f"{civil.minute:02d}",
        "5": str(civil.second),
        "05": f"{civil.second:02d}",
        "2006": _year(civil.year),
        "06": f"{abs(civil.year) % 100:02d}",
        "PM": "PM" if civil.hour >= 12 else "AM",
        "pm": "pm" if civil.hour >= 12 else "am",
        "MST": abbreviation or _zone_number(offset),
    }
    parts = []
    for literal, element in chunks(layout):
        parts.append(literal)
        if element in plain:
            parts.append(plain[element])
        elif element[:1] in _MARKS:
            digits = f"{civil.nanosecond:09d}"[: len(element) - 1]  # Go, too, stops at nine
            if element[1] == "9":
                digits = digits.rstrip("0")
            parts.append(element[0] + digits if digits else "")
        elif element:
            parts.append(_offset_text(element, offset))
    return "".join(parts)


def _zone_number(offset: int) -> str:
    """What stands for a zone without a name: its offset in whole minutes, less than one being no offset at all."""
    size = abs(offset) // 60
    return f"{'-' if offset <= -60 else '+'}{size // 60:02d}{size % 60:02d}"


class _Bad(ValueError):  # noqa: N818  (never leaves this module)
    """A text that does not fit its layout."""


@attrs.define
class _Parts:
    """What was read so far; -1 is not given."""

    year: int = 0
    month: int = -1
    day: int = -1
    year_day: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    half: str = ""
    utc: bool = False
    offset: int | None = None
    zone: str = ""


def parse_time(text: str, layout: str, place: Location | None = None) -> Time:
    """Go's Parse, or ParseInLocation if a `place` is given; ValueError if the text does not fit."""
    parts, rest = _Parts(), text
    pieces = chunks(layout)
    try:
        for index, (literal, element) in enumerate(pieces):
            rest = _skipped(rest, literal)
            if element:
                rest = _reader(element)(parts, element, rest, pieces[index + 1])
        parsed = _assembled(parts, place)
    except _Bad:
        raise ValueError(f'parsing time "{text}" as "{layout}" failed') from None
    if rest:
        raise ValueError(f'parsing time "{text}": extra text: "{rest}"')
    return parsed


def _skipped(rest: str, literal: str) -> str:
    """`rest` behind a literal; a run of blanks fits any number of blanks, also none at the end."""
    while literal:
        if literal[0] == " ":
            if rest and rest[0] != " ":
                raise _Bad
            literal, rest = literal.lstrip(" "), rest.lstrip(" ")
            continue
        if not rest or rest[0] != literal[0]:
            raise _Bad
        literal, rest = literal[1:], rest[1:]
    return rest


def _number(rest: str, *, padded: bool) -> tuple[int, str]:
    """One or two digits; exactly two if `padded`."""
    if rest[:1] not in _DIGITS:
        raise _Bad
    if rest[1:2] not in _DIGITS:
        if padded:
            raise _Bad
        return int(rest[0]), rest[1:]
    return int(rest[:2]), rest[2:]


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise _Bad
    return number


def _nanoseconds(digits: str) -> int:
    """A fraction with its dot; digits behind the ninth are read over."""
    return int(digits[1:10].ljust(9, "0"))


def _fraction_length(rest: str) -> int:
    length = 1
    while length < len(rest) and rest[length] in _DIGITS:
        length += 1
    return length


Piece = tuple[str, str]


def _read_year(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    digits = rest[: len(element)]
    if len(digits) != len(element) or not _DIGITS.issuperset(digits):
        raise _Bad
    year = int(digits)
    if element == "06":
        year += 1900 if year >= 69 else 2000
    parts.year = year
    return rest[len(digits) :]


def _name(names: tuple[str, ...], length: int | None, rest: str) -> tuple[int, str]:
    for index, name in enumerate(names):
        wanted = name[:length]
        if rest[: len(wanted)].lower() == wanted.lower():
            return index, rest[len(wanted) :]
    raise _Bad


def _read_month_name(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    index, rest = _name(MONTHS, 3 if element == "Jan" else None, rest)
    parts.month = index + 1
    return rest


def _read_weekday(parts: _Parts, element: str, rest: str, _: Piece) -> str:  # noqa: ARG001  (read over, as in Go)
    return _name(WEEKDAYS, 3 if element == "Mon" else None, rest)[1]


def _read_month(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    number, rest = _number(rest, padded=element == "01")
    parts.month = _within(number, 1, 12)
    return rest


def _read_day(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    if element == "_2" and rest[:1] == " ":
        rest = rest[1:]
    parts.day, rest = _number(rest, padded=element == "02")
    return rest


def _read_year_day(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    for _blank in range(2):
        if element == "__2" and rest[:1] == " ":
            rest = rest[1:]
    length = 0
    while length < 3 and length < len(rest) and rest[length] in _DIGITS:
        length += 1
    if length == 0 or (element == "002" and length != 3):
        raise _Bad
    parts.year_day = int(rest[:length])
    return rest[length:]


def _read_hour(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    number, rest = _number(rest, padded=element == "03")
    parts.hour = _within(number, 0, 23 if element == "15" else 12)
    return rest


def _read_minute(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    number, rest = _number(rest, padded=element == "04")
    parts.minute = _within(number, 0, 59)
    return rest


def _read_second(parts: _Parts, element: str, rest: str, following: Piece) -> str:
    number, rest = _number(rest, padded=element == "05")
    parts.second = _within(number, 0, 59)
    written = following[0] == "" and following[1][:1] in _MARKS
    if not written and rest[:1] in _MARKS and rest[1:2] in _DIGITS:
        length = _fraction_length(rest)
        parts.nanosecond = _nanoseconds(rest[:length])
        return rest[length:]
    return rest


def _read_fraction(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    if element[1] == "0":
        digits = rest[: len(element)]
        if len(digits) < len(element) or digits[0] not in _MARKS or not _DIGITS.issuperset(digits[1:10]):
            raise _Bad
        parts.nanosecond = _nanoseconds(digits)
        return rest[len(element) :]
    if rest[:1] not in _MARKS or rest[1:2] not in _DIGITS:
        return rest
    length = _fraction_length(rest)
    parts.nanosecond = _nanoseconds(rest[:length])
    return rest[length:]


def _read_half(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    half = rest[:2]
    if half not in ({"AM", "PM"} if element == "PM" else {"am", "pm"}):
        raise _Bad
    parts.half = half.lower()
    return rest[2:]


def _read_offset(parts: _Parts, element: str, rest: str, _: Piece) -> str:
    if element[0] == "Z" and rest[:1] == "Z":
        parts.utc = True
        return rest[1:]
    shape = rest[: len(element)]
    if len(shape) != len(element) or shape[0] not in "+-":
        raise _Bad
    numbers = []
    for position, sample in enumerate(element[1:], 1):
        if sample == ":" and shape[position] != ":":
            raise _Bad
        if position % (3 if ":" in element else 2) == 1:
            numbers.append(_number(shape[position:], padded=True)[0])
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    size = _within(hours, 0, 24) * 3600 + _within(minutes, 0, 60) * 60 + _within(seconds, 0, 60)
    parts.offset = -size if shape[0] == "-" else size
    return rest[len(element) :]


def _read_zone(parts: _Parts, element: str, rest: str, _: Piece) -> str:  # noqa: ARG001  (one shape for all)
    if rest.startswith("UTC"):
        parts.utc = True
        return rest[3:]
    length = _zone_length(rest)
    if not length:
        raise _Bad
    parts.zone = rest[:length]
    return rest[length:]


def _zone_length(rest: str) -> int:
    """How much of `rest` reads as a zone abbreviation, by Go's rules of thumb; 0 if nothing does."""
    if len(rest) < 3:
        return 0
    if rest[:4] in {"ChST", "MeST"}:
        return 4
    if rest[:3] == "GMT":
        return 3 + _signed_length(rest[3:])
    if rest[0] in "+-":
        return _signed_length(rest)
    letters = 0
    while letters < 6 and letters < len(rest) and "A" <= rest[letters] <= "Z":
        letters += 1
    if letters == 5:
        return 5 if rest[4] == "T" else 0
    if letters == 4:
        return 4 if rest[3] == "T" or rest[:4] == "WITA" else 0
    return 3 if letters == 3 else 0


def _signed_length(rest: str) -> int:
    """A sign and hours up to 23; zeros before them do not count, however many."""
    length = _fraction_length(rest)
    hours = rest[1:length].lstrip("0")
    return length if rest[:1] in {"+", "-"} and length > 1 and len(hours) < 3 and int(hours or 0) <= 23 else 0


_READERS: tuple[tuple[frozenset[str], Callable[[_Parts, str, str, Piece], str]], ...] = (
    (frozenset({"2006", "06"}), _read_year),
    (frozenset({"January", "Jan"}), _read_month_name),
    (frozenset({"Monday", "Mon"}), _read_weekday),
    (frozenset({"1", "01"}), _read_month),
    (frozenset({"2", "_2", "02"}), _read_day),
    (frozenset({"002", "__2"}), _read_year_day),
    (frozenset({"15", "3", "03"}), _read_hour),
    (frozenset({"4", "04"}), _read_minute),
    (frozenset({"5", "05"}), _read_second),
    (frozenset({"PM", "pm"}), _read_half),
    (frozenset({"MST"}), _read_zone),
)


def _reader(element: str) -> Callable[[_Parts, str, str, Piece], str]:
    for elements, reader in _READERS:
        if element in elements:
            return reader
    return _read_fraction if element[0] in _MARKS else _read_offset


def _assembled(parts: _Parts, place: Location | None) -> Time:
    if parts.half == "pm" and parts.hour < 12:
        parts.hour += 12
    elif parts.half == "am" and parts.hour == 12:
        parts.hour = 0
    month, day = _calendar(parts)
    of_day = ((parts.hour * 60 + parts.minute) * 60 + parts.second) * SECOND + parts.nanosecond
    local = place or LOCAL
    if parts.utc:
        return moment(parts.year, month, day, of_day, UTC)
    if parts.offset is None and not parts.zone:
        return moment(parts.year, month, day, of_day, place or UTC)
    shown = moment(parts.year, month, day, of_day, UTC)
    if parts.offset is not None:
        there = shown.plus(-parts.offset * SECOND)
        name, offset, _ = local.at(there.seconds)
        if offset == parts.offset and parts.zone in {"", name}:
            return Time(there.nanoseconds, local)
        return Time(there.nanoseconds, fixed(parts.zone, parts.offset))
    known = named_offset(local, parts.zone, shown.seconds)
    if known is not None:
        return Time(shown.nanoseconds - known * SECOND, local)
    hours = parts.zone[3:] if parts.zone[:3] == "GMT" else ""
    size = int(hours[1:].lstrip("0") or 0) * 3600
    return Time(shown.nanoseconds, fixed(parts.zone, -size if hours[:1] == "-" else size))


def _calendar(parts: _Parts) -> tuple[int, int]:
    month, day = parts.month, parts.day
    if parts.year_day >= 0:
        found, left = 1, _within(parts.year_day, 1, 366 if leap(parts.year) else 365)
        while left > days_in(found, parts.year):
            found, left = found + 1, left - days_in(found, parts.year)
        if month not in {-1, found} or day not in {-1, left}:
            raise _Bad
        return found, left
    month, day = max(month, 1), (1 if day < 0 else day)
    return month, _within(day, 1, days_in(month, parts.year))

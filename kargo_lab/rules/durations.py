"""Durations as Go writes and reads them, and the narrower form that Kargo's interval fields accept.

A Warehouse's `interval`, a Stage's soak time and `duration(...)` in expressions are all Go's
`time.Duration`: whole nanoseconds in 64 signed bits. Reading is Go's to the last digit, so that `0.1s`
is cut where Go cuts it. The API server accepts less than Go: no sign, no unit below a second.

Source: discovery.md 1.1 and A.10; Go's time.ParseDuration and Duration.String.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.errors import DurationError

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

UNITS: Mapping[str, int] = MappingProxyType(
    {
        "ns": NANOSECOND,
        "us": MICROSECOND,
        "\u00b5s": MICROSECOND,  # the micro sign
        "\u03bcs": MICROSECOND,  # the Greek letter
        "ms": MILLISECOND,
        "s": SECOND,
        "m": MINUTE,
        "h": HOUR,
    }
)
"""Nanoseconds in one of each unit."""

_LIMIT = 2**63
_PART = re.compile(r"([0-9]*+)(\.?+)([0-9]*+)([^.0-9]*+)", re.ASCII | re.DOTALL)
_INTERVAL = re.compile(r"(?:[0-9]++(?:\.[0-9]++)?+[smh])++", re.ASCII)


def parse(text: str) -> int:
    """Nanoseconds in `1h30m`, `-1.5s` or `0`. Raises DurationError, which points at the character."""
    position = 1 if text[:1] in ("+", "-") else 0
    if text[position:] == "0":
        return 0
    if position == len(text):
        raise DurationError("a duration is expected, such as 1h30m", text, position)
    total = 0
    while position < len(text):
        part = _PART.match(text, position)
        assert part is not None  # noqa: S101 - every piece of the pattern may be empty
        total += _nanoseconds(part, text)
        if total > _LIMIT:
            raise DurationError("more than 292 years do not fit a duration", text, position)
        position = part.end()
    if text.startswith("-"):
        return -total
    if total == _LIMIT:
        raise DurationError("more than 292 years do not fit a duration", text)
    return total


def _nanoseconds(part: re.Match[str], text: str) -> int:
    whole, _, fraction, unit = part.groups()
    if not whole and not fraction:
        raise DurationError("a number is expected", text, part.start())
    if not unit:
        raise DurationError("a unit is missing: h, m, s, ms, us or ns", text, part.end())
    if unit not in UNITS:
        raise DurationError("this is no unit: h, m, s, ms, us or ns", text, part.start(4))
    scale = UNITS[unit]
    # int() is only asked for what can fit: it refuses thousands of digits with an error of its own.
    whole = whole.lstrip("0")
    if len(whole) > 19 or int(whole or "0") > _LIMIT // scale:
        raise DurationError("more than 292 years do not fit a duration", text, part.start())
    return int(whole or "0") * scale + _fraction(fraction, scale)


def _fraction(digits: str, scale: int) -> int:
    """Go takes the digits up to one too many for 63 bits, then multiplies and divides as floats and cuts."""
    value, divisor = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if longer > _LIMIT:
            break
        value, divisor = longer, divisor * 10
    return int(float(value) * (scale / divisor))


def parse_interval(text: str) -> int:
    """Nanoseconds in an interval as the API server admits it: `5m0s`, `1.5h`; no sign, nothing below seconds."""
    found = _INTERVAL.match(text)
    if found is None or found.end() != len(text):
        raise DurationError("an interval is numbers with s, m or h, such as 5m0s", text, found.end() if found else 0)
    return parse(text)


def seconds(text: str) -> float:
    """Seconds in a Go duration."""
    return parse(text) / SECOND


def render(nanoseconds: int) -> str:
    """A duration as Go prints it: `1h30m0s`, `1.5s`, `2µs`, `0s`. Takes any whole number of nanoseconds."""
    sign = "-" if nanoseconds < 0 else ""
    left = abs(nanoseconds)
    if left == 0:
        return "0s"
    for unit, scale, ceiling in (
        ("ns", 1, MICROSECOND),
        ("\u00b5s", MICROSECOND, MILLISECOND),
        ("ms", MILLISECOND, SECOND),
    ):
        if left < ceiling:
            return f"{sign}{_decimal(left, scale)}{unit}"
    hours, left = divmod(left, HOUR)
    minutes, left = divmod(left, MINUTE)
    tail = f"{_decimal(left, SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{tail}"
    return f"{sign}{minutes}m{tail}" if minutes else f"{sign}{tail}"


def _decimal(value: int, scale: int) -> str:
    """`value / scale` in full, without trailing zeros. `scale` is a power of ten."""
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    width = len(str(scale)) - 1
    return f"{whole}.{rest:0{width}d}".rstrip("0")

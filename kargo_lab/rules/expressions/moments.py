"""The methods of Go's times and durations, by their exact names (A.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from kargo_lab.rules.durations import HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND
from kargo_lab.rules.expressions import layouts
from kargo_lab.rules.expressions.dates import (
    DAY_SECONDS,
    LOCAL,
    MAX_DURATION,
    MIN_DURATION,
    UTC,
    ZERO_TIME,
    Duration,
    Location,
    Month,
    Time,
    Weekday,
    moment,
)
from kargo_lab.rules.expressions.values import Failure, Function, Int64, wrapped

Method = tuple[Callable[..., Any], tuple[Any, ...]]


def time_text(time: Time) -> str:
    """What `String` gives, and `string()` of a time."""
    return layouts.format_time(time, layouts.STRING)


def json_text(time: Time) -> str:
    """The text of a time in JSON; years and offsets that RFC 3339 cannot say are refused."""
    if not 0 <= time.civil().year <= 9999:
        raise Failure("Time.MarshalJSON: year outside of range [0,9999]")
    if abs(time.zone()[1]) >= 24 * 3600:
        raise Failure("Time.MarshalJSON: timezone hour outside of range [0,23]")
    return layouts.format_time(time, layouts.RFC3339_NANO)


def _rounded(value: int, step: int) -> int:
    """`value` to the next multiple of `step`, halves upwards; `value` is not negative."""
    rest = value % step
    return value - rest if rest + rest < step else value + step - rest


def _round_time(time: Time, step: Duration) -> Time:
    size = step.nanoseconds
    if size <= 0:
        return time
    since = time.since_zero()
    return time.plus(_rounded(since, size) - since)


def _truncate_time(time: Time, step: Duration) -> Time:
    size = step.nanoseconds
    return time.plus(-(time.since_zero() % size)) if size > 0 else time


def _add_date(time: Time, years: int, months: int, days: int) -> Time:
    civil = time.civil()
    of_day = ((civil.hour * 60 + civil.minute) * 60 + civil.second) * SECOND + civil.nanosecond
    if max(abs(years), abs(months), abs(days)) > 10**12:
        raise Failure("AddDate: the date is out of range")
    return moment(civil.year + years, civil.month + months, civil.day + days, of_day, time.location)


def _in_place(time: Time, place: Location | None) -> Time:
    if place is None:
        raise Failure("time: missing Location in call to Time.In")
    return Time(time.nanoseconds, place)


def _iso_year(time: Time) -> int:
    """The year that the week of this day belongs to: that of its Thursday."""
    civil = time.civil()
    thursday = Time((civil.days - (civil.weekday + 6) % 7 + 3) * DAY_SECONDS * SECOND)
    return thursday.civil().year


def _split(size: int, unit: int) -> float:
    """Go's quotient of a duration: whole units plus the rest as a float."""
    whole = abs(size) // unit
    value = float(whole) + float(abs(size) - whole * unit) / float(unit)
    return -value if size < 0 else value


def _round_duration(duration: Duration, step: Duration) -> Duration:
    size, unit = duration.nanoseconds, step.nanoseconds
    if unit <= 0:
        return duration
    rounded = _rounded(abs(size), unit) * (1 if size >= 0 else -1)
    return Duration(min(max(rounded, MIN_DURATION), MAX_DURATION))


def _truncate_duration(duration: Duration, step: Duration) -> Duration:
    size, unit = duration.nanoseconds, step.nanoseconds
    if unit <= 0:
        return duration
    return Duration(size - abs(size) % unit * (1 if size >= 0 else -1))


_TIME: Mapping[str, Method] = {
    "Add": (lambda t, d: t.plus(d.nanoseconds), (Duration,)),
    "AddDate": (_add_date, (int, int, int)),
    "After": (lambda t, u: t.nanoseconds > u.nanoseconds, (Time,)),
    "Before": (lambda t, u: t.nanoseconds < u.nanoseconds, (Time,)),
    "Clock": (lambda t: t.civil().hour, ()),
    "Compare": (lambda t, u: (t.nanoseconds > u.nanoseconds) - (t.nanoseconds < u.nanoseconds), (Time,)),
    "Date": (lambda t: t.civil().year, ()),
    "Day": (lambda t: t.civil().day, ()),
    "Equal": (lambda t, u: t.nanoseconds == u.nanoseconds, (Time,)),
    "Format": (layouts.format_time, (str,)),
    "GoString": (time_text, ()),
    "Hour": (lambda t: t.civil().hour, ()),
    "ISOWeek": (_iso_year, ()),
    "In": (_in_place, (Location,)),
    "IsDST": (lambda t: t.zone()[2], ()),
    "IsZero": (lambda t: t.nanoseconds == ZERO_TIME.nanoseconds, ()),
    "Local": (lambda t: Time(t.nanoseconds, LOCAL), ()),
    "Location": (lambda t: t.location, ()),
    "MarshalJSON": (lambda t: f'"{json_text(t)}"'.encode(), ()),
    "MarshalText": (lambda t: json_text(t).encode(), ()),
    "Minute": (lambda t: t.civil().minute, ()),
    "Month": (lambda t: Month(t.civil().month), ()),
    "Nanosecond": (lambda t: t.civil().nanosecond, ()),
    "Round": (_round_time, (Duration,)),
    "Second": (lambda t: t.civil().second, ()),
    "String": (time_text, ()),
    "Sub": (lambda t, u: t.minus(u), (Time,)),
    "Truncate": (_truncate_time, (Duration,)),
    "UTC": (lambda t: Time(t.nanoseconds, UTC), ()),
    "Unix": (lambda t: Int64(t.seconds), ()),
    "UnixMicro": (lambda t: Int64(wrapped(t.nanoseconds // MICROSECOND)), ()),
    "UnixMilli": (lambda t: Int64(wrapped(t.nanoseconds // MILLISECOND)), ()),
    "UnixNano": (lambda t: Int64(wrapped(t.nanoseconds)), ()),
    "Weekday": (lambda t: Weekday(t.civil().weekday), ()),
    "Year": (lambda t: t.civil().year, ()),
    "YearDay": (lambda t: t.civil().year_day, ()),
    "Zone": (lambda t: t.zone()[0], ()),
}
_DURATION: Mapping[str, Method] = {
    "Abs": (lambda d: Duration(min(abs(d.nanoseconds), MAX_DURATION)), ()),
    "Hours": (lambda d: _split(d.nanoseconds, HOUR), ()),
    "Microseconds": (lambda d: Int64(_towards_zero(d.nanoseconds, MICROSECOND)), ()),
    "Milliseconds": (lambda d: Int64(_towards_zero(d.nanoseconds, MILLISECOND)), ()),
    "Minutes": (lambda d: _split(d.nanoseconds, MINUTE), ()),
    "Nanoseconds": (lambda d: Int64(d.nanoseconds), ()),
    "Round": (_round_duration, (Duration,)),
    "Seconds": (lambda d: _split(d.nanoseconds, SECOND), ()),
    "String": (str, ()),
    "Truncate": (_truncate_duration, (Duration,)),
}
_NAMED: Mapping[str, Method] = {"String": (str, ())}


def _towards_zero(size: int, unit: int) -> int:
    return size // unit if size >= 0 else -(-size // unit)


METHODS: Mapping[type, Mapping[str, Method]] = MappingProxyType(
    {Time: _TIME, Duration: _DURATION, Month: _NAMED, Weekday: _NAMED, Location: _NAMED}
)


def method(value: Any, name: str) -> Function | None:
    """The method `name` bound to `value`, None if its type has no such method."""
    methods = METHODS.get(type(value))
    if methods is None or name not in methods:
        return None
    call, parameters = methods[name]
    return Function(name, lambda *arguments: call(value, *arguments), parameters)

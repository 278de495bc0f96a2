"""Go's time.Time, Duration, Month, Weekday and Location as values.

A Time is nanoseconds since 1970 with a Location, over Go's whole range of years, so Python's
datetime will not do. Only named zones ask `zoneinfo`. The zone that a process calls Local is UTC
here, as in Kargo's container.
"""

from __future__ import annotations

import functools
import zoneinfo
from datetime import UTC as PYTHON_UTC
from datetime import datetime, timedelta, timezone

import attrs

from kargo_lab.rules import durations
from kargo_lab.rules.durations import MICROSECOND, SECOND

DAY_SECONDS = 86_400
MIN_DURATION, MAX_DURATION = -(2**63), 2**63 - 1
_YEAR_ONE = -62_135_596_800 * SECOND  # 1 January of year 1, Go's zero time
_FAR_PAST, _FAR_FUTURE = -62_135_000_000, 253_402_000_000  # seconds, well inside what datetime holds

_CYCLE_SECONDS = 146_097 * DAY_SECONDS

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@attrs.frozen(order=True)
class Duration:
    """A length of time; 64 bits of nanoseconds."""

    nanoseconds: int

    def __str__(self) -> str:
        return durations.render(self.nanoseconds)


@attrs.frozen
class Month:
    """A month from 1; a named integer that equals no plain one."""

    number: int

    def __str__(self) -> str:
        return MONTHS[self.number - 1]


@attrs.frozen
class Weekday:
    """A day of the week from Sunday, 0."""

    number: int

    def __str__(self) -> str:
        return WEEKDAYS[self.number]


@attrs.frozen
class Location:
    """A time zone: a fixed offset in seconds with its abbreviation, or a named one with `zone`."""

    name: str
    abbreviation: str = ""
    offset: int = 0
    zone: zoneinfo.ZoneInfo | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        return self.name

    def at(self, seconds: int) -> tuple[str, int, bool]:
        """Abbreviation, offset east of UTC in seconds, and whether it is summer time, at a moment."""
        if self.zone is None:
            return self.abbreviation, self.offset, False
        near = max(seconds, _FAR_PAST)
        if near > _FAR_FUTURE:  # the calendar, weekdays included, repeats every 400 years
            near -= -(-(near - _FAR_FUTURE) // _CYCLE_SECONDS) * _CYCLE_SECONDS
        moment = (datetime(1970, 1, 1, tzinfo=PYTHON_UTC) + timedelta(seconds=near)).astimezone(self.zone)
        offset = moment.utcoffset() or timedelta()
        return moment.tzname() or "", int(offset.total_seconds()), bool(moment.dst())


UTC = Location("UTC", "UTC")
LOCAL = Location("Local", "UTC")


def fixed(abbreviation: str, offset: int) -> Location:
    """A zone that is nothing but an offset."""
    return Location(abbreviation, abbreviation, offset)


@functools.lru_cache(maxsize=256)
def location(name: str) -> Location:
    """A zone by its name in the tz database; ValueError if there is none."""
    if name in {"", "UTC"}:
        return UTC
    if name == "Local":
        return LOCAL
    try:
        return Location(name, zone=zoneinfo.ZoneInfo(name))
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"unknown time zone {name}") from None


def named_offset(place: Location, abbreviation: str, seconds: int) -> int | None:
    """The offset that a zone's own abbreviation stands for; None if the zone never had it.

    The one that holds at the moment goes first, then the first of the zone's history; Go takes the first of its file.
    """
    history = range(-_PROBED_YEARS * _HALF_YEAR, _PROBED_YEARS * _HALF_YEAR, _HALF_YEAR)
    for near in (seconds, _FAR_PAST, *history):
        name, offset, _ = place.at(near)
        if name == abbreviation:
            return offset
    return None


_HALF_YEAR, _PROBED_YEARS = 182 * DAY_SECONDS, 140  # 1900 to 2040, where zones changed their names


@attrs.frozen(eq=False)
class Time:
    """A moment, and the zone in which its parts are read."""

    nanoseconds: int
    location: Location = UTC

    @classmethod
    def of(cls, moment: datetime) -> Time:
        """A Python datetime; without a zone it is taken as UTC."""
        aware = moment if moment.tzinfo else moment.replace(tzinfo=PYTHON_UTC)
        since = aware - datetime(1970, 1, 1, tzinfo=PYTHON_UTC)
        nanoseconds = (since.days * DAY_SECONDS + since.seconds) * SECOND + since.microseconds * MICROSECOND
        zone = aware.tzinfo
        if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:
            return cls(nanoseconds, location(zone.key))
        if zone in {PYTHON_UTC, timezone(timedelta())}:
            return cls(nanoseconds, UTC)
        offset = aware.utcoffset() or timedelta()
        return cls(nanoseconds, fixed("", int(offset.total_seconds())))

    @property
    def seconds(self) -> int:
        """Whole seconds since 1970, rounded down."""
        return self.nanoseconds // SECOND

    def zone(self) -> tuple[str, int, bool]:
        """The zone's abbreviation, offset and summer time at this moment."""
        return self.location.at(self.seconds)

    def civil(self) -> Civil:
        """The parts of this moment in its zone."""
        local = self.seconds + self.zone()[1]
        days, second = divmod(local, DAY_SECONDS)
        year, month, day = civil_from_days(days)
        return Civil(year, month, day, second // 3600, second // 60 % 60, second % 60, self.nanoseconds % SECOND, days)

    def plus(self, nanoseconds: int) -> Time:
        """This moment moved by a duration."""
        return Time(self.nanoseconds + nanoseconds, self.location)

    def minus(self, other: Time) -> Duration:
        """The time from `other` to this one; what does not fit becomes the longest duration."""
        return Duration(min(max(self.nanoseconds - other.nanoseconds, MIN_DURATION), MAX_DURATION))

    def since_zero(self) -> int:
        """Nanoseconds since Go's zero time, which rounding counts from."""
        return self.nanoseconds - _YEAR_ONE


ZERO_TIME = Time(_YEAR_ONE)


@attrs.frozen
class Civil:
    """A date and a time of day; `days` counts from 1970-01-01."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanosecond: int
    days: int

    @property
    def weekday(self) -> int:
        """The day of the week from Sunday, 0."""
        return (self.days + 4) % 7

    @property
    def year_day(self) -> int:
        """The day of the year from 1."""
        return self.days - days_from_civil(self.year, 1, 1) + 1


def leap(year: int) -> bool:
    """True for years with 29 days in February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(month: int, year: int) -> int:
    """The length of a month."""
    return 29 if month == 2 and leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar, which is extended both ways."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970-01-01."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def moment(year: int, month: int, day: int, of_day: int, place: Location) -> Time:
    """The Time that a clock in `place` shows; `of_day` is nanoseconds, and every part may overflow.

    As in Go, the clock is first read as if it were UTC, and the offset of the moment that this leads to counts. Where
    the clock shows an hour twice or never, that is east of Greenwich the offset of winter, west of it that of summer.
    """
    carry, month = divmod(month - 1, 12)
    seconds = days_from_civil(year + carry, month + 1, 1) * DAY_SECONDS + (day - 1) * DAY_SECONDS
    shown = seconds * SECOND + of_day
    offset = place.at(shown // SECOND)[1]
    if offset:
        offset = place.at(shown // SECOND - offset)[1]
    return Time(shown - offset * SECOND, place)

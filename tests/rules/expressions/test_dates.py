"""The calendar and the zones, against Python's where it reaches, and beyond it by the cycle of 400 years."""

from __future__ import annotations

import calendar
import time
from datetime import UTC as PYTHON_UTC
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from kargo_lab.rules import expressions
from kargo_lab.rules.durations import SECOND
from kargo_lab.rules.expressions import dates
from kargo_lab.rules.expressions.dates import UTC, Time

EPOCH = date(1970, 1, 1).toordinal()
CYCLE = 146_097  # days in 400 years


def test_every_day_of_four_centuries_has_its_number() -> None:
    first = date(1900, 1, 1).toordinal()
    for ordinal in range(first, first + CYCLE):
        day = date.fromordinal(ordinal)
        assert dates.civil_from_days(ordinal - EPOCH) == (day.year, day.month, day.day)
        assert dates.days_from_civil(day.year, day.month, day.day) == ordinal - EPOCH


@pytest.mark.parametrize("cycles", [-20, -5, 25, 700])
def test_the_calendar_repeats_every_400_years_both_ways(cycles: int) -> None:
    for year, month, day in ((2000, 2, 29), (1999, 12, 31), (2100, 3, 1)):
        days = dates.days_from_civil(year, month, day) + cycles * CYCLE
        assert dates.civil_from_days(days) == (year + 400 * cycles, month, day)


def test_months_and_leap_years_are_pythons() -> None:
    for year in range(1, 2801):
        assert dates.leap(year) == calendar.isleap(year)
    for year in (1900, 2000, 2024, 2025):
        assert [dates.days_in(month, year) for month in range(1, 13)] == [
            calendar.monthrange(year, month)[1] for month in range(1, 13)
        ]


@pytest.mark.parametrize(
    ("moment", "nanoseconds", "zone"),
    [
        (datetime(1970, 1, 2, 0, 0, 1, 5, PYTHON_UTC).replace(tzinfo=None), 86_401_000_005_000, "UTC"),
        (datetime(1970, 1, 1, tzinfo=PYTHON_UTC), 0, "UTC"),
        (datetime(1970, 1, 1, tzinfo=timezone(timedelta())), 0, "UTC"),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0, ""),
        (datetime(1970, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), 0, "Europe/Berlin"),
    ],
)
def test_a_datetime_keeps_its_moment_and_its_zone(moment: datetime, nanoseconds: int, zone: str) -> None:
    time = Time.of(moment)
    assert (time.nanoseconds, time.location.name) == (nanoseconds, zone)


@pytest.mark.parametrize(
    ("zone", "parts", "seconds"),
    [
        pytest.param("Europe/London", (2026, 10, 25, 0, 59, 59), 1792886399, id="just before winter time"),
        pytest.param("Europe/Berlin", (2026, 3, 29, 2, 59, 59), 1774749599, id="at the end of the missing hour"),
    ],
)
def test_the_last_nanosecond_before_a_change_is_before_it(
    zone: str, parts: tuple[int, int, int, int, int, int], seconds: int
) -> None:
    year, month, day, hour, minute, second = parts
    of_day = ((hour * 60 + minute) * 60 + second) * SECOND + 999_999_999
    assert dates.moment(year, month, day, of_day, dates.location(zone)).seconds == seconds


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Time.of(datetime.now(PYTHON_UTC))
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        now = expressions.compile("now()").run()
        summer = dates.location("America/New_York").at(1_772_956_800)  # for an hour now
    time.tzset()
    assert 0 <= now.nanoseconds - before.nanoseconds < 600 * SECOND
    assert summer == ("EDT", -14_400, True)


def test_an_offset_is_kept_without_a_name() -> None:
    time = Time.of(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1, minutes=30))))
    assert time.zone() == ("", 5400, False)


BERLIN = dates.location("Europe/Berlin")


def seconds(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=PYTHON_UTC).timestamp())


@pytest.mark.parametrize(
    ("at", "zone"),
    [
        pytest.param(seconds(2026, 1, 1), ("CET", 3600, False), id="winter"),
        pytest.param(seconds(2026, 7, 1), ("CEST", 7200, True), id="summer"),
        pytest.param(seconds(2026, 7, 1) + 40 * CYCLE * 86_400, ("CEST", 7200, True), id="summer 16,000 years later"),
        pytest.param(seconds(2026, 1, 1) + 40 * CYCLE * 86_400, ("CET", 3600, False), id="winter 16,000 years later"),
        pytest.param(seconds(1800, 1, 1), ("LMT", 3208, False), id="before there were zones"),
        pytest.param(-(10**13), ("LMT", 3208, False), id="before there was a year 1"),
    ],
)
def test_a_zone_has_an_offset_at_any_time(at: int, zone: tuple[str, int, bool]) -> None:
    assert BERLIN.at(at) == zone


NEW_YORK = dates.location("America/New_York")


# Go looks the clock up as if it were UTC, and once more if that offset does not hold at the moment it leads to.
@pytest.mark.parametrize(
    ("place", "clock", "shown"),
    [
        pytest.param(BERLIN, (2026, 3, 29, 1), (0, 0), id="Berlin before the gap"),
        pytest.param(BERLIN, (2026, 3, 29, 2), (1, 0), id="Berlin in the gap: the offset before it"),
        pytest.param(BERLIN, (2026, 3, 29, 3), (1, 0), id="Berlin behind the gap"),
        pytest.param(BERLIN, (2026, 10, 25, 1), (23, 0), id="Berlin before the overlap"),
        pytest.param(BERLIN, (2026, 10, 25, 2), (1, 0), id="Berlin in the overlap: the offset behind it"),
        pytest.param(BERLIN, (2026, 10, 25, 3), (2, 0), id="Berlin behind the overlap"),
        pytest.param(NEW_YORK, (2026, 3, 8, 1), (6, 0), id="New York before the gap"),
        pytest.param(NEW_YORK, (2026, 3, 8, 2), (6, 0), id="New York in the gap: the offset behind it"),
        pytest.param(NEW_YORK, (2026, 3, 8, 3), (7, 0), id="New York behind the gap"),
        pytest.param(NEW_YORK, (2026, 11, 1, 1), (5, 0), id="New York in the overlap: the offset before it"),
        pytest.param(NEW_YORK, (2026, 11, 1, 2), (7, 0), id="New York behind the overlap"),
    ],
)
def test_a_clock_in_a_zone_is_read_as_go_does(
    place: dates.Location, clock: tuple[int, int, int, int], shown: tuple[int, int]
) -> None:
    year, month, day, hour = clock
    utc = Time(dates.moment(year, month, day, hour * 3600 * SECOND, place).nanoseconds, UTC).civil()
    assert (utc.hour, utc.minute) == shown


def test_every_part_of_a_moment_may_overflow() -> None:
    assert (
        dates.moment(2025, 14, 30, 25 * 3600 * SECOND, UTC).civil()
        == Time.of(datetime(2026, 3, 3, 1, tzinfo=PYTHON_UTC)).civil()
    )


@pytest.mark.parametrize(
    ("abbreviation", "offset"),
    [
        pytest.param("CET", 3600, id="the one that holds"),
        pytest.param("CEST", 7200, id="that of half a year before or after"),
        pytest.param("LMT", 3208, id="that of long ago"),
        pytest.param("CEMT", 10800, id="one of 1945"),
        pytest.param("EST", None, id="one the zone never had"),
    ],
)
def test_an_abbreviation_stands_for_an_offset_of_its_zone(abbreviation: str, offset: int | None) -> None:
    assert dates.named_offset(BERLIN, abbreviation, seconds(2026, 1, 1)) == offset


@pytest.mark.parametrize(
    ("zone", "abbreviation", "at", "offset"),
    [
        pytest.param("Asia/Seoul", "KDT", seconds(1960, 11, 1), 36000, id="not that of half a year before"),
        pytest.param("Asia/Seoul", "KST", seconds(1945, 3, 24), 30600, id="not that of half a year behind"),
        pytest.param("Europe/Dublin", "IST", seconds(2026, 1, 15), 2079, id="though it was long ago"),
        pytest.param("Europe/Dublin", "IST", seconds(2026, 7, 15), 3600, id="but the one that holds goes before"),
    ],
)
def test_an_abbreviation_out_of_use_means_what_it_did_first(zone: str, abbreviation: str, at: int, offset: int) -> None:
    assert dates.named_offset(dates.location(zone), abbreviation, at) == offset


@pytest.mark.parametrize(
    ("zone", "clock", "ahead"),
    [
        pytest.param("Europe/London", (2026, 10, 25, 1), 3600, id="the end of summer in London"),
        pytest.param("Europe/Berlin", (2026, 3, 29, 3), 3600, id="the start of summer in Berlin"),
    ],
)
def test_the_last_nanosecond_before_a_change_of_offset_is_before_it(
    zone: str, clock: tuple[int, int, int, int], ahead: int
) -> None:
    year, month, day, hour = clock
    shown = seconds(year, month, day) * SECOND + hour * 3600 * SECOND - 1
    found = dates.moment(year, month, day, hour * 3600 * SECOND - 1, dates.location(zone))
    assert shown - found.nanoseconds == ahead * SECOND


def test_a_fixed_zone_is_named_by_its_abbreviation() -> None:
    assert (str(dates.fixed("XYZ", 60)), dates.fixed("XYZ", 60).at(0)) == ("XYZ", ("XYZ", 60, False))

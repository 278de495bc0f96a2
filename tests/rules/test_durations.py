"""Durations as Go reads and prints them, and what the API server admits. Vectors: timers.json."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.errors import DurationError
from kargo_lab.rules import durations

TIMERS = json.loads((Path(__file__).parents[1] / "data" / "timers.json").read_text())


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["interval"])) for r in TIMERS["interval_admission"]])
def test_an_interval_is_admitted_or_not(record: dict[str, Any]) -> None:
    try:
        durations.parse_interval(record["interval"])
        admitted = True
    except DurationError:
        admitted = False
    assert admitted == record["accepted"]


@pytest.mark.parametrize(
    ("text", "nanoseconds", "printed"),
    [
        pytest.param("0", 0, "0s", id="zero needs no unit"),
        pytest.param("-0", 0, "0s", id="nor does it with a sign"),
        pytest.param("1h30m", 5_400_000_000_000, "1h30m0s", id="hours and minutes"),
        pytest.param("90m", 5_400_000_000_000, "1h30m0s", id="minutes above an hour"),
        pytest.param("5m0s", 300_000_000_000, "5m0s", id="minutes"),
        pytest.param("1.5h", 5_400_000_000_000, "1h30m0s", id="a fraction"),
        pytest.param(".5s", 500_000_000, "500ms", id="a fraction alone"),
        pytest.param("5.s", 5_000_000_000, "5s", id="a dot alone"),
        pytest.param("+5s", 5_000_000_000, "5s", id="a plus"),
        pytest.param("-1m0.5s", -60_500_000_000, "-1m0.5s", id="a minus covers all parts"),
        pytest.param("1us", 1_000, "1\u00b5s", id="microseconds"),
        pytest.param("1\u00b5s", 1_000, "1\u00b5s", id="microseconds with the micro sign"),
        pytest.param("1\u03bcs", 1_000, "1\u00b5s", id="microseconds with the Greek letter"),
        pytest.param("1.5ns", 1, "1ns", id="half a nanosecond is cut"),
        pytest.param("-999ns", -999, "-999ns", id="nanoseconds"),
        pytest.param("1.000001ms", 1_000_001, "1.000001ms", id="milliseconds"),
        pytest.param("9223372036854775807ns", 2**63 - 1, "2562047h47m16.854775807s", id="the longest"),
        pytest.param("-9223372036854775808ns", -(2**63), "-2562047h47m16.854775808s", id="the longest backwards"),
        pytest.param("0000000000000000000000001s", 1_000_000_000, "1s", id="zeros in front"),
        pytest.param("0.3333333333333333333h", 1_200_000_000_000, "20m0s", id="digits beyond 63 bits are dropped"),
        pytest.param("0.9223372036854775807h", 3_320_413_933_267, "55m20.413933267s", id="the longest fraction"),
        pytest.param("0.9223372036854775809h", 3_320_413_933_267, "55m20.413933267s", id="one above is cut by a digit"),
        pytest.param("0." + "0" * 400 + "1s", 0, "0s", id="hundreds of zeros behind the point"),
        pytest.param("0.92233720368547758070s", 922_337_203, "922.337203ms", id="one digit more is dropped"),
    ],
)
def test_go_reads_and_prints_it_so(text: str, nanoseconds: int, printed: str) -> None:
    assert (durations.parse(text), durations.render(nanoseconds)) == (nanoseconds, printed)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        pytest.param("", 0, "a duration is expected, such as 1h30m", id="nothing"),
        pytest.param("-", 1, "a duration is expected, such as 1h30m", id="a sign alone"),
        pytest.param("1h30", 4, "a unit is missing: h, m, s, ms, us or ns", id="no unit"),
        pytest.param("1h.m", 2, "a number is expected", id="a dot alone"),
        pytest.param("1h m", 1, "this is no unit: h, m, s, ms, us or ns", id="a blank"),
        pytest.param("1d", 1, "this is no unit: h, m, s, ms, us or ns", id="days"),
        pytest.param("--1s", 1, "a number is expected", id="two signs"),
        pytest.param("9223372036854775808ns", -1, "more than 292 years do not fit a duration", id="one too long"),
        pytest.param("9223372036854775809ns", 0, "more than 292 years do not fit a duration", id="two too long"),
        pytest.param("1ns2562048h", 3, "more than 292 years do not fit a duration", id="a part too long"),
        pytest.param("2562047h2562047h", 8, "more than 292 years do not fit a duration", id="a sum too long"),
        pytest.param("1" * 5000 + "s", 0, "more than 292 years do not fit a duration", id="thousands of digits"),
    ],
)
def test_a_refusal_points_at_the_character(text: str, position: int, message: str) -> None:
    with pytest.raises(DurationError) as refused:
        durations.parse(text)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, text)


@pytest.mark.parametrize(("text", "position"), [("", 0), ("5m ", 2), ("-5m", 0), ("1h5", 2), ("5ms", 2)])
def test_a_refused_interval_points_at_the_character(text: str, position: int) -> None:
    with pytest.raises(DurationError) as refused:
        durations.parse_interval(text)
    message = "an interval is numbers with s, m or h, such as 5m0s"
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, text)


def test_an_interval_that_go_cannot_hold_is_refused() -> None:
    with pytest.raises(DurationError, match="more than 292 years"):
        durations.parse_interval("2562048h")


def test_seconds_are_a_float() -> None:
    assert durations.seconds("1m0.25s") == 60.25


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**10), 10**10))
def test_what_is_printed_reads_the_same(nanoseconds: int) -> None:
    assert durations.parse(durations.render(nanoseconds)) == nanoseconds


@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
def test_parts_add_up_as_a_timedelta_does(hours: int, minutes: int, seconds: int) -> None:
    expected = timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    assert durations.parse_interval(f"{hours}h{minutes}m{seconds}s") == expected * durations.SECOND


@given(st.text() | st.text("0123456789.hmsnu\u00b5+-", max_size=24))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    for read in (durations.parse, durations.parse_interval, durations.seconds):
        try:
            position = 0
            assert -(2**63) <= read(text) < 2**63
        except DurationError as refused:
            position = refused.position
        assert -1 <= position <= len(text)

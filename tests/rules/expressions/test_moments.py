"""Methods of times and durations, as Go's time package has them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions

VARIABLES: dict[str, Any] = {"tm": datetime(2026, 1, 1, 12, 30, 45, 500_000, tzinfo=UTC), "far": 10**12}


def run(text: str, **variables: Any) -> Any:
    return expressions.compile(text).run(VARIABLES | variables)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("toJSON(tm.AddDate(7973, 0, 0))", '"9999-01-01T12:30:45.5Z"'),
        ("toJSON(tm.AddDate(-2026, 0, 0))", '"0000-01-01T12:30:45.5Z"'),
        ('tm.Round(duration("0s")) == tm', True),
        ('tm.Truncate(duration("0s")) == tm', True),
        ('tm.Round(duration("1s")).Second()', 46),
        ('tm.Truncate(duration("1s")).Second()', 45),
        ('string(duration("1.5s").Round(duration("0s")))', "1.5s"),
        ('string(duration("1.5s").Truncate(duration("0s")))', "1.5s"),
        ('string(duration("1.5s").Truncate(duration("-1s")))', "1.5s"),
        ('string(duration("-1.5s").Round(duration("1s")))', "-2s"),
        ('string(duration("-1.5s").Truncate(duration("1s")))', "-1s"),
        ('string(duration("0s").Hours())', "0"),
        ('duration("1500us").Milliseconds()', 1),
        ('duration("-1500us").Milliseconds()', -1),
        ('type(duration("1500us").Milliseconds())', "int"),
        ('duration("-1500ns").Microseconds()', -1),
        ('duration("2562047h47m16.854775807s").Microseconds()', 9223372036854775),
        ('duration("-2562047h47m16.854775807s").Microseconds()', -9223372036854775),
        ("tm.AddDate(0, 0, far).Year() > 2000000000", True),
    ],
)
def test_a_method_gives(text: str, value: Any) -> None:
    assert run(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toJSON(tm.AddDate(7974, 0, 0))", "Time.MarshalJSON: year outside of range [0,9999]"),
        ("toJSON(tm.AddDate(-2027, 0, 0))", "Time.MarshalJSON: year outside of range [0,9999]"),
        ("tm.AddDate(far + 1, 0, 0)", "AddDate: the date is out of range"),
        ("tm.AddDate(0, -far - 1, 0)", "AddDate: the date is out of range"),
        ("tm.AddDate(0, 0, far + 1)", "AddDate: the date is out of range"),
    ],
)
def test_a_method_refuses(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        run(text)
    assert (refused.value.stage, refused.value.message) == ("run", message)


def test_iso_weeks_belong_to_the_year_of_their_thursday() -> None:
    program = expressions.compile("day.ISOWeek()")
    days = [date(2018, 12, 20) + timedelta(days=number) for number in range(5 * 366)]
    found = [program.run({"day": datetime(day.year, day.month, day.day, tzinfo=UTC)}) for day in days]
    assert found == [day.isocalendar().year for day in days]

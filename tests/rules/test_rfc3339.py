from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules.rfc3339 import SECOND, YEAR_ONE, instant


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T00:00:00.1234567891Z", 123_456_789),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:00:00-01:30", 1800 * SECOND),
        ("0001-01-01T00:00:00Z", YEAR_ONE),
        ("0000-12-31T00:00:00Z", YEAR_ONE - 86400 * SECOND),
        ("1970-01-01T0:00:00Z", 0),
        ("1970-01-01T00:00:00,5Z", 500_000_000),
        ("1970-01-02T00:00:00+24:00", 0),
    ],
)
def test_reads_a_time(text, nanoseconds):
    assert instant(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-09", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
     "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+00:61", "2026-01-01t00:00:00Z",
     "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z\n", "\u0662026-01-01T00:00:00Z"],
)  # fmt: skip
def test_refuses_what_go_refuses(text):
    assert instant(text) is None


@given(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))))
def test_agrees_with_datetime(moment):
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)  # noqa: UP017
    assert instant(moment.isoformat()) == microseconds * 1000

"""Timer arithmetic: every record of timers.json, and what must hold for any schedule."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.engine import timers
from kargo_lab.errors import ManifestError
from kargo_lab.resources import loading
from kargo_lab.rules import rfc3339

DATA = json.loads((Path(__file__).parents[1] / "data" / "timers.json").read_text())
UNITS = {"h": 3600, "m": 60, "s": 1}


def span(text: str) -> int:
    """A Go duration of hours, minutes and seconds in nanoseconds."""
    return sum(timers.nanoseconds(float(number) * UNITS[unit]) for number, unit in re.findall(r"([\d.]+)([hms])", text))


def schedule(state: dict[str, Any]) -> timers.Schedule:
    return timers.Schedule(
        now=rfc3339.instant(state["now"]) or 0,
        interval=span(state["interval"]),
        operator_minimum=span(state["operator_minimum"]),
        discovered_at=rfc3339.instant(state["discovered_at"]) if state["discovered_at"] else None,
        generation=state["generation"],
        observed_generation=state["observed_generation"],
        last_handled_refresh=state["last_handled_refresh"],
        refresh=state["refresh_annotation"],
    )


@pytest.mark.parametrize("record", [pytest.param(each, id=each["case"]) for each in DATA["decisions"]])
def test_whether_a_pass_discovers(record: dict[str, Any]) -> None:
    assert bool(timers.cause(schedule(record["state"]))) is record["discover"]


@pytest.mark.parametrize("record", [pytest.param(each, id=each["case"]) for each in DATA["decisions"]])
def test_how_long_a_pass_waits(record: dict[str, Any]) -> None:
    waited = timers.wait(schedule(record["state"])) / timers.SECOND
    assert waited == pytest.approx(record["wait_seconds_if_not_discovering"], rel=1e-12)


@pytest.mark.parametrize("record", DATA["cycles"], ids=lambda each: f"{each['interval']} {each['discovery_seconds']}s")
def test_a_cycle(record: dict[str, Any]) -> None:
    ended = datetime.fromisoformat(record["pass_starts"]) + timedelta(seconds=record["discovery_seconds"])
    stored = timers.stored(ended)
    assert stored == datetime.fromisoformat(record["stored_discovered_at"])
    waited = timers.wait(
        timers.Schedule(
            now=timers.instant(ended),
            interval=span(record["interval"]),
            operator_minimum=span(record["operator_minimum"]),
            discovered_at=timers.instant(stored),
        )
    )
    assert waited / timers.SECOND == pytest.approx(record["wait_seconds"])
    assert ended + timedelta(microseconds=waited / 1000) == datetime.fromisoformat(record["next_pass"])


@pytest.mark.parametrize("record", DATA["back_off"], ids=lambda each: f"failure {each['failure']}")
def test_back_off(record: dict[str, Any]) -> None:
    assert timers.back_off(record["failure"]) / timers.SECOND == pytest.approx(record["delay_seconds"])


@pytest.mark.parametrize("record", DATA["interval_admission"], ids=lambda each: repr(each["interval"]))
def test_which_intervals_are_admitted(record: dict[str, Any]) -> None:
    manifest = {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": {"name": "w", "namespace": "p"},
        "spec": {"interval": record["interval"], "subscriptions": [{"image": {"repoURL": "r.example/web"}}]},
    }
    try:
        (warehouse,) = loading.loads(json.dumps(manifest)).warehouses
    except ManifestError:
        assert not record["accepted"]
    else:
        assert record["accepted"]
        assert warehouse.spec.interval_seconds == span(record["interval"]) / timers.SECOND


def test_back_off_stays_at_its_limit_for_ever() -> None:
    assert timers.back_off(10_000) == timers.BACK_OFF_LIMIT


def test_the_shared_bucket_lets_a_hundred_go_and_then_ten_a_second() -> None:
    bucket, delays = timers.Bucket(), []
    for _ in range(102):
        bucket, delay = bucket.take(0)
        delays.append(delay)
    assert delays[:100] == [0] * 100
    assert delays[100:] == [timers.SECOND // 10, timers.SECOND // 5]


spans = st.integers(0, 10**15)


@given(spans, spans, spans, spans)
def test_a_pass_that_waited_as_told_and_a_moment_more_discovers(
    now: int, age: int, interval: int, minimum: int
) -> None:
    before = timers.Schedule(
        now=now + age, interval=interval, operator_minimum=minimum, discovered_at=now, observed_generation=1
    )
    later = timers.Schedule(
        now=now + age + timers.wait(before) + 1, interval=interval, discovered_at=now, observed_generation=1
    )
    assert timers.cause(later) == "interval"


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_are_exact(moment: datetime) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=timers.instant(moment) // 1000) == moment

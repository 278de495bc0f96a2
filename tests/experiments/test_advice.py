"""Advice: the numbers are the formulas', the choice meets target and quota, and says what would change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from kargo_lab.errors import UsageError
from kargo_lab.experiments import advice, rates
from kargo_lab.experiments.advice import Situation


def test_the_recommended_choice_meets_the_target_and_saves() -> None:
    found = advice.advise(Situation(events_per_day=4, warehouses=50, quota_requests=5000))
    assert found.recommended.mean_delay_seconds <= 60
    assert found.recommended.saved > 0.8


def test_at_an_unchanged_interval_webhooks_save_nothing() -> None:
    found = advice.advise(Situation(events_per_day=4))
    same = next(each for each in found.choices if each.name == "webhooks, every 5m behind")
    assert same.saved < 0


def test_busy_repositories_never_break_even() -> None:
    found = advice.advise(Situation(events_per_day=1000))
    assert found.break_even_seconds == float("inf")
    assert "at any interval" in found.would_change[0]


def test_a_quota_that_nothing_fits_is_said() -> None:
    found = advice.advise(Situation(events_per_day=100, warehouses=500, quota_requests=10))
    assert "nothing fits the quota" in found.because


def test_an_interval_stays_above_the_minimum() -> None:
    found = advice.advise(Situation(events_per_day=1, minimum_interval_seconds=7200.0))
    assert min(each.interval_seconds for each in found.choices[1:]) == 7200.0


@pytest.mark.parametrize(
    "wrong",
    [{"events_per_day": 0.0}, {"events_per_day": float("nan")}, {"loss": 1.0}, {"warehouses": 0}, {"requests": 0}],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Situation(**{"events_per_day": 1.0, **wrong})  # type: ignore[arg-type]


def test_a_rate_lies_within_its_own_bounds_nineteen_times_of_twenty() -> None:
    random, begin = np.random.default_rng(3), datetime(2026, 1, 1, tzinfo=UTC)
    hits = 0
    for _ in range(300):
        moments = [begin + timedelta(days=float(day)) for day in np.cumsum(random.exponential(0.5, 20))]
        rate = rates.from_moments(moments)
        hits += rate.low <= 2.0 <= rate.high
    assert hits / 300 > 0.92


def test_two_events_are_no_rate() -> None:
    with pytest.raises(UsageError, match="at least three"):
        rates.from_moments([datetime(2026, 1, 1, tzinfo=UTC)] * 2)


def test_a_history_that_is_none_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="cannot read the history"):
        rates.git_moments(tmp_path)

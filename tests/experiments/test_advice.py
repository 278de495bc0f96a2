"""Advice: the numbers are the formulas', the choice meets target and quota, and says what would change it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from kargo_lab.errors import UsageError
from kargo_lab.experiments import advice, rates
from kargo_lab.experiments.advice import Situation
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources import loading


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


WAREHOUSE = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{namespace: p, name: {name}}}
spec:
  interval: 5m0s
  subscriptions: {subscriptions}
"""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pushed() -> Iterator[tuple[str, str]]:
    """An image pushed twice a day for fifteen days, half of it wanted, and a repository committed to daily."""
    with Registry() as registry, GitHost() as git:
        for number in range(30):
            kind = "build" if number % 2 else "release"
            registry.push_image("team/app", f"{kind}-{number}", created=BEGIN + timedelta(hours=12 * number))
        git.create_repository("team/config")
        for number in range(10):
            git.commit("team/config", {"version": str(number)}, when=BEGIN + timedelta(days=number))
        yield f"{registry.host}/team/app", git.clone_url("team/config")


def rate_of(*subscriptions: dict[str, object], name: str = "") -> rates.Rate:
    text = WAREHOUSE.format(name="w", subscriptions=json.dumps(subscriptions))
    return rates.from_warehouse(loading.loads(text), name)


def images(url: str, pattern: str) -> dict[str, object]:
    return {
        "image": {
            "repoURL": url,
            "imageSelectionStrategy": "NewestBuild",
            "allowTagsRegexes": [pattern],
            "discoveryLimit": 1,
        }
    }


def test_a_warehouse_is_told_of_what_it_would_take_and_no_more(pushed: tuple[str, str]) -> None:
    found = rate_of(images(pushed[0], "^release-"))
    assert (found.events, round(found.per_day, 3)) == (15, 1.0)


def test_what_happens_to_several_subscriptions_is_added(pushed: tuple[str, str]) -> None:
    found = rate_of(images(pushed[0], "."), {"git": {"repoURL": pushed[1], "branch": "main"}})
    assert found.per_day == pytest.approx(3.0)
    assert found.low < 3.0 < found.high


@pytest.mark.parametrize(
    ("pattern", "name", "said"),
    [
        pytest.param("^release-2$", "", "at least three events, there are 1; give --events-per-day", id="one event"),
        pytest.param("^nothing", "", "at least three", id="no event"),
        pytest.param(".", "other", "none is called other", id="a Warehouse that is not there"),
    ],
)
def test_a_warehouse_that_tells_no_rate_is_refused(pushed: tuple[str, str], pattern: str, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rate_of(images(pushed[0], pattern), name=name)


def test_a_registry_that_does_not_answer_is_said() -> None:
    with pytest.raises(UsageError, match=r"p/w, image 127\.0\.0\.1:1/team/app: "):
        rate_of(images("127.0.0.1:1/team/app", "."))


def test_of_several_warehouses_one_has_to_be_named() -> None:
    text = "---".join(WAREHOUSE.format(name=name, subscriptions=[{"image": {"repoURL": "a/b"}}]) for name in "ab")
    with pytest.raises(UsageError, match="there are: a, b"):
        rates.from_warehouse(loading.loads(text))

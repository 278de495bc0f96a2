"""The client-side limiter and the image cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.sources.limits import Cache, Limiters, RateLimiter


def moments(limiter: RateLimiter, clock: VirtualClock, count: int) -> list[float]:
    found = []
    for _ in range(count):
        limiter.take(clock)
        found.append(clock.monotonic())
    return found


def test_requests_are_spaced_evenly() -> None:
    assert moments(RateLimiter(20), VirtualClock(), 4) == pytest.approx([0, 0.05, 0.1, 0.15])


def test_after_a_pause_about_ten_go_at_once() -> None:
    limiter, clock = RateLimiter(20), VirtualClock()
    limiter.take(clock)
    clock.advance(60)
    went = [moment - 60 for moment in moments(limiter, clock, 13)]
    assert went[:11] == pytest.approx([0] * 11)
    assert went[11:] == pytest.approx([0.05, 0.1])


@given(st.lists(st.floats(0, 0.2), min_size=30, max_size=60))
def test_never_more_than_the_rate_and_what_was_saved_up(pauses: list[float]) -> None:
    limiter, clock, went = RateLimiter(20), VirtualClock(), list[float]()
    for pause in pauses:
        clock.advance(pause)
        went += moments(limiter, clock, 1)
    for first, last in zip(went, went[25:], strict=False):
        assert last - first >= (25 - 11) * 0.05 - 1e-3


def test_two_names_of_docker_hub_share_a_limiter() -> None:
    limiters = Limiters(LATEST)
    assert limiters.of("index.docker.io") is limiters.of("docker.io")
    assert limiters.of("ghcr.io") is not limiters.of("docker.io")


def test_up_to_v1_8_docker_hub_is_asked_half_as_often() -> None:
    limiters = Limiters(PROFILES["v1.8"])
    assert moments(limiters.of("index.docker.io"), VirtualClock(), 2)[1] == pytest.approx(0.1)
    assert moments(limiters.of("ghcr.io"), VirtualClock(), 2)[1] == pytest.approx(0.05)


def test_an_operator_may_set_the_rate() -> None:
    assert moments(Limiters(LATEST, per_second=2).of("ghcr.io"), VirtualClock(), 2)[1] == pytest.approx(0.5)


def test_the_cache_lets_the_least_recently_used_go() -> None:
    cache: Cache[int] = Cache(2)
    cache.put("a", 1, 0)
    cache.put("b", 2, 0)
    cache.get("a", 0)
    cache.put("c", 3, 0)
    assert [cache.get(key, 0) for key in "abc"] == [1, None, 3]


def test_entries_live_as_long_as_they_may() -> None:
    cache: Cache[int] = Cache(2, life_seconds=10)
    cache.put("a", 1, 0)
    assert [cache.get("a", 9.9), cache.get("a", 10.0), len(cache)] == [1, None, 0]

"""What a refresh waits for where a fleet is due: as Kargo queues, and as `recommended` does (experiments/crowd.py)."""

from __future__ import annotations

import pytest

from kargo_lab.experiments import crowd

SIZE, COUNT = 400, 8
CYCLE = SIZE / crowd.WORKERS  # discoveries that one of the workers has to do before all had their turn


def delays(situation: str, profile: str) -> tuple[float, ...]:
    return crowd.SITUATIONS[situation](profile, SIZE, COUNT, 7)


@pytest.mark.parametrize("situation", crowd.SITUATIONS)
def test_in_recommended_a_refresh_waits_for_nothing(situation: str) -> None:
    assert delays(situation, "recommended") == pytest.approx([0.0] * COUNT, abs=1e-5)


@pytest.mark.parametrize("profile", crowd.COMPARED)
def test_where_nothing_is_due_no_profile_lets_a_refresh_wait(profile: str) -> None:
    assert max(delays("nothing else is due", profile)) < 1e-5


def test_after_a_restart_v1_11_lets_a_refresh_wait_for_most_of_the_fleet() -> None:
    assert max(delays("all are due at once, after a restart", "v1.11")) > CYCLE / 2


def test_after_a_restart_latest_lets_a_refresh_wait_for_the_discoveries_in_flight() -> None:
    assert max(delays("all are due at once, after a restart", "latest")) <= 1.0


def test_latest_lets_a_refresh_wait_for_the_fleet_once_all_were_refreshed() -> None:
    assert max(delays("the same, all were refreshed once before", "latest")) > CYCLE / 2

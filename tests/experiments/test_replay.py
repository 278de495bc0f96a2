"""Simulation against measurement: the testbed at a scaled interval, and the same pushes in the array model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kargo_lab.experiments import formulas, replay
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.scenario import Webhook

INTERVAL = 3.0
MOMENTS = [list(np.arange(20) * 7.3 + start) for start in (0.0, 1.1, 2.7)]
NO_TIME = np.full(1, 1e-9)


# A twentieth lost, as one meets it, and so many that the 95th percentile lies among those that wait for a poll.
RUNS: dict[str, dict[str, Any]] = {
    "a twentieth lost": {"loss": 0.05},
    "a third lost": {"loss": 1 / 3, "polled": 8, "hooked": 60},
}


# Beyond that the machine, and not the interval, says when a poll begins; models know of no such machine.
MOST_LATE_SECONDS, ATTEMPTS = 0.05, 3


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """Tells how late the machine woke a thread that sleeps, at the 99th percentile."""
    late: list[float] = []
    over = threading.Event()

    def sleeper() -> None:
        while not over.is_set():
            began = time.monotonic()
            time.sleep(0.02)
            late.append(time.monotonic() - began - 0.02)

    thread = threading.Thread(target=sleeper)
    thread.start()
    try:
        yield lambda: float(np.quantile(late, 0.99))
    finally:
        over.set()
        thread.join()


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Measured while the machine kept time; a machine that never does cannot tell, and the tests say so."""
    for _ in range(ATTEMPTS):
        with watched() as lateness:
            rows = replay.compare(interval_seconds=INTERVAL, **settings).rows
            late = lateness()
        if late <= MOST_LATE_SECONDS:
            return rows.set_index(["mode", "quantile"])
    pytest.skip(f"this machine is too busy to measure anything: threads were woken {late:.2f} s late")


@pytest.fixture(scope="module")
def measured() -> dict[str, pd.DataFrame]:
    return {name: measure(settings) for name, settings in RUNS.items()}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("quantile", replay.QUANTILES)
@pytest.mark.parametrize("mode", replay.MODES)
@pytest.mark.parametrize("run", RUNS)
def test_what_is_simulated_lies_within_the_sampling_error_of_what_is_measured(
    measured: dict[str, pd.DataFrame], run: str, mode: str, quantile: float
) -> None:
    row = measured[run].loc[mode, quantile]
    assert row["low_seconds"] <= row["simulated_seconds"] <= row["high_seconds"], row.to_string()


@pytest.mark.timeout(240)
def test_with_a_third_lost_the_error_tells_those_that_wait_for_a_poll_from_those_that_do_not(
    measured: dict[str, pd.DataFrame],
) -> None:
    row = measured["a third lost"].loc["hybrid", 0.95]
    assert INTERVAL / 4 < row["low_seconds"] < row["high_seconds"] < INTERVAL * 1.5, row.to_string()


@pytest.mark.timeout(240)
def test_the_sampling_error_is_small_enough_to_tell_half_the_interval_from_the_whole(
    measured: dict[str, pd.DataFrame],
) -> None:
    row = measured["a twentieth lost"].loc["polling", 0.5]
    assert row["low_seconds"] > row["simulated_seconds"] / 2
    assert row["high_seconds"] < row["simulated_seconds"] * 2


@pytest.mark.parametrize("share", replay.QUANTILES)
def test_the_bounds_hold_the_true_quantile_of_nearly_every_sample(share: float) -> None:
    chance = np.random.default_rng(1)
    pairs = [replay.bounds(chance.exponential(1.0, 150), share) for _ in range(2000)]
    missed = sum(not low <= -np.log(1 - share) <= high for low, high in pairs)
    assert missed <= 10


def test_a_second_sample_widens_the_bounds() -> None:
    sample = np.random.default_rng(1).uniform(0, 1, 500)
    low, high = replay.bounds(sample, 0.5)
    wider = replay.bounds(sample, 0.5, other=50)
    assert wider[0] < low < high < wider[1]


def test_without_webhooks_the_simulated_delays_are_those_of_the_closed_form() -> None:
    found = replay.simulated(MOMENTS, None, INTERVAL, pace=NO_TIME, lengths=np.full(1, 0.2), seed=3)
    expected = [formulas.polling_delay_quantile(share, INTERVAL, 0.2) for share in replay.QUANTILES]
    np.testing.assert_allclose(np.quantile(found, replay.QUANTILES), expected, rtol=0.02)


def test_with_webhooks_the_share_that_waits_for_a_poll_is_the_share_that_is_lost() -> None:
    found = replay.simulated(
        MOMENTS, Webhook(latency=Span(0.0), loss=0.3), INTERVAL, pace=NO_TIME, lengths=NO_TIME, seed=3
    )
    assert float((found > 0.001).mean()) == pytest.approx(0.3, abs=0.01)

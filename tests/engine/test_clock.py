"""Clocks."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.engine.clock import EPOCH, Interrupted, Shift, Stopwatch, VirtualClock, WallClock


def test_virtual_time_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock()
    assert (clock.now(), clock.monotonic()) == (EPOCH, 0.0)
    clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (EPOCH + timedelta(seconds=1.5), 1.5)


def test_time_never_goes_back() -> None:
    clock = VirtualClock()
    clock.advance(5)
    clock.advance(-1)
    clock.advance_to(3)
    assert clock.monotonic() == 5.0


@given(st.floats(0, 1e6))
def test_whoever_waits_until_a_moment_does_not_wake_before_it(moment: float) -> None:
    clock = VirtualClock()
    clock.advance_to(moment)
    assert 0 <= clock.monotonic() - moment + 1e-9 < 2.1e-6


def test_a_stopwatch_runs_ahead_on_its_own() -> None:
    clock = VirtualClock()
    watch = Stopwatch(clock)
    watch.wait(2)
    assert (watch.monotonic(), clock.monotonic(), watch.now()) == (2.0, 0.0, EPOCH + timedelta(seconds=2))


def test_the_wall_clock_is_in_utc() -> None:
    assert WallClock().now().utcoffset() == timedelta(0)


def test_who_waits_on_a_shift_is_sent_away_at_its_end() -> None:
    shift = Shift(WallClock())
    threading.Timer(0.01, shift.end).start()
    with pytest.raises(Interrupted):
        shift.wait(60)


def test_a_shift_that_is_over_lets_nobody_begin_to_wait() -> None:
    shift = Shift(VirtualClock())
    shift.end()
    with pytest.raises(Interrupted):
        shift.wait(0)

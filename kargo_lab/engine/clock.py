"""Time as an argument: one protocol, a wall clock, and a virtual clock that only moves when told to.

The engine, the rate limiter and every source ask their clock and never the operating system, so the
same code runs a minute of real traffic or a month of a fleet's life in a second. Instants are aware
datetimes in UTC; spans are seconds. Virtual time has steps of one microsecond, the finest that a
datetime can hold.
"""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TICK_SECONDS = 1e-6


class Interrupted(Exception):  # noqa: N818 - nothing went wrong: whoever works is asked to end
    """Raised by `wait` and `check` once whoever runs on the clock has to end; no LabError, for nothing failed."""


class Clock(Protocol):
    """What may be asked of a clock."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after so many seconds; at once for none or fewer."""
        ...

    def check(self) -> None:
        """Raise Interrupted if it is time to end; what waits for a network asks now and then."""
        ...


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        if seconds > 0:
            time.sleep(seconds)

    def check(self) -> None:
        """Nobody ends it."""


class Shift:
    """A clock for workers that have to end when told to, in the middle of a pause too."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._over = clock, threading.Event()

    def now(self) -> datetime:
        """The other clock's instant."""
        return self._clock.now()

    def monotonic(self) -> float:
        """The other clock's count."""
        return self._clock.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait; Interrupted if it ends meanwhile."""
        if isinstance(self._clock, WallClock):
            self._over.wait(max(0.0, seconds))
        else:
            self._clock.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise Interrupted once it is over."""
        if self._over.is_set():
            raise Interrupted

    def end(self) -> None:
        """It is over, for everybody who waits on this clock."""
        self._over.set()


class VirtualClock:
    """Time that stands still until `wait()` or `advance()` moves it; safe to read from any thread."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start, self._microseconds = start, 0
        self._now = start  # asked for at each request, and moved far less often
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The instant, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._microseconds / 1e6

    def wait(self, seconds: float) -> None:
        """Move on by so much, which is what waiting comes to."""
        self.advance(seconds)

    def check(self) -> None:
        """Nobody ends it."""

    def advance(self, seconds: float) -> None:
        """Move on; time never goes back, so a negative span is none."""
        if seconds > 0:
            with self._lock:
                self._move(self._microseconds + _rounded_up(seconds))

    def advance_to(self, monotonic: float) -> None:
        """Move on to a moment as `monotonic()` counts; one that has passed changes nothing."""
        with self._lock:
            # Rounded up, as above: a clock that stopped short of the moment would be sent there without end.
            target = -int(-monotonic * 1e6 // 1)
            # The product may have been rounded down to a whole number that is still short of the moment.
            target += target / 1e6 < monotonic
            self._move(max(self._microseconds, target))

    def _move(self, microseconds: int) -> None:
        self._microseconds = microseconds
        self._now = self._start + timedelta(microseconds=microseconds)


def _rounded_up(seconds: float) -> int:
    """Whole microseconds, not fewer: whoever waits until a moment must not wake before it."""
    return math.ceil(round(seconds * 1e6, 3))  # what floats add behind that is noise


class Stopwatch:
    """A clock that starts where another stands and then runs ahead on its own.

    On a virtual clock a pass is computed in one go, at the moment it starts; its waiting is measured
    on a stopwatch, and its end takes place when the main clock has come that far. So two passes
    overlap in virtual time although nothing runs in parallel.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began = clock, clock.monotonic()
        self.elapsed = 0.0

    def now(self) -> datetime:
        """The instant, in UTC, including what was waited here."""
        now = self._clock.now()
        return now + timedelta(seconds=self.elapsed) if self.elapsed else now

    def monotonic(self) -> float:
        """The other clock's count, plus what was waited here."""
        return self._clock.monotonic() + self.elapsed

    def wait(self, seconds: float) -> None:
        """Count the seconds; nothing sleeps."""
        if seconds > 0:
            self.elapsed += seconds

    def check(self) -> None:
        """As the other clock."""
        self._clock.check()

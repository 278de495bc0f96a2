"""When a Warehouse discovers and when it is looked at again: discovery.md 2.2, 2.4, 2.7.

Pure arithmetic in whole nanoseconds, as Go's time has it: a comparison at the very instant of an
interval's end decides differently from one a nanosecond later, and floats would blur that.
"""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

SECOND = 1_000_000_000
OVERDUE_WAIT = SECOND // 10  # a timer that would lie in the past
BACK_OFF_FIRST = 5 * SECOND // 1000
BACK_OFF_LIMIT = 1000 * SECOND
BUCKET_RATE, BUCKET_BURST = 10, 100  # controller-runtime up to 0.22: a second, at once

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(seconds: float) -> int:
    """A span of seconds in whole nanoseconds."""
    return round(seconds * SECOND)


def instant(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime; exact to its microsecond."""
    span = moment - _UNIX
    return ((span.days * 86400 + span.seconds) * 1_000_000 + span.microseconds) * 1000


def stored(moment: datetime) -> datetime:
    """A time as Kubernetes serialises it: whole seconds, the rest cut off."""
    return moment.astimezone(UTC).replace(microsecond=0)


@attrs.frozen(kw_only=True)
class Schedule:
    """What the decision looks at. Spans and instants in nanoseconds.

    `discovered_at` is None where no artifacts, or artifacts without a time, are stored.
    `refresh` is the annotation's value, None where there is no annotation.
    """

    now: int
    interval: int
    operator_minimum: int = 0
    discovered_at: int | None = None
    generation: int = 1
    observed_generation: int = 0
    last_handled_refresh: str = ""
    refresh: str | None = None


def cause(schedule: Schedule) -> str:
    """Why this pass discovers: `never discovered`, `spec changed`, `refresh` or `interval`; empty if it does not.

    The interval is the Warehouse's own, whatever the operator's minimum (WC:932-934): that one only
    shapes the timer. An age of exactly the interval is not enough.
    """
    if schedule.discovered_at is None:
        return "never discovered"
    if schedule.generation > schedule.observed_generation:
        return "spec changed"
    if schedule.refresh is not None and schedule.refresh != schedule.last_handled_refresh:
        return "refresh"
    if schedule.discovered_at + schedule.interval < schedule.now:
        return "interval"
    return ""


def wait(schedule: Schedule) -> int:
    """Nanoseconds until the next pass, after one that ended well."""
    effective = max(schedule.interval, schedule.operator_minimum)
    if schedule.discovered_at is None:
        return effective
    left = schedule.discovered_at + effective - schedule.now
    return left if left > 0 else OVERDUE_WAIT


def back_off(failures: int) -> int:
    """Nanoseconds until the retry after so many failures in a row, at least one."""
    doublings = min(failures - 1, 63)
    return min(BACK_OFF_FIRST << doublings, BACK_OFF_LIMIT)


@attrs.frozen
class Bucket:
    """The token bucket that older controllers shared among all Warehouses: tokens at an instant."""

    tokens: float = float(BUCKET_BURST)
    at: int = 0

    def take(self, now: int) -> tuple[Bucket, int]:
        """The bucket without one more token, and the nanoseconds until that token really exists."""
        earned = max(0, now - self.at) * BUCKET_RATE / SECOND
        tokens = min(float(BUCKET_BURST), self.tokens + earned) - 1
        delay = 0 if tokens >= 0 else round(-tokens * SECOND / BUCKET_RATE)
        return Bucket(tokens, max(now, self.at)), delay

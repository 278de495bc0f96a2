"""Time in experiments: whole microseconds, as the engine's virtual clock counts.

Whole numbers add up to the same whatever the order, so that two models of one fleet can be compared
without a tolerance.
"""

from __future__ import annotations

TICKS = 1_000_000  # in a second


def ticks(seconds: float) -> int:
    """Seconds in ticks, to the nearest."""
    return round(seconds * TICKS)

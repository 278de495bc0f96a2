"""Chance that depends on what it is about, never on the order in which it is asked.

A draw is a function of the seed, a stream and up to two numbers (which push, which attempt), so the
event model asks for one at a time, the array model for a million at once, and both get the same: that is
what lets them agree event by event. The mixing is SplitMix64's finaliser (Steele, Lea, Flood, Fast
splittable pseudorandom number generators, OOPSLA 2014).
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.experiments.ticks import TICKS

_MASK = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SHARE = 2.0**-53

# Streams: what a draw is about.
LATENCY, LOSS, DUPLICATE, PASSES, DURATION, JITTER, PHASE = range(1, 8)


def _mixed(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def one(seed: int, stream: int, first: int, second: int = 0) -> float:
    """A uniform number in [0, 1)."""
    key = _mixed(_mixed(seed & _MASK) ^ stream)
    return (_mixed(_mixed(key ^ first) ^ second) >> 11) * _SHARE


def many(seed: int, stream: int, first: NDArray[Any], second: NDArray[Any] | int = 0) -> NDArray[np.float64]:
    """As `one`, for arrays of numbers."""
    key = np.uint64(_mixed(_mixed(seed & _MASK) ^ stream))
    inner = _mixed_all(np.asarray(first).astype(np.uint64) ^ key)
    mixed = _mixed_all(inner ^ np.asarray(second).astype(np.uint64))
    return (mixed >> np.uint64(11)).astype(np.float64) * _SHARE


def _mixed_all(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        value = value + np.uint64(_GOLDEN)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
        return np.asarray(value ^ (value >> np.uint64(31)))


@attrs.frozen
class Span:
    """A length of time: always the same (`fixed`), uniform from 0 to twice the mean, or exponential."""

    mean_seconds: float = 0.0
    shape: str = attrs.field(default="fixed", validator=attrs.validators.in_(("fixed", "uniform", "exponential")))

    @property
    def is_fixed(self) -> bool:
        """True if nothing is drawn."""
        return self.shape == "fixed" or self.mean_seconds == 0

    def ticks(self, share: float) -> int:
        """The length for a uniform draw, in ticks."""
        mean = self.mean_seconds * TICKS
        if self.is_fixed:
            return round(mean)
        return int(mean * 2 * share) if self.shape == "uniform" else int(-mean * _log1p(-share))

    def all_ticks(self, shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """As `ticks`, for an array of draws."""
        mean = self.mean_seconds * TICKS
        if self.is_fixed:
            return np.full(shares.shape, round(mean), dtype=np.int64)
        drawn = mean * 2 * shares if self.shape == "uniform" else -mean * np.log1p(-shares)
        return drawn.astype(np.int64)


def _log1p(value: float) -> float:
    # NumPy's and not math's, which may differ in the last bit: then two models would disagree by a tick.
    return float(np.log1p(value)) if value > -1 else -math.inf

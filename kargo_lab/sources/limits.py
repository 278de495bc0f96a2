"""Kargo's client-side limits: requests a second per registry, and the cache of image facts.

Both live as long as the process and are shared by all Warehouses (discovery.md 3.8, 3.9), so they
are values of one `Shared` object that whoever assembles a lab makes once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.profiles import LATEST, Profile

Value = TypeVar("Value")
SAVED_UP = 10  # requests that an idle limiter lets go at once
CACHE_ENTRIES = 100_000
DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


class RateLimiter:
    """Spaces requests evenly, and lets an idle while be made up for by at most `SAVED_UP` requests."""

    def __init__(self, per_second: float) -> None:
        self._spacing, self._lock = 1.0 / per_second, threading.Lock()
        self._last: float | None = None

    def take(self, clock: Clock) -> None:
        """Return when the next request may go."""
        with self._lock:
            now = clock.monotonic()
            if self._last is None:
                turn = now
            else:
                turn = max(self._last + self._spacing, now - SAVED_UP * self._spacing)
            self._last = turn
        if turn > now:
            clock.wait(turn - now)


@attrs.frozen
class _Entry(Generic[Value]):
    value: Value
    stored_at: float


class Cache(Generic[Value]):
    """The least recently used entry goes first. `life_seconds` 0 keeps entries for ever."""

    def __init__(self, entries: int = CACHE_ENTRIES, *, life_seconds: float = 0.0) -> None:
        self._entries, self._life, self._lock = entries, life_seconds, threading.Lock()
        self._held: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()

    def get(self, key: Hashable, now: float) -> Value | None:
        """What is stored under the key; `now` counts as `Clock.monotonic()` does."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            if self._life and now - found.stored_at >= self._life:
                del self._held[key]
                return None
            self._held.move_to_end(key)
            return found.value

    def put(self, key: Hashable, value: Value, now: float) -> None:
        """Store, and let go of the oldest beyond the limit."""
        with self._lock:
            self._held[key] = _Entry(value, now)
            self._held.move_to_end(key)
            while len(self._held) > self._entries:
                self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)


class Limiters:
    """One limiter a registry host; the names of Docker Hub share one."""

    def __init__(self, profile: Profile = LATEST, *, per_second: float | None = None) -> None:
        self._rates: Mapping[str, float] = profile.registry_rates if per_second is None else {"*": per_second}
        self._lock = threading.Lock()
        self._limiters: dict[str, RateLimiter] = {}

    def of(self, registry: str) -> RateLimiter:
        """The limiter for a host as an image reference names it."""
        host = "docker.io" if registry in DOCKER_HUB else registry
        with self._lock:
            if host not in self._limiters:
                self._limiters[host] = RateLimiter(self._rates.get(host, self._rates["*"]))
            return self._limiters[host]

"""Which Warehouse is looked at next: controller-runtime's work queue, without threads or clocks.

A key is ready or waits for its time, never both twice; a key that is added while a worker has it
comes back once that worker is done. A timer that was set stays set: an earlier one is not undone by
a later one, it just finds nothing to do. Times are what `Clock.monotonic()` counts. Not locked;
whoever shares it locks.
"""

from __future__ import annotations

import heapq
from collections import deque


class WorkQueue:
    """Keys that are ready, in the order in which they became so, and keys that wait."""

    def __init__(self) -> None:
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()  # ready, or wanted again by the time their worker is done
        self._active: set[str] = set()
        self._waiting: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._count = 0

    def add(self, key: str, *, first: bool = False) -> None:
        """Now, or as soon as the worker that has it is done; `first` before all that are ready already."""
        if key in self._dirty and not (first and key in self._ready):
            return
        if key in self._dirty:
            self._ready.remove(key)
        self._dirty.add(key)
        if key not in self._active:
            (self._ready.appendleft if first else self._ready.append)(key)

    def add_at(self, key: str, moment: float) -> None:
        """At a moment; an earlier one that is set already stays."""
        if self._waiting.get(key, float("inf")) <= moment:
            return
        self._waiting[key] = moment
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, key))

    def forget(self, key: str) -> None:
        """Take a key out, whatever it waits for."""
        self._waiting.pop(key, None)
        if key in self._dirty:
            self._dirty.discard(key)
            self._ready = deque(other for other in self._ready if other != key)

    def take(self, now: float) -> str | None:
        """The next key that is ready, None if there is none. `done` has to follow."""
        # Strictly later: a pass at the very instant of an interval's end would find it not elapsed.
        while self._heap and self._heap[0][0] < now:
            moment, _, key = heapq.heappop(self._heap)
            if self._waiting.get(key) == moment:
                del self._waiting[key]
                self.add(key)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._active.add(key)
        return key

    def done(self, key: str) -> None:
        """The worker is done with a key."""
        self._active.discard(key)
        if key in self._dirty:
            self._ready.append(key)

    def next_moment(self) -> float | None:
        """When the next waiting key is due; None if none waits."""
        while self._heap:
            moment, _, key = self._heap[0]
            if self._waiting.get(key) == moment:
                return moment
            heapq.heappop(self._heap)
        return None

    @property
    def has_ready(self) -> bool:
        """True if `take` would give a key without time going on."""
        return bool(self._ready)

    @property
    def active(self) -> int:
        """How many keys workers have."""
        return len(self._active)

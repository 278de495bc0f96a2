"""Which key is looked at next: controller-runtime's work queues, without threads or clocks.

A key is ready or waits for its time; one that is added while a worker has it comes back once that worker is done.
There are two kinds, and Kargo has had both:

- In order: as keys became ready. A timer that was set stays set, so an earlier one is not undone by a later one, it
  just finds nothing to do. What came back while a worker had it goes to the end.
- Ranked (`ranked=True`): the highest rank first, in order within a rank. A key is in one place, ready or waiting:
  making it ready takes its timer with it, and of two ranks or two moments the better counts. What came back while a
  worker had it keeps its place.

Times are what `Clock.monotonic()` counts. Not locked; whoever shares it locks. Every call takes the same time
however many keys there are, but for the logarithm of a heap. Sources: client-go util/workqueue (queue.go,
delaying_queue.go), controller-runtime v0.24.1 pkg/controller/priorityqueue/priorityqueue.go.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict


class WorkQueue:
    """Keys that are ready, in the order in which they became so, and keys that wait."""

    def __init__(self, *, ranked: bool = False) -> None:
        self._is_ranked = ranked
        self._ready: defaultdict[int, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._ranks: dict[str, int] = {}  # of what is ready, or wanted again by the time its worker is done
        self._active: dict[str, int] = {}  # with the rank under which it was taken
        self._waiting: dict[str, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._count = 0

    def add(self, key: str, rank: int = 0) -> None:
        """Now, or as soon as the worker that has it is done; the rank counts where the queue is ranked."""
        rank = rank if self._is_ranked else 0
        if self._is_ranked and key in self._waiting:
            rank = max(rank, self._waiting.pop(key)[1])
        known = self._ranks.get(key)
        if known is not None:
            if rank <= known:
                return
            self._ready[known].pop(key, None)
        self._ranks[key] = rank
        if self._is_ranked or key not in self._active:
            self._ready[rank][key] = None

    def add_at(self, key: str, moment: float, rank: int = 0) -> None:
        """At a moment; an earlier one that is set already stays."""
        if self._is_ranked and key in self._ranks:
            self.add(key, rank)  # it is ready, and stays so
            return
        before, known = self._waiting.get(key, (float("inf"), rank))
        self._waiting[key] = min(before, moment), max(rank, known)
        if moment < before:
            self._count += 1
            heapq.heappush(self._heap, (moment, self._count, key))

    def forget(self, key: str) -> None:
        """Take a key out, whatever it waits for."""
        self._waiting.pop(key, None)
        if (rank := self._ranks.pop(key, None)) is not None:
            self._ready[rank].pop(key, None)

    def take(self, now: float, at_least: int | None = None) -> str | None:
        """The next key that is ready (and of that rank, if one is given) or None. `done` has to follow."""
        # Strictly later: a pass at the very instant of an interval's end would find it not elapsed.
        while self._heap and self._heap[0][0] < now:
            moment, _, key = heapq.heappop(self._heap)
            if (waits := self._waiting.get(key)) is not None and waits[0] == moment:
                del self._waiting[key]
                self.add(key, waits[1])
        key_and_rank = self._next(at_least)
        if key_and_rank is None:
            return None
        key, rank = key_and_rank
        del self._ready[rank][key], self._ranks[key]
        self._active[key] = rank
        return key

    def _next(self, at_least: int | None) -> tuple[str, int] | None:
        for rank in sorted(self._ready, reverse=True):
            if at_least is not None and rank < at_least:
                return None
            # Of those that are passed over each has a worker, so there are few.
            found = next((key for key in self._ready[rank] if key not in self._active), None)
            if found is not None:
                return found, rank
        return None

    def done(self, key: str) -> int:
        """The worker is done with a key; the rank under which it was taken."""
        rank = self._active.pop(key, 0)
        if not self._is_ranked and key in self._ranks:
            self._ready[0][key] = None
        return rank

    def next_moment(self) -> float | None:
        """When the next waiting key is due; None if none waits."""
        while self._heap:
            moment, _, key = self._heap[0]
            if (waits := self._waiting.get(key)) is not None and waits[0] == moment:
                return moment
            heapq.heappop(self._heap)
        return None

    def ready(self, at_least: int | None = None) -> bool:
        """True if `take` would give a key without time going on."""
        return self._next(at_least) is not None

    @property
    def has_ready(self) -> bool:
        """True if there is a key for a worker, of whatever rank."""
        return self.ready()

    @property
    def active(self) -> int:
        """How many keys workers have."""
        return len(self._active)

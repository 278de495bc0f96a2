"""What a controller can save and still find the same: the lab's proof of what is possible, off by default.

Kargo asks anew in each pass, for each Warehouse and over a new connection. Here what was seen is kept,
so that it is asked whether it is still so (a HEAD, an ETag), and what one Warehouse saw a moment ago
serves the others that subscribe to the same repository. Content-addressed things are asked for once.

Two rules keep the artifacts the same. What was seen serves a pass only within a short window, so a
polled Warehouse is behind by at most that. And it serves no pass of a Warehouse that was refreshed after
the asking began: a webhook says that something happened, so what was seen before it says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from kargo_lab.sources.connections import Connections
from kargo_lab.sources.limits import Cache

if TYPE_CHECKING:
    from kargo_lab.sources.shared import Context

Value = TypeVar("Value")


@attrs.frozen(kw_only=True)
class Question:
    """What was asked: everything on which the answer may depend, credentials and TLS settings included."""

    kind: str  # as in the ledger, where each question that was not asked is a hit
    source: str
    rest: Hashable = attrs.field(default=None, repr=False)


@attrs.frozen
class _Seen:
    value: Any
    number: int  # of the refreshes that had come when the asking began
    began: float


@attrs.define
class _Turn:
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    waiting: int = 0


class Lean:
    """What all Warehouses of a process have seen. Safe to use from any thread."""

    def __init__(self, *, window_seconds: float) -> None:
        self.connections = Connections()
        self._window, self._lock = window_seconds, threading.Lock()
        self._seen: Cache[_Seen] = Cache()
        self._lasting: Cache[Any] = Cache()
        self._turns: dict[Question, _Turn] = {}
        self._refreshes = 0
        self._refreshed: dict[str, int] = {}

    def refreshed(self, warehouses: Iterable[str]) -> None:
        """These are about to be refreshed: to them nothing counts that was asked before now."""
        with self._lock:
            self._refreshes += 1
            self._refreshed.update(dict.fromkeys(warehouses, self._refreshes))

    def seen(self, question: Question, context: Context, ask: Callable[[Any], Value]) -> Value:
        """The answer as it was seen lately, else what `ask` finds; that is given the last answer, or None.

        Whoever asks the same at the same time waits for the one that asks. An error is nobody else's.
        """
        with self._alone(question):
            now = context.clock.monotonic()
            last = self._seen.get(question, now)
            if last is not None and self._serves(last, context.warehouse, now):
                context.ledger.record_hit(question.source, question.kind)
                found: Value = last.value
                return found
            number = self._refreshes
            found = ask(None if last is None else last.value)
            self._seen.put(question, _Seen(found, number, now), now)
            return found

    def lasting(self, question: Question, context: Context, ask: Callable[[], Value]) -> Value:
        """As `seen`, for what follows from the question alone and so is never asked again."""
        with self._alone(question):
            now = context.clock.monotonic()
            found: Value | None = self._lasting.get(question, now)
            if found is None:
                found = ask()
                self._lasting.put(question, found, now)
            return found

    def known(self, question: Question, context: Context) -> Any:
        """What `lasting` or `keep` has, None if nothing."""
        return self._lasting.get(question, context.clock.monotonic())

    def keep(self, question: Question, context: Context, value: object) -> None:
        """Remember what follows from the question alone, or how a host wants to be talked to."""
        self._lasting.put(question, value, context.clock.monotonic())

    def _serves(self, seen: _Seen, warehouse: str, now: float) -> bool:
        return now - seen.began < self._window and seen.number >= self._refreshed.get(warehouse, 0)

    @contextmanager
    def _alone(self, question: Question) -> Iterator[None]:
        with self._lock:
            turn = self._turns.setdefault(question, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[question]

"""One push followed to its Promotions: a correlation ID, and what happened under it, when.

A delivery that refreshes a Warehouse gets an ID; so does a discovery that nobody asked for. The ID passes from
the Warehouse's refresh to its discovery, from there to the Freight, and to every Promotion of that Freight.
In memory and bounded: a trace is for looking at what just happened, the store is for what has to last.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

import attrs

MOST_TRACES = 10_000
RECEIVED, ANSWERED = "received", "answered"
DISCOVERY_STARTED, DISCOVERY_ENDED = "discovery started", "discovery ended"
FREIGHT_CREATED, VERIFIED = "Freight created", "verified"
PROMOTION_CREATED, PROMOTION_STARTED, PROMOTION_ENDED = "Promotion created", "Promotion started", "Promotion ended"


@attrs.frozen(kw_only=True)
class Mark:
    """One moment of a trace. `object` reads like `Freight/name`; `note` is the phase, the cause, the delivery's ID."""

    correlation: str
    time: datetime
    what: str
    object: str = ""
    note: str = ""


class Tracer:
    """Keeps the marks of the newest traces. Safe to use from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._lock, self._numbers = now, threading.Lock(), itertools.count(1)
        self._traces: OrderedDict[str, list[Mark]] = OrderedDict()
        self._waiting: dict[str, str] = {}  # Warehouse -> the ID that asked for its next discovery
        self._discovering: dict[str, str] = {}
        self._freight: OrderedDict[str, str] = OrderedDict()

    def _mark(
        self, correlation: str, what: str, subject: str = "", note: str = "", time: datetime | None = None
    ) -> None:
        mark = Mark(correlation=correlation, time=time or self._now(), what=what, object=subject, note=note)
        with self._lock:
            self._traces.setdefault(correlation, []).append(mark)
            while len(self._traces) > MOST_TRACES:
                self._traces.popitem(last=False)
            while len(self._freight) > MOST_TRACES:
                self._freight.popitem(last=False)

    def _new(self) -> str:
        with self._lock:
            return f"t{next(self._numbers):06d}"

    def begin(self) -> str:
        """A new correlation ID, for a delivery that has come in."""
        return self._new()

    def expect(self, correlation: str, warehouses: Iterable[str]) -> None:
        """The next discovery of these Warehouses belongs to this trace; to be said before they are woken."""
        with self._lock:
            self._waiting.update(dict.fromkeys(warehouses, correlation))

    def received(self, correlation: str, began: datetime, *, receiver: str, delivery: str) -> None:
        """The delivery has refreshed something; it began then."""
        self._mark(correlation, RECEIVED, f"Receiver/{receiver.lstrip('/')}", delivery, began)

    def answered(self, correlation: str) -> None:
        """The delivery's answer is on its way."""
        self._mark(correlation, ANSWERED)

    def discovering(self, warehouse: str, cause: str) -> None:
        """A discovery begins."""
        with self._lock:
            correlation = self._waiting.pop(warehouse, "")
        correlation = correlation or self._new()
        with self._lock:
            self._discovering[warehouse] = correlation
        self._mark(correlation, DISCOVERY_STARTED, f"Warehouse/{warehouse}", cause)

    def discovered(self, warehouse: str) -> None:
        """A discovery ended; Freight of it may follow."""
        with self._lock:
            correlation = self._discovering.get(warehouse)
        if correlation is not None:
            self._mark(correlation, DISCOVERY_ENDED, f"Warehouse/{warehouse}")

    def created(self, warehouse: str, freight: str) -> None:
        """Freight came of the last discovery of a Warehouse."""
        with self._lock:
            correlation = self._discovering.get(warehouse)
            if correlation is not None:
                self._freight[freight] = correlation
        if correlation is not None:
            self._mark(correlation, FREIGHT_CREATED, f"Freight/{freight}")

    def of_freight(self, freight: str, what: str, subject: str, note: str = "") -> None:
        """Something happened with Freight (`namespace/name`) whose trace is known."""
        with self._lock:
            correlation = self._freight.get(freight)
        if correlation is not None:
            self._mark(correlation, what, subject, note)

    def marks(self, correlation: str = "") -> tuple[Mark, ...]:
        """All marks, or those of one trace, in the order of their times."""
        with self._lock:
            found = [mark for known, marks in self._traces.items() if correlation in ("", known) for mark in marks]
        return tuple(sorted(found, key=lambda mark: mark.time))

    def correlation_of(self, freight: str) -> str:
        """The ID under which Freight (`namespace/name`) was made; empty if it is not known."""
        with self._lock:
            return self._freight.get(freight, "")

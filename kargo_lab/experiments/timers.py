"""Every Warehouse's timer in the order in which they run out, and what its last discovery was.

All that `windows` does to a hundred thousand Warehouses a step is done here, by going through arrays from one end to
the other: looking up single Warehouses in between would cost more than everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.experiments.service_line import LONG_AGO
from kargo_lab.experiments.timeline import Ticks

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
FIELDS = ("who", "next", "start", "end", "turn")


@attrs.define(kw_only=True, eq=False)
class Timers:
    """One entry a Warehouse: when its timer runs out; start, end and turn of its last discovery.

    Those that run out at one instant stand in the order of their turns. `place` says where a Warehouse stands, for
    those that `find` was asked about.
    """

    who: Numbers
    next: Ticks
    start: Ticks
    end: Ticks
    turn: Numbers
    place: Numbers

    @classmethod
    def begin(cls, first: Ticks) -> Self:
        """Nobody has discovered yet; their numbers are their turns."""
        order = np.argsort(first, kind="stable")
        never = np.full(len(first), LONG_AGO, dtype=np.int64)
        return cls(who=order, next=first[order], start=never, end=never, turn=order, place=np.zeros_like(order))

    def find(self, *warehouses: Numbers) -> None:
        """Look up where these Warehouses stand."""
        wanted = np.zeros(len(self.who), dtype=np.bool_)
        for each in warehouses:
            wanted[each] = True
        places = np.flatnonzero(wanted[self.who])
        self.place[self.who[places]] = places

    def by_warehouse(self) -> NDArray[np.int64]:
        """Start and end of the last discovery, two rows by the Warehouses' numbers."""
        rows = np.empty((2, len(self.who)), dtype=np.int64)
        rows[:, self.who] = self.start, self.end
        return rows

    def wind(self, due: int, *, stopped: Numbers, **wound: Any) -> None:
        """Take out the first `due` timers and those of the stopped Warehouses, and put in those that were wound.

        Of several that run out at one instant those stand first that had been running.
        """
        places = self.place[stopped]
        gone = places[places >= due] - due
        parts = without(gone, *(getattr(self, name)[due:] for name in FIELDS))
        running = dict(zip(FIELDS, parts, strict=True))
        if bool((wound["next"][1:] >= wound["next"][:-1]).all()):
            before = np.searchsorted(wound["next"], running["next"]) + np.arange(len(running["next"]))
            whole = inserted(before, [wound[name] for name in FIELDS], parts)
            for name, values in zip(FIELDS, whole, strict=True):
                setattr(self, name, values)
            return
        order = np.argsort(np.concatenate((running["next"], wound["next"])), kind="stable")
        for name in FIELDS:
            setattr(self, name, np.concatenate((running[name], wound[name]))[order])


def without(places: Numbers, *columns: Any) -> tuple[Any, ...]:
    """The columns but for what stands at these places."""
    if not len(places):
        return columns
    kept = np.ones(len(columns[0]), dtype=np.bool_)
    kept[places] = False
    return tuple(column[kept] for column in columns)


def inserted(places: Numbers, columns: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """The columns with `more` between, which then stand at these places, which are in order."""
    if not len(places):
        return list(columns)
    old = np.ones(len(columns[0]) + len(places), dtype=np.bool_)
    old[places] = False
    found = []
    for column, new in zip(columns, more, strict=True):
        whole = np.empty(len(old), dtype=np.int64)
        whole[old], whole[places] = column, new
        found.append(whole)
    return found

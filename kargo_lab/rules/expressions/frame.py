"""What one evaluation carries: its variables, the element in hand, and what it has used up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kargo_lab.rules.expressions.dates import Time
from kargo_lab.rules.expressions.limits import Limits
from kargo_lab.rules.expressions.values import Failure, Value

BUILTIN_STEPS = 10
"""What each call of a built-in costs, whatever it does."""

CALL_STEPS = 100
"""What a call of a method or of an environment's function costs: some microseconds, each of ten steps or so."""

TEXT_STEPS = 5
"""What a character costs that is read by itself: the greater part of a microsecond at worst."""


_STRAY = re.compile("[\udc80-\udcff]")


class _Unreachable:
    """The type of UNREACHABLE."""


UNREACHABLE = _Unreachable()
"""Stands for an element of a map: a loop may count those, but not look at one."""


class Frame:
    """Mutable on purpose, and never shared: each evaluation makes its own.

    `item`, `index` and `accumulated` belong to the innermost predicate; loops save and restore them.
    """

    __slots__ = (
        "accumulated",
        "answers",
        "environment",
        "functions",
        "hit",
        "index",
        "item",
        "limits",
        "memory",
        "now",
        "slots",
        "steps",
    )

    def __init__(
        self,
        environment: Mapping[str, Value] | None,
        functions: Mapping[str, Value],
        *,
        slots: int,
        limits: Limits,
        now: Callable[[], Time],
    ) -> None:
        self.environment, self.functions = environment, functions
        self.slots: list[Value] = [None] * slots
        self.limits = limits
        self.now = now
        self.steps, self.memory = limits.steps, 0
        self.item: Value = None
        self.index = 0
        self.accumulated: Value = None
        self.answers, self.hit = 0, False  # what `leftovers` is about

    def walk(self, size: int) -> None:
        """Account for going through `size` elements of a value, which costs more than a step each."""
        self.work(4 * size)

    def work(self, steps: int) -> None:
        """Account for `steps` steps."""
        self.steps -= steps
        if self.steps < 0:
            raise Failure(f"the evaluation takes more than {self.limits.steps} steps")

    def call(self, steps: int, arguments: Iterable[Value]) -> None:
        """Account for a call of `steps` steps that reads its texts, such as the layout of a date, with care."""
        self.work(steps + TEXT_STEPS * sum(len(given) for given in arguments if type(given) is str))

    def allocate(self, size: int) -> None:
        """Account for `size` elements or bytes, as expr-lang does."""
        self.memory += size
        if self.memory >= self.limits.memory:
            raise Failure("memory budget exceeded")

    def read(self, *texts: str) -> None:
        """Account for texts that are turned into bytes or back; stray bytes in them take an error handler each."""
        for text in texts:
            if text.isascii():
                self.work(len(text) // 32)
            else:
                self.work(TEXT_STEPS * len(text) if _STRAY.search(text) else len(text) // 8)

    def made(self, length: int) -> None:
        """Account for a text of `length` characters before it is made."""
        if length > self.limits.text:
            raise Failure(f"the evaluation makes a text longer than {self.limits.text} characters")
        self.work(length // 32)


def element(frame: Frame) -> Value:
    """The element that the innermost loop is at."""
    return reached(frame.item)


def reached(item: Value) -> Value:
    """An element of a loop that is looked at; those of a map cannot be."""
    if item is UNREACHABLE:
        raise Failure("reflect: call of reflect.Value.Index on map Value")
    return item

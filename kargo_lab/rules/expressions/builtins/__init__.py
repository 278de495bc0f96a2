"""The built-in functions that take plain values (A.9); those with a predicate are in `loops`.

Each takes the frame of the evaluation and its arguments. The compiler has seen to their number,
and to their types where those were known; everything else is a `Failure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kargo_lab.rules.expressions.builtins import lists, moments, numbers, text
from kargo_lab.rules.expressions.signatures import OVERLOADS
from kargo_lab.rules.expressions.values import Value

BUILTINS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {**text.FUNCTIONS, **numbers.FUNCTIONS, **lists.FUNCTIONS, **moments.FUNCTIONS}
)


def _arity(name: str) -> tuple[int, int]:
    counts = [len(overload.inputs) for overload in OVERLOADS.get(name, ())]
    return (min(counts), max(counts)) if counts else _COUNTS.get(name, (1, 1))


_MANY = 10_000
_COUNTS = {
    **dict.fromkeys(["max", "min", "mean", "median", "concat"], (1, _MANY)),
    **dict.fromkeys(["get", "take"], (2, 2)),
    "now": (0, 1),
    "date": (1, 4),
}
ARITIES: Mapping[str, tuple[int, int]] = MappingProxyType({name: _arity(name) for name in BUILTINS})
"""How many arguments each takes at least and at most."""

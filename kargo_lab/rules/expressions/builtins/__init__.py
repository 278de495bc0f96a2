"""The built-in functions that take plain values (A.9); those with a predicate are in `loops`.

Each takes the frame of the evaluation and its arguments. The compiler has seen to their number,
and to their types where those were known; everything else is a `Failure`.

It has not where a built-in stands among the arguments of a call that the checker knows nothing about,
as in `request.header(upper("a", "b"))`. What upstream's functions then make of too many or no
arguments was executed: `TAKEN` and `OF_NOTHING` have it.
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
    "date": (1, _MANY),
}
ARITIES: Mapping[str, tuple[int, int]] = MappingProxyType({name: _arity(name) for name in BUILTINS})
"""How many arguments each takes at least and at most."""

TAKEN: Mapping[str, slice] = MappingProxyType(
    {
        **dict.fromkeys(
            ["abs", "ceil", "float", "floor", "int", "len", "lower", "round", "string", "type", "upper"],
            slice(-1, None),
        ),
        **dict.fromkeys(
            [
                "duration",
                "first",
                "fromBase64",
                "fromJSON",
                "join",
                "last",
                "timezone",
                "toBase64",
                "toJSON",
                "trimPrefix",
                "trimSuffix",
            ],
            slice(0, 1),
        ),
        **dict.fromkeys(["get", "hasPrefix", "hasSuffix", "indexOf", "lastIndexOf", "repeat"], slice(0, 2)),
    }
)
"""Of too many arguments, those that count: the last one on upstream's stack, or the first ones."""

OF_NOTHING: Mapping[str, Value] = MappingProxyType(
    {"first": None, "last": None, "max": None, "min": None, "mean": 0.0, "median": 0.0}
)
"""What those give that take even no arguments."""

"""The built-in functions that take plain values (A.9); those with a predicate are in `loops`.

Each takes the frame of the evaluation and its arguments. The compiler has seen to their number,
and to their types where those were known; everything else is a `Failure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kargo_lab.rules.expressions.builtins import collections, moments, numbers, text
from kargo_lab.rules.expressions.values import Value

BUILTINS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {**text.FUNCTIONS, **numbers.FUNCTIONS, **collections.FUNCTIONS, **moments.FUNCTIONS}
)

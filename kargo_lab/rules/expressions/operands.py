"""Which operands an operator takes at compile time, as tables, and what comes out (A.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kargo_lab.rules.expressions.gotypes import DURATION, TIME
from kargo_lab.rules.expressions.natures import (
    ARRAY,
    BOOL,
    BOOL_KIND,
    BYTES,
    FLOAT,
    INT,
    NATURE,
    STRING,
    STRING_KIND,
    UNKNOWN,
    GoType,
    Nature,
    list_of,
)

Test = Callable[[Nature], bool]


def is_bool(nature: Nature) -> bool:
    """True for booleans."""
    return nature.kind == BOOL_KIND


def is_string(nature: Nature) -> bool:
    """True for texts."""
    return nature.kind == STRING_KIND


def _is_number(nature: Nature) -> bool:
    return nature.number


def _is_integer(nature: Nature) -> bool:
    return nature.integer


def _is_time(nature: Nature) -> bool:
    return nature.type is TIME


def _is_duration(nature: Nature) -> bool:
    return nature.type is DURATION


_NUMBERED: tuple[tuple[Test, Test, GoType | None], ...] = ((_is_number, _is_number, None),)
_TEXTS = ((is_string, is_string, BOOL),)
_ORDERED = tuple((test, test, BOOL) for test in (_is_number, is_string, _is_time, _is_duration))
_FLOATING = ((_is_number, _is_number, FLOAT),)

# Operator: known pairs with their result (None: a float if one of them is), which kinds go with an
# unknown operand, and the result then.
_OPERATORS: Mapping[str, tuple[Sequence[tuple[Test, Test, GoType | None]], Sequence[Test], Nature]] = {
    **dict.fromkeys(["and", "&&", "or", "||"], (((is_bool, is_bool, BOOL),), (is_bool,), NATURE[BOOL])),
    **dict.fromkeys(["<", "<=", ">", ">="], (_ORDERED, (_is_number, is_string, _is_time, _is_duration), NATURE[BOOL])),
    **dict.fromkeys(["/", "**", "^"], (_FLOATING, (_is_number,), NATURE[FLOAT])),
    **dict.fromkeys(["contains", "startsWith", "endsWith"], (_TEXTS, (is_string,), NATURE[BOOL])),
    "matches": (
        (*_TEXTS, (lambda nature: nature.type is BYTES, is_string, BOOL)),
        (is_string,),
        NATURE[BOOL],
    ),
    "%": (((_is_integer, _is_integer, INT),), (_is_integer,), NATURE[INT]),
    "..": (((_is_integer, _is_integer, ARRAY),), (_is_integer,), list_of(NATURE[INT])),
    "*": (
        (
            *_NUMBERED,
            (_is_number, _is_duration, DURATION),
            (_is_duration, _is_number, DURATION),
            (_is_duration, _is_duration, DURATION),
        ),
        (_is_number, _is_duration),
        UNKNOWN,
    ),
    "-": (
        (
            *_NUMBERED,
            (_is_time, _is_time, DURATION),
            (_is_time, _is_duration, TIME),
            (_is_duration, _is_duration, DURATION),
        ),
        (_is_number, _is_time, _is_duration),
        UNKNOWN,
    ),
    "+": (
        (
            *_NUMBERED,
            (is_string, is_string, STRING),
            (_is_time, _is_duration, TIME),
            (_is_duration, _is_time, TIME),
            (_is_duration, _is_duration, DURATION),
        ),
        (_is_number, is_string, _is_time, _is_duration),
        UNKNOWN,
    ),
}


def joined(operator: str, left: Nature, right: Nature) -> Nature | None:
    """The nature of two operands joined by an operator of the tables; None if they do not fit."""
    pairs, beside_unknown, otherwise = _OPERATORS[operator]
    for fits_left, fits_right, result in pairs:
        if fits_left(left) and fits_right(right):
            if operator == "..":
                return otherwise
            return Nature(result) if result else _promoted(left, right)
    known = right if left.unknown else left
    if (left.unknown or right.unknown) and (known.unknown or any(test(known) for test in beside_unknown)):
        return otherwise
    return None


def _promoted(left: Nature, right: Nature) -> Nature:
    return NATURE[FLOAT] if FLOAT in {left.type, right.type} else NATURE[INT]


def either(left: Nature, right: Nature) -> Nature:
    """The nature of `left ?? right`."""
    if left.is_nil or right.is_nil:
        return right if left.is_nil else left
    return left if right.assignable(left) else UNKNOWN


def branches(then: Nature, other: Nature) -> Nature:
    """The nature of a conditional."""
    if then.is_nil or other.is_nil:
        return other if then.is_nil else then
    if not then.assignable(other):
        return UNKNOWN
    if then.array and other.array:
        one, two = then.element(), other.element()
        if not (one.assignable(two) and two.assignable(one)):
            return NATURE[ARRAY]
    return then

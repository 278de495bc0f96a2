"""What the compiler knows about the built-ins without a predicate: arguments and results.

Two sorts, as upstream has them: overloads, of which the first that fits counts, and rules for
those that take several kinds. A rule gets the natures of the arguments and raises ValueError
with what is wrong and, if it is not the call as a whole, which argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from kargo_lab.rules.expressions.gotypes import DURATION, LOCATION, TIME
from kargo_lab.rules.expressions.natures import (
    ANY,
    ANY_MAP,
    ARRAY,
    ARRAY_KIND,
    BOOL,
    FLOAT,
    FLOAT_KIND,
    FLOATS,
    INT,
    INT_KIND,
    INTERFACE,
    INTS,
    MAP_KIND,
    NATURE,
    SLICE,
    STRING,
    STRING_KIND,
    STRINGS,
    UNKNOWN,
    GoType,
    Nature,
    function,
)

Rule = Callable[[str, Sequence[Nature]], Nature]

_one = function(STRING, result=STRING)
_two = function(STRING, STRING, result=STRING)
_splits = (function(STRING, STRING, result=STRINGS), function(STRING, STRING, INT, result=STRINGS))
_orders = (ARRAY, INTS, FLOATS, STRINGS)

OVERLOADS: Mapping[str, tuple[GoType, ...]] = MappingProxyType(
    {
        **dict.fromkeys(["type", "string", "toJSON"], (function(ANY, result=STRING),)),
        **dict.fromkeys(["trim", "trimPrefix", "trimSuffix"], (_one, _two)),
        **dict.fromkeys(["upper", "lower", "toBase64", "fromBase64"], (_one,)),
        **dict.fromkeys(["split", "splitAfter"], _splits),
        **dict.fromkeys(["indexOf", "lastIndexOf"], (function(STRING, STRING, result=INT),)),
        **dict.fromkeys(["hasPrefix", "hasSuffix"], (function(STRING, STRING, result=BOOL),)),
        **dict.fromkeys(
            ["bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"], (function(INT, INT, result=INT),)
        ),
        "bitnot": (function(INT, result=INT),),
        "replace": (
            function(STRING, STRING, STRING, INT, result=STRING),
            function(STRING, STRING, STRING, result=STRING),
        ),
        "repeat": (function(STRING, INT, result=STRING),),
        "join": tuple(
            function(list_type, *glue, result=STRING) for list_type in (ARRAY, STRINGS) for glue in ((STRING,), ())
        ),
        "fromJSON": (function(STRING, result=ANY),),
        "duration": (function(STRING, result=DURATION, results=2),),
        "timezone": (function(STRING, result=LOCATION, results=2),),
        "sort": tuple(function(given, *order, result=ARRAY) for order in ((STRING,), ()) for given in _orders),
    }
)

_NUMERIC = frozenset({FLOAT_KIND, INT_KIND, "int64", "uint8", INTERFACE})
_LISTED = frozenset({INTERFACE, SLICE, ARRAY_KIND})
_SIZED = _LISTED | {MAP_KIND, STRING_KIND}
_SIGNED = frozenset({INTERFACE, INT_KIND, "int64"})


def kind_of(nature: Nature) -> str:
    """The kind that a rule looks at: unknown counts as any, nil as none, pointers as their target."""
    if nature.unknown:
        return INTERFACE
    return nature.pointed().kind


def _counted(arguments: Sequence[Nature], wanted: int) -> None:
    if len(arguments) != wanted:
        raise ValueError(f"invalid number of arguments (expected {wanted}, got {len(arguments)})")


def _taking(kinds: frozenset[str], result: GoType | None) -> Rule:
    """One argument of one of `kinds`. Without a `result` the argument's own nature is it."""

    def rule(name: str, arguments: Sequence[Nature]) -> Nature:
        _counted(arguments, 1)
        if kind_of(arguments[0]) not in kinds:
            raise ValueError(f"invalid argument for {name} (type {arguments[0]})")
        return Nature(result) if result else Nature(arguments[0].type or ANY)

    return rule


def _end(name: str, arguments: Sequence[Nature]) -> Nature:
    _counted(arguments, 1)
    if kind_of(arguments[0]) not in _LISTED:
        raise ValueError(f"cannot get {name} element from {arguments[0]}")
    given = arguments[0].type
    return Nature(given.element or ANY) if given else NATURE[ANY]


def _take(name: str, arguments: Sequence[Nature]) -> Nature:
    _counted(arguments, 2)
    for nature, kinds in zip(arguments, (_LISTED, _SIGNED), strict=True):
        if kind_of(nature) not in kinds:
            raise ValueError(f"invalid argument for {name} (type {nature})")
    return Nature(arguments[0].type or ANY)


def _concat(name: str, arguments: Sequence[Nature]) -> Nature:
    if not arguments:
        raise ValueError("invalid number of arguments (expected at least 1, got 0)")
    for nature in arguments:
        if kind_of(nature) not in _LISTED:
            raise ValueError(f"cannot {name} {nature}")
    return NATURE[ARRAY]


def _aggregate(name: str, arguments: Sequence[Nature]) -> Nature:
    """The first list ends the check: what stands behind it shows at run time only."""
    if not arguments:
        raise ValueError(f"not enough arguments to call {name}")
    for nature in arguments:
        kind = kind_of(nature)
        if kind in _LISTED:
            return NATURE[ANY]
        if kind not in _NUMERIC:
            raise ValueError(f"invalid argument for {name} (type {nature})")
    return Nature(arguments[0].type)


def _now(name: str, arguments: Sequence[Nature]) -> Nature:
    if not arguments or (len(arguments) == 1 and arguments[0].type is LOCATION):
        return Nature(TIME)
    raise ValueError(f"invalid number of arguments for {name} (expected 0, got {len(arguments)})")


def _date(name: str, arguments: Sequence[Nature]) -> Nature:
    texts = len(arguments) - (1 if arguments and arguments[0].type is LOCATION else 0)
    if not arguments or texts > 3:
        raise ValueError(f"invalid number of arguments for {name} (expected 1 to 3, got {len(arguments)})")
    return Nature(TIME)


def _get(name: str, arguments: Sequence[Nature]) -> Nature:
    _counted(arguments, 2)
    owner, key = arguments[0], arguments[1].pointed()
    if owner.unknown:
        return UNKNOWN
    if owner.array:
        if not (key.integer or key.unknown):
            raise ValueError(f"non-integer slice index {key}", 1)
    elif owner.type and owner.type.key:
        if not (key.unknown or key.assignable(Nature(owner.type.key))):
            raise ValueError(f"cannot use {key} to get an element from {owner}", 1)
    else:
        raise ValueError(f"type {owner} does not support {name}", 0)
    return owner.element()


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(["ceil", "floor", "round"], _taking(_NUMERIC, FLOAT)),
        **dict.fromkeys(["first", "last"], _end),
        **dict.fromkeys(["max", "min", "mean", "median"], _aggregate),
        **dict.fromkeys(["keys", "values", "toPairs"], _taking(frozenset({INTERFACE, MAP_KIND}), ARRAY)),
        **dict.fromkeys(["reverse", "uniq", "flatten"], _taking(_LISTED, ARRAY)),
        "len": _taking(_SIZED, INT),
        "abs": _taking(_NUMERIC, None),
        "int": _taking(_NUMERIC | {STRING_KIND}, INT),
        "float": _taking(_NUMERIC | {STRING_KIND}, FLOAT),
        "fromPairs": _taking(_LISTED, ANY_MAP),
        "take": _take,
        "concat": _concat,
        "now": _now,
        "date": _date,
        "get": _get,
    }
)

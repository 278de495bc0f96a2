"""The built-ins on lists and maps, and the two that look at any value."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kargo_lab.rules.expressions import loops, moments, operators
from kargo_lab.rules.expressions.dates import Duration, Location, Month, Time, Weekday
from kargo_lab.rules.expressions.frame import Frame
from kargo_lab.rules.expressions.values import (
    INTEGERS,
    LISTS,
    MAPS,
    AnyMap,
    Byte,
    Failure,
    Function,
    NilList,
    NilStrings,
    Pairs,
    Strings,
    Struct,
    Value,
    type_name,
)

_SIMPLE = {bool: "bool", Byte: "uint", float: "float", str: "string", type(None): "nil", Function: "func"}
_NAMED = {
    Time: "time.Time",
    Duration: "time.Duration",
    Month: "time.Month",
    Weekday: "time.Weekday",
    Location: "time.Location",
}


def _type(_: Frame, value: Value) -> str:
    kind = type(value)
    if kind is Struct:
        return str(value.go)
    if kind in LISTS:
        return "array"
    if kind in MAPS:
        return "map"
    return _SIMPLE.get(kind) or _NAMED.get(kind) or ("int" if kind in INTEGERS else "unknown")


def _len(_: Frame, value: Value) -> int:
    if type(value) is str or type(value) in LISTS or type(value) in MAPS:
        return len(value)
    raise Failure(f"invalid argument for len (type {type_name(value)})")


def _end(index: int) -> Callable[[Frame, Value], Value]:
    """`first` and `last`: whatever goes wrong is nil."""

    def apply(frame: Frame, value: Value) -> Value:
        if type(value) is str:
            frame.read(value)
        try:
            return operators.fetch(value, index)
        except Failure:
            return None

    return apply


def _get(frame: Frame, owner: Value, key: Value) -> Value:
    kind = type(owner)
    if owner is None:
        return None
    if kind is str:
        frame.read(owner)
    if kind is str or kind in LISTS:
        return operators.element(owner, key, safe=True)
    if kind is AnyMap:
        return owner.get(key) if key in owner else None
    if kind in MAPS:
        return owner.get(operators.text_key(key))
    if kind in {Struct, Time, Location} and type(key) is not str:
        raise Failure(f"interface conversion: interface {{}} is {type_name(key)}, not string")
    if kind is Struct:
        return owner.methods.get(key, owner.fields.get(key))
    return moments.method(owner, key) if type(key) is str else None


def _listed(verb: str, value: Value) -> Value:
    if type(value) not in LISTS:
        raise Failure(f"cannot {verb} {type_name(value)}")
    return loops.elements(value)


def _take(frame: Frame, values: Value, count: Value) -> Value:
    kind = type(count)
    number: Value = None
    if kind in INTEGERS and kind is not Byte:
        number = count
    elif kind in {Month, Weekday}:
        number = count.number
    elif kind is Duration:
        number = count.nanoseconds
    if type(values) not in LISTS or type(values) is tuple or number is None or number < 0:
        raise Failure(f"cannot take {type_name(count)} elements from {type_name(values)}")
    operators.account(values, frame)
    part = values[: min(number, len(values))]
    return type(values)(part) if isinstance(values, list) else part


def _entries(verb: str, value: Value) -> list[tuple[Value, Value]]:
    if type(value) is AnyMap:
        return list(value)
    if type(value) in MAPS:
        return list(value.items())
    raise Failure(f"cannot {verb} {type_name(value)}")


def _keys(frame: Frame, value: Value) -> Value:
    entries = _entries("get keys from", value)
    frame.work(len(entries))
    return [key for key, _ in entries]


def _values(frame: Frame, value: Value) -> Value:
    entries = _entries("get values from", value)
    frame.work(len(entries))
    return [found for _, found in entries]


def _to_pairs(frame: Frame, value: Value) -> Value:
    entries = _entries("transform to pairs", value)
    frame.work(len(entries))
    return Pairs(entries)


def _from_pairs(frame: Frame, value: Value) -> Value:
    made = AnyMap()
    pairs = _listed("transform from pairs", value)
    frame.walk(len(pairs))
    for pair in pairs:
        parts = _listed("use as pair", pair)
        if len(parts) != 2:
            raise Failure(f"invalid pair length {len(parts)}")
        made.put(parts[0], parts[1])
    return made


def _reverse(frame: Frame, value: Value) -> Value:
    values = _listed("reverse", value)
    frame.allocate(len(values))
    return list(reversed(values))


def _uniq(frame: Frame, value: Value) -> Value:
    kept: list[Value] = []
    for item in _listed("uniq", value):
        frame.walk(len(kept) + 1)
        if not any(operators.equal(item, known, frame) for known in kept):
            kept.append(item)
    return kept


def _concat(frame: Frame, *arguments: Value) -> Value:
    lists = [_listed("concat", value) for value in arguments]
    frame.allocate(sum(map(len, lists)))
    return [item for values in lists for item in values] or NilList()


def _flatten(frame: Frame, value: Value) -> Value:
    made: list[Value] = []
    waiting = [iter(_listed("flatten", value))]
    while waiting:
        for item in waiting[-1]:
            frame.walk(1)
            if type(item) in LISTS:
                if len(waiting) > _DEEPEST:
                    raise Failure("recursion depth exceeded")
                waiting.append(iter(loops.elements(item)))
                break
            made.append(item)
        else:
            waiting.pop()
    frame.allocate(len(made))
    return made


_DEEPEST = 10_000


_SORTABLE = frozenset({list, range, Strings, NilList, NilStrings})


def _sort(frame: Frame, value: Value, order: Value = "asc") -> Value:
    if type(order) is not str:
        raise Failure(f"sort order argument must be a string (got {type_name(order)})")
    sortable = type(value) in _SORTABLE
    values = list(value) if sortable else []
    largest_first = loops.descending(order, known=f"invalid order {order}, expected asc or desc")
    places = loops.ordered(values, frame, largest_first=largest_first)
    frame.allocate(len(values))
    return [values[place] for place in places] if sortable else NilList()


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "type": _type,
    "len": _len,
    "first": _end(0),
    "last": _end(-1),
    "get": _get,
    "take": _take,
    "keys": _keys,
    "values": _values,
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": _reverse,
    "uniq": _uniq,
    "concat": _concat,
    "flatten": _flatten,
    "sort": _sort,
}

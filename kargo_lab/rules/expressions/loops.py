"""The built-ins that evaluate a predicate for each element (A.8).

One function per built-in, given the elements and the predicate; `build` does what all share:
the collection, the scope of `#`, `#index` and `#acc`, and the work that is accounted for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kargo_lab.rules.expressions import leftovers, nodes, operators
from kargo_lab.rules.expressions.frame import UNREACHABLE, Frame, element, reached
from kargo_lab.rules.expressions.operators import add, boolean
from kargo_lab.rules.expressions.values import (
    LISTS,
    MAPS,
    AnyMap,
    Byte,
    Failure,
    Value,
    encoded,
    type_name,
)

Run = Callable[[Frame], Value]

GROUP_STEPS = 12
"""What an element costs that finds its group, and the groups together."""


class Loop:
    """A built-in with its parts built: what one evaluation of it needs to know."""

    __slots__ = (
        "collection",
        "leaves",
        "mapped",
        "name",
        "position",
        "predicate",
        "third",
        "threshold",
        "throws",
        "weight",
    )

    def __init__(self, node: nodes.Builtin, build: Callable[[nodes.Node], Run]) -> None:
        self.name, self.position = node.name, node.position
        self.collection = build(node.arguments[0])
        self.predicate = build(node.arguments[1]) if len(node.arguments) > 1 else element
        self.third = build(node.arguments[2]) if len(node.arguments) > 2 else None
        self.mapped = build(node.mapped) if node.mapped else element
        self.threshold, self.throws = node.threshold, node.throws
        self.weight = _weight(node)
        self.leaves = len(node.arguments) > 1 and leftovers.leaves(node.arguments[1])


def _weight(node: nodes.Node) -> int:
    """Nodes that are evaluated for one element, the cost of a step."""
    found, waiting = 0, [node]
    while waiting:
        one = waiting.pop()
        found += 1
        for attribute in one.children:
            value = getattr(one, attribute)
            waiting.extend(value if isinstance(value, list) else [value] if value is not None else [])
    return found


def elements(value: Value) -> Any:
    """What a loop runs over; Go's reflection also takes texts, byte by byte, and only counts maps."""
    kind = type(value)
    if kind is bytes:
        return [Byte(one) for one in value]
    if kind in LISTS:
        return value
    if kind is str:
        return [Byte(one) for one in encoded(value)]
    if kind in MAPS:
        return [UNREACHABLE] * len(value)
    raise Failure(f"reflect: call of reflect.Value.Len on {type_name(value)} Value")


def build(node: nodes.Builtin, builder: Callable[[nodes.Node], Run]) -> Run:
    """The closure of a built-in with a predicate."""
    loop, work = Loop(node, builder), LOOPS[node.name]
    position, weight = node.position, loop.weight

    def run(frame: Frame) -> Value:
        collection = loop.collection(frame)
        outer = frame.item, frame.index, frame.accumulated
        try:
            if type(collection) is str or type(collection) in MAPS:  # of which a list is made
                frame.walk(len(collection))
            found = elements(collection)
            frame.work(weight)
            return work(loop, frame, found)
        except Failure as failure:
            raise failure.at(position) from None
        finally:
            frame.item, frame.index, frame.accumulated = outer

    return run


def _walk(loop: Loop, frame: Frame, found: Any) -> Iterator[Value]:
    """Each value of the predicate, with the element set in the frame."""
    predicate, weight = loop.predicate, loop.weight
    for index, item in enumerate(found):
        frame.item, frame.index = item, index
        frame.steps -= weight
        if frame.steps < 0:
            frame.work(0)
        yield predicate(frame)


def _backwards(loop: Loop, frame: Frame, found: Any) -> Iterator[Value]:
    predicate, weight = loop.predicate, loop.weight
    for index in range(len(found) - 1, -1, -1):
        frame.item, frame.index = found[index], index
        frame.work(weight)
        value = predicate(frame)
        frame.answers, frame.hit = len(found) - index, True
        yield value
    frame.answers, frame.hit = len(found), False


def _all(loop: Loop, frame: Frame, found: Any) -> Value:
    return all(boolean(value) for value in _walk(loop, frame, found))


def _any(loop: Loop, frame: Frame, found: Any) -> Value:
    return any(boolean(value) for value in _walk(loop, frame, found))


def _none(loop: Loop, frame: Frame, found: Any) -> Value:
    return not any(boolean(value) for value in _walk(loop, frame, found))


def _one(loop: Loop, frame: Frame, found: Any) -> Value:
    return sum(boolean(value) for value in _walk(loop, frame, found)) == 1


def _filter(loop: Loop, frame: Frame, found: Any) -> Value:
    mapped = loop.mapped
    kept = [mapped(frame) for value in _walk(loop, frame, found) if boolean(value)]
    frame.allocate(len(kept))
    return kept


def _map(loop: Loop, frame: Frame, found: Any) -> Value:
    made = list(_stacked(loop, frame, found) if loop.leaves else _walk(loop, frame, found))
    frame.allocate(len(made))
    return made[len(made) - len(found) :]


def _stacked(loop: Loop, frame: Frame, found: Any) -> Iterator[Value]:
    """What the predicates leave on upstream's stack, of which the top is taken for the result."""
    for value in _walk(loop, frame, found):
        yield from leftovers.left_behind(frame)
        yield value


def _count(loop: Loop, frame: Frame, found: Any) -> Value:
    count = 0
    for value in _walk(loop, frame, found):
        if boolean(value):
            count += 1
            if count == loop.threshold:
                break
    return count


def _sum(loop: Loop, frame: Frame, found: Any) -> Value:
    total: Value = 0
    for value in _walk(loop, frame, found):
        total = add(value, total, frame)
    return total


def _hit(values: Iterator[Value], loop: Loop, frame: Frame) -> Value:
    for value in values:
        if boolean(value):
            return loop.mapped(frame)
    if loop.throws:
        raise Failure("reflect: slice index out of range")
    return None


def _find(loop: Loop, frame: Frame, found: Any) -> Value:
    return _hit(_walk(loop, frame, found), loop, frame)


def _find_last(loop: Loop, frame: Frame, found: Any) -> Value:
    return _hit(_backwards(loop, frame, found), loop, frame)


def _find_index(loop: Loop, frame: Frame, found: Any) -> Value:
    return next((frame.index for value in _walk(loop, frame, found) if boolean(value)), None)


def _find_last_index(loop: Loop, frame: Frame, found: Any) -> Value:
    return next((frame.index for value in _backwards(loop, frame, found) if boolean(value)), None)


def _group_by(loop: Loop, frame: Frame, found: Any) -> Value:
    groups = AnyMap(groups=True)
    frame.work(GROUP_STEPS)
    for key in _walk(loop, frame, found):
        frame.work(GROUP_STEPS)
        if key not in groups:
            groups.put(key, [])
        groups.get(key).append(element(frame))
    return groups


def descending(order: Value, *, known: str) -> bool:
    """Whether an order word asks for the largest first; anything but the two words fails."""
    if order not in ("asc", "desc"):
        raise Failure(known)
    return bool(order == "desc")


def ordered(keys: list[Value], frame: Frame, *, largest_first: bool) -> list[int]:
    """The positions of `keys` in order. Stable: Go promises less beyond twelve elements."""

    def compare(one: int, two: int) -> int:
        left, right = (two, one) if largest_first else (one, two)
        return -int(operators.less(keys[left], keys[right], frame))  # sorting asks for nothing but what comes before

    frame.work(2 * len(keys) * len(keys).bit_length())
    return sorted(range(len(keys)), key=functools.cmp_to_key(compare))


def _sort_by(loop: Loop, frame: Frame, found: Any) -> Value:
    order = loop.third(frame) if loop.third else "asc"
    largest_first = descending(order, known="unknown order, use asc or desc")
    keys = list(_walk(loop, frame, found))
    places = ordered(keys, frame, largest_first=largest_first)
    frame.allocate(len(keys))
    return [reached(found[place]) for place in places]


def _reduce(loop: Loop, frame: Frame, found: Any) -> Value:
    start = 0
    if loop.third is not None:
        frame.accumulated = loop.third(frame)
    elif not len(found):
        raise Failure("reduce of empty array with no initial value")
    else:
        frame.accumulated, start = reached(found[0]), 1
    predicate, weight = loop.predicate, loop.weight
    for index in range(start, len(found)):
        frame.item, frame.index = found[index], index
        frame.work(weight)
        frame.accumulated = predicate(frame)
    return frame.accumulated


LOOPS: Mapping[str, Callable[[Loop, Frame, Any], Value]] = {
    "all": _all,
    "any": _any,
    "none": _none,
    "one": _one,
    "filter": _filter,
    "map": _map,
    "count": _count,
    "sum": _sum,
    "find": _find,
    "findLast": _find_last,
    "findIndex": _find_index,
    "findLastIndex": _find_last_index,
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}

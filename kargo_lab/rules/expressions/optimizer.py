"""The rewriting that expr-lang does before it runs, as far as an expression can tell (A.12).

It decides which errors show, at compile time or at all, where they point, and what costs memory. The
passes and their order are upstream's; each says what it turns into what. Upstream gives a place to the
node that it puts in, not to what it makes below it: errors about that point at the first character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kargo_lab.errors import ExpressionError
from kargo_lab.rules.expressions import nodes
from kargo_lab.rules.expressions.natures import BOOL, FLOAT, INT, INT_KIND, NATURE, STRING
from kargo_lab.rules.expressions.operators import quotient, raised, remainder
from kargo_lab.rules.expressions.values import wrapped

Rewrite = Callable[[nodes.Node], nodes.Node | None]


class _Root(nodes.Node):
    """What holds the tree while it is rewritten."""

    __slots__ = ("tree",)
    children = ("tree",)

    def __init__(self, tree: nodes.Node) -> None:
        super().__init__(0)
        self.tree = tree


def optimize(tree: nodes.Node, text: str, version: tuple[int, ...]) -> nodes.Node:
    """The tree that is run instead of `tree`; a constant division by zero is an ExpressionError."""
    root = _Root(tree)

    def folded(node: nodes.Node) -> nodes.Node | None:
        try:
            return _fold(node)
        except ZeroDivisionError:
            raise ExpressionError("integer divide by zero", text, node.position) from None

    _rewrite(root, _membership)
    while _rewrite(root, folded):
        pass  # each rewriting leaves fewer nodes, so this ends
    late: list[Rewrite] = [_in_range, _filter_map, _filter_length, _filter_end, _combined]
    if version >= (1, 17, 8):
        late.append(_sum_range)
    late += [_sum_list, _sum_map]
    if version >= (1, 17, 8):
        late += [_count_any, _count_threshold]
    for rewrite in late:
        _rewrite(root, rewrite)
    return root.tree


Place = tuple[nodes.Node, str, int]


def _places(root: nodes.Node) -> list[Place]:
    """Where every node hangs, children before parents; no recursion, so that depth does not matter."""
    found: list[Place] = []
    waiting: list[Place] = [(root, "tree", -1)]
    while waiting:
        place = waiting.pop()
        found.append(place)
        waiting.extend(_below(_at(place)))
    found.reverse()
    return found


def _below(node: nodes.Node) -> Iterator[Place]:
    for attribute in node.children:
        value = getattr(node, attribute)
        if isinstance(value, list):
            for index in range(len(value)):
                yield node, attribute, index
        elif value is not None:
            yield node, attribute, -1


def _at(place: Place) -> nodes.Node:
    holder, attribute, index = place
    value = getattr(holder, attribute)
    found: nodes.Node = value[index] if index >= 0 else value
    return found


def _rewrite(root: nodes.Node, rewrite: Rewrite) -> bool:
    """Offer each node, children first; put what comes back in its place, with its position."""
    changed = False
    for place in _places(root):
        node = _at(place)
        new = rewrite(node)
        if new is None:
            continue
        changed = True
        new.position = node.position
        holder, attribute, index = place
        if index >= 0:
            getattr(holder, attribute)[index] = new
        else:
            setattr(holder, attribute, new)
    return changed


def _membership(node: nodes.Node) -> nodes.Node | None:
    """`x in ["a", "b"]`, and `x in [1, 2]` with a known int x, look into a table."""
    if not (isinstance(node, nodes.Binary) and node.operator == "in" and isinstance(node.right, nodes.List)):
        return None
    values: list[Any] = [_constant(item) for item in node.right.items]
    wanted = int if node.left.nature.kind == INT_KIND and all(type(value) is int for value in values) else str
    if not values or any(type(value) is not wanted for value in values):
        return None
    return _copy(node, nodes.Binary(0, "in", node.left, nodes.Table(node.right.position, frozenset(values))))


def _copy(node: nodes.Node, new: nodes.Node) -> nodes.Node:
    """`new` with what is known about `node`."""
    new.nature = node.nature
    return new


_NATURES = {bool: NATURE[BOOL], int: NATURE[INT], float: NATURE[FLOAT], str: NATURE[STRING]}


def _literal(value: Any) -> nodes.Literal:
    node = nodes.Literal(0, value)
    node.nature = _NATURES[type(value)]
    return node


_NO_VALUE = object()


def _constant(node: nodes.Node) -> Any:
    """The value of a number, boolean or text literal."""
    if isinstance(node, nodes.Literal) and type(node.value) in _NATURES:
        return node.value
    return _NO_VALUE


def _fold(node: nodes.Node) -> nodes.Node | None:
    """Constant arithmetic, constant lists, known `and`, `or`, `not`, and a filter of a filter."""
    if isinstance(node, nodes.Unary):
        return _fold_unary(node)
    if isinstance(node, nodes.Binary):
        return _fold_logic(node) if node.operator in _LOGIC else _fold_arithmetic(node)
    if isinstance(node, nodes.List) and node.items:
        values = [_constant(item) for item in node.items]
        if _NO_VALUE in values:
            return None
        new = nodes.Literal(0, values)
        new.nature = node.nature
        return new
    if isinstance(node, nodes.Builtin) and node.name == "filter" and isinstance(node.arguments[0], nodes.Builtin):
        inner = node.arguments[0]
        if inner.name == "filter":
            both = nodes.Binary(0, "&&", _body(inner.arguments[1]), _body(node.arguments[1]))
            predicate = nodes.Predicate(0, both)
            return _copy(node, nodes.Builtin(0, "filter", [inner.arguments[0], predicate]))
    return None


def _body(node: nodes.Node) -> nodes.Node:
    return node.body if isinstance(node, nodes.Predicate) else node


def _fold_unary(node: nodes.Unary) -> nodes.Node | None:
    value = _constant(node.operand)
    if type(value) is bool and node.operator in {"not", "!"}:
        return _literal(not value)
    if type(value) in {int, float} and node.operator in {"-", "+"}:
        if node.operator == "+":
            return _literal(value)
        return _literal(wrapped(-value) if type(value) is int else -value)
    return None


_LOGIC = {"and": False, "&&": False, "or": True, "||": True}


def _fold_logic(node: nodes.Binary) -> nodes.Node | None:
    """A constant that decides makes the whole constant; one that does not leaves the other side."""
    deciding = _LOGIC[node.operator]
    left, right = _constant(node.left), _constant(node.right)
    if left is (not deciding):
        return _copy(node, node.right)
    if right is (not deciding):
        return _copy(node, node.left)
    if left is deciding or right is deciding:
        return _literal(deciding)
    return None


_FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: quotient(float(a), float(b)),
    "**": lambda a, b: raised(float(a), float(b)),
    "^": lambda a, b: raised(float(a), float(b)),
}


def _fold_arithmetic(node: nodes.Binary) -> nodes.Node | None:
    left, right, operator = _constant(node.left), _constant(node.right), node.operator
    kinds = {type(left), type(right)}
    if operator == "==":
        return _literal(left == right) if len(kinds) == 1 and kinds <= {int, str, bool} else None
    if operator == "%" and kinds == {int}:
        if right == 0:
            raise ZeroDivisionError
        return _literal(remainder(left, right))
    if operator == "+" and kinds == {str}:
        return _literal(left + right)
    if operator in _FOLDS and kinds <= {int, float}:
        if kinds == {int, float}:
            left, right = float(left), float(right)
        value = _FOLDS[operator](left, right)
        return _literal(wrapped(value) if type(value) is int else value)
    return None


def _range_of(node: nodes.Node) -> tuple[nodes.Node, nodes.Node] | None:
    """The ends of a range of two integer literals."""
    if isinstance(node, nodes.Binary) and node.operator == "..":
        start, end = node.left, node.right
        if type(_constant(start)) is int and type(_constant(end)) is int:
            return start, end
    return None


def _in_range(node: nodes.Node) -> nodes.Node | None:
    """`x in 1..3` with a known int x becomes two comparisons, so no list is made."""
    if not (isinstance(node, nodes.Binary) and node.operator == "in" and node.left.nature.kind == INT_KIND):
        return None
    ends = _range_of(node.right)
    if ends is None:
        return None
    low = nodes.Binary(0, ">=", node.left, ends[0])
    high = nodes.Binary(0, "<=", node.left, ends[1])
    return _copy(node, nodes.Binary(0, "and", low, high))


def _call(node: nodes.Node, name: str, arguments: int) -> nodes.Builtin | None:
    if isinstance(node, nodes.Builtin) and node.name == name and len(node.arguments) == arguments:
        return node
    return None


def _filter_map(node: nodes.Node) -> nodes.Node | None:
    """`map(filter(xs, p), q)` is one loop, unless q looks at `#index`."""
    outer = _call(node, "map", 2)
    inner = _call(outer.arguments[0], "filter", 2) if outer else None
    if outer is None or inner is None or inner.mapped is not None or _uses_index(outer.arguments[1]):
        return None
    new = nodes.Builtin(0, "filter", inner.arguments)
    new.mapped = _body(outer.arguments[1])
    return _copy(node, new)


def _uses_index(node: nodes.Node) -> bool:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, nodes.Pointer) and one.name == "index":
            return True
        waiting.extend(_at(place) for place in _below(one))
    return False


def _filter_length(node: nodes.Node) -> nodes.Node | None:
    """`len(filter(xs, p))` counts."""
    outer = _call(node, "len", 1)
    inner = _call(outer.arguments[0], "filter", 2) if outer else None
    return _copy(node, nodes.Builtin(0, "count", inner.arguments)) if inner else None


_ENDS = {0: "find", -1: "findLast"}


def _filter_end(node: nodes.Node) -> nodes.Node | None:
    """`filter(xs, p)[0]`, `[-1]`, `first(...)` and `last(...)` stop at the hit."""
    if isinstance(node, nodes.Member) and not node.optional:
        inner, throws = _call(node.owner, "filter", 2), True
        name = _ENDS.get(_constant(node.property))  # the checker lets no other number than an integer index a list
    else:
        outer = _call(node, "first", 1) or _call(node, "last", 1)
        inner = _call(outer.arguments[0], "filter", 2) if outer else None
        name, throws = "find" if outer and outer.name == "first" else "findLast", False
    if inner is None or name is None:
        return None
    new = nodes.Builtin(0, name, inner.arguments)
    new.throws, new.mapped = throws, inner.mapped
    return _copy(node, new)


_COMBINED = {
    ("all", "and"): "and",
    ("all", "&&"): "&&",
    ("any", "or"): "or",
    ("any", "||"): "||",
    ("none", "and"): "or",
    ("none", "&&"): "||",
}


def _combined(node: nodes.Node) -> nodes.Node | None:
    """Two `all`, `any` or `none` over the same list are one loop."""
    if not isinstance(node, nodes.Binary):
        return None
    left, right = node.left, node.right
    if not (isinstance(left, nodes.Builtin) and isinstance(right, nodes.Builtin) and left.name == right.name):
        return None
    operator = _COMBINED.get((left.name, node.operator))
    if operator is None or not _same(left.arguments[0], right.arguments[0]):
        return None
    both = nodes.Binary(0, operator, _body(left.arguments[1]), _body(right.arguments[1]))
    inside = _combined(both) or both
    predicate = nodes.Predicate(0, inside)
    return _copy(node, nodes.Builtin(0, left.name, [left.arguments[0], predicate]))


def _same(one: nodes.Node, two: nodes.Node) -> bool:
    """True if two trees read the same."""
    waiting = [(one, two)]
    while waiting:
        left, right = waiting.pop()
        if type(left) is not type(right) or _own(left) != _own(right):
            return False
        below = [_at(place) for place in _below(left)], [_at(place) for place in _below(right)]
        if len(below[0]) != len(below[1]):
            return False
        waiting.extend(zip(*below, strict=True))
    return True


def _own(node: nodes.Node) -> list[Any]:
    """What a node says beside its children; the text of a literal tells its type."""
    found: list[Any] = []
    for name in ("name", "operator", "value", "optional", "members"):
        if name in node.children:
            continue
        value = getattr(node, name, None)
        found.append(repr(value))
    return found


def _sum_range(node: nodes.Node) -> nodes.Node | None:
    """Sums over a literal range, plain or with an easy predicate, are computed at once."""
    if not isinstance(node, nodes.Builtin) or node.name not in {"sum", "reduce"}:
        return None
    ends = _range_of(node.arguments[0])
    if ends is None:
        return None
    first, last = map(_constant, ends)
    if last < first:
        return None
    count = wrapped(last - first + 1)
    product = wrapped(count * wrapped(first + last))
    total = product // 2  # an even number: if one of its factors is odd, the other is not
    body = _body(node.arguments[1]) if len(node.arguments) > 1 else None
    value: int | None
    if node.name == "reduce":
        value = _reduced(node, body, total)
    else:
        value = total if body is None else _sum_of(body, total, count)
    return None if value is None else _literal(wrapped(value))


def _reduced(node: nodes.Builtin, body: nodes.Node | None, total: int) -> int | None:
    """`reduce(1..9, # + #acc)`, with a literal int to start from or none."""
    if not (isinstance(body, nodes.Binary) and body.operator == "+"):
        return None
    sides = [side.name if isinstance(side, nodes.Pointer) else None for side in (body.left, body.right)]
    if sides not in (["", "acc"], ["acc", ""]):
        return None
    start = _constant(node.arguments[2]) if len(node.arguments) > 2 else 0
    return start + total if type(start) is int else None


def _sum_of(body: nodes.Node, total: int, count: int) -> int | None:
    """The sum of `#`, or of `#` and an int literal joined by `*`, `+` or `-`."""
    if isinstance(body, nodes.Pointer):
        return total  # the checker knows no other pointer here
    if not isinstance(body, nodes.Binary):
        return None
    left, right = body.left, body.right
    swapped = isinstance(right, nodes.Pointer)
    pointer, constant = (right, _constant(left)) if swapped else (left, _constant(right))
    if not (isinstance(pointer, nodes.Pointer) and pointer.name == "" and type(constant) is int):
        return None
    if body.operator == "*":
        return constant * total
    if body.operator == "+":
        return total + count * constant
    if body.operator == "-":
        return count * constant - total if swapped else total - count * constant
    return None


def _sum_list(node: nodes.Node) -> nodes.Node | None:
    """`sum([a, b, c])` is `a + (b + c)`, so texts join and an empty start does not matter."""
    outer = _call(node, "sum", 1)
    if outer is None or not isinstance(outer.arguments[0], nodes.List) or len(outer.arguments[0].items) < 2:
        return None
    return _copy(node, nodes.Sum(0, outer.arguments[0].items))


def _sum_map(node: nodes.Node) -> nodes.Node | None:
    """`sum(map(xs, p))` is `sum(xs, p)`."""
    outer = _call(node, "sum", 1)
    inner = _call(outer.arguments[0], "map", 2) if outer else None
    return _copy(node, nodes.Builtin(0, "sum", inner.arguments)) if inner else None


def _count_compared(node: nodes.Node) -> tuple[nodes.Builtin, str, int] | None:
    """A count with predicate, compared with an int literal."""
    if not isinstance(node, nodes.Binary):
        return None
    count, number = _call(node.left, "count", 2), _constant(node.right)
    return (count, node.operator, number) if count and type(number) is int else None


def _count_any(node: nodes.Node) -> nodes.Node | None:
    """`count(xs, p) > 0` asks for any."""
    found = _count_compared(node)
    if found is None or found[1:] not in ((">", 0), (">=", 1)):
        return None
    return _copy(node, nodes.Builtin(0, "any", found[0].arguments))


def _count_threshold(node: nodes.Node) -> nodes.Node | None:
    """A compared count stops as soon as the comparison is decided."""
    found = _count_compared(node)
    if found is not None and found[1] in {">", ">=", "<", "<="}:
        threshold = wrapped(found[2] + (1 if found[1] in {">", "<="} else 0))
        if threshold > 1:
            found[0].threshold = threshold
    return None

"""The syntax tree. Plain mutable records: the checker writes natures, the optimiser swaps nodes.

`position` is the character that an error about the node points at. `depth` bounds recursion: a
chain of binary operators, of `else` branches or of `let` counts as one level, because everything
that walks a tree takes those in a loop.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kargo_lab.rules.expressions.natures import UNKNOWN, Nature


class Node:
    """One node; `children` names the attributes that hold nodes or lists of nodes."""

    __slots__ = ("depth", "nature", "position")
    children: ClassVar[tuple[str, ...]] = ()

    def __init__(self, position: int) -> None:
        self.position = position
        self.nature: Nature = UNKNOWN
        self.depth = 1

    def below(self, *nodes: Node | None) -> None:
        """Set the depth from the nodes that hang below this one."""
        self.depth = 1 + max((node.depth for node in nodes if node is not None), default=0)


class Nil(Node):
    """`nil`."""

    __slots__ = ()


class Name(Node):
    """A variable, `$env` included."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name


class Literal(Node):
    """An integer, float, boolean, text, bytes, or (after folding) a list of such."""

    __slots__ = ("value",)

    def __init__(self, position: int, value: Any) -> None:
        super().__init__(position)
        self.value = value


class Table(Node):
    """The right side of `in` once all its elements are known to be texts, or all integers."""

    __slots__ = ("members",)

    def __init__(self, position: int, members: frozenset[str] | frozenset[int]) -> None:
        super().__init__(position)
        self.members = members


class Unary(Node):
    """`not`, `!`, `+`, `-`."""

    __slots__ = ("operand", "operator")
    children = ("operand",)

    def __init__(self, position: int, operator: str, operand: Node) -> None:
        super().__init__(position)
        self.operator, self.operand = operator, operand
        self.below(operand)


class Binary(Node):
    """Two operands; chains grow to the left."""

    __slots__ = ("left", "operator", "right")
    children = ("left", "right")

    def __init__(self, position: int, operator: str, left: Node, right: Node) -> None:
        super().__init__(position)
        self.operator, self.left, self.right = operator, left, right
        self.below(left, right)
        if isinstance(left, Binary):
            self.depth = max(left.depth, right.depth + 1)


class Chain(Node):
    """What `?.` leaves early: its inside ends at the first nil."""

    __slots__ = ("inside",)
    children = ("inside",)

    def __init__(self, position: int, inside: Node) -> None:
        super().__init__(position)
        self.inside = inside
        self.below(inside)


class Member(Node):
    """`owner.property`, `owner[property]`; `method` if it is called at once."""

    __slots__ = ("method", "optional", "owner", "property")
    children = ("owner", "property")

    def __init__(self, position: int, owner: Node, key: Node, *, optional: bool) -> None:
        super().__init__(position)
        self.owner, self.property, self.optional, self.method = owner, key, optional, False
        self.below(owner, key)


class Slice(Node):
    """`owner[start:end]`."""

    __slots__ = ("end", "owner", "start")
    children = ("owner", "start", "end")

    def __init__(self, position: int, owner: Node, start: Node | None, end: Node | None) -> None:
        super().__init__(position)
        self.owner, self.start, self.end = owner, start, end
        self.below(owner, start, end)


class Call(Node):
    """A call of something that is no built-in."""

    __slots__ = ("arguments", "callee")
    children = ("callee", "arguments")

    def __init__(self, position: int, callee: Node, arguments: list[Node]) -> None:
        super().__init__(position)
        self.callee, self.arguments = callee, arguments
        self.below(callee, *arguments)


class Builtin(Node):
    """A call of a built-in. The last three attributes are the optimiser's.

    mapped: what `filter` and `find` return of an element. throws: `find` fails without a hit.
    threshold: where `count` may stop.
    """

    __slots__ = ("arguments", "mapped", "name", "threshold", "throws")
    children = ("arguments",)

    def __init__(self, position: int, name: str, arguments: list[Node]) -> None:
        super().__init__(position)
        self.name, self.arguments = name, arguments
        self.mapped: Node | None = None
        self.throws = False
        self.threshold = 0
        self.below(*arguments)


class Predicate(Node):
    """The part of a built-in that is evaluated for each element."""

    __slots__ = ("body",)
    children = ("body",)

    def __init__(self, position: int, body: Node) -> None:
        super().__init__(position)
        self.body = body
        self.below(body)


class Pointer(Node):
    """`#`, `#index`, `#acc`, or the unwritten `#` before a leading dot."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name


class Binding(Node):
    """`name = value` of a `let`."""

    __slots__ = ("name", "value")
    children = ("value",)

    def __init__(self, position: int, name: str, value: Node) -> None:
        super().__init__(position)
        self.name, self.value = name, value
        self.below(value)


class Let(Node):
    """Bindings in a row, and the sequence that they hold for."""

    __slots__ = ("bindings", "body")
    children = ("bindings", "body")

    def __init__(self, position: int, bindings: list[Binding], body: Node) -> None:
        super().__init__(position)
        self.bindings, self.body = bindings, body
        self.below(*bindings, body)


class Sequence(Node):
    """`a; b; c`: the value of the last."""

    __slots__ = ("items",)
    children = ("items",)

    def __init__(self, position: int, items: list[Node]) -> None:
        super().__init__(position)
        self.items = items
        self.below(*items)


class Conditional(Node):
    """`test ? then : other` and `if test { then } else { other }`; chains grow in `other`."""

    __slots__ = ("other", "test", "then")
    children = ("test", "then", "other")

    def __init__(self, position: int, test: Node, then: Node, other: Node) -> None:
        super().__init__(position)
        self.test, self.then, self.other = test, then, other
        self.below(test, then, other)
        if isinstance(other, Conditional):
            self.depth = max(test.depth + 1, then.depth + 1, other.depth)


class List(Node):
    """`[a, b]`."""

    __slots__ = ("items",)
    children = ("items",)

    def __init__(self, position: int, items: list[Node]) -> None:
        super().__init__(position)
        self.items = items
        self.below(*items)


class Pair(Node):
    """`key: value` of a map."""

    __slots__ = ("key", "value")
    children = ("key", "value")

    def __init__(self, position: int, key: Node, value: Node) -> None:
        super().__init__(position)
        self.key, self.value = key, value
        self.below(key, value)


class Map(Node):
    """`{key: value}`."""

    __slots__ = ("pairs",)
    children = ("pairs",)

    def __init__(self, position: int, pairs: list[Pair]) -> None:
        super().__init__(position)
        self.pairs = pairs
        self.below(*pairs)


class Sum(Node):
    """The optimiser's `a + (b + c)`, flat so that its depth does not grow."""

    __slots__ = ("items",)
    children = ("items",)

    def __init__(self, position: int, items: list[Node]) -> None:
        super().__init__(position)
        self.items = items
        self.below(*items)

"""Go's types as the compiler sees them, and what it knows about the value of a node.

The checker refuses what cannot work; for that it needs Go's rules on kinds, assignability and
methods, for the few types that an expression can meet before it runs. Names and predicates
follow Go's reflection, so that the rules in `checker` read like the specification (A.7).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import attrs

INVALID, BOOL_KIND, INT_KIND, FLOAT_KIND, STRING_KIND = "invalid", "bool", "int", "float64", "string"
SLICE, ARRAY_KIND, MAP_KIND, STRUCT, POINTER, FUNC, INTERFACE = (
    "slice",
    "array",
    "map",
    "struct",
    "ptr",
    "func",
    "interface",
)


@attrs.frozen(eq=False, kw_only=True)
class GoType:
    """A type. Two are the same if they are one object.

    `inputs` and `results` are a function's; `element` is also what a pointer points to.
    """

    name: str
    kind: str
    key: GoType | None = None
    element: GoType | None = None
    fields: Mapping[str, GoType] = attrs.field(factory=dict)
    methods: Mapping[str, GoType] = attrs.field(factory=dict)
    inputs: tuple[GoType, ...] = ()
    results: int = 1
    result: GoType | None = None


ANY = GoType(name="interface {}", kind=INTERFACE)
BOOL = GoType(name="bool", kind=BOOL_KIND)
INT = GoType(name="int", kind=INT_KIND)
INT64 = GoType(name="int64", kind="int64")
UINT8 = GoType(name="uint8", kind="uint8")
FLOAT = GoType(name="float64", kind=FLOAT_KIND)
STRING = GoType(name="string", kind=STRING_KIND)
ARRAY = GoType(name="[]interface {}", kind=SLICE, element=ANY)
INTS = GoType(name="[]int", kind=SLICE, element=INT)
FLOATS = GoType(name="[]float64", kind=SLICE, element=FLOAT)
STRINGS = GoType(name="[]string", kind=SLICE, element=STRING)
BYTES = GoType(name="[]uint8", kind=SLICE, element=UINT8)
MAP = GoType(name="map[string]interface {}", kind=MAP_KIND, key=STRING, element=ANY)
ANY_MAP = GoType(name="map[interface {}]interface {}", kind=MAP_KIND, key=ANY, element=ANY)
GROUPS = GoType(name="map[interface {}][]interface {}", kind=MAP_KIND, key=ANY, element=ARRAY)
STRING_MAP = GoType(name="map[string]string", kind=MAP_KIND, key=STRING, element=STRING)
FUNCTION = GoType(name="func(...interface {}) (interface {}, error)", kind=FUNC)


def function(*inputs: GoType, result: GoType = ANY, results: int = 1) -> GoType:
    """The type of a function; `result` is its first result."""
    names = ", ".join(given.name for given in inputs)
    return GoType(name=f"func({names}) {result.name}", kind=FUNC, inputs=inputs, results=results, result=result)


def pointer(target: GoType, methods: Mapping[str, GoType]) -> GoType:
    """The type of a pointer; methods belong to pointers rather than to what they point to."""
    return GoType(name=f"*{target.name}", kind=POINTER, element=target, methods=methods)


_INTEGERS = frozenset({INT, INT64, UINT8})
_NILLABLE = frozenset({POINTER, INTERFACE, FUNC, MAP_KIND, SLICE})


class Nature:
    """What is known about a node before it runs: nothing, that it is nil, or its type.

    `of` refines the type: the nature of a list's elements, or of what a predicate returns.
    `builtin` names the built-in or declared function that a bare name stands for.
    """

    __slots__ = ("builtin", "is_nil", "of", "type")

    def __init__(
        self, go: GoType | None = None, *, is_nil: bool = False, of: Nature | None = None, builtin: str = ""
    ) -> None:
        self.type, self.is_nil, self.of, self.builtin = go, is_nil, of, builtin

    def __str__(self) -> str:
        if self.is_nil:
            return "nil"
        return self.type.name if self.type else "unknown"

    @property
    def kind(self) -> str:
        """The kind of the type; nothing known and nil have none."""
        return self.type.kind if self.type else INVALID

    @property
    def unknown(self) -> bool:
        """True if any use has to be accepted."""
        return self.type is ANY or (self.type is None and not self.is_nil)

    @property
    def integer(self) -> bool:
        """True for Go's own integer types, not for those of a package such as Month."""
        return self.type in _INTEGERS

    @property
    def number(self) -> bool:
        """True for integers and floats."""
        return self.type in _INTEGERS or self.type is FLOAT

    @property
    def array(self) -> bool:
        """True for slices and arrays."""
        return self.kind in {SLICE, ARRAY_KIND}

    def pointed(self) -> Nature:
        """The nature behind a pointer; anything else is itself."""
        return Nature(self.type.element) if self.type and self.type.kind == POINTER else self

    def element(self) -> Nature:
        """The nature of an element of a list or of a value of a map."""
        if self.array and self.of is not None:
            return self.of
        return Nature(self.type.element) if self.type and self.type.element else UNKNOWN

    def assignable(self, target: Nature) -> bool:
        """Go's assignability, with the closed world of the types above."""
        if self.is_nil and target.kind in _NILLABLE:
            return True
        if self.type is None or target.type is None:
            return False
        return self.type is target.type or target.type is ANY

    def comparable(self, other: Nature) -> bool:
        """True unless `==` between the two is known to make no sense."""
        return (
            self.unknown
            or other.unknown
            or self.is_nil
            or other.is_nil
            or (self.number and other.number)
            or (self.array and other.array)
            or self.assignable(other)
        )


UNKNOWN = Nature()
NIL = Nature(is_nil=True)
NATURE: Mapping[GoType, Nature] = {known: Nature(known) for known in (BOOL, INT, FLOAT, STRING, BYTES, MAP, ARRAY, ANY)}


def list_of(element: Nature) -> Nature:
    """A list whose elements are known."""
    return Nature(ARRAY, of=element)


def common(natures: Sequence[Nature]) -> Nature:
    """The nature of a list literal: its elements' if they share a kind."""
    if any(before.kind != after.kind for before, after in itertools.pairwise(natures)):
        return NATURE[ARRAY]
    return list_of(natures[-1] if natures else UNKNOWN)

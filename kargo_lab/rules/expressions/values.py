"""The values of the language, which are Go's, as Python values.

    nil, bool, int (64 bits), float, string   None, bool, int, float, str
    map[string]any, []any                     dict, list
    []int (a range), []byte                   range, bytes
    []string, [][2]any, [2]any                Strings, Pairs, tuple
    map[any]any                               AnyMap: 1, 1.0 and true are three keys, unlike in a dict
    map[string]string                         StringMap: a missing key reads as ""
    uint8 and int64                           Byte, Int64: integers to the operators, told apart by maps
    time.Time and its kin                     see `dates`
    structs and functions                     Struct, Function

Go's nil slices and maps equal nil although they have a length; `NilList`, `NilStrings` and
`NilStringMap` are those. Text that is no valid UTF-8 (a slice may cut through a character) keeps
its bad bytes as lone surrogates, as `surrogateescape` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from kargo_lab.rules.expressions.dates import Duration, Location, Month, Time, Weekday

Value: TypeAlias = Any

MIN_INT, MAX_INT = -(2**63), 2**63 - 1


class Failure(Exception):  # noqa: N818  (an internal signal; what leaves the package is an ExpressionError)
    """An evaluation that cannot go on. The node that notices adds its place in the text."""

    def __init__(self, message: str, position: int = -1) -> None:
        super().__init__(message)
        self.message, self.position = message, position

    def at(self, position: int) -> Failure:
        """The same failure, blamed on `position` unless a place is already known."""
        if self.position < 0:
            self.position = position
        return self


class Byte(int):
    """A uint8: what an index into a text gives."""


class Int64(int):
    """An int64, as `Unix()` gives it: an int to every operator, but another type inside maps."""


class Strings(list[str]):
    """A []string."""


class Pairs(list[tuple[Value, Value]]):
    """A [][2]any, which only `toPairs` makes; it equals no ordinary list."""


class NilList(list[Value]):
    """A []any that is nil: empty, and equal to nil."""


class NilStrings(Strings):
    """A []string that is nil."""


class StringMap(dict[str, str]):
    """A map[string]string."""


class NilStringMap(StringMap):
    """A map[string]string that is nil."""


class AnyMap:
    """A map[any]any, or with `groups` a map[any][]any: keys keep their type."""

    __slots__ = ("entries", "groups")

    def __init__(self, *, groups: bool = False) -> None:
        self.groups = groups
        self.entries: dict[Any, tuple[Value, Value]] = {}

    def put(self, key: Value, value: Value) -> None:
        """Set one key; lists and maps cannot be keys."""
        self.entries[hashed(key)] = (key, value)

    def get(self, key: Value) -> Value:
        """The value of `key`; absent keys read as nil, or as a nil list of a group."""
        found = self.entries.get(hashed(key))
        if found is not None:
            return found[1]
        return NilList() if self.groups else None

    def __contains__(self, key: Value) -> bool:
        return hashed(key) in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[tuple[Value, Value]]:
        return iter(self.entries.values())


@attrs.frozen(eq=False)
class Struct:
    """A Go struct: its type's name, its fields, and its methods by name."""

    go: str
    fields: Mapping[str, Value]
    methods: Mapping[str, Function] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class Function:
    """A function that an environment offers, called as Go's reflection would.

    `parameters` names what each argument must be: `string`, `int`, `any`, a Python class. A nil
    argument becomes the zero value of its parameter.
    """

    name: str
    call: Callable[..., Value]
    parameters: tuple[Any, ...] = ()
    variadic: bool = False


INTEGERS = frozenset({int, Byte, Int64})
NUMBERS = INTEGERS | {float}
LISTS = frozenset({list, range, Strings, Pairs, tuple, bytes, NilList, NilStrings})
MAPS = frozenset({dict, AnyMap, StringMap, NilStringMap})
_NILS = frozenset({type(None), NilList, NilStrings, NilStringMap})

_TYPE_NAMES: Mapping[type, str] = {
    type(None): "<nil>",
    bool: "bool",
    int: "int",
    float: "float64",
    str: "string",
    Byte: "uint8",
    Int64: "int64",
    list: "[]interface {}",
    NilList: "[]interface {}",
    tuple: "[2]interface {}",
    range: "[]int",
    bytes: "[]uint8",
    Strings: "[]string",
    NilStrings: "[]string",
    Pairs: "[][2]interface {}",
    dict: "map[string]interface {}",
    StringMap: "map[string]string",
    NilStringMap: "map[string]string",
    AnyMap: "map[interface {}]interface {}",
    Time: "time.Time",
    Duration: "time.Duration",
    Month: "time.Month",
    Weekday: "time.Weekday",
    Location: "*time.Location",
    Function: "func",
}


def type_name(value: Value) -> str:
    """What Go's `%T` prints."""
    if type(value) is Struct:
        return str(value.go)
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def is_nil(value: Value) -> bool:
    """True for nil itself and for nil slices and maps."""
    return type(value) in _NILS


def wrapped(number: int) -> int:
    """An integer as 64 bits hold it: too large ones wrap around without a word, as in Go."""
    if MIN_INT <= number <= MAX_INT:
        return number
    return (number + 2**63) % 2**64 - 2**63


def truncated(number: float) -> int:
    """A float cut to an int. What does not fit is the smallest integer, as on amd64."""
    if not -9.223372036854776e18 <= number < 9.223372036854776e18:  # also catches NaN
        return MIN_INT
    return int(number)


def to_int(value: Value) -> int:
    """A number as an int; floats are cut."""
    kind = type(value)
    if kind is int:
        return value  # type: ignore[no-any-return]  # the class was just looked at
    if kind in INTEGERS:
        return int(value)
    if kind is float:
        return truncated(value)
    raise Failure(f"invalid operation: int({type_name(value)})")


def encoded(text: str) -> bytes:
    """A text as the bytes that Go would hold."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Lone surrogates that stand for no byte: Go cannot hold them and has U+FFFD instead.
        return "".join(
            c if not "\ud800" <= c <= "\udfff" or "\udc80" <= c <= "\udcff" else "\ufffd" for c in text
        ).encode("utf-8", "surrogateescape")


def decoded(data: bytes) -> str:
    """Bytes as a text; what is no UTF-8 survives."""
    return data.decode("utf-8", "surrogateescape")


def joined(parts: Iterable[str]) -> str:
    """The parts as one text. Halves of a character that meet again become that character."""
    return rejoined("".join(parts))


def rejoined(text: str) -> str:
    """`text` with stray bytes put together where they form characters."""
    return text if text.isascii() else decoded(encoded(text))


def hashed(key: Value) -> Any:
    """A key as a Python value that is equal exactly when Go's interface values are."""
    kind = type(key)
    if kind is tuple:
        return (kind, *(hashed(part) for part in key))
    if kind in LISTS or kind in MAPS or kind is Function:
        raise Failure(f"runtime error: hash of unhashable type {type_name(key)}")
    if kind is Time:
        return (kind, key.nanoseconds, key.location)
    return (kind, key)

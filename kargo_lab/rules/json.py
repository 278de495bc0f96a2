"""JSON as Go's encoding/json reads and writes it, which is what every receiver does with a body.

Python's `json` accepts and refuses other texts, and it knows no declared types. Go decodes into
structs: member names are compared without regard to case, members that nobody declared are skipped,
repeated objects are merged, `null` leaves the zero value, and a declared member of another type is an
error although nobody reads it. `SHAPE`s declare such structs; `decode` answers what Go would hold.

Import it as `from kargo_lab.rules import json as gojson`. Source: receivers.md 3.3, the package
documentation of encoding/json, and Go 1.26 asked case by case. Nothing but JSONError is raised.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kargo_lab.rules import rfc3339
from kargo_lab.rules.jsontext import Escaped, JSONError, Number, Pairs, parse, scan, text_of
from kargo_lab.rules.jsonwrite import dumps

__all__ = [
    "ANY",
    "BOOL",
    "FLOAT",
    "INT64",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "JSONError",
    "ListOf",
    "MapOf",
    "Nullable",
    "Scalar",
    "Shape",
    "Struct",
    "decode",
    "dumps",
    "loads",
    "text_of",
]


@attrs.frozen
class Scalar:
    """A type without parts; `kind` is Go's name for it, `zero` its value where nothing was said."""

    kind: str
    zero: Any


TEXT = Scalar("string", "")
INT64 = Scalar("int64", 0)
FLOAT = Scalar("float64", 0.0)
BOOL = Scalar("bool", False)
ANY = Scalar("interface {}", None)
# Times are checked and kept as they are spelled: receivers only need to know whether Go accepts them.
TIME = Scalar("time.Time", "")
TIMESTAMP = Scalar("github.Timestamp", "")  # go-github's: Unix seconds, or RFC 3339


@attrs.frozen
class Nullable:
    """A pointer: None where the member is absent or null, else what it points at."""

    shape: Shape


@attrs.frozen
class ListOf:
    """A slice; empty where absent or null."""

    shape: Shape


@attrs.frozen
class MapOf:
    """A map with text for keys; empty where absent or null."""

    shape: Shape


def _folded(name: str) -> str:
    """A member name as Go compares it with an ASCII one: ASCII in upper case, and the two letters that fold into it.

    Other letters fold among themselves only; Python's `upper` would make ASCII of some, as `ss` of a sharp s.
    """
    if name.isascii():
        return name.upper()
    letters = name.replace("\u017f", "S").replace("\u212a", "K")
    return "".join(letter.upper() if letter.isascii() else letter for letter in letters)


@attrs.frozen
class Struct:
    """Declared members, by their ASCII names. It decodes to a dict that holds every one of them."""

    fields: Mapping[str, Shape]
    _by_fold: Mapping[str, str] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        by_fold: dict[str, str] = {}
        for name in self.fields:
            by_fold.setdefault(_folded(name), name)
        object.__setattr__(self, "_by_fold", by_fold)

    def field(self, name: str) -> str | None:
        """The declared name that a member's name stands for: spelled so, else the first that folds alike."""
        return name if name in self.fields else self._by_fold.get(_folded(name))


Shape = Scalar | Nullable | ListOf | MapOf | Struct


class _Slice(list[Any]):
    """A slice with what lies behind its end, last first: Go writes a repeated list over the elements of the first."""

    __slots__ = ("spare",)

    def __init__(self) -> None:
        super().__init__()
        self.spare: list[Any] = []


def loads(body: bytes) -> Any:
    """The value of `body` as Go holds it in an `any`: numbers are floats, the last of equal names wins."""
    return _plain(parse(body), body)


def decode(body: bytes, shape: Shape) -> Any:
    """The value of `body` in the declared shape: dict, list, str, int, float, bool, or None for a nil pointer.

    Not to be changed: structs of which nothing was said may be one dict. Of several misfits the first is named,
    unless one is more than twenty structs down.
    """
    tree = scan(body) if _TIME_ESCAPE.search(body) else parse(body)
    reader = _Reader(body)
    value = reader.read(shape, tree, _UNSET, "")
    for struct in reader.later:  # which may add to them
        reader.members(*struct)
    return value


def _plain(tree: Any, body: bytes) -> Any:
    """A tree without the marks of its spelling. Iterative: bodies may be 10000 levels deep.

    In the order of the text, since the first number that does not fit is the error. A member that is overwritten is
    read too. Nothing is made for a member but its value: a body may hold a million of them.
    """
    out: list[Any] = []
    unfinished: list[tuple[Iterator[Any], list[Any] | dict[str, Any]]] = [(iter((tree,)), out)]
    while unfinished:
        members, target = unfinished[-1]
        for member in members:
            node = member[1] if isinstance(target, dict) else member
            value = _scalar(node, body)
            if isinstance(node, list):
                value = {} if isinstance(node, Pairs) else []
                unfinished.append((iter(node), value))
            if isinstance(target, dict):
                target[member[0]] = value
            else:
                target.append(value)
            if isinstance(node, list):
                break
        else:
            unfinished.pop()
    return out[0]


def _scalar(node: Any, body: bytes) -> Any:
    if isinstance(node, Number):
        return _float(node, body, "")
    return str(node) if isinstance(node, Escaped) else node


def _misfit(what: str, kind: str, path: str, body: bytes) -> JSONError:
    where = f"Go struct field {path}" if path else "Go value"
    return JSONError(f"json: cannot unmarshal {what} into {where} of type {kind}", text_of(body))


def _float(number: Number, body: bytes, path: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise _misfit(f"number {number}", "float64", path, body)
    return value


# Escapes of the characters that times are written with; common ones, as that of `<`, are not among them.
_TIME_ESCAPE = re.compile(rb"\\u00(?:2[b-eB-E]|3[0-9aA]|5[4aA])")


_DEEP = 20  # structs in structs; five calls each at most, and honest bodies have ten


class _Reader:
    """Decodes one tree. A struct may hold others of its type, so those far down wait, empty, in `later`."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.depth = 0
        self.zeros: dict[int, dict[str, Any]] = {}
        self.later: list[tuple[Struct, Any, dict[str, Any], str]] = []

    def read(self, shape: Shape, node: Any, before: Any, path: str) -> Any:
        """The value of `node`; `before` is what an earlier member of the same name left, or `_UNSET`."""
        if isinstance(shape, Scalar):
            return self.scalar(shape, node, shape.zero if before is _UNSET else before, path)
        if isinstance(shape, Nullable):
            return None if node is None else self.read(shape.shape, node, _UNSET if before is None else before, path)
        if isinstance(shape, Struct):
            return self.struct(shape, node, before, path)
        if isinstance(shape, MapOf):
            return self.map(shape, node, before, path)
        return self.list(shape, node, before, path)

    def struct(self, shape: Struct, node: Any, before: Any, path: str) -> dict[str, Any]:
        """A struct; null leaves it as it is."""
        zero: dict[str, Any] = self.zero(shape)
        given: dict[str, Any] = zero if before is _UNSET else before
        if node is None or (not node and isinstance(node, Pairs)):
            return given
        value = {**zero} if given is zero else given
        if self.depth < _DEEP:
            self.depth += 1
            self.members(shape, node, value, path)
            self.depth -= 1
        else:
            self.later.append((shape, node, value, path))
        return value

    def members(self, shape: Struct, node: Any, value: dict[str, Any], path: str) -> None:
        """Set what an object says of a struct."""
        for name, member in self.pairs(node, "struct", path):
            field = shape.field(name)
            if field is not None:
                inner = f"{path}.{field}" if path else field
                value[field] = self.read(shape.fields[field], member, value[field], inner)

    def map(self, shape: MapOf, node: Any, before: Any, path: str) -> dict[str, Any]:
        """A map; null empties it, an object adds to it, and each of its values starts afresh."""
        if node is None:
            return {}
        value: dict[str, Any] = {} if before is _UNSET else before or {}  # an empty one may be a zero's
        for name, member in self.pairs(node, "map", path):
            value[name] = self.read(shape.shape, member, _UNSET, path)
        return value

    def list(self, shape: ListOf, node: Any, before: Any, path: str) -> list[Any]:
        """A slice. The elements of an earlier list of the same name are decoded into, as Go does."""
        value = _Slice()
        if node is None:
            return value
        if not isinstance(node, list) or isinstance(node, Pairs):
            raise _misfit(_kind(node), "slice", path, self.body)
        if not node:
            return value
        if before is not _UNSET and (before or before.spare):  # the empty one of a zero stays as it is
            # Handed on and not copied: a member may be repeated as often as fits into a body.
            value.spare = before.spare
            value.spare.extend(reversed(before))
        value.extend(self.read(shape.shape, each, value.spare.pop() if value.spare else _UNSET, path) for each in node)
        return value

    def pairs(self, node: Any, kind: str, path: str) -> Pairs:
        """The members of an object."""
        if not isinstance(node, Pairs):
            raise _misfit(_kind(node), kind, path, self.body)
        return node

    def zero(self, shape: Shape) -> Any:
        """What Go holds where nothing was said. Structs that nothing was said of are one, and never written to."""
        if isinstance(shape, Scalar):
            return shape.zero
        if isinstance(shape, Nullable):
            return None
        if isinstance(shape, Struct):
            if id(shape) not in self.zeros:
                self.zeros[id(shape)] = {name: self.zero(inner) for name, inner in shape.fields.items()}
            return self.zeros[id(shape)]
        return {} if isinstance(shape, MapOf) else _Slice()

    def scalar(self, shape: Scalar, node: Any, before: Any, path: str) -> Any:
        """A value without declared parts; null leaves what was there."""
        if shape is ANY:
            return _plain(node, self.body)
        if node is None:
            if shape is TIMESTAMP:  # go-github's own reader is asked even about null, and refuses it
                raise _misfit("null", shape.kind, path, self.body)
            return before
        value = _SCALARS[shape.kind](node, self, path)
        if value is None:
            raise _misfit(_kind(node), shape.kind, path, self.body)
        return value


def _text(node: Any, _reader: _Reader, _path: str) -> str | None:
    return str(node) if isinstance(node, str) and not isinstance(node, Number) else None


def _bool(node: Any, _reader: _Reader, _path: str) -> bool | None:
    return node if isinstance(node, bool) else None


def _number(node: Any, reader: _Reader, path: str) -> float | None:
    return _float(node, reader.body, path) if isinstance(node, Number) else None


_INT64 = re.compile(r"-?[0-9]{1,19}")


def _int(node: Any, reader: _Reader, path: str) -> int | None:
    if not isinstance(node, Number):
        return None
    # 19 digits are enough for 64 bits; longer spellings would make `int` slow.
    if not _INT64.fullmatch(node) or not -(2**63) <= int(node) < 2**63:
        raise _misfit(f"number {node}", "int64", path, reader.body)
    return int(node)


def _time(node: Any, reader: _Reader, path: str) -> str | None:
    text = None if isinstance(node, Escaped) else _text(node, reader, path)
    return text if text is not None and rfc3339.instant(text) is not None else None


def _timestamp(node: Any, reader: _Reader, path: str) -> str | None:
    return str(_int(node, reader, path)) if isinstance(node, Number) else _time(node, reader, path)


_SCALARS = {
    "string": _text,
    "int64": _int,
    "float64": _number,
    "bool": _bool,
    "time.Time": _time,
    "github.Timestamp": _timestamp,
}
_UNSET: Any = object()


def _kind(node: Any) -> str:
    """What Go calls a value that does not fit."""
    if isinstance(node, Number):
        return "number"
    if isinstance(node, Pairs):
        return "object"
    return {str: "string", Escaped: "string", bool: "bool", list: "array"}[type(node)]

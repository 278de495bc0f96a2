"""Values of expressions as YAML, to the byte as a template's `asYAML` gives it.

Kargo's asYAML is Marshal of go.yaml.in/yaml/v3, v3.0.4 in v1.11.0 to v1.11.2 (pkg/expressions/json_templates.go),
not of sigs.k8s.io/yaml, which other parts of Kargo use and which goes by JSON: nested maps and lists are
indented by four, lists inside maps too, numbers are spelled as Go prints them (`1e+06`), times are bare, a
duration is `1h30m0s`, nil lists are `[]`. Lines are never folded.

The layout follows emitterc.go. What it does is decided by the column, by whether a blank precedes, and by whether
the line holds nothing but blanks and the marks `-`, `?`, `:`, which never reach the next indent; that is what a `_Page`
keeps. Two of the
library's faults come with it, which its own reader minds: a block that begins with a blank or a break
announces four columns also where it has two, inside of a list; and a block may end in U+2028 without a newline.

Source: as above, and kargo v1.11.2 asked; tests/data/yaml-texts.json has what it answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kargo_lab.errors import ExpressionError
from kargo_lab.rules.expressions import LIMITS
from kargo_lab.rules.expressions.values import LISTS, AnyMap, Value, type_name
from kargo_lab.rules.yamlorder import ordered
from kargo_lab.rules.yamlscalars import Scalar, Style, escaped, scalar_of

_STEP, _DASH = 4, 2
_BREAKS = "\n\u2028\u2029"  # of the styles that show their breaks; texts with other breaks are escaped
_LINE = re.compile(f"([^{_BREAKS}]*)([{_BREAKS}]?)")
_Node = tuple[Value, int]


def dumps(value: Value, *, most: int = LIMITS.text) -> str:
    """One YAML document; an ExpressionError for functions, and for a text of more than `most` characters."""
    page = _Page(most)
    open_nodes: list[Iterator[_Node]] = [iter([(value, 0)])]
    while open_nodes:
        following = next(open_nodes[-1], None)
        if following is None:
            open_nodes.pop()
        else:
            open_nodes.extend(_opened(page, *following))
    page.line(0)
    return page.text


class _Page:
    """What is written, and as much of its end as decides what may follow."""

    def __init__(self, most: int) -> None:
        self._parts: list[str] = []
        self._most, self._room = most, most
        self.column, self.spaced, self.fresh = 0, True, True

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def put(self, text: str) -> None:
        """Write a text without breaks."""
        self._room -= len(text)
        if self._room < 0:
            raise ExpressionError(f"asYAML makes a text longer than {self._most} characters", "", stage="run")
        self._parts.append(text)
        self.column += len(text)

    def mark(self, text: str, *, fresh: bool = False, apart: bool = True) -> None:
        """Write something that is set off by a blank; `fresh` if what follows may still be indented on this line."""
        self.put(f" {text}" if apart and not self.spaced else text)
        self.spaced, self.fresh = False, self.fresh and fresh

    def end(self, sign: str = "\n") -> None:
        """End the line."""
        self.put(sign)
        self.column, self.fresh = 0, True

    def line(self, indent: int) -> None:
        """Go to a column: on this line if that is possible, or else on a new one."""
        if not self.fresh:
            self.end()
        self.put(" " * (indent - self.column))
        self.spaced = True

    def lines(self, text: str, indent: int, *, first: bool) -> None:
        """Write a text with the breaks it has, indented wherever a line has anything; `first` if the first is too."""
        for found in _LINE.finditer(text):
            if found[1]:
                if first or found.start():
                    self.line(indent)
                self.put(found[1])
                self.fresh = False
            if found[2]:
                self.end(found[2])


def _opened(page: _Page, value: Value, indent: int) -> list[Iterator[_Node]]:
    """Write a scalar, or give the steps of writing a list or a map."""
    scalar = scalar_of(value)
    if scalar is not None:
        _write(page, scalar, indent or _STEP)
        return []
    if type(value) in LISTS:
        return _container(page, "[]", value, _sequence(page, value, indent))
    if isinstance(value, AnyMap | Mapping):
        pairs = value.items() if isinstance(value, Mapping) else value
        return _container(page, "{}", value, _mapping(page, pairs, indent))
    raise ExpressionError(f"cannot marshal type: {type_name(value)}", "", stage="run")


def _container(page: _Page, empty: str, value: Value, steps: Iterator[_Node]) -> list[Iterator[_Node]]:
    if len(value):
        return [steps]
    page.mark(empty)
    return []


def _sequence(page: _Page, items: Iterable[Value], indent: int) -> Iterator[_Node]:
    for item in items:
        page.line(indent)
        page.mark("-", fresh=True)
        yield item, indent + _DASH


def _mapping(page: _Page, pairs: Iterable[tuple[Value, Value]], indent: int) -> Iterator[_Node]:
    inside = indent - indent % _STEP + _STEP
    for key, value in ordered(pairs):
        page.line(indent)
        name = scalar_of(key)
        if name is not None and name.simple:
            _write(page, name, inside)
            page.mark(":", apart=False)
        else:
            page.mark("?", fresh=True)
            yield key, inside
            page.line(indent)
            page.mark(":", fresh=True)
        yield value, inside


def _write(page: _Page, scalar: Scalar, indent: int) -> None:
    if scalar.tag:
        page.mark(scalar.tag)
    match scalar.style:
        case Style.PLAIN:
            page.mark(scalar.text)
        case Style.DOUBLE:
            page.mark(f'"{escaped(scalar.text)}"')
        case Style.SINGLE:
            page.mark("'")
            page.lines(scalar.text.replace("'", "''"), indent, first=False)
            page.mark("'", apart=False)
        case _:  # a block
            page.mark("|" + _hints(scalar.text))
            page.end()
            page.lines(scalar.text, indent, first=True)


def _hints(text: str) -> str:
    """How a block is to be read: where it begins, and what becomes of its last breaks."""
    start = str(_STEP) if text[0] in f" {_BREAKS}" else ""
    if text[-1] not in _BREAKS:
        return f"{start}-"
    return f"{start}+" if text[-2:-1] in {"", *_BREAKS} else start

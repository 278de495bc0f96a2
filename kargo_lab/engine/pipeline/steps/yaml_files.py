"""`yaml-update`: new values for scalars, written into the lines where the old ones begin.

Kargo writes no YAML here. It asks go.yaml.in/yaml/v3 where a scalar begins, keeps that line up to there, and
writes the value behind it, in quotation marks if it reads as a number, a boolean or other JSON. The rest of the
line goes: a comment, a closing bracket; and what the old value had on further lines stays. Two values for one line
leave the last. Columns are characters to the parser and bytes to the writer. All of it is kept.

Source: Kargo v1.11.2 (go.yaml.in/yaml/v3 v3.0.4), pkg/yaml/yaml.go and quote.go, pkg/sjson/split.go,
yaml_updater.go; tests/data/yaml-updates.json has what its SetValuesInBytes answered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from kargo_lab.engine.pipeline.steps.work import Result, Work
from kargo_lab.errors import PipelineError
from kargo_lab.rules import expressions, jsontext, jsonwrite, templates
from kargo_lab.rules import json as gojson

MOST_BYTES = 4 * 1024**2
_LONGEST_LINE = 1024**2
_INDEX = re.compile("[-+]?[0-9]{1,18}")
_PIECE = re.compile(r"\\?.", re.DOTALL)
_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_AROUND = re.compile(f"\\A[{_BLANKS}]+|[{_BLANKS}]+\\Z")


def update(config: Mapping[str, Any], work: Work) -> Result:
    """Set keys such as `image.tag` or `containers.0.image`; one that is not there is an error."""
    path, changes = work.path(config), work.items(config, "updates")
    shown = work.text(config, "path")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PipelineError(work.named, f"{shown} is larger than {MOST_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise PipelineError(work.named, f"{shown} cannot be read: {error}") from None
    values = [(work.text(change, "key"), _written(change.get("value"))) for change in changes]
    try:
        if values:
            path.write_bytes(replaced(data, values))
    except ValueError as error:
        raise PipelineError(work.named, f"{shown} cannot be updated: {error}") from None
    lines = [f"\n- {key}: {value}" for key, value in values]
    return Result(output={"commitMessage": f"Updated {shown}\n{''.join(lines)}"} if lines else {})


def replaced(data: bytes, values: Sequence[tuple[str, str]]) -> bytes:
    """The bytes of a file with a text for each key. ValueError says what stands in the way."""
    document = _document(data)
    places = {}
    for key, text in values:
        row, column = _place(document, _parts(key), key)
        places[row] = column, text
    lines = [line.removesuffix(b"\r") for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    for number, line in enumerate(lines):
        if len(line) >= _LONGEST_LINE:
            raise ValueError(f"line {number + 1} is longer than {_LONGEST_LINE} bytes")
        if number in places:
            column, text = places[number]
            if column > len(line):
                raise ValueError(f"line {number + 1} has no column {column + 1}")
            before = line[:column]
            blank = b"" if before.endswith(b" ") else b" "
            lines[number] = before + blank + text.encode("utf-8", "surrogateescape")
    return b"".join(line + b"\n" for line in lines)


class _Alias(yaml.Node):
    """An alias where it stands. Kargo does not follow it."""


_SafeLoader: Any = yaml.SafeLoader


class _Reader(_SafeLoader):  # type: ignore[misc]  # the stubs have its methods without types
    """Nodes as Go's library has them: an alias is a node of its own, and an anchor may be given anew.

    A value that is missing in braces stands where the next mark does; one in a pair without braces at its colon.
    """

    def parse_flow_mapping_value(self) -> yaml.Event:
        event = super().parse_flow_mapping_value()
        return _moved(event, self.peek_token().start_mark) if _missing(event) else event

    def parse_flow_sequence_entry_mapping_value(self) -> yaml.Event:
        colon = self.peek_token().start_mark
        event = super().parse_flow_sequence_entry_mapping_value()
        return _moved(event, colon) if _missing(event) else event

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise yaml.YAMLError(f"unknown anchor {event.anchor!r} referenced")
            self.get_event()
            return _Alias("", event.anchor, None, None)
        self.anchors.pop(getattr(event, "anchor", None), None)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _missing(event: Any) -> bool:
    return bool(event.start_mark.index == event.end_mark.index)


def _moved(event: yaml.Event, mark: Any) -> yaml.Event:
    event.start_mark = event.end_mark = mark
    return event


def _document(data: bytes) -> yaml.Node | None:
    """The first document of a file; the others are not read."""
    try:
        reader = _Reader(data.decode())
        return reader.get_node() if reader.check_node() else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"it is no YAML: {error}") from None


def _parts(key: str) -> list[str]:
    """The parts of a key between its dots; a colon may begin one, and a backslash is for dots and colons."""
    parts = [""]
    for piece in _PIECE.findall(_AROUND.sub("", key)):
        if piece == ".":
            parts.append("")
        elif piece == ":" and parts[-1]:
            raise ValueError(f"unexpected colon in key {key!r}")
        elif piece[0] == "\\" and piece[1:] not in {"", ".", ":"}:
            raise ValueError(f"invalid escape sequence in key {key!r}")
        elif piece not in {":", "\\"}:  # a backslash at the very end is read over
            parts[-1] += piece[-1]
    if not all(parts):
        raise ValueError(f"empty key part in key {key!r}")
    return parts


def _place(node: yaml.Node | None, parts: Sequence[str], key: str) -> tuple[int, int]:
    for part in parts:
        node = _child(node, part)
        if node is None:
            raise ValueError(f"it has no key {key!r}")
    mark = node.start_mark if isinstance(node, yaml.ScalarNode) else None
    if mark is None:
        raise ValueError(f"{key!r} is no scalar")
    return mark.line, mark.column


def _child(node: yaml.Node | None, part: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == part), None)
    if isinstance(node, yaml.SequenceNode) and _INDEX.fullmatch(part):
        place = int(part)
        return node.value[place] if 0 <= place < len(node.value) else None
    return None


def _written(value: Any) -> str:
    """A value as Kargo writes it, numbers as floats; a text that reads as something else in quotation marks."""
    if not isinstance(value, str):
        return expressions.text_of(gojson.loads(jsonwrite.dumps(value).encode()))
    return templates.quoted(value) if _reads_as_other(value) else value


def _reads_as_other(text: str) -> bool:
    for read in (expressions.parse_float, expressions.parse_boolean):
        try:
            read(text)
        except ValueError:
            continue
        return True
    try:
        jsontext.parse(text.encode("utf-8", "surrogateescape"))
    except (jsontext.JSONError, UnicodeEncodeError):
        return False
    return True

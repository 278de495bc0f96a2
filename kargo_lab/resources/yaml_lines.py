"""YAML read so that every value can be traced to its line, and nothing in a file can hurt the reader.

Kubernetes' tools turn YAML into JSON first, so a document here is plain mappings, lists, texts,
numbers, booleans and None. Differences from PyYAML's safe loader, each for a reason: a duplicate key
is an error, as with kubectl's strict decoding; timestamps stay text and `1:30` is text, because JSON
has neither; `1e3` is a number, as in Go. Aliases are expanded under a limit, which is what makes a
small file that claims to be a huge one harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import yaml

from kargo_lab.errors import ManifestError, Misfit

Path = tuple[str | int, ...]

# An object in a cluster cannot be larger than about this (etcd's limit is 1.5 MiB).
MAX_FILE_BYTES = 1024**2
MAX_VALUES = 100_000  # per file, aliases counted as often as they are used
MAX_DEPTH = 64

_TAG = "tag:yaml.org,2002:"
# In the order in which they are tried; what fits none is text (YAML 1.1 as Go reads it).
_SCALARS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), "~nN\0"),
    (
        "bool",
        re.compile(r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\Z"),
        "yYnNtTfFoO",
    ),
    ("int", re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)\Z"), "-+0123456789"),
    (
        "float",
        re.compile(
            r"[-+]?(?:(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))\Z|\.(?:nan|NaN|NAN)\Z"
        ),
        "-+.0123456789",
    ),
    ("merge", re.compile(r"<<\Z"), "<"),
)
_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with the scalars above. Values are built by `_Builder`, never by PyYAML."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own class attribute, filled once below


for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, ["" if c == "\0" else c for c in _first])


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which also quotes the texts that only the loader above takes for something else."""


for _name, _pattern, _first in _SCALARS:
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, ["" if c == "\0" else c for c in _first])


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # Line separators beyond CR and LF survive in double quotes only.
    style = '"' if re.search("[\x85\u2028\u2029\ufeff]", value) else None
    return dumper.represent_scalar(_TAG + "str", value, style=style)


_Dumper.add_representer(str, _text)


def written(value: Any) -> str:
    """Plain data as one document; mappings keep their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


@attrs.frozen
class Document:
    """One document of a file: its value, and the line (from 1) of each value by its path."""

    file: str
    value: Any
    lines: Mapping[Path, int]
    problems: tuple[Misfit, ...] = ()

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def spelled(path: Path) -> str:
    """A path as people write it: `spec.subscriptions[0].image.constraint`."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif re.fullmatch(r"[\w$-]+", step):
            parts.append(f".{step[:60]}" if parts else step[:60])
        else:
            parts.append(f'["{step[:60]}"]')
    return "".join(parts)


def documents(content: bytes | str, name: str) -> list[Document]:
    """The documents of a file, empty ones left out. Raises ManifestError if it cannot be read as YAML at all."""
    text = _decoded(content, name)
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _failure(name, mark.line + 1 if mark else 0, f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise _failure(name, 0, f"not YAML: {error}") from error
    except RecursionError as error:
        raise _failure(name, 0, f"nested deeper than {MAX_DEPTH} levels") from error
    builder = _Builder(name)
    return [builder.document(node) for node in nodes if node is not None and not _is_null(node)]


def _failure(name: str, line: int, message: str) -> ManifestError:
    return ManifestError([Misfit(name, line, "", message)])


def _decoded(content: bytes | str, name: str) -> str:
    if len(content) > MAX_FILE_BYTES:
        raise _failure(name, 0, f"larger than {MAX_FILE_BYTES} bytes: no Kubernetes object is")
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _failure(name, line, f"not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start}") from error


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"


class _Builder:
    """Turns composed nodes into plain values and remembers where they stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.lines: dict[Path, int] = {}
        self.problems: list[Misfit] = []

    def document(self, node: yaml.Node) -> Document:
        self.lines, self.problems = {}, []
        value = self.value(node, ())
        return Document(self.name, value, self.lines, tuple(self.problems))

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MAX_VALUES:
            raise _failure(self.name, line, f"more than {MAX_VALUES} values, aliases included")
        if len(path) > MAX_DEPTH:
            raise _failure(self.name, line, f"nested deeper than {MAX_DEPTH} levels")
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        return self.problem(line, path, f"the tag {node.tag[:60]} has no meaning here")

    def problem(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Misfit(self.name, line, spelled(path), message))

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                for part in self.merged(value_node, path):
                    merged = {**part, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(line, path, "a key must be text")
                continue
            key = key_node.value
            if key in result:
                first = self.lines[(*path, key)]
                self.problem(line, (*path, key), f"the key is here twice, first in line {first}")
                continue
            self.lines[(*path, key)] = line
            result[key] = self.value(value_node, (*path, key))
        return {**merged, **result}

    def merged(self, node: yaml.Node, path: Path) -> Iterator[dict[str, Any]]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            # Lines of merged keys are those of the place they are written at.
            value = self.value(part, path)
            if isinstance(value, dict):
                yield value
            else:
                self.problem(part.start_mark.line + 1, path, "`<<` merges mappings only")

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        try:
            match kind:
                case "str" | "merge":
                    return text
                case "null":
                    return None
                case "bool":
                    return _BOOLEANS[text.lower()]
                case "int":
                    return _integer(text.replace("_", ""))
                case "float":
                    return _float(text.replace("_", "").lower())
        except (ValueError, KeyError):
            pass
        return self.problem(node.start_mark.line + 1, path, f"the tag {node.tag[:60]} does not fit {text[:40]!r}")


def _integer(text: str) -> int:
    if len(text) > 80:
        raise ValueError("no integer of Go is that long")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    # A leading zero alone means octal, as in YAML 1.1 and in Go.
    if re.fullmatch(r"0[0-7]+", digits):
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))

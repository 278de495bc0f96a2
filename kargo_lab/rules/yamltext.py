"""JSON's kinds of values as YAML, in the block style of Go's YAML writer.

Only what a template's `asYAML` needs: sorted keys, lists level with their key, texts plain where they
read back as the same text and quoted where they do not. Source: receivers.md 5.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kargo_lab.rules import jsonwrite

_RESOLVED = re.compile(
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|<<|=|"
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0?[oO]?[0-7_]+|[0-9][0-9_]*)|"
    r"[-+]?(?:[0-9][0-9_]*+)?+\.?+[0-9_]*+(?:[eE][-+]?[0-9]+)?|"
    r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?|"
    r"[-+]?[0-9][0-9_]*+(?::[0-5]?[0-9])++.*+"
)
_UNSAFE_START = re.compile(r"[-?:](?:\s|$)|[,\[\]{}#&*!|>'\"%@`]|---|\.\.\.|\s")
_UNSAFE_INSIDE = re.compile(r":(?:\s|$)|\s#|\s$|[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


def dumps(value: Any) -> str:
    """One YAML document, ending in a newline."""
    lines = list(_lines(value, ""))
    return "\n".join(lines) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from _entry(f"{indent}{_scalar(key, indent)}:", value[key], indent)
    elif isinstance(value, list) and value:
        for item in value:
            inside = list(_lines(item, indent + "  "))
            yield f"{indent}- {inside[0].lstrip(' ')}"
            yield from inside[1:]
    else:
        yield indent + _scalar(value, indent)


def _entry(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield name
        yield from _lines(value, indent + "  ")
    elif isinstance(value, list) and value:
        yield name
        yield from _lines(value, indent)
    else:
        yield f"{name} {_scalar(value, indent)}"


def _scalar(value: Any, indent: str) -> str:
    if not isinstance(value, str):
        return jsonwrite.dumps(value)
    if "\n" in value and value.strip() and not value.startswith((" ", "\n")) and "\t" not in value:
        return _literal(value, indent)
    if _RESOLVED.fullmatch(value) or (_UNSAFE_INSIDE.search(value) and not value.isprintable()):
        return jsonwrite.quote(value).replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
    if _UNSAFE_START.match(value) or _UNSAFE_INSIDE.search(value):
        return "'" + value.replace("'", "''") + "'"
    return value


def _literal(value: str, indent: str) -> str:
    """A text of several lines as a block."""
    ending = "" if value.endswith("\n") and not value.endswith("\n\n") else "+" if value.endswith("\n") else "-"
    lines = value.removesuffix("\n").split("\n")
    return f"|{ending}\n" + "\n".join(f"{indent}  {line}" if line else "" for line in lines)

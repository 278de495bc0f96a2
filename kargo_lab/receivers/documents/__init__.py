"""What the bodies of GitHub and GitLab are decoded into; the other receivers declare only what they read.

Kargo decodes the events of these two with their vendors' Go clients, so that hundreds of members are
typed. The tables name them in Go's notation (`*T` a pointer, `[T]` a slice, `{T}` a map with text for keys);
`shapes` turns a table into what `rules.json` decodes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.rules import json as gojson

_SCALARS: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        "any": gojson.ANY,
        "bool": gojson.BOOL,
        "float64": gojson.FLOAT,
        "int64": gojson.INT64,
        "string": gojson.TEXT,
        "time": gojson.TIME,
        "timestamp": gojson.TIMESTAMP,
    }
)


def shapes(structs: Mapping[str, Mapping[str, str]]) -> Mapping[str, gojson.Struct]:
    """One shape a struct of the table. Structs may contain one another by pointer, as in Go."""
    fields: dict[str, dict[str, gojson.Shape]] = {
        name: dict.fromkeys(" ".join(members.values()).split(), gojson.ANY) for name, members in structs.items()
    }
    made = {name: gojson.Struct(members) for name, members in fields.items()}
    for name, members in structs.items():
        for notation, names in members.items():
            fields[name].update(dict.fromkeys(names.split(), _shape(notation, made)))
    return MappingProxyType(made)


def _shape(notation: str, structs: Mapping[str, gojson.Struct]) -> gojson.Shape:
    if notation.startswith("*"):
        return gojson.Nullable(_shape(notation[1:], structs))
    if notation.startswith("["):
        return gojson.ListOf(_shape(notation[1:-1], structs))
    if notation.startswith("{"):
        return gojson.MapOf(_shape(notation[1:-1], structs))
    return _SCALARS[notation] if notation in _SCALARS else structs[notation]

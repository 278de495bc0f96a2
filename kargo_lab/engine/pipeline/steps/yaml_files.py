"""`yaml-update`: values of scalars are replaced in the text, so that comments and layout stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from kargo_lab.engine.pipeline.steps.work import Result, Work
from kargo_lab.errors import PipelineError

MOST_BYTES = 4 * 1024**2
_DOT = re.compile(r"(?<!\\)\.")


def update(config: Mapping[str, Any], work: Work) -> Result:
    """Set keys such as `image.tag` or `containers.0.image`; one that is not there is an error."""
    path, changes = work.path(config), work.items(config, "updates")
    shown = work.text(config, "path")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PipelineError(work.named, f"{shown} is larger than {MOST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(work.named, f"{shown} cannot be read: {error}") from None
    lines = []
    for change in changes:
        key, value = work.text(change, "key"), change.get("value")
        if not isinstance(value, str | int | float | bool):
            raise PipelineError(work.named, f"the value for {key} must be a text, number or boolean; found {value!r}")
        text = _replaced(text, key, value, work, shown)
        lines.append(f"- {key}: {json.dumps(value, ensure_ascii=False)}")
    path.write_text(text, encoding="utf-8")
    return Result(output={"commitMessage": "\n".join([f"Updated {shown}", "", *lines])} if lines else {})


def _replaced(text: str, key: str, value: str | float | bool, work: Work, shown: str) -> str:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PipelineError(work.named, f"{shown} is no YAML: {error}") from None
    for part in _DOT.split(key):
        node = _child(node, part.replace("\\.", "."))
        if node is None:
            raise PipelineError(work.named, f"{shown} has no key {key!r}")
    if not isinstance(node, yaml.ScalarNode):
        raise PipelineError(work.named, f"{key!r} in {shown} is no scalar")
    return text[: node.start_mark.index] + _written(value, node) + text[node.end_mark.index :]


def _child(node: yaml.Node | None, part: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if getattr(name, "value", None) == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isascii() and part.isdecimal() and len(part) < 9:
        place = int(part)
        return node.value[place] if place < len(node.value) else None
    return None


def _written(value: str | float | bool, node: yaml.ScalarNode) -> str:
    """The value as YAML: quoted where the old one was, or where it would otherwise read as something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    quoted = json.dumps(value, ensure_ascii=False)
    if node.style in ("'", '"') or "\n" in value or value != value.strip():
        return quoted
    try:
        whole = yaml.compose(f"a: {value}", Loader=yaml.SafeLoader)
        plain = whole.value[0][1] if whole is not None else None
        same = isinstance(plain, yaml.ScalarNode) and plain.value == value and plain.tag.endswith(":str")
        in_flow = any(character in value for character in ",[]{}")
    except (yaml.YAMLError, AttributeError, ValueError):
        return quoted
    return value if same and not in_flow else quoted

"""The lab API's description: `openapi.yaml` beside this file, as a whole or the part that bears a tag.

The part is computed and not kept beside the whole, so that what we ask of others is what we are held to.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import yaml

CONFORMANCE = "conformance"
_METHODS = ("get", "put", "post", "delete", "patch")


def text() -> str:
    """The whole, as it is written."""
    return resources.files("kargo_lab.service").joinpath("openapi.yaml").read_text(encoding="utf-8")


@cache
def whole() -> dict[str, Any]:
    """The whole, as data; not to be changed."""
    document: dict[str, Any] = yaml.safe_load(text())
    return document


def part(tag: str = CONFORMANCE) -> dict[str, Any]:
    """An OpenAPI document of the operations with that tag and of the components that they need."""
    document = whole()
    paths: dict[str, Any] = {}
    for path, item in document["paths"].items():
        kept = {name: value for name, value in item.items() if name not in _METHODS or tag in value.get("tags", ())}
        if set(kept) & set(_METHODS):
            paths[path] = kept
    components: dict[str, Any] = {"securitySchemes": document["components"]["securitySchemes"]}
    waiting = list(_references(paths))
    while waiting:
        section, name = waiting.pop().removeprefix("#/components/").split("/")
        if name not in components.setdefault(section, {}):
            components[section][name] = document["components"][section][name]
            waiting += _references(components[section][name])
    tags = [each for each in document["tags"] if each["name"] == tag]
    info = {**document["info"], "title": f"{document['info']['title']}: {tag}", "description": tags[0]["description"]}
    return {**document, "info": info, "tags": tags, "paths": paths, "components": components}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def schema(operation: str, status: int) -> dict[str, Any] | None:
    """The JSON Schema of an operation's answer with this status, or None where it has none."""
    document = whole()
    for item in document["paths"].values():
        for name in _METHODS:
            if item.get(name, {}).get("operationId") == operation:
                answer = item[name]["responses"].get(str(status), {})
                content = answer.get("content", {}).get("application/json")
                return {**content["schema"], "components": document["components"]} if content else None
    raise KeyError(operation)

"""The corpus against our own JSON Schemas, written from platforms.md where the sender publishes none."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kargo_lab import payloads, shipped

SCHEMAS = {path.parent: path for path in sorted(shipped.folder("payloads").glob("*/*/schema.json"))}
# Shortened or broken on purpose: what these lack is what they are about.
WORDS = (
    "malformed-* minimal empty-object null* without-* template custom-template tags-null keys-other-case "
    "resource-minimal without-ref-updates"
)
ENTRIES = [
    entry
    for entry in payloads.entries()
    if entry.path.parent in SCHEMAS and not any(Path(entry.variant).match(odd) for odd in WORDS.split())
]


@cache
def _validator(path: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads(path.read_text()))


@pytest.mark.parametrize("path", SCHEMAS.values(), ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_a_schema_is_one_and_names_what_it_follows(path: Path) -> None:
    schema: Any = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$comment"].startswith("platforms.md")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_delivery_has_what_its_platform_always_sends(entry: payloads.Entry) -> None:
    request = payloads.render(entry.platform, entry.event, entry.variant)
    body = json.loads(request.body if request.signed is None else request.signed)
    errors = _validator(SCHEMAS[entry.path.parent]).iter_errors(body)
    assert [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors] == []


def test_unknown_members_do_not_make_a_delivery_wrong() -> None:
    refused = []
    for entry in ENTRIES:
        request = payloads.render(entry.platform, entry.event, entry.variant)
        body = json.loads(request.body if request.signed is None else request.signed)
        if not _validator(SCHEMAS[entry.path.parent]).is_valid({**body, "future_member": [None]}):
            refused.append(entry.id)
    assert not refused, f"of {len(ENTRIES)} deliveries these"

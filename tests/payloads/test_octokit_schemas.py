"""The corpus against what the senders publish: GitHub's official OpenAPI document of its webhooks.

`npm install --no-save @octokit/openapi-webhooks@12.1.0` in the checkout brings the document, or the variable
OCTOKIT_WEBHOOKS names the unpacked package; without it these tests skip.
Members that the document does not know are allowed by it; our deliveries that are odd on purpose are left out.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from kargo_lab import payloads

FOLDER = os.environ.get("OCTOKIT_WEBHOOKS") or str(
    Path(__file__).parents[2] / "node_modules" / "@octokit" / "openapi-webhooks"
)
DOCUMENT = Path(FOLDER) / "generated" / "api.github.com.json"
if not DOCUMENT.is_file():
    pytest.skip(
        "GitHub's OpenAPI document is not here: npm install --no-save @octokit/openapi-webhooks",
        allow_module_level=True,
    )
# Shortened, broken or contradicting the document on purpose; large ones repeat what small ones show.
WORDS = (
    "malformed-* null null-commit empty-object minimal without-* only-html-url wrong-member version-null size-* "
    "commits-20* deleted closed-of-deleted-fork"
)
ODD = WORDS.split()
ENTRIES = [entry for entry in payloads.entries("github") if not any(Path(entry.variant).match(odd) for odd in ODD)]


@cache
def _document() -> Any:
    return json.loads(DOCUMENT.read_text())


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resource("urn:github", Resource.from_contents(_document(), DRAFT202012)).crawl()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_delivery_fits_the_schema_of_its_event(entry: payloads.Entry) -> None:
    request = payloads.render(entry.platform, entry.event, entry.variant)
    body = json.loads(request.body if request.signed is None else request.signed)
    name = entry.event + (f"-{body['action'].replace('_', '-')}" if "action" in body else "")
    schema = _document()["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
    wanted = {"$ref": "urn:github" + schema["$ref"]} if "$ref" in schema else schema
    misfits = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft202012Validator(wanted, registry=_registry()).iter_errors(body)
    ]
    assert not misfits


def test_the_headers_of_a_delivery_are_those_that_the_document_names() -> None:
    named = {parameter["name"].lower() for parameter in _document()["webhooks"]["push"]["post"]["parameters"]}
    request = payloads.sign(payloads.render("github", "push"), "github", "s3cr3t")
    assert named <= {name.lower() for name, _ in request.headers}

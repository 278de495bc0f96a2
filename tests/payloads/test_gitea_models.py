"""What our Gitea deliveries say of repositories, users and pull requests is read by a client of other people's.

The envelopes of hooks are not in Gitea's OpenAPI, but these objects are, and the client's models are made from it.
"""

from __future__ import annotations

import json

import pytest

from kargo_lab import payloads

models = pytest.importorskip("gitea_api_client.models", reason="gitea-api-client is not installed")

MODELS = {"repository": "Repository", "sender": "User", "pusher": "User", "pull_request": "PullRequest"}
# A User is written with this beside `login`, for old clients; the description leaves it out (platforms.md 10.2).
UNDESCRIBED = {"username"}
# Written to be strange: their bodies are no deliveries that Gitea would send.
ODD = ("malformed", "minimal", "empty", "oversized", "form", "unknown", "null")
ENTRIES = [entry for entry in payloads.entries("gitea") if not entry.variant.startswith(ODD)]
PARTS = [
    pytest.param(entry, member, id=f"{entry.event}/{entry.variant}: {member}")
    for entry in ENTRIES
    for member in MODELS
    if member in json.loads(payloads.render("gitea", entry.event, entry.variant).body)
]


def test_there_are_enough_of_them() -> None:
    print(f"{len(PARTS)} objects in {len(ENTRIES)} deliveries")
    assert len(PARTS) >= 30


@pytest.mark.parametrize(("entry", "member"), PARTS)
def test_gitea_s_own_description_reads_it(entry: payloads.Entry, member: str) -> None:
    document = json.loads(payloads.render("gitea", entry.event, entry.variant).body)[member]
    model = getattr(models, MODELS[member])
    read = model.model_validate(document)
    known = {field.alias or name for name, field in model.model_fields.items()}
    assert set(document) - known <= UNDESCRIBED
    assert read.to_dict()

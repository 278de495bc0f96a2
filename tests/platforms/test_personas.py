"""Which event makes which deliveries, platform by platform; pure, without registry, corpus or network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.habits import HABITS
from kargo_lab.platforms.oci.events import BLOB, RegistryEvent
from kargo_lab.platforms.oci.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from kargo_lab.platforms.oci.personas import ABSENT, HELM, PERSONAS, with_facts

DIGEST = "sha256:" + "a" * 64
PUSHED = RegistryEvent(
    action="push", repository="acme/guestbook", digest=DIGEST, tag="1.0.0", media_type=OCI_MANIFEST, size=500,
    config_media_type="application/vnd.oci.image.config.v1+json", config_digest=DIGEST, config_size=20, method="PUT",
    host="registry.example:5000", user_agent="docker/28", id="0" * 32, time=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def changed(**changes: Any) -> RegistryEvent:
    return attrs.evolve(PUSHED, **changes)


UNTAGGED = changed(tag="")
BLOB_PUSHED = changed(kind="blob", tag="", media_type=BLOB)
EVENTS = {
    "a tag is pushed": PUSHED,
    "a child is pushed by digest": UNTAGGED,
    "a layer is pushed": BLOB_PUSHED,
    "a layer is mounted": changed(action="mount", kind="blob", tag=""),
    "a manifest is pulled with GET": changed(action="pull", method="GET"),
    "a manifest is looked at with HEAD": changed(action="pull", method="HEAD"),
    "a layer is pulled": changed(action="pull", kind="blob", tag="", method="GET"),
    "a manifest is deleted": changed(action="delete", tag=""),
    "a tag is deleted": changed(action="delete", kind="tag"),
}
NOTHING: list[str] = []
TABLE = {
    "docker-hub": {"a tag is pushed": ["push"]},
    "quay": {"a tag is pushed": ["repo_push"]},
    "harbor": {
        "a tag is pushed": ["PUSH_ARTIFACT"],
        "a child is pushed by digest": ["PUSH_ARTIFACT"],
        "a manifest is pulled with GET": ["PULL_ARTIFACT"],
        "a manifest is deleted": ["DELETE_ARTIFACT"],
    },
    "acr": {
        "a tag is pushed": ["push"],
        "a child is pushed by digest": ["push"],
        "a manifest is deleted": ["delete"],
    },
    "artifactory": {"a tag is pushed": ["docker/pushed"], "a tag is deleted": ["docker/deleted"]},
    "ghcr": {
        "a tag is pushed": ["package", "registry_package"],
        "a child is pushed by digest": ["package", "registry_package"],
    },
    "registry": {
        "a tag is pushed": ["push"],
        "a child is pushed by digest": ["push"],
        "a layer is pushed": ["push"],
        "a layer is mounted": ["mount"],
        "a manifest is pulled with GET": ["pull"],
        "a manifest is looked at with HEAD": ["pull"],
        "a layer is pulled": ["pull"],
        "a manifest is deleted": ["delete"],
        "a tag is deleted": ["delete"],
    },
}


@pytest.mark.parametrize("happened", EVENTS)
@pytest.mark.parametrize("persona", TABLE)
def test_an_event_makes_these_deliveries(persona: str, happened: str) -> None:
    calls = PERSONAS[persona].calls(EVENTS[happened])
    assert [call.event for call in calls] == TABLE[persona].get(happened, NOTHING)


def test_the_table_is_about_all_personas() -> None:
    assert set(TABLE) == set(PERSONAS)


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda persona: persona.name)
def test_every_persona_has_habits_and_events_of_its_own(persona: Any) -> None:
    assert persona.habit in HABITS
    assert {rule.event for rule in persona.rules} >= set(persona.default_events)


def facts(persona: str, event: RegistryEvent, kind: str = "") -> Any:
    return PERSONAS[persona].calls(event, kind)[0].facts


def test_docker_hub_puts_official_images_below_library() -> None:
    (call,) = PERSONAS["docker-hub"].calls(changed(repository="nginx"))
    assert (call.parameters["repository"], call.facts["repository.is_official"]) == ("library/nginx", True)


@pytest.mark.parametrize(
    ("event", "told"),
    [(PUSHED, OCI_MANIFEST), (changed(media_type=OCI_INDEX), OCI_INDEX), (changed(config_media_type=HELM), HELM)],
)
def test_docker_hub_tells_the_media_type(event: RegistryEvent, told: str) -> None:
    assert facts("docker-hub", event)["push_data.media_type"] == told


def test_harbor_names_a_digest_as_the_tag_and_with_an_at_sign() -> None:
    told = facts("harbor", UNTAGGED)
    assert told["event_data.resources.0.tag"] == DIGEST
    assert told["event_data.resources.0.resource_url"] == f"registry.example:5000/acme/guestbook@{DIGEST}"


def test_harbor_splits_a_nested_repository_after_the_project() -> None:
    told = facts("harbor", changed(repository="acme/shop/guestbook"))
    assert (told["event_data.repository.namespace"], told["event_data.repository.name"]) == ("acme", "shop/guestbook")


def test_harbor_has_another_format() -> None:
    (call,) = PERSONAS["harbor"].calls(PUSHED, "CloudEvents")
    assert (call.payload, call.facts["type"]) == ("cloudevents", "harbor.artifact.pushed")
    assert call.facts["data.resources.0.tag"] == "1.0.0"


def test_acr_tells_what_it_knows_of_the_manifest() -> None:
    told = facts("acr", changed(media_type=OCI_INDEX))
    assert (told["target.mediaType"], told["target.size"], told["target.repository"]) == (
        OCI_INDEX,
        500,
        "acme/guestbook",
    )


@pytest.mark.parametrize(
    ("event", "path", "image_type"),
    [
        pytest.param(PUSHED, "guestbook/1.0.0/manifest.json", "oci", id="an OCI image"),
        pytest.param(changed(media_type=DOCKER_MANIFEST), "guestbook/1.0.0/manifest.json", "docker", id="an image"),
        pytest.param(changed(media_type=OCI_INDEX), "guestbook/1.0.0/list.manifest.json", "oci", id="an index"),
        pytest.param(changed(repository="acme/a/b"), "a/b/1.0.0/manifest.json", "oci", id="a nested image"),
    ],
)
def test_artifactory_tells_a_path(event: RegistryEvent, path: str, image_type: str) -> None:
    told = facts("artifactory", event)
    assert (told["data.path"], told["data.image_type"]) == (path, image_type)


def test_artifactory_takes_the_first_part_for_the_repository_key_and_the_last_for_the_image_name() -> None:
    (call,) = PERSONAS["artifactory"].calls(changed(repository="docker-local/a/b"))
    assert (call.parameters["repo_key"], call.facts["data.image_name"]) == ("docker-local", "b")


def test_artifactory_lists_the_platforms_of_an_index() -> None:
    told = facts("artifactory", changed(media_type=OCI_INDEX, platforms=(("linux", "arm64"),)))
    assert told["data.platforms"] == [{"architecture": "arm64", "os": "linux"}]


def test_the_address_of_an_untagged_package_ends_in_a_colon() -> None:
    told = facts("ghcr", changed(tag="", repository="Acme/GuestBook"))
    assert told["package.package_version.package_url"] == "registry.example:5000/acme/guestbook:"


def test_an_index_has_no_config_at_ghcr() -> None:
    told = facts("ghcr", changed(media_type=OCI_INDEX))
    assert told["package.package_version.container_metadata.manifest.config"] is ABSENT


@pytest.mark.parametrize(("existed", "action"), [(False, "published"), (True, "updated")])
def test_a_known_manifest_under_a_new_tag_is_an_update_at_ghcr(existed: bool, action: str) -> None:
    assert facts("ghcr", changed(existed=existed))["action"] == action


def test_the_plain_registry_says_from_where_a_layer_was_mounted() -> None:
    told = facts("registry", changed(action="mount", kind="blob", tag="", from_repository="acme/other"))
    assert told["events.0.target.fromRepository"] == "acme/other"
    assert told["events.0.target.url"].endswith(f"/v2/acme/guestbook/blobs/{DIGEST}")


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({"a": 1}, {"a": 1, "b": {"c": [{"d": 2}]}}),
        ({"b.c.0.d": 3}, {"b": {"c": [{"d": 3}]}}),
        ({"b.c.0.d": ABSENT, "x": ABSENT}, {"b": {"c": [{}]}}),
        ({"b.c.5.d": 3, "b.q.r": 3, "b.c.d": 3, "z.y": 1}, {"b": {"c": [{"d": 2}]}}),
    ],
    ids=["a new member", "a member of a list", "a member less", "what has no parent is passed over"],
)
def test_facts_are_put_into_a_payload(facts: dict[str, Any], result: Any) -> None:
    assert json.loads(with_facts(b'{"b": {"c": [{"d": 2}]}}', facts)) == result


DOCUMENTS = st.recursive(
    st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab0"), inner), max_leaves=8
)


@given(st.text(alphabet="ab.0", max_size=8), DOCUMENTS)
def test_whatever_the_path_a_payload_stays_json(path: str, document: Any) -> None:
    json.loads(with_facts(json.dumps(document).encode(), {path: 1}))

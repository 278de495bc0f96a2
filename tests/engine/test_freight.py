"""Freight names: every record of freight-names.json, and the worked vectors of discovery.md 7.4."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.engine import freight
from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.resources.artifacts import DiscoveredArtifacts, GenericDiscovery, ImageDiscovery, ImageReference
from kargo_lab.resources.pipeline import (
    Freight,
    FreightArtifact,
    FreightChart,
    FreightCommit,
    FreightImage,
    Origin,
)

DATA = json.loads((Path(__file__).parents[1] / "data" / "freight-names.json").read_text())
FIELDS = {
    "repoURL": "repo_url",
    "subscriptionName": "subscription_name",
    "artifactType": "artifact_type",
}
KINDS = {"commits": FreightCommit, "images": FreightImage, "charts": FreightChart, "artifacts": FreightArtifact}


def piece(document: dict[str, Any]) -> Freight:
    lists = {
        kind: tuple(
            made(**{FIELDS.get(name, name): value for name, value in each.items()}) for each in document.get(kind, ())
        )
        for kind, made in KINDS.items()
    }
    return Freight(namespace="p", name="", origin=Origin(**document["origin"]), **lists)


@pytest.mark.parametrize("record", [pytest.param(each, id=each["case"]) for each in DATA["freight"]])
def test_the_name(record: dict[str, Any]) -> None:
    made = piece(record["freight"])
    assert (freight.hashed_text(made), freight.freight_name(made)) == (record["hashed"], record["name"])


@pytest.mark.parametrize("record", DATA["collections"], ids=lambda each: f"{len(each['freight_names'])} pieces")
def test_the_id_of_a_collection(record: dict[str, Any]) -> None:
    assert freight.collection_id(record["freight_names"]) == record["collection_id"]


def test_names_of_subscriptions_count_since_head() -> None:
    named = next(each for each in DATA["freight"] if each["case"] == "named image subscription")
    made = piece(named["freight"])
    assert freight.freight_name(made, profile=PROFILES["v1.11"]) != freight.freight_name(made)


def test_an_empty_generic_result_cannot_be_built() -> None:
    with pytest.raises(freight.FreightBuildError):
        freight.build(DiscoveredArtifacts(results=(GenericDiscovery(name="m"),)))


def test_the_best_of_each_result_is_taken() -> None:
    images = ImageDiscovery(repo_url="r", references=(ImageReference(tag="2"), ImageReference(tag="1")))
    assert [each.tag for each in freight.build(DiscoveredArtifacts(images=(images,))).images] == ["2"]


def test_newest_goes_by_discovery_then_by_name() -> None:
    old = Freight(namespace="p", name="b", origin=Origin(name="w"), discovered_at="2026-01-01T00:00:00Z")
    new = attrs.evolve(old, name="a", discovered_at="2026-01-02T00:00:00Z")
    tied = attrs.evolve(old, name="c")
    assert freight.newest([old, new]) is new
    assert freight.newest([old, tied]) is tied
    assert freight.newest([]) is None


def test_before_v1_11_newest_goes_by_creation() -> None:
    first = Freight(
        namespace="p",
        name="a",
        origin=Origin(name="w"),
        created_at="2026-01-02T00:00:00Z",
        discovered_at="2026-01-01T00:00:00Z",
    )
    second = attrs.evolve(first, name="b", created_at="2026-01-01T00:00:00Z", discovered_at="2026-01-02T00:00:00Z")
    assert freight.newest([first, second], profile=PROFILES["v1.10"]) is first
    assert freight.newest([first, second], profile=LATEST) is second


@given(st.randoms(use_true_random=False))
def test_the_order_of_artifacts_does_not_matter(random: Random) -> None:
    images = [FreightImage(repo_url=f"r/{name}", tag="1", digest="sha256:0") for name in "abc"]
    made = Freight(namespace="", name="", origin=Origin(name="w"), images=tuple(images))
    random.shuffle(images)
    assert freight.freight_name(attrs.evolve(made, images=tuple(images))) == freight.freight_name(made)


def test_aliases_are_two_words() -> None:
    assert freight.alias(Random(1)).count("-") == 1

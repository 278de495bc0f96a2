"""Every record of request-counts.json, counted at the registry itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.platforms.oci.auth import BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.sources import images
from kargo_lab.sources.credentials import Credentials
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, Shared

DATA = json.loads((Path(__file__).parents[1] / "data" / "request-counts.json").read_text())
USERS = {"robot": "s3cr3t"}
AUTHORITIES = {"none": lambda: None, "basic": lambda: BasicAuthority(USERS), "bearer": lambda: BearerAuthority(USERS)}
SETUP_WORDS = (
    "case strategy image auth credentials tag_cache tags limit platform platforms_per_index "
    "attestations_per_index page_cap blob_redirects constraint allowTagsRegexes"
)
SETUP = SETUP_WORDS.split()


def paired(records: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """One test a set-up: its cold pass, and the warm one after it where the file has one."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(json.dumps([record[key] for key in SETUP]), []).append(record)
    for passes in groups.values():
        first = passes[0]
        words = [first["case"], first["strategy"], first["image"], first["auth"]]
        yield pytest.param(passes, id=" ".join([*words, *(["tag cache"] if first["tag_cache"] else [])]))


def fill(scene: SimpleNamespace, registry: Registry, record: dict[str, Any]) -> None:
    platforms, tags = record["platforms_per_index"] or 0, [scene.version(index) for index in range(record["tags"])]
    if not platforms or "on one" in record["case"]:
        # Single images are fetched tag by tag whatever they hold, so one will do for all; without tags, one untagged.
        registry.push("acme/web", scene.image("same", platforms=platforms), *tags)
        return
    for tag in tags:
        made = scene.image(tag, platforms=platforms, attestations=bool(record["attestations_per_index"]))
        registry.push("acme/web", made, tag)


def change(scene: SimpleNamespace, registry: Registry, record: dict[str, Any]) -> None:
    """What happens between the two passes, by the words of the case."""
    platforms = record["platforms_per_index"] or 0
    if record["case"].startswith("one new tag"):
        registry.push("acme/web", scene.image("new", platforms=platforms), scene.version(record["tags"]))
    if "re-pointed" in record["case"]:
        registry.push("acme/web", scene.image("moved", platforms=platforms), scene.version(record["tags"] - 1))


def subscription(registry: Registry, record: dict[str, Any]) -> ImageSubscription:
    return ImageSubscription(
        repo_url=f"{registry.host}/acme/web",
        image_selection_strategy=record["strategy"],
        constraint=record["constraint"] or "",
        allow_tags_regexes=tuple(record["allowTagsRegexes"] or ()),
        platform=record["platform"] or "",
        discovery_limit=record["limit"],
        cache_by_tag=record["tag_cache"],
    )


@pytest.fixture(scope="module")
def registries(scene: SimpleNamespace) -> Iterator[Callable[[dict[str, Any]], Registry]]:
    """A filled registry for each set-up; those that no test changes are used by many."""
    running: dict[str, Registry] = {}

    def of(record: dict[str, Any]) -> Registry:
        changes = "re-pointed" in record["case"] or "new tag" in record["case"]
        alike = ("image", "auth", "tags", "platforms_per_index", "attestations_per_index", "page_cap", "blob_redirects")
        key = json.dumps([record[name] for name in alike] + ([record] if changes or "on one" in record["case"] else []))
        if key not in running:
            settings = RegistrySettings(page_cap=record["page_cap"] or 0, redirect_blobs=record["blob_redirects"])
            running[key] = Registry(settings=settings, authority=AUTHORITIES[record["auth"]]()).start()
            fill(scene, running[key], record)
        return running[key]

    yield of
    for registry in running.values():
        registry.stop()


@pytest.mark.parametrize("passes", list(paired(DATA["image"])))
def test_images(
    scene: SimpleNamespace, registries: Callable[[dict[str, Any]], Registry], passes: list[dict[str, Any]]
) -> None:
    record, registry, ledger = passes[0], registries(passes[0]), Ledger()
    credentials = Credentials(username="robot", password="s3cr3t") if record["credentials"] else Credentials()
    context = Context(
        shared=Shared(ledger=ledger, workers=1), clock=VirtualClock(), warehouse="p/w", credentials=credentials
    )
    for number, expected in enumerate(passes):
        if number:
            change(scene, registry, record)
        registry.access_log.clear()
        ledger.clear()
        found = images.discover(subscription(registry, record), context)
        assert scene.kinds(registry.access_log.rows) == expected["requests"]
        assert ledger.counts() == expected["requests"]
        assert len(found.references) == expected["references"]

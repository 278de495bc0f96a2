"""Vectors of image-selection.json, walked over tags that are described instead of fetched."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kargo_lab import selection
from kargo_lab.errors import SelectionError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.rules import rfc3339
from kargo_lab.selection import ImageFacts, PlatformFacts
from kargo_lab.selection.images import caches_by_tag
from kargo_lab.sources import image_facts

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "image-selection.json").read_text())
# What a registry's status codes mean is the business of sources.
PURE = [record for record in RECORDS if not {"listing_status", "ping_status"} & set(record)]
FIELDS = {
    "imageSelectionStrategy": "image_selection_strategy",
    "discoveryLimit": "discovery_limit",
    "strictSemvers": "strict_semvers",
    "constraint": "constraint",
    "platform": "platform",
    "allowTagsRegexes": "allow_tags_regexes",
    "ignoreTagsRegexes": "ignore_tags_regexes",
    "allowTags": "allow_tags",
    "ignoreTags": "ignore_tags",
}


class BrokenImageError(Exception):
    """A manifest that cannot be had."""


class MissingImageError(BrokenImageError):
    """Not found, which the Digest strategy forgives."""


def _subscription(document):
    given = {FIELDS[key]: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    return ImageSubscription(repo_url="registry.example.com/team/app", **({"strict_semvers": None} | given))


def _config(described):
    return {"created": described.get("created") or "", "config": {"Labels": described.get("labels", {})}}


def _child(entry):
    if entry.get("missing"):
        raise MissingImageError
    created = image_facts.single_created(entry.get("manifest_annotations", {}), _config(entry))
    platform = image_facts.Platform(
        os=entry["os"],
        arch=entry["arch"],
        variant=entry.get("variant", ""),
        annotations=entry.get("annotations", {}),
    )
    child = image_facts.Child(digest="", platform=platform)
    return child, image_facts.child_created(child, created)


def _image(tags, name):
    described = next((tag for tag in tags if tag["name"] == name), {"kind": "missing"})
    if "same" in described:
        described = next(tag for tag in tags if tag["name"] == described["same"])
    if described["kind"] == "missing":
        raise MissingImageError
    if described["kind"] == "single":
        annotations = described.get("annotations", {})
        created = image_facts.single_created(annotations, _config(described))
        return ImageFacts(tag=name, created=created, annotations=annotations)
    if described["kind"] != "index":
        raise BrokenImageError
    usable = [
        entry
        for entry in described["children"]
        if not {"attestation", "no_platform"} & set(entry)
        and "" not in (entry["os"], entry["arch"])
        and "unknown" not in (entry["os"], entry["arch"])
    ]
    if not usable:
        raise BrokenImageError
    children = [_child(entry) for entry in usable]
    annotations = described.get("annotations", {})
    created = image_facts.index_created(annotations, [time for _, time in children])
    platforms = tuple(child.platform for child, _ in children)
    return ImageFacts(tag=name, created=created, annotations=annotations, platforms=platforms)


def _discover(selector, tags):
    """The walk that sources make, without its requests."""
    found = []
    for name in selector.shortlist([tag["name"] for tag in tags]):
        try:
            image = _image(tags, name)
        except MissingImageError:
            if not selector.needs_listing:
                continue
            raise
        if selector.platform_reason(image):
            found.append(image)
        if len(found) == selector.limit and not selector.needs_all_images:
            break
    return selector.rank(found)


def _shown(selector, image, expected):
    created = image.created
    time = None if created is None else datetime.fromtimestamp(created // rfc3339.SECOND, UTC)
    shown = {
        "tag": image.tag,
        "created": time and time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "annotations": dict(selector.annotations(image)),
    }
    return {key: shown[key] for key in expected if key in shown}


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in PURE if "result" in r])
def test_discovers_as_kargo_does(record):
    selector = selection.build(_subscription(record["subscription"]))
    found = _discover(selector, record["tags"])
    expected = [{key: each[key] for key in each if key != "digest"} for each in record["result"]]
    assert [_shown(selector, image, want) for image, want in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in PURE if r.get("error") == "configuration"])
def test_a_subscription_that_kargo_cannot_use_is_refused(record):
    with pytest.raises(SelectionError):
        selection.build(_subscription(record["subscription"]))


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in PURE if r.get("error") == "discovery"])
def test_a_broken_image_on_the_way_fails_the_walk(record):
    selector = selection.build(_subscription(record["subscription"]))
    with pytest.raises(BrokenImageError):
        _discover(selector, record["tags"])


EVENTS = [(r, tag, taken) for r in RECORDS for tag, taken in r.get("event_tags", {}).items()]


@pytest.mark.parametrize(
    ("record", "tag", "taken"), [pytest.param(r, t, k, id=f"{r['case']}: {t}") for r, t, k in EVENTS]
)
def test_a_webhook_for_a_tag_is_judged_as_kargo_does(record, tag, taken):
    assert bool(selection.build(_subscription(record["subscription"])).matches([tag])) is taken


def test_all_records_but_those_about_status_codes_are_run():
    assert (len(RECORDS), len(PURE)) == (97, 92)


def _image_of(tag, **facts):
    return ImageFacts(tag=tag, **facts)


@pytest.mark.parametrize(
    ("tag", "rule"),
    [
        pytest.param("v1-rc", "ignored-tag", id="the ignore list is named first"),
        pytest.param("nightly", "not-allowed-tag", id="then a tag that nothing allows"),
        pytest.param("v1x", "not-a-version", id="then one that is no version"),
        pytest.param("v1.0.0", "constraint", id="then one that the constraint leaves out"),
        pytest.param("v2.0.0", "constraint", id="and the constraint says yes as well"),
    ],
)
def test_reasons_name_the_rule_that_decided(tag, rule):
    subscription = ImageSubscription(
        repo_url="ex/app", constraint="^2.0.0", allow_tags_regexes=("^v",), ignore_tags_regexes=("-rc",)
    )
    assert selection.build(subscription).judge(tag).rule == rule


@pytest.mark.parametrize(
    ("profile", "constraint", "semver_constraint", "tag", "taken"),
    [
        pytest.param("v1.6", "^9", "^1", "1.0.0", True, id="v1.6 knows semverConstraint only"),
        pytest.param("v1.8", "^1", "^9", "1.0.0", True, id="v1.8 prefers constraint"),
        pytest.param("v1.8", "", "^9", "1.0.0", False, id="v1.8 falls back to semverConstraint"),
        pytest.param("v1.9", "", "^9", "1.0.0", True, id="v1.9 has forgotten it"),
    ],
)
def test_which_constraint_counts(profile, constraint, semver_constraint, tag, taken):
    subscription = ImageSubscription(repo_url="ex/app", constraint=constraint, semver_constraint=semver_constraint)
    assert bool(selection.build(subscription, PROFILES[profile]).judge(tag)) is taken


def test_an_index_with_two_entries_of_one_platform_was_an_error_up_to_1_8():
    subscription = ImageSubscription(repo_url="ex/app", platform="linux/amd64")
    image = _image_of("1.0.0", platforms=(PlatformFacts(os="linux", arch="amd64"),) * 2)
    with pytest.raises(SelectionError, match=r"^platform: 2 entries of '1\.0\.0' are for linux/amd64$"):
        selection.build(subscription, PROFILES["v1.8"]).platform_reason(image)


def test_and_is_fine_since():
    subscription = ImageSubscription(repo_url="ex/app", platform="linux/amd64")
    image = _image_of("1.0.0", platforms=(PlatformFacts(os="linux", arch="amd64"),) * 2)
    assert selection.build(subscription).platform_reason(image)


def test_one_entry_of_a_platform_was_fine_up_to_1_8_too():
    subscription = ImageSubscription(repo_url="ex/app", platform="linux/amd64")
    image = _image_of("1.0.0", platforms=(PlatformFacts(os="linux", arch="amd64"),))
    assert selection.build(subscription, PROFILES["v1.8"]).platform_reason(image)


def test_newest_build_fetches_in_the_order_of_the_listing():
    subscription = ImageSubscription(repo_url="ex/app", image_selection_strategy="NewestBuild")
    assert selection.build(subscription).shortlist(["a", "c", "b"]) == ("a", "c", "b")


def test_the_registry_is_asked_for_the_repository_in_normal_form():
    reference = selection.build(ImageSubscription(repo_url="Ex/App")).reference
    assert (reference.registry, reference.repository) == ("index.docker.io", "ex/app")


def test_before_the_cleanup_of_urls_a_repository_in_upper_case_was_refused():
    with pytest.raises(SelectionError, match="repoURL"):
        selection.build(ImageSubscription(repo_url="Ex/App"), PROFILES["v1.8"])


@pytest.mark.parametrize(("profile", "taken"), [("v1.6", False), ("v1.8", True)])
def test_leading_zeros_are_read_as_the_semver_library_of_the_release_does(profile, taken):
    subscription = ImageSubscription(repo_url="ex/app", strict_semvers=False)
    assert bool(selection.build(subscription, PROFILES[profile]).judge("2024.01")) is taken


@pytest.mark.parametrize(("profile", "built"), [("v1.8", True), ("latest", False)])
def test_a_long_constraint_is_read_as_the_semver_library_of_the_release_does(profile, built):
    subscription = ImageSubscription(repo_url="ex/app", constraint="||".join("1" * 33))
    try:
        selection.build(subscription, PROFILES[profile])
    except SelectionError:
        assert not built
    else:
        assert built


def test_an_unknown_strategy_is_refused():
    with pytest.raises(SelectionError, match="imageSelectionStrategy"):
        selection.build(ImageSubscription(repo_url="ex/app", image_selection_strategy="Newest"))


def test_a_repository_that_is_no_reference_is_refused():
    with pytest.raises(SelectionError, match="repoURL"):
        selection.build(ImageSubscription(repo_url="Bad Name"))


@pytest.mark.parametrize(
    ("policy", "own", "used"),
    [
        ("Allow", True, True),
        ("Allow", False, False),
        ("Forbid", True, False),
        ("Force", False, True),
        ("Require", True, True),
    ],
)
def test_the_operators_cache_policy_decides(policy, own, used):
    assert caches_by_tag(ImageSubscription(repo_url="ex/app", cache_by_tag=own), policy) is used


@pytest.mark.parametrize("policy", ["Require", "Perhaps"])
def test_a_cache_policy_may_refuse(policy):
    with pytest.raises(SelectionError, match="cacheByTag"):
        caches_by_tag(ImageSubscription(repo_url="ex/app"), policy)


@pytest.mark.parametrize(("profile", "registry"), [("v1.11", "index.docker.io"), ("latest", "localhost")])
def test_whether_bare_localhost_is_a_registry_is_a_matter_of_the_release(profile, registry):
    found = selection.build(ImageSubscription(repo_url="localhost/app"), PROFILES[profile])
    assert found.reference.registry == registry

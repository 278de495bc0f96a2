"""Vectors of chart-selection.json: what a subscription takes of the versions that a repository lists."""

import json
from pathlib import Path

import pytest
import yaml

from kargo_lab import selection
from kargo_lab.errors import SelectionError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import ChartSubscription

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "chart-selection.json").read_text())
FIELDS = {
    "repoURL": "repo_url",
    "name": "chart_name",
    "discoveryLimit": "discovery_limit",
    "semverConstraint": "semver_constraint",
}


def _selector(record, profile="latest"):
    fields = {FIELDS[key]: value for key, value in record["subscription"].items()}
    return selection.build(ChartSubscription(**fields), PROFILES[profile])


def _listed(record):
    """The versions of the index with their written text, as BaseLoader reads it; or the registry's tags."""
    if "tags" in record:
        return record["tags"]
    entries = (yaml.load(record["index_yaml"], yaml.BaseLoader) or {}).get("entries") or {}
    versions = [entry.get("version") for entry in entries.get(record["subscription"]["name"], [])]
    return [version for version in versions if version and version != "null"]


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in RECORDS if "versions" in r])
def test_orders_versions_as_kargo_does(record):
    assert list(_selector(record).order(_listed(record))) == record["versions"]


@pytest.mark.parametrize(
    "record", [pytest.param(r, id=r["case"]) for r in RECORDS if r.get("error") == "configuration"]
)
def test_a_subscription_that_kargo_cannot_use_is_refused(record):
    with pytest.raises(SelectionError):
        _selector(record)


EVENTS = [(r, v, taken) for r in RECORDS for v, taken in r.get("event_versions_accepted", {}).items()]


@pytest.mark.parametrize(
    ("record", "version", "taken"), [pytest.param(r, v, k, id=f"{r['case']}: {v}") for r, v, k in EVENTS]
)
def test_a_webhook_for_a_version_is_judged_as_kargo_does(record, version, taken):
    assert bool(_selector(record).matches([version])) is taken


def test_there_are_40_records():
    assert len(RECORDS) == 40


OCI = {"subscription": {"repoURL": "oci://ghcr.io/ex/chart", "semverConstraint": "^1.0.0"}}


@pytest.mark.parametrize(("profile", "taken"), [("latest", False), ("recommended", True)])
def test_a_tag_with_an_underscore_is_missed_by_kargo_and_not_by_the_sound_filter(profile, taken):
    assert bool(_selector(OCI, profile).matches(["1.0.0_build.1"])) is taken


def test_the_sound_filter_also_takes_what_kargos_takes():
    assert _selector(OCI, "recommended").matches(["1.0"])


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        pytest.param("v1.0.0", "not-a-version", id="a registry's tag has no v"),
        pytest.param("1.0", "not-a-version", id="nor a short form"),
        pytest.param("2.0.0", "constraint", id="the constraint counts"),
        pytest.param("1.2.3_b", "version", id="an underscore stands for a plus"),
    ],
)
def test_tags_of_a_registry_are_judged_strictly(found, rule):
    assert _selector(OCI).judge(found).rule == rule


def test_an_index_lies_below_the_url():
    record = {"subscription": {"repoURL": "https://charts.example.com/stable/", "name": "web"}}
    assert _selector(record).index_url == "https://charts.example.com/stable/index.yaml"


def test_the_webhook_filter_names_the_version_it_refuses():
    assert "2.0.0" in _selector(OCI).matches(["2.0.0"]).text

"""All records of vectors/matching.json, on every release that they hold for."""

import json
from pathlib import Path

import pytest

from kargo_lab import matching, selection
from kargo_lab.errors import SelectionError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GitSubscription,
    ImageSubscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.wire import Push

RECORDS = json.loads((Path(__file__).parent / "data" / "matching.json").read_text())
RELEASES = {
    "v1.7": (1, 7, 10),
    "v1.8": (1, 8, 14),
    "v1.9": (1, 9, 10),
    "v1.10": (1, 10, 10),
    "v1.11": (1, 11, 2),
    "latest": (1, 12, 0),
}
FIELDS = {
    "repoURL": "repo_url",
    "commitSelectionStrategy": "commit_selection_strategy",
    "branch": "branch",
    "semverConstraint": "semver_constraint",
    "strictSemvers": "strict_semvers",
    "allowTags": "allow_tags",
    "ignoreTags": "ignore_tags",
    "allowTagsRegexes": "allow_tags_regexes",
    "ignoreTagsRegexes": "ignore_tags_regexes",
    "includePaths": "include_paths",
    "excludePaths": "exclude_paths",
    "expressionFilter": "expression_filter",
    "imageSelectionStrategy": "image_selection_strategy",
    "constraint": "constraint",
    "platform": "platform",
}
KINDS = {"git": GitSubscription, "image": ImageSubscription, "chart": ChartSubscription}


def _subscription(document):
    ((kind, members),) = ((key, value) for key, value in document.items() if key != "name")
    fields = FIELDS | ({"name": "chart_name"} if kind == "chart" else {})
    given = {fields[key]: tuple(value) if isinstance(value, list) else value for key, value in members.items()}
    # An absent setting is really absent: what admission would write has to be taken back.
    absent = {"strict_semvers": None} if kind != "chart" else {}
    return KINDS[kind](**(absent | given))


def _releases(record):
    since = tuple(map(int, record["since"].split(".")))
    until = tuple(map(int, record["until"].split("."))) if record["until"] else (9,)
    return [name for name, number in RELEASES.items() if since <= number <= until]


CASES = [(record, name) for record in RECORDS for name in _releases(record)]


def _id(record, name):
    ((kind, members),) = ((key, value) for key, value in record["subscription"].items() if key != "name")
    shown = {key: value for key, value in members.items() if key != "strictSemvers"}
    text = f"{kind} {json.dumps(shown)} pushed {record['qualifiers']} {record['changedFiles']}: {record['result']}"
    return f"{name}: {text}".encode("ascii", "backslashreplace").decode()[:200]


@pytest.mark.parametrize(("record", "name"), [pytest.param(r, n, id=_id(r, n)) for r, n in CASES])
def test_the_selector_judges_as_kargo_does(record, name):
    try:
        reason = selection.build(_subscription(record["subscription"]), PROFILES[name]).matches(
            record["qualifiers"], record["changedFiles"]
        )
    except SelectionError:
        outcome = "error"
    else:
        outcome = "match" if reason else "no-match"
    assert outcome == record["result"]


# Through the whole of `match` an empty qualifier is dropped, and an empty URL is nobody's.
REACHABLE = [(r, n) for r, n in CASES if all(r["qualifiers"]) and r["subscription"] != {"chart": {"repoURL": "oci://"}}]


@pytest.mark.parametrize(("record", "name"), [pytest.param(r, n, id=_id(r, n)) for r, n in REACHABLE])
def test_a_push_is_matched_as_kargo_does(record, name):
    profile, subscription = PROFILES[name], _subscription(record["subscription"])
    warehouse = Warehouse(namespace="p1", name="w", spec=WarehouseSpec(subscriptions=(subscription,)))
    push = Push(
        repo_urls=(selection.repository_key(subscription, profile),),
        qualifiers=tuple(record["qualifiers"]),
        changed_files=tuple(record["changedFiles"]),
    )
    found = matching.match(push, [warehouse], profile)
    assert {"match": found.refresh, "no-match": found.left_alone, "error": found.failure}[record["result"]]


def test_every_record_is_run():
    assert len(RECORDS) == 338
    assert {id(record) for record, _ in CASES} == {id(record) for record in RECORDS}

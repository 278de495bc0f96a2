"""Whole passes: every record of conditions.json, with the real criteria behind it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from kargo_lab.engine import freight, reconciliation, timers
from kargo_lab.engine.criteria import satisfied
from kargo_lab.engine.reconciliation import Conclusion
from kargo_lab.engine.status import Condition, Status, artifacts_from_json, from_json, timestamp, to_json
from kargo_lab.errors import StoreError
from kargo_lab.profiles import LATEST
from kargo_lab.resources.artifacts import DiscoveredArtifacts
from kargo_lab.resources.pipeline import Freight
from kargo_lab.resources.warehouse import GitSubscription, ImageSubscription, Warehouse, WarehouseSpec

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "conditions.json").read_text())
SECONDS = {"0s": 0.0, "1m": 60.0, "5m": 300.0, "5m0s": 300.0}
REFRESH = "kargo.akuity.io/refresh"


def warehouse(document: dict[str, Any]) -> Warehouse:
    spec = document["spec"]
    return Warehouse(
        namespace="p",
        name=document["metadata"]["name"],
        generation=document["metadata"]["generation"],
        spec=WarehouseSpec(
            subscriptions=tuple(
                GitSubscription(repo_url=each["git"]["repoURL"])
                if "git" in each
                else ImageSubscription(repo_url=each["image"]["repoURL"])
                for each in spec["subscriptions"]
            ),
            interval_seconds=SECONDS[spec["interval"]],
            freight_creation_policy=spec["freightCreationPolicy"],
            freight_creation_criteria=spec.get("freightCreationCriteria", {}).get("expression", ""),
        ),
    )


def build(record: dict[str, Any]) -> reconciliation.Build:
    def built(found: DiscoveredArtifacts, **settings: Any) -> Freight:
        if record["given"]["freight_build"] == "error":
            raise freight.FreightBuildError("told to")
        return freight.build(found, **settings)

    return built


def create(record: dict[str, Any]) -> reconciliation.Create:
    def created(piece: Freight) -> Freight | None:
        match record["given"]["freight_create"]:
            case "error":
                raise StoreError("told to")
            case "exists":
                return None
        return attrs.evolve(piece, name=freight.freight_name(piece))

    return created


def run(record: dict[str, Any]) -> tuple[Status | None, Conclusion]:
    """One pass: the status during discovery, None without one, and how it ended."""
    given = record["given"]
    subject, now = warehouse(given["warehouse"]), datetime.fromisoformat(given["now"])
    refresh = given["warehouse"]["metadata"].get("annotations", {}).get(REFRESH)
    status, minimum = from_json(given["warehouse"]["status"]), SECONDS[given["operator_minimum"]]
    schedule = reconciliation.schedule(subject, status, refresh=refresh, now=now, operator_minimum_seconds=minimum)
    during = None
    if timers.cause(schedule):
        status = during = reconciliation.begin(subject, status, now)
        if given["discovery"] == "error":
            return during, reconciliation.fail(subject, status, "told to", refresh=refresh, now=now)
        found = artifacts_from_json(given["discovery"])
        status = reconciliation.discovered(status, found, refresh=refresh, now=now)
    ended = reconciliation.conclude(
        subject,
        status,
        refresh=refresh,
        now=now,
        create=create(record),
        build=build(record),
        criteria=satisfied,
        operator_minimum_seconds=minimum,
    )
    return during, ended


def shown(conditions: tuple[Condition, ...]) -> dict[str, list[str]]:
    return {each.type: [each.status, each.reason] for each in conditions}


@pytest.fixture(params=[pytest.param(each, id=each["case"]) for each in RECORDS])
def record(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_conditions_during_discovery(record: dict[str, Any]) -> None:
    during, _ = run(record)
    assert (None if during is None else shown(during.conditions)) == record["during_discovery"]


def test_conditions_afterwards(record: dict[str, Any]) -> None:
    assert shown(run(record)[1].status.conditions) == record["conditions"]


def test_requeue(record: dict[str, Any]) -> None:
    ended = run(record)[1]
    assert bool(ended.error) is record["pass_error"]
    assert record["next_seconds"] == ("back-off" if ended.error else pytest.approx(ended.wait_seconds))


def test_status_fields(record: dict[str, Any]) -> None:
    status = run(record)[1].status
    found = status.discovered
    assert {
        "observedGeneration": status.observed_generation,
        "lastHandledRefresh": status.last_handled_refresh,
        "lastFreightID": status.last_freight_id,
        "discoveredAt": None if found is None else timestamp(found.discovered_at),
    } == {name: record[name] for name in ("observedGeneration", "lastHandledRefresh", "lastFreightID", "discoveredAt")}


def test_events(record: dict[str, Any]) -> None:
    created = run(record)[1].created
    assert ([] if created is None else [created.name]) == record["freight_created_events"]


def test_status_survives_its_json(record: dict[str, Any]) -> None:
    status = run(record)[1].status
    assert from_json(to_json(status)) == status


def test_a_failed_refresh_stays_wanted_in_recommended() -> None:
    subject = warehouse(RECORDS[0]["given"]["warehouse"])
    now = datetime.fromisoformat(RECORDS[0]["given"]["now"])
    better = attrs.evolve(LATEST, lost_refresh=False)
    ended = reconciliation.fail(subject, Status(), "down", refresh="t1", now=now, profile=better)
    assert ended.status.last_handled_refresh == ""


SUBJECT = Warehouse(
    namespace="p", name="w", spec=WarehouseSpec(subscriptions=(ImageSubscription(repo_url="r.example/web"),))
)
NOW = datetime.fromisoformat("2025-06-01T12:00:00+00:00")
FOUND = artifacts_from_json({"images": [{"repoURL": "r.example/web", "references": [{"tag": "1"}]}]})
WAITING = {
    "Reconciling": "Discovering artifacts for 1 subscriptions",
    "Ready": "Waiting for discovery to complete",
    "Healthy": "Health status cannot be determined until artifact discovery is finished",
}
DONE = {"Ready": "Successfully discovered artifacts from 1 subscriptions", "Healthy": ""}
SATISFIED = "Freight creation criteria satisfied"


def messages(status: Status) -> dict[str, str]:
    return {each.type: each.message for each in status.conditions}


def concluded(
    expression: str = "", made: reconciliation.Create = lambda piece: piece, **settings: Any
) -> dict[str, str]:
    subject = attrs.evolve(SUBJECT, spec=attrs.evolve(SUBJECT.spec, freight_creation_criteria=expression))
    status = reconciliation.discovered(reconciliation.begin(subject, Status(), NOW), FOUND, refresh=None, now=NOW)
    ended = reconciliation.conclude(subject, status, refresh=None, now=NOW, create=made, criteria=satisfied, **settings)
    return messages(ended.status)


def test_messages_while_discovery_runs() -> None:
    assert messages(reconciliation.begin(SUBJECT, Status(), NOW)) == WAITING


def test_messages_after_a_failed_discovery() -> None:
    begun = reconciliation.begin(SUBJECT, Status(), NOW)
    told = messages(reconciliation.fail(SUBJECT, begun, "down", refresh=None, now=NOW).status)
    assert told == {
        **WAITING,
        "Ready": "Artifact discovery failed: down",
        "Healthy": "Unable to discover artifacts: down",
    }


def test_messages_with_new_freight() -> None:
    created = "No Freight composed of the newest artifacts already existed"
    assert concluded() == {**DONE, "FreightCreationCriteriaSatisfied": SATISFIED, "FreightCreated": created}


def test_messages_with_freight_that_exists() -> None:
    created = "Freight composed of the newest artifacts already exists"
    told = concluded(made=lambda _piece: None)
    assert told == {**DONE, "FreightCreationCriteriaSatisfied": SATISFIED, "FreightCreated": created}


def test_messages_with_criteria_that_are_not_met() -> None:
    told = concluded("1 == 2")
    assert told == {**DONE, "FreightCreationCriteriaSatisfied": "Freight creation criteria were not satisfied"}


@pytest.mark.parametrize(
    ("expression", "doing"),
    [pytest.param("1 +", "compiling", id="no expression"), pytest.param("nobody.name", "running", id="no such name")],
)
def test_messages_with_criteria_that_fail(expression: str, doing: str) -> None:
    told = concluded(expression)
    assert told["Ready"] == told["Healthy"]
    assert told["Ready"].startswith(f"Evaluation of Freight creation criteria failed: error {doing} expression: ")


def test_messages_when_freight_cannot_be_built() -> None:
    def build(_found: DiscoveredArtifacts, **_settings: Any) -> Freight:
        raise freight.FreightBuildError("told to")

    text = "Error building Freight from latest artifacts: told to"
    told = concluded(build=build)
    assert told == {
        "Reconciling": "Creating Freight from latest artifacts",
        "Ready": text,
        "Healthy": text,
        "FreightCreationCriteriaSatisfied": SATISFIED,
    }


def test_messages_when_freight_cannot_be_stored() -> None:
    def refuse(_piece: Freight) -> Freight:
        raise StoreError("told to")

    nameless = freight.freight_name(freight.build(FOUND))
    told = concluded(made=refuse)
    assert told["Ready"] == told["Healthy"] == f'Error creating Freight "{nameless}" in namespace "p": told to'

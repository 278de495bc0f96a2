"""Every record of pipeline.json: what Kargo's own functions answered (discovery.md 8)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.engine.pipeline import availability, candidates, passes, policies, promotions, soak, tasks, values
from kargo_lab.engine.pipeline.availability import Moment
from kargo_lab.engine.pipeline.values import VerificationRecord
from kargo_lab.errors import PipelineError
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import PromotionPolicy
from kargo_lab.resources.pipeline import Freight, FreightStatus, Promotion, Stage, Variable
from kargo_lab.rules import durations

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/data/pipeline.json").read_text())
NOW = datetime.fromisoformat("2026-11-23T12:00:00Z")
API = "kargo.akuity.io/v1alpha1"


def records(kind: str) -> list[Any]:
    return [pytest.param(record, id=record["case"]) for record in VECTORS[kind]]


def read(kind: str, document: dict[str, Any]) -> Any:
    return loading.stored({"apiVersion": API, "kind": kind, **document}, namespace="p")


def stage_of(document: dict[str, Any]) -> Stage:
    found = read("Stage", document)
    assert isinstance(found, Stage)
    return found


def freight_of(documents: list[dict[str, Any]]) -> dict[str, Freight]:
    return {document["metadata"]["name"]: read("Freight", document) for document in documents}


def promotions_of(documents: list[dict[str, Any]]) -> list[Promotion]:
    return [read("Promotion", document) for document in documents]


def status_of(document: dict[str, Any]) -> FreightStatus:
    metadata, origin = {"name": "f"}, {"kind": "Warehouse", "name": "w"}
    piece = read("Freight", {"metadata": metadata, "origin": origin, "status": document})
    assert isinstance(piece, Freight)
    return piece.status


@pytest.mark.parametrize("record", records("soak"))
def test_soak(record: dict[str, Any]) -> None:
    status, now = status_of(record["freight_status"]), datetime.fromisoformat(record["now"])
    counted = soak.soak(status, record["stage"], now) / durations.SECOND
    done = soak.soaked(status, record["stage"], record["required"], now)
    assert (counted, done) == (record["soak_seconds"], record["soaked"])


@pytest.mark.parametrize("record", records("leaving"))
def test_leaving(record: dict[str, Any]) -> None:
    now = datetime.fromisoformat(record["now"])
    assert soak.left(status_of(record["before"]), record["stage"], now) == status_of(record["after"])


@pytest.mark.parametrize("record", records("availability"))
def test_availability(record: dict[str, Any]) -> None:
    stage, freight = stage_of(record["stage"]), freight_of(record["freight"])
    at = Moment(now=datetime.fromisoformat(record["now"]))
    listed = availability.listed(stage, tuple(freight.values()), at)
    chosen = candidates.candidates(stage, listed)
    assert {
        "single": {name: availability.available(piece, stage, at) for name, piece in freight.items()},
        "listed": sorted(piece.name for piece in listed),
        "candidates": {origin: piece.name for origin, piece in chosen.items()},
    } == {"single": record["single"], "listed": sorted(record["listed"]), "candidates": record["candidates"]}


@pytest.mark.parametrize("record", records("policies"))
def test_policies(record: dict[str, Any]) -> None:
    given = [
        PromotionPolicy(
            stage=each.get("stage", ""),
            stage_selector_name=each.get("stageSelector", {}).get("name", ""),
            match_labels=each.get("stageSelector", {}).get("matchLabels", {}),
            auto_promotion_enabled=each["autoPromotionEnabled"],
        )
        for each in record["promotionPolicies"] or ()
    ]
    assert policies.auto_promotion(given, record["stage"], record["labels"]) == record["auto_promotion"]


def view_of(record: dict[str, Any], **members: Any) -> passes.View:
    stage = stage_of(record["stage"])
    status = values.from_json(record["stage"]["status"])
    defaults = {
        "stage": stage,
        "status": status,
        "freight": freight_of(record["freight"]),
        "promotions": promotions.of_stage(promotions_of(record["promotions"]), stage),
        "policy": record["auto_promotion_enabled"],
        "at": Moment(now=NOW),
    }
    return passes.View(**{**defaults, **members})


@pytest.mark.parametrize("record", records("auto_promotion"))
def test_auto_promotion(record: dict[str, Any]) -> None:
    view = view_of(record)
    running = passes._Running(view)
    try:
        running._promote(passes.is_enabled(view))
        failed = False
    except PipelineError:
        failed = True
    held = (
        candidates.effective_holds(view.stage, view.status, view.promotions) if record["auto_promotion_enabled"] else {}
    )
    found = (running.create, failed, sorted(held))
    assert found == (record["creates"], record["pass_error"], sorted(record["effective_holds"]))


@pytest.mark.parametrize("record", records("promotion_order"))
def test_promotion_order(record: dict[str, Any]) -> None:
    given = promotions_of(
        [
            {
                "metadata": {"name": each["name"]},
                "spec": {"stage": "s", "freight": "f"},
                "status": {"phase": each["phase"]} if each["phase"] else {},
            }
            for each in record["promotions"]
        ]
    )
    assert [each.name for each in promotions.in_order(given)] == record["order"]


@pytest.mark.parametrize("record", records("queue"))
def test_queue(record: dict[str, Any]) -> None:
    spec = {"requestedFreight": record["requested_freight"], "promotionTemplate": {"spec": {"steps": [{"uses": "x"}]}}}
    stage = stage_of({"metadata": {"name": "dev", "namespace": "p"}, "spec": spec})
    view = passes.View(
        stage=stage,
        status=values.from_json(record["stage_status"]),
        freight={},
        promotions=promotions_of(record["promotions"]),
        at=Moment(now=NOW),
        policy=record["auto_promotion_enabled"],
    )
    running = passes._Running(view)
    running._promotions()
    if not record["auto_promotion_enabled"]:
        running._promote(False)
    current, last = running.status.current_promotion, running.status.last_promotion
    assert {
        "currentPromotion": current.name if current else None,
        "lastPromotion": last.name if last else None,
        "freightHistory": [sorted(each.freight.values()) for each in running.status.history],
        "waiting": any(not promotions.is_finished(each) for each in view.promotions),
        "requeue_soon": running.soon,
        "holds": {origin: hold.freight for origin, hold in running.status.holds.items()},
    } == {
        key: record[key]
        for key in ("currentPromotion", "lastPromotion", "freightHistory", "waiting", "requeue_soon", "holds")
    }


@pytest.mark.parametrize("record", records("passes"))
def test_passes(record: dict[str, Any]) -> None:
    says = record["verification_run_says"]
    run = VerificationRecord(id="run", phase=says, finished_at=record["now"]) if says else None
    ended = passes.regular(view_of(record, health=record["health_checks_say"], run=run))
    freight = freight_of(record["freight"]) | {piece.name: piece for piece in ended.freight}
    status = ended.status
    assert {
        "created": list(ended.create),
        "currentPromotion": status.current_promotion.name if status.current_promotion else None,
        "error": bool(ended.error),
        "freight": {
            name: {"currentlyIn": sorted(piece.status.currently_in), "verifiedIn": sorted(piece.status.verified_in)}
            for name, piece in freight.items()
        },
        "health": status.health or None,
        "lastPromotion": status.last_promotion.name if status.last_promotion else None,
        "requeue": "back-off" if ended.requeue_seconds is None else ended.requeue_seconds,
        "verifications": [each.phase for each in status.current.verifications] if status.current else [],
    } == record["result"]


@pytest.mark.parametrize("record", records("task_variables"))
def test_task_variables(record: dict[str, Any]) -> None:
    task, promotion, step = (
        tuple(Variable(name=each["name"], value=each["value"]) for each in record[key])
        for key in ("task_vars", "promotion_vars", "step_vars")
    )
    try:
        found: Any = [[each.name, each.value] for each in tasks.variables(task, promotion, step)]
    except PipelineError:
        found = "error"
    assert found == record["result"]


def test_no_record_is_left_out() -> None:
    assert {kind: len(found) for kind, found in VECTORS.items()} == {
        "soak": 11,
        "leaving": 6,
        "availability": 24,
        "policies": 16,
        "auto_promotion": 27,
        "promotion_order": 4,
        "queue": 20,
        "passes": 16,
        "task_variables": 8,
    }

"""What cannot work is refused or bounded, with a message that names the object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.pipeline import execution, plan
from kargo_lab.engine.pipeline.steps.work import RUNNING, Result, Work
from kargo_lab.engine.store import Store
from kargo_lab.errors import ManifestError, PipelineError
from kargo_lab.resources import loading

API = "kargo.akuity.io/v1alpha1"


def document(kind: str, name: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"namespace": "p", "name": name}, **members}


def stage(name: str, steps: list[dict[str, Any]] | None = None, **sources: Any) -> dict[str, Any]:
    requested = {"origin": {"kind": "Warehouse", "name": "w"}, "sources": sources}
    template = {"spec": {"steps": [{"uses": "noop"}] if steps is None else steps}}
    return document("Stage", name, spec={"requestedFreight": [requested], "promotionTemplate": template})


WAREHOUSE = document(
    "Warehouse",
    "w",
    spec={"freightCreationPolicy": "Manual", "subscriptions": [{"image": {"repoURL": "example.com/a"}}]},
)


def freight(tag: str, alias: str = "") -> dict[str, Any]:
    images = [{"repoURL": "example.com/a", "tag": tag}]
    return document("Freight", tag, alias=alias or tag, origin={"kind": "Warehouse", "name": "w"}, images=images)


def loaded(*documents: dict[str, Any]) -> loading.Resources:
    return loading.loads("\n---\n".join(json.dumps(each) for each in documents))


def lab(*documents: dict[str, Any], **options: Any) -> Lab:
    made = Lab(clock=VirtualClock(), seed=1, sources={}, **options)
    made.apply(loaded(WAREHOUSE, *documents))
    made.step()
    return made


def problems(*documents: dict[str, Any]) -> list[str]:
    resources = loaded(WAREHOUSE, *documents)
    tasks = {(each.namespace, each.name): each for each in resources.promotion_tasks}
    return [str(each) for each in plan.problems(resources.stages, {("p", "w")}, tasks)]


def test_a_cycle_of_stages_is_named_once() -> None:
    found = problems(stage("a", stages=["c"]), stage("b", stages=["a"]), stage("c", stages=["b"]))
    assert found == ["Stage p/a: waits for itself: a -> c -> b -> a; Freight can enter by approval only"]


def test_a_cycle_that_freight_can_enter_is_none() -> None:
    assert problems(stage("a", direct=True, stages=["b"]), stage("b", stages=["a"])) == []


def test_a_cycle_ends_in_silence_and_not_in_a_loop() -> None:
    made = lab(stage("a", stages=["b"]), stage("b", stages=["a"]), freight("one"))
    assert made.promotions() == ()


def test_an_unknown_upstream_is_named() -> None:
    assert problems(stage("qa", stages=["dve"])) == ["Stage p/qa: names the upstream Stage 'dve', which does not exist"]


def test_an_unknown_warehouse_task_and_step_are_named() -> None:
    bad = stage("qa", [{"uses": "argocd-update"}, {"task": {"name": "deploy"}}], direct=True)
    bad["spec"]["requestedFreight"][0]["origin"]["name"] = "none"
    assert problems(bad) == [
        "Stage p/qa: requests Freight of Warehouse/none, which does not exist",
        "Stage p/qa: uses the PromotionTask 'deploy', which does not exist",
        "Stage p/qa: uses the step 'argocd-update', which this lab does not have",
    ]


def test_two_freight_with_one_alias_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"Freight p/two: alias: 'same' is taken"):
        lab(freight("one", "same"), freight("two", "same"))


@pytest.mark.parametrize(
    ("phase", "count"), [pytest.param("", 1, id="new"), pytest.param("Pending", 1), pytest.param("Running", 0)]
)
def test_a_declared_promotion_that_waits_is_named(phase: str, count: int) -> None:
    status = {"status": {"phase": phase}} if phase else {}
    declared = document("Promotion", "now", spec={"stage": "dev", "freight": "one"}, **status)
    made = lab(stage("dev", direct=True), freight("one"), declared)
    text = "is declared and so is not run; ask the lab API instead, with POST /lab/v1/stages/p/dev/promote"
    assert [str(each) for each in made.pipeline.problems] == count * [f"Promotion p/now: {text}"]


def test_a_declared_promotion_is_not_run_however_often_it_is_applied() -> None:
    declared = document("Promotion", "now", spec={"stage": "dev", "freight": "one"})
    made = lab(stage("dev", direct=True), freight("one"), declared)
    made.apply(loaded(WAREHOUSE, stage("dev", direct=True), freight("one"), declared))
    made.step()
    assert made.promotions() == ()
    assert [each.key for each in made.objects.promotions()] == ["p/now"]


def test_freight_that_is_not_available_is_not_promoted() -> None:
    made = lab(stage("dev", direct=True), stage("qa", stages=["dev"]), freight("one"))
    with pytest.raises(PipelineError, match=r"Freight p/\w+: is not available to Stage qa: it is not verified in dev"):
        made.pipeline.promote("p/qa", "one")


@pytest.mark.parametrize(
    ("stage_key", "freight_name", "message"),
    [
        ("p/none", "one", "Stage p/none: there is no such Stage"),
        ("p/dev", "none", "Freight p/none: there is no Freight of this name or alias"),
        ("p/gate", "one", "Stage p/gate: is a control flow Stage; nothing is promoted into it"),
    ],
)
def test_a_promotion_of_what_is_not_there_is_refused(stage_key: str, freight_name: str, message: str) -> None:
    made = lab(stage("dev", direct=True), stage("gate", [], direct=True), freight("one"))
    with pytest.raises(PipelineError) as refused:
        made.pipeline.promote(stage_key, freight_name)
    assert str(refused.value) == message


def promoted(template: list[dict[str, Any]], **options: Any) -> Lab:
    made = lab(stage("dev", template, direct=True), freight("one"), **options)
    made.pipeline.promote("p/dev", "one")
    made.step()
    return made


def ended(made: Lab) -> tuple[str, str]:
    (promotion,) = made.promotions()
    return promotion.status.phase, promotion.status.message


def test_a_step_that_fails_is_named_and_ends_the_promotion() -> None:
    made = promoted([{"uses": "fail", "as": "boom", "config": {"message": "no"}}, {"uses": "noop", "as": "late"}])
    assert ended(made) == ("Failed", "step boom: no")
    assert made.promotions()[0].status.state["_outcomes"] == {"boom": "Failed", "late": "Skipped"}


def test_a_failure_may_be_allowed() -> None:
    assert ended(promoted([{"uses": "fail", "continueOnError": True}])) == ("Succeeded", "")


def test_a_step_for_failures_runs_after_one() -> None:
    cleanup = {
        "uses": "compose-output",
        "as": "note",
        "if": "${{ failure() }}",
        "config": {"was": "${{ status('boom') }}"},
    }
    made = promoted([{"uses": "fail", "as": "boom"}, cleanup])
    assert made.promotions()[0].status.state["note"] == {"was": "Failed"}


def test_an_unknown_step_is_refused_by_name() -> None:
    phase, message = ended(promoted([{"uses": "argocd-update"}]))
    assert phase == "Errored"
    assert message.startswith("step step-0: there is no step 'argocd-update' in this lab; it has compose-output")


def test_an_expression_that_cannot_be_evaluated_names_its_step() -> None:
    phase, message = ended(promoted([{"uses": "noop", "as": "odd", "config": {"a": "${{ nonsense( }}"}}]))
    assert (phase, message.splitlines()[0]) == (
        "Errored",
        "step odd: an expression cannot be evaluated: unexpected end of the expression",
    )


def waiting(_config: Any, _work: Work) -> Result:
    return Result(status=RUNNING, message="still waiting")


def test_a_step_that_never_ends_is_bounded_by_its_timeout() -> None:
    made = promoted([{"uses": "forever", "as": "w", "retry": {"timeout": "10m"}}], steps={"forever": waiting})
    made.run_until(601)
    assert ended(made) == ("Errored", "step w: timed out after 10m0s: still waiting")


def test_a_step_without_a_timeout_is_bounded_all_the_same() -> None:
    made = promoted([{"uses": "forever", "as": "w"}], steps={"forever": waiting})
    made.run_until(execution.MOST_STEP_SECONDS + 1)
    assert ended(made)[0] == "Errored"


def test_a_promotion_that_waits_can_be_aborted() -> None:
    made = promoted([{"uses": "forever", "as": "w"}], steps={"forever": waiting})
    made.pipeline.abort(made.promotions()[0].key)
    made.step()
    assert ended(made) == ("Aborted", "aborted by a user")


def test_a_verification_without_template_ends_in_an_error_that_names_it() -> None:
    bad = stage("dev", direct=True)
    bad["spec"]["verification"] = {"analysisTemplates": [{"name": "smoke"}]}
    made = lab(bad, freight("one"))
    made.pipeline.promote("p/dev", "one")
    made.step()
    current = made.stage_status("p/dev").current
    assert current is not None
    assert current.verification is not None
    assert (current.verification.phase, current.verification.message) == (
        "Error",
        "AnalysisTemplate smoke: is neither declared nor a check of this lab",
    )


def test_a_path_that_leads_out_of_the_promotions_directory_is_refused() -> None:
    phase, message = ended(promoted([{"uses": "yaml-update", "config": {"path": "../../x", "updates": []}}]))
    assert (phase, "leads out of the working directory" in message) == ("Errored", True)


def test_a_promotion_goes_on_after_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "lab.db", VirtualClock()
    documents = (WAREHOUSE, stage("dev", [{"uses": "forever", "as": "w"}], direct=True), freight("one"))
    first = Lab(clock=clock, seed=1, sources={}, store=Store(path), steps={"forever": waiting})
    first.apply(loaded(*documents))
    first.step()
    first.pipeline.promote("p/dev", "one")
    first.step()
    first.close()
    second = Lab(clock=clock, seed=2, sources={}, store=Store(path), steps={"forever": lambda _config, _work: Result()})
    second.apply(loaded(*documents))
    second.step()
    phases = [each.status.phase for each in second.promotions()]
    second.close()
    assert phases == ["Succeeded"]


def test_what_a_stage_remembers_survives_a_restart(tmp_path: Path) -> None:
    from kargo_lab.engine.pipeline import values

    made = promoted([{"uses": "noop"}], store=Store(tmp_path / "lab.db"))
    status = made.stage_status("p/dev")
    made.close()
    again = Lab(clock=VirtualClock(), sources={}, store=Store(tmp_path / "lab.db"))
    found = again.stage_status("p/dev")
    again.close()
    assert values.from_json(values.to_json(status)) == attrs.evolve(found) == status


def test_a_lab_that_is_not_to_promote_leaves_stages_alone() -> None:
    made = lab(stage("dev", direct=True), freight("one"), promote=False)
    assert (dict(made.pipeline.stages), len(made.freight())) == ({}, 1)

"""More of discovery.md 10.6 in the running lab: following an upstream, verifying again, ties, queues, deletion."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from kargo_lab import profiles
from kargo_lab.engine.pipeline.checks import scripted
from kargo_lab.engine.pipeline.steps.work import RUNNING, Result
from kargo_lab.errors import PipelineError

_SPEC = importlib.util.spec_from_file_location("pipeline_quirks", Path(__file__).with_name("test_quirks.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
quirks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(quirks)
World, freight, stage = quirks.World, quirks.freight, quirks.stage
HOUR = 3600.0
SINCE_1_8 = [name for name in profiles.PROFILES if name not in ("v1.6", "v1.7")]


@pytest.mark.parametrize("profile", SINCE_1_8)
def test_s16_s17_match_upstream_follows_its_upstream_forward_and_back(profile: str) -> None:
    follower = stage("qa", stages=["dev"], autoPromotionOptions={"selectionPolicy": "MatchUpstream"})
    world = World(profile, stage("dev", direct=True), follower, freight("one"), auto=["qa"])
    seen = []
    for tag in ("one", "two", "one"):
        if tag == "two":
            world.wait(2)
            world.apply(freight("two"), freight("three"))
        world.lab.pipeline.promote("p/dev", tag)
        world.lab.step()
        seen.append(world.inside("qa"))
    assert seen == ["one", "two", "one"]


@pytest.mark.parametrize("profile", [*quirks.WITH_HOLDS, "recommended"])
def test_s24_an_aborted_promotion_holds_nothing(profile: str) -> None:
    def forever(_config: Any, _work: Any) -> Result:
        return Result(status=RUNNING)

    world = World(profile, stage("dev", direct=True, steps=("wait",)), freight("one"), auto=[], steps={"wait": forever})
    world.wait(2)
    world.apply(freight("two"))
    world.auto = ["dev"]
    world.apply()
    world.wait(310)  # a changed policy wakes nobody
    key = world.lab.promotions()[0].key
    world.lab.pipeline.promote("p/dev", "one")
    for promotion in world.lab.promotions():
        world.lab.pipeline.abort(promotion.key)
    world.wait(HOUR)
    assert (key.startswith("p/dev."), set(world.phases("dev"))) == (True, {"Aborted"})
    assert dict(world.lab.stage_status("p/dev").holds) == {}


def verifying(*phases: str) -> Any:
    checks = {"smoke": scripted(*phases)}
    world = World("latest", stage("dev", direct=True, verify=True), freight("one"), auto=["dev"], checks=checks)
    world.wait(1)
    return world


def test_s31_freight_whose_verification_failed_is_not_verified() -> None:
    assert verifying("Failed").verified("dev") == []


def test_s32_freight_is_verified_once_a_second_verification_succeeds() -> None:
    world = verifying("Failed", "Successful")
    world.lab.pipeline.reverify("p/dev")
    world.wait(1)
    assert world.verified("dev") == ["one"]


def test_s33_freight_stays_verified_when_a_later_verification_fails() -> None:
    world = verifying("Successful", "Failed")
    world.lab.pipeline.reverify("p/dev")
    world.wait(1)
    current = world.lab.stage_status("p/dev").current
    assert ([each.phase for each in current.verifications], world.verified("dev")) == (
        ["Failed", "Successful"],
        ["one"],
    )


def test_a_verification_can_be_aborted() -> None:
    world = World("latest", stage("dev", direct=True, verify=True), freight("one"), auto=["dev"], checks={})
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"namespace": "p", "name": "smoke"},
        "spec": {"metrics": [{"name": "m", "initialDelay": "1h", "provider": {"job": {}}}]},
    }
    world.apply(template)
    world.lab.pipeline.reverify("p/dev")
    world.wait(1)
    world.lab.pipeline.abort_verification("p/dev")
    world.wait(1)
    record = world.lab.stage_status("p/dev").current.verification
    assert (record.phase, record.message) == ("Failed", "Verification aborted by user")


def test_s30_a_stage_whose_health_is_not_applicable_never_verifies() -> None:
    world = World(
        "latest", stage("dev", direct=True), freight("one"), auto=["dev"], health=lambda _stage: "NotApplicable"
    )
    world.wait(HOUR)
    assert (world.inside("dev"), world.verified("dev")) == ("one", [])


def both_at_once(profile: str) -> Any:
    world = World(profile, stage("dev", direct=True), auto=["dev"])
    world.apply(freight("one"))
    world.apply(freight("two"))
    return world


def newest_by_name(world: Any) -> str:
    return max(world.lab.freight("p"), key=lambda piece: piece.name).images[0].tag


@pytest.mark.parametrize("profile", quirks.KARGO)
def test_s37_of_two_freight_of_one_second_the_greater_name_is_promoted(profile: str) -> None:
    world = both_at_once(profile)
    assert world.inside("dev") == newest_by_name(world)


def test_recommended_promotes_the_later_of_two_freight_of_one_second() -> None:
    assert both_at_once("recommended").inside("dev") == "two"


def test_s35_freight_that_is_not_available_any_more_ends_its_promotion_in_an_error() -> None:
    world = World("latest", stage("dev", direct=True), stage("qa", stages=["dev"]), freight("one"), auto=["dev"])
    world.lab.pipeline.promote("p/qa", "one")
    with world.lab.pipeline.changed:
        keeping = world.lab.pipeline.keeping
        (piece,) = keeping.freight("p").values()
        keeping.write(freight=[quirks.attrs.evolve(piece, status=type(piece.status)())])
    world.lab.step()
    (promotion,) = [each for each in world.lab.promotions() if each.stage == "qa"]
    assert promotion.status.phase == "Errored"
    assert "is not available to Stage qa: it is not verified in dev" in promotion.status.message


def test_freight_in_use_is_not_deleted() -> None:
    world = World("latest", stage("dev", direct=True), freight("one"), auto=["dev"])
    with pytest.raises(PipelineError, match=r"Freight p/\w+: is in use by Stage dev"):
        world.lab.pipeline.delete_freight("p", "one")


def test_freight_that_nobody_uses_is_deleted() -> None:
    world = World("latest", freight("one"))
    world.lab.pipeline.delete_freight("p", "one")
    assert world.lab.freight("p") == ()


def test_an_alias_that_is_taken_is_refused() -> None:
    world = World("latest", freight("one"), freight("two"))
    with pytest.raises(PipelineError, match="the alias 'two' is taken"):
        world.lab.pipeline.rename_freight("p", "one", "two")


def test_an_alias_can_be_changed() -> None:
    world = World("latest", freight("one"))
    world.lab.pipeline.rename_freight("p", "one", "uno")
    assert [piece.alias for piece in world.lab.freight("p")] == ["uno"]


def test_a_stage_that_is_gone_takes_its_marks_along() -> None:
    world = World("latest", stage("dev", direct=True), freight("one"), auto=["dev"])
    world.documents = [each for each in world.documents if each["kind"] != "Stage"]
    world.apply()
    (piece,) = world.lab.freight("p")
    assert (dict(piece.status.currently_in), dict(piece.status.verified_in)) == ({}, {})

"""What Kargo does to the Stages on each profile, and what `recommended` does instead; on a virtual clock.

The ids of discovery.md 10.6 stand where a test is one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.pipeline.checks import scripted
from kargo_lab.errors import PipelineError
from kargo_lab.resources import loading

API = "kargo.akuity.io/v1alpha1"
MINUTE, HOUR = 60.0, 3600.0
KARGO = [name for name in profiles.PROFILES if name != "recommended"]
WITH_HOLDS = ["v1.11", "latest"]
WITHOUT_HOLDS = [name for name in KARGO if name not in WITH_HOLDS]


def document(kind: str, name: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"namespace": "p", "name": name}, **members}


def stage(name: str, *, steps: Iterable[str] = ("noop",), verify: bool = False, **sources: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "requestedFreight": [{"origin": {"kind": "Warehouse", "name": "w"}, "sources": sources}],
        "promotionTemplate": {"spec": {"steps": [{"uses": step} for step in steps]}},
    }
    if verify:
        spec["verification"] = {"analysisTemplates": [{"name": "smoke"}]}
    return document("Stage", name, spec=spec)


def freight(tag: str, **status: Any) -> dict[str, Any]:
    return document(
        "Freight",
        tag,
        alias=tag,
        origin={"kind": "Warehouse", "name": "w"},
        images=[{"repoURL": "example.com/app", "tag": tag}],
        status=status,
    )


class World:
    """A Lab on a virtual clock, and the documents it was given; Freight is known by its tag."""

    def __init__(self, profile: str, *documents: dict[str, Any], auto: Iterable[str] = (), **options: Any) -> None:
        self.clock = VirtualClock()
        self.lab = Lab(profile=profiles.get(profile), clock=self.clock, seed=1, sources={}, **options)
        subscription = {"image": {"repoURL": "example.com/app"}}
        manual = {"freightCreationPolicy": "Manual", "subscriptions": [subscription]}
        self.documents = [document("Warehouse", "w", spec=manual), *documents]
        self.auto = list(auto)
        self.apply()

    def apply(self, *more: dict[str, Any]) -> None:
        self.documents += more
        policies = [{"stage": name, "autoPromotionEnabled": True} for name in self.auto]
        config = document("ProjectConfig", "p", spec={"promotionPolicies": policies})
        text = "\n---\n".join(json.dumps(each) for each in [*self.documents, config])
        self.lab.apply(loading.loads(text, profile=self.lab.profile))
        self.lab.step()

    def wait(self, seconds: float) -> None:
        self.lab.run_until(self.clock.monotonic() + seconds)

    def inside(self, name: str) -> str:
        current = self.lab.stage_status(f"p/{name}").current
        names = list(current.freight.values()) if current else []
        return next((piece.images[0].tag for piece in self.lab.freight("p") if piece.name in names), "")

    def verified(self, name: str) -> list[str]:
        return [piece.images[0].tag for piece in self.lab.freight("p") if name in piece.status.verified_in]

    def phases(self, name: str) -> list[str]:
        return [each.status.phase for each in self.lab.promotions() if each.stage == name]


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_s01_s03_freight_is_promoted_into_a_direct_stage_and_verified_there(profile: str) -> None:
    world = World(profile, stage("dev", direct=True), freight("one"), auto=["dev"])
    assert (world.inside("dev"), world.verified("dev"), world.phases("dev")) == ("one", ["one"], ["Succeeded"])


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_s04_a_verification_upstream_promotes_downstream_without_time_going_on(profile: str) -> None:
    world = World(profile, stage("dev", direct=True), stage("qa", stages=["dev"]), freight("one"), auto=["dev", "qa"])
    assert (world.inside("qa"), world.clock.monotonic()) == ("one", 0.0)


def soaking(profile: str, *, verify_seconds: float = 0.0) -> World:
    """dev, then qa after an hour of soak; dev's verification takes so long."""
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"namespace": "p", "name": "smoke"},
        "spec": {"metrics": [{"name": "m", "initialDelay": f"{verify_seconds:g}s", "provider": {"job": {}}}]},
    }
    return World(
        profile,
        template,
        stage("dev", direct=True, verify=True),
        stage("qa", stages=["dev"], requiredSoakTime="1h"),
        freight("one"),
        auto=["dev", "qa"],
        checks={"smoke": scripted("Successful")},
    )


@pytest.mark.parametrize("profile", KARGO)
def test_s08_the_end_of_a_soak_wakes_nobody_and_is_noticed_within_five_minutes(profile: str) -> None:
    world = soaking(profile)
    world.wait(HOUR - 1)
    early = world.inside("qa")
    world.wait(5 * MINUTE + 2)
    assert (early, world.inside("qa")) == ("", "one")


def test_recommended_notices_the_end_of_a_soak_at_once() -> None:
    world = soaking("recommended")
    world.wait(HOUR - 1)
    early = world.inside("qa")
    world.wait(2)
    assert (early, world.inside("qa")) == ("", "one")


@pytest.mark.parametrize("profile", KARGO)
def test_s05_time_before_the_verification_counts_once_it_succeeded(profile: str) -> None:
    world = soaking(profile, verify_seconds=50 * MINUTE)
    world.wait(HOUR + 5 * MINUTE)
    assert world.inside("qa") == "one"


def test_recommended_counts_a_soak_from_its_verification() -> None:
    world = soaking("recommended", verify_seconds=50 * MINUTE)
    world.wait(HOUR + 45 * MINUTE)
    early = world.inside("qa")
    world.wait(10 * MINUTE)
    assert (early, world.inside("qa")) == ("", "one")


LONG_AGO = "2025-12-01T00:00:00Z"
SOAKED = {"verifiedAt": LONG_AGO, "longestSoak": "9h"}


@pytest.mark.parametrize("profile", KARGO)
def test_s12_soak_in_a_foreign_stage_is_listed_and_then_refused_so_the_pass_fails(profile: str) -> None:
    piece = freight("one", verifiedIn={"dev": {"verifiedAt": LONG_AGO}, "perf": SOAKED})
    upstream = stage("qa", stages=["dev"], requiredSoakTime="1h")
    world = World(profile, stage("dev", direct=True), stage("perf", direct=True), upstream, piece, auto=["qa"])
    message = world.lab.stage_status("p/qa").message
    assert "is not available to Stage qa: it is not soaked for 1h in dev" in message


def test_recommended_lists_only_what_is_available() -> None:
    piece = freight("one", verifiedIn={"dev": {"verifiedAt": LONG_AGO}, "perf": SOAKED})
    upstream = stage("qa", stages=["dev"], requiredSoakTime="1h")
    world = World("recommended", stage("dev", direct=True), stage("perf", direct=True), upstream, piece, auto=["qa"])
    assert (world.lab.stage_status("p/qa").message, world.phases("qa")) == ("", [])


def both(profile: str) -> World:
    """Freight that soaked in both upstreams and in one Stage more."""
    piece = freight("one", verifiedIn={"a": SOAKED, "b": SOAKED, "perf": SOAKED})
    wants = {"stages": ["a", "b"], "requiredSoakTime": "1h", "availabilityStrategy": "All"}
    stages = [stage("a", direct=True), stage("b", direct=True), stage("perf", direct=True), stage("prod", **wants)]
    return World(profile, *stages, piece, auto=["prod"])


@pytest.mark.parametrize("profile", KARGO)
def test_s11_freight_that_soaked_in_one_stage_too_many_is_not_promoted(profile: str) -> None:
    assert both(profile).inside("prod") == ""


def test_recommended_promotes_freight_that_soaked_everywhere_and_elsewhere() -> None:
    assert both("recommended").inside("prod") == "one"


def through(profile: str) -> World:
    """A control flow Stage between dev and prod, and a soak behind it."""
    gate = stage("gate", steps=(), stages=["dev"])
    behind = stage("prod", stages=["gate"], requiredSoakTime="1h")
    return World(profile, stage("dev", direct=True), gate, behind, freight("one"), auto=["dev", "prod"])


@pytest.mark.parametrize("profile", KARGO)
def test_s09_s36_no_soak_is_ever_enough_behind_a_control_flow_stage(profile: str) -> None:
    world = through(profile)
    world.wait(48 * HOUR)
    (piece,) = world.lab.freight("p")
    assert (world.verified("gate"), "gate" in piece.status.currently_in, world.inside("prod")) == (["one"], False, "")


def test_s13_an_approval_lets_freight_pass_where_no_soak_does() -> None:
    world = through("latest")
    world.lab.pipeline.approve("p/prod", "one")
    world.lab.step()
    assert world.inside("prod") == "one"


def test_recommended_counts_the_time_since_a_control_flow_stage_let_freight_pass() -> None:
    world = through("recommended")
    world.wait(HOUR + 1)
    assert world.inside("prod") == "one"


def held(profile: str, *, steps: Iterable[str] = ("noop",)) -> World:
    """Two Freight, the newer one in dev; then a user promotes the older one."""
    world = World(profile, stage("dev", direct=True, steps=steps), freight("one"), auto=["dev"])
    world.wait(1)
    world.apply(freight("two"))
    world.lab.pipeline.promote("p/dev", "one", actor="me")
    world.lab.step()
    return world


@pytest.mark.parametrize("profile", [*WITH_HOLDS, "recommended"])
def test_s20_s22_older_freight_that_a_user_chose_stays_until_the_candidate_is_promoted(profile: str) -> None:
    world = held(profile)
    world.wait(HOUR)
    chosen, holds = world.inside("dev"), dict(world.lab.stage_status("p/dev").holds)
    world.lab.pipeline.promote("p/dev", "Warehouse/w")
    world.wait(HOUR)
    assert (chosen, list(holds)) == ("one", ["Warehouse/w"])
    assert (world.inside("dev"), dict(world.lab.stage_status("p/dev").holds)) == ("two", {})


@pytest.mark.parametrize("profile", WITHOUT_HOLDS)
def test_s21_before_holds_the_newest_stays_out_only_because_it_was_promoted_before(profile: str) -> None:
    world = held(profile)
    world.wait(HOUR)
    assert (world.inside("dev"), dict(world.lab.stage_status("p/dev").holds)) == ("one", {})


@pytest.mark.parametrize("profile", WITH_HOLDS)
def test_s23_a_failed_promotion_holds_all_the_same(profile: str) -> None:
    assert list(held(profile, steps=("fail",)).lab.stage_status("p/dev").holds) == ["Warehouse/w"]


def test_recommended_holds_only_for_a_promotion_that_succeeded() -> None:
    assert dict(held("recommended", steps=("fail",)).lab.stage_status("p/dev").holds) == {}


@pytest.mark.parametrize("profile", WITH_HOLDS)
def test_s25_auto_promotion_that_is_switched_off_and_on_has_forgotten_its_holds(profile: str) -> None:
    world = held(profile)
    world.auto = []
    world.apply()
    world.wait(10 * MINUTE)
    world.auto = ["dev"]
    world.apply()
    world.wait(10 * MINUTE)
    assert (world.inside("dev"), dict(world.lab.stage_status("p/dev").holds)) == ("two", {})


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_s19_freight_whose_last_promotion_failed_is_not_promoted_again(profile: str) -> None:
    world = World(profile, stage("dev", direct=True, steps=("fail",)), freight("one"), auto=["dev"])
    world.wait(HOUR)
    assert world.phases("dev") == ["Failed"]


def replaced(profile: str) -> World:
    """The Freight in qa lost its mark upstream; an older one is available."""
    older, newer = freight("one", verifiedIn={"dev": SOAKED}), freight("two", verifiedIn={"dev": SOAKED})
    world = World(profile, stage("dev", direct=True), stage("qa", stages=["dev"]), older, auto=[])
    world.wait(2)
    world.apply(newer)
    world.auto = ["qa"]
    world.apply()
    world.wait(10 * MINUTE)
    assert world.inside("qa") == "two"
    with world.lab.pipeline.changed:
        keeping = world.lab.pipeline.keeping
        (piece,) = [each for each in keeping.freight("p").values() if each.alias == "two"]
        keeping.write(freight=[attrs.evolve(piece, status=attrs.evolve(piece.status, verified_in={}))])
    world.wait(10 * MINUTE)
    return world


@pytest.mark.parametrize("profile", KARGO)
def test_auto_promotion_goes_back_to_older_freight_when_the_newer_is_no_longer_available(profile: str) -> None:
    assert replaced(profile).inside("qa") == "one"


def test_recommended_never_goes_back_by_itself() -> None:
    assert replaced("recommended").inside("qa") == "two"


@pytest.mark.parametrize(("profile", "allowed"), [*((name, name in WITHOUT_HOLDS) for name in KARGO)])
def test_s14_s15_approval_of_freight_whose_origin_is_not_requested(profile: str, allowed: bool) -> None:
    other = document("Stage", "other", spec={"requestedFreight": [{"origin": {"kind": "Warehouse", "name": "v"}}]})
    other["spec"]["promotionTemplate"] = {"spec": {"steps": [{"uses": "noop"}]}}
    piece = freight("one", approvedFor={"other": {"approvedAt": LONG_AGO}})
    world = World(
        profile, other, piece, document("Warehouse", "v", spec={"subscriptions": [{"image": {"repoURL": "x"}}]})
    )
    if allowed:
        world.lab.pipeline.promote("p/other", "one")
    else:
        with pytest.raises(PipelineError, match="does not request Freight of Warehouse/w"):
            world.lab.pipeline.promote("p/other", "one")

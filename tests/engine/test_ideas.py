"""The case ideas of discovery.md 10.1 and 10.5 that no other test of the engine tells, in a world in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kargo_lab.engine.clock import EPOCH, VirtualClock
from kargo_lab.engine.freight import freight_name
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.status import Status
from kargo_lab.engine.store import Store
from kargo_lab.errors import ManifestError, StoreError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources import loading
from kargo_lab.resources.artifacts import ArtifactReference, GenericDiscovery
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Freight, FreightCommit, FreightImage, Origin
from kargo_lab.resources.warehouse import GenericSubscription, ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.memory import World

KEY, WEB = "p/w", "r.example/web"


class Scene:
    """One Warehouse and the world it looks at."""

    def __init__(self, *, profile: str = "latest", **spec: Any) -> None:
        self.world, self.clock = World(), VirtualClock()
        self.world.push_image(WEB, "1.0.0")
        sources: Any = {**self.world.sources, "generic": self.generic}
        self.lab = Lab(clock=self.clock, profile=PROFILES[profile], sources=sources, seed=1)
        self.things: tuple[ArtifactReference, ...] = ()
        self.apply(**spec)

    def generic(self, _subscription: Any, _context: Any) -> GenericDiscovery:
        return GenericDiscovery(name="things", references=self.things)

    def apply(self, *others: str, **spec: Any) -> Scene:
        subscriptions = spec.pop("subscriptions", (ImageSubscription(repo_url=WEB),))
        made = WarehouseSpec(subscriptions=subscriptions, **spec)
        names = ("w", *others)
        self.lab.apply(Resources(warehouses=tuple(Warehouse(namespace="p", name=name, spec=made) for name in names)))
        return self

    def run(self, seconds: float = 1.0) -> Scene:
        self.lab.run_until(self.clock.monotonic() + seconds)
        return self

    @property
    def status(self) -> Status:
        found = self.lab.warehouse_status(KEY)
        assert found is not None
        return found

    def condition(self, kind: str) -> tuple[str, str] | None:
        found = self.status.condition(kind)
        return None if found is None else (found.status, found.reason)

    @property
    def tags(self) -> list[str]:
        return [piece.images[0].tag for piece in self.lab.freight()]


GOOD = ("True", "ArtifactsDiscovered")


def test_l01_a_new_warehouse_is_discovered() -> None:
    scene = Scene().run()
    assert scene.status.discovered is not None
    assert scene.status.discovered.discovered_at == EPOCH


def test_l06_the_interval_is_five_minutes_unless_said() -> None:
    (made,) = loading.loads(
        "{apiVersion: kargo.akuity.io/v1alpha1, kind: Warehouse, metadata: {name: w},"
        f" spec: {{subscriptions: [{{image: {{repoURL: {WEB}}}}}]}}}}"
    ).warehouses
    assert (made.spec.interval, made.spec.interval_seconds) == ("5m0s", 300.0)


def test_l27_an_empty_result_is_unhealthy_and_waits_for_the_normal_timer() -> None:
    scene = Scene(subscriptions=(ImageSubscription(repo_url="r.example/empty"),)).run()
    assert scene.condition("Healthy") == ("False", "NoImageReferencesDiscovered")
    assert scene.lab.next_moment() == pytest.approx(300.0, abs=0.1)


def named(**facts: Any) -> str:
    return freight_name(Freight(namespace="p", name="", origin=Origin(name=facts.pop("origin", "w")), **facts))


def of_image(url: str) -> FreightImage:
    return FreightImage(repo_url=url, tag="1.0.0", digest="sha256:" + "0" * 64)


def test_f02_the_same_artifacts_of_two_warehouses_are_two_pieces() -> None:
    scene = Scene().apply("other").run()
    assert len({piece.name for piece in scene.lab.freight()}) == 2


def test_f03_the_order_of_subscriptions_does_not_matter() -> None:
    one, two = of_image("r.example/a"), of_image("r.example/b")
    assert named(images=(one, two)) == named(images=(two, one))


def test_f04_the_spelling_of_a_git_url_does_not_matter() -> None:
    urls = ("https://g.example/Acme/web.git", "https://g.example/acme/web")
    assert len({named(commits=(FreightCommit(repo_url=url, id="c1"),)) for url in urls}) == 1


def test_f05_that_of_an_image_url_does() -> None:
    assert named(images=(of_image("nginx"),)) != named(images=(of_image("docker.io/library/nginx"),))


def test_f09_a_deleted_winner_leaves_the_older_freight_as_it_is() -> None:
    scene = Scene().run()
    scene.world.push_image(WEB, "1.1.0")
    scene.run(301.0)
    scene.world.delete_tag(WEB, "1.1.0")
    scene.run(301.0)
    assert scene.tags == ["1.0.0", "1.1.0"]


def test_f10_what_was_never_a_combination_is_the_newest_freight_with_older_content() -> None:
    scene = Scene()
    scene.world.push_image(WEB, "1.1.0")
    scene.run()
    scene.world.delete_tag(WEB, "1.1.0")
    scene.run(301.0)
    assert scene.tags == ["1.1.0", "1.0.0"]
    assert scene.lab.freight()[1].discovered_at > scene.lab.freight()[0].discovered_at


def test_f11_policy_manual_makes_no_freight_and_is_ready() -> None:
    scene = Scene(freight_creation_policy="Manual").run()
    assert (scene.tags, scene.condition("Ready")) == ([], GOOD)


def test_f12_criteria_that_are_false_make_no_freight_and_are_ready() -> None:
    scene = Scene(freight_creation_criteria="false").run()
    assert (scene.tags, scene.condition("Ready")) == ([], GOOD)
    assert scene.condition("FreightCreationCriteriaSatisfied") == ("False", "CriteriaNotSatisfied")


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("imageFrom('r.example/nobody').Tag == 'x'", id="F13 a field of an unknown repository"),
        pytest.param("semverDiff('1.0.0', '2.0.0') == 'major'", id="F14 a helper of promotions"),
    ],
)
def test_criteria_that_cannot_be_evaluated_wait_for_the_normal_timer(expression: str) -> None:
    scene = Scene(freight_creation_criteria=expression).run()
    assert scene.condition("Ready") == ("False", "CriteriaEvaluationFailed")
    assert scene.lab.next_moment() == pytest.approx(300.0, abs=0.1)


GENERIC = (GenericSubscription(kind="things", name="things"),)


def test_f15_with_generic_results_alone_criteria_are_not_looked_at() -> None:
    scene = Scene(subscriptions=GENERIC, freight_creation_criteria="false")
    scene.things = (ArtifactReference(artifact_type="things", subscription_name="things", version="1"),)
    assert len(scene.run().lab.freight()) == 1


def test_f16_an_empty_generic_result_fails_the_build_and_is_tried_again() -> None:
    scene = Scene(subscriptions=GENERIC).run(0.0)
    assert scene.condition("Ready") == ("False", "FreightBuildFailure")
    assert scene.lab.next_moment() == pytest.approx(0.005, abs=0.001)


def test_f18_hand_made_freight_gets_its_own_name() -> None:
    piece = Freight(namespace="p", name="mine", origin=Origin(name="w"), images=(of_image(WEB),))
    made = Store().create_freight(piece, now=EPOCH + timedelta(seconds=1))
    assert made is not None
    assert made.name == freight_name(piece)


def test_f19_an_alias_that_is_taken_is_refused() -> None:
    store = Store()
    one, two = (
        Freight(namespace="p", name="", alias="mine", origin=Origin(name="w"), images=(of_image(url),))
        for url in (WEB, "r.example/other")
    )
    store.create_freight(one, now=EPOCH)
    with pytest.raises(StoreError):
        store.create_freight(two, now=EPOCH)


def test_f22_a_name_for_a_subscription_makes_new_freight_once() -> None:
    scene = Scene().run()
    scene.apply(subscriptions=(ImageSubscription(repo_url=WEB, name="web"),)).run(1000.0)
    assert scene.tags == ["1.0.0", "1.0.0"]


def test_s38_an_origin_that_is_requested_twice_is_refused() -> None:
    request = "{origin: {kind: Warehouse, name: w}, sources: {direct: true}}"
    with pytest.raises(ManifestError, match="same origin"):
        loading.loads(
            "{apiVersion: kargo.akuity.io/v1alpha1, kind: Stage, metadata: {name: dev, namespace: p},"
            f" spec: {{requestedFreight: [{request}, {request}],"
            " promotionTemplate: {spec: {steps: [{uses: noop}]}}}}"
        )

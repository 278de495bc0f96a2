"""What Kargo's admission refuses although each file is right: hand-made Freight, and the operator's cache policy."""

from __future__ import annotations

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine.clock import EPOCH, VirtualClock
from kargo_lab.engine.freight import ALIAS_LABEL, freight_name
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.status import timestamp
from kargo_lab.errors import ManifestError
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import (
    Freight,
    FreightArtifact,
    FreightChart,
    FreightCommit,
    FreightImage,
    Origin,
)
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.sources.shared import OperatorSettings

WEB = "r.example/web"


def warehouse(*subscriptions: Subscription, namespace: str = "p") -> Warehouse:
    spec = WarehouseSpec(subscriptions=subscriptions, freight_creation_policy="Manual")
    return Warehouse(namespace=namespace, name="w", spec=spec)


ALL = warehouse(
    GitSubscription(repo_url="https://G.example/ex/repo.git"),
    ImageSubscription(repo_url=WEB),
    ChartSubscription(repo_url="https://c.example", chart_name="web"),
    GenericSubscription(kind="bucket", name="files"),
)
ONE = warehouse(ImageSubscription(repo_url=WEB))
COMMIT = FreightCommit(repo_url="https://g.example/ex/repo", id="c0ffee")
IMAGE = FreightImage(repo_url=WEB, tag="1.0.0")
CHART = FreightChart(repo_url="https://C.example", name="web", version="1.0.0")
WHOLE = Freight(
    namespace="p", name="mine", origin=Origin(name="w"), commits=(COMMIT,), images=(IMAGE,), charts=(CHART,)
)
SIMPLE = Freight(namespace="p", name="mine", origin=Origin(name="w"), images=(IMAGE,))


def lab(**options: object) -> Lab:
    return Lab(clock=VirtualClock(), seed=1, sources={}, **options)  # type: ignore[arg-type]  # as Lab names them


def applied(held: Warehouse, *pieces: Freight) -> Lab:
    made = lab()
    made.apply(Resources(warehouses=(held,), freight=pieces))
    return made


def refusal(made: Lab, held: Warehouse, *pieces: Freight) -> list[str]:
    with pytest.raises(ManifestError) as refused:
        made.apply(Resources(warehouses=(held,), freight=pieces))
    return [str(each) for each in refused.value.misfits]


def test_freight_with_one_artifact_for_each_subscription_is_stored_under_its_id() -> None:
    assert [piece.name for piece in applied(ALL, WHOLE).freight()] == [freight_name(WHOLE)]


def test_artifacts_of_generic_subscriptions_are_not_checked() -> None:
    artifact = FreightArtifact(artifact_type="x", subscription_name="none", version="1")
    assert len(applied(ONE, attrs.evolve(SIMPLE, artifacts=(artifact,))).freight()) == 1


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        pytest.param(
            attrs.evolve(WHOLE, commits=()),
            "commits: expected one of https://g.example/ex/repo, to which Warehouse w subscribes; found none",
            id="F17 no commit",
        ),
        pytest.param(
            attrs.evolve(WHOLE, images=()),
            f"images: expected one of {WEB}, to which Warehouse w subscribes; found none",
            id="F17 no image",
        ),
        pytest.param(
            attrs.evolve(WHOLE, charts=()),
            "charts: expected one of https:/c.example/web, to which Warehouse w subscribes; found none",
            id="F17 no chart",
        ),
        pytest.param(
            attrs.evolve(WHOLE, images=(IMAGE, attrs.evolve(IMAGE, tag="2.0.0"))),
            f"images: expected one of {WEB}, to which Warehouse w subscribes; found 2",
            id="two images",
        ),
        pytest.param(
            attrs.evolve(WHOLE, images=(IMAGE, FreightImage(repo_url="r.example/other", tag="1"))),
            "images: Warehouse w does not subscribe to r.example/other",
            id="an image of nobody's",
        ),
        pytest.param(
            attrs.evolve(WHOLE, charts=(CHART, attrs.evolve(CHART, name="api"))),
            "charts: Warehouse w does not subscribe to https:/c.example/api",
            id="another chart of the repository",
        ),
        pytest.param(
            attrs.evolve(WHOLE, origin=Origin(name="none")),
            "origin: Warehouse/none does not exist",
            id="an unknown Warehouse",
        ),
    ],
)
def test_other_freight_is_refused(piece: Freight, message: str) -> None:
    assert refusal(lab(), ALL, piece) == [f"Freight p/mine: {message}"]


def test_an_image_in_another_spelling_is_another_image() -> None:
    other = attrs.evolve(SIMPLE, images=(attrs.evolve(IMAGE, repo_url=WEB.upper()),))
    assert len(refusal(lab(), ONE, other)) == 2


def test_all_refusals_are_told_at_once_and_nothing_is_taken_over() -> None:
    made = lab()
    told = refusal(
        made, ONE, attrs.evolve(SIMPLE, name="a", images=()), SIMPLE, attrs.evolve(SIMPLE, origin=Origin(name="x"))
    )
    assert (len(told), made.freight(), made.objects.warehouses()) == (3, (), [])


def test_the_alias_is_drawn_and_becomes_a_label() -> None:
    piece = applied(ONE, SIMPLE).freight()[0]
    assert piece.alias
    assert piece.labels[ALIAS_LABEL] == piece.alias


def test_an_alias_may_serve_in_two_namespaces() -> None:
    pieces = tuple(attrs.evolve(SIMPLE, alias="same", namespace=where) for where in ("p", "q"))
    made = lab()
    made.apply(Resources(warehouses=(ONE, attrs.evolve(ONE, namespace="q")), freight=pieces))
    assert [piece.alias for piece in made.freight()] == ["same", "same"]


def test_an_alias_of_stored_freight_is_refused() -> None:
    made = applied(ONE, attrs.evolve(SIMPLE, alias="same"))
    other = attrs.evolve(SIMPLE, name="other", alias="same", images=(attrs.evolve(IMAGE, tag="2"),))
    assert refusal(made, ONE, other) == ["Freight p/other: alias: 'same' is taken by other Freight of the namespace"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("", timestamp(EPOCH), id="none"),
        pytest.param("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", id="one"),
    ],
)
def test_a_time_of_discovery_is_kept_and_otherwise_set(given: str, kept: str) -> None:
    assert applied(ONE, attrs.evolve(SIMPLE, discovered_at=given)).freight()[0].discovered_at == kept


def test_applying_the_same_again_changes_nothing() -> None:
    made = applied(ONE, SIMPLE)
    before = made.freight()
    made.apply(Resources(warehouses=(ONE,), freight=(SIMPLE,)))
    assert made.freight() == before


def test_freight_outlives_a_subscription_that_it_has_nothing_of() -> None:
    made = applied(ONE, SIMPLE)
    made.apply(Resources(warehouses=(ALL,), freight=(SIMPLE,)))
    assert len(made.freight()) == 1


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"images": (attrs.evolve(IMAGE, tag="2.0.0"),)}, id="F20 the tag of an image"),
        pytest.param({"images": (attrs.evolve(IMAGE, annotations={"a": "b"}),)}, id="what the name does not hash"),
        pytest.param({"origin": Origin(name="x")}, id="the origin"),
    ],
)
def test_stored_freight_is_immutable(edit: dict[str, object]) -> None:
    made = applied(ONE, SIMPLE)
    edited = attrs.evolve(made.freight()[0], **edit)  # type: ignore[arg-type]  # members of Freight
    member = next(iter(edit))
    text = f"Freight {edited.key}: {member}: Freight is immutable; under another name it is another piece"
    assert refusal(made, ONE, edited) == [text]


def test_stored_freight_may_have_another_alias() -> None:
    made = applied(ONE, SIMPLE)
    made.apply(Resources(warehouses=(ONE,), freight=(attrs.evolve(made.freight()[0], alias="new"),)))
    assert [(piece.alias, piece.labels[ALIAS_LABEL]) for piece in made.freight()] == [("new", "new")]


# The operator's cache policy (3.8) -----------------------------------------------------------------------


def of_image(**members: object) -> Resources:
    return Resources(warehouses=(warehouse(ImageSubscription(repo_url=WEB, **members)),))  # type: ignore[arg-type]  # members of it


def under(policy: str, profile: str = "latest") -> Lab:
    return lab(settings=OperatorSettings(cache_by_tag_policy=policy), profile=profiles.get(profile))


@pytest.mark.parametrize("strategy", ["SemVer", "Lexical", "NewestBuild"])
def test_i47_require_refuses_who_does_not_opt_in(strategy: str) -> None:
    with pytest.raises(
        ManifestError, match=r"Warehouse p/w: spec\.subscriptions\[0\]\.image\.cacheByTag: must be true"
    ):
        under("Require").apply(of_image(image_selection_strategy=strategy))


@pytest.mark.parametrize(
    ("policy", "profile", "members"),
    [
        pytest.param("Require", "latest", {"cache_by_tag": True}, id="opted in"),
        pytest.param("Require", "latest", {"image_selection_strategy": "Digest"}, id="I48 Digest"),
        pytest.param("Require", "v1.8", {}, id="before there was a policy"),
        pytest.param("Force", "latest", {}, id="another policy"),
    ],
)
def test_others_are_admitted(policy: str, profile: str, members: dict[str, object]) -> None:
    made = under(policy, profile)
    made.apply(of_image(**members))
    assert len(made.objects.warehouses()) == 1

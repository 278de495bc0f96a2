"""The case ideas I01 to I53 of discovery.md 10.2, each as one test against the embedded registry."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import LabError, ManifestError, SelectionError, UpstreamError
from kargo_lab.platforms.faults import Fault, FaultRule, Faults
from kargo_lab.platforms.oci.auth import BearerAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import PROFILES
from kargo_lab.resources import loading
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.selection import images as selection
from kargo_lab.sources import images
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.limits import SAVED_UP
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

NAMES = (f"ideas/{number}" for number in itertools.count())
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
CREATED = "org.opencontainers.image.created"
FIRST = ["1.0.0", "1.1.0", "2.0.0-rc.1", "latest"]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


class Repo:
    """A repository of its own, and one process that discovers in it."""

    def __init__(self, registry: Registry, *, profile: str = "latest", **settings: Any) -> None:
        self.registry, self.name, self.ledger, self.clock = registry, next(NAMES), Ledger(), VirtualClock()
        operator = OperatorSettings(**settings)
        self.shared = Shared(ledger=self.ledger, profile=PROFILES[profile], settings=operator, workers=1)

    def single(self, *tags: str, content: str = "", **facts: Any) -> Repo:
        for tag in tags:
            self.registry.push(self.name, make_image(content or tag, **facts), tag)
        return self

    def index(self, tag: str, *platforms: str, **facts: Any) -> Repo:
        children = [Child(make_image(f"{tag} {each}", platform=each), each) for each in platforms]
        self.registry.push(self.name, make_index(children, **facts), tag)
        return self

    def find(self, strategy: str = "SemVer", constraint: str = "", **settings: Any) -> list[str]:
        """The tags that are found, best first; the ledger holds this pass alone."""
        return [each.tag for each in self.discover(strategy, constraint, **settings)]

    def discover(self, strategy: str = "SemVer", constraint: str = "", **settings: Any) -> Any:
        wanted = ImageSubscription(
            repo_url=f"{self.registry.host}/{self.name}",
            image_selection_strategy=strategy,
            constraint=constraint,
            **settings,
        )
        self.ledger.clear()
        return images.discover(wanted, Context(shared=self.shared, clock=self.clock)).references


def order(tags: list[str], strategy: str = "SemVer", *, profile: str = "latest", **settings: Any) -> list[str]:
    """The walk over a listing: what a subscription takes, in its order."""
    wanted = ImageSubscription(repo_url="r.example/web", image_selection_strategy=strategy, **settings)
    return list(selection.build(wanted, PROFILES[profile]).shortlist(tags))


def admitted(**fields: Any) -> ImageSubscription:
    """A subscription as admission stores it. Raises ManifestError where that refuses."""
    spec = {"subscriptions": [{"image": {"repoURL": "r.example/web", **fields}}]}
    manifest = {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": {"name": "w", "namespace": "p"},
        "spec": spec,
    }
    (subscription,) = loading.loads(str(manifest)).warehouses[0].spec.subscriptions
    assert isinstance(subscription, ImageSubscription)
    return subscription


@pytest.mark.parametrize(
    ("tags", "settings", "expected"),
    [
        pytest.param(FIRST, {}, ["2.0.0-rc.1", "1.1.0", "1.0.0"], id="I01 without a constraint prereleases count"),
        pytest.param(FIRST, {"constraint": "^1.0.0"}, ["1.1.0", "1.0.0"], id="I02 a constraint leaves them out"),
        pytest.param(["1.0.0", "v1.0.0"], {}, ["v1.0.0", "1.0.0"], id="I03 equal versions go by text, greatest first"),
        pytest.param(
            ["1.0", "1.0.0"], {"strict_semvers": False}, ["1.0.0", "1.0"], id="I04 the full form before the short"
        ),
        pytest.param(["1.0", "2", "1.0.0"], {"strict_semvers": True}, ["1.0.0"], id="I05 strict takes the full form"),
        pytest.param(
            ["1.0.0", "1234567"], {"strict_semvers": False}, ["1234567", "1.0.0"], id="I06 a short hash is a version"
        ),
        pytest.param(["1.9.0", "1.10.0"], {}, ["1.10.0", "1.9.0"], id="I07 SemVer compares numbers"),
        pytest.param(
            ["1.9.0", "1.10.0"], {"strategy": "Lexical"}, ["1.9.0", "1.10.0"], id="I07 Lexical compares characters"
        ),
        pytest.param(
            ["2024.01.15"], {"strict_semvers": False}, ["2024.01.15"], id="I08 a leading zero is taken since v1.7"
        ),
        pytest.param(["2024.01.15"], {"strict_semvers": False, "profile": "v1.6"}, [], id="I09 and not taken in v1.6"),
        pytest.param(
            ["v1.0.0", "v1.0.0-rc1"],
            {"allow_tags_regexes": ("^v1",), "ignore_tags_regexes": ("rc",)},
            ["v1.0.0"],
            id="I13 ignoring wins over allowing",
        ),
        pytest.param(
            ["b1", "c1"],
            {"strategy": "Lexical", "allow_tags_regexes": ("^a", "^b")},
            ["b1"],
            id="I14 one allowed pattern of two is enough",
        ),
    ],
)
def test_the_order_of_tags(tags: list[str], settings: dict[str, Any], expected: list[str]) -> None:
    assert order(tags, **settings) == expected


def test_i10_as_many_manifests_are_asked_for_as_references_are_kept(registry: Registry) -> None:
    repo = Repo(registry).single(*(f"1.{number}.0" for number in range(30)), content="same")
    assert len(repo.find()) == 20
    assert repo.ledger.counts()["manifest-by-tag"] == 20


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"discoveryLimit": 101}, id="I11 a limit above 100"),
        pytest.param({"imageSelectionStrategy": "Digest"}, id="I21 Digest without a constraint"),
        pytest.param({"platform": "linux"}, id="I37 a platform without architecture"),
    ],
)
def test_admission_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        admitted(**fields)


def test_i12_the_limit_is_twenty_unless_said() -> None:
    assert admitted().discovery_limit == 20


def test_i15_an_invalid_regex_is_admitted_and_fails_the_discovery(registry: Registry) -> None:
    assert admitted(allowTagsRegexes=["("]).allow_tags_regexes == ("(",)
    with pytest.raises(SelectionError):
        Repo(registry).single("1.0.0").find(allow_tags_regexes=("(",))


def test_i16_a_deprecated_field_fails_the_discovery(registry: Registry) -> None:
    with pytest.raises(SelectionError):
        Repo(registry).single("1.0.0").find(allow_tags="^1")


def test_i17_and_does_not_with_digest(registry: Registry) -> None:
    assert Repo(registry).single("latest").find("Digest", "latest", allow_tags="^1") == ["latest"]


def test_i18_a_tag_that_moves_has_a_new_digest(registry: Registry) -> None:
    repo = Repo(registry).single("latest", content="one")
    (before,) = repo.discover("Digest", "latest")
    repo.single("latest", content="two")
    assert repo.discover("Digest", "latest")[0].digest != before.digest


def test_i19_a_missing_tag_is_an_empty_result_with_digest(registry: Registry) -> None:
    assert Repo(registry).single("other").find("Digest", "latest") == []


def test_i20_a_401_is_an_error_with_digest() -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", body="{}")
        mock.get("https://r.example/v2/web/manifests/latest", status=401)
        wanted = ImageSubscription(repo_url="r.example/web", image_selection_strategy="Digest", constraint="latest")
        with pytest.raises(UpstreamError) as caught:
            images.discover(wanted, Context(shared=Shared(ledger=Ledger()), clock=VirtualClock()))
    assert caught.value.status == 401


def test_i22_newest_build_asks_for_every_manifest(registry: Registry) -> None:
    repo = Repo(registry).single(*(f"1.{number}.0" for number in range(50)), content="same", created=EARLY)
    assert len(repo.find("NewestBuild", discovery_limit=5)) == 5
    assert repo.ledger.counts()["manifest-by-tag"] == 50


def test_i23_equal_creation_times_go_by_text_greatest_first(registry: Registry) -> None:
    assert Repo(registry).single("a", "b", created=EARLY).find("NewestBuild") == ["b", "a"]


def created(registry: Registry, profile: str, made: Any) -> str:
    repo = Repo(registry, profile=profile)
    registry.push(repo.name, made, "a")
    (reference,) = repo.discover("NewestBuild")
    return str(reference.created_at.isoformat().replace("+00:00", "Z"))


def test_i24_an_annotation_beats_the_config(registry: Registry) -> None:
    assert created(registry, "v1.7", make_image("a", created=EARLY, annotations={CREATED: LATE})) == LATE


def test_i25_a_label_that_is_older_than_the_config_is_not_used(registry: Registry) -> None:
    assert created(registry, "latest", make_image("a", created=LATE, labels={CREATED: EARLY})) == LATE


def test_i26_and_was_used_up_to_v1_11(registry: Registry) -> None:
    assert created(registry, "v1.11", make_image("a", created=LATE, labels={CREATED: EARLY})) == EARLY


def test_i27_an_annotated_index_has_that_time(registry: Registry) -> None:
    child = Child(make_image("a", created=LATE, platform="linux/amd64"), "linux/amd64")
    assert created(registry, "latest", make_index([child], annotations={CREATED: EARLY})) == EARLY


def test_i28_attestations_are_not_fetched(registry: Registry) -> None:
    repo = Repo(registry).index("1.0.0", "linux/amd64", "linux/arm64", attestations=True)
    assert repo.find() == ["1.0.0"]
    assert repo.ledger.counts()["manifest-by-digest"] == 2


def test_i29_an_index_of_unknown_platforms_only_is_an_error(registry: Registry) -> None:
    repo = Repo(registry)
    registry.push(repo.name, make_index([Child(make_image("a"), "unknown/unknown")]), "1.0.0")
    with pytest.raises(UpstreamError):
        repo.find()


def faulty(path: str, fault: Fault) -> Registry:
    return Registry(layers=[Faults(FaultRule(path=path, fault=fault)).wrap])


def test_i30_a_schema_1_manifest_on_the_way_is_an_error() -> None:
    old = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
    with faulty("/manifests/1.1.0", Fault(status=200, headers=old, body=b"{}")) as registry:
        repo = Repo(registry).single("1.0.0", "1.1.0")
        with pytest.raises(UpstreamError, match="unknown artifact type"):
            repo.find()


@pytest.mark.parametrize(
    ("platforms", "wanted", "profile", "found"),
    [
        pytest.param(("linux/amd64",), "linux/amd64", "latest", True, id="I31 an index with the platform"),
        pytest.param((), "linux/amd64", "latest", False, id="I32 a single image has no platform"),
        pytest.param((), "linux/amd64", "v1.8", True, id="I33 up to v1.8 that of its config"),
        pytest.param(("linux/arm64/v8",), "linux/arm64", "latest", False, id="I34 the variant has to be named"),
        pytest.param(("linux/arm64/v8",), "linux/arm64/v8", "latest", True, id="I35 and then it is found"),
        pytest.param((), "", "latest", True, id="I38 no platform: the controller's own does not matter"),
    ],
)
def test_platforms(registry: Registry, platforms: tuple[str, ...], wanted: str, profile: str, found: bool) -> None:
    repo = Repo(registry, profile=profile)
    _ = repo.index("1.0.0", *platforms) if platforms else repo.single("1.0.0")
    assert repo.find(platform=wanted) == (["1.0.0"] if found else [])


def test_i36_a_platform_that_nothing_has_is_looked_for_everywhere(registry: Registry) -> None:
    repo = Repo(registry).single(*(f"1.{number}.0" for number in range(100)), content="same")
    assert repo.find(platform="linux/s390x") == []
    assert repo.ledger.counts()["manifest-by-tag"] == 100


@pytest.mark.parametrize(
    ("missing", "fails"),
    [pytest.param("1.9.0", True, id="I39 among the first"), pytest.param("1.0.0", False, id="I40 beyond the limit")],
)
def test_a_listed_tag_without_manifest(missing: str, fails: bool) -> None:
    with faulty(f"/manifests/{missing}", Fault(status=404)) as registry:
        repo = Repo(registry).single(*(f"1.{number}.0" for number in range(10)))
        try:
            found = repo.find(discovery_limit=5)
        except UpstreamError:
            found = []
    assert (found == []) is fails


def test_i41_single_images_cost_the_same_again(registry: Registry) -> None:
    repo = Repo(registry).single("1.0.0", "1.1.0")
    repo.find()
    cold = repo.ledger.counts()
    repo.find()
    assert repo.ledger.counts() == cold


def test_i42_of_an_index_only_the_manifest_is_asked_for_again(registry: Registry) -> None:
    repo = Repo(registry).index("1.0.0", "linux/amd64", "linux/arm64")
    repo.find()
    repo.find()
    assert repo.ledger.counts() == {"ping": 2, "tags": 1, "manifest-by-tag": 1}


def test_i43_with_the_tag_cache_only_the_tags_are_listed(registry: Registry) -> None:
    repo = Repo(registry).single("1.0.0", "1.1.0")
    repo.find(cache_by_tag=True)
    repo.find(cache_by_tag=True)
    assert repo.ledger.counts() == {"ping": 1, "tags": 1}


def test_i44_a_tag_that_moves_is_not_seen_with_the_tag_cache(registry: Registry) -> None:
    repo = Repo(registry).single("1.0.0", content="one")
    (before,) = repo.discover(cache_by_tag=True)
    repo.single("1.0.0", content="two")
    assert repo.discover(cache_by_tag=True)[0].digest == before.digest
    repo.shared = Shared(ledger=repo.ledger, workers=1)  # a restart
    assert repo.discover(cache_by_tag=True)[0].digest != before.digest


@pytest.mark.parametrize(
    ("policy", "own", "cached"),
    [
        pytest.param("Force", False, True, id="I45 Force caches whatever the subscription says"),
        pytest.param("Forbid", True, False, id="I46 Forbid does not"),
    ],
)
def test_policies(registry: Registry, policy: str, own: bool, cached: bool) -> None:
    repo = Repo(registry, cache_by_tag_policy=policy).single("1.0.0")
    repo.find(cache_by_tag=own)
    repo.find(cache_by_tag=own)
    assert ("manifest-by-tag" not in repo.ledger.counts()) is cached


def test_i48_require_fails_digest_although_that_caches_nothing(registry: Registry) -> None:
    with pytest.raises(LabError):
        Repo(registry, cache_by_tag_policy="Require").single("latest").find("Digest", "latest")


def test_i49_a_bearer_registry_wants_a_token_for_each_call() -> None:
    with Registry(authority=BearerAuthority({})) as registry:
        repo = Repo(registry).single(*(f"1.{number}.0" for number in range(20)))
        repo.find()
    assert repo.ledger.counts() == {"ping": 21, "token": 21, "manifest-by-tag": 20, "blob": 20, "tags": 1}


def test_i50_pages_are_followed() -> None:
    with Registry(settings=RegistrySettings(page_cap=100)) as registry:
        repo = Repo(registry)
        registry.push(repo.name, make_image("same"), *(f"1.{number}.0" for number in range(2500)))
        assert repo.find(discovery_limit=1) == ["1.2499.0"]
    assert repo.ledger.counts()["tags"] == 25


def test_i51_two_warehouses_share_the_limit_of_a_registry(registry: Registry) -> None:
    repo = Repo(registry).single(*(f"1.{number}.0" for number in range(20)))
    began, requests = repo.clock.monotonic(), 0
    for _ in ("one Warehouse", "another"):
        repo.find()
        requests += len(repo.ledger.requests)
    assert repo.clock.monotonic() - began >= (requests - SAVED_UP) / 20


def test_i52_the_entry_of_the_platform_overrides_the_index(registry: Registry) -> None:
    repo = Repo(registry)
    child = Child(make_image("a", platform="linux/amd64"), "linux/amd64", {"k": "entry"})
    registry.push(repo.name, make_index([child], annotations={"k": "index", "other": "index"}), "1.0.0")
    (reference,) = repo.discover(platform="linux/amd64")
    assert reference.annotations == {"k": "entry", "other": "index"}


def test_i53_docker_hub_is_asked_and_the_written_url_is_kept() -> None:
    wanted = ImageSubscription(repo_url="docker.io/library/nginx")
    with responses.RequestsMock() as mock:
        mock.get("https://index.docker.io/v2/", body="{}")
        mock.get("https://index.docker.io/v2/library/nginx/tags/list", json={"tags": []})
        found = images.discover(wanted, Context(shared=Shared(ledger=Ledger()), clock=VirtualClock()))
    assert found.repo_url == "docker.io/library/nginx"

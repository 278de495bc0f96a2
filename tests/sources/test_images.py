"""Images: every record of image-selection.json against a real registry, caches, failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import responses

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import SelectionError, UpstreamError
from kargo_lab.platforms.access import Application, Environ, StartResponse
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import LATEST, PROFILES, Profile
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.sources import images
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "image-selection.json").read_text())
ERRORS = {"configuration": SelectionError, "discovery": UpstreamError}
DISCOVERED = [pytest.param(each, id=each["case"]) for each in RECORDS if "event_tags" not in each]
ODD_TYPES = {
    "schema1": "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "artifact": "application/vnd.oci.artifact.manifest.v1+json",
}
FIELDS = {
    "imageSelectionStrategy": "image_selection_strategy",
    "strictSemvers": "strict_semvers",
    "discoveryLimit": "discovery_limit",
    "constraint": "constraint",
    "platform": "platform",
    "allowTags": "allow_tags",
    "ignoreTags": "ignore_tags",
    "allowTagsRegexes": "allow_tags_regexes",
    "ignoreTagsRegexes": "ignore_tags_regexes",
}


class Oddities:
    """A layer before the registry that answers some paths otherwise; `odd` is refilled by each test."""

    def __init__(self) -> None:
        self.odd: dict[str, tuple[str, str]] = {}
        self.bodies: dict[str, tuple[str, bytes]] = {}

    def clear(self) -> None:
        self.odd.clear()
        self.bodies.clear()

    def __call__(self, application: Application) -> Application:
        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if path in self.bodies:
                kind, body = self.bodies[path]
                start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
                return [body]
            found = self.odd.get(path)
            if found is None:
                return application(environ, start_response)
            start_response(found[0], [("Content-Type", found[1]), ("Content-Length", "2")])
            return [b"{}"]

        return answer


ODDITIES = Oddities()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry(layers=[ODDITIES]) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_odd() -> None:
    ODDITIES.clear()


@pytest.fixture
def repository(request: pytest.FixtureRequest, registry: Registry) -> str:
    """A name of its own for each test."""
    return f"r{abs(hash(request.node.nodeid))}"


def fill(scene: SimpleNamespace, registry: Registry, repository: str, record: dict[str, Any]) -> None:
    registry.push(repository, make_image("untagged"))
    same: dict[str, Any] = {}
    for tag in record["tags"]:
        made = same[tag["same"]] if "same" in tag else scene.artifact(tag, record.get("media_types"))
        same[tag["name"]] = made
        # Some names no client could push; a registry may hold them all the same.
        registry.storage.tag(repository, tag["name"], registry.push(repository, made))
        manifest = f"/v2/{repository}/manifests/{tag['name']}"
        match tag.get("kind"):
            case "missing":
                ODDITIES.odd[manifest] = ("404 Not Found", "application/json")
            case "forbidden":
                ODDITIES.odd[manifest] = ("403 Forbidden", "application/json")
            case "schema1" | "artifact" as kind:
                ODDITIES.odd[manifest] = ("200 OK", ODD_TYPES[kind])
    if "listing_status" in record:
        ODDITIES.odd[f"/v2/{repository}/tags/list"] = (f"{record['listing_status']} no", "application/json")
    if "ping_status" in record:
        ODDITIES.odd["/v2/"] = (f"{record['ping_status']} no", "application/json")


def subscription(registry: Registry, repository: str, document: dict[str, Any]) -> ImageSubscription:
    settings = {FIELDS[name]: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
    return ImageSubscription(repo_url=f"{registry.host}/{repository}", **settings)


def context(*, profile: Profile = LATEST, workers: int = 1, **settings: Any) -> Context:
    shared = Shared(ledger=Ledger(), profile=profile, workers=workers, settings=OperatorSettings(**settings))
    return Context(shared=shared, clock=VirtualClock())


@pytest.mark.parametrize(
    "record", [pytest.param(each, id=each["case"]) for each in RECORDS if "event_tags" not in each]
)
def test_which_images_are_found(
    scene: SimpleNamespace, registry: Registry, repository: str, record: dict[str, Any]
) -> None:
    fill(scene, registry, repository, record)
    wanted = subscription(registry, repository, record["subscription"])
    if "error" in record:
        with pytest.raises(ERRORS[record["error"]]):
            images.discover(wanted, context())
        return
    found = images.discover(wanted, context()).references
    assert [each.tag for each in found] == [each["tag"] for each in record["result"]]
    for reference, expected in zip(found, record["result"], strict=True):
        if "created" in expected:
            created = reference.created_at
            shown = None if created is None else created.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert shown == expected["created"]
        if "annotations" in expected:
            assert dict(reference.annotations) == expected["annotations"]


def newest(registry: Registry, repository: str, **settings: Any) -> ImageSubscription:
    return ImageSubscription(repo_url=f"{registry.host}/{repository}", **settings)


def test_several_workers_find_the_same(registry: Registry, repository: str) -> None:
    for index in range(20):
        registry.push(repository, make_image(str(index), created=f"2026-01-{index + 1:02}T00:00:00Z"), f"t{index}")
    wanted = newest(registry, repository, image_selection_strategy="NewestBuild")
    assert images.discover(wanted, context(workers=8)) == images.discover(wanted, context(workers=1))


@pytest.mark.parametrize(
    ("policy", "opted_in", "second_pass"),
    [
        pytest.param("Allow", False, 4, id="Allow leaves it to the subscription, which does not"),
        pytest.param("Allow", True, 2, id="Allow leaves it to the subscription, which does"),
        pytest.param("Forbid", True, 4, id="Forbid switches it off"),
        pytest.param("Force", False, 2, id="Force switches it on"),
        pytest.param("Require", True, 2, id="Require is met"),
    ],
)
def test_the_tag_cache_under_a_policy(
    registry: Registry, repository: str, policy: str, opted_in: bool, second_pass: int
) -> None:
    registry.push(repository, make_image("a"), "1.0.0")
    wanted = newest(registry, repository, cache_by_tag=opted_in)
    with_policy = context(cache_by_tag_policy=policy)
    images.discover(wanted, with_policy)
    with_policy.ledger.clear()
    images.discover(wanted, with_policy)
    assert len(with_policy.ledger.rows) == second_pass + (second_pass == 4)


def test_a_policy_that_requires_the_cache_refuses_even_digest(registry: Registry, repository: str) -> None:
    wanted = newest(registry, repository, image_selection_strategy="Digest", constraint="latest")
    with pytest.raises(SelectionError):
        images.discover(wanted, context(cache_by_tag_policy="Require"))


def index_of(*children: Child) -> Any:
    return make_index(children)


def test_up_to_v1_8_only_the_matching_child_is_fetched(registry: Registry, repository: str) -> None:
    made = index_of(*(Child(make_image(name, platform=name), name) for name in ("linux/amd64", "linux/arm64")))
    registry.push(repository, made, "1.0.0")
    old = context(profile=PROFILES["v1.8"])
    found = images.discover(newest(registry, repository, platform="linux/arm64"), old)
    assert [each.tag for each in found.references] == ["1.0.0"]
    assert old.ledger.counts()["manifest-by-digest"] == 1


def test_up_to_v1_8_a_single_image_has_the_platform_of_its_config(registry: Registry, repository: str) -> None:
    registry.push(repository, make_image("a", platform="linux/arm64"), "1.0.0")
    wanted = newest(registry, repository, platform="linux/arm64")
    assert images.discover(wanted, context(profile=PROFILES["v1.8"])).references
    assert not images.discover(wanted, context(profile=PROFILES["v1.9"])).references


def test_up_to_v1_8_the_image_cache_forgets_after_half_an_hour(registry: Registry, repository: str) -> None:
    registry.push(repository, index_of(Child(make_image("a"), "linux/amd64")), "1.0.0")
    old = context(profile=PROFILES["v1.8"])
    for wait, fetched in ((0.0, 1), (1799.0, 0), (2.0, 1)):
        old.clock.wait(wait)
        old.ledger.clear()
        images.discover(newest(registry, repository), old)
        assert old.ledger.counts().get("manifest-by-digest", 0) == fetched


@pytest.mark.parametrize(
    ("profile", "tries"), [pytest.param("v1.11", 1, id="v1.11 gives up"), pytest.param("latest", 3, id="latest")]
)
def test_a_429_is_tried_again_since_head(registry: Registry, repository: str, profile: str, tries: int) -> None:
    ODDITIES.odd[f"/v2/{repository}/tags/list"] = ("429 Too Many Requests", "application/json")
    limited = context(profile=PROFILES[profile])
    with pytest.raises(UpstreamError) as caught:
        images.discover(newest(registry, repository), limited)
    assert (caught.value.status, limited.ledger.counts()["tags"]) == (429, tries)


def test_retries_wait_one_and_three_seconds(registry: Registry, repository: str) -> None:
    ODDITIES.odd[f"/v2/{repository}/tags/list"] = ("503 Service Unavailable", "application/json")
    slow = context()
    with pytest.raises(UpstreamError):
        images.discover(newest(registry, repository), slow)
    assert slow.clock.monotonic() == pytest.approx(4.0, abs=0.3)


def test_a_registry_that_is_down_is_an_upstream_error() -> None:
    down = context()
    with pytest.raises(UpstreamError, match="no connection"):
        images.discover(ImageSubscription(repo_url="127.0.0.1:1/acme/web"), down)
    assert down.ledger.rows == ()


def test_a_ping_that_is_redirected_decides_the_scheme() -> None:
    asked = context()
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", status=301, headers={"Location": "https://s.example/v2/"})
        mock.get("https://s.example/v2/", body="{}")
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        images.discover(ImageSubscription(repo_url="r.example/acme/web"), asked)
    assert asked.ledger.counts() == {"ping": 2, "tags": 1}


def test_an_expired_token_is_renewed_once() -> None:
    asked = context()
    challenge = {"WWW-Authenticate": 'Bearer realm="https://r.example/token",service="s",scope="extra"'}
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        mock.get("https://r.example/v2/", status=401, headers=challenge)
        mock.get("https://r.example/token", json={"token": "one"})
        mock.get("https://r.example/v2/acme/web/tags/list", status=401, headers=challenge)
        mock.get("https://r.example/token", json={"access_token": "two", "token": "ignored"})
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        images.discover(ImageSubscription(repo_url="r.example/acme/web"), asked)
        sent = [call.request for call in mock.calls]
    assert [each.headers.get("Authorization") for each in sent] == [None, None, "Bearer one", None, "Bearer two"]
    assert sent[3].url.endswith("scope=extra&scope=repository%3Aacme%2Fweb%3Apull&service=s")


@pytest.mark.parametrize(
    ("link", "pages"),
    [
        pytest.param("/v2/acme/web/tags/list?n=1000", 1, id="a page that follows itself"),
        pytest.param("nonsense", 1, id="a Link that is none"),
    ],
)
def test_a_listing_that_never_ends_is_an_upstream_error(link: str, pages: int) -> None:
    asked, header = context(), f"<{link}>" if link.startswith("/") else link
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", body="{}")
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []}, headers={"Link": header})
        with pytest.raises(UpstreamError):
            images.discover(ImageSubscription(repo_url="r.example/acme/web"), asked)
    assert asked.ledger.counts()["tags"] == pages


def test_an_unknown_challenge_is_an_upstream_error() -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", status=401, headers={"WWW-Authenticate": "Negotiate"})
        with pytest.raises(UpstreamError, match="unrecognized challenge"):
            images.discover(ImageSubscription(repo_url="r.example/acme/web"), context())


def test_a_listing_that_is_no_json_is_an_upstream_error(registry: Registry, repository: str) -> None:
    ODDITIES.odd[f"/v2/{repository}/tags/list"] = ("200 OK", "application/json")
    assert images.discover(newest(registry, repository), context()).references == ()


def test_the_limiter_spaces_requests_after_the_first_burst(registry: Registry, repository: str) -> None:
    for index in range(15):
        registry.push(repository, make_image("a"), f"1.{index}.0")
    limited = context()
    images.discover(newest(registry, repository), limited)
    sent = len(limited.ledger.rows)
    # TLS greetings take their turn at the limiter too, one a session, though nothing of them is a request.
    sessions = limited.ledger.counts()["ping"]
    assert limited.clock.monotonic() == pytest.approx((sent + sessions - 1) / 20)


def test_results_carry_the_name_of_the_subscription(registry: Registry, repository: str) -> None:
    registry.push(repository, make_image("a"), "1.0.0")
    found = images.discover(attrs.evolve(newest(registry, repository), name="front"), context())
    assert (found.subscription_name, found.repo_url) == ("front", f"{registry.host}/{repository}")


def tampered(registry: Registry, repository: str, **config: Any) -> None:
    """Push an image whose manifest's config descriptor says otherwise."""
    made = make_image("a", created="2026-01-01T00:00:00Z")
    document = json.loads(made.manifest)
    document["config"] |= config
    body = json.dumps(document).encode()
    ODDITIES.bodies[f"/v2/{repository}/manifests/1.0.0"] = (document["mediaType"], body)
    registry.push(repository, made, "1.0.0")


def test_a_config_that_the_manifest_carries_is_not_asked_for(registry: Registry, repository: str) -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    tampered(registry, repository, digest=digest, data="e30=", size=2)
    asked = context()
    assert images.discover(newest(registry, repository), asked).references[0].created_at is None
    assert "blob" not in asked.ledger.counts()


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"data": "e30=", "size": 3}, id="data of another size"),
        pytest.param({"data": "?", "size": 1}, id="data that is no base64"),
        pytest.param({"data": "e30=", "size": 2}, id="data of another digest"),
        pytest.param({"digest": "sha256:" + "0" * 64}, id="a config that is not there"),
        pytest.param({"digest": 1}, id="a digest that is no text"),
        pytest.param({"digest": "sha256:../../tags/list"}, id="a digest that is a path"),
    ],
)
def test_a_malformed_manifest_fails_the_discovery(registry: Registry, repository: str, config: dict[str, Any]) -> None:
    tampered(registry, repository, **config)
    with pytest.raises(UpstreamError):
        images.discover(newest(registry, repository), context())


def test_what_the_walk_asks_is_what_the_selector_says() -> None:
    asked: list[str] = []
    wanted = ImageSubscription(repo_url="r.example/web", discovery_limit=2)

    def facts(tag: str) -> Any:
        asked.append(tag)
        return images.ImageFacts(tag=tag)

    take: Callable[[], list[str]] = lambda: ["1.0.0", "3.0.0", "2.0.0"]  # noqa: E731 - a listing in one line
    images.found(images.selection.build(wanted), take, facts, context())
    assert asked == ["3.0.0", "2.0.0"]

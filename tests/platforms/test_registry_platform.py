"""A real push to a registry that wears a persona, up to what Kargo's receiver makes of the hook."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kargo_lab.errors import UsageError
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.oci.personas import PERSONAS
from kargo_lab.platforms.outgoing import Outgoing, Response
from kargo_lab.platforms.registry_platform import PlatformRegistry
from kargo_lab.platforms.registry_process import ProcessRegistry, why_no_process
from kargo_lab.platforms.registry_remote import ACCEPT, RemoteRegistry
from kargo_lab.platforms.serving import Server
from kargo_lab.profiles import LATEST
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Delivery, Push, Setup

SECRET = "a-secret"
KARGO = [name for name in PERSONAS if PERSONAS[name].receiver != "generic"]


class Receiver:
    """Takes deliveries without a network and remembers them."""

    def __init__(self) -> None:
        self.got: list[Outgoing] = []
        self.status = 200

    def __call__(self, outgoing: Outgoing, _timeout: float, _redirects: bool) -> Response:
        self.got.append(outgoing)
        return Response(status=self.status)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(outgoing.body) for outgoing in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def opened(persona: str, receiver: Receiver, **options: Any) -> PlatformRegistry:
    return PlatformRegistry(persona, transport=receiver, asynchronous=False, **options)


@pytest.fixture(params=KARGO)
def registry(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[PlatformRegistry]:
    with opened(request.param, receiver) as registry:
        registry.add_hook(url="http://receiver.example/hook", secret=SECRET)
        yield registry


def verdict(registry: PlatformRegistry, outgoing: Outgoing) -> Any:
    delivery = Delivery(headers=outgoing.headers, body=outgoing.body)
    receive = RECEIVERS[registry.persona.receiver]
    receive = getattr(receive, "receive", receive)
    return receive(delivery, Setup(secret=SECRET.encode()), LATEST)


def expected_url(registry: PlatformRegistry, repository: str) -> str:
    """Docker Hub's hooks name no host: it is always the same."""
    return f"docker.io/{repository}" if registry.persona.name == "docker-hub" else f"{registry.host}/{repository}"


def test_a_pushed_tag_reaches_the_receiver_as_a_push_of_this_repository(
    registry: PlatformRegistry, receiver: Receiver
) -> None:
    registry.push_image("acme/guestbook", "1.0.0")
    registry.sender.step()
    push = verdict(registry, receiver.got[-1])
    assert isinstance(push, Push)
    assert push.qualifiers == ("1.0.0",)
    assert expected_url(registry, "acme/guestbook") in push.repo_urls or push.repo_urls == ("acme/guestbook",)


@pytest.mark.parametrize(
    ("persona", "count"),
    [("docker-hub", 1), ("quay", 1), ("harbor", 5), ("acr", 5), ("artifactory", 1), ("ghcr", 5), ("registry", 13)],
)
def test_an_index_of_two_platforms_with_attestations_makes_so_many_deliveries(
    persona: str, count: int, receiver: Receiver
) -> None:
    with opened(persona, receiver) as registry:
        registry.add_hook(url="http://receiver.example")
        registry.push_index("acme/guestbook", "1.0.0", attestations=True)
        registry.sender.step()
    assert len(receiver.got) == count


def test_skopeo_copying_an_index_makes_harbors_hooks(receiver: Receiver, tmp_path: Path) -> None:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    with opened("harbor", receiver) as source, opened("harbor", receiver, users={"me": "secret"}) as registry:
        registry.add_hook("acme", url="http://receiver.example", events=["push", "pull"])
        source.push_index("from/here", "1.0.0")
        addresses = [f"docker://{source.host}/from/here:1.0.0", f"docker://{registry.host}/acme/guestbook:1.0.0"]
        options = ["--all", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds=me:secret"]
        command = ["skopeo", "copy", *options, *addresses]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        registry.sender.step()
    resources = [(body["type"], body["event_data"]["resources"][0]["tag"][:7]) for body in receiver.bodies]
    assert Counter(resources)["PUSH_ARTIFACT", "sha256:"] == 2
    assert resources[-1] == ("PUSH_ARTIFACT", "1.0.0")
    assert {body["operator"] for body in receiver.bodies} == {"me"}


def test_a_hook_gets_what_happens_at_its_place_only(receiver: Receiver) -> None:
    with opened("quay", receiver) as registry:
        registry.add_hook("acme/guestbook", url="http://one.example")
        registry.add_hook("acme", url="http://owner.example")
        registry.add_hook(url="http://all.example")
        for repository in ("acme/guestbook", "acme/other", "acmeother/guestbook"):
            registry.push_image(repository, "v1")
        registry.sender.step()
    assert Counter(outgoing.url for outgoing in receiver.got) == {
        "http://one.example": 1, "http://owner.example": 2, "http://all.example": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("scope", "count"), [("", 2), ("acme/app:*", 2), ("acme/app:v1", 1), ("acme/other:*", 0)])
def test_acr_looks_at_the_scope_of_a_hook(receiver: Receiver, scope: str, count: int) -> None:
    with opened("acr", receiver) as registry:
        registry.add_hook(url="http://receiver.example", settings={"scope": scope})
        for tag in ("v1", "v2"):
            registry.push_image("acme/app", tag)
        registry.sender.step()
    assert len(receiver.got) == count


def test_a_hook_that_is_off_or_gone_gets_nothing(receiver: Receiver) -> None:
    with opened("quay", receiver) as registry:
        off, gone = (registry.add_hook(url="http://receiver.example") for _ in range(2))
        registry.change_hook(off.id, active=False)
        assert (registry.remove_hook(gone.id), registry.remove_hook(gone.id)) == (True, False)
        registry.push_image("acme/app", "v1")
        assert (registry.sender.step(), [hook.id for hook in registry.hooks]) == (0, [off.id])


@pytest.mark.parametrize(("plain", "header"), [(False, 64), (True, len(SECRET))])
def test_artifactory_signs_or_sends_the_secret_itself(receiver: Receiver, plain: bool, header: int) -> None:
    with opened("artifactory", receiver) as registry:
        registry.add_hook(url="http://receiver.example", secret=SECRET, settings={"plain_secret": plain})
        registry.push_image("docker-local/app", "v1")
        registry.sender.step()
    assert [len(value) for name, value in receiver.got[0].headers if name == "X-JFrog-Event-Auth"] == [header]


def test_harbor_sends_cloud_events_where_the_hook_says_so(receiver: Receiver) -> None:
    with opened("harbor", receiver) as registry:
        registry.add_hook(url="http://receiver.example", kind="CloudEvents")
        registry.push_image("acme/app", "v1")
        registry.sender.step()
    assert receiver.bodies[0]["type"] == "harbor.artifact.pushed"


def test_payloads_name_the_public_host_where_there_is_one(receiver: Receiver) -> None:
    with opened("quay", receiver, public_host="quay.example") as registry:
        registry.add_hook(url="http://receiver.example")
        registry.push_image("acme/app", "v1")
        registry.sender.step()
    assert receiver.bodies[0]["docker_url"] == "quay.example/acme/app"


def test_two_hooks_of_one_push_have_identities_of_their_own(receiver: Receiver) -> None:
    with opened("ghcr", receiver) as registry:
        for _ in range(2):
            registry.add_hook(url="http://receiver.example", events=["package", "registry_package"])
        registry.push_image("acme/app", "v1")
        registry.sender.step()
    assert len({outgoing.guid for outgoing in receiver.got}) == 4


def test_deliveries_are_logged_and_sent_again(receiver: Receiver) -> None:
    with opened("quay", receiver) as registry:
        receiver.status = 500
        registry.add_hook(url="http://receiver.example")
        registry.push_image("acme/app", "v1")
        registry.sender.step()
        receiver.status = 200
        registry.redeliver(registry.deliveries[0].guid)
        registry.sender.step()
        assert [row.outcome for row in registry.deliveries] == ["refused", "delivered"]
    assert receiver.got[0].body == receiver.got[1].body


def test_a_platform_challenges_and_pages_as_that_platform(receiver: Receiver) -> None:
    with opened("ghcr", receiver, users={"me": "secret"}) as registry:
        for number in range(120):
            registry.push_image("acme/app", f"v{number}", content="same")
        tags = f"{registry.url}/v2/acme/app/tags/list"
        challenge = requests.get(tags, timeout=5).headers["WWW-Authenticate"]
        token = requests.get(f"{registry.url}/token?scope=repository:acme/app:pull", timeout=5).json()["token"]
        page = requests.get(tags, headers={"Authorization": f"Bearer {token}"}, timeout=5).json()["tags"]
    assert 'service="ghcr.io"' in challenge
    assert (len(page), page[:3]) == (100, ["v0", "v1", "v2"])


def test_a_platform_nobody_knows_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="known are acr, artifactory"):
        PlatformRegistry("sourceforge")


def test_a_manifest_pushed_twice_is_told_twice(receiver: Receiver) -> None:
    with opened("harbor", receiver) as registry:
        registry.add_hook(url="http://receiver.example")
        for _ in range(2):
            registry.push("acme/app", make_image("same"), "v1")
        assert registry.sender.step() == 2


def exercise(url: str) -> None:
    """All that distribution tells about, through its API only."""
    remote = RemoteRegistry(url)
    index = remote.push_index("acme/app", "v1")
    for method, reference in (("HEAD", "v1"), ("GET", "v1"), ("GET", index)):
        remote.request(method, f"acme/app/manifests/{reference}", headers={"Accept": ACCEPT})
    image = make_image("mounted")
    remote.push("acme/app", image)
    blob = next(iter(image.blobs))
    for method in ("HEAD", "GET"):
        remote.request(method, f"acme/app/blobs/{blob}")
    remote.request("POST", "acme/other/blobs/uploads/", params={"mount": blob, "from": "acme/app"})
    remote.delete_manifest("acme/app", image.digest)
    remote.request("DELETE", f"acme/app/blobs/{blob}")


def told(bodies: list[bytes]) -> list[Any]:
    """The events without what differs from run to run."""
    events = [event for body in bodies for event in json.loads(body)["events"]]
    for event in events:
        for path in ("id", "timestamp", "source"):
            event.pop(path)
        for member in ("id", "addr", "host"):
            event["request"].pop(member)
        if "url" in event["target"]:
            event["target"]["url"] = event["target"]["url"].partition("/v2/")[2]
    return events


def test_the_plain_registry_notifies_event_for_event_as_debians_does(receiver: Receiver) -> None:
    if reason := why_no_process():
        pytest.skip(reason)
    bodies: list[bytes] = []

    def endpoint(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        bodies.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with opened("registry", receiver) as fake:
        fake.add_hook(url="http://receiver.example")
        exercise(fake.url)
        fake.sender.step()
    with Server(endpoint) as server, ProcessRegistry(notify=[server.url]) as real:
        exercise(real.url)
        deadline = time.monotonic() + 10
        while len(bodies) < len(receiver.got) and time.monotonic() < deadline:
            real.request("GET", "/v2/")
    assert told([outgoing.body for outgoing in receiver.got]) == told(bodies)
    assert [body.count(b"\n") for body in bodies] == [outgoing.body.count(b"\n") for outgoing in receiver.got]


MANY = "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
ACCEPTED = {
    "nothing": None,
    "anything": "*/*",
    "an OCI image": "application/vnd.oci.image.manifest.v1+json",
    "a Docker image": "application/vnd.docker.distribution.manifest.v2+json",
    "an index or a list": MANY,
    "everything": ACCEPT,
}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[str, str]]:
    """Debian's registry and ours in its clothes, with the same content."""
    if reason := why_no_process():
        pytest.skip(reason)
    with ProcessRegistry() as real, PlatformRegistry("registry", asynchronous=False) as fake:
        for registry in (real, RemoteRegistry(fake.url)):
            registry.push_image("a", "oci-image")
            registry.push_index("a", "oci-index")
            registry.push_image("a", "docker-image", docker=True)
            registry.push_index("a", "docker-list", docker=True)
            registry.delete_manifest("gone", registry.push_image("gone", "v1"))
        yield real.url, fake.url


def alike(answer: requests.Response) -> Any:
    """Status, error code or type, and digest. Manifests of Docker's first schema are not made here."""
    if answer.status_code >= 400:
        return answer.status_code, answer.json()["errors"][0]["code"]
    return answer.status_code, answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"]


@pytest.mark.parametrize("accepted", ACCEPTED)
@pytest.mark.parametrize("tag", ["oci-image", "oci-index", "docker-image", "docker-list"])
def test_what_a_client_accepts_matters_as_at_debians_registry(both: tuple[str, str], tag: str, accepted: str) -> None:
    headers = {"Accept": ACCEPTED[accepted]}
    real, fake = (requests.get(f"{url}/v2/a/manifests/{tag}", headers=headers, timeout=5) for url in both)
    if "prettyjws" in real.headers["Content-Type"]:
        assert fake.headers["Content-Type"] == "application/vnd.docker.distribution.manifest.v2+json"
    else:
        assert alike(fake) == alike(real)


def test_a_list_without_tags_is_null_as_at_debians_registry(both: tuple[str, str]) -> None:
    real, fake = (requests.get(f"{url}/v2/gone/tags/list", timeout=5).json() for url in both)
    assert fake == real == {"name": "gone", "tags": None}

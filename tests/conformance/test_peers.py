"""Flux and Argo CD as targets: their own objects, and their shipped files against stand-ins made of those objects.

The stand-ins know what their sources say (see the files' comments): who is let in, at which path, and what is then
fetched. They answer in their own way, so nothing but the calls at the lab's own sources can judge them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kargo_lab.conformance import peers, suite, targets
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.plans import USUAL_ADDRESSES, Addresses, Plan, plan
from kargo_lab.conformance.targets import url
from kargo_lab.conformance.world import World
from kargo_lab.errors import UsageError
from kargo_lab.serving import Server

SHIPPED = Path(__file__).parents[2] / "docs" / "targets"
every = cache(load)


def free_ports(number: int) -> list[int]:
    """Ports that a target can be told of before they are served; below those that the system gives to clients."""
    found: list[int] = []
    port = 20000 + os.getpid() % 9000
    while len(found) < number:
        port += 1
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    return found


def fetch(addresses: Iterable[str]) -> None:
    """What a controller does some moments after it was told to: ask each repository what is new."""
    for address in sorted(set(addresses)):
        scheme, _, rest = address.partition("://")
        host, _, path = rest.partition("/")
        asked = (
            f"http://{host}/v2/{path}/tags/list" if scheme == "oci" else f"{address}/info/refs?service=git-upload-pack"
        )
        urllib.request.urlopen(asked, timeout=5).close()


def is_signed(value: str, body: bytes, secret: bytes) -> bool:
    """As go-github's ValidateSignature: an algorithm by name, then hexadecimal digits."""
    name, _, digest = value.partition("=")
    if name not in ("sha1", "sha256", "sha512"):
        return False
    try:
        return hmac.compare_digest(bytes.fromhex(digest), hmac.new(secret, body, name).digest())
    except ValueError:
        return False


def signed_by(environ: Mapping[str, Any], body: bytes, token: bytes) -> bool:
    """As go-github's ValidatePayload: two kinds of content, and of two headers the better one."""
    signature = environ.get("HTTP_X_HUB_SIGNATURE_256") or environ.get("HTTP_X_HUB_SIGNATURE") or ""
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip()
    return media_type in ("application/json", "application/x-www-form-urlencoded") and is_signed(signature, body, token)


def fits(shape: object, value: object) -> bool:
    """As encoding/json into Go types: null fits everything, and members that the shape lacks do not matter."""
    if value is None:
        return True
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(part, value.get(name)) for name, part in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(shape[0], each) for each in value)
    return isinstance(value, str)


def reads(shape: object) -> Callable[[Mapping[str, Any], bytes, bytes], bool]:
    """The first value of the body has to fit; nobody proves anything."""

    def let_in(_environ: Mapping[str, Any], body: bytes, _token: bytes) -> bool:
        try:
            return fits(shape, json.JSONDecoder().raw_decode(body.decode().lstrip())[0])
        except ValueError:
            return False

    return let_in


def said(header: str) -> Callable[[Mapping[str, Any], bytes, bytes], bool]:
    """The token itself stands in a header."""
    return lambda environ, _body, token: environ.get(header, "").encode("latin-1") == token


# Type of a Receiver -> who is let in, and which header has the event.
FLUX: Mapping[str, tuple[Callable[[Mapping[str, Any], bytes, bytes], bool], str]] = {
    "acr": (reads({"action": "", "target": {"repository": "", "tag": ""}}), ""),
    "bitbucket": (signed_by, "HTTP_X_EVENT_KEY"),
    "dockerhub": (reads({"push_data": {"tag": ""}, "repository": {"repo_url": ""}}), ""),
    "generic": (lambda *_: True, ""),
    "github": (signed_by, "HTTP_X_GITHUB_EVENT"),
    "gitlab": (said("HTTP_X_GITLAB_TOKEN"), "HTTP_X_GITLAB_EVENT"),
    "harbor": (said("HTTP_AUTHORIZATION"), ""),
    "quay": (reads({"docker_url": "", "updated_tags": [""]}), ""),
}


class Flux:
    """Does what its objects say, which are the printed ones."""

    def __init__(self, objects: Sequence[Mapping[str, Any]], *, careful: bool = True) -> None:
        self._careful = careful
        self._named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        self._receivers = {self._path(each): each for each in objects if each["kind"] == "Receiver"}

    def _token(self, receiver: Mapping[str, Any]) -> bytes:
        return base64.b64decode(self._named["Secret", receiver["spec"]["secretRef"]["name"]]["data"]["token"])

    def _path(self, receiver: Mapping[str, Any]) -> str:
        about = receiver["metadata"]
        told = self._token(receiver) + about["name"].encode() + about["namespace"].encode()
        return "/hook/" + hashlib.sha256(told).hexdigest()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status = self._receive(environ, environ["wsgi.input"].read())
        start_response(status, [("Content-Length", "0")])
        return []

    def _receive(self, environ: Mapping[str, Any], body: bytes) -> str:
        receiver = self._receivers.get(environ["PATH_INFO"])
        if receiver is None or environ.get("QUERY_STRING"):  # the whole request target is compared
            return "404 Not Found"
        spec = receiver["spec"]
        let_in, header = FLUX[spec["type"]]
        counts = not spec.get("events") or environ.get(header, "").lower() in map(str.lower, spec["events"])
        if self._careful and not (let_in(environ, body, self._token(receiver)) and counts):
            return "400 Bad Request"
        listed = [self._named[each["kind"], each["name"]]["spec"]["url"] for each in spec["resources"]]
        threading.Timer(0.05, fetch, [listed]).start()
        return "200 OK"


# The header with the event -> which events count, who is let in, and the pages that the body names.
ARGO_CD: Mapping[str, tuple[Sequence[str], Callable[[Mapping[str, Any], bytes, bytes], bool], Callable[[Any], Any]]] = {
    "HTTP_X_GITHUB_EVENT": (["push", "ping"], signed_by, lambda it: [it["repository"]["html_url"]]),
    "HTTP_X_GITLAB_EVENT": (
        ["Push Hook", "Tag Push Hook"],
        said("HTTP_X_GITLAB_TOKEN"),
        lambda it: [it["project"]["web_url"]],
    ),
    "HTTP_X_EVENT_KEY": (
        ["repo:refs_changed"],
        signed_by,
        lambda it: [each["href"] for each in it["repository"]["links"]["clone"]],
    ),
}


class ArgoCd:
    """One address and one secret; the Applications say which branch of which repository they follow."""

    def __init__(self, objects: Sequence[Mapping[str, Any]], *, careful: bool = True) -> None:
        self._sources = [each["spec"]["source"] for each in objects if each["kind"] == "Application"]
        (secret,) = (base64.b64decode(each["data"]["secret"]) for each in objects if each["kind"] == "Secret")
        self._secret, self._careful = secret, careful

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        header = next(name for name in ARGO_CD if name in environ)
        events, let_in, pages = ARGO_CD[header]
        good = environ[header] in events and let_in(environ, body, self._secret)
        if environ["PATH_INFO"] == "/api/webhook" and (good or not self._careful):
            document = json.loads(body)
            ref = document["ref"] if "ref" in document else document["changes"][0]["ref"]["id"]
            hit = [each["repoURL"] for each in self._sources if self._follows(each, pages(document), ref)]
            threading.Timer(0.05, fetch, [hit]).start()
        start_response("200 OK" if good else "400 Bad Request", [("Content-Length", "0")])
        return []

    @staticmethod
    def _follows(source: Mapping[str, Any], pages: Sequence[str], ref: str) -> bool:
        paths = [re.escape(page.partition("://")[2].partition("/")[2]) for page in pages]
        named = any(re.search(rf"/{path}(\.git)?$", source["repoURL"]) for path in paths)
        return named and ref.split("/", 2)[-1] == source["targetRevision"]


def printed(target: str, addresses: Addresses) -> list[dict[str, Any]]:
    """What `conformance manifests --target` prints."""
    described = targets.file(target)
    assert described is not None
    cases, one = targets.meant(target, for_profile(every(), "latest")), "one-secret" in described.features
    return [*yaml.safe_load_all(suite.manifests(cases, addresses, 7, objects=described.objects, one_secret=one))]


def judged(name: str, kind: type[Flux | ArgoCd], folder: Path, *, careful: bool = True) -> Mapping[str, Any]:
    """The report on a stand-in, by the shipped file with nothing but its addresses and times changed."""
    git, registry, charts = free_ports(3)
    addresses = Addresses(
        git=f"http://127.0.0.1:{git}", registry=f"127.0.0.1:{registry}", charts=f"http://127.0.0.1:{charts}"
    )
    chosen = targets.meant(str(SHIPPED / name), for_profile(every(), "latest"))
    server = Server(kind(printed(str(SHIPPED / name), addresses), careful=careful)).start()
    try:
        document = yaml.safe_load((SHIPPED / name).read_text())
        document |= {"url": server.url, "settle-seconds": 0.3, "wait-seconds": 0}
        document["sources"] = {"git": addresses.git, "registry": addresses.registry, "charts": addresses.charts}
        path = folder / name
        path.write_text(yaml.safe_dump(document))
        return suite.judge(chosen, suite.header(str(path)))
    finally:
        server.stop()


@pytest.fixture(scope="module", params=[("flux.yaml", Flux), ("argo-cd.yaml", ArgoCd)], ids=["flux", "argo-cd"])
def peer(request: pytest.FixtureRequest) -> tuple[str, type[Flux | ArgoCd]]:
    return request.param


@pytest.fixture(scope="module")
def report(peer: tuple[str, type[Flux | ArgoCd]], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    return judged(*peer, tmp_path_factory.mktemp("peer"))


def test_one_that_does_as_its_sources_say_passes_every_case_of_its_file(report: Mapping[str, Any]) -> None:
    assert [(case["id"], case["sentence"]) for case in report["cases"] if case["status"] != "pass"] == []


def test_it_is_judged_by_its_calls_and_not_by_its_answers(report: Mapping[str, Any]) -> None:
    assert {tuple(case["seen_by"]) for case in report["cases"]} == {("calls",)}


def test_one_that_lets_everybody_in_fails(peer: tuple[str, type[Flux | ArgoCd]], tmp_path: Path) -> None:
    report = judged(*peer, tmp_path, careful=False)
    failed = {case["id"] for case in report["cases"] if case["status"] == "fail"}
    assert failed
    assert not any(case.endswith("/branch") for case in failed)


@pytest.mark.parametrize(("wait", "configured_after", "least", "most"), [(20, 0.5, 0.5, 10), (0.6, 60, 0.6, 10)])
def test_a_run_waits_for_the_manifests_as_long_as_its_file_says(
    wait: float, configured_after: float, least: float, most: float
) -> None:
    file = url.TargetFile(name="x", url="http://127.0.0.1:1", wait_seconds=wait, settle_seconds=0.1)
    with World() as world:
        plans = [plan(case, world.addresses, 7) for case in select(every(), ("github/whole",))]
        world.prepare(plans)
        git = world.addresses.git
        asked = [f"{git}/{path}" for each in plans for pairs in each.repositories.values() for _, path in pairs]
        somebody = threading.Timer(configured_after, fetch, [asked])
        somebody.start()
        began = time.monotonic()
        url.Url(file, "latest").open(plans, world)
        somebody.cancel()
        assert least <= time.monotonic() - began < most


def test_it_is_told_when_the_manifests_can_be_applied(caplog: pytest.LogCaptureFixture) -> None:
    file = url.TargetFile(name="x", url="http://127.0.0.1:1", wait_seconds=60, settle_seconds=0.1)
    with World() as world:
        url.Url(file, "latest").open([], world)
    assert caplog.messages == ["the sources are up: apply the manifests within 60 seconds"]


@pytest.mark.parametrize("name", [each.name for each in sorted(SHIPPED.glob("*.yaml"))])
def test_a_shipped_target_file_fits_and_names_cases_that_exist(name: str) -> None:
    assert targets.meant(str(SHIPPED / name), every())


def planned(case_id: str) -> Plan:
    (case,) = select(every(), (case_id,))
    return plan(case, USUAL_ADDRESSES, 7)


def of_kind(documents: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [each for each in documents if each["kind"] == kind]


@pytest.mark.parametrize(
    ("case_id", "kind", "url"),
    [
        ("github/whole/branch", "GitRepository", "http://127.0.0.1:3000/{}/app.git"),
        ("harbor/whole/tag", "OCIRepository", "oci://127.0.0.1:5000/{}/app"),
        ("github/more/chart/in-range", "OCIRepository", "oci://127.0.0.1:5000/{}/chart"),
        ("discovery/charts/requests", "HelmRepository", "http://127.0.0.1:8879/{}/stable"),
    ],
    ids=["git", "image", "chart-in-a-registry", "chart-in-an-index"],
)
def test_flux_is_told_where_each_subscription_looks(case_id: str, kind: str, url: str) -> None:
    each = planned(case_id)
    assert url.format(each.case.slug) in [source["spec"]["url"] for source in of_kind(peers.flux([each]), kind)]


def test_a_receiver_of_flux_lists_all_sources_of_its_case() -> None:
    documents = peers.flux([planned("harbor/push/missing/no-header")])
    (receiver,) = of_kind(documents, "Receiver")
    sources = {(each["kind"], each["metadata"]["name"]) for each in documents if "Repository" in each["kind"]}
    assert {(each["kind"], each["name"]) for each in receiver["spec"]["resources"]} == sources


def test_a_receiver_of_flux_has_the_token_that_deliveries_are_signed_with() -> None:
    each = planned("github/whole/branch")
    (secret,) = of_kind(peers.flux([each]), "Secret")
    assert base64.b64decode(secret["data"]["token"]) == each.secret


def test_nothing_of_flux_polls_during_a_run() -> None:
    documents = peers.flux([planned("github/whole/branch")])
    assert {each["spec"]["interval"] for each in documents if "spec" in each} == {"24h"}


@pytest.mark.parametrize(("ours", "theirs"), [("azure/whole/tag", "acr"), ("quay/whole/tag", "quay")])
def test_a_platform_has_the_name_that_flux_gives_it(ours: str, theirs: str) -> None:
    (receiver,) = of_kind(peers.flux([planned(ours)]), "Receiver")
    assert receiver["spec"]["type"] == theirs


def test_what_flux_has_no_receiver_for_is_said() -> None:
    each = next(case for case in every() if (case.receiver or {}).get("type") == "artifactory")
    with pytest.raises(UsageError, match="no Receiver for artifactory"):
        peers.flux([plan(each, USUAL_ADDRESSES, 7)])


def test_an_application_of_argo_cd_follows_the_branch_of_its_subscription() -> None:
    each = planned("github/whole/branch")
    (application,) = of_kind(peers.argo_cd([each]), "Application")
    assert application["spec"]["source"] == {
        "repoURL": f"http://127.0.0.1:3000/{each.case.slug}/app.git",
        "targetRevision": "main",
        "path": ".",
    }


@pytest.mark.parametrize(("target", "kind"), [("flux", "Receiver"), ("argo-cd", "Application")])
def test_a_peers_file_says_whose_objects_are_printed(target: str, kind: str) -> None:
    assert len(of_kind(printed(target, USUAL_ADDRESSES), kind)) == len(targets.meant(target, every()))


def test_argo_cd_is_told_the_one_secret_that_all_its_cases_share() -> None:
    (case,) = select(every(), ("gitlab/whole/branch",))
    (secret,) = of_kind(printed("argo-cd", USUAL_ADDRESSES), "Secret")
    assert base64.b64decode(secret["data"]["secret"]) == plan(case, USUAL_ADDRESSES, 7, one_secret=True).secret


def test_cases_with_secrets_of_their_own_are_none_for_argo_cd() -> None:
    with pytest.raises(UsageError, match="one secret for all"):
        peers.argo_cd([planned("github/whole/branch"), planned("gitlab/whole/branch")])

"""Flux and Argo CD as targets: their shipped files, against stand-ins that do what those two do with a delivery.

The stand-ins know what their sources say (see the files' comments): who is let in, at which path, and what is then
fetched. They answer in their own way, so nothing but the calls at the lab's own sources can judge them.
"""

from __future__ import annotations

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

from kargo_lab.conformance import suite, targets
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.plans import Addresses, Plan, plan
from kargo_lab.conformance.targets import url
from kargo_lab.conformance.world import World
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


def fetch(plans: Iterable[Plan], addresses: Addresses) -> None:
    """What a controller does some moments after it was told to: ask each repository what is new."""
    place = {
        "git": addresses.git + "/{}.git/info/refs?service=git-upload-pack",
        "registry": f"http://{addresses.registry}/v2/{{}}/tags/list",
    }
    for each in plans:
        for kind, path in {pair for pairs in each.repositories.values() for pair in pairs}:
            urllib.request.urlopen(place[kind].format(path), timeout=5).close()


def is_signed(value: str, body: bytes, secret: bytes) -> bool:
    """As go-github's ValidateSignature: an algorithm by name, then hexadecimal digits."""
    name, _, digest = value.partition("=")
    if name not in ("sha1", "sha256", "sha512"):
        return False
    try:
        return hmac.compare_digest(bytes.fromhex(digest), hmac.new(secret, body, name).digest())
    except ValueError:
        return False


class Flux:
    """A Receiver for each case, and the objects that it lists."""

    def __init__(self, plans: Sequence[Plan], addresses: Addresses, *, careful: bool = True) -> None:
        self._addresses, self._careful = addresses, careful
        self._receivers = {
            "/hook/"
            + hashlib.sha256(each.secret + each.receiver_name.encode() + each.namespace.encode()).hexdigest(): each
            for each in plans
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        status = self._receive(environ, body)
        start_response(status, [("Content-Length", "0")])
        return []

    def _receive(self, environ: Mapping[str, Any], body: bytes) -> str:
        each = self._receivers.get(environ["PATH_INFO"])
        if each is None:
            return "404 Not Found"
        signature = environ.get("HTTP_X_HUB_SIGNATURE_256") or environ.get("HTTP_X_HUB_SIGNATURE") or ""
        let_in = {
            "github": lambda: is_signed(signature, body, each.secret),
            "bitbucket": lambda: is_signed(signature, body, each.secret),
            "gitlab": lambda: environ.get("HTTP_X_GITLAB_TOKEN", "").encode() == each.secret,
            "harbor": lambda: environ.get("HTTP_AUTHORIZATION", "").encode() == each.secret,
            "dockerhub": lambda: bool(json.loads(body)),
        }[each.receiver_type]
        if self._careful and not let_in():
            return "400 Bad Request"
        threading.Timer(0.05, fetch, [[each], self._addresses]).start()
        return "200 OK"


class ArgoCd:
    """One address; an Application for each case's Git repository and branch."""

    def __init__(self, plans: Sequence[Plan], addresses: Addresses, *, careful: bool = True) -> None:
        self._plans, self._addresses, self._careful = plans, addresses, careful

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        document = json.loads(environ["wsgi.input"].read())
        known = environ["PATH_INFO"] == "/api/webhook"
        if known:
            page = document.get("project", {}).get("web_url") or document.get("repository", {}).get("html_url", "")
            branch = document["ref"].split("/", 2)[-1]
            hit = [each for each in self._plans if self._follows(each, page, branch)]
            threading.Timer(0.05, fetch, [hit, self._addresses]).start()
        start_response("200 OK" if known else "404 Not Found", [("Content-Length", "0")])
        return []

    def _follows(self, each: Plan, page: str, branch: str) -> bool:
        if not self._careful:
            return True
        path = re.escape(page.partition("://")[2].partition("/")[2])
        return branch == "main" and any(
            re.fullmatch(rf"{path}(\.git)?", f"{repository}")
            for pairs in each.repositories.values()
            for _, repository in pairs
        )


def judged(name: str, kind: type[Flux | ArgoCd], folder: Path, *, careful: bool = True) -> Mapping[str, Any]:
    """The report on a stand-in, by the shipped file with nothing but its addresses and times changed."""
    git, registry, charts = free_ports(3)
    addresses = Addresses(
        git=f"http://127.0.0.1:{git}", registry=f"127.0.0.1:{registry}", charts=f"http://127.0.0.1:{charts}"
    )
    chosen = targets.meant(str(SHIPPED / name), for_profile(every(), "latest"))
    server = Server(kind([plan(case, addresses, 7) for case in chosen], addresses, careful=careful)).start()
    try:
        document = yaml.safe_load((SHIPPED / name).read_text())
        document |= {"url": server.url, "settle-seconds": 0.3}
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
        somebody = threading.Timer(configured_after, fetch, [plans, world.addresses])
        somebody.start()
        began = time.monotonic()
        url.Url(file, "latest").open(plans, world)
        somebody.cancel()
        assert least <= time.monotonic() - began < most


@pytest.mark.parametrize("name", [each.name for each in sorted(SHIPPED.glob("*.yaml"))])
def test_a_shipped_target_file_fits_and_names_cases_that_exist(name: str) -> None:
    assert targets.meant(str(SHIPPED / name), every())

"""Sources that fail in every way the network knows: the condition, the time it takes, and nobody else's loss.

What Kargo's status says is discovery.md 2.6 (`discovery failed`); how libraries retry is 3.12, 4.8 and 5.4.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.faults import Fault, FaultRule, Faults
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import LATEST
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.sources import git_commands, outgoing
from kargo_lab.sources.shared import OperatorSettings

HEADER_SECONDS = 0.3  # in place of Kargo's 30
BOUND_SECONDS = 8.0
IMPATIENT = attrs.evolve(LATEST, header_timeout_seconds=HEADER_SECONDS)


@pytest.fixture(scope="module")
def healthy() -> Iterator[Registry]:
    """What the other Warehouse subscribes to."""
    with Registry() as running:
        running.push("acme/web", make_image("one"), "1.0.0")
        yield running


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def warehouse(name: str, subscription: Subscription) -> Warehouse:
    return Warehouse(namespace="p", name=name, spec=WarehouseSpec(subscriptions=(subscription,)))


def passed(bad: Subscription, healthy: Registry) -> Lab:
    """A lab in which both Warehouses had their first pass, the bad one first."""
    lab = Lab(clock=VirtualClock(), profile=IMPATIENT, settings=OperatorSettings(registry_rate_limit=1e6))
    good = warehouse("good", ImageSubscription(repo_url=f"{healthy.host}/acme/web"))
    lab.apply(Resources(warehouses=(warehouse("bad", bad), good)))
    began = time.monotonic()
    while any(conditions(lab, name).get("Ready", UNDER_WAY) == UNDER_WAY for name in ("bad", "good")):
        lab.run_until(lab.next_moment() or 0.0)
    assert time.monotonic() - began < BOUND_SECONDS
    return lab


def conditions(lab: Lab, name: str) -> dict[str, tuple[str, str]]:
    status = lab.warehouse_status(f"p/{name}")
    assert status is not None
    return {each.type: (each.status, each.reason) for each in status.conditions}


UNDER_WAY = ("False", "DiscoveryInProgress")
FAILED = {
    "Reconciling": ("True", "ScheduledDiscovery"),
    "Ready": ("False", "DiscoveryFailure"),
    "Healthy": ("False", "DiscoveryFailed"),  # as executed (conditions.json); the table of 2.6 repeats Ready's word
}


def told(lab: Lab) -> str:
    """What the failed Warehouse says, once it is certain that it failed as specified and alone."""
    assert conditions(lab, "bad") == FAILED
    assert conditions(lab, "good")["Ready"] == ("True", "ArtifactsDiscovered")
    assert [each.origin.name for each in lab.freight()] == ["good"]
    status = lab.warehouse_status("p/bad")
    assert status is not None
    condition = status.condition("Ready")
    assert condition is not None
    return condition.message


IMAGE_FAULTS = [
    pytest.param("/v2/", Fault(status=503), "status 503", id="5xx at the ping"),
    pytest.param("/tags/list", Fault(status=500), "status 500", id="5xx at the listing"),
    pytest.param("/manifests/", Fault(status=502), "status 502", id="5xx at a manifest"),
    pytest.param("/tags/list", Fault(status=429, headers={"Retry-After": "3600"}), "status 429", id="429"),
    pytest.param("/tags/list", Fault(delay_seconds=1.0), "no answer in time", id="slower than allowed"),
    pytest.param("/tags/list", Fault(drop=True), "connection broke", id="a connection that is dropped"),
    pytest.param("/manifests/", Fault(truncate=10), "more expected", id="a manifest that breaks off"),
    pytest.param("/manifests/", Fault(status=404), "status 404", id="no manifest behind a listed tag"),
    pytest.param("/blobs/", Fault(status=404), "status 404", id="no config behind a manifest"),
    pytest.param(
        "/manifests/",
        Fault(status=200, headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}, body=b"<html>"),
        "image manifest",
        id="a manifest that is no JSON",
    ),
    pytest.param(
        "/manifests/", Fault(status=200, headers={"Content-Type": "text/html"}), "unknown artifact", id="an odd type"
    ),
    pytest.param(
        "/manifests/", Fault(status=307, headers={"Location": "/v2/acme/web/manifests/1.0.0"}), "redirects", id="a loop"
    ),
    pytest.param("/blobs/", Fault(corrupt=True), "digest", id="a config whose bytes are not those of its digest"),
]


@pytest.mark.parametrize(("path", "fault", "text"), IMAGE_FAULTS)
def test_a_registry_fails(healthy: Registry, path: str, fault: Fault, text: str) -> None:
    faults = Faults(FaultRule(fault=fault, path=path))
    with Registry(layers=[faults.wrap]) as registry:
        registry.push("acme/web", make_image("one"), "1.0.0")
        assert text in told(passed(ImageSubscription(repo_url=f"{registry.host}/acme/web"), healthy))


def test_a_manifest_is_enormous(healthy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "BODY_LIMIT", 1 << 20)  # in place of 100 MiB
    kind = "application/vnd.oci.image.manifest.v1+json"
    huge = Fault(status=200, headers={"Content-Type": kind}, body=b" " * (1 << 21))
    with Registry(layers=[Faults(FaultRule(fault=huge, path="/manifests/")).wrap]) as registry:
        registry.push("acme/web", make_image("one"), "1.0.0")
        lab = passed(ImageSubscription(repo_url=f"{registry.host}/acme/web"), healthy)
    assert "the body exceeds" in told(lab)


def test_a_slow_registry_is_waited_for_as_long_as_is_allowed(healthy: Registry) -> None:
    faults = Faults(FaultRule(fault=Fault(delay_seconds=HEADER_SECONDS / 10)))
    with Registry(layers=[faults.wrap]) as registry:
        registry.push("acme/web", make_image("one"), "1.0.0")
        lab = passed(ImageSubscription(repo_url=f"{registry.host}/acme/web"), healthy)
    assert conditions(lab, "bad")["Ready"] == ("True", "ArtifactsDiscovered")


DOWN: list[Any] = [
    pytest.param(lambda port: ImageSubscription(repo_url=f"127.0.0.1:{port}/acme/web"), id="registry"),
    pytest.param(lambda port: ChartSubscription(repo_url=f"oci://127.0.0.1:{port}/acme/web"), id="chart registry"),
    pytest.param(
        lambda port: ChartSubscription(repo_url=f"http://127.0.0.1:{port}", chart_name="web"), id="chart repository"
    ),
    pytest.param(lambda port: GitSubscription(repo_url=f"http://127.0.0.1:{port}/acme/web.git"), id="Git host"),
]


@pytest.mark.parametrize("subscription", DOWN)
def test_a_source_is_down(healthy: Registry, closed_port: int, subscription: Callable[[int], Subscription]) -> None:
    assert "Artifact discovery failed" in told(passed(subscription(closed_port), healthy))


@pytest.mark.parametrize("subscription", DOWN)
def test_a_source_takes_the_connection_and_stays_silent(
    healthy: Registry, subscription: Callable[[int], Subscription], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_commands, "LOW_SPEED_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert told(passed(subscription(silent.getsockname()[1]), healthy))


@pytest.fixture(scope="session")
def strange_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate for another name, which nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl is installed to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere", *files]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.mark.parametrize("subscription", DOWN)
def test_a_certificate_does_not_fit(
    healthy: Registry, strange_tls: ssl.SSLContext, subscription: Callable[[int], Subscription]
) -> None:
    with HTTPServer(ssl_context=strange_tls) as server:
        wanted: Any = subscription(server.port)
        wanted = attrs.evolve(wanted, repo_url=wanted.repo_url.replace("http://", "https://"))
        assert "certificate" in told(passed(wanted, healthy)).lower()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param(Fault(status=500), "500", id="5xx"),
        pytest.param(Fault(status=429, headers={"Retry-After": "3600"}), "429", id="429"),
        pytest.param(Fault(status=200, body=b"<html>"), "", id="an answer that is no protocol of Git"),
        pytest.param(Fault(drop=True), "", id="a connection that is dropped"),
        pytest.param(Fault(status=302, headers={"Location": "/acme/web.git/info/refs"}), "", id="a redirect loop"),
    ],
)
def test_a_git_host_fails(healthy: Registry, fault: Fault, text: str) -> None:
    with GitHost(layers=[Faults(FaultRule(fault=fault)).wrap]) as githost:
        githost.create_repository("acme/web")
        githost.commit("acme/web", files={"README.md": "hello"}, message="first")
        assert text in told(passed(GitSubscription(repo_url=f"{githost.url}/acme/web.git"), healthy))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param(Fault(status=500), "status 500", id="5xx"),
        pytest.param(Fault(status=429, headers={"Retry-After": "3600"}), "status 429", id="429"),
        pytest.param(Fault(status=404), "status 404", id="no index"),
        pytest.param(Fault(status=200, body=b"entries: ["), "no YAML", id="an index that is no YAML"),
        pytest.param(Fault(status=302, headers={"Location": "/index.yaml"}), "redirects", id="a redirect loop"),
        pytest.param(Fault(delay_seconds=1.0), "no answer in time", id="slower than allowed"),
    ],
)
def test_a_chart_repository_fails(healthy: Registry, fault: Fault, text: str) -> None:
    with ChartHost(layers=[Faults(FaultRule(fault=fault)).wrap]) as charts:
        charts.push_chart("web", "1.0.0")
        assert text in told(passed(ChartSubscription(repo_url=charts.url, chart_name="web"), healthy))


def test_a_registry_that_recovers_is_found_by_the_next_retry(healthy: Registry) -> None:
    faults = Faults(FaultRule(fault=Fault(status=500), path="/tags/list", times=5))
    with Registry(layers=[faults.wrap]) as registry:
        registry.push("acme/web", make_image("one"), "1.0.0")
        lab = passed(ImageSubscription(repo_url=f"{registry.host}/acme/web"), healthy)
        assert told(lab)
        lab.run_until(20.0)
    assert conditions(lab, "bad")["Ready"] == ("True", "ArtifactsDiscovered")


def test_while_one_hangs_the_others_go_on(healthy: Registry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = ChartSubscription(repo_url=f"http://127.0.0.1:{silent.getsockname()[1]}", chart_name="web")
        lab = Lab(profile=attrs.evolve(LATEST, header_timeout_seconds=2.0))
        good = warehouse("good", ImageSubscription(repo_url=f"{healthy.host}/acme/web"))
        lab.apply(Resources(warehouses=(warehouse("bad", hanging), good)))
        with lab, lab.warehouses.changed:
            assert lab.warehouses.changed.wait_for(lambda: len(lab.freight()) == 1, BOUND_SECONDS)
            assert conditions(lab, "bad")["Ready"] == ("False", "DiscoveryInProgress")

"""The lab as a whole, on the wall clock and over sockets: pushes end as Freight."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kargo_lab.engine.lab import Lab
from kargo_lab.errors import UsageError
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import PROFILES
from kargo_lab.resources import loading
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import GitSubscription, ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources import git, images
from kargo_lab.sources.shared import Context
from kargo_lab.wire import Answer, Delivery

MANIFESTS = """
apiVersion: v1
kind: Secret
metadata: {{name: s, namespace: p}}
stringData: {{auth-header: s3cr3t}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {{name: p, namespace: p}}
spec: {{webhookReceivers: [{{name: r, harbor: {{secretRef: {{name: s}}}}}}]}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: w, namespace: p}}
spec: {{interval: {interval}, subscriptions: [{{image: {{repoURL: {host}/acme/web}}}}]}}
"""
PATIENCE_SECONDS = 10.0


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        running.push("acme/web", make_image("one"), "1.0.0")
        yield running


def resources(registry: Registry, interval: str = "24h") -> Resources:
    return loading.loads(MANIFESTS.format(host=registry.host, interval=interval))


def push(lab: Lab, host: str, tag: str) -> Answer:
    route = lab.route(lab.objects.receiver_entries(lab.objects.configs[0])[0].path)
    assert not isinstance(route, Answer)
    resource = {"tag": tag, "resource_url": f"{host}/acme/web:{tag}"}
    body = json.dumps({"type": "PUSH_ARTIFACT", "event_data": {"resources": [resource]}}).encode()
    answer = lab.deliver(route, Delivery(headers={"Authorization": "s3cr3t"}, body=body))
    assert isinstance(answer, Answer)
    return answer


def tags(lab: Lab) -> list[str]:
    return [each.images[0].tag for each in lab.freight()]


def wait_for(lab: Lab, expected: list[str]) -> None:
    """Until the Freight is there: the controller tells its condition whenever a pass ends."""
    changed = lab.warehouses.changed
    with changed:
        assert changed.wait_for(lambda: tags(lab) == expected, PATIENCE_SECONDS), tags(lab)


def test_a_webhook_makes_freight_of_what_was_pushed(registry: Registry) -> None:
    with Lab() as lab:
        lab.apply(resources(registry))
        wait_for(lab, ["1.0.0"])
        registry.push("acme/web", make_image("two"), "1.1.0")
        assert push(lab, registry.host, "1.1.0").body == {"msg": "refreshed 1 warehouse(s)"}
        wait_for(lab, ["1.0.0", "1.1.0"])


def test_polling_makes_freight_without_any_webhook(registry: Registry) -> None:
    with Lab() as lab:
        lab.apply(resources(registry, "0s"))
        wait_for(lab, ["1.0.0"])
        registry.push("acme/web", make_image("two"), "1.1.0")
        wait_for(lab, ["1.0.0", "1.1.0"])


def test_a_delivery_is_logged_without_its_secret(registry: Registry) -> None:
    lab = Lab()
    lab.apply(resources(registry))
    push(lab, registry.host, "2.0.0")
    (row,) = lab.store.deliveries()
    assert (row.status, row.type, row.receiver, row.refreshed) == (200, "harbor", "p/r", ("p/w",))
    assert "s3cr3t" not in f"{row} {lab.objects.secrets}"


def test_a_push_of_a_tag_that_nobody_takes_refreshes_nothing(registry: Registry) -> None:
    lab = Lab()
    lab.apply(resources(registry))
    assert push(lab, registry.host, "latest").body == {"msg": "refreshed 0 warehouse(s)"}
    assert list(lab.store.deliveries()[0].details["left alone"]) == ["p/w"]


def test_the_ledger_agrees_with_the_access_log(registry: Registry) -> None:
    lab = Lab()
    lab.apply(resources(registry))
    lab.step()
    sent = [(row.method, row.path, row.status, row.bytes) for row in lab.ledger.requests]
    assert sent == [(row.method, row.path, row.status, row.sent_bytes) for row in registry.access_log.rows]


def test_an_unknown_path_is_a_404(registry: Registry) -> None:
    lab = Lab()
    lab.apply(resources(registry))
    assert lab.route("/harbor/nobody") == Answer(status=404)


def test_paths_follow_secrets_only_when_the_configuration_is_synced_again(registry: Registry) -> None:
    lab = Lab()
    lab.apply(resources(registry))
    before = lab.objects.receiver_entries(lab.objects.configs[0])
    changed = loading.loads(MANIFESTS.format(host=registry.host, interval="24h").replace("s3cr3t", "other"))
    lab.objects.set_secrets(changed.secrets)
    assert lab.objects.receiver_entries(lab.objects.configs[0]) == before
    lab.resync()
    assert lab.objects.receiver_entries(lab.objects.configs[0]) != before


def test_a_refresh_of_an_unknown_warehouse_is_refused() -> None:
    with pytest.raises(UsageError, match="p/none"):
        Lab().refresh("p/none")


def test_a_lab_is_started_once() -> None:
    with Lab() as lab, pytest.raises(UsageError):
        lab.start()


def test_stopping_ends_all_threads() -> None:
    before = set(threading.enumerate())
    with Lab():
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) - before == set()


STOPS_WITHIN_SECONDS = 2.0


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}/acme/web"


@pytest.mark.parametrize("what", ["a pause", "a registry", "a Git host"])
def test_stopping_breaks_off_what_waits_and_the_next_start_does_it_anew(silent: str, what: str) -> None:
    began = threading.Semaphore(0)

    def discover(subscription: ImageSubscription, context: Context) -> Any:
        began.release()
        match what:
            case "a pause":
                context.clock.wait(60)
            case "a registry":
                images.discover(subscription, context)
            case _:
                git.discover(GitSubscription(repo_url=f"http://{silent}"), context)

    lab = Lab(sources={"image": discover})
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url=silent),))
    lab.apply(Resources(warehouses=(Warehouse(namespace="p", name="w", spec=spec),)))
    for _ in ("once", "and once more"):
        lab.start()
        assert began.acquire(timeout=PATIENCE_SECONDS)
        asked = time.monotonic()
        lab.stop()
        assert time.monotonic() - asked < STOPS_WITHIN_SECONDS
    status = lab.warehouse_status("p/w")
    assert status is not None
    assert [each.reason for each in status.conditions if each.type == "Ready"] == ["DiscoveryInProgress"]


def test_a_wall_clock_cannot_be_run_ahead() -> None:
    with pytest.raises(UsageError):
        Lab().run_until(1.0)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_finds_the_image(registry: Registry, profile: str) -> None:
    lab = Lab(profile=PROFILES[profile])
    lab.apply(loading.loads(MANIFESTS.format(host=registry.host, interval="24h"), profile=PROFILES["latest"]))
    lab.step()
    assert tags(lab) == ["1.0.0"]

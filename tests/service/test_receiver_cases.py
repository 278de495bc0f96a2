"""Every delivery of the specification's section 9, over a socket, for each profile in its range of releases."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine import intake
from kargo_lab.engine.declared import DeclaredObjects
from kargo_lab.profiles import Profile
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, Secret
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.resources.status import ReceiverStatus, StatusEntry
from kargo_lab.resources.warehouse import Warehouse, WarehouseSpec
from kargo_lab.wire import Answer, Delivery, NoAnswer

DOCUMENT = json.loads((Path(__file__).parents[1] / "data" / "receiver-cases.json").read_text())
DELIVERIES = [record for record in DOCUMENT["cases"] if record["setup"] is not None]
NEWEST = {
    "v1.6": (1, 6, 4),
    "v1.7": (1, 7, 10),
    "v1.8": (1, 8, 14),
    "v1.9": (1, 9, 10),
    "v1.10": (1, 10, 10),
    "v1.11": (1, 11, 2),
    "latest": (1, 99, 0),
}
OLD_PATCHES = {(1, 6, 1), (1, 8, 4), (1, 9, 2)}
NOW = datetime(2026, 8, 21, 17, 51, 41, tzinfo=UTC)


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def holds(record: dict[str, Any], release: tuple[int, ...]) -> bool:
    return version(record["since"]) <= release and (record["until"] is None or release <= version(record["until"]))


RUNS = [
    pytest.param(
        record, name, id=f"{record['id']}{'-' + record['variant'] if record['variant'] else ''} on {name} ({index})"
    )
    for index, record in enumerate(DELIVERIES)
    for name, release in NEWEST.items()
    if holds(record, release)
]


@attrs.define
class Lab:
    """The engine's intake over declared objects, which a test can change between deliveries."""

    objects: Any = None
    profile: Profile = profiles.LATEST
    base_url: str = "https://kargo.example.com"

    def route(self, path: str) -> intake.Route | Answer:
        return intake.route(path, self.objects, profile=self.profile, base_url=self.base_url)

    def deliver(self, route: intake.Route, delivery: Delivery) -> Answer | NoAnswer:
        return intake.deliver(route, delivery, self.objects, profile=self.profile, now=NOW).answer


@pytest.fixture(scope="module")
def on_waitress(servers: dict[str, Any]) -> Iterator[tuple[Lab, int]]:
    lab = Lab()
    with servers["waitress"](lab) as port:
        yield lab, port


@pytest.fixture(scope="module")
def on_granian(servers: dict[str, Any]) -> Iterator[tuple[Lab, int]]:
    lab = Lab()
    with servers["granian"](lab) as port:
        yield lab, port


def warehouse(given: str | dict[str, Any]) -> Warehouse:
    data = DOCUMENT["fixtures"]["warehouses"][given] if isinstance(given, str) else given
    subscriptions = tuple(loading.subscription(item, admitted=False) for item in data["subscriptions"])
    return Warehouse(
        namespace=data["namespace"],
        name=data["name"],
        spec=WarehouseSpec(subscriptions=subscriptions),
        labels=data.get("labels", {}),
    )


def promotion(data: dict[str, Any]) -> Promotion:
    status = {"phase": data["phase"], "currentStep": data["currentStep"], "state": data["state"]}
    document = {
        "apiVersion": loading.KARGO_VERSION,
        "kind": "Promotion",
        "metadata": {"namespace": data["namespace"], "name": data["name"]},
        "spec": {"stage": "s", "freight": "f", "steps": data["steps"]},
        "status": status,
    }
    return loading.stored(document)  # type: ignore[return-value]


def config(scope: str, project: str, receivers: list[dict[str, Any]]) -> ProjectConfig | ClusterConfig:
    kind, name = ("ProjectConfig", project) if scope == "project" else ("ClusterConfig", "cluster")
    document = {
        "apiVersion": loading.KARGO_VERSION,
        "kind": kind,
        "metadata": {"name": name, **({"namespace": project} if scope == "project" else {})},
        "spec": {"webhookReceivers": receivers},
    }
    return loading.stored(document)  # type: ignore[return-value]


def declared(record: dict[str, Any], profile: Profile) -> DeclaredObjects:
    """The objects of a record, reconciled, and then changed as its note says."""
    setup = record["setup"]
    note = setup.get("note", "")
    receivers = [setup["receiver"]]
    if note.startswith("two receivers"):
        receivers.insert(0, {"name": "other", "github": {"secretRef": {"name": "missing"}}})
    own = config(setup["scope"], DOCUMENT["project"], receivers)
    namespace = DOCUMENT["project"] if setup["scope"] == "project" else profile.cluster_secrets_namespace
    name = next(value["secretRef"]["name"] for key, value in setup["receiver"].items() if key != "name")
    data = {key: value.encode() for key, value in setup["secret"].items()}
    resources = Resources(
        secrets=(Secret(namespace=namespace, name=name, data=data),),
        project_configs=(own,) if isinstance(own, ProjectConfig) else (),
        cluster_config=own if isinstance(own, ClusterConfig) else None,
        warehouses=tuple(warehouse(each) for each in setup["warehouses"]),
        promotions=tuple(promotion(each) for each in setup["promotions"]),
    )
    refused = setup.get("patchRefused", [])
    objects = DeclaredObjects(
        resources,
        base_url=setup["baseURL"],
        profile=profile,
        refused=lambda _kind, where, which: "*" in refused or f"{where}/{which}" in refused,
    )
    change(objects, record, note)
    return objects


def change(objects: DeclaredObjects, record: dict[str, Any], note: str) -> None:
    """What happened after the last pass over the status."""
    key = next(iter(objects._secrets))
    secret = objects._secrets[key]
    (own,) = objects.configs()
    crafted = ReceiverStatus((StatusEntry("rcv", record["request"]["path"], ""),), ())
    cluster = attrs.evolve(config("cluster", "", [record["setup"]["receiver"]]))
    if note.startswith("status and path from the old secret"):
        objects._secrets[key] = attrs.evolve(secret, data={"secret": b"new"})
    elif note == "Secret deleted after sync":
        objects._secrets.clear()
    elif note == "Secret key removed after sync":
        objects._secrets[key] = attrs.evolve(secret, data={})
    elif note.startswith("receiver renamed"):
        renamed = attrs.evolve(own, receivers=(attrs.evolve(own.receivers[0], name="renamed"),))
        objects.resources = attrs.evolve(objects.resources, project_configs=(renamed,))
    elif note.startswith("one path in the status of two ProjectConfigs"):
        second = attrs.evolve(own, namespace="p2", name="p2")
        objects.resources = attrs.evolve(objects.resources, project_configs=(own, second))
        objects._statuses = {"p1": crafted, "p2": crafted}
    elif note == "the same, and the ClusterConfig owns the path too":
        second = attrs.evolve(own, namespace="p2", name="p2")
        objects.resources = attrs.evolve(objects.resources, project_configs=(own, second), cluster_config=cluster)
        objects._statuses = {"p1": crafted, "p2": crafted, "": crafted}
        for namespace in ("kargo-system-resources", "kargo-cluster-secrets"):
            objects._secrets[namespace, secret.name] = secret
    elif note == "one path in the status of p1 and of the ClusterConfig":
        objects.resources = attrs.evolve(objects.resources, cluster_config=cluster)
        objects._statuses = {"p1": crafted, "": crafted}


def own_path(objects: DeclaredObjects) -> str:
    return next((e.path for status in objects._statuses.values() for e in status.entries if e.name == "rcv"), "/none")


def body_of(request: dict[str, Any]) -> bytes:
    text = request["body"]
    if repeat := request.get("repeat"):
        text = json.dumps({**json.loads(text), repeat["member"]: [repeat["item"]] * repeat["count"]})
    body: bytes = text.encode()
    if request.get("gzip"):
        body = gzip.compress(body)
    return body.ljust(request.get("padTo", 0), b" ")


def wire_bytes(request: dict[str, Any], path: str) -> bytes:
    """The request as it stands on the wire, written by hand so that no client improves it."""
    body = body_of(request)
    headers = [("Host", "kargo.example.com"), ("Connection", "close"), *map(tuple, request["headers"])]
    if signature := request["signature"]:
        digest = hmac.new(signature["key"].encode(), body, getattr(hashlib, signature["algorithm"])).hexdigest()
        digest = digest.upper() if signature["upperCaseHex"] else digest
        headers.append((signature["header"], signature["prefix"] + digest))
    if request.get("chunked"):
        headers.append(("Transfer-Encoding", "chunked"))
        body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body, b""))
    else:
        headers.append(("Content-Length", str(len(body))))
    lines = [f"{request['method']} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@attrs.frozen
class Seen:
    status: int | None
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""


def exchange(port: int, data: bytes, method: str) -> Seen:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
        except (http.client.BadStatusLine, ConnectionError):
            return Seen(None)
        return Seen(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())


def path_of(request: dict[str, Any], path: str) -> str:
    """The request's path; the records spell the receiver's own in five ways."""
    kind, digest = path.strip("/").split("/") if path.count("/") == 2 else ("none", "none")
    spellings = {
        "{path with one letter of the type percent-escaped}": f"/{kind[:-1]}%{ord(kind[-1]):02X}/{digest}",
        "{path with the hash in upper case}": f"/{kind}/{digest.upper()}",
    }
    return spellings.get(request["path"], str(request["path"]).replace("{path}", path))


def check_body(seen: Seen, expect: dict[str, Any]) -> None:
    if expect.get("bodyEmpty"):
        assert seen.body == b""
    if expect["body"] is not None:
        assert json.loads(seen.body) == expect["body"]
        assert seen.headers["content-type"] == "application/json"
        assert seen.body.endswith(b"}\n")
    if "bodyStartsWith" in expect:
        assert seen.body.decode().startswith(expect["bodyStartsWith"])
    if results := expect.get("results"):
        told = json.loads(seen.body)["results"]
        assert [{key: each.get(key) for key in wanted} for each, wanted in zip(told, results, strict=True)] == results


def check(record: dict[str, Any], name: str, lab: Lab, port: int) -> None:
    lab.profile, expect, request = profiles.get(name), record["expect"], record["request"]
    lab.objects = declared(record, lab.profile)
    path = own_path(lab.objects)
    seen = exchange(port, wire_bytes(request, path_of(request, path)), request["method"])
    assert seen.status == expect["status"]
    if not expect.get("connectionClosed"):
        check_body(seen, expect)
    if "location" in expect:
        assert seen.headers["location"] == expect["location"].replace("{path}", path)
    assert sorted(f"{where}/{which}" for _, where, which in lab.objects.refreshed) == sorted(expect["refreshed"])
    assert set(lab.objects.refreshed.values()) <= {"2026-08-21T17:51:41Z"}


@pytest.mark.parametrize(("record", "name"), RUNS)
def test_a_delivery_is_answered_as_by_kargo(record: dict[str, Any], name: str, on_waitress: tuple[Lab, int]) -> None:
    check(record, name, *on_waitress)


@pytest.mark.parametrize(("record", "name"), [run for run in RUNS if run.values[1] == "latest"])
def test_the_served_one_answers_alike(record: dict[str, Any], name: str, on_granian: tuple[Lab, int]) -> None:
    check(record, name, *on_granian)


def test_every_record_with_a_delivery_ran() -> None:
    ran = {id(run.values[0]) for run in RUNS}
    # Patch releases older than the newest of their minor, which no profile stands for.
    never = [record for record in DELIVERIES if id(record) not in ran]
    told = ", ".join(f"{record['id']} ({record['since']} to {record['until']})" for record in never)
    print(f"\n{len(RUNS)} runs of {len(ran)} of {len(DELIVERIES)} deliveries; no profile for {told}")
    assert [record["until"] for record in never if version(record["until"] or "9.9.9") not in OLD_PATCHES] == []

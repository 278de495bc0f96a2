"""A stand-in for a Kubernetes API server with Kargo in it: the calls that the target makes, and nothing more.

It keeps objects, knows dry runs, namespaces, labels, pages, merge patches and the status of a Warehouse, a
ProjectConfig and the ClusterConfig as Kargo would write them. It can be told to answer some requests badly.
What it does was checked against kube-apiserver 1.34 with Kargo 1.11.2 (docs/targets/kubernetes.md).
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest
import yaml

from kargo_lab.conformance.targets import url
from kargo_lab.conformance.targets.kubernetes import Kubernetes
from kargo_lab.serving import Server

KINDS = {
    "namespaces": "Namespace",
    "secrets": "Secret",
    "projects": "Project",
    "projectconfigs": "ProjectConfig",
    "clusterconfigs": "ClusterConfig",
    "warehouses": "Warehouse",
    "freights": "Freight",
    "promotions": "Promotion",
}
KARGO = "/apis/kargo.akuity.io/v1alpha1"


@attrs.frozen
class Call:
    """One request, as a test looks at it."""

    method: str
    kind: str
    namespace: str
    name: str
    rehearsed: bool
    body: Any = None

    @property
    def writes(self) -> bool:
        return self.method != "GET" and not self.rehearsed


@attrs.define
class ApiServer:
    """A WSGI application. `answer` may take a call out of its hands: (status, message), or None."""

    objects: dict[tuple[str, str, str], dict[str, Any]] = attrs.field(factory=dict)
    calls: list[Call] = attrs.field(factory=list)
    answer: Callable[[Call], tuple[int, Any] | None] = lambda _: None
    with_kargo: bool = True
    page: int = 3
    stalled: bool = False  # no controller does anything
    lock: Any = attrs.field(factory=threading.RLock)

    def add(self, kind: str, name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
        metadata = {"name": name, "resourceVersion": "1", "generation": 1, **rest.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        document = {"kind": kind, "metadata": metadata, **rest}
        self.objects[(kind, namespace, name)] = document
        return document

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        text = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        with self.lock:
            status, document = self._handle(
                environ["REQUEST_METHOD"], environ["PATH_INFO"], query, json.loads(text) if text else None
            )
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        start_response(f"{status} said", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _handle(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/version":
            call = Call(method, "version", "", "", False)
            return self.answer(call) or (200, {"gitVersion": "v1.34.3"})
        if path == KARGO:
            served = [{"kind": kind} for kind in KINDS.values()] if self.with_kargo else []
            return (200, {"resources": served}) if self.with_kargo else _trouble(404, "the server could not find it")
        parts = path.removeprefix(KARGO).removeprefix("/api/v1").strip("/").split("/")
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        kind, name, part = KINDS[parts[0]], *[*parts[1:], "", ""][:2]
        if method == "POST":
            name = body["metadata"]["name"]
        call = Call(method, kind, namespace, name, "dryRun" in query, body)
        self.calls.append(call)
        if (bad := self.answer(call)) is not None:
            return bad if isinstance(bad[1], bytes) else _trouble(*bad)
        key = (kind, namespace, name)
        match method:
            case "POST":
                return self._post(key, body, call.rehearsed)
            case "GET" if not name:
                return self._list(kind, namespace, query)
        if key not in self.objects:
            return _trouble(404, f'{kind} "{name}" not found')
        if method == "PATCH":
            return self._patch(key, body, call.rehearsed, part)
        if method == "DELETE":
            self._delete(key)
            return 200, {"kind": "Status", "status": "Success"}
        return 200, self.objects[key]

    def _post(self, key: tuple[str, str, str], body: Any, rehearsed: bool) -> tuple[int, Any]:
        kind, namespace, name = key
        if namespace and ("Namespace", "", namespace) not in self.objects:
            return _trouble(404, f'namespaces "{namespace}" not found')
        if key in self.objects:
            return _trouble(409, f'{kind} "{name}" already exists')
        if not rehearsed:
            document = copy.deepcopy(body)
            document["metadata"] |= {"resourceVersion": "1", "generation": 1}
            self.objects[key] = document
            self._reconcile(key)
        return 201, body

    def _patch(self, key: tuple[str, str, str], body: Any, rehearsed: bool, part: str) -> tuple[int, Any]:
        merged = _merge(copy.deepcopy(self.objects[key]), body)
        if not rehearsed:
            self.objects[key] = merged
            if part != "status":
                self._reconcile(key)
        return 200, merged

    def _delete(self, key: tuple[str, str, str]) -> None:
        kind, _, name = key
        del self.objects[key]
        if kind in ("Project", "Namespace"):  # Kargo takes one with the other, and a namespace takes what is in it
            for other in [each for each in self.objects if each[1] == name or each[0::2] == ("Namespace", name)]:
                del self.objects[other]

    def _list(self, kind: str, namespace: str, query: dict[str, str]) -> tuple[int, Any]:
        label, start = query.get("labelSelector", ""), int(query.get("continue", 0))
        found = [
            document
            for key, document in sorted(self.objects.items())
            if key[0] == kind and key[1] == namespace and (not label or label in document["metadata"].get("labels", {}))
        ]
        more = {"continue": str(start + self.page)} if len(found) > start + self.page else {}
        return 200, {"metadata": more, "items": found[start : start + self.page]}

    def _reconcile(self, key: tuple[str, str, str]) -> None:
        """What Kargo's controllers would write to the status."""
        if self.stalled:
            return
        kind, namespace, _ = key
        document = self.objects[key]
        token = (document["metadata"].get("annotations") or {}).get("kargo.akuity.io/refresh", "")
        status: dict[str, Any] = {"lastHandledRefresh": token} if token else {}
        ready = {"type": "Ready", "status": "True", "reason": "Synced", "observedGeneration": 1}
        if kind == "Warehouse":
            image = {"repoURL": "r", "references": [{"tag": "1.1.0", "digest": "d"}, {"tag": "1.0.0", "digest": "e"}]}
            git = {"repoURL": "g", "commits": [{"id": "1", "subject": "a change"}, {"id": "2", "tag": "v1"}]}
            chart = {"repoURL": "c", "versions": ["2.0.0"]}
            status |= {
                "conditions": [ready],
                "discoveredArtifacts": {"images": [image], "git": [git], "charts": [chart]},
            }
        elif kind in ("ProjectConfig", "ClusterConfig"):
            home = namespace or "kargo-system-resources"
            entries = [
                self._entry(each, "" if kind == "ClusterConfig" else namespace, home)
                for each in document.get("spec", {}).get("webhookReceivers", [])
            ]
            status |= {"conditions": [ready], "webhookReceivers": [each for each in entries if each]}
        else:
            return
        document["status"] = status

    def _entry(self, receiver: dict[str, Any], project: str, home: str) -> dict[str, str] | None:
        kind = next(key for key in receiver if key != "name")
        secret = self.objects.get(("Secret", home, receiver[kind]["secretRef"]["name"]))
        if secret is None:
            return None
        values = [base64.b64decode(value) for value in secret.get("data", {}).values()]
        values += [str(value).encode() for value in secret.get("stringData", {}).values()]
        digest = hashlib.sha256(project.encode() + receiver["name"].encode() + values[0]).hexdigest()
        return {"name": receiver["name"], "path": f"/{kind}/{digest}", "url": f"http://kargo.example/{kind}/{digest}"}


def _merge(into: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return change
    into = dict(into) if isinstance(into, dict) else {}
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = _merge(into.get(key), value)
    return into


def _trouble(status: int, message: Any) -> tuple[int, Any]:
    return status, {"kind": "Status", "status": "Failure", "message": message, "code": status}


@pytest.fixture
def api() -> ApiServer:
    """A cluster with two namespaces and nothing of ours."""
    api = ApiServer()
    api.add("Namespace", "default")
    api.add("Namespace", "kargo-system-resources")
    return api


@attrs.frozen
class Room:
    """A stand-in that serves, and target files that lead to it."""

    api: ApiServer
    url: str
    folder: Path

    def file(self, **section: Any) -> Path:
        path = self.folder / "target.yaml"
        section = {"context": "lab", "kubeconfig": str(self.folder / "kubeconfig"), "setup-seconds": 5, **section}
        document = {"name": "Kargo", "kind": "kubernetes", "url": self.url, "settle-seconds": 2, "kubernetes": section}
        path.write_text(yaml.safe_dump(document))
        return path

    def target(self, *, run: str = "", **section: Any) -> Kubernetes:
        return Kubernetes(url.read(self.file(**section)), "v1.11", run=run)

    def kubeconfig(self, address: str) -> None:
        (self.folder / "kubeconfig").write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "somebody-elses",
                    "clusters": [{"name": "lab", "cluster": {"server": address}}],
                    "users": [{"name": "lab", "user": {"token": "canary-token"}}],
                    "contexts": [
                        {"name": name, "context": {"cluster": "lab", "user": "lab"}}
                        for name in ("lab", "somebody-elses")
                    ],
                }
            )
        )


@pytest.fixture
def room(tmp_path: Path, api: ApiServer) -> Iterator[Room]:
    server = Server(api).start()
    room = Room(api, server.url, tmp_path)
    room.kubeconfig(server.url)
    try:
        yield room
    finally:
        server.stop()

"""A running registry, a client that follows nothing, and a repository for each test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.images import Artifact, make_image
from kargo_lab.platforms.registry import Registry


class Client:
    """`requests` below `/v2/`, following nothing and retrying nothing."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.session = registry, requests.Session()

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        url = self.registry.url + path if path.startswith("/") else f"{self.registry.url}/v2/{path}"
        return self.session.request(method, url, allow_redirects=False, timeout=10, **options)

    def push_blob(self, repository: str, content: bytes) -> str:
        return self.registry.storage.put_blob(repository, content)

    def push_manifest(self, repository: str, artifact: Artifact, reference: str = "") -> requests.Response:
        for child in artifact.children:
            self.push_manifest(repository, child)
        for blob in artifact.blobs.values():
            self.push_blob(repository, blob)
        return self(
            "PUT", f"{repository}/manifests/{reference or artifact.digest}",
            data=artifact.manifest, headers={"Content-Type": artifact.media_type},
        )  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture
def call(running: Registry, request: pytest.FixtureRequest) -> Client:
    return Client(running)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test."""
    return "conformance/" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]


@pytest.fixture
def tagged(call: Client, name: str) -> str:
    for tag in ("b", "a", "C", "a10", "a2"):
        call.push_manifest(name, make_image("an image"), tag)
    return name

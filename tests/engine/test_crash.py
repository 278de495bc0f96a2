"""Killed with SIGKILL: what was acknowledged is carried out by whoever opens the store next."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources import loading

PROGRAM = Path(__file__).with_name("crashing_lab.py")
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
spec: {{interval: 24h, subscriptions: [{{image: {{repoURL: {host}/acme/web}}}}]}}
"""


class Child:
    """The process, spoken to in lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def told(self, line: str) -> None:
        stdin: IO[str] | None = self.process.stdin
        assert stdin is not None
        stdin.write(f"{line}\n")
        stdin.flush()

    def kill(self) -> list[str]:
        """End it at once; what it had said until then and nobody had read."""
        self.process.kill()
        said = self.process.communicate()[0]
        return said.split()


@contextmanager
def child(store: Path, resources: Path) -> Iterator[Child]:
    arguments = [sys.executable, str(PROGRAM), str(store), str(resources)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    running = Child(process)
    try:
        assert running.says() == "ready"
        yield running
    finally:
        if process.poll() is None:
            running.kill()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture
def resources(registry: Registry, tmp_path: Path) -> Path:
    registry.push("acme/web", make_image("one"), "1.0.0")
    path = tmp_path / "resources.yaml"
    path.write_text(MANIFESTS.format(host=registry.host))
    return path


def test_an_artifact_announced_before_the_kill_is_found_after_it(
    registry: Registry, resources: Path, tmp_path: Path
) -> None:
    store = tmp_path / "lab.db"
    with child(store, resources) as running:
        registry.push("acme/web", make_image("two"), "1.1.0")
        running.told(f"deliver {registry.host} 1.1.0")
        assert running.says() == "200"
        running.kill()
    lab = Lab(store=Store(store))
    lab.apply(loading.load(resources))
    lab.step()
    tags = [each.images[0].tag for each in lab.freight()]
    lab.close()
    assert tags == ["1.0.0", "1.1.0"]


def test_every_acknowledged_token_is_there_whenever_the_kill_comes(resources: Path, tmp_path: Path) -> None:
    store = tmp_path / "lab.db"
    for milliseconds in (3, 17, 41):
        with child(store, resources) as running:
            running.told("refresh")
            acknowledged = int(running.says())
            time.sleep(milliseconds / 1000)
            acknowledged = max([acknowledged, *map(int, running.kill())])
        opened = Store(store)
        record = opened.warehouse("p/w")
        opened.close()
        assert record is not None
        # The next one may have reached the disk without its acknowledgement reaching us.
        assert record.refresh in (str(acknowledged), str(acknowledged + 1))

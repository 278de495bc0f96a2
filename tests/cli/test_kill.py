"""A server that is killed between its 200 and the discovery finds the artifact when it starts again."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from kargo_lab.platforms.registry import Registry

SECONDS = 20.0


class Gate:
    """A layer before the registry that lets nobody in while it is shut."""

    def __init__(self) -> None:
        self.open, self.waiting = threading.Event(), threading.Event()
        self.open.set()

    def __call__(self, application: Any) -> Any:
        def gated(environ: Any, start_response: Any) -> Any:
            if not self.open.is_set():
                self.waiting.set()
                self.open.wait(SECONDS)
            return application(environ, start_response)

        return gated


def resources(registry: Registry) -> str:
    return f"""
apiVersion: v1
kind: Secret
metadata: {{name: s, namespace: p1}}
stringData: {{secret: s3cr3t}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {{name: p1, namespace: p1}}
spec: {{webhookReceivers: [{{name: dh, dockerhub: {{secretRef: {{name: s}}}}}}]}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: app, namespace: p1}}
spec: {{interval: 1h, subscriptions: [{{image: {{repoURL: "{registry.host}/team/app"}}}}]}}
"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server as a process, and its API's URL; killed at the end."""
    command = [sys.executable, "-m", "kargo_lab", "serve", "--resources", str(folder), "--listen", "127.0.0.1:0"]
    options = ["--api", "127.0.0.1:0", "--store", str(folder / "lab.db")]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        api, _ = (re.search(r"http://\S+", process.stderr.readline()) for _ in range(2))
        assert api is not None
        yield process, api[0]
    finally:
        process.kill()
        process.communicate()


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return holds()


def tags(api: str) -> list[str]:
    items = requests.get(f"{api}/freight", timeout=10).json()["items"]
    return [image["tag"] for item in items for image in item["images"]]


def test_what_was_acknowledged_is_discovered_after_the_kill(tmp_path: Path) -> None:
    gate = Gate()
    with Registry(layers=[gate]) as registry:
        (tmp_path / "r.yaml").write_text(resources(registry))
        registry.push_image("team/app", "1.0.0")
        with served(tmp_path) as (process, api):
            assert until(lambda: tags(api) == ["1.0.0"])
            gate.open.clear()
            registry.push_image("team/app", "1.1.0")
            (entry,) = requests.get(f"{api}/receivers", timeout=10).json()["items"][0]["webhookReceivers"]
            body = {"push_data": {"tag": "1.1.0"}, "repository": {"repo_name": f"{registry.host}/team/app"}}
            answer = requests.post(entry["url"], json=body, timeout=10)
            assert (answer.status_code, answer.json()) == (200, {"msg": "refreshed 1 warehouse(s)"})
            assert gate.waiting.wait(SECONDS)
            process.kill()
            process.wait()
        gate.open.set()
        with served(tmp_path) as (_, api):
            assert until(lambda: tags(api) == ["1.0.0", "1.1.0"])

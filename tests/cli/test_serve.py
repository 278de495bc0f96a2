"""`kargo-lab serve` as a user runs it: a process, a port, real requests, signals."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import requests
from click.testing import CliRunner, Result

from kargo_lab.cli import main

RESOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: p1}
stringData: {secret: s3cr3t}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: p1, namespace: p1}
spec: {webhookReceivers: [{name: gh, github: {secretRef: {name: s}}}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: code, namespace: p1}
spec: {subscriptions: [{git: {repoURL: http://127.0.0.1:9/ex/repo, branch: main}}]}
"""
PUSH = b'{"ref":"refs/heads/main","repository":{"clone_url":"http://127.0.0.1:9/ex/repo.git"}}'
COMMAND = [sys.executable, "-c", "from kargo_lab.cli import main; main()", "serve"]


@attrs.frozen
class Served:
    process: subprocess.Popen[str]
    url: str
    api: str

    def get(self, path: str) -> Any:
        return requests.get(f"{self.api}{path}", timeout=10).json()

    def receiver(self) -> str:
        return str(self.get("/receivers")["items"][0]["webhookReceivers"][0]["url"])


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    """The command, once it says where it listens; killed at the end if it still runs."""
    (folder / "r.yaml").write_text(RESOURCES)
    arguments = ["--resources", str(folder), "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", *options]
    process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        api, url = (re.search(r"https?://\S+", line)[0] for line in lines)  # type: ignore[index]
        yield Served(process, url, api)
    finally:
        process.kill()
        process.communicate()


def signature(body: bytes = PUSH, key: bytes = b"s3cr3t") -> str:
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def deliver(url: str, body: bytes = PUSH, key: bytes = b"s3cr3t") -> requests.Response:
    headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": signature(body, key)}
    return requests.post(url, data=body, headers=headers, timeout=10)


def test_a_signed_push_refreshes_and_a_forged_one_does_not(tmp_path: Path) -> None:
    with served(tmp_path) as lab:
        forged = deliver(lab.receiver(), key=b"wrong")
        assert (forged.status_code, forged.json()) == (401, {"error": "unauthorized"})
        assert lab.get("/warehouses")["items"][0]["refresh"] is None
        genuine = deliver(lab.receiver())
        assert (genuine.status_code, genuine.json()) == (200, {"msg": "refreshed 1 warehouse(s)"})
        assert lab.get("/warehouses")["items"][0]["refresh"]
        assert [each["status"] for each in lab.get("/deliveries")["items"]] == [401, 200]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path) as lab:
        lab.process.send_signal(number)
        assert lab.process.wait(15) == 0


def test_a_delivery_that_is_on_its_way_at_a_signal_is_answered(tmp_path: Path) -> None:
    with served(tmp_path) as lab:
        url = urlsplit(lab.receiver())
        with socket.create_connection((url.hostname, url.port), 20) as connection:
            head = (
                f"POST {url.path} HTTP/1.1\r\nHost: h\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: {signature()}\r\n"
            )
            connection.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {len(PUSH)}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it waits for the body
            lab.process.send_signal(signal.SIGTERM)
            until_refused(url.hostname, url.port)
            connection.sendall(PUSH)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert lab.process.wait(15) == 0


def until_refused(host: str | None, port: int | None) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), 5).close()
        except OSError:
            return
    raise AssertionError("it still lets somebody in")


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    store = str(tmp_path / "lab.db")
    with served(tmp_path, "--store", store) as lab:
        assert deliver(lab.receiver()).status_code == 200
        token = lab.get("/warehouses")["items"][0]["refresh"]
        lab.process.kill()
        lab.process.wait(15)
    with served(tmp_path, "--store", store) as lab:
        assert lab.get("/warehouses")["items"][0]["refresh"] == token


def run(*arguments: str) -> Result:
    """The command where it is not going to serve."""
    return CliRunner().invoke(main, ["serve", *arguments])


def test_three_mistakes_in_resources_are_told_at_once(tmp_path: Path) -> None:
    wrong = {"github:": "githb:", "branch:": "brnch:", "stringData: {secret: s3cr3t}": "data: {secret: s3cr3t}"}
    text = RESOURCES
    for right, slip in wrong.items():
        text = text.replace(right, slip)
    (tmp_path / "r.yaml").write_text(text)
    done = run("--resources", str(tmp_path))
    assert done.exit_code == 2
    assert [re.sub(r".*r\.yaml:", "", line) for line in done.stderr.splitlines()] == [
        "5: data.secret: expected base64 (plain text belongs under stringData)",
        "10: spec.webhookReceivers[0].githb: unknown field `githb` (did you mean `github`?)",
        "15: spec.subscriptions[0].git.brnch: unknown field `brnch` (did you mean `branch`?)",
    ]


PENDING = """
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Promotion
metadata: {name: now, namespace: p1}
spec: {stage: dev, freight: one}
"""


def test_a_promotion_that_will_not_run_is_named_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "r.yaml").write_text(RESOURCES + PENDING)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that it ends after its start
        run("--resources", str(tmp_path), "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert "Promotion p1/now: is declared and so is not run" in caplog.text


FOREIGN = """
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Freight
metadata: {name: mine, namespace: p1}
origin: {kind: Warehouse, name: code}
images: [{repoURL: r.example/web, tag: "1"}]
"""


def test_freight_that_is_not_the_warehouses_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RESOURCES + FOREIGN)
    done = run("--resources", str(tmp_path), "--listen", "127.0.0.1:0")
    assert done.exit_code == 2
    expected = "expected one of http://127.0.0.1:9/ex/repo, to which Warehouse code subscribes; found none"
    assert done.stderr.splitlines() == [
        "Error: Freight p1/mine: images: Warehouse code does not subscribe to r.example/web",
        f"Freight p1/mine: commits: {expected}",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--listen", "127.0.0.1:x"), "is no address"),
        (("--profile", "v9"), "no profile is called 'v9'"),
        (("--tls-cert", __file__), "belong together"),
        (("--store", __file__), "is no store of kargo-lab"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    (tmp_path / "r.yaml").write_text(RESOURCES)
    done = run("--resources", str(tmp_path), *options)
    assert (done.exit_code, expected in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RESOURCES)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--resources", str(tmp_path), "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (done.exit_code, "cannot listen on" in done.stderr) == (2, True)

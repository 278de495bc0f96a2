"""A real git client, and a receiver that remembers what a Git host sent it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.outgoing import Outgoing, Response

ALL = ("push", "create", "delete", "tag", "pull_request")


class Recorder:
    """A transport that delivers into a list."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def __call__(self, outgoing: Outgoing, timeout: float, follow: bool) -> Response:
        self.sent.append(outgoing)
        return Response(status=200, body=b"ok")

    def take(self) -> list[Outgoing]:
        taken, self.sent = self.sent, []
        return taken


class Scene:
    """A host with the repository acme/app and one hook for everything, stepped by hand."""

    def __init__(self, persona: str, **settings: Any) -> None:
        self.recorder = Recorder()
        self.host = GitHost(persona=persona, transport=self.recorder, asynchronous=False, **settings)
        self.host.create_repository("acme/app")
        self.hook = self.host.add_hook("acme/app", url="http://receiver.test/", secret="s3cr3t", events=ALL)

    def sent(self) -> list[Outgoing]:
        self.host.sender.step()
        return self.recorder.take()

    def events(self) -> list[str]:
        return [outgoing.event for outgoing in self.sent()]

    def bodies(self, event: str = "") -> list[Any]:
        return [body_of(outgoing) for outgoing in self.sent() if event in {"", outgoing.event}]


def body_of(outgoing: Outgoing) -> Any:
    text = outgoing.body.decode()
    return json.loads(parse_qs(text)["payload"][0] if text.startswith("payload=") else text)


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    """Builds a scene for a persona; all of them end with the test."""
    made: list[Scene] = []

    def build(persona: str = "gitea", **settings: Any) -> Scene:
        one = Scene(persona, **settings)
        one.host.start()
        made.append(one)
        return one

    yield build
    for one in made:
        one.host.stop()


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Runs the machine's git in a directory below the test's own, with nothing of the machine's settings."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "GIT_AUTHOR_DATE": "2026-01-02T03:04:05+0200",
        "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+0200",
        "LC_ALL": "C",
    }

    def run(*words: str, at: str = "", more: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=tmp_path / at,
            env=environment | (more or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {words}: {done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture
def work(git: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """Clones acme/app of a host into `work`, and commits there: `work(host)`, `work("path", "text")`."""

    def change(*words: Any) -> str:
        if isinstance(words[0], GitHost):
            git("clone", "--quiet", words[0].clone_url("acme/app"), "work")
            git("checkout", "-q", "-B", "main", at="work")
            return ""
        path, text = words
        (tmp_path / "work" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / path).write_text(text)
        git("add", "-A", at="work")
        git("commit", "-q", "-m", f"Write {path}", at="work")
        return git("rev-parse", "HEAD", at="work").strip()

    return change

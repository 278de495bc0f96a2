"""Why a container cannot run here: the two absences are told apart."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.registry_container import ContainerRegistry


class Engine:
    """An engine with some images, or one that does not answer."""

    def __init__(self, *images: str, answers: bool = True) -> None:
        self._images, self._answers = images, answers
        self.closed = False

    def ping(self) -> bool:
        if not self._answers:
            raise docker.errors.APIError("gone")
        return True

    @property
    def images(self) -> Any:
        return self

    def list(self, name: str) -> list[str]:
        return [image for image in self._images if image == name]

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address, so that nobody looks whether this machine has a socket of an engine before asking the one given."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        pytest.param(Engine("registry:2"), None, id="an engine with the image"),
        pytest.param(Engine(), "an engine answers, but image registry:2 is not on this machine", id="no image"),
        pytest.param(Engine(answers=False), "no container engine answers", id="an engine that went away"),
    ],
)
def test_the_reason_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, engine: Engine, reason: str | None) -> None:
    monkeypatch.setattr(docker, "from_env", lambda: engine)
    assert (why_no_container("registry:2"), engine.closed) == (reason, True)


def test_without_an_engine_there_is_nothing_to_close() -> None:
    assert why_no_container("registry:2") == "no container engine answers"


def test_a_socket_that_is_not_there_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert why_no_container("registry:2") == "no container engine answers"


def test_a_container_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "from_env", Engine)
    with pytest.raises(UpstreamError, match="image nobody:1 is not on this machine"):
        ContainerRegistry("nobody:1").start()

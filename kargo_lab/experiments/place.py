"""Where something is measured: on which platforms, whose programs they are, and who pushes to them.

An experiment takes a `Place` and asks it for a testbed and for somebody who pushes. So one on the embedded
platforms and the same on a registry in a container with `skopeo` and `git` are one piece of code.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.gitea_container import IMAGE as GITEA
from kargo_lab.platforms.gitea_process import why_no_gitea
from kargo_lab.platforms.registry import Registry
from kargo_lab.platforms.registry_container import IMAGE as REGISTRY
from kargo_lab.platforms.registry_process import why_no_process
from kargo_lab.testbed import BACKENDS, Testbed

CLIENTS: Mapping[str, tuple[str, ...]] = MappingProxyType({"lab": (), "programs": ("skopeo", "git")})
PLACE_COLUMNS = ("registry", "git", "backend", "client")
PUSH_SECONDS = 60.0
PERSON = ("-c", "user.name=kargo-lab", "-c", "user.email=lab@example.com")

# Why a backend is not to be had here, or None.
Why = Callable[[], str | None]
_REGISTRIES: Mapping[str, Why] = MappingProxyType(
    {"embedded": lambda: None, "process": why_no_process, "container": lambda: why_no_container(REGISTRY)}
)
_GIT_HOSTS: Mapping[str, Why] = MappingProxyType(
    {"embedded": lambda: None, "process": why_no_gitea, "container": lambda: why_no_container(GITEA)}
)


class Pusher(Protocol):
    """Pushes to a testbed's platforms; both calls return when the platform has taken it."""

    def image(self, repository: str, tag: str) -> None:
        """A new image under a tag that was not there."""

    def commit(self, repository: str, content: str) -> None:
        """A new commit onto `main`."""


@attrs.frozen(kw_only=True)
class Place:
    """The personas of registry and Git host, whose programs they are (`testbed.BACKENDS`), and the client.

    With the client `lab` the lab itself pushes: in process to embedded platforms, by their API to others. With
    `programs` it is `skopeo copy` and `git push`, as people have them, and their own time counts.
    """

    registry: str = "harbor"
    git: str = "gitea"
    backend: str = "embedded"
    git_backend: str = "embedded"
    client: str = "lab"

    def __attrs_post_init__(self) -> None:
        """Raises UsageError for what is unknown, or not to be had on this machine, with the reason."""
        for what, name, known in (
            ("backend", self.backend, BACKENDS),
            ("backend", self.git_backend, BACKENDS),
            ("client", self.client, tuple(CLIENTS)),
        ):
            if name not in known:
                raise UsageError(f"there is no {what} {name!r} here; known are {', '.join(known)}")
        lacking = [program for program in CLIENTS[self.client] if not shutil.which(program)]
        if lacking:
            raise UsageError(f"the client {self.client!r} needs {' and '.join(lacking)}, which is not installed here")
        for field, name, reasons in (
            ("backend", self.backend, _REGISTRIES),
            ("git_backend", self.git_backend, _GIT_HOSTS),
        ):
            reason = reasons[name]()
            if reason:
                raise UsageError(f"{field} {name!r} is not to be had here: {reason}")

    def testbed(self, **settings: Any) -> Testbed:
        """A testbed there; `settings` are further arguments of `Testbed`."""
        return Testbed(
            registry=self.registry, git=self.git, backend=self.backend, git_backend=self.git_backend, **settings
        )

    def columns(self, bed: Testbed) -> tuple[str, str, str, str]:
        """What a table says of the place, as `PLACE_COLUMNS`; a real registry has a persona of its own."""
        backends = dict.fromkeys((self.backend, self.git_backend))
        return bed.personas["registry"], bed.personas["git"], "+".join(backends), self.client

    @contextmanager
    def pushing(self, bed: Testbed) -> Iterator[Pusher]:
        """Somebody who pushes to that testbed, until the end of the block."""
        if self.client == "lab":
            yield _Lab(bed)
            return
        with Registry() as kitchen, tempfile.TemporaryDirectory(prefix="kargo-lab-") as folder:
            yield _Programs(bed, kitchen, Path(folder))


HERE = Place()


@attrs.frozen
class _Lab:
    bed: Testbed

    def image(self, repository: str, tag: str) -> None:
        self.bed.registry.push_image(repository, tag)

    def commit(self, repository: str, content: str) -> None:
        self.bed.git.commit(repository, {"version": content}, message=f"Version {content}")


@attrs.frozen
class _Programs:
    """`kitchen` is a registry of our own, from which skopeo copies."""

    bed: Testbed
    kitchen: Registry
    folder: Path

    def image(self, repository: str, tag: str) -> None:
        self.kitchen.push_image(repository, tag)
        source, target = (f"docker://{each.host}/{repository}:{tag}" for each in (self.kitchen, self.bed.registry))
        self._run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", source, target)

    def commit(self, repository: str, content: str) -> None:
        clone = self.folder / repository.replace("/", "-")
        if not clone.exists():
            self._run("git", "clone", "--quiet", self.bed.git.clone_url(repository), str(clone))
        (clone / "version").write_text(content, encoding="utf-8")
        within = ("git", "-C", str(clone))
        self._run(*within, "checkout", "--quiet", "-B", "main")
        self._run(*within, "add", "version")
        self._run(*within, *PERSON, "commit", "--quiet", "--message", f"Version {content}")
        self._run(*within, "push", "--quiet", "origin", "main")

    def _run(self, *words: str) -> None:
        # By the environment, since everybody on a machine can read what programs are called with.
        login = base64.b64encode(f"lab:{self.bed.git.token}".encode()).decode()
        settings = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
        }
        try:
            done = subprocess.run(  # noqa: S603 - a list, no shell
                words, capture_output=True, text=True, timeout=PUSH_SECONDS, check=False, env=settings
            )
        except subprocess.TimeoutExpired as error:
            raise UpstreamError(f"{words[0]} took more than {PUSH_SECONDS:.0f} s to push") from error
        if done.returncode:
            raise UpstreamError(f"{words[0]} could not push: {done.stderr.strip()[-400:]}")

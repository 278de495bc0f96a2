"""The testbed: platforms, hooks and the reference implementation, wired to one another on free ports.

A push to the registry or the Git host makes that platform's hook, the hook reaches a receiver over a
socket, the reference discovers from the very platforms that were pushed to. Everything is real but the
names: nothing leaves 127.0.0.1, and nothing is left behind when it ends.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from kargo_lab import profiles
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import UsageError
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.registry_platform import PlatformRegistry
from kargo_lab.resources import loading
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook
from kargo_lab.sources.shared import OperatorSettings

PROJECT = "testbed"
API = "kargo.akuity.io/v1alpha1"
# Which receiver belongs to which persona, and under which key its Secret has the value.
REGISTRY_RECEIVERS: Mapping[str, tuple[str, str]] = {
    "artifactory": ("artifactory", "secret-token"),
    "acr": ("azure", "secret"),
    "ghcr": ("github", "secret"),
    "harbor": ("harbor", "auth-header"),
    "quay": ("quay", "secret"),
}
GIT_RECEIVERS: Mapping[str, tuple[str, str]] = {
    "gitea": ("gitea", "secret"),
    "github": ("github", "secret"),
    "gitlab": ("gitlab", "secret-token"),
}


class Testbed:
    """Everything between `start()` and `stop()`, or as a context manager.

    `registry` and `git` are the personas that the embedded platforms wear. `interval` is that of every
    Warehouse that is watched from now on (Kargo's duration text). `seed` makes secrets repeatable.
    """

    __test__ = False  # pytest would take the name for a test's

    def __init__(
        self,
        *,
        profile: str = "latest",
        registry: str = "harbor",
        git: str = "gitea",
        interval: str = "5m0s",
        minimum_interval_seconds: float = 0.0,
        seed: int = 7,
    ) -> None:
        for persona, known in ((registry, REGISTRY_RECEIVERS), (git, GIT_RECEIVERS)):
            if persona not in known:
                raise UsageError(f"there is no persona {persona!r} here; known are {', '.join(sorted(known))}")
        self.interval = interval
        self._registry_persona, self._git_persona, self._seed = registry, git, seed
        self.registry, self.git, self.charts = PlatformRegistry(registry), GitHost(persona=git), ChartHost()
        self.lab = Lab(
            profile=profiles.get(profile),
            settings=OperatorSettings(minimum_interval_seconds=minimum_interval_seconds),
            seed=seed,
        )
        self.server = Server(Webhook(self.lab))
        self._warehouses: dict[str, dict[str, Any]] = {}
        self._running: list[Any] = []

    def start(self) -> Self:
        """Start everything; receivers have their URLs when this returns."""
        try:
            for part in (self.registry, self.git, self.charts, self.server):
                part.start()
                self._running.append(part)
            self.lab.resync(base_url=self.server.url)
            self._apply()
            self.lab.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, the senders first, so that nobody talks to somebody who has gone."""
        while self._running:
            self._running.pop(0).stop()
        self.lab.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # What is watched

    def watch(self, name: str, *subscriptions: Mapping[str, Any], interval: str = "") -> str:
        """Create or change a Warehouse; its key. Subscriptions are Kargo's YAML as mappings."""
        self._warehouses[name] = {
            "apiVersion": API,
            "kind": "Warehouse",
            "metadata": {"namespace": PROJECT, "name": name},
            "spec": {"interval": interval or self.interval, "subscriptions": [dict(each) for each in subscriptions]},
        }
        self._apply()
        return f"{PROJECT}/{name}"

    def image(self, repository: str, **settings: Any) -> dict[str, Any]:
        """An image subscription to a repository of the testbed's registry."""
        return {"image": {"repoURL": f"{self.registry.host}/{repository}", **settings}}

    def commits(self, repository: str, **settings: Any) -> dict[str, Any]:
        """A Git subscription to a repository of the testbed's Git host."""
        return {"git": {"repoURL": self.git.clone_url(repository), **settings}}

    def chart(self, name: str, repository: str = "", **settings: Any) -> dict[str, Any]:
        """A chart subscription to the testbed's classic chart host."""
        return {"chart": {"repoURL": self.charts.repository_url(repository), "name": name, **settings}}

    def forget(self, name: str) -> None:
        """Remove a Warehouse."""
        del self._warehouses[name]
        self._apply()

    # Receivers and hooks

    def _secret(self, name: str) -> str:
        return hashlib.sha256(f"{self._seed}/{name}".encode()).hexdigest()[:24]

    def _receivers(self) -> dict[str, tuple[str, str]]:
        return {"registry": REGISTRY_RECEIVERS[self._registry_persona], "git": GIT_RECEIVERS[self._git_persona]}

    def _apply(self) -> None:
        documents: list[dict[str, Any]] = [{"apiVersion": API, "kind": "Project", "metadata": {"name": PROJECT}}]
        entries = []
        for name, (kind, key) in self._receivers().items():
            data = {key: base64.b64encode(self._secret(name).encode()).decode()}
            metadata = {"namespace": PROJECT, "name": name}
            documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
            entries.append({"name": name, kind: {"secretRef": {"name": name}}})
        documents.append(
            {
                "apiVersion": API,
                "kind": "ProjectConfig",
                "metadata": {"namespace": PROJECT, "name": PROJECT},
                "spec": {"webhookReceivers": entries},
            }
        )
        text = "\n---\n".join(json.dumps(document) for document in [*documents, *self._warehouses.values()])
        self.lab.apply(loading.loads(text, profile=self.lab.profile, name="the testbed"))

    def receiver_urls(self) -> dict[str, str]:
        """`registry` and `git` -> the URL to register there, as the status publishes it."""
        entries = (entry for config in self.lab.objects.configs for entry in self.lab.objects.receiver_entries(config))
        return {entry.name: entry.url for entry in entries}

    def install_hooks(self) -> None:
        """Register both receivers at their platforms, for every repository; from now on pushes are told."""
        urls = self.receiver_urls()
        events = () if self._registry_persona in ("quay", "acr") else ("push",)
        self.registry.add_hook(url=urls["registry"], secret=self._secret("registry"), events=events)
        self.git.add_hook(url=urls["git"], secret=self._secret("git"), events=("push",), level="system")

    # Looking

    def freight(self, name: str) -> int:
        """How many Freight a Warehouse has made."""
        return len(self.lab.freight(PROJECT, origin=name))

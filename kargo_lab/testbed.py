"""The testbed: platforms, hooks and the reference implementation, wired to one another on free ports.

A push to the registry or the Git host makes that platform's hook, the hook reaches a receiver over a
socket, the reference discovers from the very platforms that were pushed to. Everything is real but the
names: nothing leaves 127.0.0.1, and nothing is left behind when it ends.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

from kargo_lab import profiles
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import UsageError
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.git.bodies.writing import stable_uuid
from kargo_lab.platforms.gitea_filling import FilledContainerGitea, FilledProcessGitea
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.harbor import Harbor
from kargo_lab.platforms.hook_registration import Wanted, install
from kargo_lab.platforms.hooks import DeliveryRow
from kargo_lab.platforms.losses import NO_LOSSES, Losses
from kargo_lab.platforms.registry_container import ContainerRegistry
from kargo_lab.platforms.registry_platform import PlatformRegistry
from kargo_lab.platforms.registry_process import ProcessRegistry
from kargo_lab.receivers import SECRET_KEYS
from kargo_lab.resources import loading
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook
from kargo_lab.sources.shared import OperatorSettings

PROJECT = "testbed"
API = "kargo.akuity.io/v1alpha1"
# Which receiver takes the hooks of which persona.
REGISTRY_RECEIVERS: Mapping[str, str] = MappingProxyType(
    {
        "acr": "azure",
        "artifactory": "artifactory",
        "docker-hub": "dockerhub",
        "ghcr": "github",
        "harbor": "harbor",
        "quay": "quay",
        "registry": "generic",
    }
)
GIT_RECEIVERS: Mapping[str, str] = MappingProxyType(
    {
        "azure-devops": "azure",
        "bitbucket": "bitbucket",
        "bitbucket-data-center": "bitbucket",
        "forgejo": "gitea",
        "gitea": "gitea",
        "github": "github",
        "gitlab": "gitlab",
    }
)
# Registries that somebody else wrote: they notify as distribution does, from their configuration.
REGISTRY_BACKENDS: Mapping[str, Any] = MappingProxyType({"process": ProcessRegistry, "container": ContainerRegistry})
BACKENDS = ("embedded", *REGISTRY_BACKENDS)
GIT_BACKENDS: Mapping[str, Any] = MappingProxyType({"process": FilledProcessGitea, "container": FilledContainerGitea})
REAL_GIT = ("gitea",)  # what can be had as a program or an image

# What refreshes by the notifications of distribution's registry (platforms.md 13.3): a manifest, and under a tag.
_NOTIFICATION = "request.body.events[0]"
NOTIFICATION_ACTION: Mapping[str, Any] = MappingProxyType(
    {
        "action": "Refresh",
        "whenExpression": f"{_NOTIFICATION}.action == 'push' && {_NOTIFICATION}.target.tag != nil",
        "targetSelectionCriteria": [
            {
                "kind": "Warehouse",
                "indexSelector": {
                    "matchIndices": [
                        {
                            "key": "subscribedURLs",
                            "operator": "Equals",
                            "value": f"${{{{ normalizeImage({_NOTIFICATION}.request.host + '/' + "
                            f"{_NOTIFICATION}.target.repository) }}}}",
                        }
                    ]
                },
            }
        ],
    }
)


class Testbed:
    """Everything between `start()` and `stop()`, or as a context manager.

    `registry` and `git` are the personas that the embedded platforms wear. `backend` puts Debian's docker-registry
    (`process`) or registry:2 (`container`) in place of the embedded registry: its persona is `registry` then, and it
    notifies from its start, unless `notify` says no. `git_backend` puts a real Gitea in place of the embedded Git
    host. `interval` is that of every Warehouse that is watched from now on (Kargo's duration text). `seed` makes
    secrets repeatable.
    `losses` is what happens to hooks on their way, for each embedded platform by itself: real ones send theirs
    past us. `registry_options` and `git_options` are further arguments of `PlatformRegistry` and `GitHost`: `layers`
    for faults and quotas in front of them, `losses` of one of them, `users`; `lab_options` are those of `Lab`, as
    `checks` for verifications, and `settings` those of `OperatorSettings`.
    """

    __test__ = False  # pytest would take the name for a test's

    def __init__(
        self,
        *,
        profile: str = "latest",
        registry: str = "harbor",
        git: str = "gitea",
        backend: str = "embedded",
        git_backend: str = "embedded",
        notify: bool = True,
        interval: str = "5m0s",
        minimum_interval_seconds: float = 0.0,
        seed: int = 7,
        losses: Losses = NO_LOSSES,
        registry_options: Mapping[str, Any] = MappingProxyType({}),
        git_options: Mapping[str, Any] = MappingProxyType({}),
        lab_options: Mapping[str, Any] = MappingProxyType({}),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        registry = registry if backend == "embedded" else "registry"
        for what, name, known in (
            ("registry", registry, REGISTRY_RECEIVERS),
            ("Git host", git, GIT_RECEIVERS),
            ("backend", backend, BACKENDS),
            ("backend", git_backend, BACKENDS),
        ):
            if name not in known:
                raise UsageError(f"there is no {what} {name!r} here; known are {', '.join(sorted(known))}")
        if git_backend != "embedded" and git not in REAL_GIT:
            raise UsageError(f"{git} is to be had embedded only; a real one can be {' or '.join(REAL_GIT)}")
        if losses != NO_LOSSES and (backend, git_backend) != ("embedded", "embedded"):
            raise UsageError("only embedded platforms lose their hooks by order; give `losses` in the options of one")
        self.interval, self.backend, self.git_backend, self._notify = interval, backend, git_backend, notify
        self.personas: Mapping[str, str] = {"registry": registry, "git": git}
        lossy = {} if losses == NO_LOSSES else {"losses": losses}
        self._seed, self._registry_options = seed, {**lossy, **registry_options}
        self.git: Any = GitHost(persona=git, **{**lossy, **git_options}) if git_backend == "embedded" else None
        self.git = self.git or GIT_BACKENDS[git_backend](**git_options)
        self.charts = ChartHost()
        # Built again by `start` where it has to know whom to notify.
        self.registry: Any = self._make_registry("")
        self._aliases: dict[str, str] = {}  # filled when the port is known
        self.lab = Lab(
            profile=profiles.get(profile),
            settings=OperatorSettings(
                minimum_interval_seconds=minimum_interval_seconds,
                registry_aliases=self._aliases,
                # Everything here is HTTP on 127.0.0.1; promotions open pull requests with a token.
                allow_credentials_over_http=True,
                **settings,
            ),
            seed=seed,
            **lab_options,
        )
        # A container reaches this machine by another address than the loopback one.
        address = "0.0.0.0" if git_backend == "container" else "127.0.0.1"  # noqa: S104 -- see above
        self.server = Server(Webhook(self.lab), address=address)
        self._warehouses: dict[str, dict[str, Any]] = {}
        self._behind: list[dict[str, Any]] = []
        self._policies: list[dict[str, Any]] = []
        self._running: list[Any] = []

    def _make_registry(self, receiver: str) -> Any:
        if self.backend == "embedded":
            if self.personas["registry"] == "harbor":
                return Harbor(**{"open_push": "users" not in self._registry_options, **self._registry_options})
            return PlatformRegistry(self.personas["registry"], **self._registry_options)
        told = (receiver,) if self._notify else ()
        return REGISTRY_BACKENDS[self.backend](notify=told, **self._registry_options)

    def start(self) -> Self:
        """Start everything; receivers have their URLs when this returns."""
        try:
            self._run(self.server)
            self._apply()
            self.lab.resync(base_url=f"http://127.0.0.1:{self.server.port}")
            if self.backend != "embedded":
                self.registry = self._make_registry(self.receiver_urls()["registry"])
            for part in (self.charts, self.git, self.registry):
                self._run(part)
            if self.personas["registry"] == "docker-hub":
                self._aliases["docker.io"] = self.registry.host
            self.lab.start()
        except BaseException:
            self.stop()
            raise
        return self

    def _run(self, part: Any) -> None:
        part.start()
        self._running.append(part)

    def stop(self) -> None:
        """Stop everything, the senders first, so that nobody talks to somebody who has gone."""
        while self._running:
            self._running.pop().stop()
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
        """An image subscription to a repository of the testbed's registry; at Docker Hub images have no host."""
        docker_hub = self.personas["registry"] == "docker-hub"
        return {"image": {"repoURL": repository if docker_hub else f"{self.registry.host}/{repository}", **settings}}

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

    def behind(self, *documents: Mapping[str, Any], auto_promotion: Sequence[str] = ()) -> None:
        """Put Stages, tasks and templates behind the Warehouses; the named Stages are promoted automatically.

        Promotions may write to the Git host and open pull requests there.
        """
        self._behind = [dict(each) for each in documents]
        self._policies = [{"stageSelector": {"name": name}, "autoPromotionEnabled": True} for name in auto_promotion]
        data = {"username": "lab", "password": self.git.token, "repoURL": "^http://", "repoURLIsRegex": "true"}
        metadata = {
            "namespace": PROJECT,
            "name": "git-credentials",
            "labels": {"kargo.akuity.io/cred-type": "git"},
        }
        self._behind.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        self._apply()

    # Receivers and hooks

    def secret(self, name: str) -> str:
        """The secret of the receiver `registry` or `git`."""
        return hashlib.sha256(f"{self._seed}/{name}".encode()).hexdigest()[:24]

    def receiver_types(self) -> dict[str, str]:
        """`registry` and `git` -> the type of the receiver."""
        return {"registry": REGISTRY_RECEIVERS[self.personas["registry"]], "git": GIT_RECEIVERS[self.personas["git"]]}

    def _apply(self) -> None:
        documents: list[dict[str, Any]] = [{"apiVersion": API, "kind": "Project", "metadata": {"name": PROJECT}}]
        entries = []
        for name, kind in self.receiver_types().items():
            data = {SECRET_KEYS[kind]: base64.b64encode(self.secret(name).encode()).decode()}
            metadata = {"namespace": PROJECT, "name": name}
            documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
            settings: dict[str, Any] = {"actions": [dict(NOTIFICATION_ACTION)]} if kind == "generic" else {}
            entries.append({"name": name, kind: {"secretRef": {"name": name}, **settings}})
        documents.append(
            {
                "apiVersion": API,
                "kind": "ProjectConfig",
                "metadata": {"namespace": PROJECT, "name": PROJECT},
                "spec": {"webhookReceivers": entries, "promotionPolicies": self._policies},
            }
        )
        text = "\n---\n".join(
            json.dumps(document) for document in [*documents, *self._warehouses.values(), *self._behind]
        )
        self.lab.apply(loading.loads(text, profile=self.lab.profile, name="the testbed"))

    def receiver_urls(self) -> dict[str, str]:
        """`registry` and `git` -> the URL to register there, as the status publishes it."""
        entries = (entry for config in self.lab.objects.configs for entry in self.lab.objects.receiver_entries(config))
        return {entry.name: entry.url for entry in entries}

    def install_hooks(self) -> None:
        """Register both receivers at their platforms, for every repository; from now on pushes are told."""
        for name in self.personas:
            self.install_hook(name)

    def install_hook(self, platform: str) -> None:
        """Register the receiver of `registry` or `git` there, in process, for every repository."""
        hook: dict[str, Any] = {"url": self.receiver_urls()[platform], "secret": self.secret(platform)}
        if platform == "registry":
            if self.backend == "embedded":  # others notify by their configuration
                self.registry.add_hook(**hook)
            return
        hook["events"] = ("push", "pull_request")
        if self.git_backend != "embedded":
            hook["url"] = self._as_reached(hook["url"])
        if self.personas["git"] != "gitlab":
            self.git.add_hook(**hook, level="system")
            return
        # GitLab's system hooks call themselves so, and Kargo refuses them; its other hooks belong to a repository.
        hook["events"] = ("push", "tag")
        self.git.add_hook(**hook, level="default")
        for repository in self.git.forge.repositories.values():
            self.git.add_hook(repository.full_name, **hook)

    def _as_reached(self, url: str) -> str:
        """A receiver's URL as a real Gitea has to spell it."""
        return url.replace(self.lab.base_url, str(self.git.reach(self.server.port)), 1)

    def register_hook(self, platform: str, repository: str) -> Any:
        """Register a receiver for one repository by the call that an operator would make; the platform's answer.

        `platform` is `registry` or `git`. Raises UsageError where the platform has no API for its hooks.
        """
        if platform not in self.personas:
            raise UsageError(f"there is no platform {platform!r}; known are {', '.join(self.personas)}")
        part, persona = self.platforms[platform], self.personas[platform]
        if self.backend != "embedded" and platform == "registry":
            raise UsageError("this registry notifies by its configuration, from its start on")
        if persona == "harbor" and repository.partition("/")[0] not in part.records.projects:
            raise UsageError(f"Harbor has no project {repository.partition('/')[0]!r}; a push makes one here")
        ids: dict[str, str] = {}
        if persona == "azure-devops":
            # Azure DevOps wants to know by number what a person calls by name.
            ids = {"repository": stable_uuid("repository", part.forge.repository(repository).id)}
        url = self.receiver_urls()[platform]
        wanted = Wanted(
            repository=repository,
            url=self._as_reached(url) if platform == "git" and self.git_backend != "embedded" else url,
            secret=self.secret(platform),
            pull_requests=False,
            ids=ids,
        )
        return install(persona, part.url, wanted, headers=self._login(platform))

    def _login(self, platform: str) -> dict[str, str]:
        """The administrator's credentials, as the platform's API wants them."""
        part, persona = self.platforms[platform], self.personas[platform]
        if persona == "gitlab":
            return {"PRIVATE-TOKEN": part.token}
        if persona == "harbor":
            name, password = next(iter(part.records.accounts.items()))
            return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}
        return {"Authorization": f"Bearer {part.token}"}

    # Looking

    @property
    def platforms(self) -> dict[str, Any]:
        """`registry`, `git` and `charts`, which only waits to be asked."""
        return {"registry": self.registry, "git": self.git, "charts": self.charts}

    @property
    def deliveries(self) -> tuple[tuple[str, DeliveryRow], ...]:
        """Every attempt of every platform to deliver a hook, with the platform's name, oldest first."""
        rows = [(name, row) for name, part in self.platforms.items() for row in getattr(part, "deliveries", ())]
        return tuple(sorted(rows, key=lambda pair: pair[1].time))

    def redeliver(self, platform: str, guid: str) -> None:
        """Let a platform send a past delivery once more, as its button does."""
        sender = getattr(self.platforms.get(platform), "sender", None)
        if sender is None:
            raise UsageError(f"{platform!r} keeps no log of deliveries here")
        sender.redeliver(guid)

    def burn(self) -> list[dict[str, Any]]:
        """What each subscription has cost its source so far, by Warehouse and strategy.

        `requests` are all, `counted` those that the source's own quota counts.
        """
        requests, counted = Counter[tuple[str, int, str]](), Counter[tuple[str, int, str]]()
        for row in self.lab.ledger.rows:
            key = (row.warehouse, row.subscription, row.source)
            requests[key] += row.is_request
            counted[key] += row.is_request and row.counted
        return [
            {
                "warehouse": warehouse,
                "subscription": subscription,
                "strategy": self._strategy(warehouse, subscription),
                "source": source,
                "requests": requests[warehouse, subscription, source],
                "counted": counted[warehouse, subscription, source],
            }
            for warehouse, subscription, source in sorted(requests)
        ]

    def _strategy(self, warehouse: str, subscription: int) -> str:
        found = self.lab.warehouse(warehouse)
        if found is None or not 0 <= subscription < len(found.spec.subscriptions):
            return ""
        one = found.spec.subscriptions[subscription]
        names = ("image_selection_strategy", "commit_selection_strategy")
        return next((str(getattr(one, name)) for name in names if hasattr(one, name)), "")

    def freight(self, name: str) -> int:
        """How many Freight a Warehouse has made."""
        return len(self.lab.freight(PROJECT, origin=name))

"""What the intake sees of the lab: the resources that were applied, and the one thing it may write.

Kargo asks the Kubernetes API for all of these; here they are what `Lab.apply` was given, except for
refresh tokens and the log of deliveries, which are in the store and outlive the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.engine.store import Store
from kargo_lab.engine.warehouses import Warehouses
from kargo_lab.matching import SubscribedURLs
from kargo_lab.profiles import Profile
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, Secret
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.resources.status import ReceiverStatus, StatusEntry, receiver_statuses
from kargo_lab.resources.warehouse import Warehouse

REFRESHED_PROMOTIONS = "promotion-refresh"


@attrs.frozen(kw_only=True)
class _Applied:
    """One state of the resources, replaced as a whole."""

    secrets: Mapping[tuple[str, str], Secret] = MappingProxyType({})
    configs: tuple[ProjectConfig, ...] = ()
    cluster: ClusterConfig | None = None
    warehouses: tuple[Warehouse, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    statuses: Mapping[str, ReceiverStatus] = MappingProxyType({})
    by_path: Mapping[str, tuple[ProjectConfig, ...]] = MappingProxyType({})
    index: SubscribedURLs = attrs.field(factory=lambda: SubscribedURLs(()))


class Objects:
    """The intake's view, and the keeper of receivers' statuses. Safe to use from any thread."""

    def __init__(self, *, store: Store, warehouses: Warehouses, profile: Profile, base_url: str) -> None:
        self._store, self._warehouses = store, warehouses
        self._profile, self._base_url = profile, base_url
        self._lock, self._now = threading.Lock(), _Applied()
        # The Promotions that the pipeline made, and how they are woken; the Lab connects them.
        self.made: Callable[[], Sequence[Promotion]] = tuple
        self.wake_promotions: Callable[[Sequence[str]], None] = lambda _keys: None
        self.on_refresh: Callable[[Sequence[str]], None] = lambda _keys: None

    def apply(self, resources: Resources) -> None:
        """Take over secrets, configurations, Warehouses and Promotions; statuses follow."""
        applied = self._warehouses.apply(resources.warehouses)
        ordered = tuple(sorted(applied, key=lambda each: each.key))
        with self._lock:
            before = self._now.statuses
            self._now = _Applied(
                secrets=MappingProxyType({(each.namespace, each.name): each for each in resources.secrets}),
                configs=resources.project_configs,
                cluster=resources.cluster_config,
                warehouses=ordered,
                index=SubscribedURLs(ordered, self._profile),
                promotions=tuple(sorted(resources.promotions, key=lambda each: each.key)),
            )
        self.resync(before)

    def resync(self, previous: Mapping[str, ReceiverStatus] | None = None) -> None:
        """Work the receivers' paths out anew, as the controllers of configurations do on each of their passes."""
        with self._lock:
            now = self._now
            before = now.statuses if previous is None else previous
        configs: list[ProjectConfig | ClusterConfig] = [*now.configs, *([now.cluster] if now.cluster else [])]
        statuses = {}
        for config in configs:
            earlier = before.get(_key(config))
            statuses[_key(config)] = receiver_statuses(
                config,
                self.secret,
                base_url=self._base_url,
                profile=self._profile,
                previous=earlier.entries if earlier else (),
            )
        by_path: dict[str, tuple[ProjectConfig, ...]] = {}
        for project in now.configs:
            for path in dict.fromkeys(entry.path for entry in statuses[_key(project)].entries):
                by_path[path] = (*by_path.get(path, ()), project)
        with self._lock:
            self._now = attrs.evolve(self._now, statuses=MappingProxyType(statuses), by_path=MappingProxyType(by_path))

    def set_secrets(self, secrets: Sequence[Secret]) -> None:
        """Replace the Secrets and nothing else; paths keep pointing at the old ones until `resync()`."""
        with self._lock:
            self._now = attrs.evolve(
                self._now, secrets=MappingProxyType({(each.namespace, each.name): each for each in secrets})
            )

    def set_base_url(self, base_url: str) -> None:
        """Paths and URLs of receivers are built from it at the next `resync()`."""
        self._base_url = base_url

    @property
    def base_url(self) -> str:
        """The base URL of receivers."""
        return self._base_url

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All Secrets."""
        return tuple(self._now.secrets.values())

    def receiver_status(self, config: ProjectConfig | ClusterConfig) -> ReceiverStatus | None:
        """The status of a configuration, conditions included."""
        return self._now.statuses.get(_key(config))

    @property
    def configs(self) -> tuple[ProjectConfig | ClusterConfig, ...]:
        """All configurations, the cluster's last."""
        now = self._now
        return (*now.configs, *((now.cluster,) if now.cluster else ()))

    # kargo_lab.engine.intake.Objects

    def configs_with_path(self, path: str) -> Sequence[ProjectConfig]:
        """The ProjectConfigs whose status lists this path."""
        return self._now.by_path.get(path, ())

    def cluster_config(self) -> ClusterConfig | None:
        """The ClusterConfig, if there is one."""
        return self._now.cluster

    def receiver_entries(self, config: ProjectConfig | ClusterConfig) -> Sequence[StatusEntry]:
        """`status.webhookReceivers` of a configuration."""
        status = self._now.statuses.get(_key(config))
        return status.entries if status else ()

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret as it is now."""
        return self._now.secrets.get((namespace, name))

    def warehouses(self, namespace: str | None = None) -> Sequence[Warehouse]:
        """The Warehouses of a namespace, or (None) of all, by namespace and name; with their generations."""
        return [each for each in self._now.warehouses if namespace in (None, each.namespace)]

    def index(self) -> SubscribedURLs:
        """All Warehouses by the URLs they subscribe to."""
        return self._now.index

    def promotions(self) -> Sequence[Promotion]:
        """All Promotions, by namespace and name."""
        return (*self._now.promotions, *self.made())

    def request_refresh(self, targets: Sequence[tuple[str, str, str]], token: str) -> Collection[tuple[str, str, str]]:
        """Set the refresh annotation of (kind, namespace, name), durably and with one flush to the disk.

        Nothing is refused here: a store that cannot write is an error for all of them.
        """
        keys = [f"{where}/{name}" for kind, where, name in targets if kind == "Warehouse"]
        self.on_refresh(keys)
        self._warehouses.refresh(keys, token)
        for kind, where, name in targets:
            if kind == "Promotion":
                self._store.put_object(REFRESHED_PROMOTIONS, f"{where}/{name}", {"token": token})
        self.wake_promotions([f"{where}/{name}" for kind, where, name in targets if kind == "Promotion"])
        return ()

    def delivered(self, receiver: str, delivery_id: str) -> bool:
        """True if a delivery of this ID was answered with 200 before."""
        return self._store.delivered(receiver, delivery_id)

    def refreshed_promotions(self) -> dict[str, Any]:
        """The refresh tokens of Promotions, by `namespace/name`."""
        return self._store.objects(REFRESHED_PROMOTIONS)


def _key(config: ProjectConfig | ClusterConfig) -> str:
    return config.namespace if isinstance(config, ProjectConfig) else ""

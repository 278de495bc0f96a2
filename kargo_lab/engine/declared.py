"""Declared resources as the intake sees them: what a fresh cluster would hold once all was reconciled.

Nothing is on disk. This is what a dry run works on (what would this delivery do?), and what tests use;
the Lab has the durable store behind the same protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from kargo_lab.engine.intake import Target
from kargo_lab.matching import SubscribedURLs
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, Secret
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.resources.status import ReceiverStatus, StatusEntry, receiver_statuses


class DeclaredObjects:
    """Objects out of loaded resources. `refreshed` maps (kind, namespace, name) to the last token.

    `refused` says which refreshes fail, as a patch does that the cluster does not allow.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        base_url: str,
        profile: Profile = LATEST,
        refused: Callable[[str, str, str], bool] = lambda _kind, _namespace, _name: False,
    ) -> None:
        self.resources, self.profile, self.base_url, self._refused = resources, profile, base_url, refused
        self.refreshed: dict[tuple[str, str, str], str] = {}
        self._secrets = {(secret.namespace, secret.name): secret for secret in resources.secrets}
        self._index = SubscribedURLs(resources.warehouses, profile)
        self._statuses: dict[str, ReceiverStatus] = {}
        self.deliveries: set[tuple[str, str]] = set()
        self.reconcile()

    def reconcile(self) -> None:
        """Write the status of every configuration, as the management controller does."""
        self._statuses = {self._key(config): self._status(config) for config in self.configs()}

    def configs(self) -> tuple[ProjectConfig | ClusterConfig, ...]:
        """Every configuration, the ClusterConfig first."""
        cluster = self.resources.cluster_config
        return (*((cluster,) if cluster else ()), *self.resources.project_configs)

    def status(self, config: ProjectConfig | ClusterConfig) -> ReceiverStatus:
        """The status that was written for a configuration."""
        return self._statuses[self._key(config)]

    @staticmethod
    def _key(config: ProjectConfig | ClusterConfig) -> str:
        return config.namespace if isinstance(config, ProjectConfig) else ""

    def _status(self, config: ProjectConfig | ClusterConfig) -> ReceiverStatus:
        before = self._statuses.get(self._key(config))
        return receiver_statuses(
            config,
            self.secret,
            base_url=self.base_url,
            profile=self.profile,
            previous=before.entries if before else (),
        )

    # What the intake asks for.

    def configs_with_path(self, path: str) -> Sequence[ProjectConfig]:
        """The ProjectConfigs whose status lists this path."""
        return [
            config
            for config in self.resources.project_configs
            if any(entry.path == path for entry in self.status(config).entries)
        ]

    def cluster_config(self) -> ClusterConfig | None:
        """The ClusterConfig, if there is one."""
        return self.resources.cluster_config

    def receiver_entries(self, config: ProjectConfig | ClusterConfig) -> Sequence[StatusEntry]:
        """`status.webhookReceivers` of a configuration."""
        return self.status(config).entries

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret as it is declared."""
        return self._secrets.get((namespace, name))

    def index(self) -> SubscribedURLs:
        """All Warehouses by the URLs they subscribe to."""
        return self._index

    def promotions(self) -> Sequence[Promotion]:
        """All Promotions."""
        return self.resources.promotions

    def request_refresh(self, targets: Sequence[Target], token: str) -> Collection[Target]:
        """Remember the token for each that may be patched."""
        refused = {target for target in targets if self._refused(*target)}
        self.refreshed.update(dict.fromkeys((target for target in targets if target not in refused), token))
        return refused

    def delivered(self, receiver: str, delivery_id: str) -> bool:
        """True if it is among `deliveries`, which whoever delivers keeps."""
        return (receiver, delivery_id) in self.deliveries

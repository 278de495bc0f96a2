"""What Kargo's management controller writes into a configuration's status: receivers.md 1.4 to 1.6.

Building one receiver is the same act for the controller, which prints its path, and for the webhooks
server, which has just found a request for it; so there is one function, `build`, and two callers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs

from kargo_lab.errors import RuleError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.receivers import paths
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, ReceiverSpec, Secret
from kargo_lab.wire import Setup

REFRESH_ANNOTATION = "kargo.akuity.io/refresh"

SecretLookup = Callable[[str, str], Secret | None]
"""namespace, name -> the Secret, or None."""


@attrs.frozen
class _SecretKey:
    """The key of the Secret that a type reads, and what Kargo says where it is missing (1.4, 7.3)."""

    key: str
    missing: str
    brand: str = ""  # the name in the one wording of 1.6


SECRET_KEYS: Mapping[str, _SecretKey] = MappingProxyType(
    {
        "artifactory": _SecretKey("secret-token", "secret data is not valid for a Artifactory WebhookReceiver"),
        "azure": _SecretKey("secret", 'missing data key "secret" for Azure WebhookReceiver'),
        "bitbucket": _SecretKey("secret", 'missing data key "secret" for Bitbucket WebhookReceiver', "Bitbucket"),
        "dockerhub": _SecretKey("secret", 'missing data key "secret" for DockerHub WebhookReceiver', "Docker Hub"),
        "generic": _SecretKey("secret", "secret data is not valid for a Generic WebhookReceiver"),
        "gitea": _SecretKey("secret", "secret data is not valid for a Gitea WebhookReceiver"),
        "github": _SecretKey("secret", 'missing "secret" data key for GitHub WebhookReceiver', "GitHub"),
        "gitlab": _SecretKey("secret-token", 'missing data key "secret-token" for GitLab WebhookReceiver', "GitLab"),
        "harbor": _SecretKey("auth-header", 'missing data key "auth-header" for Harbor WebhookReceiver'),
        "quay": _SecretKey("secret", 'missing "secret" data key for Quay.io WebhookReceiver', "Quay.io"),
    }
)


@attrs.frozen
class StatusEntry:
    """One element of `status.webhookReceivers`. The router compares `path`; people register `url`."""

    name: str
    path: str
    url: str


@attrs.frozen
class Condition:
    """One condition of a ProjectConfig or ClusterConfig."""

    type: str
    status: str
    reason: str
    message: str


@attrs.frozen
class ReceiverStatus:
    """What one pass over a configuration leaves behind."""

    entries: tuple[StatusEntry, ...]
    conditions: tuple[Condition, ...]
    observed_generation: int = 0
    last_handled_refresh: str = ""

    @property
    def ready(self) -> bool:
        """True if every receiver could be built."""
        return any(each.type == "Ready" and each.status == "True" for each in self.conditions)


@attrs.frozen(kw_only=True)
class BuiltReceiver:
    """A receiver that can be asked."""

    type: str
    setup: Setup
    entry: StatusEntry


@attrs.frozen
class BuildFailure:
    """Why a receiver cannot be built, in Kargo's words."""

    cause: str


def secrets_namespace(config: ProjectConfig | ClusterConfig, profile: Profile) -> str:
    """Where the Secrets of a configuration's receivers are looked up; empty if nowhere (1.4)."""
    return config.namespace if isinstance(config, ProjectConfig) else profile.cluster_secrets_namespace


def receiver_type(spec: ReceiverSpec, profile: Profile) -> str:
    """The first type object that this version knows, empty if there is none (1.3)."""
    return next((kind for kind in spec.types if kind in profile.receiver_events), "")


def build(
    config: ProjectConfig | ClusterConfig,
    spec: ReceiverSpec,
    secret_of: SecretLookup,
    *,
    base_url: str,
    profile: Profile = LATEST,
) -> BuiltReceiver | BuildFailure:
    """A receiver out of its entry in the spec and its Secret; in this order, as Kargo does."""
    kind = receiver_type(spec, profile)
    if not kind:
        return BuildFailure(_no_type(profile))
    namespace = secrets_namespace(config, profile)
    where = f'Secret "{spec.secret_name}" in namespace "{namespace}"'
    secret = secret_of(namespace, spec.secret_name)
    if secret is None:
        return BuildFailure(f'error getting {where}: secrets "{spec.secret_name}" not found')
    wanted = SECRET_KEYS[kind]
    if wanted.key not in secret.data:
        return BuildFailure(f"error extracting secret values from {where}: {_missing(wanted, profile)}")
    value = secret.data[wanted.key]
    project = config.namespace if isinstance(config, ProjectConfig) else ""
    digest = paths.receiver_hash(project, spec.name, value)
    try:
        entry = StatusEntry(
            spec.name, paths.receiver_path(base_url, kind, digest), paths.receiver_url(base_url, kind, digest)
        )
    except RuleError as error:
        return BuildFailure(f"error building the path of the receiver: {error.message}")
    setup = Setup(secret=value, virtual_repo_name=spec.virtual_repo_name, actions=spec.actions)
    return BuiltReceiver(type=kind, setup=setup, entry=entry)


def _no_type(profile: Profile) -> str:
    text = "WebhookReceiverConfig has no configuration for a known receiver type"
    # The wording since 1.9 is that of a lookup; up to 1.8 the sentence stands alone (1.6).
    return text if profile.receiver_type_order == "random" else f"error getting receiver factory: {text}"


def _missing(wanted: _SecretKey, profile: Profile) -> str:
    if profile.secret_error_text == "uniform" and wanted.brand:  # noqa: S105 - the name of a wording
        return f"Secret data is not valid for a {wanted.brand} WebhookReceiver"
    return wanted.missing


def receiver_statuses(
    config: ProjectConfig | ClusterConfig,
    secret_of: SecretLookup,
    *,
    base_url: str,
    profile: Profile = LATEST,
    previous: Sequence[StatusEntry] = (),
    previous_generation: int = 0,
) -> ReceiverStatus:
    """The status after one pass.

    `previous` are the entries before it: up to 1.9.6 an emptied list keeps them. Only a pass without
    error observes the generation; the refresh annotation counts as handled after any.
    """
    passed = _pass(config, secret_of, base_url=base_url, profile=profile, previous=previous)
    return attrs.evolve(
        passed,
        observed_generation=config.generation if passed.ready else previous_generation,
        last_handled_refresh=config.annotations.get(REFRESH_ANNOTATION, ""),
    )


def _pass(
    config: ProjectConfig | ClusterConfig,
    secret_of: SecretLookup,
    *,
    base_url: str,
    profile: Profile,
    previous: Sequence[StatusEntry],
) -> ReceiverStatus:
    kind = type(config).__name__
    if not config.receivers:
        kept = () if profile.empty_receivers_clear_status else tuple(previous)
        return ReceiverStatus(kept, (_synced(kind),))
    if not secrets_namespace(config, profile):
        return ReceiverStatus((), _failed(kind, ["SYSTEM_RESOURCES_NAMESPACE is not set"]))
    entries: list[StatusEntry] = []
    errors: list[str] = []
    for spec in config.receivers:
        match build(config, spec, secret_of, base_url=base_url, profile=profile):
            case BuiltReceiver(entry=entry):
                entries.append(entry)
            case BuildFailure(cause):
                errors.append(f'error syncing WebhookReceiver "{spec.name}": {cause}')
    conditions = _failed(kind, errors) if errors else (_synced(kind),)
    return ReceiverStatus(tuple(entries), conditions)


def _synced(kind: str) -> Condition:
    return Condition("Ready", "True", "Synced", f"{kind} is synced and ready for use")


def _failed(kind: str, errors: list[str]) -> tuple[Condition, ...]:
    what = "WebhookReceivers" if kind == "ProjectConfig" else "webhook receivers"
    message = f"Failed to sync {what}: {aggregate(errors)}"
    return (
        Condition("Ready", "False", "SyncWebhookReceiversFailed", message),
        Condition("Reconciling", "True", "SyncingWebhooks", "Syncing WebhookReceivers"),
    )


def aggregate(errors: Sequence[str]) -> str:
    """Several errors in Kubernetes' format: one stands alone, equal texts count once."""
    texts = list(dict.fromkeys(errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

"""From a case to the objects that must exist for it: Kargo's YAML, and the contents of the lab's sources.

Every case gets names of its own (receiver, Secret, Warehouses, repositories), derived from its id, so that no
two cases can disturb one another and one run can configure all of them at once. What differs between
targets is only who applies the documents.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from kargo_lab.conformance.cases import Case, fill

API = "kargo.akuity.io/v1alpha1"
PROJECT, OTHER_PROJECT = "kargo-lab", "kargo-lab-other"
# Where the Secrets of cluster receivers lie: since 1.9, and up to 1.8.
CLUSTER_SECRETS = ("kargo-system-resources", "kargo-cluster-secrets")
SECRET_KEYS = {"artifactory": "secret-token", "gitlab": "secret-token", "harbor": "auth-header"}
_STRATEGY_REPOSITORY = re.compile(r"<(git|registry|charts)>/([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)")


@attrs.frozen(kw_only=True)
class Addresses:
    """Where the lab's own sources answer, as the target reaches them; inside a cluster these are not 127.0.0.1."""

    git: str  # http://host:port
    registry: str  # host:port
    charts: str  # http://host:port


# What `conformance manifests` writes unless told otherwise, so also what a target that never asks us was told.
USUAL_ADDRESSES = Addresses(git="http://127.0.0.1:3000", registry="127.0.0.1:5000", charts="http://127.0.0.1:8879")


@attrs.frozen(kw_only=True)
class Plan:
    """One case, made concrete for one run."""

    case: Case
    namespace: str
    secret: bytes = attrs.field(repr=False)
    receiver_type: str
    receiver_name: str
    scope: str
    warehouses: Mapping[str, str]  # short name -> namespace/name
    repositories: Mapping[str, tuple[tuple[str, str], ...]]  # short name -> (kind, path below the source)
    contents: tuple[tuple[str, str, Any], ...]  # (kind, path, contents), to be put into the lab's sources
    names: Mapping[str, Any] = attrs.field(repr=False)  # what <name> stands for in sends and expectations
    documents: tuple[Mapping[str, Any], ...] = attrs.field(repr=False)  # all but the ProjectConfig and ClusterConfig
    receiver: Mapping[str, Any] | None = None  # the element of spec.webhookReceivers

    def send(self, detail: Mapping[str, Any], path: str) -> dict[str, Any]:
        """A `send` with every name filled in."""
        filled: dict[str, Any] = fill(dict(detail), {**self.names, "path": path})
        return filled


def plan(case: Case, addresses: Addresses, seed: int, *, one_secret: bool = False) -> Plan:
    """Make one case concrete. The secret follows from seed and id alone, so that a rerun reproduces every byte.

    `one_secret`: it follows from the seed alone, for a target that has one for all its senders.
    """
    receiver = dict(case.receiver or {})
    kind, scope, namespace, secret = _standing(case, seed, one_secret)
    names: dict[str, Any] = {
        "git": f"{addresses.git}/{case.slug}",
        "registry": f"{addresses.registry}/{case.slug}",
        "charts": f"{addresses.charts}/{case.slug}",
        "git-host": addresses.git.partition("://")[2],
        "git-path": case.slug,
        "registry-host": addresses.registry,
        "registry-path": case.slug,
        "slug": case.slug,
        "namespace": namespace,
        "other-namespace": OTHER_PROJECT,
        "secret": secret.decode("latin-1"),
        "seed": seed,
    }
    for short in case.setup.get("warehouses", {}):
        names[f"warehouse-{short}"] = f"{case.slug}-{short}"
    if kind:
        names["hash"] = _hash("" if scope == "cluster" else namespace, case.slug, secret)
        names["formula"] = f"/{kind}/{names['hash']}"  # without the base path that a target may have
    warehouses, repositories, documents = _warehouses(case, namespace, names)
    entry = None
    if kind:
        key = SECRET_KEYS.get(kind, "secret")
        spaces = CLUSTER_SECRETS if scope == "cluster" else (namespace,)
        documents += [_secret_document(space, case.slug, key, secret) for space in spaces]
        settings = fill(dict(receiver.get("settings", {})), names)
        entry = {"name": case.slug, kind: {"secretRef": {"name": case.slug}, **settings}}
    for short, promotion in case.setup.get("promotions", {}).items():
        documents.append(
            {
                "apiVersion": API,
                "kind": "Promotion",
                "metadata": {
                    "namespace": OTHER_PROJECT if promotion.get("project") == "other" else namespace,
                    "name": f"{case.slug}-{short}",
                },
                **fill({key: value for key, value in promotion.items() if key != "project"}, names),
            }
        )
    return Plan(
        case=case,
        namespace=namespace,
        secret=secret,
        receiver_type=kind,
        receiver_name=case.slug,
        scope=scope,
        warehouses=warehouses,
        repositories=repositories,
        contents=_contents(case, repositories),
        names=names,
        documents=tuple(documents),
        receiver=entry,
    )


def _standing(case: Case, seed: int, one_secret: bool) -> tuple[str, str, str, bytes]:
    """Type, scope, namespace and secret of the case's receiver; the type is empty where it has none."""
    receiver = case.receiver or {}
    made = hashlib.sha256(f"{seed}/{'' if one_secret else case.id}".encode()).hexdigest()[:32]
    namespace = f"{PROJECT}-{case.slug}" if case.setup.get("alone") else PROJECT
    return receiver.get("type", ""), receiver.get("scope", "project"), namespace, receiver.get("secret", made).encode()


def private(case: Case, seed: int) -> tuple[bytes, ...]:
    """What of a case nobody else may read: its secret, and the part of the path that is as good as one."""
    found: list[bytes] = []
    for one_secret in (False, True):
        kind, scope, namespace, secret = _standing(case, seed, one_secret)
        found += [secret, _hash("" if scope == "cluster" else namespace, case.slug, secret).encode()] if kind else []
    return tuple(found)


def _secret_document(namespace: str, name: str, key: str, value: bytes) -> dict[str, Any]:
    data = {key: base64.b64encode(value).decode()}
    labels = {"kargo.akuity.io/cred-type": "generic"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "data": data,
    }


def _warehouses(
    case: Case, namespace: str, names: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, tuple[tuple[str, str], ...]], list[dict[str, Any]]]:
    keys: dict[str, str] = {}
    repositories: dict[str, tuple[tuple[str, str], ...]] = {}
    documents: list[dict[str, Any]] = []
    for short, given in case.setup.get("warehouses", {}).items():
        spec, labels, home = _spec(given)
        repositories[short] = tuple(
            (found[0], f"{case.slug}/{found[1].removesuffix('.git').rstrip('/')}".lower())
            for found in _STRATEGY_REPOSITORY.findall(str(spec))
        )
        spec.setdefault("interval", case.setup.get("interval", "24h"))
        spec = fill(spec, names)
        where = OTHER_PROJECT if home == "other" else namespace
        metadata: dict[str, Any] = {"namespace": where, "name": f"{case.slug}-{short}"}
        if labels:
            metadata["labels"] = fill(labels, names)
        documents.append({"apiVersion": API, "kind": "Warehouse", "metadata": metadata, "spec": spec})
        keys[short] = f"{where}/{case.slug}-{short}"
    return keys, repositories, documents


def _spec(given: Any) -> tuple[dict[str, Any], dict[str, str], str]:
    """A subscription, a list of them, or a spec; labels and the project may stand beside what is in it."""
    if isinstance(given, Sequence):
        return {"subscriptions": list(given)}, {}, ""
    if "subscriptions" not in given:
        extra = {key: given[key] for key in ("labels", "project") if key in given}
        return (
            {"subscriptions": [{key: value for key, value in given.items() if key not in extra}]},
            dict(extra.get("labels", {})),
            extra.get("project", ""),
        )
    spec = dict(given)
    return spec, dict(spec.pop("labels", {})), spec.pop("project", "")


_DEFAULT_CONTENTS: Mapping[str, Any] = {
    "git": [{"branch": "main", "files": {"README.md": "a repository of the suite"}}],
    "registry": ["0.0.1"],
    "charts": {"chart": ["0.0.1"]},
}
_SECTION = {"git": "commits", "registry": "images", "charts": "charts"}


def _branches(case: Case) -> list[dict[str, Any]]:
    """A commit for each branch that a subscription of the case names, for the same reason."""
    found: set[str] = set()
    for given in case.setup.get("warehouses", {}).values():
        for each in _spec(given)[0].get("subscriptions") or ():
            if isinstance(each, Mapping) and isinstance(each.get("git"), Mapping):
                found.add(str(each["git"].get("branch") or "main"))
    return [{"branch": name, "files": {"README.md": "a branch of the suite"}} for name in sorted(found - {"main"})]


def _contents(case: Case, repositories: Mapping[str, Iterable[tuple[str, str]]]) -> tuple[tuple[str, str, Any], ...]:
    """What the sources must hold: as the case says, and something harmless where it says nothing.

    A repository that does not exist would make discovery fail and try again, and so look like a refresh.
    """
    found: dict[tuple[str, str], Any] = {}
    usual = {**_DEFAULT_CONTENTS, "git": [*_DEFAULT_CONTENTS["git"], *_branches(case)]}
    for pairs in repositories.values():
        for kind, path in pairs:
            found.setdefault((kind, path), usual[kind])
    for kind, section in _SECTION.items():
        for path, contents in case.setup.get(section, {}).items():
            found[(kind, f"{case.slug}/{path}")] = contents
    return tuple((kind, path, contents) for (kind, path), contents in found.items())


def configurations(plans: Iterable[Plan]) -> list[dict[str, Any]]:
    """The Projects, ProjectConfigs and the ClusterConfig that hold every plan's receiver."""
    by_namespace: dict[str, list[Mapping[str, Any]]] = {}
    cluster: list[Mapping[str, Any]] = []
    for each in plans:
        by_namespace.setdefault(each.namespace, [])
        for key in each.warehouses.values():
            by_namespace.setdefault(key.partition("/")[0], [])
        if each.receiver is not None:
            (cluster if each.scope == "cluster" else by_namespace[each.namespace]).append(each.receiver)
    documents: list[dict[str, Any]] = []
    for namespace, receivers in sorted(by_namespace.items()):
        documents.append({"apiVersion": API, "kind": "Project", "metadata": {"name": namespace}})
        documents.append(
            {
                "apiVersion": API,
                "kind": "ProjectConfig",
                "metadata": {"namespace": namespace, "name": namespace},
                "spec": {"webhookReceivers": list(receivers)},
            }
        )
    if cluster:
        documents.append(
            {
                "apiVersion": API,
                "kind": "ClusterConfig",
                "metadata": {"name": "cluster"},
                "spec": {"webhookReceivers": cluster},
            }
        )
    return documents


def receiver_path(each: Plan, base_path: str = "") -> str:
    """Kargo's path formula, computed here on purpose and not by the lab's receivers."""
    project = "" if each.scope == "cluster" else each.namespace
    return f"{base_path.rstrip('/')}/{each.receiver_type}/{_hash(project, each.receiver_name, each.secret)}"


def _hash(project: str, name: str, secret: bytes) -> str:
    return hashlib.sha256(project.encode() + name.encode() + secret).hexdigest()

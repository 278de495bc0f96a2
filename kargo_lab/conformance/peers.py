"""What the suite's cases need of tools that are not Kargo, as those tools' own objects.

Flux splits in two what Kargo has in one: a Receiver says who may speak and which objects are then asked to look, and
those objects say where. So each case is a Receiver with its Secret, and an object for each subscription of its
Warehouses. An Argo CD has one address for everybody, and an Application for each repository. All of Flux's poll once a
day, so that what is seen during a run was caused by a delivery; how often Argo CD polls, its own configuration says.

Sources: fluxcd/notification-controller, api/v1/receiver_types.go (fields, types, GetWebhookPath) and
internal/server/receiver_handlers.go (validate: `events` is compared with the header); fluxcd/source-controller, api/v1
and config/crd/bases; argoproj/argo-cd, pkg/apis/application/v1alpha1/types.go.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kargo_lab.conformance.plans import PROJECT, Plan, configurations
from kargo_lab.errors import UsageError

Document = dict[str, Any]
Subscription = Mapping[str, Any]

INTERVAL = "24h"
FLUX_NOTIFICATION, FLUX_SOURCE = "notification.toolkit.fluxcd.io/v1", "source.toolkit.fluxcd.io/v1"
ARGO_CD = "argoproj.io/v1alpha1"

# Kargo's name of a platform -> Flux's, and the events that count there; without any, all do.
RECEIVERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "azure": ("acr", ()),
    "bitbucket": ("bitbucket", ("repo:push", "repo:refs_changed")),
    "dockerhub": ("dockerhub", ()),
    "generic": ("generic", ()),
    "github": ("github", ("push", "package", "registry_package")),
    "gitlab": ("gitlab", ("Push Hook", "Tag Push Hook")),
    "harbor": ("harbor", ()),
    "quay": ("quay", ()),
}


def _artifact(url: str) -> Document:
    # Any version will do, and its layer is kept as it is: an image of the suite is no archive of manifests.
    return {"url": url, "insecure": True, "ref": {"semver": ">=0.0.0-0"}, "layerSelector": {"operation": "copy"}}


def _git(given: Subscription) -> tuple[str, Document]:
    return "GitRepository", {"url": given["repoURL"], "ref": {"branch": given.get("branch", "main")}}


def _image(given: Subscription) -> tuple[str, Document]:
    return "OCIRepository", _artifact(f"oci://{given['repoURL']}")


def _chart(given: Subscription) -> tuple[str, Document]:
    url = given["repoURL"]
    return ("OCIRepository", _artifact(url)) if url.startswith("oci://") else ("HelmRepository", {"url": url})


_SOURCES: Mapping[str, Callable[[Subscription], tuple[str, Document]]] = {"git": _git, "image": _image, "chart": _chart}


def subscriptions(each: Plan) -> Iterator[tuple[str, str, Subscription]]:
    """A name of its own, the kind (git, image, chart) and the content of each subscription of a case."""
    for document in each.documents:
        if document["kind"] == "Warehouse":
            for number, entry in enumerate(document["spec"]["subscriptions"]):
                for kind, given in entry.items():
                    if kind in _SOURCES:
                        yield f"{document['metadata']['name']}-{number}", kind, given


def flux(plans: Sequence[Plan]) -> list[Document]:
    """Flux's objects for the cases. Raises UsageError for a platform that Flux has no Receiver for."""
    documents = _namespaces(each.namespace for each in plans)
    for each in plans:
        if each.receiver_type not in RECEIVERS:
            raise UsageError(
                f"Flux has no Receiver for {each.receiver_type or 'nothing'}, which {each.case.id} is about"
            )
        sources = [_source(each.namespace, *subscription) for subscription in subscriptions(each)]
        documents += [_token(each), *sources, _receiver(each, sources)]
    return documents


def _namespaces(names: Iterable[str]) -> list[Document]:
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(set(names))]


def _token(each: Plan) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": each.namespace, "name": each.receiver_name},
        "data": {"token": base64.b64encode(each.secret).decode()},
    }


def _source(namespace: str, name: str, kind: str, given: Subscription) -> Document:
    source, spec = _SOURCES[kind](given)
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": FLUX_SOURCE, "kind": source, "metadata": metadata, "spec": {"interval": INTERVAL, **spec}}


def _receiver(each: Plan, sources: Sequence[Document]) -> Document:
    kind, events = RECEIVERS[each.receiver_type]
    spec: Document = {"type": kind, "interval": INTERVAL, "secretRef": {"name": each.receiver_name}}
    if events:
        spec["events"] = list(events)
    spec["resources"] = [
        {"apiVersion": source["apiVersion"], "kind": source["kind"], "name": source["metadata"]["name"]}
        for source in sources
    ]
    metadata = {"namespace": each.namespace, "name": each.receiver_name}
    return {"apiVersion": FLUX_NOTIFICATION, "kind": "Receiver", "metadata": metadata, "spec": spec}


def argo_cd(plans: Sequence[Plan]) -> list[Document]:
    """An Application for each Git repository of the cases, and the one secret, all in Argo CD's usual namespace.

    The secret is not written into `argocd-secret`, which whoever deletes these documents again would lose; a line
    there, `webhook.github.secret: $kargo-lab:secret`, points here. Raises UsageError if the cases do not share one.
    """
    secrets = {each.secret for each in plans}
    if len(secrets) != 1:
        raise UsageError("Argo CD has one secret for all senders; its target file needs `features: [one-secret]`")
    labels = {"app.kubernetes.io/part-of": "argocd"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "argocd", "name": "kargo-lab", "labels": labels},
        "data": {"secret": base64.b64encode(secrets.pop()).decode()},
    }
    return [secret, *(_application(*each) for plan in plans for each in subscriptions(plan) if each[1] == "git")]


def _application(name: str, _kind: str, given: Subscription) -> Document:
    spec = {
        "project": "default",
        "source": {"repoURL": given["repoURL"], "targetRevision": given.get("branch", "main"), "path": "."},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": PROJECT},
    }
    return {
        "apiVersion": ARGO_CD,
        "kind": "Application",
        "metadata": {"namespace": "argocd", "name": name},
        "spec": spec,
    }


def kargo(plans: Sequence[Plan]) -> list[Document]:
    """Kargo's own objects: what the cases are written in."""
    return [*configurations(plans), *(dict(document) for each in plans for document in each.documents)]


OBJECTS: Mapping[str, Callable[[Sequence[Plan]], list[Document]]] = {"kargo": kargo, "flux": flux, "argo-cd": argo_cd}

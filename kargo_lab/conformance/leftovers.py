"""What the `kubernetes` target made in a cluster: knowing it again by its label, and taking it away.

Nothing without the label of a run is ever deleted, and of a ClusterConfig that is not ours only the receivers
that an annotation names as lent to it. So a run that was cut off can be cleaned up after, by anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from kargo_lab.conformance.cluster import Cluster, ClusterError

RUN = "kargo-lab/run"  # the label by which we know what is ours, and of which run
# Annotations on a ClusterConfig that is not ours: which receivers in it are, and of which run.
BORROWED, BORROWER = "kargo-lab/receivers", "kargo-lab/borrowed-by"
CLUSTER = "cluster"  # the name of the one ClusterConfig
_LOOK_SECONDS = 0.25


@attrs.frozen
class Thing:
    """Something outside a namespace of ours, and so to be taken away by itself; or our part of a ClusterConfig."""

    kind: str
    namespace: str
    name: str
    run: str
    borrowed: bool = False

    @property
    def title(self) -> str:
        """As a person would say it."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{where} (receivers in it)" if self.borrowed else where


# A Project goes first: its finalizer takes its own namespace away, and a namespace takes its contents.
_ORDER: Mapping[str, int] = {"Project": 0, "Namespace": 1, "ClusterConfig": 2, "Secret": 3}


def labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, which may have none."""
    return document.get("metadata", {}).get("labels") or {}


def find(cluster: Cluster, secrets_namespace: str, run: str | None = None) -> list[Thing]:
    """What runs of the suite have left behind, or one of them."""
    found = [
        Thing(kind, space, each["metadata"]["name"], labels(each)[RUN])
        for kind, space in (("Project", ""), ("Namespace", ""), ("ClusterConfig", ""), ("Secret", secrets_namespace))
        for each in cluster.items(kind, space, label=RUN)
    ]
    annotations = _annotations(cluster.get("ClusterConfig", CLUSTER) or {})
    if BORROWED in annotations:
        found.append(Thing("ClusterConfig", "", CLUSTER, annotations.get(BORROWER, ""), borrowed=True))
    return [each for each in found if run in (None, each.run)]


def remove(cluster: Cluster, things: Iterable[Thing], *, seconds: float) -> list[str]:
    """Take away those of the things that still bear their run's mark, and wait; a sentence for each that stays.

    A thing that lost its label, or bears another run's, is somebody else's now.
    """
    said: list[str] = []
    waited: list[Thing] = []
    for each in sorted(set(things), key=lambda thing: (_ORDER[thing.kind], thing.title)):
        try:
            if each.borrowed:
                _give_back(cluster, each.run)
                continue
            there = cluster.get(each.kind, each.name, each.namespace)
            if there is None or labels(there).get(RUN) != each.run:
                continue
            cluster.delete(each.kind, each.name, each.namespace)
            if each.kind in ("Project", "Namespace"):
                waited.append(each)
        except ClusterError as error:
            said.append(str(error))
    until = time.monotonic() + seconds
    while waited and time.monotonic() < until:
        try:
            waited = [each for each in waited if cluster.get(each.kind, each.name) is not None]
        except ClusterError as error:
            return [*said, str(error)]
        time.sleep(_LOOK_SECONDS if waited else 0)
    return [*said, *(f"{each.kind} {each.name} is still being deleted" for each in waited)]


def _annotations(document: Mapping[str, Any]) -> Mapping[str, str]:
    return document.get("metadata", {}).get("annotations") or {}


def _give_back(cluster: Cluster, run: str) -> None:
    """Take our receivers out of a ClusterConfig that is not ours."""
    found = cluster.get("ClusterConfig", CLUSTER) or {}
    annotations = _annotations(found)
    if BORROWED not in annotations or annotations.get(BORROWER, "") != run:
        return
    names = set(annotations[BORROWED].split(","))
    theirs = [each for each in found.get("spec", {}).get("webhookReceivers", ()) if each["name"] not in names]
    version = found["metadata"].get("resourceVersion")  # somebody may change it at the same time: then 409, and said
    change = {"resourceVersion": version, "annotations": {BORROWED: None, BORROWER: None}}
    cluster.patch("ClusterConfig", CLUSTER, {"metadata": change, "spec": {"webhookReceivers": theirs}})

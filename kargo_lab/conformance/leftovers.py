"""What the `kubernetes` target made in a cluster: knowing it again by its label, and taking it away.

Nothing without the label of a run is ever deleted, and of a ClusterConfig that is not ours only the receivers
that an annotation names as lent to it. So a run that was cut off can be cleaned up after, by anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from kargo_lab.conformance.cluster import Cluster, ClusterError

RUN = "kargo-lab/run"  # the label by which we know what is ours, and of which run
BORROWED = "kargo-lab/receivers"  # an annotation on a ClusterConfig that is not ours: which receivers in it are
CLUSTER = "cluster"  # the name of the one ClusterConfig
_LOOK_SECONDS = 0.25


def labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, which may have none."""
    return document.get("metadata", {}).get("labels") or {}


def leftovers(cluster: Cluster, secrets_namespace: str) -> list[tuple[str, str, str, str]]:
    """What runs of the suite have left behind, by their label: kind, namespace, name and run."""
    found = [
        (kind, space, each["metadata"]["name"], labels(each)[RUN])
        for kind, space in (("Project", ""), ("Namespace", ""), ("ClusterConfig", ""), ("Secret", secrets_namespace))
        for each in cluster.items(kind, space, label=RUN)
    ]
    config = cluster.get("ClusterConfig", CLUSTER)
    if config is not None and BORROWED in (config["metadata"].get("annotations") or {}):
        found.append(("ClusterConfig", "", f"{CLUSTER} (borrowed)", ""))
    return found


def remove(
    cluster: Cluster, things: Iterable[tuple[str, str, str]], run: str, *, lent: bool, seconds: float
) -> list[str]:
    """Delete those of the things that carry the run's label, and wait; a sentence for each that stays.

    A thing that lost its label, or bears another run's, is somebody else's now. Receivers that
    were lent to a ClusterConfig are taken out of it by the annotation that names them.
    """
    said: list[str] = []
    waited: list[tuple[str, str]] = []
    try:
        if lent:
            _give_back(cluster)
    except ClusterError as error:
        said.append(str(error))
    for kind, namespace, name in sorted(set(things), key=lambda thing: (_ORDER.get(thing[0], 0), thing)):
        try:
            there = cluster.get(kind, name, namespace)
            if there is None or labels(there).get(RUN) != run:
                continue
            cluster.delete(kind, name, namespace)
            if kind in ("Project", "Namespace"):
                waited.append((kind, name))
        except ClusterError as error:
            said.append(str(error))
    until = time.monotonic() + seconds
    while waited and time.monotonic() < until:
        try:
            waited = [(kind, name) for kind, name in waited if cluster.get(kind, name) is not None]
        except ClusterError as error:
            return [*said, str(error)]
        time.sleep(_LOOK_SECONDS if waited else 0)
    return [*said, *(f"{kind} {name} is still being deleted" for kind, name in waited)]


# A Project goes first: its finalizer takes its own namespace away, and a namespace takes its contents.
_ORDER: Mapping[str, int] = {"Project": 0, "Namespace": 1, "ClusterConfig": 2, "Secret": 3}


def _give_back(cluster: Cluster) -> None:
    """Take our receivers out of a ClusterConfig that is not ours."""
    found = cluster.get("ClusterConfig", CLUSTER)
    lent = ((found or {}).get("metadata", {}).get("annotations") or {}).get(BORROWED)
    if found is None or lent is None:
        return
    names = set(lent.split(","))
    theirs = [each for each in found.get("spec", {}).get("webhookReceivers", ()) if each["name"] not in names]
    cluster.patch(
        "ClusterConfig",
        CLUSTER,
        {
            "metadata": {
                "resourceVersion": found["metadata"].get("resourceVersion"),
                "annotations": {BORROWED: None},
            },
            "spec": {"webhookReceivers": theirs},
        },
    )

"""A real Kargo on a cluster: configured by its own objects, judged by its answers, calls, status and annotations.

What it makes it can also take away: each of its namespaces, Projects, Secrets and its ClusterConfig carries a
label that names the run, and nothing without that label is ever deleted. All objects are rehearsed first
(server-side dry run). An object can be rehearsed only in a namespace that is there, and Kargo takes a Warehouse only
in one that is labelled as a Project's (pkg/server/validation/project.go), so our own empty namespaces are
the one thing that is written before all else was rehearsed. Kargo adopts them when the Project
comes (pkg/webhook/kubernetes/project/webhook.go, ensureNamespace), and they bear our label from their first moment.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kargo_lab.conformance.cluster import KARGO, Cluster, ClusterError
from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.leftovers import BORROWED, BORROWER, CLUSTER, RUN, Thing, labels, remove
from kargo_lab.conformance.plans import CLUSTER_SECRETS, OTHER_PROJECT, Plan, configurations, receiver_path
from kargo_lab.conformance.requests import Request
from kargo_lab.conformance.targets.url import TargetFile, Url
from kargo_lab.errors import LabError, UnfitError, UsageError

if TYPE_CHECKING:
    from kargo_lab.conformance.world import World

log = logging.getLogger(__name__)

REFRESH = f"{KARGO}/refresh"
_PROJECT = f"{KARGO}/project"
_HANDS = 8  # requests at one time
_LOOK_SECONDS = 0.25
_LIST_SECONDS = 2.0  # thousands of Warehouses with their status are work for everybody
_FEW = 12  # Warehouses that are asked for one by one; more are listed


class Kubernetes:
    """The target of a file with `kind: kubernetes`."""

    offers = frozenset({"answer", "calls", "state"})

    def __init__(self, file: TargetFile, profile: str, *, run: str = "") -> None:
        if file.cluster is None:
            raise UsageError("a target of the kind kubernetes needs a section `kubernetes:` with its `context:`")
        self.file, self.profile, self.name, self.settings = file, profile, file.name, file.cluster
        self.features = file.features | {"secrets-change"}
        self.settle_seconds = file.settle_seconds
        self.run = run or secrets.token_hex(4)
        self._url = Url(file, profile)
        self._cluster: Cluster | None = None
        self._unfit: dict[str, str] = {}  # case id -> why the cluster does not take its objects
        self._entries: dict[tuple[str, str], dict[str, str]] = {}
        self._borrows = False
        self._mine: list[Thing] = []  # what was made outside our namespaces, or lent

    @property
    def cluster(self) -> Cluster:
        """The API server, connected at the first use."""
        if self._cluster is None:
            self._cluster = Cluster.connect(
                kubeconfig=self.settings.kubeconfig,
                context=self.settings.context,
                timeout_seconds=self.settings.timeout_seconds,
            )
        return self._cluster

    def looks_at(self, plan: Plan) -> bool:
        """All repositories: Kargo discovers whatever a Warehouse subscribes to."""
        del plan
        return True

    # Setting up

    def open(self, plans: Sequence[Plan], world: World) -> None:
        """Look, rehearse, and only then write; return when all is in force and first discoveries are over."""
        del world  # its addresses are in the plans already
        cluster = self.cluster
        cluster.version()
        for kind in ("Project", "ProjectConfig", "Warehouse"):
            if not cluster.serves(kind):
                raise UsageError(
                    f"the cluster of context {cluster.context} knows no {kind} of {KARGO}/v1alpha1: is Kargo installed?"
                )
        self._look_around(plans)
        names = sorted(_namespaces(plans))
        for name in names:
            self.cluster.create(self._namespace(name), rehearse=True)
        for name in names:
            self._make(self._namespace(name))
        self._rehearse(plans)
        fit = [each for each in plans if each.case.id not in self._unfit]
        self._write(fit)
        self._await_receivers(fit)
        if late := self._settle(fit, self.settings.setup_seconds):
            log.warning(
                "%d Warehouses have not finished their first discovery within %g s (setup-seconds); the run goes on",
                late,
                self.settings.setup_seconds,
            )

    def _look_around(self, plans: Sequence[Plan]) -> None:
        """Refuse what would touch somebody else's, before anything is written or even rehearsed."""
        for name in sorted(_namespaces(plans)):
            for kind in ("Namespace", "Project"):
                if (there := self.cluster.get(kind, name)) is not None:
                    owner = labels(there).get(RUN)
                    raise UsageError(
                        f"{kind} {name} is there already, and not ours: the suite will not touch it"
                        if owner is None
                        else f"{kind} {name} is left over from run {owner}, or that run still goes on; "
                        "`kargo-lab conformance leftovers` shows what there is, and takes it away if you say --delete"
                    )
        found = self.cluster.get("ClusterConfig", CLUSTER)
        self._borrows = found is not None
        if found is not None and not self.settings.borrow_cluster_config:
            for each in plans:
                if each.receiver is not None and each.scope == "cluster":
                    self._unfit[each.case.id] = (
                        "the cluster has a ClusterConfig that is not ours; `cluster-config: borrow` in the target "
                        "file would let the suite add its receivers to it and take them out again"
                    )

    def _rehearse(self, plans: Sequence[Plan]) -> None:
        """Let the API server judge every object without keeping it; a misfit costs its case, anything else the run."""
        for document in configurations([each for each in plans if each.case.id not in self._unfit]):
            if document["kind"] == "Project":
                self.cluster.create(self._labelled(document), rehearse=True)

        def judge(each: Plan) -> None:
            if each.case.id in self._unfit:
                return
            parts = [self._home(document) for document in each.documents]
            if each.receiver is not None:
                parts += [one for one in configurations([each]) if one["kind"] in ("ProjectConfig", "ClusterConfig")]
            for document in parts:
                if document is not None and document.get("spec") != {"webhookReceivers": []}:
                    try:
                        self._rehearse_one(document)
                    except ClusterError as error:
                        if not error.of_the_object:
                            raise
                        self._unfit[each.case.id] = f"the cluster does not take what the case sets up: {error}"
                        return

        self._all(judge, plans)
        for document in configurations([each for each in plans if each.case.id not in self._unfit]):
            if document["kind"] != "Project":  # as they will be written, with every receiver in them
                self._rehearse_one(document)

    def _rehearse_one(self, document: Mapping[str, Any]) -> None:
        if document["kind"] == "ClusterConfig" and self._borrows:
            self.cluster.patch("ClusterConfig", CLUSTER, {"spec": document["spec"]}, rehearse=True)
            return
        self.cluster.create(document, rehearse=True)

    def _write(self, plans: Sequence[Plan]) -> None:
        configs = configurations(plans)
        for document in configs:
            if document["kind"] == "Project":
                self._make(self._labelled(document))
        documents = [self._home(document) for each in plans for document in each.documents]
        order = ("Secret", "Warehouse", "Promotion")
        for kind in order:
            self._all(self._place, [each for each in documents if each is not None and each["kind"] == kind])
        for document in configs:
            if document["kind"] == "ProjectConfig":
                self.cluster.create(document)
            elif document["kind"] == "ClusterConfig" and self._borrows:
                self._borrow(document["spec"]["webhookReceivers"])
            elif document["kind"] == "ClusterConfig":
                self._make(self._labelled(document))

    def _place(self, document: Mapping[str, Any]) -> None:
        """Create one namespaced object; a state that it should have already is written after it."""
        if document["kind"] == "Secret" and document["metadata"]["namespace"] == self.settings.secrets_namespace:
            self._make(document)
        else:
            self.cluster.create({key: value for key, value in document.items() if key != "status"})
        if status := document.get("status"):
            metadata = document["metadata"]
            self.cluster.patch(
                document["kind"], metadata["name"], {"status": status}, namespace=metadata["namespace"], part="status"
            )

    def _make(self, document: Mapping[str, Any]) -> None:
        """Create something that lies outside our namespaces, and remember it before that: an answer may get lost."""
        metadata = document["metadata"]
        self._mine.append(Thing(document["kind"], metadata.get("namespace", ""), metadata["name"], self.run))
        self.cluster.create(document)

    def _home(self, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The document as it is written here: a cluster's Secret once only, in the namespace that is configured."""
        namespace = document["metadata"].get("namespace")
        if namespace not in CLUSTER_SECRETS:
            return document
        if namespace != CLUSTER_SECRETS[0]:
            return None
        home = {**document["metadata"], "namespace": self.settings.secrets_namespace}
        return self._labelled({**document, "metadata": home})

    def _labelled(self, document: Mapping[str, Any]) -> dict[str, Any]:
        metadata = document["metadata"]
        return {**document, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), RUN: self.run}}}

    def _namespace(self, name: str) -> dict[str, Any]:
        labels = {_PROJECT: "true", RUN: self.run}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

    def _borrow(self, receivers: Sequence[Mapping[str, Any]]) -> None:
        """Add receivers to a ClusterConfig that is not ours, and note on it which they are."""
        found = self.cluster.get("ClusterConfig", CLUSTER) or {}
        theirs = found.get("spec", {}).get("webhookReceivers", [])
        self._mine.append(Thing("ClusterConfig", "", CLUSTER, self.run, borrowed=True))
        self.cluster.patch(
            "ClusterConfig",
            CLUSTER,
            {
                "metadata": {
                    "resourceVersion": found.get("metadata", {}).get("resourceVersion"),
                    "annotations": {BORROWED: ",".join(each["name"] for each in receivers), BORROWER: self.run},
                },
                "spec": {"webhookReceivers": [*theirs, *receivers]},
            },
        )

    def _all(self, act: Callable[[Any], None], things: Iterable[Any]) -> None:
        with ThreadPoolExecutor(_HANDS, thread_name_prefix="kubernetes") as pool:
            for future in [pool.submit(act, thing) for thing in things]:
                future.result()

    # Seeing

    def _await_receivers(self, plans: Sequence[Plan]) -> None:
        """Until every configuration was synced, well or badly: its status then names the receivers' paths."""
        until = time.monotonic() + self.settings.setup_seconds
        homes = {_config(each) for each in plans if each.receiver is not None}
        while homes:
            for kind, name in sorted(homes):
                found = self.cluster.get(kind, name, name if kind == "ProjectConfig" else "") or {}
                if _synced(found):
                    homes.discard((kind, name))
                    self._note(kind, name, found)
            if homes and time.monotonic() > until:
                raise LabError(
                    f"{', '.join(sorted(' '.join(each) for each in homes))}: not synced within "
                    f"{self.settings.setup_seconds:g} s; is Kargo's management controller running?"
                )
            time.sleep(_LOOK_SECONDS if homes else 0)

    def _note(self, kind: str, name: str, found: Mapping[str, Any]) -> None:
        home = "" if kind == "ClusterConfig" else name
        for entry in found.get("status", {}).get("webhookReceivers", ()):
            self._entries[(home, entry.get("name", ""))] = {"path": entry["path"], "url": entry.get("url", "")}

    def path(self, plan: Plan) -> str:
        """As the status has it, below the URL's own path; the formula's where it has none. Raises UnfitError."""
        if (sentence := self._unfit.get(plan.case.id)) is not None:
            raise UnfitError(sentence)
        entry = self._entry(plan)
        return self._url.below(entry["path"]) if entry else receiver_path(plan, self._url.below(""))

    def _entry(self, plan: Plan) -> dict[str, str] | None:
        return self._entries.get(("" if plan.scope == "cluster" else plan.namespace, plan.receiver_name))

    def exchange(self, request: Request) -> Exchange:
        """One delivery, on a connection of its own."""
        return self._url.exchange(request)

    def state(self, plan: Plan) -> Mapping[str, Any]:
        """What annotations and status say of the case's objects. Raises UnfitError for a case that was not taken."""
        if (sentence := self._unfit.get(plan.case.id)) is not None:
            raise UnfitError(sentence)
        found: dict[str, Any] = {"refresh": {}, "discovered": {}, "freight": {}, "conditions": {}}
        for short, key in plan.warehouses.items():
            namespace, _, name = key.partition("/")
            warehouse = self.cluster.get("Warehouse", name, namespace) or {}
            status = warehouse.get("status", {})
            found["refresh"][short] = _token(warehouse)
            found["discovered"][short] = references(status.get("discoveredArtifacts") or {})
            found["conditions"][short] = {
                each["type"]: [each["status"], each["reason"]] for each in status.get("conditions", ())
            }
        if any("freight" in step.expect for step in plan.case.steps):
            found["freight"] = self._freight(plan)
        found["promotions"] = {
            short: _token(self.cluster.get("Promotion", f"{plan.case.slug}-{short}", _promotion_home(plan, each)) or {})
            for short, each in plan.case.setup.get("promotions", {}).items()
        }
        found["receiver"] = self._entry(plan)
        return found

    def _freight(self, plan: Plan) -> dict[str, int]:
        origins = [
            f"{namespace}/{each.get('origin', {}).get('name')}"
            for namespace in {key.partition("/")[0] for key in plan.warehouses.values()}
            for each in self.cluster.items("Freight", namespace)
        ]
        return {short: origins.count(key) for short, key in plan.warehouses.items()}

    def change(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """Rotate or remove the case's Secret, or let the status follow."""
        for what, value in detail.items():
            if what in ("secret", "secret-data"):
                space = self.settings.secrets_namespace if plan.scope == "cluster" else plan.namespace
                self.cluster.delete("Secret", plan.case.slug, space)
                if value is not None:
                    metadata = {"namespace": space, "name": plan.case.slug, "labels": {f"{KARGO}/cred-type": "generic"}}
                    given = {"secret": value} if what == "secret" else {key: str(text) for key, text in value.items()}
                    document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": given}
                    self.cluster.create(self._labelled(document))
            elif what == "resync":
                self._resync(plan)
            else:
                raise LabError(f"a kubernetes target cannot change {what!r}; it knows secret, secret-data, resync")

    def _resync(self, plan: Plan) -> None:
        """Ask the configuration to be synced again by its own refresh annotation, and wait until it was."""
        kind, name = _config(plan)
        space = name if kind == "ProjectConfig" else ""
        token = f"kargo-lab-{secrets.token_hex(4)}"
        self.cluster.patch(kind, name, {"metadata": {"annotations": {REFRESH: token}}}, namespace=space)
        until = time.monotonic() + self.settings.setup_seconds
        while time.monotonic() < until:
            found = self.cluster.get(kind, name, space) or {}
            if found.get("status", {}).get("lastHandledRefresh") == token and _synced(found):
                for key in [key for key in self._entries if key[0] == space]:
                    del self._entries[key]
                self._note(kind, name, found)
                return
            time.sleep(_LOOK_SECONDS)
        raise LabError(f"{kind} {name}: not synced again within {self.settings.setup_seconds:g} s")

    def pause(self) -> None:
        """Until the second has changed: Kargo's tokens have whole seconds."""
        self._url.pause()

    def settle(self, plans: Sequence[Plan]) -> None:
        """Until every Warehouse of these cases has handled its last refresh and is not at work."""
        self._settle(plans, self.settle_seconds)

    def _settle(self, plans: Sequence[Plan], seconds: float) -> int:
        """Wait, but no longer than that; how many Warehouses are still at work then."""
        until = time.monotonic() + seconds
        waiting = {key for each in plans if each.case.id not in self._unfit for key in each.warehouses.values()}
        while waiting:
            waiting -= {key for key, each in self._warehouses(waiting) if quiet(each)}
            if not waiting or time.monotonic() > until:
                break
            time.sleep(_LOOK_SECONDS if len(waiting) <= _FEW else _LIST_SECONDS)
        return len(waiting)

    def _warehouses(self, keys: set[str]) -> Iterable[tuple[str, Mapping[str, Any]]]:
        if len(keys) <= _FEW:
            for key in keys:
                namespace, _, name = key.partition("/")
                yield key, self.cluster.get("Warehouse", name, namespace) or {}
            return
        for namespace in sorted({key.partition("/")[0] for key in keys}):
            for each in self.cluster.items("Warehouse", namespace):
                if (key := f"{namespace}/{each['metadata']['name']}") in keys:
                    yield key, each

    # Cleaning up

    def close(self) -> None:
        """Take away what this run made, and wait until it is gone; what cannot be taken away is said in the log."""
        if self._cluster is None:
            return
        try:
            left = remove(self._cluster, self._mine, seconds=self.settings.setup_seconds)
            for sentence in left:
                log.warning("left behind: %s", sentence)
        finally:
            self._cluster.close()
            self._cluster = None


def _namespaces(plans: Iterable[Plan]) -> set[str]:
    spaces: set[str] = set()
    for each in plans:
        spaces |= {each.namespace, *(key.partition("/")[0] for key in each.warehouses.values())}
    return spaces


def _config(plan: Plan) -> tuple[str, str]:
    """Kind and name of what holds the case's receiver."""
    return ("ClusterConfig", CLUSTER) if plan.scope == "cluster" else ("ProjectConfig", plan.namespace)


def _promotion_home(plan: Plan, promotion: Mapping[str, Any]) -> str:
    return OTHER_PROJECT if promotion.get("project") == "other" else plan.namespace


def _token(document: Mapping[str, Any]) -> str:
    annotations = document.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(REFRESH, ""))


def _condition(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = document.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == kind), {})


def _synced(document: Mapping[str, Any]) -> bool:
    """Whether a configuration's receivers are in force; Ready is False with another reason while they are synced."""
    ready = _condition(document, "Ready")
    seen = ready.get("observedGeneration") == document.get("metadata", {}).get("generation")
    return seen and (ready.get("status") == "True" or str(ready.get("reason", "")).endswith("Failed"))


def quiet(document: Mapping[str, Any]) -> bool:
    """Whether a Warehouse has handled its last refresh and is not at work, well or badly."""
    status = document.get("status", {})
    handled = _token(document) == status.get("lastHandledRefresh", "")
    failed = str(_condition(document, "Ready").get("reason", "")).endswith("Failure")
    idle = failed or _condition(document, "Reconciling").get("status") != "True"
    return handled and idle and bool(status.get("conditions"))


def references(found: Mapping[str, Any]) -> list[str]:
    """What was discovered, best first, as a case writes it: tags, commit subjects or tags, chart versions."""
    commits = [
        each.get("tag") or each.get("subject", "") for git in found.get("git", ()) for each in git.get("commits", ())
    ]
    images = [each["tag"] for image in found.get("images", ()) for each in image.get("references", ())]
    charts = [version for chart in found.get("charts", ()) for version in chart.get("versions", ())]
    return commits + images + charts

"""The lab's own reference implementation as a target: in process on a virtual clock, or as a server on the wall clock.

In process nothing is waited for: time moves when a case says so. As a server the deliveries go over a
socket and the engine's workers do what they would do for anybody.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from kargo_lab import profiles
from kargo_lab.conformance.exchange import Exchange, over_http, over_wsgi
from kargo_lab.conformance.plans import CLUSTER_SECRETS, OTHER_PROJECT, Plan, configurations, receiver_path
from kargo_lab.conformance.requests import Request
from kargo_lab.engine.clock import VirtualClock, WallClock
from kargo_lab.engine.discovery import NETWORK, Discover
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import LabError, UsageError
from kargo_lab.profiles import Profile
from kargo_lab.resources import loading
from kargo_lab.resources.artifacts import ChartDiscovery, CommitDiscovery, DiscoveredArtifacts, ImageDiscovery
from kargo_lab.resources.configuration import Secret
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook
from kargo_lab.sources.shared import OperatorSettings

if TYPE_CHECKING:
    from kargo_lab.conformance.world import World

STATE, CALLS, ANSWER = "state", "calls", "answer"
FEATURES = frozenset({"secrets-change", "time", "promotions", "outside-addresses"})
_LOOKED_AT = ("discovered", "freight", "requests", "condition")
_SETTLE_SECONDS = 20.0
_PASSES_AT_ONCE = 4  # as many as Kargo's own workers; what they wait for are other processes and sockets
_VIRTUAL_SETTLE_SECONDS = 30.0  # far below the day that is the interval of the cases' Warehouses
_NOTHING: Mapping[str, Discover] = {
    "git": lambda sub, _context: CommitDiscovery(repo_url=sub.repo_url),
    "image": lambda sub, _context: ImageDiscovery(repo_url=sub.repo_url),
    "chart": lambda sub, _context: ChartDiscovery(repo_url=sub.repo_url),
}


class Reference:
    """The reference implementation, configured by the lab and open to every way of seeing.

    `served` puts it behind a socket. `application` may wrap the webhook endpoint and `lab` replace the
    implementation, `row` its switches: that is how receivers that are wrong on purpose are made.
    """

    offers = frozenset({ANSWER, CALLS, STATE})

    def __init__(
        self,
        profile: str = "latest",
        *,
        served: bool = False,
        application: Callable[[Webhook], Any] = lambda webhook: webhook,
        lab: Callable[..., Lab] = Lab,
        row: Profile | None = None,
    ) -> None:
        self.name = "reference" if served else "reference-in-process"
        self.profile, self.settle_seconds = profile, _SETTLE_SECONDS
        self._row = row or profiles.get(profile)
        self._served, self._wrap, self._lab_class = served, application, lab
        # On the wall clock nobody can let an hour pass.
        self.features = FEATURES - {"time"} if served else FEATURES
        self._watched: set[str] = set()
        self._lock = threading.RLock()
        self._lab: Lab | None = None
        self._server: Server | None = None

    @property
    def lab(self) -> Lab:
        """The implementation itself; only after `open`."""
        if self._lab is None:
            raise UsageError("the target is not open yet")
        return self._lab

    def looks_at(self, plan: Plan) -> bool:
        """Only where the case looks at discovery: the refresh token tells the rest."""
        return _looks(plan)

    def open(self, plans: Sequence[Plan], world: World) -> None:
        """Apply every plan's objects at once and run the first discoveries of those that a case looks at."""
        del world  # its addresses are in the plans already
        self._watched = {key for each in plans if _looks(each) for key in each.warehouses.values()}
        documents = [*configurations(plans), *(document for each in plans for document in each.documents)]
        profile = self._row
        self._lab = self._lab_class(
            profile=profile,
            clock=WallClock() if self._served else VirtualClock(),
            settings=OperatorSettings(registry_rate_limit=10_000.0),
            sources={kind: self._source(kind) for kind in NETWORK},
            seed=7,
            at_once=_PASSES_AT_ONCE,
        )
        self._application = self._wrap(Webhook(self._lab))
        base_url = "http://127.0.0.1:8080"
        if self._served:
            self._server = Server(self._application).start()
            base_url = self._server.url
        self._lab.resync(base_url=base_url)
        # Through JSON, so that no two objects share a part of a case.
        plain = json.loads(json.dumps(documents))
        self._lab.apply(loading.loads_plain(plain, profile=profile, name="the plans"))
        if self._served:
            self._lab.start()
        self.settle(plans)

    def _source(self, kind: str) -> Discover:
        """The network for Warehouses whose discovery a case looks at; the others find nothing, at no cost."""

        def discover(subscription: Any, context: Any) -> Any:
            return (NETWORK if context.warehouse in self._watched else _NOTHING)[kind](subscription, context)

        return discover

    def path(self, plan: Plan) -> str:
        """As the implementation's own status has it; the formula's where it publishes none."""
        entry = self._entry(plan)
        return entry["path"] if entry else receiver_path(plan)

    def _entry(self, plan: Plan) -> dict[str, str] | None:
        namespace = "" if plan.scope == "cluster" else plan.namespace
        for config in self.lab.objects.configs:
            if getattr(config, "namespace", "") == namespace:
                for entry in self.lab.objects.receiver_entries(config):
                    if entry.name == plan.receiver_name:
                        return {"path": entry.path, "url": entry.url}
        return None

    def exchange(self, request: Request) -> Exchange:
        """Over the socket if there is one."""
        if self._server is not None:
            return over_http(self._server.url, request, timeout_seconds=10.0)
        return over_wsgi(self._application, request)

    def state(self, plan: Plan) -> Mapping[str, Any]:
        """What the store says of the case's objects."""
        store = self.lab.store
        found: dict[str, Any] = {"refresh": {}, "discovered": {}, "freight": {}, "conditions": {}}
        for short, key in plan.warehouses.items():
            record = store.warehouse(key)
            if record is None:
                continue
            found["refresh"][short] = record.refresh or ""
            found["discovered"][short] = references(record.status.discovered)
            namespace, _, name = key.partition("/")
            found["freight"][short] = len(store.freight(namespace, origin=name))
            found["conditions"][short] = {each.type: [each.status, each.reason] for each in record.status.conditions}
        tokens = self.lab.objects.refreshed_promotions()
        found["promotions"] = {
            short: tokens.get(f"{_home(plan, promotion)}/{plan.case.slug}-{short}", {}).get("token", "")
            for short, promotion in plan.case.setup.get("promotions", {}).items()
        }
        found["receiver"] = self._entry(plan)
        return found

    def change(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """Rotate or remove the case's Secret, let the status follow, or let time pass."""
        with self._lock:
            for what, value in detail.items():
                if what in ("secret", "secret-data"):
                    self._change_secret(plan, what, value)
                elif what == "resync":
                    self.lab.resync()
                elif what == "poll":
                    self._let_pass(float(value["seconds"]))
                else:
                    raise LabError(f"the reference cannot change {what!r}; it knows secret, secret-data, resync, poll")

    def _change_secret(self, plan: Plan, what: str, value: Any) -> None:
        spaces = CLUSTER_SECRETS if plan.scope == "cluster" else (plan.namespace,)
        others = [
            each for each in self.lab.objects.secrets if each.name != plan.case.slug or each.namespace not in spaces
        ]
        if value is not None:
            given = {"secret": value} if what == "secret" else value
            data = {key: str(text).encode() for key, text in given.items()}
            others += [Secret(namespace=namespace, name=plan.case.slug, data=data) for namespace in spaces]
        self.lab.objects.set_secrets(others)

    def _let_pass(self, seconds: float) -> None:
        if isinstance(self.lab.clock, VirtualClock):
            self.lab.run_until(self.lab.clock.monotonic() + seconds)
        else:
            raise LabError("time passes by itself on the wall clock; run this case in process")

    def pause(self) -> None:
        """Until the clock's second has changed, so that the next token differs."""
        if isinstance(self.lab.clock, VirtualClock):
            self.lab.clock.advance(2.0)
            return
        began = int(time.time())
        while int(time.time()) == began:
            time.sleep(0.01)

    def settle(self, plans: Sequence[Plan]) -> None:
        """Until nothing that a case looks at is waiting any more."""
        if not self._served:
            with self._lock:
                self._run_down()
            return
        until = time.monotonic() + self.settle_seconds
        keys = {key for each in plans for key in each.warehouses.values() if key in self._watched}
        while time.monotonic() < until and not all(self._quiet(key) for key in keys):
            time.sleep(0.01)

    def _run_down(self) -> None:
        """Virtual time moves to the end of what has begun, and stands still before the next interval."""
        lab, horizon = self.lab, self.lab.clock.monotonic() + _VIRTUAL_SETTLE_SECONDS
        lab.step()
        last = -1.0
        # A moment that does not move on would be waited for without end.
        while (moment := lab.next_moment()) is not None and last < moment <= horizon:
            lab.run_until(moment)
            last = moment

    def _quiet(self, key: str) -> bool:
        """Whether the Warehouse has handled its last refresh and is not at work."""
        record = self.lab.store.warehouse(key)
        if record is None or (record.status.observed_generation == 0 and not record.status.conditions):
            return record is None
        handled = (record.refresh or "") == record.status.last_handled_refresh
        reconciling, ready = record.status.condition("Reconciling"), record.status.condition("Ready")
        # A pass that failed leaves Reconciling true and waits for its next try: that is as quiet as it gets.
        failed = ready is not None and ready.reason.endswith("Failure")
        return handled and (failed or reconciling is None or reconciling.status != "True")

    def close(self) -> None:
        """Stop the workers, the socket and the store."""
        if self._server is not None:
            self._server.stop()
        if self._lab is not None:
            self._lab.close()


def _home(plan: Plan, promotion: Mapping[str, Any]) -> str:
    return OTHER_PROJECT if promotion.get("project") == "other" else plan.namespace


def _looks(plan: Plan) -> bool:
    return any(key in _LOOKED_AT for step in plan.case.steps for key in step.expect)


def references(found: DiscoveredArtifacts | None) -> list[str]:
    """What was discovered, best first, as a case writes it: tags, commit subjects or tags, chart versions."""
    if found is None:
        return []
    commits = [commit.tag or commit.subject for git in found.git for commit in git.commits]
    images = [image.tag for each in found.images for image in each.references]
    charts = [version for chart in found.charts for version in chart.versions]
    return commits + images + charts


def load_documents(text: str) -> list[Any]:
    """Documents of a YAML text, for targets that read what an operator wrote."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


@attrs.frozen
class Absurd:
    """A WSGI application that answers every request alike: what a suite must not be fooled by."""

    status: str
    body: bytes = b'{"msg":"refreshed 1 warehouse(s)"}\n'

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """The same answer, whatever was asked."""
        environ["wsgi.input"].read()
        start_response(self.status, [("Content-Type", "application/json"), ("Content-Length", str(len(self.body)))])
        return [self.body]

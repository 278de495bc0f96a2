"""What happens to a webhook between the socket and the store: routing, verdict, matching, refresh, answer.

Nothing here knows HTTP servers or SQLite. The store is met through `Objects`, a protocol of what
has to be read and the one thing that has to be written; a refresh that returns is on disk, so the
answer may be sent. Source: receivers.md 3.2, 3.4, 5.2 to 5.4, 6.6, 6.8 and 6.9.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from kargo_lab import matching
from kargo_lab.errors import StoreError
from kargo_lab.matching import Matching, SubscribedURLs
from kargo_lab.profiles import Profile
from kargo_lab.receivers import RECEIVERS, Receive
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, Secret
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.resources.status import BuildFailure, StatusEntry, build, secrets_namespace
from kargo_lab.resources.warehouse import Warehouse
from kargo_lab.selection.reasons import Reason
from kargo_lab.wire import (
    Acknowledged,
    ActionPlan,
    Actions,
    Answer,
    Delivery,
    NoAnswer,
    PullRequestClosed,
    Push,
    Refusal,
    Setup,
    Verdict,
)

log = logging.getLogger(__name__)

NOT_FOUND = Answer(status=404)
INTERNAL_ERROR = Answer(status=500)

# The header by which each sender names a delivery and which a retry keeps (platforms.md). GitLab's
# event UUID is none: events that a hook itself caused share it. Senders without such a header are
# never taken for repeating themselves.
DELIVERY_ID_HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bitbucket": ("x-request-uuid", "x-request-id"),
        "gitea": ("x-gitea-delivery", "x-gogs-delivery"),
        "github": ("x-github-delivery",),
        "gitlab": ("idempotency-key", "webhook-id"),
    }
)


Target = tuple[str, str, str]
"""kind, namespace and name of what is to be refreshed."""


class Objects(Protocol):
    """What the store offers to the intake. Every call may raise StoreError."""

    def configs_with_path(self, path: str) -> Sequence[ProjectConfig]:
        """The ProjectConfigs whose status lists this path."""

    def cluster_config(self) -> ClusterConfig | None:
        """The ClusterConfig, if there is one."""

    def receiver_entries(self, config: ProjectConfig | ClusterConfig) -> Sequence[StatusEntry]:
        """`status.webhookReceivers` of a configuration."""

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret as it is now."""

    def index(self) -> SubscribedURLs:
        """All Warehouses by the URLs they subscribe to, kept for as long as none of them changes."""

    def promotions(self) -> Sequence[Promotion]:
        """All Promotions."""

    def request_refresh(self, targets: Sequence[Target], token: str) -> Collection[Target]:
        """Set the refresh annotation of all of them, durably; the ones that may not be patched are returned.

        One call a delivery, so that a push that concerns a hundred Warehouses costs one flush to the disk.
        """

    def delivered(self, receiver: str, delivery_id: str) -> bool:
        """True if a delivery of this ID (`Outcome.delivery_id`) was answered with 200 before."""


@attrs.frozen(kw_only=True)
class Route:
    """A receiver that a path led to. `namespace` is its project, or None for a cluster receiver."""

    path: str
    type: str
    name: str
    namespace: str | None
    setup: Setup

    @property
    def receiver(self) -> str:
        """`namespace/name` of the receiver, the namespace empty for a cluster receiver."""
        return f"{self.namespace or ''}/{self.name}"


def route(path: str, objects: Objects, *, profile: Profile, base_url: str) -> Route | Answer:
    """The receiver behind a decoded request path, or the answer where there is none (3.2 steps 1 to 7)."""
    try:
        config, answer = _owner(path, objects, profile)
        if config is None:
            return answer
        entry = next((each for each in objects.receiver_entries(config) if each.path == path), None)
        spec = next((each for each in config.receivers if entry is not None and each.name == entry.name), None)
        if spec is None:
            return NOT_FOUND
        built = build(config, spec, objects.secret, base_url=base_url, profile=profile)
    except StoreError:
        log.exception("cannot look up a receiver")
        return INTERNAL_ERROR
    if isinstance(built, BuildFailure):
        log.error("receiver %s cannot be built: %s", spec.name, built.cause)
        return INTERNAL_ERROR
    namespace = config.namespace if isinstance(config, ProjectConfig) else None
    return Route(path=path, type=built.type, name=spec.name, namespace=namespace, setup=built.setup)


def _owner(path: str, objects: Objects, profile: Profile) -> tuple[ProjectConfig | ClusterConfig | None, Answer]:
    """The configuration that owns a path; a path of two projects is neither's."""
    projects = objects.configs_with_path(path)
    if len(projects) == 1:
        return projects[0], NOT_FOUND
    cluster = objects.cluster_config()
    if cluster is not None and not secrets_namespace(cluster, profile):
        return None, INTERNAL_ERROR
    return cluster, NOT_FOUND


def token(now: datetime, profile: Profile, *, uniqueness: int = 0) -> str:
    """The value of a refresh annotation.

    Kargo's is the second (6.9), so two refreshes within one second are one. `recommended` adds the
    microseconds and a number that the caller never repeats.
    """
    text = now.strftime("%Y-%m-%dT%H:%M:%S")
    if profile.refresh_resolution == "seconds":
        return f"{text}Z"
    # Still RFC 3339, whose fraction may have any length.
    return f"{text}.{now.microsecond:06d}{uniqueness % 1000:03d}Z"


@attrs.frozen(kw_only=True)
class Refreshed:
    """One object that was, or was not, asked to refresh."""

    kind: str
    namespace: str
    name: str
    success: bool


@attrs.frozen(kw_only=True)
class Outcome:
    """What a delivery led to: the answer, the verdict behind it, and the objects it touched.

    Whoever records the delivery records `delivery_id` too; empty means that repetitions of it are
    not to be recognised.
    """

    answer: Answer | NoAnswer
    verdict: Verdict
    refreshed: tuple[Refreshed, ...] = ()
    matching: Matching = attrs.field(factory=Matching)
    detail: str = ""
    delivery_id: str = ""

    @property
    def left_alone(self) -> tuple[tuple[Warehouse, Reason], ...]:
        """The Warehouses that a push does not refresh, and why."""
        return self.matching.left_alone

    @property
    def declined(self) -> tuple[tuple[Warehouse, Reason], ...]:
        """Of those left alone, the subscribers: what a log wants, where a fleet has thousands of others."""
        return self.matching.declined


def deliver(
    route: Route,
    delivery: Delivery,
    objects: Objects,
    *,
    profile: Profile,
    now: datetime,
    uniqueness: int = 0,
    receivers: Mapping[str, Receive] = RECEIVERS,
) -> Outcome:
    """Judge a delivery, refresh what it asks for, and say what to answer.

    `uniqueness` distinguishes deliveries of one microsecond where the profile wants that. Other `receivers` are
    how an implementation that is wrong on purpose is made.
    """
    verdict = receivers[route.type](delivery, route.setup, profile)
    visit = _Visit(route=route, objects=objects, profile=profile, token=token(now, profile, uniqueness=uniqueness))
    # Only what the receiver accepted has an identity: nobody else may use one up.
    identity = delivery_id(route, delivery, profile) if isinstance(verdict, Push | PullRequestClosed) else ""
    try:
        if identity and objects.delivered(route.receiver, identity):
            answer = Answer(status=200, body={"msg": "this delivery was processed before, so nothing was refreshed"})
            return Outcome(answer=answer, verdict=verdict)
        return attrs.evolve(visit.conclude(verdict), delivery_id=identity)
    except StoreError as error:
        log.exception("a delivery could not be processed")
        return Outcome(answer=INTERNAL_ERROR, verdict=verdict, detail=str(error))


def delivery_id(route: Route, delivery: Delivery, profile: Profile) -> str:
    """What a repeated delivery has in common with the first; empty where it is not to be recognised.

    The header is not signed and may be anything, so the body counts too.
    """
    if profile.duplicate_deliveries != "acknowledged":
        return ""
    named = (delivery.header(name) for name in DELIVERY_ID_HEADERS.get(route.type, ()))
    identity = next((text for text in named if text), "")
    return f"{identity[:200]} {hashlib.sha256(delivery.body).hexdigest()}" if identity else ""


@attrs.frozen(kw_only=True)
class _Visit:
    """One delivery at work."""

    route: Route
    objects: Objects
    profile: Profile
    token: str

    def conclude(self, verdict: Verdict) -> Outcome:
        """The outcome of any verdict."""
        match verdict:
            case Push():
                return self.push(verdict)
            case PullRequestClosed():
                return self.pull_request(verdict)
            case Actions():
                return self.actions(verdict)
            case Acknowledged(message, empty):
                body = None if empty else {"msg": message} if message else {}
                return Outcome(answer=Answer(status=200, body=body), verdict=verdict)
            case Refusal(status, reason):
                return Outcome(answer=Answer(status=status, body={"error": reason} if reason else {}), verdict=verdict)
            case NoAnswer():
                return Outcome(answer=verdict, verdict=verdict)

    def push(self, push: Push) -> Outcome:
        """Refresh the Warehouses that a push concerns (6.6)."""
        found = self.objects.index().match(push, self.route.namespace)
        if found.failure is not None:
            return Outcome(answer=INTERNAL_ERROR, verdict=push, matching=found, detail=found.failure.text)
        refreshed = self.refresh(("Warehouse", each.namespace, each.name) for each in found.refresh)
        answer = _count(refreshed, "warehouse(s)", "warehouses")
        return Outcome(answer=answer, verdict=push, refreshed=refreshed, matching=found)

    def pull_request(self, closed: PullRequestClosed) -> Outcome:
        """Refresh the Promotions that wait for a pull request (6.8)."""
        promotions = matching.match_promotions(
            closed.url, self.objects.promotions(), self.profile, namespace=self.route.namespace
        )
        refreshed = self.refresh(("Promotion", each.namespace, each.name) for each in promotions)
        return Outcome(answer=_count(refreshed, "promotion(s)", "promotion(s)"), verdict=closed, refreshed=refreshed)

    def actions(self, actions: Actions) -> Outcome:
        """Run every action of a generic receiver; one that fails does not stop the next (5.2)."""
        results: list[dict[str, Any]] = []
        touched: list[Refreshed] = []
        details: list[str] = []
        for plan in actions.plans:
            result, refreshed, detail = self.action(plan)
            results.append(result)
            touched.extend(refreshed)
            details.extend([detail] if detail else [])
        failed = any(result["result"] in _FAILED_RESULTS for result in results)
        answer = Answer(status=500 if failed else 200, body={"results": results})
        return Outcome(answer=answer, verdict=actions, refreshed=tuple(touched), detail="; ".join(details))

    def action(self, plan: ActionPlan) -> tuple[dict[str, Any], tuple[Refreshed, ...], str]:
        """One result object of 5.3, what was touched for it, and our own words on an error."""
        result: dict[str, Any] = {**plan.echo, "matchedWhenExpression": plan.matched_when}
        match plan.outcome:
            case "not-applicable":
                summary = plan.summary or "Request did not match whenExpression"
                return {**result, "result": "NotApplicable", "summary": summary}, (), ""
            case "error":
                return {**result, "result": "Error", "summary": plan.summary}, (), plan.detail
        try:
            selected = matching.select_targets(
                plan.targets, self.objects.index(), self.objects.promotions(), self.route.namespace
            )
        except StoreError as error:
            log.exception("a generic action cannot list what it may select")
            selected = matching.MatchFailure(None, str(error))
        if isinstance(selected, matching.MatchFailure):
            summary = "Error evaluating targetSelectionCriteria"
            return {**result, "result": "Error", "summary": summary}, (), selected.text
        refreshed = self.refresh(selected)
        if refreshed:
            result["selectedTargets"] = [
                {"namespace": each.namespace, "name": each.name, "success": each.success} for each in refreshed
            ]
        done, count = sum(each.success for each in refreshed), len(refreshed)
        name = "Success" if done == count else "PartialSuccess" if done else "Failure"
        summary = f"Refreshed {done} of {count} selected resources"
        return {**result, "result": name, "summary": summary}, refreshed, ""

    def refresh(self, targets: Iterable[Target]) -> tuple[Refreshed, ...]:
        """Refresh all targets; one that is refused does not stop the others."""
        wanted = tuple(targets)
        try:
            refused = self.objects.request_refresh(wanted, self.token) if wanted else ()
        except StoreError:
            log.exception("nothing could be refreshed")
            refused = wanted
        return tuple(
            Refreshed(kind=target[0], namespace=target[1], name=target[2], success=target not in refused)
            for target in wanted
        )


_FAILED_RESULTS = frozenset({"Error", "Failure", "PartialSuccess"})


def _count(refreshed: Sequence[Refreshed], things: str, failed_things: str) -> Answer:
    """How many were refreshed, in the words of 3.4, which differ between success and failure."""
    count = len(refreshed)
    failed = sum(not each.success for each in refreshed)
    if failed:
        return Answer(status=500, body={"error": f"failed to refresh {failed} of {count} {failed_things}"})
    return Answer(status=200, body={"msg": f"refreshed {count} {things}"})

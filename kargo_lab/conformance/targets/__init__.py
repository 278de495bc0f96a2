"""Implementations under test: anything with a webhook URL. All targets have the shape that `Target` draws.

What a target offers beside the answer decides what can be seen of a case: `calls` that arrive at the lab's
own sources need nothing from the target but that it discovers; `state` needs the lab API or Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kargo_lab import shipped
from kargo_lab.conformance import reach as reaching
from kargo_lab.conformance.cases import Case, for_profile, load, select
from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.plans import Plan
from kargo_lab.conformance.requests import Request
from kargo_lab.errors import UsageError

if TYPE_CHECKING:
    from kargo_lab.conformance.targets.url import TargetFile
    from kargo_lab.conformance.world import World


class Target(Protocol):
    """What the runner asks of a target. Every call may raise LabError: the case is then an error, not a failure.

    It is skipped instead for an UnfitError, and unsupported for an UnofferedError.
    """

    name: str
    profile: str
    offers: frozenset[str]  # of "answer", "calls", "state"
    features: frozenset[str]  # further things a case may ask for
    settle_seconds: float  # how long an effect may take; waited once, for all cases together

    def looks_at(self, plan: Plan) -> bool:
        """Whether the target will discover from the case's repositories, so that they have to exist."""

    def open(self, plans: Sequence[Plan], world: World) -> None:
        """Configure everything, and return when it is in force and first discoveries are over."""

    def path(self, plan: Plan) -> str:
        """The receiver's path for this case, as the target publishes it where it can be asked."""

    def exchange(self, request: Request) -> Exchange:
        """Send one request to the target."""

    def state(self, plan: Plan) -> Mapping[str, Any]:
        """What the target says of the case's objects, by their short names; empty without `state`.

        `refresh`: Warehouse -> token; `promotions`: Promotion -> token; `discovered`: Warehouse -> list of
        references; `freight`: Warehouse -> number; `conditions`: object -> type -> [status, reason];
        `receiver`: {path, url} or None.
        """

    def change(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """Change the configuration as a case's `change` says."""

    def pause(self) -> None:
        """Return when the next refresh can be told from the last one (Kargo's tokens have whole seconds)."""

    def settle(self, plans: Sequence[Plan]) -> None:
        """Return when whatever the deliveries so far caused has happened."""

    def close(self) -> None:
        """Take away what `open` made."""


PEERS = ("flux", "argo-cd")
TIMEOUT_SECONDS = 10.0  # of a target that is only a URL


def file(name: str, factor: float = 1.0) -> TargetFile | None:
    """What the target file says, if the name is one's, or that of a peer whose file ships with the lab."""
    from kargo_lab.conformance.targets import url

    if name in PEERS:
        return url.read(shipped.folder("docs/targets") / f"{name}.yaml", factor)
    return url.read(Path(name), factor) if name.endswith((".yaml", ".yml")) else None


def make(name: str, profile: str, factor: float = 1.0) -> Target:
    """The target of that name: `reference`, `reference-in-process`, an absurd one, a target file, or a base URL.

    `factor` multiplies the times of a target that is not ours; ours settles when it says so. Raises UsageError
    for anything else, ManifestError for a target file that does not fit.
    """
    from kargo_lab.conformance.targets import url
    from kargo_lab.conformance.targets.reference import Absurd, Reference

    match name:
        case "reference":
            return Reference(profile, served=True)
        case "reference-in-process":
            return Reference(profile)
        case "always-200":
            return Reference(profile, application=lambda _: Absurd("200 OK"))
        case "always-401":
            return Reference(profile, application=lambda _: Absurd("401 Unauthorized", b"{}\n"))
    if name.startswith(("http://", "https://")):
        reaching.place(name)
        plain = url.TargetFile(name=name, url=name.rstrip("/"), calls=False, timeout_seconds=factor * TIMEOUT_SECONDS)
        return url.Url(plain, profile)
    if (described := file(name, factor)) is not None:
        if described.cluster is not None:
            from kargo_lab.conformance.targets.kubernetes import Kubernetes

            return Kubernetes(described, profile)
        if described.api is not None:
            from kargo_lab.conformance.targets.lab_api import LabApi

            return LabApi(described, profile)
        return url.Url(described, profile)
    raise UsageError(
        f"there is no target {name!r}; expected reference, reference-in-process, "
        f"{', '.join(PEERS)}, a target file or a URL"
    )


def reach(name: str, factor: float = 1.0) -> None:
    """Make sure that somebody listens at a target's URL; targets of ours need no asking. Raises TargetError."""
    described = file(name, factor)
    if described is not None:
        reaching.reach(
            described.url,
            told_by=f"`url` of {name}",
            timeout_seconds=described.timeout_seconds,
            wait_seconds=described.wait_seconds,
            verify_tls=described.verify_tls,
        )
    elif name.startswith(("http://", "https://")):
        reaching.reach(name.rstrip("/"), told_by="the target that was named", timeout_seconds=factor * TIMEOUT_SECONDS)


def meant(name: str, cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases that make sense for a target: those that its file names, or all."""
    described = file(name)
    if described is None or not described.cases:
        return tuple(cases)
    wanted = {case.id for case in select(load(), described.cases)}
    return tuple(case for case in cases if case.id in wanted)


def chosen(
    profile: str, patterns: Sequence[str], levels: Sequence[str] = (), target: str | None = None
) -> tuple[Case, ...]:
    """The cases for a run. Raises UsageError if none is left, with what took the last one away."""
    selected = select(load(), patterns)
    fitting = meant(target, selected) if target else selected
    holding = for_profile(fitting, profile)
    left = tuple(case for case in holding if not levels or case.level in levels)
    if not left:
        why = (
            "the patterns of --select take out all that they select"
            if not selected
            else f"none of the {len(selected)} selected is among the `cases` of {target}"
            if not fitting
            else f"none of the {len(fitting)} selected holds for profile {profile}"
            if not holding
            else f"none of the {len(holding)} selected has the level {' or '.join(levels)}"
        )
        raise UsageError(f"no case is left: {why}; `kargo-lab conformance list` shows what there is")
    return left


def version(name: str) -> str:
    """What a report says about the target's version."""
    if name.startswith(("reference", "always-")):
        return metadata.version("kargo-lab")
    described = file(name)
    return described.version if described else ""

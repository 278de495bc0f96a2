"""Which chart versions a subscription takes: one selector for discovery and for the webhook filter.

Classic repositories list versions as their authors wrote them and are read loosely; registries hold
tags, in which `_` stands for `+`, and are read strictly. The webhook filter of Kargo reads loosely
whatever the kind and does not turn `_` back, so it misses versions that discovery would find (B9 of
receivers.md); the profile with a sound filter judges both readings. Source: discovery.md 5; receivers.md 6.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from kargo_lab.errors import SelectionError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.warehouse import ChartSubscription
from kargo_lab.rules.references import Reference, RegistryReferenceError, parse_chart
from kargo_lab.rules.versions import Version
from kargo_lab.selection.names import VersionRules, by_precedence, version_rules
from kargo_lab.selection.reasons import Reason, accept, first_accepted, refuse

OCI = "oci://"
CLASSIC = ("http://", "https://")


@attrs.frozen(kw_only=True)
class ChartSelector:
    """One chart subscription, ready to judge. `reference` is None for a classic repository."""

    subscription: ChartSubscription
    profile: Profile = attrs.field(repr=False)
    versions: VersionRules
    reference: Reference | None

    @property
    def limit(self) -> int:
        """How many versions discovery keeps at most."""
        return self.subscription.discovery_limit

    @property
    def in_registry(self) -> bool:
        """True if the chart lies in an OCI registry, where its versions are tags."""
        return self.reference is not None

    @property
    def index_url(self) -> str:
        """Where a classic repository keeps its index."""
        return f"{self.subscription.repo_url.removesuffix('/')}/index.yaml"

    def judge(self, found: str) -> Reason:
        """Whether discovery takes a version of the index, or a tag of the registry."""
        version = self._read(found)
        return version if isinstance(version, Reason) else accept("version", f"{found!r} is a wanted version")

    def _read(self, found: str) -> Version | Reason:
        if not self.in_registry:
            return self.versions.read(found)
        text = found.replace("_", "+")
        if text.startswith("v"):  # strict here is stricter than for tags: no `v` before it
            return refuse("not-a-version", f"{found!r} is no chart tag: those begin with a digit")
        return self.versions.read(text, strict=True)

    def judge_pushed(self, version: str) -> Reason:
        """Whether a webhook that names `version` may be of interest."""
        loose = self.versions.judge(version)
        if loose or not self.in_registry or not self.profile.sound_filter:
            return loose
        return self.judge(version)

    def matches(self, qualifiers: Sequence[str], changed_files: Sequence[str] = ()) -> Reason:  # noqa: ARG002
        """Whether a push of these versions may be of interest; files mean nothing to charts."""
        none = refuse("no-qualifier", "none of the versions is one that the subscription takes")
        return first_accepted(map(self.judge_pushed, qualifiers), none)

    def order(self, found: Iterable[str]) -> tuple[str, ...]:
        """The versions discovery reports, best first, cut to the limit; a registry's come with `+`."""
        read = [self._read(text) for text in found]
        return tuple(by_precedence([version for version in read if isinstance(version, Version)])[: self.limit])


def build(subscription: ChartSubscription, profile: Profile = LATEST) -> ChartSelector:
    """The selector of a subscription; raises SelectionError where Kargo cannot build one."""
    url = subscription.repo_url
    reference: Reference | None = None
    if url.startswith(OCI):
        try:
            reference = parse_chart(url.removeprefix(OCI))
        except RegistryReferenceError as problem:
            raise SelectionError("repoURL", problem.message) from problem
    elif not url.startswith(CLASSIC):
        raise SelectionError("repoURL", f"{url!r} begins with none of {OCI}, http:// and https://")
    rules = version_rules(
        strict=False, field="semverConstraint", constraint=subscription.semver_constraint, profile=profile
    )
    return ChartSelector(subscription=subscription, profile=profile, versions=rules, reference=reference)

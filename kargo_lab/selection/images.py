"""Which images a subscription takes: one selector for discovery and for the webhook filter.

Discovery asks step by step, because every further step costs requests: which tags in which order
(`shortlist`), does this image have the platform (`platform_reason`), which of these come first (`rank`).
A webhook asks `matches`, which is the first of these steps and nothing else, so that what is skipped
could not have been found. Source: discovery.md 3; receivers.md 6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import attrs

from kargo_lab.errors import SelectionError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.rules import rfc3339
from kargo_lab.rules.references import Reference, RegistryReferenceError, parse_image
from kargo_lab.rules.urls import normalize_image
from kargo_lab.rules.versions import Version
from kargo_lab.selection.names import TagRules, VersionRules, by_precedence, tag_rules, version_rules
from kargo_lab.selection.reasons import Reason, accept, first_accepted, refuse

Triple = tuple[str, str, str]
"""Operating system, architecture and variant, compared letter by letter."""


def parse_platform(text: str) -> Triple | None:
    """`os/arch[/variant]`, further slashes being part of the variant; None for an empty text, no restriction."""
    if not text:
        return None
    os, slash, rest = text.partition("/")
    if not slash:
        raise SelectionError("platform", f"{text!r} is not of the form os/arch[/variant]")
    architecture, _, variant = rest.partition("/")
    return os, architecture, variant


class PlatformLike(Protocol):
    """One platform of an image, with the annotations of its entry in the index."""

    @property
    def os(self) -> str:
        """Operating system."""

    @property
    def arch(self) -> str:
        """Architecture."""

    @property
    def variant(self) -> str:
        """Variant, mostly empty."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the entry, not of the manifest behind it."""


@attrs.frozen(kw_only=True)
class PlatformFacts:
    """The plainest `PlatformLike`."""

    os: str
    arch: str
    variant: str = ""
    annotations: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class ImageFacts:
    """What a registry says about one tag.

    `created` counts nanoseconds since 1970, None where no time is told; `annotations` are those of
    the manifest or index. `platforms` are an index's usable entries: a single image has none, and so never
    meets a platform, except in releases up to v1.8, where its configuration's counts.
    """

    tag: str
    digest: str = ""
    created: int | None = None
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    platforms: tuple[PlatformLike, ...] = ()


def _triple(platform: PlatformLike) -> Triple:
    return platform.os, platform.arch, platform.variant


def _shown(triple: Triple) -> str:
    return "/".join(filter(None, triple))


@attrs.frozen(kw_only=True)
class ImageSelector:
    """One image subscription, ready to judge. `reference` is what to ask the registry for."""

    subscription: ImageSubscription
    profile: Profile = attrs.field(repr=False)
    strategy: str
    reference: Reference
    platform: Triple | None
    tags: TagRules | None = None  # None: Digest reads no lists
    versions: VersionRules | None = None  # SemVer only
    named_tag: str = ""  # Digest only

    @property
    def limit(self) -> int:
        """How many images discovery keeps at most."""
        return 1 if self.strategy == "Digest" else self.subscription.discovery_limit

    @property
    def needs_listing(self) -> bool:
        """False for Digest, which asks for its one tag and forgives a 404."""
        return self.strategy != "Digest"

    @property
    def needs_all_images(self) -> bool:
        """True for NewestBuild: every tag on the shortlist is fetched before anything can be ranked."""
        return self.strategy == "NewestBuild"

    def judge(self, tag: str) -> Reason:
        """Whether the strategy takes a tag of this name."""
        if self.tags is None:
            if tag == self.named_tag:
                return accept("digest", f"Digest follows the tag {tag!r}")
            return refuse("digest", f"Digest follows {self.named_tag!r} only, not {tag!r}")
        reason = self.tags.judge(tag)
        return self.versions.judge(tag) if reason and self.versions is not None else reason

    def matches(self, qualifiers: Sequence[str], changed_files: Sequence[str] = ()) -> Reason:  # noqa: ARG002
        """Whether a push of these tags may be of interest; files mean nothing to images."""
        none = refuse("no-qualifier", "none of the tags is one that the subscription takes")
        return first_accepted(map(self.judge, qualifiers), none)

    def shortlist(self, tags: Iterable[str]) -> tuple[str, ...]:
        """The tags to fetch, in the order of the walk; NewestBuild fetches all and has no order yet."""
        if self.tags is None:
            return (self.named_tag,)
        if self.versions is not None:
            read = [self.versions.read(tag) for tag in tags if self.tags.judge(tag)]
            return tuple(by_precedence([version for version in read if isinstance(version, Version)]))
        taken = [tag for tag in tags if self.tags.judge(tag)]
        return tuple(taken) if self.needs_all_images else tuple(sorted(taken, reverse=True))

    def platform_reason(self, image: ImageFacts) -> Reason:
        """Whether an image has the platform asked for; raises SelectionError where a release insists on just one."""
        if self.platform is None:
            return accept("any-platform", "no platform is asked for")
        wanted = _shown(self.platform)
        count = sum(_triple(platform) == self.platform for platform in image.platforms)
        if count > 1 and self.profile.platform_index == "one-child":
            raise SelectionError("platform", f"{count} entries of {image.tag!r} are for {wanted}")
        if count:
            return accept("platform", f"{image.tag!r} is there for {wanted}")
        if not image.platforms:
            return refuse("platform", f"{image.tag!r} is a single image and is not held to have any platform")
        found = ", ".join(_shown(_triple(platform)) for platform in image.platforms)
        return refuse("platform", f"{image.tag!r} is there for {found}, not for {wanted}")

    def annotations(self, image: ImageFacts) -> Mapping[str, str]:
        """The annotations that status shows: those of the platform's entry lie over the image's own."""
        entry = next((found for found in image.platforms if _triple(found) == self.platform), None)
        return image.annotations if entry is None else {**image.annotations, **entry.annotations}

    def rank(self, images: Sequence[ImageFacts]) -> tuple[ImageFacts, ...]:
        """The images that count, best first, cut to the limit. Walks come in their own order and keep it."""
        ordered = list(images)
        if self.needs_all_images:
            # No time counts as the year 1; equal times go by tag, highest bytewise first.
            ordered.sort(key=lambda image: (_or_year_one(image.created), image.tag), reverse=True)
        return tuple(ordered[: self.limit])


def _or_year_one(created: int | None) -> int:
    return rfc3339.YEAR_ONE if created is None else created


def _constraint(subscription: ImageSubscription, profile: Profile) -> tuple[str, str]:
    """The member that holds the constraint, and its text."""
    if profile.image_constraint_field == "semverConstraint":
        return "semverConstraint", subscription.semver_constraint
    if profile.image_constraint_field == "either" and not subscription.constraint:
        return "semverConstraint", subscription.semver_constraint
    return "constraint", subscription.constraint


_Settings = dict[str, TagRules | VersionRules | str | None]


def _semver(subscription: ImageSubscription, profile: Profile) -> _Settings:
    field, constraint = _constraint(subscription, profile)
    # Past admission an absent `strictSemvers` is not strict.
    strict = bool(subscription.strict_semvers)
    return {
        "tags": tag_rules(subscription, profile),
        "versions": version_rules(strict=strict, field=field, constraint=constraint, profile=profile),
    }


def _by_name(subscription: ImageSubscription, profile: Profile) -> _Settings:
    return {"tags": tag_rules(subscription, profile)}


def _digest(subscription: ImageSubscription, profile: Profile) -> _Settings:
    return {"named_tag": _constraint(subscription, profile)[1]}


_STRATEGIES: Mapping[str, Callable[[ImageSubscription, Profile], _Settings]] = MappingProxyType(
    {"SemVer": _semver, "Lexical": _by_name, "NewestBuild": _by_name, "Digest": _digest}
)


def build(subscription: ImageSubscription, profile: Profile = LATEST) -> ImageSelector:
    """The selector of a subscription; raises SelectionError where Kargo cannot build one."""
    strategy = subscription.image_selection_strategy or "SemVer"
    if strategy not in _STRATEGIES:
        raise SelectionError("imageSelectionStrategy", f"{strategy!r} is none of {', '.join(_STRATEGIES)}")
    platform = parse_platform(subscription.platform)
    try:
        url = normalize_image(subscription.repo_url, profile=profile)
        reference = parse_image(url, localhost=profile.localhost_is_registry)
    except RegistryReferenceError as problem:
        raise SelectionError("repoURL", problem.message) from problem
    return ImageSelector(
        subscription=subscription,
        profile=profile,
        strategy=strategy,
        reference=reference,
        platform=platform,
        **_STRATEGIES[strategy](subscription, profile),  # type: ignore[arg-type] # keys and types agree, see above
    )


CACHE_POLICIES = ("Allow", "Forbid", "Force", "Require")


def caches_by_tag(subscription: ImageSubscription, policy: str) -> bool:
    """Whether the tag cache is used, under the operator's policy; raises SelectionError where it is required."""
    if policy not in CACHE_POLICIES:
        raise SelectionError("cacheByTag", f"policy {policy!r} is none of {', '.join(CACHE_POLICIES)}")
    if policy == "Require" and not subscription.cache_by_tag:
        raise SelectionError("cacheByTag", "the operator requires caching by tag, and the subscription does not opt in")
    return policy in ("Force", "Require") or (policy == "Allow" and subscription.cache_by_tag)

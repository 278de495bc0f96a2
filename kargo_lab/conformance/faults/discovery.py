"""Faults behind the receivers: what is discovered, when, and what becomes Freight."""

from __future__ import annotations

from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import always
from kargo_lab.conformance.faults.fault import Change, Fault

_IMAGES = "kargo_lab.selection.images"
_COMMITS = "kargo_lab.selection.commits"
_NAMES = "kargo_lab.selection.names"
_LOOP = "discovery.md 2"
_IMAGE = "discovery.md 3"
_GIT = "discovery.md 4"
_CHART = "discovery.md 5"
_HERE = ("discovery", "polling", "freight")
_IMAGES_HERE = ("discovery/images", "discovery/images-more")
_COMMITS_HERE = ("discovery/commits", "discovery/commits-more")
_CHARTS_HERE = ("discovery/charts",)
_VERSIONS_HERE = (*_IMAGES_HERE, *_CHARTS_HERE, "discovery/commits-more/tags")
_FREIGHT_HERE = ("freight",)
_LATER = ("polling", "freight")


def _reversed_precedence(right: Any) -> Any:
    return lambda found: list(reversed(right(found)))


def _by_text(_right: Any) -> Any:
    return lambda found: sorted((version.original for version in found), reverse=True)


def _smaller_text_first(_right: Any) -> Any:
    def wrong(found: list[Any]) -> list[str]:
        found.sort(key=lambda version: version.original)
        found.sort(key=lambda version: version.key, reverse=True)
        return [version.original for version in found]

    return wrong


def _by_precedence(change: Change) -> dict[str, Change]:
    return {f"kargo_lab.selection.{room}:by_precedence": change for room in ("images", "commits", "charts")}


def _limit(change: Any) -> dict[str, Change]:
    def wrap(right: Any) -> Any:
        return property(lambda self: change(right.fget(self)))

    return {
        f"{_IMAGES}:ImageSelector.limit": wrap,
        f"{_COMMITS}:CommitSelector.limit": wrap,
        "kargo_lab.selection.charts:ChartSelector.limit": wrap,
    }


def _cause(change: Any) -> dict[str, Change]:
    return {"kargo_lab.engine.timers:cause": lambda right: lambda schedule: change(right(schedule))}


def _shortlist(change: Any) -> dict[str, Change]:
    return {
        f"{_IMAGES}:ImageSelector.shortlist": lambda right: lambda self, tags: change(self, right(self, tags), tags)
    }


def _oldest_build(right: Any) -> Any:
    def wrong(self: Any, images: Any) -> Any:
        found = right(self, images)
        return tuple(reversed(found)) if self.needs_all_images else found

    return wrong


def _subscription(module: str, **change: Any) -> dict[str, Change]:
    """Selectors are built from another subscription."""
    return {
        f"kargo_lab.selection.{module}:build": lambda right: (
            lambda subscription, *given: right(attrs.evolve(subscription, **change), *given)
        )
    }


def _order(change: Any) -> dict[str, Change]:
    return {
        f"{_COMMITS}:CommitSelector.order": lambda right: (
            lambda self, tags, **options: change(self, right(self, tags, **options))
        )
    }


def _automatic(ending: Any) -> Any:
    warehouse = ending.warehouse
    spec = attrs.evolve(warehouse.spec, freight_creation_policy="Automatic")
    ending.warehouse = attrs.evolve(warehouse, spec=spec)
    return ending


def _first_release(right: Any) -> Any:
    def wrong(subscription: Any, *given: Any) -> Any:
        if subscription.image_selection_strategy == "Digest":
            subscription = attrs.evolve(subscription, constraint="1.0.0")
        return right(subscription, *given)

    return wrong


def _fetching_all(right: Any) -> Any:
    def wrong(selector: Any, tags: Any, by_tag: Any, *given: Any, **options: Any) -> Any:
        if selector.needs_listing:
            for tag in selector.shortlist(tuple(tags())):
                by_tag(tag)
        return right(selector, tags, by_tag, *given, **options)

    return wrong


def _fault(name: str, says: str, source: str, touches: tuple[str, ...] = _HERE, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "never-polls",
        "The interval passes and nothing happens: a lost webhook is lost for ever",
        _LOOP,
        touches=_LATER,
        replaced=_cause(lambda cause: "" if cause == "interval" else cause),
    ),
    _fault(
        "never-reacts",
        "The refresh is noted, and the Warehouse waits for its interval",
        _LOOP,
        (*_HERE, "refreshing"),
        replaced={"kargo_lab.engine.warehouses:Warehouses.wake": always(None)},
    ),
    _fault(
        "refresh-does-not-discover",
        "A refresh looks at the Warehouse but not at its repositories",
        _LOOP,
        touches=_LATER,
        replaced=_cause(lambda cause: "" if cause == "refresh" else cause),
    ),
    _fault(
        "first-discovery-forgotten",
        "Nothing is discovered before the first refresh or interval",
        _LOOP,
        replaced=_cause(lambda cause: "" if cause == "never discovered" else cause),
    ),
    _fault(
        "versions-by-text",
        "1.9.0 is taken to be newer than 1.10.0",
        "discovery.md 6.3",
        touches=_VERSIONS_HERE,
        replaced=_by_precedence(_by_text),
    ),
    _fault(
        "versions-upside-down",
        "The lowest version comes first",
        "discovery.md 6.3",
        touches=_VERSIONS_HERE,
        replaced=_by_precedence(_reversed_precedence),
    ),
    _fault(
        "ties-upside-down",
        "Of 1.0.0 and v1.0.0 the smaller text comes first",
        "discovery.md 3.2",
        touches=_VERSIONS_HERE,
        replaced=_by_precedence(_smaller_text_first),
    ),
    _fault(
        "limit-one-low",
        "One reference less than the limit is kept",
        _IMAGE,
        touches=("discovery",),
        replaced=_limit(lambda limit: max(1, limit - 1)),
    ),
    _fault(
        "limit-one-high",
        "One reference more than the limit is kept",
        _IMAGE,
        touches=("discovery",),
        replaced=_limit(lambda limit: limit + 1),
    ),
    _fault(
        "limit-ignored",
        "Every reference is kept",
        _IMAGE,
        touches=("discovery",),
        replaced=_limit(lambda _limit: 10_000),
    ),
    _fault(
        "lexical-upside-down",
        "Lexical starts at the smallest tag",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced=_shortlist(lambda self, found, _tags: found[::-1] if self.strategy == "Lexical" else found),
    ),
    _fault(
        "newest-build-by-name",
        "NewestBuild goes by the name of the tag",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced={
            f"{_IMAGES}:ImageSelector.rank": lambda _right: (
                lambda self, images: tuple(
                    sorted(images, key=lambda image: image.tag, reverse=True) if self.needs_all_images else images
                )[: self.limit]
            )
        },
    ),
    _fault(
        "newest-build-is-oldest",
        "NewestBuild starts at the oldest image",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced={f"{_IMAGES}:ImageSelector.rank": _oldest_build},
    ),
    _fault(
        "newest-build-forgets-annotations",
        "The created annotation is not looked at",
        _IMAGE,
        touches=_IMAGES_HERE,
        switches={"image_created": "config"},
    ),
    _fault(
        "platforms-ignored",
        "Images of any platform are taken",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced=_subscription("images", platform=""),
    ),
    _fault(
        "platforms-of-single-images",
        "A single image meets a platform by its configuration, as up to 1.8",
        "discovery.md 9",
        touches=_IMAGES_HERE,
        switches={"platform_single_manifest": "config"},
    ),
    _fault(
        "digest-takes-any-tag",
        "Digest takes the newest tag instead of its own",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced={"kargo_lab.selection.images:build": _first_release},
    ),
    _fault(
        "missing-digest-tag-is-an-error",
        "A missing Digest tag fails the discovery",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced={"kargo_lab.sources.images:NOT_FOUND": lambda _right: 999},
    ),
    _fault(
        "every-tag-is-fetched",
        "Tags beyond the limit are fetched too",
        _IMAGE,
        touches=_IMAGES_HERE,
        replaced={"kargo_lab.sources.images:found": _fetching_all},
    ),
    _fault(
        "branches-ignored",
        "The default branch is followed, whatever the subscription says",
        _GIT,
        touches=_COMMITS_HERE,
        replaced=_subscription("commits", branch=""),
    ),
    _fault(
        "expression-filters-ignored",
        "expressionFilter has no effect",
        _GIT,
        touches=_COMMITS_HERE,
        replaced=_subscription("commits", expression_filter=""),
    ),
    _fault(
        "side-branches-listed",
        "Commits of merged branches are listed one by one, as up to 1.9",
        "discovery.md 9",
        touches=_COMMITS_HERE,
        switches={"first_parent_only": False},
    ),
    _fault(
        "tags-by-date-reversed",
        "NewestTag starts at the oldest tag",
        _GIT,
        touches=_COMMITS_HERE,
        replaced=_order(lambda self, found: found[::-1] if self.strategy == "NewestTag" else found),
    ),
    _fault(
        "git-lexical-upside-down",
        "Lexical starts at the smallest tag",
        _GIT,
        touches=_COMMITS_HERE,
        replaced=_order(lambda self, found: found[::-1] if self.strategy == "Lexical" else found),
    ),
    _fault(
        "git-always-clones",
        "A tip that has not moved is cloned again, as up to 1.10",
        "discovery.md 9",
        touches=_COMMITS_HERE,
        switches={"ls_remote_short_circuit": False},
    ),
    _fault(
        "subjects-not-shortened",
        "Long subjects are kept whole",
        _GIT,
        touches=_COMMITS_HERE,
        switches={"subject_bytes": (10_000, 10_000)},
    ),
    _fault(
        "oci-charts-take-v",
        "v1.0.0 is taken for a chart's tag",
        _CHART,
        touches=_CHARTS_HERE,
        replaced={
            "kargo_lab.selection.charts:ChartSelector._read": lambda _right: (
                lambda self, found: self.versions.read(found, strict=False)
            )
        },
    ),
    _fault(
        "broken-tags-fail-charts",
        "A version that does not parse fails the whole chart",
        _CHART,
        touches=_CHARTS_HERE,
        replaced={
            "kargo_lab.selection.charts:ChartSelector.order": lambda right: (
                lambda self, found: right(self, found) if all("." in text for text in found) else ()
            )
        },
    ),
    _fault(
        "freight-each-time",
        "The same artifacts make new Freight on every pass",
        "discovery.md 7",
        touches=_LATER,
        replaced={
            "kargo_lab.engine.store:pieces.freight_name": lambda right: (
                lambda piece, **options: right(piece, **options) + str(id(piece))
            )
        },
    ),
    _fault(
        "no-freight",
        "Freight is never created",
        "discovery.md 7",
        replaced={"kargo_lab.engine.store:Store.create_freight": always(None)},
    ),
    _fault(
        "manual-policy-ignored",
        "Freight is made although the policy says Manual",
        "discovery.md 7.2",
        touches=_FREIGHT_HERE,
        replaced={
            "kargo_lab.engine.reconciliation:_Ending.run": lambda right: (
                lambda self, *given: right(_automatic(self), *given)
            )
        },
    ),
    _fault(
        "a-failure-keeps-the-others",
        "One broken subscription does not hide the others, where Kargo discards all",
        "discovery.md 2.3",
        touches=_IMAGES_HERE,
        switches={"broken_subscription": "keeps-others"},
    ),
    _fault(
        "criteria-ignored",
        "freightCreationCriteria has no effect",
        "discovery.md 7.8",
        touches=_FREIGHT_HERE,
        replaced={"kargo_lab.engine.lab:satisfied": always(True)},
    ),
)

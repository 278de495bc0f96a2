"""Faults in which refs, tags and versions count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import instead
from kargo_lab.conformance.faults.fault import Change, Fault
from kargo_lab.conformance.faults.matching import PUSHES

_IMAGES = "kargo_lab.selection.images:ImageSelector"
_COMMITS = "kargo_lab.selection.commits:CommitSelector"
_CHARTS = "kargo_lab.selection.charts:ChartSelector"
_NAMES = "kargo_lab.selection.names"
_RULES = "receivers.md 6.7"


def _accepting(change: Any) -> Change:
    """A judgement that is turned into a yes where `change(self, name)` says so."""

    def wrap(judge: Any) -> Any:
        def wrong(self: Any, name: str, *given: Any, **options: Any) -> Any:
            reason = judge(self, name, *given, **options)
            return attrs.evolve(reason, accepted=True) if not reason and change(self, name) else reason

        return wrong

    return wrap


def _refusing(change: Any) -> Change:
    """A judgement that is turned into a no where `change(self, name)` says so."""

    def wrap(judge: Any) -> Any:
        def wrong(self: Any, name: str, *given: Any, **options: Any) -> Any:
            reason = judge(self, name, *given, **options)
            return attrs.evolve(reason, accepted=False) if reason and change(self, name) else reason

        return wrong

    return wrap


def _anchored(right: Any) -> Any:
    del right
    return lambda self, text: re.fullmatch(self.text, text) is not None


def _tag_rules(**change: Any) -> Mapping[str, Change]:
    return {f"{_NAMES}:tag_rules": lambda right: lambda *given: attrs.evolve(right(*given), **change)}


def _version_rules(change: Any) -> Mapping[str, Change]:
    def wrap(right: Any) -> Any:
        return lambda **given: right(**change(given))

    return {
        "kargo_lab.selection.images:version_rules": wrap,
        "kargo_lab.selection.commits:version_rules": wrap,
        "kargo_lab.selection.charts:version_rules": wrap,
    }


def _tags(**change: Any) -> Mapping[str, Change]:
    def wrap(right: Any) -> Any:
        return lambda *given: attrs.evolve(right(*given), **change)

    return {"kargo_lab.selection.images:tag_rules": wrap, "kargo_lab.selection.commits:tag_rules": wrap}


def _constraint(change: Any) -> Any:
    return lambda given: {**given, "constraint": change(given["constraint"])}


def _gate(right: Any) -> Any:
    """Prereleases are compared like any version."""

    def wrong(self: Any, version: Any) -> bool:
        return bool(right(self, version)) or bool(
            version.prerelease
            and any(all(one.accepts(version.key) for one in group.comparators) for group in self.groups)
        )

    return wrong


def _fault(name: str, says: str, source: str, touches: tuple[str, ...] = PUSHES, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "branches-by-prefix",
        "A branch whose name begins alike is followed",
        _RULES,
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: (
                    not self.by_tags
                    and self.subscription.branch
                    and ref.startswith(f"refs/heads/{self.subscription.branch}")
                )
            )
        },
    ),
    _fault(
        "branches-by-ending",
        "A branch whose name ends alike is followed",
        _RULES,
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: (
                    not self.by_tags
                    and self.subscription.branch
                    and ref.startswith("refs/heads/")
                    and ref.endswith(f"/{self.subscription.branch}")
                )
            )
        },
    ),
    _fault(
        "branches-in-any-case",
        "Branches are compared without regard to case",
        _RULES,
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: (
                    not self.by_tags and ref.lower() == f"refs/heads/{self.subscription.branch.lower() or 'main'}"
                )
            )
        },
    ),
    _fault(
        "bare-names-as-refs",
        "A bare name counts as a branch",
        "receivers.md 7.2",
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: not self.by_tags and ref == (self.subscription.branch or "main")
            )
        },
    ),
    _fault(
        "tags-as-branches",
        "A tag that is called like the branch counts",
        _RULES,
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: not self.by_tags and ref == f"refs/tags/{self.subscription.branch or 'main'}"
            )
        },
    ),
    _fault(
        "branches-as-tags",
        "A pushed branch counts as a tag",
        _RULES,
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: (
                    self.by_tags
                    and ref.startswith("refs/heads/")
                    and bool(self.judge_tag(ref.removeprefix("refs/heads/")))
                )
            )
        },
    ),
    _fault(
        "default-branch-is-main",
        "Without a branch only main counts",
        _RULES,
        replaced={"kargo_lab.selection.commits:DEFAULT_BRANCHES": instead(("main",))},
    ),
    _fault(
        "default-branch-is-any",
        "Without a branch every branch counts",
        "receivers.md 8.1 B8",
        replaced={
            f"{_COMMITS}.judge_ref": _accepting(
                lambda self, ref: not self.by_tags and not self.subscription.branch and ref.startswith("refs/heads/")
            )
        },
    ),
    _fault(
        "ignore-lists-ignored",
        "ignoreTagsRegexes has no effect",
        _RULES,
        ("matching", "discovery"),
        replaced=_tags(ignore=()),
    ),
    _fault(
        "allow-lists-ignored",
        "allowTagsRegexes has no effect",
        _RULES,
        ("matching", "discovery"),
        replaced=_tags(allow=()),
    ),
    _fault(
        "patterns-anchored",
        "A pattern has to match the whole name",
        _RULES,
        ("matching", "discovery"),
        replaced={"kargo_lab.rules.patterns:Regex.search": _anchored},
    ),
    _fault(
        "allow-wins-over-ignore",
        "A tag that is allowed is not ignored",
        _RULES,
        ("matching", "discovery"),
        replaced={
            f"{_NAMES}:TagRules.judge": _accepting(
                lambda self, name: bool(self.allow) and any(regex.search(name) for regex in self.allow)
            )
        },
    ),
    _fault(
        "all-patterns-must-match",
        "A tag has to match every allowed pattern",
        _RULES,
        ("matching", "discovery"),
        replaced={
            f"{_NAMES}:TagRules.judge": _refusing(
                lambda self, name: not all(regex.search(name) for regex in self.allow)
            )
        },
    ),
    _fault(
        "strictness-ignored",
        "1.2 is a version even where they have to be complete",
        _RULES,
        (*PUSHES, "discovery"),
        replaced=_version_rules(lambda given: {**given, "strict": False}),
    ),
    _fault(
        "always-strict",
        "1.2 is never a version",
        _RULES,
        ("matching", "discovery"),
        replaced=_version_rules(lambda given: {**given, "strict": True}),
    ),
    _fault(
        "constraints-ignored",
        "Any version will do",
        _RULES,
        (*PUSHES, "discovery"),
        replaced=_version_rules(_constraint(lambda _text: "")),
    ),
    _fault(
        "prereleases-welcome",
        "A constraint without a prerelease lets prereleases through",
        _RULES,
        ("matching", "discovery"),
        replaced={"kargo_lab.rules.constraints:Constraint.check": _gate},
    ),
    _fault(
        "caret-as-tilde",
        "^1.2 keeps the minor version",
        _RULES,
        (*PUSHES, "discovery"),
        replaced=_version_rules(_constraint(lambda text: text.replace("^", "~"))),
    ),
    _fault(
        "tilde-as-caret",
        "~1.2 lets the minor version grow",
        _RULES,
        ("matching", "discovery"),
        replaced=_version_rules(_constraint(lambda text: text.replace("~", "^"))),
    ),
    _fault(
        "or-forgotten",
        "Only the first of several ranges counts",
        _RULES,
        ("matching", "discovery"),
        replaced=_version_rules(_constraint(lambda text: text.partition("||")[0])),
    ),
    _fault(
        "and-forgotten",
        "Only the first of several comparisons counts",
        _RULES,
        ("matching", "discovery"),
        replaced=_version_rules(_constraint(lambda text: text.split("||")[0].split()[0] if text.split() else text)),
    ),
    _fault(
        "v-in-front-refused",
        "v1.2.3 is no version",
        _RULES,
        (*PUSHES, "discovery"),
        replaced={f"{_NAMES}:VersionRules.judge": _refusing(lambda _self, text: text.startswith("v"))},
    ),
    _fault(
        "version-anywhere",
        "It suffices that a name contains a version",
        _RULES,
        ("matching",),
        replaced={
            f"{_NAMES}:VersionRules.judge": _accepting(
                lambda self, text: self.constraint is None and re.search(r"\d+\.\d+\.\d+", text)
            )
        },
    ),
    _fault(
        "digest-follows-every-tag",
        "Digest subscriptions are refreshed by any tag",
        _RULES,
        ("matching", "github", "harbor", "discovery"),
        replaced={f"{_IMAGES}.judge": _accepting(lambda self, _tag: self.strategy == "Digest")},
    ),
    _fault(
        "digest-follows-prefixes",
        "Digest subscriptions follow tags that begin alike",
        _RULES,
        ("matching",),
        replaced={
            f"{_IMAGES}.judge": _accepting(
                lambda self, tag: self.strategy == "Digest" and tag.startswith(self.named_tag)
            )
        },
    ),
    _fault(
        "lexical-wants-versions",
        "Lexical and NewestBuild take versions only",
        _RULES,
        ("matching", "github", "quay", "dockerhub"),
        replaced={
            f"{_IMAGES}.judge": _refusing(
                lambda self, tag: self.strategy in ("Lexical", "NewestBuild") and not re.match(r"v?\d", tag)
            )
        },
    ),
    _fault(
        "digests-are-no-tags",
        "A push by digest concerns nobody",
        _RULES,
        ("harbor",),
        replaced={f"{_IMAGES}.judge": _refusing(lambda _self, tag: tag.startswith("sha256:"))},
    ),
    _fault(
        "charts-strict",
        "Chart versions have to be complete",
        _RULES,
        ("matching",),
        replaced={f"{_CHARTS}.judge_pushed": _refusing(lambda _self, text: text.count(".") < 2)},
    ),
    _fault(
        "charts-turn-underscores",
        "1.0.0_build.1 counts as a chart version",
        "receivers.md 8.1 B9",
        ("matching",),
        switches={"sound_filter": True},
    ),
    _fault(
        "charts-refuse-v",
        "v1.0.0 is no chart version",
        _RULES,
        ("matching",),
        replaced={f"{_CHARTS}.judge_pushed": _refusing(lambda _self, text: text.startswith("v"))},
    ),
)

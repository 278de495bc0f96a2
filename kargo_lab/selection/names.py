"""The rules for names that image tags, Git tags and chart versions share.

Allow and ignore lists, and semantic versions with a constraint. They are looked at one by one when a
webhook asks about a tag, and over a whole listing at discovery, by the same objects.
Source: discovery.md 3.1, 3.2, 4.5 and 9; receivers.md 6.7 and 7.2.
"""

from __future__ import annotations

from functools import lru_cache

import attrs

from kargo_lab.errors import ConstraintError, PatternError, SelectionError, VersionError
from kargo_lab.profiles import Profile
from kargo_lab.resources.warehouse import GitSubscription, ImageSubscription
from kargo_lab.rules import constraints, patterns, versions
from kargo_lab.rules.constraints import Constraint
from kargo_lab.rules.patterns import Regex
from kargo_lab.rules.versions import Version
from kargo_lab.selection.reasons import Reason, accept, refuse

TagFields = GitSubscription | ImageSubscription


def _compiled(field: str, text: str) -> Regex:
    try:
        return patterns.regex(text)
    except PatternError as problem:
        raise SelectionError(field, problem.message) from problem


@attrs.frozen
class TagRules:
    """Ignore lists first, then an allow list of which any entry suffices; regexes are searched, not anchored."""

    allow: tuple[Regex, ...]
    ignore: tuple[Regex, ...]
    ignored_names: frozenset[str] = frozenset()

    def judge(self, name: str) -> Reason:
        """Whether the lists let a tag through."""
        if name in self.ignored_names:
            return refuse("ignored-tag", f"ignoreTags names {name!r}")
        for regex in self.ignore:
            if regex.search(name):
                return refuse("ignored-tag", f"{name!r} matches {regex.text!r} of ignoreTagsRegexes")
        if not self.allow:
            return accept("no-allow-list", f"no list restricts which tags are allowed, so {name!r} is")
        for regex in self.allow:
            if regex.search(name):
                return accept("allowed-tag", f"{name!r} matches {regex.text!r} of allowTagsRegexes")
        listed = ", ".join(repr(regex.text) for regex in self.allow)
        return refuse("not-allowed-tag", f"{name!r} matches none of the allowed patterns {listed}")


def tag_rules(subscription: TagFields, profile: Profile) -> TagRules:
    """The lists of a subscription; raises SelectionError for one that Kargo cannot use."""
    if profile.deprecated_tag_fields == "error":
        if subscription.allow_tags:
            raise SelectionError("allowTags", "is no longer honoured; use allowTagsRegexes")
        if subscription.ignore_tags:
            raise SelectionError("ignoreTags", "is no longer honoured; use ignoreTagsRegexes")
    lists = profile.tag_regex_lists
    allow = [_compiled("allowTagsRegexes", text) for text in subscription.allow_tags_regexes if lists]
    if subscription.allow_tags:
        allow.append(_compiled("allowTags", subscription.allow_tags))
    ignore = [_compiled("ignoreTagsRegexes", text) for text in subscription.ignore_tags_regexes if lists]
    return TagRules(tuple(allow), tuple(ignore), frozenset(subscription.ignore_tags))


SHORT_TEXT = 128  # characters; the longest tag of a registry
# The same tags are read in each pass; reading them anew is a good part of what an unchanged pass costs.
_parse_again = lru_cache(maxsize=65_536)(versions.parse)


@attrs.frozen
class VersionRules:
    """A semantic version, read strictly or loosely, that satisfies the constraint if there is one."""

    strict: bool
    constraint: Constraint | None
    library: str

    def read(self, text: str, *, strict: bool | None = None) -> Version | Reason:
        """The version that `text` is, or why it is none that is wanted. `strict` overrides the own setting."""
        strict = self.strict if strict is None else strict
        try:
            parse = _parse_again if len(text) <= SHORT_TEXT else versions.parse
            version = parse(text, strict=strict, library=self.library)
        except VersionError as problem:
            kind = "strict semantic version" if strict else "semantic version"
            return refuse("not-a-version", f"{text!r} is no {kind}: {problem.message}")
        if self.constraint is not None and not self.constraint.check(version):
            return refuse("constraint", self.constraint.explain(version))
        return version

    def judge(self, text: str) -> Reason:
        """Whether `text` is a wanted version."""
        version = self.read(text)
        if isinstance(version, Reason):
            return version
        if self.constraint is None:
            return accept("version", f"{text!r} is a semantic version, and no constraint is set")
        return accept("constraint", self.constraint.explain(version))


def version_rules(*, strict: bool, field: str, constraint: str, profile: Profile) -> VersionRules:
    """The rules for one constraint, empty for none; raises SelectionError naming `field` if it does not parse."""
    library = profile.semver_library
    try:
        compiled = constraints.compile(constraint, library=library) if constraint else None
    except ConstraintError as problem:
        raise SelectionError(field, problem.message) from problem
    return VersionRules(strict, compiled, library)


def by_precedence(found: list[Version]) -> list[str]:
    """The texts of versions, highest first; equal precedence by text, highest bytewise first."""
    # Code points order as UTF-8 bytes do.
    found.sort(key=lambda version: (version.key, version.original), reverse=True)
    return [version.original for version in found]

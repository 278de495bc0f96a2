"""Every answer names the rule that decided, for programs, and says why in a sentence, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kargo_lab import selection
from kargo_lab.errors import SelectionError
from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
)
from kargo_lab.selection import CommitFacts, ImageFacts, PlatformFacts, TagFacts
from kargo_lab.selection.images import caches_by_tag

RECOMMENDED = PROFILES["recommended"]


def _image(**fields: Any) -> selection.ImageSelector:
    return selection.images.build(ImageSubscription(repo_url="ex/app", **fields))


def _git(profile: Any = LATEST, **fields: Any) -> selection.CommitSelector:
    return selection.commits.build(GitSubscription(repo_url="https://example.com/r", **fields), profile)


def _chart(**fields: Any) -> selection.ChartSelector:
    return selection.charts.build(ChartSubscription(**({"repo_url": "oci://ghcr.io/ex/chart"} | fields)))


LEXICAL = {"image_selection_strategy": "Lexical"}


@pytest.mark.parametrize(
    ("fields", "tag", "rule", "text"),
    [
        ({"image_selection_strategy": "Digest", "constraint": "v1"}, "v1", "digest", "Digest follows the tag 'v1'"),
        (
            {"image_selection_strategy": "Digest", "constraint": "v1"},
            "v2",
            "digest",
            "Digest follows 'v1' only, not 'v2'",
        ),
        (
            LEXICAL | {"ignore_tags_regexes": ("-rc",)},
            "a-rc",
            "ignored-tag",
            "'a-rc' matches '-rc' of ignoreTagsRegexes",
        ),
        (LEXICAL, "a", "no-allow-list", "no list restricts which tags are allowed, so 'a' is"),
        (LEXICAL | {"allow_tags_regexes": ("^v",)}, "v1", "allowed-tag", "'v1' matches '^v' of allowTagsRegexes"),
        (
            LEXICAL | {"allow_tags_regexes": ("^v", "^w")},
            "a",
            "not-allowed-tag",
            "'a' matches none of the allowed patterns '^v', '^w'",
        ),
        ({}, "1.0.0", "version", "'1.0.0' is a semantic version, and no constraint is set"),
        (
            {},
            "1.0",
            "not-a-version",
            "'1.0' is no strict semantic version: a strict version has three numbers",
        ),
        (
            {"strict_semvers": False},
            "a",
            "not-a-version",
            "'a' is no semantic version: a version starts with a digit",
        ),
        (
            {"constraint": "^1.0.0"},
            "1.2.0",
            "constraint",
            "1.2.0 satisfies ^1.0.0: it is at least 1.0.0 and below 2.0.0",
        ),
        (
            {"constraint": "^1.0.0"},
            "2.0.0",
            "constraint",
            "2.0.0 does not satisfy ^1.0.0: it is not at least 1.0.0 and below 2.0.0, as ^1.0.0 wants",
        ),
    ],
)
def test_an_image_tag_is_judged_in_words(fields: dict[str, Any], tag: str, rule: str, text: str) -> None:
    reason = _image(**fields).judge(tag)
    assert (reason.rule, reason.text) == (rule, text)


def test_an_ignored_name_is_told() -> None:
    subscription = ImageSubscription(repo_url="ex/app", ignore_tags=("latest",))
    reason = selection.images.build(subscription, PROFILES["v1.8"]).judge("latest")
    assert (reason.rule, reason.text) == ("ignored-tag", "ignoreTags names 'latest'")


AMD, ARM = PlatformFacts(os="linux", arch="amd64"), PlatformFacts(os="linux", arch="arm64", variant="v8")


@pytest.mark.parametrize(
    ("platform", "platforms", "rule", "text"),
    [
        ("", (), "any-platform", "no platform is asked for"),
        ("linux/amd64", (AMD, ARM), "platform", "'v1' is there for linux/amd64"),
        ("linux/arm64/v8", (AMD, ARM), "platform", "'v1' is there for linux/arm64/v8"),
        ("linux/s390x", (AMD, ARM), "platform", "'v1' is there for linux/amd64, linux/arm64/v8, not for linux/s390x"),
        ("linux/amd64", (), "platform", "'v1' is a single image and is not held to have any platform"),
    ],
)
def test_the_platform_of_an_image_is_told(
    platform: str, platforms: tuple[PlatformFacts, ...], rule: str, text: str
) -> None:
    reason = _image(platform=platform).platform_reason(ImageFacts(tag="v1", platforms=platforms))
    assert (reason.rule, reason.text) == (rule, text)


def test_further_slashes_belong_to_the_variant() -> None:
    assert _image(platform="linux/arm/v7/x").platform == ("linux", "arm", "v7/x")


COMMIT = CommitFacts(
    id="c1", date=datetime(2026, 1, 1, tzinfo=UTC), author="A <a@x>", committer="C <c@x>", subject="fix: x"
)
TAG = TagFacts(
    name="v1",
    id="c1",
    date=datetime(2026, 1, 1, tzinfo=UTC),
    author="A <a@x>",
    committer="C <c@x>",
    subject="fix: x",
    tagger="T <t@x>",
    annotation="note",
)


@pytest.mark.parametrize(
    ("profile", "fields", "ref", "rule", "text"),
    [
        (
            LATEST,
            {"commit_selection_strategy": "Lexical"},
            "refs/heads/main",
            "strategy",
            "Lexical follows tags, and 'refs/heads/main' is none",
        ),
        (LATEST, {}, "refs/tags/v1", "strategy", "NewestFromBranch follows a branch, and 'refs/tags/v1' is none"),
        (LATEST, {"branch": "dev"}, "refs/heads/dev", "branch", "'dev' is the branch of the subscription"),
        (
            LATEST,
            {"branch": "dev"},
            "refs/heads/x",
            "branch",
            "'x' is not the branch of the subscription, 'dev'",
        ),
        (
            LATEST,
            {},
            "refs/heads/master",
            "branch",
            "no branch is named, and 'master' is taken for the default branch",
        ),
        (
            LATEST,
            {},
            "refs/heads/x",
            "branch",
            "no branch is named, and only main and master are taken for the default, not 'x'",
        ),
        (RECOMMENDED, {}, "refs/heads/x", "branch", "no branch is named, and 'x' may be the default branch"),
        (
            RECOMMENDED,
            {"commit_selection_strategy": "Lexical", "allow_tags_regexes": ("^w",)},
            "refs/tags/v1",
            "not-allowed-tag",
            "'v1' matches none of the allowed patterns '^w'",
        ),
    ],
)
def test_a_pushed_ref_is_judged_in_words(profile: Any, fields: dict[str, Any], ref: str, rule: str, text: str) -> None:
    reason = _git(profile, **fields).judge_ref(ref)
    assert (reason.rule, reason.text) == (rule, text)


def test_a_branch_strategy_says_that_a_tag_is_one() -> None:
    assert _git().judge_tag("v1").text == "NewestFromBranch follows a branch, and 'v1' is a tag"


@pytest.mark.parametrize(
    ("selector", "pushed", "text"),
    [
        (_git(branch="a"), ["refs/heads/b", "refs/tags/c"], "none of the refs is one that the subscription follows: "),
        (_image(), ["a", "b"], "none of the tags is one that the subscription takes: "),
        (_chart(), ["a", "b"], "none of the versions is one that the subscription takes: "),
    ],
    ids=["git", "image", "chart"],
)
def test_several_refusals_are_told_together(selector: Any, pushed: list[str], text: str) -> None:
    reason = selector.matches(pushed)
    assert (reason.rule, reason.text.startswith(text)) == ("no-qualifier", True)


@pytest.mark.parametrize("selector", [_git(branch="a"), _image(), _chart()], ids=["git", "image", "chart"])
def test_nothing_pushed_is_refused(selector: Any) -> None:
    assert selector.matches([]).rule == "no-qualifier"


@pytest.mark.parametrize(
    ("expression", "rule", "text"),
    [
        ("", "no-expression", "no expression filters"),
        ("id == 'c1'", "expression", "\"id == 'c1'\" holds"),
        ("committer == 'C <c@x>'", "expression", "\"committer == 'C <c@x>'\" holds"),
        ("author == 'x'", "expression", "\"author == 'x'\" does not hold"),
    ],
)
def test_an_expression_is_told(expression: str, rule: str, text: str) -> None:
    reason = _git(expression_filter=expression).expression_reason(COMMIT)
    assert (reason.rule, reason.text) == (rule, text)


@pytest.mark.parametrize(
    "expression",
    [
        "tag == 'v1'",
        "id == 'c1'",
        "author == 'A <a@x>'",
        "committer == 'C <c@x>'",
        "subject == 'fix: x'",
        "tagger == 'T <t@x>'",
        "annotation == 'note'",
        "creatorDate.Year() == 2026",
    ],
)
def test_an_expression_sees_everything_about_a_tag(expression: str) -> None:
    assert _git(commit_selection_strategy="NewestTag", expression_filter=expression).expression_reason(TAG)


def test_tags_are_filtered_at_the_moment_that_is_given() -> None:
    selector = _git(commit_selection_strategy="NewestTag", expression_filter="now().Year() == 2031")
    assert selector.order([TAG], now=datetime(2031, 1, 1, tzinfo=UTC)) == (TAG,)


@pytest.mark.parametrize(
    ("fields", "changed", "rule", "text"),
    [
        ({}, ["a"], "no-paths", "no path list filters"),
        ({"include_paths": ("a",)}, ["b", "a/x"], "paths", "'a/x' is included and not excluded"),
        ({"include_paths": ("a",)}, [], "paths", "the commit changes no paths"),
        ({"exclude_paths": ("a",)}, ["a", "a/b"], "paths", "none of the 2 changed paths is included and not excluded"),
    ],
)
def test_paths_are_told(fields: dict[str, Any], changed: list[str], rule: str, text: str) -> None:
    reason = _git(**fields).paths_reason(changed)
    assert (reason.rule, reason.text) == (rule, text)


def test_files_that_nobody_knows_are_told() -> None:
    reason = _git(include_paths=("a",)).paths.judge_push([])
    assert (reason.rule, reason.text) == ("unknown-files", "nothing is known about changed files")


@pytest.mark.parametrize(
    ("fields", "found", "rule", "text"),
    [
        ({}, "1.0.0", "version", "'1.0.0' is a wanted version"),
        ({}, "v1.0.0", "not-a-version", "'v1.0.0' is no chart tag: those begin with a digit"),
        ({}, "1.0", "not-a-version", "'1.0' is no strict semantic version: a strict version has three numbers"),
        ({"repo_url": "https://x"}, "v1.0", "version", "'v1.0' is a wanted version"),
    ],
)
def test_a_chart_version_is_judged_in_words(fields: dict[str, Any], found: str, rule: str, text: str) -> None:
    reason = _chart(**fields).judge(found)
    assert (reason.rule, reason.text) == (rule, text)


@pytest.mark.parametrize(
    ("build", "field", "message"),
    [
        pytest.param(
            lambda: _chart(repo_url="ftp://x"),
            "repoURL",
            "'ftp://x' begins with none of oci://, http:// and https://",
            id="a chart elsewhere",
        ),
        pytest.param(
            lambda: _chart(repo_url="oci://x"), "repoURL", "missing registry or repository", id="a chart nowhere"
        ),
        pytest.param(
            lambda: _chart(semver_constraint="x y"),
            "semverConstraint",
            "a comparator is expected, such as >=1.2.3",
            id="the constraint of a chart",
        ),
        pytest.param(
            lambda: _git(commit_selection_strategy="SemVer", semver_constraint=">>1"),
            "semverConstraint",
            "a comparator is expected, such as >=1.2.3",
            id="the constraint of commits",
        ),
        pytest.param(
            lambda: _git(commit_selection_strategy="Newest"),
            "commitSelectionStrategy",
            "'Newest' is none of NewestFromBranch, SemVer, Lexical, NewestTag",
            id="the strategy for commits",
        ),
        pytest.param(
            lambda: _git(expression_filter="'x"), "expressionFilter", "literal not terminated", id="an expression"
        ),
        pytest.param(lambda: _git(include_paths=("glob:[",)), "includePaths", "the class is not closed", id="included"),
        pytest.param(lambda: _git(exclude_paths=("glob:[",)), "excludePaths", "the class is not closed", id="excluded"),
        pytest.param(
            lambda: _image(image_selection_strategy="Newest"),
            "imageSelectionStrategy",
            "'Newest' is none of SemVer, Lexical, NewestBuild, Digest",
            id="the strategy for images",
        ),
        pytest.param(
            lambda: _image(platform="amd64"), "platform", "'amd64' is not of the form os/arch[/variant]", id="platform"
        ),
        pytest.param(
            lambda: selection.build(ImageSubscription(repo_url="Bad Name")),
            "repoURL",
            "could not parse reference: Bad Name",
            id="the repository of images",
        ),
        pytest.param(
            lambda: _image(constraint=">>1"), "constraint", "a comparator is expected, such as >=1.2.3", id="constraint"
        ),
        pytest.param(
            lambda: selection.images.build(
                ImageSubscription(repo_url="ex/app", semver_constraint=">>1"), PROFILES["v1.6"]
            ),
            "semverConstraint",
            "a comparator is expected, such as >=1.2.3",
            id="the constraint as v1.6 has it",
        ),
        pytest.param(
            lambda: selection.images.build(
                ImageSubscription(repo_url="ex/app", semver_constraint=">>1"), PROFILES["v1.8"]
            ),
            "semverConstraint",
            "a comparator is expected, such as >=1.2.3",
            id="the constraint that v1.8 falls back to",
        ),
        pytest.param(
            lambda: _image(allow_tags_regexes=("(",)), "allowTagsRegexes", "missing )", id="the allowed patterns"
        ),
        pytest.param(
            lambda: _image(ignore_tags_regexes=("(",)), "ignoreTagsRegexes", "missing )", id="the ignored patterns"
        ),
        pytest.param(
            lambda: selection.images.build(ImageSubscription(repo_url="ex/app", allow_tags="("), PROFILES["v1.8"]),
            "allowTags",
            "missing )",
            id="the one allowed pattern of old",
        ),
        pytest.param(
            lambda: _image(allow_tags="x"), "allowTags", "is no longer honoured; use allowTagsRegexes", id="allowTags"
        ),
        pytest.param(
            lambda: _image(ignore_tags=("x",)),
            "ignoreTags",
            "is no longer honoured; use ignoreTagsRegexes",
            id="ignoreTags",
        ),
        pytest.param(
            lambda: caches_by_tag(ImageSubscription(repo_url="ex/app"), "Perhaps"),
            "cacheByTag",
            "policy 'Perhaps' is none of Allow, Forbid, Force, Require",
            id="an unknown cache policy",
        ),
        pytest.param(
            lambda: caches_by_tag(ImageSubscription(repo_url="ex/app"), "Require"),
            "cacheByTag",
            "the operator requires caching by tag, and the subscription does not opt in",
            id="a cache policy that is not met",
        ),
    ],
)
def test_what_kargo_cannot_use_is_refused_with_field_and_reason(build: Any, field: str, message: str) -> None:
    with pytest.raises(SelectionError) as refused:
        build()
    assert (refused.value.field, refused.value.message.split("\n")[0]) == (field, message)


def test_deliveries_find_no_generic_subscription() -> None:
    assert selection.repository_key(GenericSubscription(kind="s3", name="files")) == ""


@pytest.mark.parametrize(
    ("build", "strategy"),
    [
        (lambda: _git(commit_selection_strategy=""), "NewestFromBranch"),
        (lambda: _image(image_selection_strategy=""), "SemVer"),
    ],
)
def test_an_empty_strategy_is_the_default(build: Any, strategy: str) -> None:
    assert build().strategy == strategy

"""Soundness: whatever discovery would newly take because of a push, the webhook filter lets through.

Random subscriptions, repositories and pushes; discovery is run before and after the push, and if it then takes
an artifact that was not there before, the push has to refresh the Warehouse. `KARGO_LAB_EXAMPLES=100000`
runs it that often.

Kargo's own filter is unsound in five ways, which the runs under Kargo's profiles leave out by name (`_known`)
and the runs under `recommended` do not:
  B1  an unusable subscription of anybody's fails the delivery for everybody
  B8  without a branch, a default branch that is called neither main nor master
  B9  chart tags with an underscore, which stands for a plus
  quoted paths: git quotes odd names in discovery, platforms send them plainly
  short names: git calls a tag `tags/main` where the cloned branch is called main

Pushes here add: commits, tags, or a new build under an old tag. One that takes something away
(deleted tags, force pushes) may make room for artifacts that were there before, and no payload tells.
File lists are taken to be what the platform knows of each pushed commit, or nothing.
"""

import os
from datetime import UTC, datetime, timedelta

import attrs
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from kargo_lab import matching, selection
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GitSubscription,
    ImageSubscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.selection import CommitFacts, ImageFacts, PlatformFacts, TagFacts
from kargo_lab.selection.paths import as_git_prints
from kargo_lab.wire import Push

EXAMPLES = int(os.environ.get("KARGO_LAB_EXAMPLES", "300"))
START = datetime(2026, 1, 1, tzinfo=UTC)

PROFILE = st.sampled_from(["v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "latest", "recommended", "recommended"])
LIMIT = st.integers(1, 5)
VERSION = st.builds(
    "{}{}.{}.{}{}".format,
    st.sampled_from(["", "", "v"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["", "", "", "-rc.1", "-0", "-alpha", "_b1", "_b2"]),
)
NAME = VERSION | st.sampled_from(
    ["latest", "main", "master", "trunk", "1.2", "v1", "2024.01.15", "01.2.3", "nightly-7", "dev", "tags/x"]
)
CONSTRAINT = st.sampled_from(
    [
        "",
        "",
        "^1",
        "^1.2.0",
        "~1.1",
        ">=1.0.0-0",
        ">=1 <3",
        "*",
        "*-0",
        "1.x || 3.x",
        "1 - 2",
        "!=1.1.1",
        "=2.0.0",
        ">=0.0.0-alpha, <2",
    ]
)
REGEX = st.sampled_from(["^v", "^[0-9]", "rc", "^main$", "^tags/", ".", "-", "(?i)^LATEST$", "[13]", "x*$"])
ALLOW = st.lists(REGEX, max_size=2).map(tuple)
IGNORE = st.lists(REGEX, max_size=1).map(tuple)
OLD_ALLOW = st.sampled_from(["", "", "", "^v", "[0-9]"])
OLD_IGNORE = st.lists(NAME, max_size=1).map(tuple)
PATH = st.sampled_from(
    [
        "apps/web/a.yaml",
        "apps/api/b.yaml",
        "apps",
        "docs/x.md",
        "docs/\u00e9.md",
        'docs/q"x',
        "README.md",
        "charts/web/Chart.yaml",
        "a..b/c",
        "x\ty",
    ]
)
FILES = st.lists(PATH, max_size=3, unique=True).map(tuple)
SELECTOR = st.sampled_from(
    [
        "apps",
        "apps/web",
        "docs",
        ".",
        "glob:**/*.yaml",
        "glob:*",
        "glob:docs/**",
        "regex:^apps/",
        "regex:md$",
        'regex:^"',
        "./docs/",
        "README.md",
    ]
)
PATHS = st.lists(SELECTOR, max_size=2).map(tuple)
EXPRESSION = st.sampled_from(
    ["", "", "", "subject startsWith 'feat'", "!(author contains 'bot')", "id != 'c3'", "tag == nil"]
)
PLATFORM = st.sampled_from(["", "", "linux/amd64", "linux/arm64/v8", "linux/arm64"])
ENTRIES = st.lists(
    st.sampled_from(
        [("linux", "amd64", ""), ("linux", "arm64", "v8"), ("linux", "arm64", ""), ("windows", "amd64", "")]
    ),
    max_size=3,
    unique=True,
)


@attrs.frozen(kw_only=True)
class Scene:
    """A subscription, the push, what discovery takes before and after it, and which of Kargo's gaps apply."""

    subscription: object
    profile: object
    qualifiers: tuple
    files: tuple = ()
    before: frozenset = frozenset()
    after: frozenset = frozenset()
    gaps: frozenset = frozenset()


def _without_old_fields(profile, fields):
    """allowTags and ignoreTags make a subscription unusable where they are refused."""
    return {} if profile.deprecated_tag_fields == "error" else fields


@st.composite
def images(draw):
    profile = PROFILES[draw(PROFILE)]
    old = {"allow_tags": draw(OLD_ALLOW), "ignore_tags": draw(OLD_IGNORE)}
    subscription = ImageSubscription(
        repo_url="ghcr.io/ex/app",
        image_selection_strategy=draw(st.sampled_from(["SemVer", "SemVer", "Lexical", "NewestBuild", "Digest"])),
        constraint=draw(CONSTRAINT),
        semver_constraint=draw(CONSTRAINT),
        strict_semvers=draw(st.sampled_from([True, False, None])),
        allow_tags_regexes=draw(ALLOW),
        ignore_tags_regexes=draw(IGNORE),
        platform=draw(PLATFORM),
        discovery_limit=draw(LIMIT),
        **_without_old_fields(profile, old),
    )
    if subscription.image_selection_strategy == "Digest":
        tag = draw(NAME)
        subscription = attrs.evolve(subscription, constraint=tag, semver_constraint=tag)
    selector = selection.build(subscription, profile)
    image = st.builds(
        ImageFacts,
        tag=NAME,
        created=st.none() | st.integers(0, 9),
        platforms=ENTRIES.map(lambda found: tuple(PlatformFacts(os=o, arch=a, variant=v) for o, a, v in found)),
    )
    present = {each.tag: attrs.evolve(each, digest="old") for each in draw(st.lists(image, max_size=6))}
    pushed = {each.tag: attrs.evolve(each, digest="new") for each in draw(st.lists(image, min_size=1, max_size=2))}

    def take(tags):
        wanted = [tags[name] for name in selector.shortlist(tags) if name in tags]
        taken = selector.rank([each for each in wanted if selector.platform_reason(each)])
        return frozenset((each.tag, each.digest) for each in taken)

    return Scene(
        subscription=subscription,
        profile=profile,
        qualifiers=tuple(pushed),
        before=take(present),
        after=take(present | pushed),
    )


@st.composite
def charts(draw):
    profile = PROFILES[draw(PROFILE)]
    kind = draw(st.sampled_from(["oci://ghcr.io/ex/chart", "https://charts.example.com/stable"]))
    subscription = ChartSubscription(
        repo_url=kind, chart_name="web", semver_constraint=draw(CONSTRAINT), discovery_limit=draw(LIMIT)
    )
    selector = selection.build(subscription, profile)
    present, pushed = draw(st.lists(NAME, max_size=6)), draw(st.lists(NAME, min_size=1, max_size=2))
    underscore = any("_" in name for name in pushed) and selector.in_registry
    return Scene(
        subscription=subscription,
        profile=profile,
        qualifiers=tuple(pushed),
        before=frozenset(selector.order(present)),
        after=frozenset(selector.order([*present, *pushed])),
        gaps=frozenset({"B9"} if underscore else ()),
    )


def _git(draw, strategy, profile):
    old = {"allow_tags": draw(OLD_ALLOW), "ignore_tags": draw(OLD_IGNORE)}
    return GitSubscription(
        repo_url="https://github.com/ex/repo",
        commit_selection_strategy=strategy,
        branch=draw(st.sampled_from(["", "", "main", "release/1.x"])),
        semver_constraint=draw(CONSTRAINT),
        strict_semvers=draw(st.sampled_from([True, False, None])),
        allow_tags_regexes=draw(ALLOW),
        ignore_tags_regexes=draw(IGNORE),
        include_paths=draw(PATHS),
        exclude_paths=draw(PATHS),
        expression_filter=draw(EXPRESSION),
        discovery_limit=draw(LIMIT),
        **_without_old_fields(profile, old),
    )


SUBJECT = st.sampled_from(["feat: x", "fix: y", "docs"])
AUTHOR = st.sampled_from(["Ada <a@x>", "bot[bot] <b@x>"])


def _path_gaps(selector, files):
    return {"quoted paths"} if selector.paths and any(as_git_prints(path) != path for path in files) else set()


@st.composite
def branches(draw):
    profile = PROFILES[draw(PROFILE)]
    subscription = _git(draw, "NewestFromBranch", profile)
    selector = selection.build(subscription, profile)
    default = draw(st.sampled_from(["main", "master", "trunk"]))
    branch = draw(st.sampled_from([default, default, subscription.branch or default, "dev"]))
    changed = draw(st.lists(FILES, min_size=1, max_size=6))  # the commits of the followed branch, newest first
    line = [
        CommitFacts(id=f"c{len(changed) - number}", date=START, subject=draw(SUBJECT), author=draw(AUTHOR))
        for number in range(len(changed))
    ]
    paths = {commit.id: files for commit, files in zip(line, changed, strict=True)}
    count = draw(st.integers(1, len(line)))
    follows = branch == (subscription.branch or default)
    files = tuple({path: None for commit in line[:count] for path in paths[commit.id]})

    def take(commits):
        kept = []
        for commit in commits:
            printed = [as_git_prints(path) for path in paths[commit.id]]
            if selector.expression_reason(commit) and selector.paths_reason(printed):
                kept.append(commit.id)
        return frozenset(kept[: selector.limit])

    return Scene(
        subscription=subscription,
        profile=profile,
        qualifiers=(f"refs/heads/{branch}",),
        files=draw(st.sampled_from([files, files, ()])),
        before=take(line[count:]),
        after=take(line if follows else line[count:]),
        gaps=frozenset(
            _path_gaps(selector, files) | ({"B8"} if default == "trunk" and not subscription.branch else set())
        ),
    )


@st.composite
def tags(draw):
    profile = PROFILES[draw(PROFILE)]
    subscription = _git(draw, draw(st.sampled_from(["SemVer", "SemVer", "Lexical", "NewestTag"])), profile)
    selector = selection.build(subscription, profile)
    default = draw(st.sampled_from(["main", "trunk"]))
    commits = {f"c{number}": draw(FILES) for number in range(4)}
    names = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))

    def fact(name, number):
        return TagFacts(
            name=f"tags/{name}" if name == default else name,
            id=draw(st.sampled_from(sorted(commits))),
            date=START + timedelta(days=draw(st.integers(0, 3))),
            subject=draw(SUBJECT),
            author=draw(AUTHOR),
            tagger=draw(st.sampled_from(["", f"Rel {number} <r@x>"])),
        )

    present = [fact(name, number) for number, name in enumerate(names[1:])]
    pushed = fact(names[0], 9)
    files = draw(st.sampled_from([(), commits[pushed.id], commits[pushed.id]]))

    def take(found):
        listed = sorted(sorted(found, key=lambda tag: tag.name), key=lambda tag: tag.date, reverse=True)
        kept = [
            (tag.name, tag.id)
            for tag in selector.order(listed)
            if selector.paths_reason([as_git_prints(path) for path in commits[tag.id]])
        ]
        return frozenset(kept[: selector.limit])

    return Scene(
        subscription=subscription,
        profile=profile,
        qualifiers=(f"refs/tags/{names[0]}",),
        files=files,
        before=take(present),
        after=take([*present, pushed]),
        gaps=frozenset(_path_gaps(selector, files) | ({"short names"} if names[0] == default else set())),
    )


def _warehouses(scene):
    watched = Warehouse(namespace="p1", name="watched", spec=WarehouseSpec(subscriptions=(scene.subscription,)))
    if not scene.profile.sound_filter:
        return [watched]
    # B1: somebody else's subscription to the same repository cannot be used.
    broken = {
        ImageSubscription: {"platform": "amd64"},
        ChartSubscription: {"semver_constraint": ">>1"},
        GitSubscription: {"include_paths": ("regex:(",)},
    }[type(scene.subscription)]
    neighbour = attrs.evolve(scene.subscription, **broken)
    return [Warehouse(namespace="p2", name="broken", spec=WarehouseSpec(subscriptions=(neighbour,))), watched]


def _known(scene):
    """True where Kargo is known to miss what its discovery takes."""
    return bool(scene.gaps) and not scene.profile.sound_filter


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(scene=st.one_of(images(), charts(), branches(), tags()))
def test_what_discovery_newly_takes_because_of_a_push_the_webhook_filter_lets_through(scene):
    assume(not _known(scene))
    new = scene.after - scene.before
    event("discovery takes something new" if new else "nothing new")
    push = Push(
        repo_urls=(selection.repository_key(scene.subscription, scene.profile),),
        qualifiers=scene.qualifiers,
        changed_files=scene.files,
    )
    found = matching.match(push, _warehouses(scene), scene.profile)
    assert found.failure is None
    assert not new or [each.name for each in found.refresh] == ["watched"]

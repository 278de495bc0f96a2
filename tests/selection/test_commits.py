"""Vectors of git-selection.json, walked over repositories that are described instead of cloned."""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kargo_lab import selection
from kargo_lab.errors import ExpressionError, SelectionError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.artifacts import Observation
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.selection import CommitFacts, TagFacts

DATA = json.loads((Path(__file__).parents[1] / "data" / "git-selection.json").read_text())
REPOSITORIES, CASES = DATA["repositories"], DATA["cases"]
FIELDS = {
    "commitSelectionStrategy": "commit_selection_strategy",
    "discoveryLimit": "discovery_limit",
    "branch": "branch",
    "semverConstraint": "semver_constraint",
    "strictSemvers": "strict_semvers",
    "allowTags": "allow_tags",
    "ignoreTags": "ignore_tags",
    "allowTagsRegexes": "allow_tags_regexes",
    "ignoreTagsRegexes": "ignore_tags_regexes",
    "includePaths": "include_paths",
    "excludePaths": "exclude_paths",
    "expressionFilter": "expression_filter",
    "since": "since",
}


def _selector(case, profile="latest"):
    given = {
        FIELDS[key]: tuple(value) if isinstance(value, list) else value for key, value in case["subscription"].items()
    }
    subscription = GitSubscription(repo_url="https://example.com/r", **({"strict_semvers": None} | given))
    return selection.build(subscription, PROFILES[profile])


def _date(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")


def _commits(repository):
    return {commit["key"]: commit for commit in repository["commits"]}


def _facts(commit):
    return CommitFacts(
        id=commit["key"],
        date=_date(commit["committer_date"]),
        author=commit["author"],
        committer=commit["committer"],
        subject=commit["subject"],
    )


def _first_parents(repository, tip, since):
    """git log --first-parent --since, which ends at the first commit that is older."""
    commits, key, line = _commits(repository), tip, []
    while key and not (since and _date(commits[key]["committer_date"]) < datetime.fromisoformat(since)):
        line.append(_facts(commits[key]))
        key = next(iter(commits[key]["parents"]), None)
    return line


def _tags(repository):
    """git for-each-ref --sort=-creatordate, with git's short names."""
    commits, found = _commits(repository), []
    for tag in sorted(repository["tags"], key=lambda tag: tag["name"].encode()):
        commit = commits[tag["commit"]]
        # A name that is a branch's as well comes out longer.
        name = tag["name"]
        if name in repository["branches"] or f"heads/{name}" in repository["branches"]:
            name = f"tags/{name}"
        date = _date(tag.get("tagger_date", commit["committer_date"]))
        told = {key: tag.get(key, "") for key in ("tagger", "annotation")}
        told |= {key: commit[key] for key in ("author", "committer", "subject")}
        found.append(TagFacts(name=name, id=tag["commit"], date=date, **told))
    return sorted(found, key=lambda tag: tag.date, reverse=True)


def _refs(repository):
    """git ls-remote, the IDs of annotated tags being made up."""
    heads = [(f"refs/heads/{name.removeprefix('heads/')}", tip) for name, tip in repository["branches"].items()]
    head = dict(heads)[f"refs/heads/{repository['default_branch']}"]
    tags = []
    for tag in repository["tags"]:
        own = f"tag-{tag['name']}" if tag["annotated"] else tag["commit"]
        tags.append((f"refs/tags/{tag['name']}", own))
        if tag["annotated"]:
            tags.append((f"refs/tags/{tag['name']}^{{}}", tag["commit"]))
    return [("HEAD", head), *heads, *tags]


def _discover(selector, repository):
    """The walk that sources make, without git: pairs of commit and tag."""
    paths = {key: commit["changed_paths"] for key, commit in _commits(repository).items()}
    if selector.by_tags:
        taken = [tag for tag in selector.order(_tags(repository)) if selector.paths_reason(paths[tag.id])]
        return [(tag.id, tag.name) for tag in taken[: selector.limit]]
    branch = selector.subscription.branch or repository["default_branch"]
    tip = {name.removeprefix("heads/"): tip for name, tip in repository["branches"].items()}[branch]
    taken = [
        commit
        for commit in _first_parents(repository, tip, selector.subscription.since)
        if selector.expression_reason(commit) and selector.paths_reason(paths[commit.id])
    ]
    return [(commit.id, "") for commit in taken[: selector.limit]]


def _param(case):
    return pytest.param(case, id=f"{case['repository']}: {case['case']}")


GOOD = [case for case in CASES if "result" in case]


@pytest.mark.parametrize("case", [_param(case) for case in GOOD])
def test_discovers_as_kargo_does(case):
    found = _discover(_selector(case), REPOSITORIES[case["repository"]])
    assert found == [(each["commit"], each.get("tag", "")) for each in case["result"]]


@pytest.mark.parametrize("case", [_param(case) for case in GOOD])
def test_observes_as_kargo_does(case):
    observed = _selector(case).observation(_refs(REPOSITORIES[case["repository"]]))
    shown = {"branchHead": observed.branch_head} if observed.tags is None else {"tags": [n for n, _ in observed.tags]}
    assert shown == case["observed"]


@pytest.mark.parametrize("case", [_param(case) for case in CASES if case.get("error") == "configuration"])
def test_a_subscription_that_kargo_cannot_use_is_refused(case):
    with pytest.raises(SelectionError):
        _selector(case)


EVENTS = [(case, ref, taken) for case in CASES for ref, taken in case.get("event_refs_accepted", {}).items()]


@pytest.mark.parametrize(
    ("case", "ref", "taken"), [pytest.param(c, r, t, id=f"{c['case']}: {r}") for c, r, t in EVENTS]
)
def test_a_webhook_for_a_ref_is_judged_as_kargo_does(case, ref, taken):
    assert bool(_selector(case).matches([ref])) is taken


def test_all_records_but_that_of_a_missing_branch_are_run():
    refused = [case for case in CASES if case.get("error") == "configuration"]
    assert (len(CASES), len(GOOD), len(refused)) == (66, 60, 5)


def _case(**members):
    return {"subscription": members}


def test_an_annotated_tag_is_observed_with_its_own_id():
    refs = [("refs/tags/v1", "t1"), ("refs/tags/v1^{}", "c1")]
    assert _selector(_case(commitSelectionStrategy="NewestTag")).observation(refs) == Observation(tags=(("v1", "t1"),))


def test_no_accepted_tag_is_an_observation_too():
    assert _selector(_case(commitSelectionStrategy="NewestTag")).observation([]) == Observation(tags=())


def test_a_missing_branch_gives_no_observation():
    assert _selector(_case(branch="nope")).observation([("HEAD", "c"), ("refs/heads/x/nope", "c")]) is None


@pytest.mark.parametrize(("count", "observed"), [(1000, True), (1001, False)])
def test_more_than_a_thousand_tags_are_not_observed(count, observed):
    refs = [(f"refs/tags/v{number}", "c") for number in range(count)]
    assert (_selector(_case(commitSelectionStrategy="Lexical")).observation(refs) is not None) is observed


@pytest.mark.parametrize(
    ("members", "pattern"),
    [
        ({"branch": "release/1.x"}, "refs/heads/release/1.x"),
        ({}, "HEAD"),
        ({"commitSelectionStrategy": "SemVer"}, "refs/tags/*"),
    ],
)
def test_asks_the_remote_for_what_it_observes(members, pattern):
    assert _selector(_case(**members)).remote_pattern == pattern


@pytest.mark.parametrize(
    ("profile", "sizes"),
    [("latest", [300, 600, 1000, 1000]), ("v1.6", [300, 300, 300, 300])],
)
def test_batches_grow_up_to_a_thousand(profile, sizes):
    assert list(itertools.islice(_selector(_case(discoveryLimit=300), profile).batch_sizes(), 4)) == sizes


@pytest.mark.parametrize(
    ("members", "filters"),
    [
        ({}, False),
        ({"includePaths": ["a"]}, True),
        ({"excludePaths": ["a"]}, True),
        ({"expressionFilter": "true"}, True),
    ],
)
def test_knows_whether_commits_are_taken_as_they_come(members, filters):
    assert _selector(_case(**members)).filters is filters


COMMIT = CommitFacts(id="c1", date=datetime(2026, 1, 1, tzinfo=UTC), author="A <a@x>", subject="fix: x")


@pytest.mark.parametrize(("profile", "built"), [("v1.9", False), ("v1.10", True)])
def test_an_expression_is_read_as_the_release_does(profile, built):
    case = _case(expressionFilter='string(b"ab") == "ab"')
    try:
        _selector(case, profile)
    except SelectionError:
        assert not built
    else:
        assert built


def test_a_filter_that_is_no_boolean_fails_the_pass():
    with pytest.raises(ExpressionError) as caught:
        _selector(_case(expressionFilter="subject")).expression_reason(COMMIT)
    assert caught.value.stage == "run"


@pytest.mark.parametrize(("year", "taken"), [(2026, True), (2027, False)])
def test_an_expression_may_ask_for_the_time(year, taken):
    selector = _selector(_case(expressionFilter="commitDate.Year() == now().Year()"))
    assert bool(selector.expression_reason(COMMIT, now=datetime(year, 2, 1, tzinfo=UTC))) is taken


def test_an_unknown_strategy_is_refused():
    with pytest.raises(SelectionError, match="commitSelectionStrategy"):
        _selector(_case(commitSelectionStrategy="Newest"))


def test_a_branch_strategy_follows_no_tag():
    assert _selector(_case(branch="main")).judge_tag("v1").rule == "strategy"


@pytest.mark.parametrize(("profile", "taken"), [("latest", False), ("recommended", True)])
def test_a_default_branch_of_another_name_is_missed_by_kargo_and_not_by_the_sound_filter(profile, taken):
    assert bool(_selector(_case(), profile).matches(["refs/heads/trunk"])) is taken


@pytest.mark.parametrize(("profile", "taken"), [("latest", False), ("recommended", True)])
def test_a_tag_named_like_the_branch_is_missed_by_kargo_and_not_by_the_sound_filter(profile, taken):
    case = _case(commitSelectionStrategy="NewestTag", allowTagsRegexes=["^tags/"])
    assert bool(_selector(case, profile).matches(["refs/tags/main"])) is taken


@pytest.mark.parametrize(("profile", "taken"), [("latest", False), ("recommended", True)])
def test_a_file_that_git_quotes_is_missed_by_kargo_and_not_by_the_sound_filter(profile, taken):
    case = _case(branch="main", excludePaths=["docs"])
    assert bool(_selector(case, profile).matches(["refs/heads/main"], ["docs/\u00e9.md"])) is taken


def test_a_ref_of_another_branch_is_refused_for_all_files():
    assert _selector(_case(branch="main", includePaths=["a"])).matches(["refs/heads/dev"], ["a"]).rule == "branch"


def test_several_refs_are_answered_together():
    reason = _selector(_case(branch="main")).matches(["refs/heads/a", "refs/tags/b"])
    assert (reason.rule, "refs/tags/b" in reason.text) == ("no-qualifier", True)

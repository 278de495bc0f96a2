"""The case ideas G12 to G28 of discovery.md 10.3 that need no repository: paths, orders, expressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.selection import commits, paths
from kargo_lab.selection.commits import CommitFacts, CommitSelector, TagFacts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def selector(strategy: str = "NewestFromBranch", **settings: Any) -> CommitSelector:
    return commits.build(
        GitSubscription(repo_url="https://g.example/a/b", commit_selection_strategy=strategy, **settings)
    )


def commit(author: str = "Ada <ada@x.example>") -> CommitFacts:
    return CommitFacts(id="c1", date=NOON, author=author, committer=author, subject="fix")


def tag(name: str, *, minutes: int = 0, tagger: str = "") -> TagFacts:
    when = NOON + timedelta(minutes=minutes)
    return TagFacts(name=name, id=name, date=when, author="Ada <a@x>", committer="Ada <a@x>", subject="", tagger=tagger)


APPS: dict[str, Any] = {"include_paths": ("apps",)}
NOT_DOCS: dict[str, Any] = {"include_paths": ("apps",), "exclude_paths": ("apps/docs",)}


@pytest.mark.parametrize(
    ("settings", "changed", "selected"),
    [
        pytest.param(NOT_DOCS, ("apps/a", "apps/docs/b"), True, id="G12 one path that is not excluded is enough"),
        pytest.param(NOT_DOCS, ("apps/docs/b",), False, id="G13 only excluded paths are not"),
        pytest.param(
            {"include_paths": ("apps/guestbook",)}, ("apps/guestbook2/x",), False, id="G14 a prefix ends at a slash"
        ),
        pytest.param({"include_paths": ("glob:**/*.yaml",)}, ("a/b.yaml",), True, id="G15 a glob"),
        pytest.param({"include_paths": (r"regex:\.ya?ml$",)}, ("a/b.yml",), True, id="G16 a regex is not anchored"),
        pytest.param(APPS, ("apps/v1..2/x",), False, id="G17 two dots are out of reach"),
        pytest.param({"include_paths": ("docs",)}, (paths.as_git_prints("docs/é.md"),), False, id="G18 a quoted path"),
        pytest.param(APPS, ("apps/a", "libs/a"), True, id="G19 a file moved away counts under both names"),
        pytest.param(APPS, (), False, id="G20 an empty commit passes no path filter"),
    ],
)
def test_paths(settings: dict[str, Any], changed: tuple[str, ...], selected: bool) -> None:
    assert bool(selector(**settings).paths_reason(changed)) is selected


@pytest.mark.parametrize(
    ("strategy", "settings", "tags", "expected"),
    [
        pytest.param(
            "SemVer", {"semver_constraint": "^1"}, [tag("1.0.0"), tag("v1.1.0")], ["v1.1.0", "1.0.0"], id="G21 a v"
        ),
        pytest.param(
            "NewestTag", {}, [tag("a"), tag("b", minutes=1, tagger="T <t@x>")], ["b", "a"], id="G22 the creator's date"
        ),
        pytest.param("Lexical", {}, [tag("a"), tag("b")], ["b", "a"], id="G24 Lexical takes the greatest name"),
    ],
)
def test_orders(strategy: str, settings: dict[str, Any], tags: list[TagFacts], expected: list[str]) -> None:
    # NewestTag trusts git's own order, which is by creator date.
    listed = sorted(tags, key=lambda each: (-each.date.timestamp(), each.name))
    assert [each.name for each in selector(strategy, **settings).order(listed)] == expected


@pytest.mark.parametrize(
    ("expression", "author", "selected"),
    [
        pytest.param("!(author contains 'bot')", "a bot <b@x>", False, id="G25 a bot's commit"),
        pytest.param("!(author contains 'bot')", "Ada <a@x>", True, id="G25 somebody else's"),
        pytest.param("1", "Ada <a@x>", True, id="G27 one is true"),
        pytest.param("tag == nil", "Ada <a@x>", True, id="G28 a commit has no tag"),
    ],
)
def test_expressions(expression: str, author: str, selected: bool) -> None:
    assert bool(selector(expression_filter=expression).expression_reason(commit(author))) is selected


def test_g26_text_that_is_no_boolean_fails_the_discovery() -> None:
    with pytest.raises(ExpressionError):
        selector(expression_filter="'yes'").expression_reason(commit())

"""The case ideas of discovery.md 10.3 that want a repository, against the embedded Git host."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.githost import GitHost
from kargo_lab.resources.artifacts import CommitDiscovery
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.sources import git
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, Shared

NAMES = (f"ideas/{number}" for number in itertools.count())
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def host() -> Iterator[GitHost]:
    with GitHost() as running:
        yield running


class Repo:
    """A repository of its own with one commit, and what the last discovery found."""

    def __init__(self, host: GitHost) -> None:
        self.host, self.name, self.ledger = host, next(NAMES), Ledger()
        self.found: CommitDiscovery | None = None
        host.create_repository(self.name)
        self.first = self.commit("first")

    def commit(self, message: str, *, when: datetime = BEGINNING, branch: str = "main") -> str:
        return self.host.commit(self.name, files={message: message}, message=message, when=when, branch=branch)

    def find(self, **settings: Any) -> list[str]:
        """The IDs that are found; `kinds` says by which operations."""
        wanted = GitSubscription(repo_url=f"{self.host.url}/{self.name}.git", **settings)
        self.ledger.clear()
        context = Context(shared=Shared(ledger=self.ledger), clock=VirtualClock(), previous=self.found)
        self.found = git.discover(wanted, context)
        return [commit.id for commit in self.found.commits]

    @property
    def kinds(self) -> list[str]:
        return [row.kind for row in self.ledger.rows if not row.is_request]


@pytest.fixture
def repo(host: GitHost) -> Repo:
    return Repo(host)


def test_g01_an_unchanged_tip_costs_one_listing(repo: Repo) -> None:
    assert repo.find() == repo.find() == [repo.first]
    assert repo.kinds == ["ls-remote"]


def test_g02_a_moved_tip_is_cloned_and_comes_first(repo: Repo) -> None:
    repo.find()
    second = repo.commit("second")
    assert repo.find() == [second, repo.first]
    assert repo.kinds == ["ls-remote", "clone"]


def test_g06_without_a_branch_the_default_one_is_followed_and_not_named(repo: Repo) -> None:
    repo.find()
    assert repo.found is not None
    assert [commit.branch for commit in repo.found.commits] == [""]


def test_g07_a_missing_branch_is_an_error(repo: Repo) -> None:
    with pytest.raises(UpstreamError):
        repo.find(branch="nobody")


def test_g11_the_fortieth_commit_is_found_in_a_later_batch(repo: Repo) -> None:
    for number in range(39):
        repo.commit(f"more-{number}")
    assert repo.find(include_paths=("first",), discovery_limit=20) == [repo.first]


def test_g23_of_equal_dates_the_lesser_name_comes_first(repo: Repo) -> None:
    repo.host.tags(repo.name, ["b", "a"])
    repo.find(commit_selection_strategy="NewestTag")
    assert repo.found is not None
    assert [commit.tag for commit in repo.found.commits] == ["a", "b"]


def test_g29_since_leaves_older_commits_out(repo: Repo) -> None:
    second = repo.commit("second", when=BEGINNING + timedelta(days=2))
    assert repo.find(since="2026-01-02T00:00:00Z") == [second]


def test_g32_a_tag_that_moves_is_another_commit(repo: Repo) -> None:
    repo.host.tags(repo.name, ["1.0.0"])
    assert repo.find(commit_selection_strategy="SemVer") == [repo.first]
    second = repo.commit("second")
    repo.host.delete_ref(repo.name, "refs/tags/1.0.0")
    repo.host.tags(repo.name, ["1.0.0"])
    assert repo.find(commit_selection_strategy="SemVer") == [second]
    assert repo.kinds == ["ls-remote", "clone", "fetch tags"]


def test_g33_a_tag_that_is_not_taken_changes_nothing(repo: Repo) -> None:
    repo.host.tags(repo.name, ["1.0.0"])
    repo.find(commit_selection_strategy="SemVer", allow_tags_regexes=("^1",))
    repo.host.tags(repo.name, ["2.0.0"])
    repo.find(commit_selection_strategy="SemVer", allow_tags_regexes=("^1",))
    assert repo.kinds == ["ls-remote"]

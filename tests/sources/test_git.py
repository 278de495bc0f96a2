"""Commits: every record of git-selection.json and of the git part of request-counts.json, with the real git."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import LabError, SelectionError, UpstreamError
from kargo_lab.platforms.githost import GitHost
from kargo_lab.profiles import LATEST, PROFILES, Profile
from kargo_lab.resources.artifacts import CommitDiscovery, Observation
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.sources import git, git_commands
from kargo_lab.sources.credentials import Credentials
from kargo_lab.sources.ledger import GIT, Ledger
from kargo_lab.sources.shared import Context, Shared

FOLDER = Path(__file__).parents[1] / "data"
DATA = json.loads((FOLDER / "git-selection.json").read_text())
COUNTS = json.loads((FOLDER / "request-counts.json").read_text())["git"]
ERRORS = {"configuration": SelectionError, "discovery": LabError}
DELETED = {("a7", "apps/web/side.yaml"), ("a9", "charts/web/Chart.yaml")}
FIELDS = {
    "commitSelectionStrategy": "commit_selection_strategy",
    "discoveryLimit": "discovery_limit",
    "branch": "branch",
    "strictSemvers": "strict_semvers",
    "semverConstraint": "semver_constraint",
    "allowTags": "allow_tags",
    "ignoreTags": "ignore_tags",
    "allowTagsRegexes": "allow_tags_regexes",
    "ignoreTagsRegexes": "ignore_tags_regexes",
    "includePaths": "include_paths",
    "excludePaths": "exclude_paths",
    "expressionFilter": "expression_filter",
    "since": "since",
    "blobless": "blobless",
}


def run(place: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", "-C", str(place), *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


def stamp(date: str) -> str:
    """`2026-01-01 10:00:00 +0500` as fast-import reads it."""
    from datetime import datetime

    moment = datetime.strptime(date, "%Y-%m-%d %H:%M:%S %z")
    return f"{int(moment.timestamp())} {date.rpartition(' ')[2]}"


def data(text: str) -> bytes:
    encoded = text.encode()
    return b"data %d\n%s\n" % (len(encoded), encoded)


def stream(document: dict[str, Any]) -> bytes:
    """The repository as a fast-import stream. Author dates lie years before, so that nobody mixes the two up."""
    marks = {commit["key"]: number for number, commit in enumerate(document["commits"], 1)}
    trees: dict[str, dict[str, str]] = {}
    parts: list[bytes] = []
    for commit in document["commits"]:
        key, parents = commit["key"], commit["parents"]
        tree = dict(trees[parents[0]]) if parents else {}
        parts.append(f"commit refs/build/{key}\nmark :{marks[key]}\n".encode())
        parts.append(f"author {commit['author']} {stamp('2020-01-01 00:00:00 +0000')}\n".encode())
        parts.append(f"committer {commit['committer']} {stamp(commit['committer_date'])}\n".encode())
        parts.append(data(commit["message"]))
        for word, parent in zip(("from", "merge"), parents, strict=False):
            parts.append(f"{word} :{marks[parent]}\n".encode())
        for path in commit["changed_paths"]:
            if (key, path) in DELETED:
                parts.append(f"D {path}\n".encode())
                continue
            tree[path] = trees[parents[1]][path] if len(parents) > 1 else f"{key} {path}"
            parts.append(f"M 100644 inline {path}\n".encode() + data(tree[path]))
        trees[key] = tree
    for name, key in document["branches"].items():
        parts.append(f"reset refs/heads/{name.removeprefix('heads/')}\nfrom :{marks[key]}\n\n".encode())
    for tag in document["tags"]:
        target = f"from :{marks[tag['commit']]}\n"
        if tag["annotated"]:
            parts.append(f"tag {tag['name']}\n{target}tagger {tag['tagger']} {stamp(tag['tagger_date'])}\n".encode())
            parts.append(data(tag["annotation"]))
        else:
            parts.append(f"reset refs/tags/{tag['name']}\n{target}\n".encode())
    return b"".join(parts)


@attrs.frozen
class Built:
    """A repository on disk, and the real ID of each commit."""

    url: str
    ids: dict[str, str]


def bare(place: Path, document: dict[str, Any]) -> Built:
    place.mkdir()
    run(place, "init", "--bare", "-q", "-b", document["default_branch"], ".")
    run(place, "fast-import", "--quiet", stdin=stream(document))
    ids = {each["key"]: run(place, "rev-parse", f"refs/build/{each['key']}").strip() for each in document["commits"]}
    for key in ids:
        run(place, "update-ref", "-d", f"refs/build/{key}")
    return Built(str(place), ids)


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    folder = tmp_path_factory.mktemp("git")
    return {name: bare(folder / name, document) for name, document in DATA["repositories"].items()}


def subscription(url: str, document: dict[str, Any]) -> GitSubscription:
    settings = {FIELDS[name]: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
    return GitSubscription(repo_url=url, **settings)


def context(
    *,
    profile: Profile = LATEST,
    previous: CommitDiscovery | None = None,
    path: str = os.environ["PATH"],
    credentials: Credentials | None = None,
) -> Context:
    shared = Shared(ledger=Ledger(), profile=profile, environment={"PATH": path})
    return Context(shared=shared, clock=VirtualClock(), previous=previous, credentials=credentials or Credentials())


def operations(asked: Context) -> list[str]:
    return [row.kind for row in asked.ledger.rows if row.method == GIT]


def shown(found: CommitDiscovery, ids: dict[str, str]) -> list[dict[str, str]]:
    keys = {real: key for key, real in ids.items()}
    listed = []
    for commit in found.commits:
        date = commit.creator_date.strftime("%Y-%m-%dT%H:%M:%SZ") if commit.creator_date else ""
        members = {
            "branch": commit.branch,
            "tag": commit.tag,
            "subject": commit.subject,
            "author": commit.author,
            "committer": commit.committer,
            "creatorDate": date,
            "commit": keys[commit.id],
        }
        listed.append({name: value for name, value in members.items() if value})
    return listed


class Remembering(git_commands.Git):
    """Runs every network operation once and remembers it: the same few repositories serve some sixty records."""

    known: ClassVar[dict[tuple[str, ...], Any]] = {}

    def _once(self, *key: str, ask: Callable[[], Any]) -> Any:
        if (self._url, *key) not in self.known:
            self.known[self._url, *key] = ask()
        return self.known[self._url, *key]

    def ls_remote(self, pattern: str) -> Any:
        return self._once("ls-remote", pattern, ask=lambda: super(Remembering, self).ls_remote(pattern))

    def clone(self, *, branch: str = "", blobless: bool = False) -> None:
        def ask() -> Path:
            super(Remembering, self).clone(branch=branch, blobless=blobless)
            return self._repo.rename(self._home.with_name(f"{self._home.name}-kept"))

        self._repo = self._once("clone", branch, ask=ask)

    def tags(self) -> Any:
        return self._once("tags", ask=super().tags)


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(git_commands, "Git", Remembering)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.getbasetemp()))


@pytest.mark.parametrize(
    "record", [pytest.param(each, id=f"{each['repository']}: {each['case']}") for each in DATA["cases"]]
)
@pytest.mark.usefixtures("remembering")
def test_which_commits_are_found(repositories: dict[str, Built], record: dict[str, Any]) -> None:
    built = repositories[record["repository"]]
    wanted = subscription(built.url, record["subscription"])
    if "error" in record:
        with pytest.raises(ERRORS[record["error"]]):
            git.discover(wanted, context())
        return
    found = git.discover(wanted, context())
    assert shown(found, built.ids) == record["result"]
    observed = found.observed or Observation()
    if "branchHead" in record["observed"]:
        assert observed.branch_head == built.ids[record["observed"]["branchHead"]]
    else:
        assert [name for name, _ in observed.tags or ()] == record["observed"]["tags"]


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory, repositories: dict[str, Built]) -> dict[str, str]:
    """The repositories that git-selection.json describes in words."""
    folder = tmp_path_factory.mktemp("odd")
    blob, separator, empty = (folder / name for name in ("blob", "separator", "empty"))
    for place, origin in ((blob, "ties"), (separator, "separator")):
        subprocess.run(["git", "clone", "-q", "--bare", repositories[origin].url, str(place)], check=True)
    run(blob, "tag", "odd", run(blob, "hash-object", "-w", "--stdin", stdin=b"x").strip())
    run(separator, "tag", "bad", repositories["separator"].ids["s2"])
    empty.mkdir()
    run(empty, "init", "--bare", "-q", ".")
    return {place.name: f"file://{place}" for place in (blob, separator, empty)}


@pytest.mark.parametrize("strategy", ["SemVer", "Lexical", "NewestTag"])
@pytest.mark.parametrize("name", ["blob", "separator"])
def test_an_odd_tag_fails_every_tag_strategy(odd: dict[str, str], name: str, strategy: str) -> None:
    with pytest.raises(UpstreamError):
        git.discover(GitSubscription(repo_url=odd[name], commit_selection_strategy=strategy), context())


def test_an_empty_repository_fails_the_branch_strategy(odd: dict[str, str]) -> None:
    with pytest.raises(UpstreamError):
        git.discover(GitSubscription(repo_url=odd["empty"]), context())


def test_an_empty_repository_is_an_empty_result_for_tags(odd: dict[str, str]) -> None:
    found = git.discover(GitSubscription(repo_url=odd["empty"], commit_selection_strategy="NewestTag"), context())
    assert (found.commits, found.observed) == ((), Observation(tags=()))


# Operations

TAGGED = ("SemVer", "Lexical", "NewestTag")
UNCHANGED = ("as in the last pass, spec unchanged", "only a tag that the name filters refuse")
OBSERVED_OTHERWISE = {
    "tip moved": Observation(branch_head="0" * 40),
    "an accepted tag": Observation(tags=(("x", "0"),)),
}


@pytest.fixture
def failing_listing(tmp_path: Path) -> str:
    """A PATH whose git cannot list remotes."""
    script = tmp_path / "git"
    script.write_text(f'#!/bin/sh\nPATH={os.environ["PATH"]}\n[ "$1" = ls-remote ] && exit 128\nexec git "$@"\n')
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def previous_for(record: dict[str, Any], found: CommitDiscovery) -> CommitDiscovery | None:
    """The last pass as the words of the case have it."""
    case = record["case"]
    if any(words in case for words in UNCHANGED):
        return found
    otherwise = next((seen for words, seen in OBSERVED_OTHERWISE.items() if case.startswith(words)), None)
    if otherwise is not None or "observed nothing" in case:
        return attrs.evolve(found, observed=otherwise)
    return None


@pytest.mark.parametrize("record", [pytest.param(each, id=f"{each['strategy']}: {each['case']}") for each in COUNTS])
def test_operations(
    repositories: dict[str, Built], failing_listing: str, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, case = record["strategy"], record["case"]
    if "more than 1000" in case:
        monkeypatch.setattr("kargo_lab.selection.commits.MOST_OBSERVED_TAGS", 3)
    wanted = GitSubscription(
        repo_url=repositories["tags"].url,
        commit_selection_strategy=strategy,
        branch="nope" if "does not exist" in case else record.get("branch", ""),
        include_paths=tuple(record.get("includePaths", ())),
        blobless=record.get("blobless"),
    )
    profile = PROFILES["v1.10"] if record["until"] == "1.10" else LATEST
    path = failing_listing if case.startswith("the listing fails") else os.environ["PATH"]
    if record.get("outcome") == "error":
        asked = context(profile=profile, path=path)
        with pytest.raises(UpstreamError):
            git.discover(wanted, asked)
    else:
        first = git.discover(wanted, context(profile=profile))
        asked = context(profile=profile, path=path, previous=previous_for(record, first))
        git.discover(wanted, asked)
    assert operations(asked) == record["operations"]


def test_the_previous_commits_come_back_as_they_were(repositories: dict[str, Built]) -> None:
    wanted = GitSubscription(repo_url=repositories["history"].url)
    first = git.discover(wanted, context())
    assert git.discover(wanted, context(previous=first)) is first


@pytest.mark.parametrize(
    ("profile", "arguments"),
    [
        pytest.param("latest", ["--filter", "blob:none"], id="since v1.11"),
        pytest.param("v1.10", [], id="not before"),
    ],
)
def test_blobless_adds_a_filter(
    repositories: dict[str, Built], tmp_path: Path, profile: str, arguments: list[str]
) -> None:
    script, seen = tmp_path / "git", tmp_path / "seen"
    real = os.environ["PATH"]
    script.write_text(f'#!/bin/sh\nPATH={real}\necho "$*" >> {seen}\nexec git "$@"\n')
    script.chmod(0o755)
    wanted = GitSubscription(repo_url=repositories["ties"].url, blobless=True)
    git.discover(wanted, context(profile=PROFILES[profile], path=f"{tmp_path}:{real}"))
    clone = next(line for line in seen.read_text().splitlines() if line.startswith("clone"))
    assert all(argument in clone for argument in arguments)
    assert ("--filter" in clone) is bool(arguments)


def test_older_releases_list_every_reachable_commit(repositories: dict[str, Built]) -> None:
    built = repositories["merges"]
    found = git.discover(GitSubscription(repo_url=built.url), context(profile=PROFILES["v1.9"]))
    assert len(found.commits) == len(built.ids)


def test_older_releases_see_no_paths_in_a_clean_merge(repositories: dict[str, Built]) -> None:
    built = repositories["merges"]
    wanted = GitSubscription(repo_url=built.url, include_paths=("a",))
    found = git.discover(wanted, context(profile=PROFILES["v1.9"]))
    assert built.ids["m3"] not in [commit.id for commit in found.commits]


def test_v1_6_clones_the_branch_that_a_tag_strategy_names(repositories: dict[str, Built], tmp_path: Path) -> None:
    wanted = GitSubscription(repo_url=repositories["tags"].url, commit_selection_strategy="NewestTag", branch="nope")
    assert git.discover(wanted, context()).commits
    with pytest.raises(UpstreamError):
        git.discover(wanted, context(profile=PROFILES["v1.6"]))


# Over HTTP


@pytest.fixture(scope="module")
def host() -> Any:
    with GitHost() as running:
        running.create_repository("acme/web")
        running.commit("acme/web", files={"README.md": "hello"}, message="first")
        yield running


def http_seen(host: GitHost) -> list[tuple[str, str, int]]:
    return [(row.method, row.path, row.status) for row in host.access_log.rows]


def http_sent(asked: Context) -> list[tuple[str, str, int]]:
    return [(row.method, row.path, row.status) for row in asked.ledger.requests]


@pytest.mark.parametrize("strategy", ["NewestFromBranch", "NewestTag"])
def test_the_ledger_agrees_with_the_access_log(host: GitHost, strategy: str) -> None:
    host.access_log.clear()
    asked = context()
    git.discover(GitSubscription(repo_url=f"{host.url}/acme/web.git", commit_selection_strategy=strategy), asked)
    assert http_sent(asked) == http_seen(host)
    assert {row.source for row in asked.ledger.rows} == {host.host}


def test_credentials_are_in_no_row_and_no_error(host: GitHost) -> None:
    asked = context(credentials=Credentials(username="lab", password="wr0ng-p4ss"))
    with pytest.raises(UpstreamError) as caught:
        git.discover(GitSubscription(repo_url=f"{host.url}/acme/missing.git"), asked)
    assert "wr0ng-p4ss" not in f"{caught.value} {asked.ledger.rows} {asked.credentials!r} {asked!r}"


def test_homes_are_gone_afterwards(
    repositories: dict[str, Built], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    git.discover(GitSubscription(repo_url=repositories["ties"].url), context())
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_commands, "LOW_SPEED_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UpstreamError, match="git clone"):
        git.discover(GitSubscription(repo_url=f"http://127.0.0.1:{silent.getsockname()[1]}/a.git"), context())


def test_a_git_that_is_not_there_is_an_upstream_error(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="cannot be run"):
        git.discover(GitSubscription(repo_url="https://g.example/a"), context(path=str(tmp_path)))


# Reading output


def test_a_line_beyond_64_kib_fails_the_commit_list_and_ends_others() -> None:
    output = b"a\n" + b"x" * git_commands.LINE_LIMIT + b"\nb\n"
    assert list(git_commands.lines(output)) == ["a"]
    with pytest.raises(UpstreamError):
        list(git_commands.lines(output, strict=True))


@pytest.mark.parametrize(
    ("subject", "kept"),
    [pytest.param("x" * 80, "x" * 80, id="80 bytes stay"), pytest.param("x" * 81, "x" * 77 + "...", id="81 are cut")],
)
def test_subjects(subject: str, kept: str) -> None:
    assert git.shortened(subject, LATEST) == kept


def test_requests_that_git_retried_after_a_challenge_are_two_rows() -> None:
    trace = (
        "=> Send header: GET /a.git/info/refs?service=git-upload-pack HTTP/1.1\n=> Send header: Host: h:1\n"
        "<= Recv header: HTTP/1.1 401 Unauthorized\n"
        "=> Send header: GET /a.git/info/refs?service=git-upload-pack HTTP/1.1\n=> Send header: Host: h:1\n"
        "<= Recv header: HTTP/1.1 100 Continue\n<= Recv header: HTTP/1.1 200 OK\n<= Recv header: Content-Length: 7\n"
    )
    rows = git_commands.http_rows(trace, VirtualClock().now())
    assert [(row.status, row.source, row.path, row.bytes) for row in rows] == [
        (401, "h:1", "/a.git/info/refs", 0),
        (200, "h:1", "/a.git/info/refs", 7),
    ]

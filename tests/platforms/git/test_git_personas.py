"""Which action makes which requests: the table by itself, and with real pushes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.git.bodies import WRITERS
from kargo_lab.platforms.git.personas import PERSONAS, branch_matches, wants
from kargo_lab.platforms.git.scene import RefChange
from kargo_lab.platforms.habits import HABITS
from kargo_lab.platforms.hooks import Hook

ZEROS, ONE, TWO = "0" * 40, "1" * 40, "2" * 40
FATES = {"created": (ZEROS, ONE), "updated": (ONE, TWO), "deleted": (ONE, ZEROS)}


def change(ref: str, fate: str) -> RefChange:
    return RefChange(ref=ref, before=FATES[fate][0], after=FATES[fate][1])


def refs(kind: str, fate: str, count: int) -> list[RefChange]:
    return [change(f"refs/{kind}/n{number}", fate) for number in range(count)]


def events(persona: str, *changes: RefChange) -> list[str]:
    return [request.event for request in PERSONAS[persona].requests(changes)]


@pytest.mark.parametrize(
    ("persona", "ref", "fate", "expected"),
    [
        ("gitea", "refs/heads/x", "created", ["create", "push"]),
        ("gitea", "refs/heads/x", "updated", ["push"]),
        ("gitea", "refs/heads/x", "deleted", ["delete"]),
        ("gitea", "refs/tags/x", "created", ["push", "create"]),
        ("gitea", "refs/tags/x", "updated", ["push", "create"]),
        ("gitea", "refs/tags/x", "deleted", ["push", "delete"]),
        ("github", "refs/heads/x", "created", ["push", "create"]),
        ("github", "refs/heads/x", "updated", ["push"]),
        ("github", "refs/heads/x", "deleted", ["push", "delete"]),
        ("github", "refs/tags/x", "created", ["push", "create"]),
        ("github", "refs/tags/x", "updated", ["push"]),
        ("github", "refs/tags/x", "deleted", ["push", "delete"]),
        ("gitlab", "refs/heads/x", "created", ["push"]),
        ("gitlab", "refs/heads/x", "deleted", ["push"]),
        ("gitlab", "refs/tags/x", "created", ["tag_push"]),
        ("gitlab", "refs/tags/x", "deleted", ["tag_push"]),
        ("bitbucket", "refs/heads/x", "deleted", ["repo:push"]),
        ("bitbucket", "refs/tags/x", "created", ["repo:push"]),
        ("bitbucket-data-center", "refs/tags/x", "deleted", ["repo:refs_changed"]),
        ("azure-devops", "refs/heads/x", "created", ["git.push"]),
    ],
)
def test_one_ref(persona: str, ref: str, fate: str, expected: list[str]) -> None:
    assert events(persona, change(ref, fate)) == expected


@pytest.mark.parametrize(
    ("persona", "changes", "count"),
    [
        pytest.param("gitea", refs("heads", "updated", 5), 5, id="Gitea: one request a ref"),
        pytest.param("github", refs("tags", "created", 3), 6, id="GitHub: three tags are told"),
        pytest.param("github", refs("tags", "created", 4), 0, id="GitHub: four tags are not told"),
        pytest.param(
            "github",
            [*refs("tags", "created", 4), change("refs/heads/x", "updated")],
            1,
            id="GitHub: branches still are",
        ),
        pytest.param("gitlab", refs("heads", "updated", 3), 3, id="GitLab: three branches are told"),
        pytest.param("gitlab", refs("heads", "updated", 4), 0, id="GitLab: four branches are not told"),
        pytest.param("gitlab", refs("tags", "created", 4), 0, id="GitLab: four tags are not told"),
        pytest.param(
            "gitlab",
            [*refs("tags", "created", 4), change("refs/heads/x", "updated")],
            1,
            id="GitLab: the limit counts refs of one kind and fate",
        ),
        pytest.param("bitbucket", refs("heads", "updated", 5), 1, id="Bitbucket Cloud: one request for all refs"),
        pytest.param(
            "bitbucket-data-center", refs("tags", "created", 5), 1, id="Data Center: one request for all refs"
        ),
        pytest.param("azure-devops", refs("tags", "created", 5), 1, id="Azure DevOps: one request for all refs"),
    ],
)
def test_several_refs_in_one_push(persona: str, changes: list[RefChange], count: int) -> None:
    assert len(events(persona, *changes)) == count


@pytest.mark.parametrize(
    ("persona", "opened", "merged", "closed"),
    [
        ("gitea", ["pull_request"], ["pull_request"], ["pull_request"]),
        ("github", ["pull_request"], ["pull_request"], ["pull_request"]),
        ("gitlab", ["merge_request"], ["merge_request"], ["merge_request"]),
        ("bitbucket", ["pullrequest:created"], ["pullrequest:fulfilled"], ["pullrequest:rejected"]),
        ("bitbucket-data-center", ["pr:opened"], ["pr:merged"], ["pr:declined"]),
        (
            "azure-devops",
            ["git.pullrequest.created", "git.pullrequest.merged"],
            ["git.pullrequest.updated", "git.pullrequest.merged"],
            ["git.pullrequest.updated"],
        ),
    ],
)
def test_pull_requests(persona: str, opened: list[str], merged: list[str], closed: list[str]) -> None:
    told = [
        [request.event for request in PERSONAS[persona].pull_requests(what)] for what in ("opened", "merged", "closed")
    ]
    assert told == [opened, merged, closed]


def test_every_persona_has_a_writer_and_a_habit() -> None:
    assert PERSONAS.keys() == WRITERS.keys()
    assert {persona.habit for persona in PERSONAS.values()} <= HABITS.keys()


@pytest.mark.parametrize(
    ("hook", "event", "ref", "wanted"),
    [
        pytest.param({}, "push", "refs/heads/main", True, id="subscribed"),
        pytest.param({}, "create", "refs/heads/main", False, id="not subscribed"),
        pytest.param({"active": False}, "push", "refs/heads/main", False, id="inactive"),
        pytest.param({"events": ("*",)}, "create", "refs/heads/main", True, id="subscribed to everything"),
        pytest.param({"branch_filter": "release/*"}, "push", "refs/heads/main", False, id="another branch"),
        pytest.param({"branch_filter": "release/*"}, "push", "refs/heads/release/1", True, id="a branch of the filter"),
        pytest.param({"branch_filter": "release/*"}, "push", "refs/tags/v1", True, id="tags pass every filter"),
    ],
)
def test_who_hears_what(hook: dict[str, Any], event: str, ref: str, wanted: bool) -> None:
    assert wants(Hook(id=1, url="", **hook), event, [change(ref, "updated")]) is wanted


def test_pull_request_stands_for_its_finer_events() -> None:
    assert wants(Hook(id=1, url="", events=("pull_request",)), "pull_request_sync")


@pytest.mark.parametrize(
    ("pattern", "branch", "matches"),
    [
        ("main", "main", True),
        ("main", "maintenance", False),
        ("feature/*", "feature/a/b", True),
        ("{main,release/*}", "release/2", True),
        ("{main,release/*}", "other", False),
        ("v[0-9]", "v1", True),
        ("v[!0-9]", "v1", False),
        ("v?", "v1", True),
        ("{a,{b,c}}d", "cd", True),
        ("a,b", "a,b", True),
        (r"\*", "*", True),
        (r"\*", "x", False),
        ("{a", "a", False),
        ("a.b", "axb", False),
        ("[a&&b]", "&", True),
        ("[a--b]", "-", True),
        ("[[]", "[", True),
        ("{a,b}" * 40, "ab" * 20, True),
    ],
)
def test_branch_filters_are_globs(pattern: str, branch: str, matches: bool) -> None:
    assert branch_matches(pattern, branch) is matches


@given(pattern=st.text(max_size=20), branch=st.text(max_size=20))
def test_any_filter_is_answered(pattern: str, branch: str) -> None:
    assert branch_matches(pattern, branch) in {True, False}


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_a_real_push_of_two_branches_and_a_tag(persona: str, scene, git, work) -> None:
    one = scene(persona)
    work(one.host)
    work("a", "1")
    git("branch", "second", at="work")
    git("tag", "v1", at="work")
    git("push", "-q", "origin", "main", "second", "v1", at="work")
    expected = {
        "github": ["push", "create"] * 3,
        "gitlab": ["push", "push", "tag_push"],
        "bitbucket": ["repo:push"],
        "bitbucket-data-center": ["repo:refs_changed"],
        "azure-devops": ["git.push"],
    }.get(persona, ["create", "push", "create", "push", "push", "create"])
    assert one.events() == expected


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_the_test_button_names_the_repository(persona: str, scene) -> None:
    one = scene(persona)
    one.host.commit("acme/app", {"a": "1"})
    one.sent()
    one.host.test_hook(one.hook)
    body = one.sent()[0].body.decode()
    assert "app" in body or '"test":true' in body


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_an_empty_repository_has_nothing_to_test_with(persona: str, scene) -> None:
    one = scene(persona)
    assert one.host.test_hook(one.hook) == ""

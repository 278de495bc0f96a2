"""What an expression sees in each of Kargo's environments, member by member."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import CRITERIA, GENERIC, Artifact, Artifacts, Commit, Image, Time
from kargo_lab.rules.expressions.environments import query_values

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def lower(text: str) -> str:
    return text.lower()


def trimmed(text: str) -> str:
    return text.removesuffix("/")


FOUND = Artifacts(
    commits=(
        (
            "https://x/A",
            (Commit(id="1", branch="b", tag="t", subject="s", author="a", committer="c", creator_date=NOON),),
        ),
        ("https://x/second", (Commit(id="2"), Commit(id="3"))),
    ),
    images=(("nginx/", (Image(tag="t", digest="d", annotations={"k": "v"}, created_at=NOON),)),),
    charts=(("https://c/", "web", ("2.0.0", "1.0.0")), ("https://c/", "db", ("3.0.0",))),
    artifacts=(("m", (Artifact(artifact_type="at", subscription_name="m", version="7", metadata={"x": [1.5]}),)),),
)


def criteria(text: str) -> Any:
    functions = expressions.criteria_functions(
        FOUND, normalize_git=lower, normalize_image=trimmed, normalize_chart=trimmed
    )
    return expressions.compile(text, environment=CRITERIA).run(functions=functions)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("commitFrom('HTTPS://X/a').ID", "1"),
        ("commitFrom('https://x/a').Branch", "b"),
        ("commitFrom('https://x/a').Tag", "t"),
        ("commitFrom('https://x/a').Subject", "s"),
        ("commitFrom('https://x/a').Author", "a"),
        ("commitFrom('https://x/a').Committer", "c"),
        ("commitFrom('https://x/a').CreatorDate.Time.Hour()", 12),
        ("commitFrom('https://x/second').ID", "2"),
        ("'ID' in commitFrom('https://x/second')", True),
        ("'Nope' in commitFrom('https://x/second')", False),
        ("commitFrom('https://x/second').CreatorDate", None),
        ("commitFrom('https://x/none')", None),
        ("imageFrom('nginx').Tag", "t"),
        ("imageFrom('nginx/').Digest", "d"),
        ("imageFrom('nginx').Annotations.k", "v"),
        ("imageFrom('nginx').CreatedAt.Hour()", 12),
        ("imageFrom('httpd')", None),
        ("imageFrom('nginx') == imageFrom('nginx/')", True),
        ("chartFrom('https://c').RepoURL", "https://c"),
        ("chartFrom('https://c').Name", "web"),
        ("chartFrom('https://c').Version", "2.0.0"),
        ("chartFrom('https://c').SubscriptionName", ""),
        ("chartFrom('https://c/', 'db').Version", "3.0.0"),
        ("chartFrom('https://c', 'nope')", None),
        ("artifactFrom('m').ArtifactType", "at"),
        ("artifactFrom('m').SubscriptionName", "m"),
        ("artifactFrom('m').Version", "7"),
        ("artifactFrom('m').Metadata.x[0]", 1.5),
        ("artifactFrom('M')", None),
        ("type(commitFrom('https://x/a'))", "github.com/akuity/kargo/api/v1alpha1.DiscoveredCommit"),
        ("type(imageFrom('nginx'))", "github.com/akuity/kargo/api/v1alpha1.DiscoveredImageReference"),
        ("type(artifactFrom('m'))", "github.com/akuity/kargo/api/v1alpha1.ArtifactReference"),
        ("type(commitFrom('https://x/a').CreatorDate)", "k8s.io/apimachinery/pkg/apis/meta/v1.Time"),
    ],
)
def test_criteria_see_every_member_of_what_was_discovered(text: str, value: Any) -> None:
    assert criteria(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("commitFrom(1)", "cannot use int as argument (type string) to call commitFrom"),
        ("commitFrom()", "not enough arguments to call commitFrom"),
        ("chartFrom('a', 'b', 'c')", "too many arguments to call chartFrom"),
        ("commitFrom('a').Nope", "type v1alpha1.DiscoveredCommit has no field Nope"),
        ("imageFrom('a').Nope", "type v1alpha1.DiscoveredImageReference has no field Nope"),
        ("chartFrom('a').Nope", "type v1alpha1.Chart has no field Nope"),
        ("artifactFrom('a').Nope", "type v1alpha1.ArtifactReference has no field Nope"),
        ("imageFrom('a').CreatedAt.Nope", "type v1.Time has no field Nope"),
        ("imageFrom('a').CreatedAt.Before(now())", "cannot use time.Time as argument (type *v1.Time) to call Before"),
    ],
)
def test_criteria_are_checked_against_the_declared_types(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text, environment=CRITERIA)
    assert refused.value.message == message


@pytest.mark.parametrize("name", ["commitFrom", "imageFrom", "chartFrom", "artifactFrom"])
def test_a_value_of_unknown_type_is_judged_when_the_function_runs(name: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        criteria(f"{name}(artifactFrom('m').Metadata.x)")
    assert refused.value.message == f"cannot use []interface {{}} as argument to call {name}"


def test_a_filter_on_commits_sees_five_variables() -> None:
    found = expressions.commit_variables(commit_id="1", commit_date=NOON, author="a", committer="c", subject="s")
    date = found.pop("commitDate")
    assert (date.nanoseconds, found) == (
        Time.of(NOON).nanoseconds,
        {"id": "1", "author": "a", "committer": "c", "subject": "s"},
    )


def test_a_lightweight_tag_has_neither_tagger_nor_annotation() -> None:
    found = expressions.tag_variables(tag="t", commit_id="1", creator_date=NOON, author="", committer="", subject="")
    assert (found["tagger"], found["annotation"]) == ("", "")


def test_a_filter_on_tags_sees_eight_variables() -> None:
    moment = Time.of(NOON)
    found = expressions.tag_variables(
        tag="t",
        commit_id="1",
        creator_date=moment,
        author="a",
        committer="c",
        subject="s",
        tagger="g",
        annotation="n",
    )
    assert found == {
        "tag": "t",
        "id": "1",
        "creatorDate": moment,
        "author": "a",
        "committer": "c",
        "subject": "s",
        "tagger": "g",
        "annotation": "n",
    }


def asked(text: str) -> Any:
    request = expressions.request_variables(
        body={"a": 1.0},
        headers=[("HOST", "x"), ("X-A", "1"), ("x-a", "2")],
        query="q=1&q=2&e",
        parameters={"p": "v"},
        normalize_git=lower,
        normalize_image=trimmed,
        normalize_chart=lambda url: url + "!",
    )
    return expressions.compile(text, environment=GENERIC).run(request)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("request.body.a", 1.0),
        ("request.header('X-a')", "1"),
        ("request.headers('X-A')", ["1", "2"]),
        ("request.headers('host') == nil", True),
        ("request.header('nope')", ""),
        ("request.params('q')", "1"),
        ("request.params('e')", ""),
        ("request.params('nope')", ""),
        ("params.p", "v"),
        ("normalizeGit('A')", "a"),
        ("normalizeImage('A/')", "A"),
        ("normalizeChart('A')", "A!"),
    ],
)
def test_the_generic_receiver_sees_the_request(text: str, value: Any) -> None:
    assert asked(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request.header(1)", "cannot use int as argument to call header"),
        ("request.headers(1)", "cannot use int as argument to call headers"),
        ("request.params(1)", "cannot use int as argument to call params"),
        ("normalizeGit(1)", "cannot use int as argument to call normalizeGit"),
        ("request.header()", "invalid number of arguments: expected 1, got 0"),
    ],
)
def test_functions_of_the_request_take_one_text(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        asked(text)
    assert (refused.value.stage, refused.value.message) == ("run", message)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("a=1=2&b", {"a": "1=2", "b": ""}),
        ("%41=%4a%4A", {"A": "JJ"}),
        ("a=%", {}),
        ("a=%4g&b=1", {"b": "1"}),
        ("a=%4X&b=1", {"b": "1"}),
        ("a=%4ax", {"a": "Jx"}),
        ("a=%g4&b=1", {"b": "1"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a=%ff", {"a": "\udcff"}),
        ("x=1;y=2&z=3", {"z": "3"}),
        ("=v", {"": "v"}),
    ],
)
def test_a_query_is_read_as_go_reads_it(query: str, found: dict[str, str]) -> None:
    assert query_values(query) == found

"""The steps by themselves: what they change, answer and refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from kargo_lab.engine.clock import WallClock
from kargo_lab.engine.pipeline.scope import Scope
from kargo_lab.engine.pipeline.steps import STEPS
from kargo_lab.engine.pipeline.steps.work import Work
from kargo_lab.errors import LabError, PipelineError
from kargo_lab.platforms.githost import GitHost
from kargo_lab.resources.pipeline import Freight, FreightImage, Origin, Promotion, PromotionStep, Variable
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Shared

PROMOTION = Promotion(namespace="p", name="dev.1.f", stage="dev", freight="f", vars=(Variable(name="who", value="me"),))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    import os

    shared = Shared(ledger=Ledger(), environment={"PATH": os.environ["PATH"]})
    return Work(promotion=PROMOTION, alias="s", directory=tmp_path, shared=shared, clock=WallClock())


def updated(work: Work, text: str, key: str, value: Any) -> str:
    (work.files / "a.yaml").write_text(text)
    STEPS["yaml-update"]({"path": "a.yaml", "updates": [{"key": key, "value": value}]}, work)
    return (work.files / "a.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "key", "value", "expected"),
    [
        pytest.param("# c\na: 1\nb: 2 # d\n", "a", "x", "# c\na: x\nb: 2 # d\n", id="the other lines stay"),
        pytest.param("a: 'old' # c\n", "a", "new", "a: new\n", id="the rest of the line goes"),
        pytest.param("a: x\n", "a", "1.10", 'a: "1.10"\n', id="a text that reads as a number is quoted"),
        pytest.param("a: x\n", "a", True, "a: true\n", id="a boolean is none"),
        pytest.param("a: x\n", "a", 1234567, "a: 1.234567e+06\n", id="a number is a float"),
        pytest.param("l:\n- n: x\n- n: y\n", "l.1.n", "z", "l:\n- n: x\n- n: z\n", id="an element of a list"),
        pytest.param("a.b: x\n", "a\\.b", "y", "a.b: y\n", id="a dot in a key"),
    ],
)
def test_yaml_update_changes_one_scalar(work: Work, text: str, key: str, value: Any, expected: str) -> None:
    assert updated(work, text, key, value) == expected


@pytest.mark.parametrize(
    ("text", "key"), [("a: 1\n", "b"), ("a: {b: 1}\n", "a"), ("a: [", "a"), ("[" * 5000, "0")], ids=range(4)
)
def test_yaml_update_refuses_what_it_cannot_change(work: Work, text: str, key: str) -> None:
    with pytest.raises(PipelineError, match=r"Promotion p/dev\.1\.f, step s: "):
        updated(work, text, key, "x")


@pytest.mark.parametrize(
    ("status", "body", "config", "outcome"),
    [
        (200, "{}", {}, "Succeeded"),
        (500, "{}", {}, "Failed"),
        (500, "{}", {"successExpression": "response.status == 500"}, "Succeeded"),
        (200, '{"done": false}', {"successExpression": "response.body.done"}, "Failed"),
        (
            200,
            '{"state": "wait"}',
            {
                "successExpression": "response.body.state == 'ok'",
                "failureExpression": "response.body.state == 'bad'",
            },
            "Running",
        ),
    ],
)
def test_http_is_judged_by_its_expressions(
    work: Work, httpserver: HTTPServer, status: int, body: str, config: dict[str, Any], outcome: str
) -> None:
    httpserver.expect_ordered_request("/x").respond_with_data(body, status=status)
    assert STEPS["http"]({"url": httpserver.url_for("/x"), **config}, work).status == outcome


def test_http_keeps_what_its_outputs_name(work: Work, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/x", method="POST", data='{"a": 1}').respond_with_json({"id": "7"})
    config = {
        "url": httpserver.url_for("/x"),
        "method": "POST",
        "body": '{"a": 1}',
        "outputs": [{"name": "id", "fromExpression": "response.body.id"}],
    }
    assert STEPS["http"](config, work).output == {"id": "7"}


def test_http_without_an_answer_fails(work: Work) -> None:
    assert STEPS["http"]({"url": "http://127.0.0.1:9/", "timeout": "1s"}, work).status == "Failed"


@pytest.fixture
def host() -> Iterator[GitHost]:
    with GitHost() as running:
        running.create_repository("team/app")
        running.commit("team/app", {"a": "1", "b": "2"})
        yield running


def cloned(host: GitHost, work: Work, **checkout: Any) -> None:
    config = {"repoURL": host.clone_url("team/app"), "checkout": [{"path": "src", **checkout}]}
    STEPS["git-clone"](config, work)


def test_two_promotions_push_to_one_branch_without_losing_either(host: GitHost, work: Work) -> None:
    cloned(host, work, branch="main")
    host.commit("team/app", {"b": "3"})
    (work.files / "src/a").write_text("9")
    STEPS["git-commit"]({"path": "src", "message": "mine"}, work)
    STEPS["git-push"]({"path": "src"}, work)
    store = host.forge.store(host.forge.repository("team/app"))
    assert (store.run("show", "main:a"), store.run("show", "main:b")) == ("9", "3")


def test_a_commit_without_changes_is_skipped(host: GitHost, work: Work) -> None:
    cloned(host, work, branch="main")
    result = STEPS["git-commit"]({"path": "src", "message": "none"}, work)
    assert (result.status, result.output) == ("Skipped", {"commit": host.refs("team/app")["refs/heads/main"]})


def test_a_branch_that_is_not_there_is_made_where_that_is_wanted(host: GitHost, work: Work) -> None:
    cloned(host, work, branch="stage/dev", create=True)
    STEPS["git-clear"]({"path": "src"}, work)
    (work.files / "src/only").write_text("x")
    STEPS["git-commit"]({"path": "src", "message": "first"}, work)
    STEPS["git-push"]({"path": "src", "targetBranch": "stage/dev"}, work)
    store = host.forge.store(host.forge.repository("team/app"))
    assert store.run("ls-tree", "--name-only", "stage/dev").split() == ["only"]


@pytest.mark.parametrize(
    "checkout", [{"branch": "none"}, {"branch": "--upload-pack=x"}, {"branch": "a..b"}, {"path": "../out"}]
)
def test_a_checkout_that_cannot_be_is_refused(host: GitHost, work: Work, checkout: dict[str, Any]) -> None:
    with pytest.raises(PipelineError):
        cloned(host, work, **checkout)


def test_a_repository_that_is_not_there_is_an_error(host: GitHost, work: Work) -> None:
    with pytest.raises(LabError):
        STEPS["git-clone"]({"repoURL": f"{host.url}/no/one", "checkout": [{"path": "src"}]}, work)


def test_a_working_tree_of_somebody_else_is_refused(work: Work) -> None:
    (work.files / "src").mkdir()
    (work.files / "src/.git").write_text("gitdir: /etc/x/y/z")
    with pytest.raises(PipelineError, match="no working tree"):
        STEPS["git-commit"]({"path": "src", "message": "x"}, work)


def test_pull_requests_at_a_provider_that_the_lab_does_not_know_are_refused_by_name(work: Work) -> None:
    config = {"repoURL": "https://gitlab.com/a/b", "provider": "gitlab", "sourceBranch": "x", "targetBranch": "main"}
    with pytest.raises(PipelineError, match="'gitlab' are beyond this lab; it knows gitea, github"):
        STEPS["git-open-pr"](config, work)


IMAGE = FreightImage(repo_url="ghcr.io/team/app", tag="1.2", digest="sha256:1")
SCOPE = Scope(
    promotion=PROMOTION,
    freight=(Freight(namespace="p", name="f", origin=Origin(name="w"), images=(IMAGE,)),),
    stage_vars=(Variable(name="env", value="${{ ctx.stage }}-eu"),),
    outputs={"push": {"commit": "abc"}},
)
STEP = PromotionStep(uses="noop", alias="s", vars=(Variable(name="greeting", value="hi ${{ vars.who }}"),))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ('${{ imageFrom("ghcr.io/team/app").Tag }}', 1.2),
        ('${{ quote(imageFrom("ghcr.io/team/app").Tag) }}', "1.2"),
        ('${{ imageFrom("GHCR.io/team/app", warehouse("w")).Digest }}', "sha256:1"),
        ('${{ imageFrom("ghcr.io/team/app", warehouse("v")) == nil }}', True),
        ("${{ vars.env }}/${{ vars.greeting }}", "dev-eu/hi me"),
        ("${{ outputs.push.commit }}", "abc"),
        ({"a": ["${{ ctx.project }}"]}, {"a": ["p"]}),
        ("plain", "plain"),
    ],
)
def test_expressions_see_freight_variables_and_outputs(template: Any, value: Any) -> None:
    assert SCOPE.evaluate(template, STEP) == value

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer

from kargo_lab import payloads
from kargo_lab.cli.record import command as record
from kargo_lab.cli.send import command
from kargo_lab.errors import UsageError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_delivery_arrives_signed_with_its_parameters(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/x").respond_with_json({"msg": "refreshed 1 warehouse(s)"})
    result = run("github", "push", "--url", httpserver.url_for("/x"), "--secret", "s", "--set", "branch=dev")
    request, _ = httpserver.log[0]
    assert (result.exit_code, request.json["ref"], request.headers["X-Hub-Signature-256"][:7]) == (
        0,
        "refs/heads/dev",
        "sha256=",
    )


def test_a_refusal_is_exit_status_1(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/x").respond_with_json({"error": "unauthorized"}, status=401)
    result = run("gitea", "push", "--url", httpserver.url_for("/x"), "--json")
    assert (result.exit_code, json.loads(result.output)["status"]) == (1, 401)


def test_each_delivery_is_a_new_one() -> None:
    lines = {run("github", "push", "--url", "http://h/x", "--print").output for _ in range(2)}
    assert len(lines) == 2


def test_print_shows_a_command_and_sends_nothing() -> None:
    result = run("dockerhub", "push", "--url", "http://127.0.0.1:9/x", "--print", "--set", "tag=v9")
    assert (result.exit_code, result.output.startswith("curl "), '"tag":"v9"' in result.output) == (0, True, True)


def test_save_writes_a_delivery_file_without_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "push.http"
    run("gitlab", "push", "--save", str(path), "--secret", "s3cr3t")
    assert (payloads.read(path).header("x-gitlab-event"), "s3cr3t" in path.read_text()) == ("Push Hook", False)


def test_a_file_is_sent_as_it_is(tmp_path: Path, httpserver: HTTPServer) -> None:
    path = tmp_path / "push.http"
    path.write_text("POST / HTTP/1.1\nX-A: b\n\n{}\n")
    httpserver.expect_oneshot_request("/x", headers={"X-A": "b"}, data="{}").respond_with_data("")
    assert run("generic", "--file", str(path), "--url", httpserver.url_for("/x")).exit_code == 0


def test_list_shows_what_there_is() -> None:
    result = run("--list", "gitlab", "tag_push")
    assert "gitlab/tag-push-hook/annotated" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["github"], id="no event"),
        pytest.param(["github", "push"], id="no URL"),
        pytest.param(["github", "push", "--url", "http://h", "--set", "tag"], id="no value"),
        pytest.param(["github", "push", "--url", "http://h", "--set", "nonsense=1"], id="no such parameter"),
        pytest.param(["--list", "cvs"], id="no such platform"),
    ],
)
def test_words_that_do_not_fit_are_a_usage_error(arguments: list[str]) -> None:
    assert isinstance(run(*arguments).exception, UsageError)


def test_a_recorder_cannot_listen_nowhere() -> None:
    assert isinstance(CliRunner().invoke(record, ["--listen", "127.0.0.1:nowhere"]).exception, UsageError)

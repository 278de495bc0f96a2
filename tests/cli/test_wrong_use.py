"""What the machine refuses ends as one sentence and status 2; no command shows a traceback for it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kargo_lab import cli
from kargo_lab.cli import main

RESOURCES = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {name: shop}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def resources(tmp_path: Path) -> str:
    path = tmp_path / "r.yaml"
    path.write_text(RESOURCES)
    return str(path)


def says(result: Result, text: str) -> tuple[int, bool, str]:
    assert not isinstance(result.exception, OSError | ValueError), result.exception
    return result.exit_code, text in result.stderr, result.stdout


def test_the_api_port_of_serve_is_taken(resources: str, taken: str) -> None:
    result = run("serve", "--resources", resources, "--listen", "127.0.0.1:0", "--api", taken)
    assert says(result, f"cannot serve the lab API on {taken}: Address already in use") == (2, True, "")


def test_a_certificate_that_is_none_is_named(resources: str) -> None:
    result = run(
        "serve", "--resources", resources, "--listen", "127.0.0.1:0", "--tls-cert", resources, "--tls-key", resources
    )
    assert says(result, f"{resources} and {resources} are no certificate and its key") == (2, True, "")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("send", "github", "push", "--save", "{file}/x"), id="send --save"),
        pytest.param(("record", "--listen", "127.0.0.1:0", "--into", "{file}/x"), id="record --into"),
        pytest.param(("conformance", "run", "--select", "paths", "--report", "{file}/x"), id="conformance --report"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(arguments: tuple[str, ...], resources: str) -> None:
    result = run(*(each.format(file=resources) for each in arguments))
    assert says(result, f"{resources}/x: Not a directory") == (2, True, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "github", "push", "--url", "http://h", "--timeout", "-1"),
        ("conformance", "run", "--jobs", "0"),
        ("conformance", "run", "--rerun", "-1"),
        ("conformance", "prove", "--jobs", "0"),
        ("record", "--count", "-1"),
    ],
    ids=" ".join,
)
def test_a_number_out_of_range_is_refused(arguments: tuple[str, ...]) -> None:
    assert says(run(*arguments), "is not in the range") == (2, True, "")


def test_an_interrupted_command_did_not_run_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: interrupted)
    assert says(run("serve"), "interrupted") == (2, True, "")


def test_a_reader_who_leaves_is_no_error_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def unread() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: unread)
    assert run("serve").stderr == ""


def test_a_host_that_nobody_knows_is_no_place_for_the_api(resources: str) -> None:
    result = run("serve", "--resources", resources, "--listen", "127.0.0.1:0", "--api", "no.such.host.invalid:80")
    assert says(result, "cannot serve the lab API on no.such.host.invalid:80: ") == (2, True, "")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("send", "github", "push", "--url", "{url}"), id="send"),
        pytest.param(("status", "--url", "{url}"), id="status"),
        pytest.param(("testbed", "burn", "--api", "{url}"), id="testbed"),
    ],
)
def test_where_nobody_listens_the_reason_is_all_that_is_told(arguments: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = run(*(each.format(url=url) for each in arguments))
    assert says(result, "Connection refused") == (2, True, "")
    assert "Pool" not in result.stderr


@pytest.fixture
def reports(tmp_path: Path) -> str:
    (tmp_path / "other.json").write_text('{"format": "somebody-elses"}')
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "torn.json").write_text('{"format": "kargo-lab/report/v1", "cases": 3}')
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    return str(tmp_path)


WRONG = {
    "run --select github/psh": "did you mean github/push",
    "run --select nonsense": "ids begin with artifactory, ",
    "run --select github --select !github": "the patterns of --select take out all that they select",
    "run --profile v1.12": "no profile is called 'v1.12'",
    "run --level strict": "has the level strict",
    "run --target nonsense": "there is no target 'nonsense'",
    "run --target nonsense.yaml": "nonsense.yaml: this target file cannot be read: No such file",
    "run --report {here}/text.json": "nothing can be written into",
    "run --report {here}/text.json/below": "nothing can be written into",
    "run --report {here}/taken": "report.html is a folder",
    "run --report /proc": "nothing can be written into /proc",
    "run -n 0": "is not in the range",
    "run --target http://127.0.0.1:{port} --select paths": "Connection refused",
    "show nonsense": "selects no case",
    "list --level core --select freight --profile v1.6 --select !freight": "no case is left",
    "diff {here}/text.json {here}/other.json": "text.json: this is not JSON",
    "diff {here}/other.json {here}/text.json": "other.json: this is no report of kargo-lab/report/v1",
    "matrix {here}/torn.json": "cases: expected a list, found the number 3",
    "matrix {here}/nowhere.json": "does not exist",
    "manifests --git nonsense": "'nonsense' is no address",
    "manifests --registry http://lab:5000": "expected something like lab:5000",
    "manifests --target reference": "is no target file that says where",
    "leftovers --target reference": "is no target file of the kind kubernetes",
}


@pytest.mark.parametrize("line", WRONG)
def test_conformance_says_what_is_wrong_before_it_runs_anything(line: str, reports: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run("conformance", *line.format(here=reports, port=port).split())
    assert says(result, WRONG[line]) == (2, True, ""), result.stderr
    assert "Traceback" not in result.stderr


def test_a_target_file_names_the_profile_that_it_is_judged_by(tmp_path: Path) -> None:
    path = tmp_path / "target.yaml"
    path.write_text("name: t\nurl: http://127.0.0.1:9\nprofile: v1.6\n")
    by_file = run("conformance", "list", "--target", str(path)).stdout
    assert by_file == run("conformance", "list", "--profile", "v1.6").stdout
    assert by_file != run("conformance", "list").stdout

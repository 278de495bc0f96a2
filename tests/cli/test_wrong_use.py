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

"""The root of the command line: what it lists, how it fails, with which exit status."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kargo_lab import cli
from kargo_lab.cli import COMMANDS, main
from kargo_lab.cli.options import address
from kargo_lab.errors import UsageError

RESOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: kargo-demo}
stringData: {secret: s3cr3t}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: kargo-demo, namespace: kargo-demo}
spec:
  webhookReceivers:
  - {name: gh-wh-receiver, github: {secretRef: {name: s}}}
  - {name: my-receiver, generic: {secretRef: {name: s}}}
"""
DIGEST = "763a22b10bbffc064c6aa8b4057dfb89ac54f9149bed251023c79271d89c08bd"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="kargo-lab")


def written() -> list[str]:
    return main.list_commands(click.Context(main))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.yaml").write_text(RESOURCES)
    return tmp_path


def test_help_lists_the_commands_that_are_written() -> None:
    listed = re.findall(r"^  (\w+) {2,}\w", run("--help").output.partition("Commands:")[2], re.MULTILINE)
    assert listed == written()


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from kargo_lab.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name.startswith(('kargo_lab.cli.', 'flask', 'pandas', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in written()])
def test_each_command_helps_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"kargo-lab {name}" in result.output


@pytest.mark.parametrize("name", ["nope", *(name for name in COMMANDS if name not in written())])
def test_a_command_that_is_not_there_is_used_wrongly(name: str) -> None:
    assert (run(name).exit_code, "No such command" in run(name).output) == (2, True)


def test_the_version_is_told() -> None:
    assert re.match(r"kargo-lab, version \S+", run("--version").output)


def test_our_errors_are_one_message_and_status_two(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise UsageError("the sentence")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing)
    result = run("serve")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: the sentence\n")


def test_receivers_prints_urls_and_masks_those_that_are_the_only_secret(folder: Path) -> None:
    result = run("receivers", "--resources", str(folder), "--base-url", "https://kargo.example.com")
    assert result.exit_code == 0
    assert f"https://kargo.example.com/github/{DIGEST}" in result.stdout
    assert re.search(r"https://kargo\.example\.com/generic/[0-9a-f]{8}…$", result.stdout, re.MULTILINE)


def test_receivers_shows_everything_when_asked(folder: Path) -> None:
    result = run("receivers", "--resources", str(folder), "--show-secrets")
    assert len(re.findall(r"/[0-9a-f]{64}$", result.stdout, re.MULTILINE)) == 2


def test_receivers_writes_json(folder: Path) -> None:
    import json

    rows = json.loads(run("receivers", "--resources", str(folder), "--json").stdout)
    assert [(row["project"], row["name"], row["type"]) for row in rows] == [
        ("kargo-demo", "gh-wh-receiver", "github"),
        ("kargo-demo", "my-receiver", "generic"),
    ]


def test_receivers_says_what_cannot_be_built_and_is_not_good(folder: Path) -> None:
    (folder / "r.yaml").write_text(RESOURCES.replace("stringData: {secret", "stringData: {other"))
    result = run("receivers", "--resources", str(folder))
    assert result.exit_code == 1
    assert 'missing "secret" data key for GitHub WebhookReceiver' in result.stderr


def test_receivers_without_any_says_so(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("---\n")
    result = run("receivers", "--resources", str(tmp_path))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no receiver in these resources\n")


def test_a_file_with_mistakes_is_status_two(folder: Path) -> None:
    (folder / "r.yaml").write_text(RESOURCES.replace("github:", "githb:"))
    result = run("receivers", "--resources", str(folder))
    assert (result.exit_code, "did you mean `github`" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":80", ("127.0.0.1", 80)),
        ("localhost", ("localhost", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert address(text, default_port=8080) == expected


@pytest.mark.parametrize("text", ["127.0.0.1:x", "h:65536", "h:", "h:-1", "1:2:3", "::1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        address(text, default_port=8080)

"""`kargo-lab discover` on embedded platforms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kargo_lab.cli import main
from kargo_lab.engine.rehearsal import redirected
from kargo_lab.errors import UsageError
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Subscription

WAREHOUSE = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: w, namespace: p}}
spec:
  subscriptions:
  - image: {{repoURL: {host}/acme/web, discoveryLimit: 1, constraint: ^1.0.0}}
"""


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        running.push("acme/web", make_image("a"), "1.0.0", "1.1.0", "2.0.0", "latest")
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.yaml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["discover", *arguments])


def test_it_says_what_is_found_and_why_not_the_rest(registry: Registry, file: Path) -> None:
    file.write_text(WAREHOUSE.format(host=registry.host))
    result = run(str(file))
    assert result.exit_code == 0, result.output
    assert "1  1.1.0  sha256:" in result.output
    for words in ("1.0.0: as many as discoveryLimit", "2.0.0: ", "latest: ", "manifest-by-tag", "5 requests"):
        assert words in result.output


def test_as_json(registry: Registry, file: Path) -> None:
    file.write_text(WAREHOUSE.format(host=registry.host))
    found: dict[str, Any] = json.loads(run(str(file), "--json").output)
    (subscription,) = found["subscriptions"]
    assert [each["name"] for each in subscription["leftOut"]] == ["2.0.0", "latest", "1.0.0"]
    assert len(found["ledger"]) == 5


def test_another_host_can_be_asked(registry: Registry, file: Path) -> None:
    file.write_text(WAREHOUSE.format(host="ghcr.io"))
    assert run(str(file), "--against", registry.url).exit_code == 0


def test_a_failure_is_shown_and_is_exit_status_one(file: Path) -> None:
    file.write_text(WAREHOUSE.format(host="127.0.0.1:1"))
    result = run(str(file))
    assert (result.exit_code, "failed: " in result.output) == (1, True)


def test_files_without_a_warehouse_are_a_wrong_use(file: Path) -> None:
    file.write_text("")
    assert run(str(file)).exit_code == 2


@pytest.mark.parametrize(
    ("subscription", "url"),
    [
        pytest.param(ImageSubscription(repo_url="ghcr.io/acme/web"), "h:1/acme/web", id="an image elsewhere"),
        pytest.param(ImageSubscription(repo_url="acme/web"), "h:1/acme/web", id="an image at Docker Hub"),
        pytest.param(GitSubscription(repo_url="https://g.example/a/b.git"), "http://h:1/a/b.git", id="git"),
        pytest.param(ChartSubscription(repo_url="oci://g.example/a"), "oci://h:1/a", id="a chart in a registry"),
        pytest.param(ChartSubscription(repo_url="https://g.example/a"), "http://h:1/a", id="a classic chart"),
    ],
)
def test_repositories_at_another_host(subscription: Subscription, url: str) -> None:
    assert getattr(redirected(subscription, "http://h:1"), "repo_url") == url  # noqa: B009 - one type has none


def test_an_scp_style_url_cannot_be_moved() -> None:
    with pytest.raises(UsageError, match="write it as a URL"):
        redirected(GitSubscription(repo_url="git@g.example:a/b"), "http://h:1")

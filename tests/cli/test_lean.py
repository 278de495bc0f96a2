"""`--lean` reaches the sources: the same images for fewer requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kargo_lab.cli import main
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry

MANIFEST = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: {name}, namespace: p}}
spec: {{subscriptions: [{{image: {{repoURL: {host}/acme/web}}}}]}}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Iterator[Path]:
    with Registry() as registry:
        registry.push("acme/web", make_image("one"), "1.0.0", "1.1.0")
        text = "---".join(MANIFEST.format(name=name, host=registry.host) for name in ("a", "b"))
        (tmp_path / "warehouses.yaml").write_text(text)
        yield tmp_path / "warehouses.yaml"


def discovered(*arguments: str) -> Any:
    ended = CliRunner().invoke(main, ["discover", *arguments, "--json"])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_the_second_warehouse_of_a_repository_asks_for_nothing(manifests: Path) -> None:
    faithful, lean = discovered(str(manifests)), discovered(str(manifests), "--lean")
    assert lean["subscriptions"] == faithful["subscriptions"]
    assert {row["warehouse"] for row in faithful["ledger"]} == {"p/a", "p/b"}
    assert {row["warehouse"] for row in lean["ledger"]} == {"p/a"}

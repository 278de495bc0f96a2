"""What an empty result is called; whole passes are in test_reconciliation."""

from __future__ import annotations

import pytest

from kargo_lab.engine import conditions
from kargo_lab.resources.artifacts import (
    ChartDiscovery,
    Commit,
    CommitDiscovery,
    DiscoveredArtifacts,
    GenericDiscovery,
    ImageDiscovery,
)

CODE = CommitDiscovery(repo_url="https://g.example/acme/web", commits=(Commit(id="c0ffee"),))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(None, "No artifacts discovered", id="no discovery yet"),
        pytest.param(DiscoveredArtifacts(), "No artifacts discovered", id="no result at all"),
        pytest.param(
            DiscoveredArtifacts(git=(CODE, CommitDiscovery(repo_url="https://g.example/acme/api"))),
            'No commits discovered for Git repository "https://g.example/acme/api"',
            id="the one repository without commits",
        ),
        pytest.param(
            DiscoveredArtifacts(git=(CODE,), images=(ImageDiscovery(repo_url="r.example/acme/web"),)),
            'No references discovered for image repository "r.example/acme/web"',
            id="no tags",
        ),
        pytest.param(
            DiscoveredArtifacts(charts=(ChartDiscovery(repo_url="https://c.example", name="web"),)),
            'No versions discovered for chart "web" from repository "https://c.example"',
            id="no versions of a named chart",
        ),
        pytest.param(
            DiscoveredArtifacts(charts=(ChartDiscovery(repo_url="oci://r.example/charts/web"),)),
            'No versions discovered for chart  from repository "oci://r.example/charts/web"',
            id="no versions in a registry",
        ),
    ],
)
def test_an_empty_result_says_what_is_missing(found: DiscoveredArtifacts | None, message: str) -> None:
    fault = conditions.invalid(found)
    assert fault is not None
    assert fault[1] == message


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(DiscoveredArtifacts(git=(CODE,)), id="commits"),
        pytest.param(DiscoveredArtifacts(results=(GenericDiscovery(name="bucket"),)), id="an empty generic result"),
    ],
)
def test_a_usable_result_is_no_fault(found: DiscoveredArtifacts) -> None:
    assert conditions.invalid(found) is None

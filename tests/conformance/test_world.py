"""What arrives at the lab's sources is counted for the repository that it was for."""

from __future__ import annotations

import pytest
import requests

from kargo_lab.conformance.cases import load, select
from kargo_lab.conformance.plans import plan
from kargo_lab.conformance.world import World


@pytest.mark.parametrize(
    ("asked", "counted"),
    [
        pytest.param("team/app", {"team": 0, "team/app": 1}, id="the longer path"),
        pytest.param("team", {"team": 1, "team/app": 0}, id="the shorter path"),
        pytest.param("team/application", {"team": 1, "team/app": 0}, id="a path of no repository"),
    ],
)
def test_a_request_counts_for_the_longest_path_that_begins_its_own(asked: str, counted: dict[str, int]) -> None:
    (case,) = select(load(), ["artifactory/push/image/in-range"])
    with World() as world:
        each = plan(case, world.addresses, 7)
        requests.get(f"http://{world.addresses.registry}/v2/{case.slug}/{asked}/tags/list", timeout=10)
        marks = world.marks(each)
    assert {path: marks[f"registry:{case.slug}/{path}"] for path in counted} == counted

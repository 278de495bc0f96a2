"""What docs/lean.md says is what is measured."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kargo_lab.experiments import lean
from kargo_lab.experiments.lean import Asking, Saving

PAGE = (Path(__file__).parents[2] / "docs" / "lean.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def savings() -> tuple[Saving, ...]:
    return lean.measure()


def test_the_table_in_the_documentation_is_the_measured_one(savings: tuple[Saving, ...]) -> None:
    assert lean.as_markdown(savings) in PAGE


def test_of_a_fleet_s_requests_at_most_a_tenth_is_left(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if each.share > 0.1] == []


def test_one_warehouse_never_asks_for_more(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if each.lean > each.faithful] == []


def test_docker_hub_counts_nothing_of_what_is_left(savings: tuple[Saving, ...]) -> None:
    assert sum(each.fleet_lean_pulls for each in savings) == 0


def test_kargo_s_warehouses_share_nothing_in_a_warm_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "TAGS", 3)
    with lean.ExitStack() as stack:
        subject = next(each for each in lean.subjects(stack) if "indexes" in each.strategy)
        asking, counts = Asking(attrs.evolve(subject.subscription, discovery_limit=2), lean=False), []
        for warehouses in (1, 1, 4):
            subject.log.clear()
            for number in range(warehouses):
                asking.look(number)
            counts.append(len(subject.log.rows))
    assert counts[2] == 4 * counts[1]

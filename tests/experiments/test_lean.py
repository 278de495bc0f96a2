"""What docs/lean.md says is what is measured."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.experiments import lean
from kargo_lab.experiments.lean import Asking, Saving, Subject

PAGE = (Path(__file__).parents[2] / "docs" / "lean.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def savings() -> tuple[Saving, ...]:
    """All without login, but for what takes long, and each kind with one."""
    return lean.measure(wanted=quick)


def quick(subject: Subject) -> bool:
    slow = subject.strategy.startswith("image NewestBuild, indexes")
    told = subject.strategy.startswith(("image SemVer", "image Digest", "git Lexical", "chart"))
    return not slow and (told or subject.login == "none")


def lines(text: str) -> dict[tuple[str, str], list[str]]:
    """The numbers of a table by strategy and login."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {(row[0], login): row[2:] for row in rows if len(row) > 2 for login in row[1].split(", ")}


def test_the_table_in_the_documentation_is_the_measured_one(savings: tuple[Saving, ...]) -> None:
    measured, written = lines(lean.as_markdown(savings).partition("---:")[2]), lines(PAGE)
    assert {place: written.get(place) for place in measured} == measured


def test_of_a_fleet_s_requests_at_most_a_tenth_is_left(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if each.share(10) > lean.SMALL_SHARE] == []


def test_of_a_spread_fleet_s_requests_at_most_a_tenth_is_left(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if each.spread_share > lean.SMALL_SHARE] == []


def test_a_fleet_asks_as_much_as_one_warehouse(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if set(each.lean.values()) != {each.lean[1]}] == []


def test_one_warehouse_never_asks_for_more(savings: tuple[Saving, ...]) -> None:
    assert [each.strategy for each in savings if each.lean[1] > each.faithful] == []


def test_a_registry_that_tells_what_tags_point_at_leaves_one_request(savings: tuple[Saving, ...]) -> None:
    assert [each.lean[1] for each in savings if each.strategy.endswith(lean.GOOGLE)] == [1, 1, 1]


def test_docker_hub_counts_nothing_of_what_is_left(savings: tuple[Saving, ...]) -> None:
    assert sum(each.lean_pulls for each in savings) == 0


def test_kargo_s_warehouses_share_nothing_in_a_warm_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "TAGS", 3)
    with lean.ExitStack() as stack:
        clock = VirtualClock()
        subject = next(each for each in lean.subjects(stack, clock) if "indexes" in each.strategy)
        small = attrs.evolve(subject.subscription, discovery_limit=2)
        asking, counts = Asking(lean=False, clock=clock), []
        for warehouses in (1, 1, 4):
            subject.log.clear()
            for number in range(warehouses):
                asking.find(small, warehouse=f"p/{number}")
            counts.append(len(subject.log.rows))
    assert counts[2] == 4 * counts[1]

"""What selecting and matching cost, as ratios that hold on any machine: `pytest benchmarks -q`.

Ten times the tags, or ten times the Warehouses, may take at most twelve times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kargo_lab import selection
from kargo_lab.matching import SubscribedURLs
from kargo_lab.resources.warehouse import GitSubscription, ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.wire import Push


def best(function: Callable[[], object]) -> float:
    """Processor seconds of the fastest of some runs; other work on the machine does not count."""
    times = []
    for _ in range(5):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def tags(count: int) -> list[str]:
    return [f"{number % 7}.{number % 100}.{number}" for number in range(count)]


SUBSCRIPTIONS = {
    "SemVer": ImageSubscription(repo_url="ex/app", constraint="^1.2", ignore_tags_regexes=("-rc",)),
    "Lexical": ImageSubscription(repo_url="ex/app", image_selection_strategy="Lexical", allow_tags_regexes=("^1",)),
}


@pytest.mark.parametrize("strategy", SUBSCRIPTIONS)
def test_a_shortlist_of_ten_times_the_tags_takes_at_most_twelve_times_as_long(strategy: str) -> None:
    selector = selection.build(SUBSCRIPTIONS[strategy])
    few, many = tags(10_000), tags(100_000)
    assert best(lambda: selector.shortlist(many)) <= 12 * best(lambda: selector.shortlist(few))


def _index(count: int) -> SubscribedURLs:
    return SubscribedURLs(
        Warehouse(
            namespace="p",
            name=f"w{number}",
            spec=WarehouseSpec(
                subscriptions=(
                    GitSubscription(repo_url="https://github.com/ex/repo", branch="main", include_paths=("apps",)),
                )
            ),
        )
        for number in range(count)
    )


def test_matching_ten_times_the_warehouses_takes_at_most_twelve_times_as_long() -> None:
    push = Push(
        repo_urls=("https://github.com/ex/repo",), qualifiers=("refs/heads/main",), changed_files=("docs/a", "apps/b")
    )
    few, many = _index(1_000), _index(10_000)
    assert best(lambda: many.match(push)) <= 12 * best(lambda: few.match(push))

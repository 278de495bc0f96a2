"""Faults between a client and a platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from kargo_lab.platforms.faults import Fault, FaultRule, Faults
from kargo_lab.platforms.registry import Registry

CONTENT = b"0123456789" * 100


class Waits:
    """A clock that only remembers how long it was asked to wait."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.now = 0.0

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


Ask = Callable[..., requests.Response]


@pytest.fixture
def front(waits: Waits) -> Iterator[Callable[..., Ask]]:
    """Rules in; a function that asks for a blob through them out."""
    running: list[Registry] = []

    def make(*rules: FaultRule, seed: int = 0) -> Ask:
        faults = Faults(*rules, seed=seed, wait=waits, monotonic=lambda: waits.now)
        registry = Registry(layers=[faults.wrap]).start()
        running.append(registry)
        digest = registry.storage.put_blob("acme/app", CONTENT)

        def ask(method: str = "GET", path: str = "") -> requests.Response:
            return requests.request(method, f"{registry.url}/v2/{path or f'acme/app/blobs/{digest}'}", timeout=5)

        return ask

    yield make
    for registry in running:
        registry.stop()


def always(**fault: Any) -> FaultRule:
    return FaultRule(fault=Fault(**fault))


@pytest.mark.parametrize("how", ["drop", "reset"])
def test_a_connection_ends_without_an_answer(front: Any, how: str) -> None:
    with pytest.raises(requests.ConnectionError):
        front(always(**{how: True}))()


def test_another_answer_comes_instead(front: Any) -> None:
    answer = front(always(status=503, headers={"Retry-After": "7"}, body=b"down"))()
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "down", "7")


def test_a_status_without_a_name_can_be_answered(front: Any) -> None:
    assert front(always(status=599))().status_code == 599


def test_an_answer_is_late(front: Any, waits: Waits) -> None:
    assert front(always(delay_seconds=30))().content == CONTENT
    assert waits.asked == [30]


def test_one_bit_of_an_answer_is_wrong(front: Any) -> None:
    received = front(always(corrupt=True))().content
    assert sum((a ^ b).bit_count() for a, b in zip(received, CONTENT, strict=True)) == 1


@pytest.mark.parametrize("count", [0, 1, 999])
def test_an_answer_breaks_off(front: Any, count: int) -> None:
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        front(always(truncate=count))()


def test_an_answer_comes_in_pieces(front: Any, waits: Waits) -> None:
    assert front(always(slow=(300, 2.0)))().content == CONTENT
    assert waits.asked == [2.0] * 3


def codes(ask: Ask, count: int) -> list[int]:
    return [ask().status_code for _ in range(count)]


def test_a_rule_hits_so_many_times_after_so_many(front: Any) -> None:
    ask = front(FaultRule(fault=Fault(status=500), after=1, times=2))
    assert codes(ask, 5) == [200, 500, 500, 200, 200]


def test_a_rule_is_about_a_method_and_a_path(front: Any) -> None:
    ask = front(FaultRule(fault=Fault(status=500), method="HEAD", path=r"/blobs/sha256:[0-9a-f]+$"))
    assert [ask("HEAD").status_code, ask().status_code, ask("HEAD", "acme/app/tags/list").status_code] == [
        500,
        200,
        200,
    ]


def test_the_first_rule_that_hits_decides(front: Any) -> None:
    ask = front(FaultRule(fault=Fault(status=500), times=1), FaultRule(fault=Fault(status=502), times=1))
    assert codes(ask, 3) == [500, 502, 200]


def test_an_outage_has_a_beginning_and_an_end(front: Any, waits: Waits) -> None:
    ask = front(FaultRule(fault=Fault(status=503), between=(10, 20)))
    seen = []
    for waits.now in (9.9, 10.0, 19.9, 20.0):
        seen += codes(ask, 1)
    assert seen == [200, 503, 503, 200]


def test_dice_fall_the_same_for_the_same_seed(front: Any) -> None:
    rule = FaultRule(fault=Fault(status=500), probability=0.5)
    runs = [codes(front(rule, seed=seed), 20) for seed in (7, 7, 8)]
    assert (runs[0] == runs[1], runs[0] == runs[2], set(runs[0])) == (True, False, {200, 500})


def test_rules_come_and_go_while_it_runs() -> None:
    faults = Faults()
    faults.add(always(drop=True))
    hit = faults.fault("GET", "/")
    counted = list(faults.hits)
    faults.clear()
    assert (hit, counted, faults.fault("GET", "/")) == (Fault(drop=True), [1], None)


def test_stopping_does_not_wait_for_a_delay() -> None:
    faults = Faults(always(delay_seconds=3600))
    registry = Registry(layers=[faults.wrap]).start()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{registry.url}/v2/", timeout=0.1)
    registry.stop()

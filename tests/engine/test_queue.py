"""The work queue, by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.engine.queue import WorkQueue


def taken(queue: WorkQueue, now: float = 0.0) -> list[str]:
    found = []
    while (key := queue.take(now)) is not None:
        found.append(key)
        queue.done(key)
    return found


def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue = WorkQueue()
    for key in "bca":
        queue.add(key)
    assert taken(queue) == ["b", "c", "a"]


def test_a_key_that_is_added_twice_comes_once() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert taken(queue) == ["a"]


def test_a_key_that_is_added_while_a_worker_has_it_comes_back_afterwards() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add("a")
    assert queue.take(0) is None
    queue.done("a")
    assert queue.take(0) == "a"


def test_a_timer_fires_strictly_after_its_moment() -> None:
    queue = WorkQueue()
    queue.add_at("a", 5.0)
    assert queue.take(5.0) is None
    assert queue.take(5.000001) == "a"


def test_an_earlier_timer_is_not_undone_by_a_later_one() -> None:
    queue = WorkQueue()
    queue.add_at("a", 5.0)
    queue.add_at("a", 9.0)
    assert queue.next_moment() == 5.0


def test_an_earlier_timer_replaces_a_later_one() -> None:
    queue = WorkQueue()
    queue.add_at("a", 9.0)
    queue.add_at("a", 5.0)
    assert taken(queue, 6.0) == ["a"]
    assert queue.next_moment() is None


def test_a_forgotten_key_does_not_come() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add_at("b", 1.0)
    queue.forget("a")
    queue.forget("b")
    assert (taken(queue, 2.0), queue.next_moment()) == ([], None)


def test_first_goes_before_all_that_are_ready() -> None:
    queue = WorkQueue()
    for key in "abc":
        queue.add(key)
    queue.add("c", first=True)
    assert taken(queue) == ["c", "a", "b"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "timer", "take", "done"]))))
def test_no_key_is_ever_with_two_workers(steps: list[tuple[str, str]]) -> None:
    queue, active = WorkQueue(), list[str]()
    for moment, (key, step) in enumerate(steps):
        match step:
            case "add":
                queue.add(key)
            case "timer":
                queue.add_at(key, moment + 1)
            case "take":
                if (found := queue.take(moment)) is not None:
                    assert found not in active
                    active.append(found)
            case "done":
                if active:
                    queue.done(active.pop(0))
    assert queue.active == len(active)

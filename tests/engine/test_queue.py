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


def test_in_order_a_rank_is_nothing() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("b", 1)
    assert taken(queue) == ["a", "b"]


def test_in_order_what_comes_back_while_a_worker_has_it_goes_to_the_end() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    for key in "ab":
        queue.add(key)
    queue.done("a")
    assert taken(queue) == ["b", "a"]


def ranked(*keys: tuple[str, int]) -> WorkQueue:
    queue = WorkQueue(ranked=True)
    for key, rank in keys:
        queue.add(key, rank)
    return queue


def test_the_highest_rank_comes_first_and_in_order_within_a_rank() -> None:
    assert taken(ranked(("a", -100), ("b", 0), ("c", -100), ("d", 0))) == ["b", "d", "a", "c"]


def test_a_key_that_is_raised_goes_to_the_end_of_its_new_rank() -> None:
    assert taken(ranked(("a", 0), ("b", 0), ("c", 1), ("a", 1))) == ["c", "a", "b"]


def test_a_key_is_never_lowered() -> None:
    assert taken(ranked(("a", 1), ("b", 1), ("a", 0))) == ["a", "b"]


def test_ranked_what_comes_back_while_a_worker_has_it_keeps_its_place() -> None:
    queue = ranked(("a", 0))
    assert queue.take(0) == "a"
    for key in "ab":
        queue.add(key)
    assert queue.take(0) == "b"
    queue.done("a")
    assert queue.take(0) == "a"


def test_ranked_a_key_that_is_made_ready_takes_its_timer_with_it() -> None:
    queue = WorkQueue(ranked=True)
    queue.add_at("a", 5.0)
    queue.add("a")
    assert (taken(queue), queue.next_moment()) == (["a"], None)


def test_ranked_a_timer_of_what_is_ready_is_none() -> None:
    queue = ranked(("a", 0))
    queue.add_at("a", 5.0, 1)
    assert (queue.next_moment(), queue.take(0), queue.done("a")) == (None, "a", 1)


def test_of_two_timers_the_earlier_moment_and_the_higher_rank_count() -> None:
    queue = WorkQueue(ranked=True)
    queue.add_at("a", 5.0, -100)
    queue.add_at("a", 9.0, 0)
    assert (queue.take(6.0), queue.done("a")) == ("a", 0)


def test_a_worker_may_want_keys_of_a_rank_only() -> None:
    queue = ranked(("a", 0), ("b", 1))
    assert [queue.take(0, 1), queue.take(0, 1), queue.take(0)] == ["b", None, "a"]


@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "raise", "timer", "take", "done"]))),
)
def test_no_key_is_ever_with_two_workers(is_ranked: bool, steps: list[tuple[str, str]]) -> None:
    queue, active = WorkQueue(ranked=is_ranked), list[str]()
    for moment, (key, step) in enumerate(steps):
        match step:
            case "add":
                queue.add(key)
            case "raise":
                queue.add(key, 1)
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

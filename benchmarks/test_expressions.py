"""What expressions cost, as ratios: no figure here depends on how fast the machine is.

Run with `pytest benchmarks/test_expressions.py -s`.
"""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable

from kargo_lab.rules import expressions

FILTER = 'subject matches "^(feat|fix)" and not (author contains "bot") and len(subject) < 80'
COMMIT = {"subject": "feat(api): add widgets (#12)", "author": "Ada Lovelace <ada@example.com>", "id": "0" * 40}


def seconds(call: Callable[[], object], *, times: int) -> float:
    """Processor time of one call, the best of five rounds, without the garbage collector's share."""
    best = float("inf")
    gc.disable()
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            call()
        best = min(best, time.process_time() - start)
        gc.collect()
    gc.enable()
    return best / times


def by_hand() -> bool:
    subject = COMMIT["subject"]
    return bool(re.match("feat|fix", subject)) and "bot" not in COMMIT["author"] and len(subject) < 80


def test_running_a_compiled_filter_costs_a_fraction_of_compiling_it() -> None:
    program = expressions.compile(FILTER)
    compiling = seconds(lambda: expressions.compile(FILTER), times=20)
    running = seconds(lambda: program.run(COMMIT), times=2000)
    handmade = seconds(by_hand, times=2000)
    print(f"\nrun / compile = {running / compiling:.3f}, run / the same in Python = {running / handmade:.1f}")
    assert running < compiling / 10


def test_filtering_grows_linearly_with_the_list() -> None:
    program = expressions.compile("len(filter(xs, # % 2 == 0 and # > 10))")
    small, large = ({"xs": list(range(size))} for size in (10_000, 100_000))
    ratio = seconds(lambda: program.run(large), times=1) / seconds(lambda: program.run(small), times=1)
    print(f"\n100,000 elements / 10,000 elements = {ratio:.1f}")
    assert ratio < 12


def test_compiling_grows_linearly_with_the_text() -> None:
    short, long = (" or ".join(['tag == "v1.0"'] * count) for count in (200, 2000))
    ratio = seconds(lambda: expressions.compile(long), times=1) / seconds(lambda: expressions.compile(short), times=1)
    print(f"\n2,000 comparisons / 200 comparisons = {ratio:.1f}")
    assert ratio < 15


def test_a_hostile_pattern_stays_linear() -> None:
    program = expressions.compile('s matches "(a*)*(a*)*b$"')
    ratio = seconds(lambda: program.run({"s": "a" * 20_000}), times=3) / seconds(
        lambda: program.run({"s": "a" * 2_000}), times=3
    )
    print(f"\n20,000 characters / 2,000 characters = {ratio:.1f}")
    assert ratio < 15

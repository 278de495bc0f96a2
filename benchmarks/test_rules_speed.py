"""What the small dialects cost, as ratios that hold on any machine: `pytest benchmarks -q`.

Absolute times are pytest-benchmark's to print; what is asserted are the promises: checking a version
costs at most 1.5 times its parse, filtering is linear in the number of tags, and hostile patterns stay
linear in the length of the text.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from kargo_lab.errors import VersionError
from kargo_lab.rules import constraints, globs, patterns, templates, versions
from kargo_lab.rules import json as gojson
from kargo_lab.rules.json import JSONError

CONSTRAINTS = ["^1.2", "1.x", ">=1.0.0-0 <2.0.0, !=1.4.6", "~1.2 || ^2 || 3.0.0 - 4.0.0-rc.1"]
SHAPE = gojson.Struct({"a": gojson.ListOf(gojson.Struct({"b": gojson.TEXT}))})
VERSIONS = ["1.3.0", "v2.0.0-rc.1", "1.27.0-alpine3.20", "10.0"]


def best(function: Callable[[], object], *, repeat: int = 9) -> float:
    """Processor seconds of the fastest of some runs, without other work on the machine and the garbage collector."""
    times = []
    gc.disable()
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
        gc.collect()
    gc.enable()
    return min(times)


def many(function: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(5_000):
            function()

    return run


def tags(count: int) -> list[str]:
    kinds = ("{0}.{1}.{2}", "v{0}.{1}.{2}-rc.{1}", "{0}.{1}.{2}-alpine", "sha-{0}{1}{2}", "{0}.{1}")
    return [kinds[n % 5].format(n % 7, n % 50, n % 1000) for n in range(count)]


def accepted(texts: list[str], constraint: constraints.Constraint) -> list[versions.Version]:
    kept = []
    for text in texts:
        try:
            version = versions.parse(text)
        except VersionError:
            continue
        if constraint.check(version):
            kept.append(version)
    kept.sort(key=lambda version: (version.key, version.original), reverse=True)
    return kept


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_check_costs_at_most_one_and_a_half_parses(constraint: str, version: str) -> None:
    compiled, read = constraints.compile(constraint), versions.parse(version)
    ratio = best(many(lambda: compiled.check(read))) / best(many(lambda: versions.parse(version)))
    print(f"{constraint} on {version}: {ratio:.2f} parses")
    assert ratio <= 1.5


def test_filtering_ten_times_the_tags_takes_at_most_twelve_times_as_long() -> None:
    constraint = constraints.compile("^1.2 || ^3")
    few, many_tags = tags(10_000), tags(100_000)
    ratio = best(lambda: accepted(many_tags, constraint), repeat=3) / best(lambda: accepted(few, constraint))
    print(f"100,000 tags cost {ratio:.1f} times 10,000")
    assert ratio <= 12


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|aa)+$", "(.*a){20}b", "((a+)+)+c"])
def test_a_hostile_expression_stays_linear(pattern: str) -> None:
    regex = patterns.regex(pattern)
    short, long = "a" * 20_000, "a" * 200_000
    ratio = best(lambda: regex.search(long)) / best(lambda: regex.search(short))
    print(f"{pattern}: ten times the text costs {ratio:.1f} times")
    assert ratio <= 15


@pytest.mark.parametrize(
    ("pattern", "name"), [("**/*.yaml", "a/"), ("*a*b*c", "ab"), ("{a,b,ab}/**/x", "a/b/"), ("**/{a,b}/**/{c,d}", "a/")]
)
def test_a_glob_stays_linear(pattern: str, name: str) -> None:
    glob = globs.compile(pattern)
    short, long = name * 2_000, name * 20_000
    ratio = best(lambda: glob.matches(long)) / best(lambda: glob.matches(short))
    print(f"{pattern}: ten times the name costs {ratio:.1f} times")
    assert ratio <= 15


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        ("[", "0,", "0]"),
        ("[", "[],", "[]]"),
        ("[", '{"a":0},', "0]"),
        ("[", '"\\u0041\\n",', "0]"),
        ("{", '"a":[{}],', '"a":[]}'),
        ("[", "0,", "]"),
        ("[" * 5_000, "0,", "0" + "]" * 5_000),
    ],
)
def test_json_stays_linear(before: str, unit: str, after: str) -> None:
    def read(body: bytes) -> None:
        with contextlib.suppress(JSONError):
            gojson.loads(body)
        with contextlib.suppress(JSONError):
            gojson.decode(body, SHAPE)

    short, long = ((before + unit * count + after).encode() for count in (10_000, 100_000))
    ratio = best(lambda: read(long), repeat=3) / best(lambda: read(short))
    print(f"{before[:3]}{unit * 2}...{after[:3]}: ten times the body costs {ratio:.1f} times")
    assert ratio <= 15


@pytest.mark.parametrize("unit", ["${{ 1 }}", "${% 1 %}", "x${{ a }}", "${{ 1 }} }} %}"])
def test_a_template_stays_linear(unit: str) -> None:
    short, long = unit * 2_000, unit * 20_000
    ratio = best(lambda: templates.evaluate(long, {"a": "b"}), repeat=3) / best(
        lambda: templates.evaluate(short, {"a": "b"})
    )
    print(f"{unit}: ten times the text costs {ratio:.1f} times")
    assert ratio <= 15


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("parse", lambda: versions.parse("1.27.0-alpine3.20")),
        ("compile", lambda: constraints.compile(">=1.0.0-0 <2.0.0 || ~3.1")),
        ("glob", lambda: globs.compile("charts/**/*.{yaml,yml}").matches("charts/web/templates/service.yml")),
    ],
)
def test_absolute_times(benchmark: Any, name: str, function: Callable[[], object]) -> None:
    benchmark.group = name
    benchmark(function)

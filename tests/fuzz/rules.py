"""Throw text at every public function of `kargo_lab.rules` for some minutes.

    python tests/fuzz/rules.py --minutes 10 [--seed 7] [--only constraint]

A function must give a value or a RuleError, and must do so within two seconds of processor time, so that a
busy machine is not taken for a slow function. Anything else is printed with the seed and the text that
caused it. A module joins by a row in TARGETS: a call that takes the random source and a text, the characters
that mean something to it, and texts to start from (tests/data).
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import attrs
import click

from kargo_lab.errors import RuleError
from kargo_lab.rules import (
    constraints,
    durations,
    expressions,
    globs,
    gourl,
    labels,
    patterns,
    references,
    rfc3339,
    signatures,
    urls,
    versions,
)
from kargo_lab.rules import json as gojson
from kargo_lab.rules.jsonwrite import dumps

DATA = Path(__file__).parents[1] / "data"
SLOW_SECONDS = 2.0  # both count processor time
HOPELESS_SECONDS = 20.0
ODD = "\x00\n\t \u00a0é\u2028\u212a\ufffd\U0001f4a1\ud800\udfff٣"
LIBRARIES = tuple(versions.LIBRARIES)


@attrs.frozen
class Target:
    """One function under fire."""

    call: Callable[[random.Random, str], object]
    alphabet: str
    texts: tuple[str, ...]


@attrs.frozen
class Finding:
    """What went wrong, and the text that brings it back."""

    target: str
    text: str
    story: str


def corpus(file: str, *path: str, field: str) -> tuple[str, ...]:
    """All values of one field of the records in a data file; `path` leads to the list. Empty if it is not there."""
    found = DATA / file
    if not found.exists():
        return ()
    rows = json.loads(found.read_text(encoding="utf-8"))
    for step in path:
        rows = rows[step]
    return tuple({row[field]: None for row in rows if isinstance(row.get(field), str)})


VERSIONS = corpus("semver-parse.json", field="text")
GLOBS = corpus("globs.json", field="pattern")
PATHS = corpus("globs.json", field="name")


def _constraint(rng: random.Random, text: str) -> object:
    library = rng.choice(LIBRARIES)
    version = versions.parse("1.2.3-rc.1")
    return constraints.compile(text, library=library).explain(version)


def _version(rng: random.Random, text: str) -> object:
    return versions.parse(text, strict=rng.random() < 0.3, library=rng.choice(LIBRARIES)).key


def _expression(rng: random.Random, text: str) -> object:
    environment = rng.choice([expressions.PLAIN, expressions.CRITERIA, expressions.GENERIC])
    return expressions.compile(text, environment=environment).run({"tag": "v1.2.3", "subject": "feat: x"})


def _label(rng: random.Random, text: str) -> object:
    return labels.key_problem(text), labels.value_problem(text)


TARGETS: dict[str, Target] = {
    "version": Target(_version, "v0129.-+axRC_", VERSIONS),
    "constraint": Target(_constraint, "v01x*X|.-+ ,<>=!~^a", corpus("semver-constraints.json", field="constraint")),
    "glob": Target(lambda rng, text: globs.compile(text).matches(rng.choice(PATHS)), "ab/*?[]!^-{},\\", GLOBS),
    "glob name": Target(lambda rng, text: _some_glob(rng).matches(text), "ab/{},[]-", PATHS),
    "regex": Target(
        lambda rng, text: patterns.regex(text).find(rng.choice(PATHS)),
        "ab.*+?|()[]{}^$\\QEpPCdwsbBzA<>P:-,019=!",
        corpus("patterns.json", "regexes", field="pattern"),
    ),
    "path selector": Target(
        lambda rng, text: patterns.path_selector(text).explain(rng.choice(PATHS)),
        "globregxp:/.*ab",
        corpus("patterns.json", "path_selectors", field="selector"),
    ),
    "name selector": Target(
        lambda rng, text: patterns.name_selector(text).explain(rng.choice(PATHS)),
        "globregxp:/.*ab",
        corpus("patterns.json", "name_selectors", field="selector"),
    ),
    "duration": Target(
        lambda rng, text: durations.render(durations.parse(text)), "0123456789.hmsnuµ+-", ("1h30m", "0")
    ),
    "interval": Target(
        lambda rng, text: durations.parse_interval(text),
        "0123456789.hms",
        corpus("timers.json", "interval_admission", field="interval"),
    ),
    "git URL": Target(
        lambda rng, text: urls.normalize_git(text), "htpsg:/@.%[]#?-a0~", corpus("git-urls.json", field="input")
    ),
    "image URL": Target(
        lambda rng, text: urls.normalize_image(text), "a.:/@0-_sha256", corpus("image-urls.json", field="input")
    ),
    "chart URL": Target(
        lambda rng, text: urls.normalize_chart(text), "oci:/.@a0", corpus("chart-urls.json", field="input")
    ),
    "image reference": Target(
        lambda rng, text: references.parse_image(text), "a.:/@0-_", corpus("image-urls.json", field="input")
    ),
    "chart reference": Target(
        lambda rng, text: references.parse_chart(text), "a.:/@0-_", corpus("chart-urls.json", field="input")
    ),
    "Go URL": Target(lambda rng, text: gourl.parse(text), "htp:/@.%[]#?a0", corpus("git-urls.json", field="input")),
    "JSON": Target(
        lambda rng, text: dumps(gojson.loads(text.encode(errors="surrogatepass"))),
        '{}[]",:0123eE+-.\\utrfnals',
        ('{"a": [1, 2.5e3, true, null, "\\u00e9"]}', "[[[[]]]]", '{"a":1,"A":2}'),
    ),
    "RFC 3339": Target(lambda rng, text: rfc3339.instant(text), "0123456789-:TZ+.", ("2026-11-25T07:00:00.5+01:00",)),
    "label": Target(_label, "a-_./Z0", ("app.kubernetes.io/name", "a")),
    "signature": Target(
        lambda rng, text: (
            signatures.prefixed_matches(text, b"{}", b"k"),
            signatures.bare_sha256_matches(text, b"{}", b"k"),
            signatures.token_matches(text, b"k"),
        ),
        "sha256=0af",
        ("sha256=" + "0" * 64, "sha1=00"),
    ),
    "expression": Target(
        _expression, "abc01.\"'()[]{}?:+-*/%<>=!&|,#$; \n", corpus("expressions.json", "rows", field="expression")
    ),
}


def _some_glob(rng: random.Random) -> globs.Glob:
    while True:
        try:
            return globs.compile(rng.choice(GLOBS))
        except RuleError:
            continue


def invent(rng: random.Random, target: Target) -> str:
    """A text: from the alphabet alone, a known one with some edits, two known ones joined, or one repeated."""
    letters = target.alphabet * 4 + ODD
    choice = rng.random()
    if choice < 0.3 or not target.texts:
        return "".join(rng.choice(letters) for _ in range(rng.randint(0, 24)))
    text = rng.choice(target.texts)
    if choice < 0.4:
        text += rng.choice(target.texts)
    elif choice < 0.43:
        text = text[:20] * rng.randint(2, 200)
    for _ in range(rng.randint(0, 4)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice((0, 0, 1, 1, 3)))
        text = text[:start] + "".join(rng.choice(letters) for _ in range(rng.randint(0, 2))) + text[end:]
    return text


def try_one(name: str, target: Target, rng: random.Random) -> tuple[str, Finding | None]:
    """The kind of outcome, and what is wrong with it, if anything is."""
    text = invent(rng, target)
    start = time.process_time()
    try:
        target.call(rng, text)
        outcome = "value"
    except RuleError:
        outcome = "error"
    except BaseException as unexpected:
        if isinstance(unexpected, KeyboardInterrupt):
            raise
        return "finding", Finding(name, text, "".join(traceback.format_exception(unexpected, limit=-3)))
    spent = time.process_time() - start
    if spent > SLOW_SECONDS:
        return "finding", Finding(name, text, f"took {spent:.1f} s")
    return outcome, None


def rounds(chosen: Iterable[str], rng: random.Random) -> Iterable[tuple[str, str, Finding | None]]:
    """Target after target, without end; a call that does not come back is interrupted and counts as a finding."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer after {HOPELESS_SECONDS} s of processor time")

    signal.signal(signal.SIGPROF, interrupt)
    names = list(chosen)
    while True:
        for name in names:
            signal.setitimer(signal.ITIMER_PROF, HOPELESS_SECONDS)
            result = try_one(name, TARGETS[name], rng)
            signal.setitimer(signal.ITIMER_PROF, 0)
            yield (name, *result)


@click.command(help=__doc__)
@click.option("--minutes", default=1.0, show_default=True)
@click.option("--seed", default=None, type=int, help="Chosen and printed if left out.")
@click.option("--only", multiple=True, type=click.Choice(list(TARGETS)), help="Repeatable.")
def main(minutes: float, seed: int | None, only: tuple[str, ...]) -> None:
    """Run until the time is over; leave with 1 if something was found."""
    seed = seed if seed is not None else random.SystemRandom().randint(0, 2**32)
    print(f"seed {seed}")
    counts: Counter[tuple[str, str]] = Counter()
    findings: dict[tuple[str, str], Finding] = {}
    until = time.monotonic() + minutes * 60
    for name, outcome, finding in rounds(only or TARGETS, random.Random(seed)):
        counts[name, outcome] += 1
        if finding and (key := (name, finding.story.splitlines()[-1][:60])) not in findings:
            findings[key] = finding
            print(f"{name}: {finding.text!r}\n{finding.story}")
        if time.monotonic() > until:
            break
    for name in only or TARGETS:
        print(
            f"{name:16}{counts[name, 'value']:9} values{counts[name, 'error']:9} errors"
            f"{counts[name, 'finding']:6} findings"
        )
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()

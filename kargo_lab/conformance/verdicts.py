"""What may be said of a case, and what a run is worth. The six statuses are never merged.

pass, fail (the target is wrong), error (we are), skip (with a sentence), unsupported (declared by the
target), disabled (by the user). A skipped or unsupported core case makes the run partial, never a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from kargo_lab.conformance.cases import LEVELS, Case
from kargo_lab.conformance.exchange import Exchange

STATUSES = ("pass", "fail", "error", "skip", "unsupported", "disabled")


@attrs.frozen(kw_only=True)
class Difference:
    """One thing that was not as it should be."""

    what: str  # status, body, refreshed, ...
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, saw {self.seen}"


@attrs.frozen(kw_only=True)
class Result:
    """The verdict on one case, with what a reader needs to believe it."""

    case: Case
    status: str
    sentence: str = ""
    differences: tuple[Difference, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    seconds: float = 0.0
    seen_by: tuple[str, ...] = ()  # which ways of seeing the verdict rests on
    note: str = ""  # known-failing, rerun, ...


Told = Mapping[str, Any]  # a case as a report has it


def counts(cases: Iterable[Told]) -> Mapping[str, Counter[str]]:
    """Level -> status -> number."""
    table: dict[str, Counter[str]] = {level: Counter() for level in LEVELS}
    for case in cases:
        table[case["level"]][case["status"]] += 1
    return table


KNOWN_FAILING, KNOWN_FLAKY = "known to fail", "known to be flaky"
NOT_RUN = "not run: the run was stopped before it came to this case"


def known(case: Told) -> bool:
    """Whether it is a failure that the target's owner knows about, so that it does not count."""
    return case["status"] == "fail" and str(case["note"]).startswith("known")


def noted(results: Iterable[Result], *, failing: Sequence[str], flaky: Sequence[str]) -> list[Result]:
    """The results with a note on the failures that the target's owner knows about.

    A known failure stays a failure in the report; it only does not count for the outcome.
    """
    notes = dict.fromkeys(flaky, KNOWN_FLAKY) | dict.fromkeys(failing, KNOWN_FAILING)
    return [
        attrs.evolve(each, note=notes[each.case.id]) if each.status == "fail" and each.case.id in notes else each
        for each in results
    ]


def stale(
    cases: Iterable[Told], *, failing: Sequence[str], flaky: Sequence[str], every: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each entry that names no case at all (`every` has all ids), or is said to fail and passes."""
    passed = {case["id"] for case in cases if case["status"] == "pass"}
    gone = [f"{name} is listed, but there is no such case" for name in (*failing, *flaky) if name not in every]
    return (*gone, *(f"{name} is listed as known to fail, but it passes" for name in failing if name in passed))


def outcome(cases: Iterable[Told], *, strict: bool = False, stale: Sequence[str] = ()) -> str:
    """`passed`, `failed`, `partial` or `broken` for the whole run.

    Failed: a case that counts failed; strict cases count only where asked for. Broken: no failure, but a case could
    not be judged, since the target was lost or the suite failed. Partial: a core case was not judged, or the run was
    stopped.
    """
    every = [case for case in cases if strict or case["level"] != "strict"]
    if stale or any(case["status"] == "fail" and not known(case) for case in every):
        return "failed"
    if any(case["status"] == "error" for case in every):
        return "broken"
    if not any(case["status"] == "pass" for case in every) or any(case["status"] == "disabled" for case in every):
        return "partial"
    if any(case["status"] in ("skip", "unsupported") and case["level"] == "core" for case in every):
        return "partial"
    return "passed"


def why(cases: Iterable[Told], *, strict: bool = False, stale: Sequence[str] = ()) -> str:
    """What the outcome rests on, in a sentence or two for whoever reads nothing else; empty for a plain pass."""
    every = list(cases)
    what = outcome(every, strict=strict, stale=stale)
    counted = [case for case in every if strict or case["level"] != "strict"]
    failed = [case for case in counted if case["status"] == "fail" and not known(case)]
    lost = [case for case in counted if case["status"] == "error"]
    unrun = [case for case in counted if case["status"] == "disabled"]
    unseen = [case for case in counted if case["status"] in ("skip", "unsupported") and case["level"] == "core"]
    said: list[str] = []
    if failed:
        said.append(f"{_number(failed)} of {_number(counted, 'case')} failed")
    if stale:
        said.append(f"{_number(stale)} of the target file's known failures {_is(stale)} stale, which fails a run")
    if lost:
        said.append(f"{_number(lost)} of {_number(counted, 'case')} could not be judged{_reason(lost)}")
    if what == "broken":
        said.append("nothing that was judged failed, but this is neither a pass nor a failure of the target")
    if unrun:
        said.append(f"{_number(unrun)} of {_number(counted, 'case')} {_was(unrun)} not run: the run was stopped")
    if what == "partial":
        if unseen:
            said.append(f"{_number(unseen, 'core case')} {_was(unseen)} not judged{_reason(unseen)}")
        said.append("nothing failed, but this is not a pass")
    for quiet, where in ((known, "known to the target's owner"), (_strict_failure(strict), "strict")):
        if number := sum(1 for case in every if quiet(case)):
            said.append(f"of the failures, {number} {'is' if number == 1 else 'are'} {where} and so not counted")
    return "; ".join(said)


def _strict_failure(strict: bool) -> Callable[[Told], bool]:
    return lambda case: not strict and case["level"] == "strict" and case["status"] == "fail" and not known(case)


def _number(things: Sequence[Any], name: str = "") -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}" if name else str(len(things))


def _is(things: Sequence[Any]) -> str:
    return "is" if len(things) == 1 else "are"


def _was(things: Sequence[Any]) -> str:
    return "was" if len(things) == 1 else "were"


def _reason(cases: Sequence[Told]) -> str:
    """The reason that most of them have."""
    ((sentence, number),) = Counter(case["sentence"].removeprefix("not judged: ") for case in cases).most_common(1)
    first = str(sentence).partition("\n")[0]
    return f": {first}" if number == len(cases) else f" (of {number}: {first})"


EXIT_STATUS = {"passed": 0, "failed": 1, "partial": 1, "broken": 2}

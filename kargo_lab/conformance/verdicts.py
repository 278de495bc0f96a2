"""What may be said of a case, and what a run is worth. The six statuses are never merged.

pass, fail (the target is wrong), error (we are), skip (with a sentence), unsupported (declared by the
target), disabled (by the user). A skipped or unsupported core case makes the run partial, never a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

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


def counts(results: Iterable[Result]) -> Mapping[str, Counter[str]]:
    """Level -> status -> number."""
    table: dict[str, Counter[str]] = {level: Counter() for level in LEVELS}
    for result in results:
        table[result.case.level][result.status] += 1
    return table


KNOWN_FAILING, KNOWN_FLAKY = "known to fail", "known to be flaky"


def note_known(
    results: Iterable[Result], *, failing: Sequence[str], flaky: Sequence[str], every: Collection[str]
) -> tuple[list[Result], tuple[str, ...]]:
    """The results with a note on those that the target's owner knows about, and a sentence for each stale entry.

    Stale is an entry that names no case at all (`every` has all ids), or one that is said to fail and passes.
    A known failure stays a failure in the report; it only does not count for the outcome.
    """
    stale = [f"{name} is listed, but there is no such case" for name in (*failing, *flaky) if name not in every]
    noted: list[Result] = []
    for result in results:
        name, failed = result.case.id, result.status == "fail"
        if name in failing and result.status == "pass":
            stale.append(f"{name} is listed as known to fail, but it passes")
        note = KNOWN_FAILING if name in failing else KNOWN_FLAKY if name in flaky else ""
        noted.append(attrs.evolve(result, note=note) if note and failed else result)
    return noted, tuple(stale)


def outcome(results: Iterable[Result], *, strict: bool = False, stale: Sequence[str] = ()) -> str:
    """`passed`, `failed`, `partial` or `broken` for the whole run.

    Broken: the suite itself failed somewhere. Failed: a case that counts failed; strict cases count
    only where asked for. Partial: no failure, but a core case was not judged.
    """
    every = [result for result in results if strict or result.case.level != "strict"]
    if stale or any(result.status == "fail" and not result.note.startswith("known") for result in every):
        return "failed"
    if any(result.status == "error" for result in every):
        return "broken"
    if not any(result.status == "pass" for result in every):
        return "partial"
    if any(result.status in ("skip", "unsupported", "disabled") and result.case.level == "core" for result in every):
        return "partial"
    return "passed"


EXIT_STATUS = {"passed": 0, "failed": 1, "partial": 1, "broken": 2}

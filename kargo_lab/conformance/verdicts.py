"""What may be said of a case, and what a run is worth. The six statuses are never merged.

pass, fail (the target is wrong), error (we are), skip (with a sentence), unsupported (declared by the
target), disabled (by the user). A skipped or unsupported core case makes the run partial, never a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

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


def outcome(results: Iterable[Result], *, strict: bool = False) -> str:
    """`passed`, `failed`, `partial` or `broken` for the whole run.

    Broken: the suite itself failed somewhere. Failed: a case that counts failed; strict cases count
    only where asked for. Partial: no failure, but a core case was not judged.
    """
    every = [result for result in results if strict or result.case.level != "strict"]
    if any(result.status == "fail" and not result.note.startswith("known") for result in every):
        return "failed"
    if any(result.status == "error" for result in every):
        return "broken"
    if not any(result.status == "pass" for result in every):
        return "partial"
    if any(result.status in ("skip", "unsupported", "disabled") and result.case.level == "core" for result in every):
        return "partial"
    return "passed"


EXIT_STATUS = {"passed": 0, "failed": 1, "partial": 1, "broken": 2}

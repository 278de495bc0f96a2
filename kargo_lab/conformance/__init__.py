"""The engine of the suite: cases, plans, targets, verdicts and reports.

Cases are files of the neighbouring `conformance/` folder; nothing in here knows a platform's rules.
Read `suite` first: it is the whole run as one call. `run` is that call for a notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kargo_lab.conformance.notebook import Run

__all__ = ["run"]


def run(
    target: str = "reference-in-process", *, profile: str = "latest", select: Sequence[str] = (), seed: int = 7
) -> Run:
    """Judge a target; the result shows itself as a table in a notebook, and has `to_frame()` and `report`.

    `target` is a URL, a target file or a name that `conformance run --target` takes; `select` are its patterns.
    Raises TargetError for a target that cannot be reached, UsageError for an unknown profile or a pattern
    without a match.
    """
    from kargo_lab.conformance import suite
    from kargo_lab.conformance.notebook import Run

    patterns = (select,) if isinstance(select, str) else select
    return Run(suite.check(target, profile=profile, select_=patterns, seed=seed))

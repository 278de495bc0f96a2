"""The report as one HTML file: no script or style from elsewhere, readable on a phone, on paper and offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from kargo_lab.conformance.cases import LEVELS
from kargo_lab.conformance.verdicts import STATUSES

TEMPLATES = Path(__file__).parent / "templates"
BAD = ("fail", "error")
# With more failures than these the page starts as a list of what they are, which is read before any detail.
UNFOLDED_FAILURES = 12


def template(name: str) -> jinja2.Template:
    """A page; whatever is put into it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def render(report: Mapping[str, Any]) -> str:
    """The page for a report document."""
    cases: Sequence[Mapping[str, Any]] = report["cases"]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in cases:
        groups.setdefault(case["id"].partition("/")[0], []).append(case)
    levels = [level for level in LEVELS if any(case["level"] == level for case in cases)]
    totals = {status: sum(case["status"] == status for case in cases) for status in STATUSES}
    return template("report.html").render(
        report=report,
        why=report["footer"].get("why", ""),
        stale=report["footer"].get("stale", ()),
        groups=groups,
        levels=levels,
        table=[(group, [_tally(members, level) for level in levels]) for group, members in groups.items()],
        sums=[_tally(cases, level) for level in levels],
        totals={status: number for status, number in totals.items() if number},
        calm={group for group, members in groups.items() if not any(case["status"] in BAD for case in members)},
        unfold=totals["fail"] + totals["error"] <= UNFOLDED_FAILURES,
    )


def _tally(cases: Sequence[Mapping[str, Any]], level: str) -> dict[str, Any]:
    mine = [case for case in cases if case["level"] == level]
    passed = sum(case["status"] == "pass" for case in mine)
    worst = next((status for status in BAD if any(case["status"] == status for case in mine)), "skip")
    return {
        "passed": passed,
        "all": len(mine),
        "class": "none" if not mine else "pass" if passed == len(mine) else worst,
    }

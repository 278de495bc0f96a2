"""The report as one HTML file: no script or style from elsewhere, readable on a phone, on paper and offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from kargo_lab.conformance.verdicts import STATUSES

TEMPLATES = Path(__file__).parent / "templates"


def render(report: Mapping[str, Any]) -> str:
    """The page for a report document; everything in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in report["cases"]:
        groups.setdefault(case["id"].partition("/")[0], []).append(case)
    table = [
        (group, {level: _tally(cases, level) for level in ("core", "extended", "strict")})
        for group, cases in groups.items()
    ]
    return environment.get_template("report.html").render(report=report, groups=groups, table=table, statuses=STATUSES)


def _tally(cases: list[Mapping[str, Any]], level: str) -> dict[str, Any]:
    mine = [case for case in cases if case["level"] == level]
    passed = sum(case["status"] == "pass" for case in mine)
    failed = sum(case["status"] in ("fail", "error") for case in mine)
    return {
        "passed": passed,
        "all": len(mine),
        "class": "none" if not mine else "fail" if failed else "pass" if passed == len(mine) else "skip",
    }

"""A run as a value for a notebook: a table in the cell, each failure to unfold, and a data frame to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import attrs

from kargo_lab.conformance.telling import told

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("case", "group", "level", "status", "says", "sentence", "source", "seconds")
BAD = ("fail", "error")
_COLOURS = {"pass": "#1a7f37", "fail": "#b00020", "error": "#8250df"}


@attrs.frozen
class Run:
    """What one run found out. `report` is the document of report.json, in which all that is secret is redacted."""

    report: Mapping[str, Any] = attrs.field(repr=False)
    outcome: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """The outcome is the report's."""
        object.__setattr__(self, "outcome", self.report["footer"]["outcome"])

    def to_frame(self) -> pd.DataFrame:
        """One row a case, columns `COLUMNS`; `seconds` is how long its requests took."""
        import pandas as pd

        rows = [
            (
                case["id"],
                _group(case),
                *(case[name] for name in ("level", "status", "says", "sentence", "source", "seconds")),
            )
            for case in self.report["cases"]
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _repr_html_(self) -> str:
        cases = self.report["cases"]
        levels = list(dict.fromkeys(case["level"] for case in cases))
        groups = dict.fromkeys(_group(case) for case in cases)
        head = "".join(f"<th>{escape(level)}</th>" for level in levels)
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(group)}</th>"
            + "".join(_cell([c for c in cases if _group(c) == group and c["level"] == level]) for level in levels)
            + "</tr>"
            for group in groups
        )
        failures = "".join(
            f"<details><summary>{escape(case['status'])} <code>{escape(case['id'])}</code></summary>"
            f"<pre style='white-space:pre-wrap'>{escape(told(case))}</pre></details>"
            for case in cases
            if case["status"] in BAD
        )
        header, footer = self.report["header"], self.report["footer"]
        why = f"; {escape(footer['why'])}" if footer.get("why") else ""
        line = (
            f"<p><b>{escape(footer['outcome'])}</b> in {footer['seconds']:.1f} s; "
            f"profile {escape(header['profile'])}, target {escape(header['target'])}{why}</p>"
        )
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>{failures}{line}"


def _group(case: Mapping[str, Any]) -> str:
    return str(case["id"].partition("/")[0])


def _cell(cases: list[Mapping[str, Any]]) -> str:
    if not cases:
        return "<td></td>"
    passed = sum(case["status"] == "pass" for case in cases)
    worst = next((status for status in BAD if any(case["status"] == status for case in cases)), "")
    colour = _COLOURS[worst] if worst else _COLOURS["pass"] if passed == len(cases) else "inherit"
    return f"<td style='color:{colour};text-align:right'>{passed}/{len(cases)}</td>"

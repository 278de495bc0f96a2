"""What Stages and Promotions look like to people: rows for tables and frames, and the tree of a pipeline.

Everything is made of plain documents (those of the lab API), so that a store's file and a running lab show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from kargo_lab.engine.pipeline import values
from kargo_lab.engine.pipeline.keeping import PROMOTION, STAGE
from kargo_lab.engine.store import Store
from kargo_lab.resources import loading

if TYPE_CHECKING:
    import pandas as pd

    from kargo_lab.engine.lab import Lab
    from kargo_lab.engine.tracing import Mark

STAGE_COLUMNS = ("namespace", "stage", "freight", "health", "verification", "promotion", "holds", "message")
PROMOTION_COLUMNS = ("namespace", "promotion", "stage", "freight", "phase", "started", "finished", "message")
Document = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Shown:
    """A lab's state as documents: Stages with `spec` and `status`, Promotions and Freight as Kargo writes them."""

    stages: tuple[Document, ...] = ()
    promotions: tuple[Document, ...] = ()
    freight: tuple[Document, ...] = ()
    problems: tuple[str, ...] = ()


def of_lab(lab: Lab) -> Shown:
    """What a Lab holds now."""
    stages = [
        {**loading.plain(stage), "status": values.to_json(lab.stage_status(key))}
        for key, stage in sorted(lab.pipeline.stages.items())
    ]
    return Shown(
        stages=tuple(stages),
        promotions=tuple(loading.plain(each) for each in lab.promotions()),
        freight=tuple(loading.plain(each) for each in lab.freight()),
        problems=tuple(str(problem) for problem in lab.pipeline.problems),
    )


def of_store(store: Store) -> Shown:
    """What a store's file holds; it knows the Stages' statuses, not their specs."""
    stages = []
    for key, status in store.objects(STAGE).items():
        namespace, _, name = key.partition("/")
        stages.append({"metadata": {"namespace": namespace, "name": name}, "status": status})
    return Shown(
        stages=tuple(stages),
        promotions=tuple(store.objects(PROMOTION).values()),
        freight=tuple(loading.plain(each) for each in store.freight()),
    )


def stage_rows(shown: Shown) -> list[dict[str, str]]:
    """One row a Stage, with the columns STAGE_COLUMNS."""
    aliases = {each["metadata"]["name"]: each.get("alias") or each["metadata"]["name"] for each in shown.freight}
    rows = []
    for document in shown.stages:
        status = values.from_json(document.get("status") or {})
        current = status.current
        record = current.verification if current else None
        inside = sorted(aliases.get(name, name) for name in current.freight.values()) if current else []
        cells = (
            document["metadata"].get("namespace", ""),
            document["metadata"]["name"],
            ", ".join(inside),
            status.health,
            record.phase if record else "",
            status.current_promotion.name if status.current_promotion else "",
            ", ".join(sorted(status.holds)),
            status.message,
        )
        rows.append(dict(zip(STAGE_COLUMNS, cells, strict=True)))
    return rows


def promotion_rows(shown: Shown) -> list[dict[str, str]]:
    """One row a Promotion, with the columns PROMOTION_COLUMNS, in the order of their making."""
    aliases = {each["metadata"]["name"]: each.get("alias") or each["metadata"]["name"] for each in shown.freight}
    rows = []
    for document in shown.promotions:
        status, spec = document.get("status") or {}, document["spec"]
        cells = (
            document["metadata"].get("namespace", ""),
            document["metadata"]["name"],
            spec["stage"],
            aliases.get(spec.get("freight", ""), spec.get("freight", "")),
            status.get("phase", ""),
            status.get("startedAt", ""),
            status.get("finishedAt", ""),
            status.get("message", ""),
        )
        rows.append(dict(zip(PROMOTION_COLUMNS, cells, strict=True)))
    return rows


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """A plain table; columns that are empty everywhere are left out."""
    used = [column for column in columns if any(row[column] for row in rows)]
    cells = [list(used), *([row[column] for column in used] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(used))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def tree(shown: Shown) -> str:
    """Warehouses, the Stages that take their Freight directly, and those behind them, with what is in each.

    A Stage with several upstreams stands below the first one it names; a cycle is cut where it closes.
    """
    inside = {(row["namespace"], row["stage"]): row for row in stage_rows(shown)}
    children: dict[tuple[str, str], list[str]] = {}
    for document in shown.stages:
        namespace, name = document["metadata"].get("namespace", ""), document["metadata"]["name"]
        for parent in _parents(document):
            children.setdefault((namespace, parent), []).append(name)
    lines: list[str] = []
    for namespace, root in sorted(key for key in children if key[1].startswith("Warehouse/")):
        lines.append(f"{namespace} {root}")
        _branch(lines, namespace, root, children, inside, "", frozenset())
    placed = {line.strip("│├└─ ").split("  ")[0] for line in lines}
    lines += (f"{where} {name} (nothing leads here)" for where, name in inside if name not in placed)
    return "\n".join(lines)


def _parents(document: Document) -> list[str]:
    """Where a Stage hangs: once below each of its Warehouses or first upstreams."""
    found = []
    for request in (document.get("spec") or {}).get("requestedFreight") or ():
        sources = request.get("sources") or {}
        if sources.get("direct"):
            found.append(f"Warehouse/{request['origin']['name']}")
        else:
            found += (sources.get("stages") or [])[:1]
    return list(dict.fromkeys(found))


def _branch(
    lines: list[str],
    namespace: str,
    parent: str,
    children: Mapping[tuple[str, str], list[str]],
    inside: Mapping[tuple[str, str], Mapping[str, str]],
    indent: str,
    above: frozenset[str],
) -> None:
    names = [name for name in children.get((namespace, parent), ()) if name not in above]
    for place, name in enumerate(names):
        last = place == len(names) - 1
        row = inside[namespace, name]
        state = "  ".join(row[key] for key in ("freight", "verification", "promotion") if row[key])
        lines.append(f"{indent}{'└─' if last else '├─'} {name}  {state}".rstrip())
        deeper = indent + ("   " if last else "│  ")
        _branch(lines, namespace, name, children, inside, deeper, above | {name})


# Frames -------------------------------------------------------------------------------------------------


def stages_frame(shown: Shown) -> pd.DataFrame:
    """`stage_rows` as a DataFrame."""
    return _frame(stage_rows(shown), STAGE_COLUMNS)


def promotions_frame(shown: Shown) -> pd.DataFrame:
    """`promotion_rows` as a DataFrame; times are UTC."""
    import pandas as pd

    frame = _frame(promotion_rows(shown), PROMOTION_COLUMNS)
    for column in ("started", "finished"):
        frame[column] = pd.to_datetime(frame[column].replace("", None), utc=True)
    return frame


def trace_frame(marks: Iterable[Mark]) -> pd.DataFrame:
    """Marks of traces, one a row: correlation, time (UTC), what, object, note."""
    import pandas as pd

    columns = ["correlation", "time", "what", "object", "note"]
    frame = pd.DataFrame([attrs.asdict(mark) for mark in marks], columns=columns)
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    return frame


def _frame(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))

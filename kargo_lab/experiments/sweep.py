"""One scenario many times, with some of it changed each time: on one process, on all, or on a cluster.

A point is a text of settings over a document, so that it can be sent anywhere and says itself what it is. Any
`concurrent.futures.Executor` takes the points; what comes back is put in the order of the grid, so the table is the
same to the bit wherever it was made. On Dask:

    from distributed import Client
    with Client("tcp://scheduler:8786") as client:
        table = sweep.run("fifty-warehouses", grid, executor=client.get_executor())
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from kargo_lab.errors import UsageError
from kargo_lab.experiments import fast, scenario_reading

if TYPE_CHECKING:
    import pandas as pd

Grid = Mapping[str, Sequence[object]]


def points(grid: Grid) -> tuple[tuple[str, ...], ...]:
    """Every combination, the last parameter changing fastest, as settings `path=value`."""
    if not grid or not all(grid.values()):
        raise UsageError("a sweep needs at least one parameter, and each parameter at least one value")
    return tuple(
        tuple(f"{path}={_spelled(value)}" for path, value in zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    )


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def run(
    scenario: str | Path, grid: Grid, *, settings: Sequence[str] = (), executor: Executor | None = None
) -> pd.DataFrame:
    """One row a point and fleet: the parameters, then the columns of an outcome. Without executor, here and now.

    `scenario` is a file or the name of one that ships; all points are checked before the first is computed.
    """
    import pandas as pd

    name = str(scenario)
    text = _text(scenario)
    places = points(grid)
    for place in places:
        scenario_reading.loads(text, name=name, settings=(*settings, *place))
    tasks = [(text, name, (*settings, *place)) for place in places]
    tables = [_point(task) for task in tasks] if executor is None else list(executor.map(_point, tasks))
    rows = []
    for values, table in zip(itertools.product(*grid.values()), tables, strict=True):
        for column, (path, value) in enumerate(zip(grid, values, strict=True)):
            table.insert(column, path, [value] * len(table))
        rows.append(table)
    return pd.concat(rows, ignore_index=True)


def _text(scenario: str | Path) -> str:
    shipped = scenario_reading.SHIPPED / f"{scenario}.yaml"
    path = shipped if str(scenario) in scenario_reading.shipped() and not Path(scenario).exists() else Path(scenario)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{scenario} cannot be read: {error}") from error


def _point(task: tuple[str, str, tuple[str, ...]]) -> pd.DataFrame:
    text, name, settings = task
    return fast.simulate(scenario_reading.loads(text, name=name, settings=settings)).table()

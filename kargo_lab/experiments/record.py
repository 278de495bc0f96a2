"""What an experiment leaves behind: its table, its picture, and how to make both again."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kargo_lab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

VERSIONS = ("kargo-lab", "numpy", "pandas", "simpy")


def made(command: str, seed: int) -> dict[str, str]:
    """Command, seed, versions and machine."""
    return {
        "command": command,
        "seed": str(seed),
        "machine": f"{platform.system()} {platform.machine()}, Python {sys.version.split()[0]}",
        **{name: metadata.version(name) for name in VERSIONS},
    }


def write(
    folder: str | Path, name: str, table: pd.DataFrame, how: Mapping[str, str], figure: Figure | None = None
) -> list[Path]:
    """Write `name`.csv (lines that begin with # say how it was made), .json with the same, .parquet and .png.

    Parquet needs pyarrow and is left out without; it carries the same in its metadata. Read the CSV with
    `pandas.read_csv(path, comment="#")`.
    """
    into = Path(folder)
    try:
        into.mkdir(parents=True, exist_ok=True)
        csv = into / f"{name}.csv"
        head = "".join(f"# {key}: {value}\n" for key, value in how.items())
        csv.write_text(head + table.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
        said = into / f"{name}.json"
        said.write_text(json.dumps(dict(how), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written = [csv, said]
        if importlib.util.find_spec("pyarrow") is not None:
            kept = table.copy(deep=False)
            kept.attrs.update(how)
            kept.to_parquet(into / f"{name}.parquet", index=False)
            written.append(into / f"{name}.parquet")
        if figure is not None:
            figure.savefig(into / f"{name}.png", dpi=120, metadata={"Description": json.dumps(dict(how))})
            written.append(into / f"{name}.png")
    except OSError as error:
        raise UsageError(f"cannot write into {into}: {error.strerror or error}") from error
    return written

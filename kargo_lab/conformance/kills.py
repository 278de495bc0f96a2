"""The kill matrix as a document: for programs, for a spreadsheet, and for whoever wants to look."""

from __future__ import annotations

import csv
import io
import json
import platform
import shlex
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kargo_lab.conformance.page import template

if TYPE_CHECKING:
    from kargo_lab.conformance.proving import Proof


def document(proof: Proof) -> dict[str, Any]:
    """All that was found out. What was not run with a fault is missing from its `judged` count."""
    return {
        "made": made(proof),
        "good": proof.good,
        "complete": proof.complete,
        "survivors": list(proof.survivors),
        "idle": list(proof.idle),
        "blind": list(proof.blind),
        "faults": [
            {
                "name": trial.fault,
                "says": proof.says(trial.fault),
                "judged": len(trial.judged),
                "killers": list(trial.killers),
                "errors": list(trial.errors),
                "seconds": trial.seconds,
                "processor_seconds": trial.processor_seconds,
            }
            for trial in proof.trials
        ],
    }


def missing(proof: Proof) -> list[tuple[str, tuple[str, ...]]]:
    """What does not belong into a good proof, by kind; each kind is a phrase for one of its things."""
    errors = tuple(f"{trial.fault}: {each}" for trial in proof.trials for each in trial.errors)
    return [
        ("survived", proof.survivors),
        ("core case that notices no fault", proof.idle),
        ("group in which an absurd target passes", proof.blind),
        ("error of the suite", errors),
    ]


def made(proof: Proof) -> dict[str, str]:
    """Command, seed, versions and machine: what makes the same again."""
    chosen = [] if proof.complete else [word for trial in proof.trials for word in ("--select", trial.fault)]
    return {
        "command": shlex.join(["kargo-lab", "conformance", "prove", "--seed", str(proof.seed), *chosen]),
        "seed": str(proof.seed),
        "kargo-lab": metadata.version("kargo-lab"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def table(proof: Proof) -> str:
    """CSV: a row for each fault, a column for each case that noticed any; 1 noticed, 0 did not, empty was not run."""
    cases = sorted({case for trial in proof.trials for case in trial.killers})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fault", *cases])
    for trial in proof.trials:
        killers = set(trial.killers)
        writer.writerow([trial.fault, *("" if case not in trial.judged else int(case in killers) for case in cases)])
    return text.getvalue()


def page(proof: Proof) -> str:
    """HTML in one file: a row for each fault, a column for each group of cases, and the cases of each row to unfold."""
    groups = sorted({group for trial in proof.trials for group in trial.groups})
    rows = [(trial, proof.says(trial.fault), trial.groups) for trial in proof.trials]
    return template("kills.html").render(
        proof=proof, groups=groups, rows=rows, made=made(proof), missing=missing(proof)
    )


def write(folder: Path, proof: Proof) -> list[Path]:
    """Write `kills.json`, `kills.csv` and `kills.html` into the folder, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "kills.json": json.dumps(document(proof), indent=1) + "\n",
        "kills.csv": table(proof),
        "kills.html": page(proof),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]

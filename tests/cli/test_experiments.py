"""`simulate`, `advise` and `measure` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from kargo_lab.cli import main


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_simulate_prints_a_row_for_each_fleet() -> None:
    done = run("simulate", "fifty-warehouses", "--set", "length=2h", "--json")
    assert done.exit_code == 0
    assert [row["fleet"] for row in json.loads(done.stdout)["rows"]] == ["images", "commits"]


def test_both_models_print_the_same() -> None:
    words = ("simulate", "fifty-warehouses", "--set", "length=2h")
    assert run(*words).stdout == run(*words, "--model", "events").stdout


def test_simulate_writes_table_picture_and_how_they_were_made(tmp_path: Path) -> None:
    done = run("simulate", "fifty-warehouses", "--set", "length=2h", "--out", str(tmp_path))
    assert done.exit_code == 0
    assert {"fifty-warehouses.csv", "fifty-warehouses.json", "fifty-warehouses.png"} <= {
        path.name for path in tmp_path.iterdir()
    }
    how = json.loads((tmp_path / "fifty-warehouses.json").read_text())
    assert how["command"] == "kargo-lab simulate fifty-warehouses --set length=2h"
    assert {"seed", "numpy", "simpy", "kargo-lab", "machine"} <= set(how)
    assert len(pd.read_csv(tmp_path / "fifty-warehouses.csv", comment="#")) == 2


def test_a_sweep_prints_a_row_for_each_value_and_fleet() -> None:
    done = run("simulate", "fifty-warehouses", "--set", "length=1h", "--sweep", "fleets.*.interval=5m,10m")
    assert len(done.stdout.splitlines()) == 1 + 4


def test_the_scenarios_that_ship_are_listed() -> None:
    assert "fifty-warehouses" in run("simulate", "--list").stdout.split()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(["simulate"], "name a scenario", id="no scenario"),
        pytest.param(["simulate", "nowhere"], "scenarios that ship", id="a scenario that is not there"),
        pytest.param(
            ["simulate", "fifty-warehouses", "--set", "fleets.images.interval=1m"],
            "fleets.images.interval: 60 s is below",
            id="an interval below the floor",
        ),
        pytest.param(["simulate", "fifty-warehouses", "--sweep", "seed"], "PATH=A,B,C", id="a sweep without values"),
        pytest.param(["measure", "latency", "--platforms", "quay"], "REGISTRY,GIT", id="half a pair of platforms"),
        pytest.param(["measure", "latency", "--platforms", "quay,cvs"], "no Git host 'cvs'", id="an unknown platform"),
        pytest.param(["measure", "calls", "--out", "/proc/none"], "nothing can be written", id="measured for nothing"),
        pytest.param(["simulate", "fifty-warehouses", "--out", "/proc/none"], "nothing can be", id="simulated so"),
        pytest.param(["advise"], "--events-per-day", id="advice about nothing"),
        pytest.param(["advise", "--events-per-day", "-1"], "above 0", id="a negative rate"),
        pytest.param(["advise", "--events-per-day", "1", "--quota", "many"], "REQUESTS/TIME", id="a quota in words"),
    ],
)
def test_what_is_used_wrongly_ends_with_status_two_and_a_sentence(words: list[str], text: str) -> None:
    done = run(*words)
    assert (done.exit_code, text in done.stderr) == (2, True)


def test_advise_stars_one_choice() -> None:
    done = run("advise", "--events-per-day", "4", "--warehouses", "50", "--quota", "5000/1h")
    assert sum(line.startswith("* ") for line in done.stdout.splitlines()) == 1


def test_advise_estimates_from_dates(tmp_path: Path) -> None:
    dates = tmp_path / "dates"
    dates.write_text("".join(f"2026-01-{day:02d}T10:00:00Z\n" for day in range(1, 29)))
    done = run("advise", "--from-dates", str(dates), "--json")
    assert json.loads(done.stdout)["rate"]["per_day"] == pytest.approx(1.0)


@pytest.mark.timeout(120)
def test_measure_filtering_counts_less_waste_with_a_filter(tmp_path: Path) -> None:
    done = run(
        "measure",
        "filtering",
        "--profile",
        "v1.6",
        "--profile",
        "v1.7",
        "--platforms",
        "quay,gitlab",
        "--out",
        str(tmp_path),
    )
    assert done.exit_code == 0, done.output
    card = pd.read_csv(tmp_path / "filtering.csv", comment="#")
    wasted = card.groupby("profile")["wasted"].sum()
    assert wasted["v1.7"] < wasted["v1.6"] / 5

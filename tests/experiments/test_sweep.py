"""A sweep gives the same table to the bit wherever its points are computed."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pytest

from kargo_lab.errors import ManifestError, UsageError
from kargo_lab.experiments import sweep

# 200 points; no limits, so that each takes a moment.
GRID = {
    "fleets.images.interval": [f"{minutes}m" for minutes in range(5, 25)],
    "fleets.images.webhook.loss": [share / 10 for share in range(10)],
}
SETTINGS = ("length=6h", "controller={}", "sources.docker-hub={}", "sources.github={}")


@pytest.fixture(scope="module")
def here() -> pd.DataFrame:
    return sweep.run("fifty-warehouses", GRID, settings=SETTINGS)


def test_a_sweep_has_a_row_for_each_point_and_fleet(here: pd.DataFrame) -> None:
    assert len(here) == 200 * 2


@pytest.mark.timeout(120)
def test_two_processes_give_the_same_table_to_the_bit(here: pd.DataFrame) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        there = sweep.run("fifty-warehouses", GRID, settings=SETTINGS, executor=executor)
    assert there.to_csv() == here.to_csv()
    pd.testing.assert_frame_equal(there, here, check_exact=True)


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore")  # Dask's own, about its dashboard and its threads
def test_a_dask_cluster_gives_the_same_table_to_the_bit(here: pd.DataFrame) -> None:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("distributed is not installed; the extra `dask` brings it")
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        Client(cluster) as client,
    ):
        there = sweep.run("fifty-warehouses", GRID, settings=SETTINGS, executor=client.get_executor())
    pd.testing.assert_frame_equal(there, here, check_exact=True)


def test_points_are_checked_before_the_first_is_computed() -> None:
    with pytest.raises(ManifestError, match="per-day"):
        sweep.run("fifty-warehouses", {"fleets.images.events.per-day": [1, -1]})


@pytest.mark.parametrize("grid", [pytest.param({}, id="no parameter"), pytest.param({"length": []}, id="no value")])
def test_a_sweep_over_nothing_is_refused(grid: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        sweep.run("fifty-warehouses", grid)

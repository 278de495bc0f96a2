"""Scenarios: what ships can be read, and what is wrong is said at once, each with its path and reason."""

from __future__ import annotations

import pytest

from kargo_lab.errors import ManifestError, UsageError
from kargo_lab.experiments import scenario_reading
from kargo_lab.experiments.chance import Span

GOOD = """
scenario: one Warehouse
length: 1d
sources:
  hub: {quota: {requests: 200, per: 6h}}
fleets:
  images: {source: hub, warehouses: 1, interval: 5m}
"""


@pytest.mark.parametrize("name", scenario_reading.shipped())
def test_a_scenario_that_ships_can_be_read(name: str) -> None:
    assert scenario_reading.load(name).warehouses == 50


@pytest.mark.parametrize(
    ("setting", "path", "reason"),
    [
        pytest.param("fleets.images.intervals=5m", "fleets.images.intervals", "unknown key", id="an unknown key"),
        pytest.param("fleets.images.events.per-day=-1", "fleets.images.events.per-day", "of at least 0", id="a rate"),
        pytest.param("fleets.images.events.per-day=.inf", "fleets.images.events.per-day", "of at least 0", id="inf"),
        pytest.param("fleets.images.events.per-day=.nan", "fleets.images.events.per-day", "of at least 0", id="NaN"),
        pytest.param(
            "controller.minimum-interval=10m",
            "fleets.images.interval",
            "below the controller's minimum-interval of 600 s",
            id="an interval below the floor",
        ),
        pytest.param(
            "sources.hub.quota.requests=1",
            "sources.hub.quota.requests",
            "one discovery needs 2 counted requests, the quota has 1",
            id="a quota too small for one discovery",
        ),
        pytest.param("sources.hub.quota.requests=0", "sources.hub.quota.requests", "at least 1", id="an empty quota"),
        pytest.param("sources.hub.quota.per=0s", "sources.hub.quota.per", "above 0", id="a quota for no time"),
        pytest.param("fleets.images.source=x", "fleets.images.source", "there is no source 'x'", id="a source"),
        pytest.param("fleets.images.webhook.loss=2", "fleets.images.webhook.loss", "at most 1", id="a share"),
        pytest.param("fleets.images.interval=5x", "fleets.images.interval", "a duration such as 5m", id="a duration"),
        pytest.param("fleets.images.interval=-5m", "fleets.images.interval", "of at least 0", id="a negative duration"),
        pytest.param(
            "fleets.images.webhook.outages=[[2h, 1h]]",
            "fleets.images.webhook.outages[0]",
            "ends after it began",
            id="an outage backwards",
        ),
        pytest.param("fleets={}", "fleets", "at least one", id="no fleet"),
        pytest.param("length=null", "length", "a duration", id="no length"),
    ],
)
def test_what_cannot_be_is_refused_with_path_and_reason(setting: str, path: str, reason: str) -> None:
    with pytest.raises(ManifestError) as refused:
        scenario_reading.loads(GOOD, settings=[setting])
    assert [misfit.path for misfit in refused.value.misfits] == [path]
    assert reason in refused.value.misfits[0].message


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = ["fleets.images.interval=x", "fleets.images.warehouses=0", "nothing=1", "sources.hub.quota.per=x"]
    with pytest.raises(ManifestError) as refused:
        scenario_reading.loads(GOOD, settings=wrong)
    assert len(refused.value.misfits) == 4


def test_a_misfit_names_file_and_line() -> None:
    with pytest.raises(ManifestError, match=r"my\.yaml:7: fleets\.images\.interval"):
        scenario_reading.loads(GOOD.replace("5m", "soon"), name="my.yaml")


def test_a_star_sets_every_fleet() -> None:
    scenario = scenario_reading.load("fifty-warehouses", settings=["fleets.*.interval=1h"])
    assert {fleet.interval_seconds for fleet in scenario.fleets.values()} == {3600.0}


def test_a_length_may_have_a_shape() -> None:
    setting = "fleets.images.discovery={mean: 2s, shape: exponential}"
    assert scenario_reading.loads(GOOD, settings=[setting]).fleets["images"].discovery == Span(2.0, "exponential")


@pytest.mark.parametrize("setting", ["length", "=1", "a=[", "a={"])
def test_a_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(UsageError):
        scenario_reading.loads(GOOD, settings=[setting])


def test_a_scenario_that_is_not_there_names_those_that_ship() -> None:
    with pytest.raises(UsageError, match="fifty-warehouses"):
        scenario_reading.load("nowhere.yaml")

"""Where something is measured: what is refused, and that all clients and backends end in Freight."""

from __future__ import annotations

import shutil

import pytest

from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.experiments import hooked, latency
from kargo_lab.experiments.place import HERE, PLACE_COLUMNS, Place
from kargo_lab.platforms.registry_process import why_no_process

needs_programs = pytest.mark.skipif(not shutil.which("skopeo"), reason="the program skopeo is not installed")
needs_registry = pytest.mark.skipif(bool(why_no_process()), reason=str(why_no_process()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"backend": "cloud"}, "no backend 'cloud'", id="a backend that is unknown"),
        pytest.param({"client": "crane"}, "no client 'crane'", id="a client that is unknown"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Place(**wrong)


def test_what_is_not_to_be_had_here_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"needs skopeo and git, which is not installed here"):
        Place(client="programs")
    with pytest.raises(UsageError, match=r"backend 'process' is not to be had here: the program docker-registry"):
        Place(backend="process")


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(HERE, id="embedded, the lab"),
        pytest.param(Place(registry="quay", git="github"), id="other personas"),
        pytest.param({"client": "programs"}, id="embedded, skopeo and git", marks=needs_programs),
        pytest.param(
            {"backend": "process", "client": "programs"},
            id="docker-registry, skopeo and git",
            marks=[needs_programs, needs_registry],
        ),
    ],
)
def test_every_push_becomes_freight_by_polling_and_by_webhook(place: Place | dict[str, str]) -> None:
    chosen = place if isinstance(place, Place) else Place(**place)
    measured = latency.measure(intervals_seconds=(1.0,), pushes=1, places=(chosen,))
    assert tuple(measured.rows.columns) == latency.COLUMNS
    assert set(zip(measured.rows["mode"], measured.rows["kind"], strict=True)) == {
        (mode, kind) for mode in ("polling", "webhook") for kind in latency.KINDS
    }
    # distribution notifies before it tags (`handlers/manifests.go` puts, and only then tags): a discovery that begins
    # at once may not see the tag yet, and then the push waits for the interval.
    racing = (measured.rows["mode"] == "webhook") & (measured.rows["kind"] == "image") & (chosen.backend != "embedded")
    assert measured.rows.loc[~racing, "latency_seconds"].notna().all()
    assert set(measured.rows["client"]) == {chosen.client}


def test_what_a_program_says_about_a_failed_push_is_passed_on() -> None:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    place = Place(client="programs")
    with place.testbed() as bed, place.pushing(bed) as pusher, pytest.raises(UpstreamError, match="git could not push"):
        pusher.commit("team/nothing", "1")


def test_nobody_waits_for_the_end_of_an_outage_longer_than_an_interval() -> None:
    rows = hooked.outages(lengths_seconds=(3.0,), intervals_seconds=(2.0,), warehouses=8).rows
    assert tuple(rows.columns) == hooked.OUTAGE_COLUMNS
    assert rows["lost"].iloc[0] >= 2
    assert rows["max_delay_seconds"].iloc[0] < 2.0 + 2.0  # an interval, and what a busy machine adds
    assert rows[list(PLACE_COLUMNS)].iloc[0].tolist() == ["harbor", "gitea", "embedded", "lab"]


@needs_registry
def test_only_an_embedded_registry_loses_by_order() -> None:
    with pytest.raises(UsageError, match="only an embedded registry loses"):
        hooked.losses(place=Place(backend="process"))

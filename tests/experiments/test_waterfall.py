"""From a push to its Promotion: the moments come in their order, and the picture shows every span."""

from __future__ import annotations

import pytest

from kargo_lab.engine import tracing
from kargo_lab.experiments import waterfall

ROW = {moment: place / 10 for place, moment in enumerate(waterfall.MOMENTS)}


def test_a_push_by_webhook_has_all_its_moments_in_order() -> None:
    measured = waterfall.measure(intervals_seconds=(), lanes=1, pushes=1)
    (row,) = measured.rows.to_dict(orient="records")
    causal = [moment for moment in waterfall.MOMENTS if moment != tracing.ANSWERED]  # may leave after discovery began
    times = [row[moment] for moment in causal]
    assert times == sorted(times)
    assert measured.summary()["lost"].tolist() == [0]


@pytest.mark.parametrize(
    ("missing", "bars"),
    [
        pytest.param((), 8, id="by webhook"),
        pytest.param((waterfall.SENT, tracing.RECEIVED, tracing.ANSWERED), 6, id="by polling"),
    ],
)
def test_the_picture_has_a_bar_a_span(missing: tuple[str, ...], bars: int) -> None:
    figure = waterfall.plot({**ROW, **dict.fromkeys(missing, float("nan"))})
    assert len(figure.axes[0].patches) == bars

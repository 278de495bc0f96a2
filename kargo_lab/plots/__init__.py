"""Plots: tables in, a figure out. Units stand on every axis; the title says what was found."""

from kargo_lab.plots.measured import filtering_scorecard, latency_by_interval, requests_by_mode
from kargo_lab.plots.simulated import (
    break_even,
    delay_by_loss,
    delay_by_outage,
    outcome,
    requests_by_interval,
    sweep,
)

__all__ = [
    "break_even",
    "delay_by_loss",
    "delay_by_outage",
    "filtering_scorecard",
    "latency_by_interval",
    "outcome",
    "requests_by_interval",
    "requests_by_mode",
    "sweep",
]

"""The door of pytest to the suite: `pytest --kargo-target URL` has one item a case.

pytest opens it in every project of an environment in which the lab is installed. So nothing is imported, collected or
printed here unless a target was named; what then happens is in `conformance.pytest_items`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The words of `kargo-lab conformance run`, with `kargo` in front, since a project has options of its own."""
    group = parser.getgroup("kargo", "conformance of a webhook receiver (kargo-lab)")
    group.addoption(
        "--kargo-target",
        metavar="TARGET",
        help="judge this: a webhook base URL, a target file (YAML), reference or reference-in-process; "
        "without paths, nothing else is collected",
    )
    group.addoption("--kargo-profile", metavar="NAME", help="Kargo minor whose behaviour is expected, or recommended")
    group.addoption(
        "--kargo-select",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only these cases, as --select of `kargo-lab conformance run`; repeatable",
    )
    group.addoption(
        "--kargo-level",
        action="append",
        default=[],
        choices=["core", "extended", "strict"],
        help="only cases of this level; repeatable",
    )
    group.addoption("--kargo-strict", action="store_true", help="a strict case that fails is a failure, not an xfail")
    group.addoption("--kargo-seed", type=int, default=7, metavar="N", help="seeds secrets and names (default: 7)")
    group.addoption(
        "--kargo-jobs",
        type=_from(1),
        default=4,
        metavar="N",
        help="cases sent side by side, where a group is judged together (default: 4)",
    )
    group.addoption(
        "--kargo-factor",
        type=_factor,
        default=1.0,
        metavar="X",
        help="multiplies every time of the target, for slow machines; its file's `scale`, from outside (default: 1)",
    )
    group.addoption("--kargo-rerun", type=_from(0), default=0, metavar="N", help="run what failed again, up to N times")
    group.addoption("--kargo-report", metavar="DIR", help="write the suite's own report into this folder, too")


def _from(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, found {text!r}")
        return int(text)

    return number


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return factor


def pytest_configure(config: pytest.Config) -> None:
    """Let the suite in, if it was called."""
    if config.getoption("--kargo-target") is None or config.getoption("help", default=False):
        return
    from kargo_lab.conformance.pytest_items import Suite

    config.pluginmanager.register(Suite(config), "kargo-lab-suite")

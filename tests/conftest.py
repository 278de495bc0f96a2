"""What all tests share: one option."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Skips for want of an engine or an image become failures where a run is meant to have both."""
    parser.addoption(
        "--require-containers", action="store_true", help="fail where a container cannot run, instead of skipping"
    )

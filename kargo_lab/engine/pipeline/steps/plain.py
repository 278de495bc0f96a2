"""Steps that touch nothing: an output, a failure on purpose, nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kargo_lab.engine.pipeline.steps.work import FAILED, Result, Work


def compose_output(config: Mapping[str, Any], _work: Work) -> Result:
    """Answer the configuration, its expressions replaced, as the output."""
    return Result(output=dict(config))


def fail(config: Mapping[str, Any], work: Work) -> Result:
    """Fail, with a message."""
    return Result(status=FAILED, message=work.text(config, "message", "failed on purpose"))


def noop(_config: Mapping[str, Any], _work: Work) -> Result:
    """Succeed."""
    return Result()

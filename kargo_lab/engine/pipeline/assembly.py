"""The pipeline put together out of what a Lab has."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from kargo_lab.engine.clock import Clock
from kargo_lab.engine.pipeline.analysis import Check
from kargo_lab.engine.pipeline.checks import probe
from kargo_lab.engine.pipeline.controller import Pipeline
from kargo_lab.engine.pipeline.execution import Executor
from kargo_lab.engine.pipeline.steps import STEPS, Run
from kargo_lab.engine.pipeline.values import HEALTHY
from kargo_lab.engine.pipeline.verification import Health, Verifier
from kargo_lab.engine.store import Store
from kargo_lab.engine.tracing import Tracer
from kargo_lab.resources.configuration import Secret
from kargo_lab.sources.shared import Shared


class Workshop:
    """The folder in which Promotions work: made on first use, gone with whoever held it."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Path:
        """The folder."""
        with self._lock:
            if self._path is None:
                self._path = Path(tempfile.mkdtemp(prefix="kargo-lab-promotions-"))
                weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
            return self._path

    def close(self) -> None:
        """Delete it."""
        with self._lock:
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                self._path = None


def build(
    *,
    store: Store,
    shared: Shared,
    clock: Clock,
    tracer: Tracer,
    random: Random,
    secrets: Callable[[], Sequence[Secret]],
    workshop: Workshop,
    checks: Mapping[str, Check] | None = None,
    steps: Mapping[str, Run] | None = None,
    health: Health | None = None,
) -> Pipeline:
    """A pipeline. `checks` measure verifications, `steps` come beside the lab's own, `health` says how a Stage is."""
    return Pipeline(
        store=store,
        clock=clock,
        profile=shared.profile,
        executor=Executor(shared=shared, clock=clock, root=workshop, secrets=secrets, steps={**STEPS, **(steps or {})}),
        verifier=Verifier(
            probe=probe(shared, clock), checks=checks, health=health or (lambda _stage: HEALTHY), now=clock.now
        ),
        tracer=tracer,
        random=random,
        concurrency=shared.settings.concurrent_reconciles,
    )

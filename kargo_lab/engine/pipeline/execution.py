"""A Promotion at work: its steps in turn, what each leaves behind, and when it has to be asked again.

A Promotion is advanced until it ends or a step waits; after every step the caller writes down how far it has
come. What waits is bounded: by the step's own `retry.timeout`, and by `MOST_STEP_SECONDS` where it names none.
Source: discovery.md 8.7; Kargo's documentation, "Promotion Templates".
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.engine.pipeline import promotions
from kargo_lab.engine.pipeline.scope import Scope
from kargo_lab.engine.pipeline.steps import STEPS, Run
from kargo_lab.engine.pipeline.steps.work import ERRORED, FAILED, RUNNING, SKIPPED, SUCCEEDED, Result, Work
from kargo_lab.engine.status import moment, timestamp
from kargo_lab.errors import LabError, PipelineError
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.pipeline import Freight, Promotion, PromotionStep, Stage, StepRetry
from kargo_lab.rules import durations
from kargo_lab.sources.shared import Shared

ASK_AGAIN_SECONDS = 300.0  # a step that waits is asked so often, and at once when a webhook tells
MOST_STEP_SECONDS = 24 * 3600.0
OUTCOMES, SINCE, ERRORS = "_outcomes", "_since", "_errors"  # of a Promotion's state, beside the outputs of steps

Keep = Callable[[Promotion], None]


@attrs.frozen(kw_only=True)
class Executor:
    """Runs steps. `steps` may hold more than the lab's own, for lessons and tests."""

    shared: Shared
    clock: Clock
    root: Callable[[], Path]
    secrets: Callable[[], Sequence[Secret]] = tuple
    steps: Mapping[str, Run] = STEPS

    def directory(self, promotion: Promotion) -> Path:
        """The Promotion's own directory."""
        return self.root() / promotion.namespace / promotion.name

    def forget(self, promotion: Promotion) -> None:
        """Delete the Promotion's directory."""
        shutil.rmtree(self.directory(promotion), ignore_errors=True)

    def advance(
        self, promotion: Promotion, stage: Stage, freight: tuple[Freight, ...], keep: Keep, stopped: Callable[[], bool]
    ) -> tuple[Promotion, float]:
        """Go on with a running Promotion; it, and the seconds after which to ask again (0 if it ended).

        A directory that is gone, as after a crash, means to begin at the first step (as Kargo does).
        """
        if not self.directory(promotion).exists():
            self.directory(promotion).mkdir(parents=True)
            promotion = _with(promotion, current_step=0, state={})
        while promotion.status.current_step < len(promotion.steps):
            if stopped():
                return self._ended(promotion, "Aborted", "aborted by a user"), 0.0
            step = promotion.steps[promotion.status.current_step]
            promotion, seconds = self._step(promotion, step, stage, freight)
            keep(promotion)
            if seconds:
                return promotion, seconds
        return self._concluded(promotion), 0.0

    def _step(
        self, promotion: Promotion, step: PromotionStep, stage: Stage, freight: tuple[Freight, ...]
    ) -> tuple[Promotion, float]:
        """One step once: what it leaves, and the seconds after which to ask again (0: it is over)."""
        state = dict(promotion.status.state)
        state.setdefault(SINCE, timestamp(self.clock.now()))
        promotion = _with(promotion, state=state)
        result = self._result(promotion, step, stage, freight)
        errors = int(state.get(ERRORS, 0))
        if result.output is not None:
            state[step.alias] = dict(result.output)
        retry, waited = step.retry or StepRetry(), self._waited(state)
        limit = durations.seconds(retry.timeout) if retry.timeout else MOST_STEP_SECONDS
        if result.status == ERRORED and errors + 1 < retry.error_threshold:
            state[ERRORS], result = errors + 1, attrs.evolve(result, status=RUNNING)
        if result.status == RUNNING:
            if waited < limit:
                message = f"step {step.alias}: {result.message or 'is running'}"
                return _with(promotion, state=state, message=message), min(ASK_AGAIN_SECONDS, limit - waited)
            text = f"timed out after {durations.render(round(limit * durations.SECOND))}: {result.message}"
            result = Result(status=ERRORED, message=text)
        state = {key: value for key, value in state.items() if key not in (SINCE, ERRORS)}
        outcome = SUCCEEDED if step.continue_on_error and result.status in (FAILED, ERRORED) else result.status
        state[OUTCOMES] = {**state.get(OUTCOMES, {}), step.alias: outcome}
        said = f"step {step.alias}: {result.message}" if outcome in (FAILED, ERRORED) else ""
        return (
            _with(
                promotion,
                state=state,
                current_step=promotion.status.current_step + 1,
                message=promotion.status.message if not said and self._failed(state) else said,
            ),
            0.0,
        )

    @staticmethod
    def _failed(state: Mapping[str, Any]) -> bool:
        return any(outcome in (FAILED, ERRORED) for outcome in state.get(OUTCOMES, {}).values())

    def _waited(self, state: Mapping[str, Any]) -> float:
        began = moment(state.get(SINCE))
        return (self.clock.now() - began).total_seconds() if began is not None else 0.0

    def _result(self, promotion: Promotion, step: PromotionStep, stage: Stage, freight: tuple[Freight, ...]) -> Result:
        state = promotion.status.state
        scope = Scope(
            promotion=promotion,
            freight=freight,
            stage_vars=stage.vars,
            outputs={key: value for key, value in state.items() if not key.startswith("_")},
            outcomes=state.get(OUTCOMES, {}),
            profile=self.shared.profile,
            now=self.clock.now(),
        )
        try:
            if not scope.wanted(step):
                return Result(status=SKIPPED, message="skipped")
            run = self.steps.get(step.uses)
            if run is None:
                known = ", ".join(sorted(self.steps))
                return Result(status=ERRORED, message=f"there is no step {step.uses!r} in this lab; it has {known}")
            config = scope.evaluate(step.config or {}, step)
            if not isinstance(config, Mapping):
                return Result(status=ERRORED, message="`config` must be a mapping")
            return run(config, self._work(promotion, step))
        except PipelineError as error:
            return Result(
                status=ERRORED, message=str(error).removeprefix(f"Promotion {promotion.key}, step {step.alias}: ")
            )
        except LabError as error:
            return Result(status=ERRORED, message=str(error))

    def _work(self, promotion: Promotion, step: PromotionStep) -> Work:
        output = promotion.status.state.get(step.alias)
        return Work(
            promotion=promotion,
            alias=step.alias,
            directory=self.directory(promotion),
            shared=self.shared,
            clock=self.clock,
            secrets=self.secrets(),
            output=output if isinstance(output, Mapping) else {},
        )

    def _concluded(self, promotion: Promotion) -> Promotion:
        outcomes = promotion.status.state.get(OUTCOMES, {}).values()
        phase = ERRORED if ERRORED in outcomes else FAILED if FAILED in outcomes else SUCCEEDED
        return self._ended(promotion, phase, promotion.status.message if phase != SUCCEEDED else "")

    def _ended(self, promotion: Promotion, phase: str, message: str) -> Promotion:
        self.forget(promotion)
        return promotions.finished(promotion, phase, timestamp(self.clock.now()) or "", message)


def _with(promotion: Promotion, **members: Any) -> Promotion:
    return attrs.evolve(promotion, status=attrs.evolve(promotion.status, **members))

"""PromotionTasks: a step that names one is replaced by the task's steps when the Promotion is made.

Source: discovery.md 8.7 (WHP:268-293; AP:274-348, 393-444).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from kargo_lab.errors import PipelineError
from kargo_lab.resources.pipeline import PromotionStep, PromotionTask, Variable

SEPARATOR = "::"
MOST_STEPS = 1000  # of one Promotion once all is unfolded; a bound of ours


def alias(step: PromotionStep, number: int) -> str:
    """The name under which a step's output is found; without one of its own it is numbered."""
    return step.alias or (f"task-{number}" if step.task is not None else f"step-{number}")


def variables(
    task: Iterable[Variable], promotion: Iterable[Variable], step: Sequence[Variable]
) -> tuple[Variable, ...]:
    """What a task's steps are given: its defaults, then what the step that names it says.

    What the Promotion sets is not copied: it is in scope anyway, and the default must not hide it. Raises
    PipelineError for a required variable (one without a default) that nobody gives a value.
    """
    by_promotion = {each.name for each in promotion if each.value}
    by_step = {each.name for each in step if each.value}
    taken = []
    for each in task:
        if each.name in by_promotion:
            continue
        if each.value:
            taken.append(each)
        elif each.name not in by_step:
            raise PipelineError(f"variable {each.name}", "is required, and neither the Promotion nor the step sets it")
    return (*taken, *step)


def unfolded(
    steps: Sequence[PromotionStep],
    tasks: Mapping[tuple[str, str], PromotionTask],
    namespace: str,
    promotion: Sequence[Variable] = (),
) -> tuple[PromotionStep, ...]:
    """The steps with every reference to a task replaced. `tasks` is by namespace (empty: the cluster's) and name."""
    found: list[PromotionStep] = []
    for number, step in enumerate(steps):
        outer = alias(step, number)
        if step.task is None:
            found.append(attrs.evolve(step, alias=outer))
            continue
        where = "" if step.task.kind == "ClusterPromotionTask" else namespace
        task = tasks.get((where, step.task.name))
        if task is None:
            raise PipelineError(f"step {outer}", f"there is no {step.task.kind} {step.task.name!r}")
        try:
            given = variables(task.vars, promotion, step.vars)
        except PipelineError as error:
            raise PipelineError(f"step {outer}, {step.task.kind} {step.task.name}", str(error)) from None
        found += (_inner(each, place, outer, step, given) for place, each in enumerate(task.steps))
    if len(found) > MOST_STEPS:
        raise PipelineError("the promotion template", f"unfolds to {len(found)} steps; {MOST_STEPS} are allowed")
    return tuple(found)


def _inner(
    step: PromotionStep, number: int, outer: str, reference: PromotionStep, given: tuple[Variable, ...]
) -> PromotionStep:
    if step.task is not None:
        raise PipelineError(f"step {outer}", "a task may not refer to another task")
    return attrs.evolve(
        step,
        alias=f"{outer}{SEPARATOR}{alias(step, number)}",
        vars=(*given, *step.vars),
        condition=step.condition or reference.condition,
        continue_on_error=step.continue_on_error or reference.continue_on_error,
    )

"""What is wrong with a set of Stages before anything runs: each problem with the object that has it.

Kargo accepts all of these; Freight then never arrives, and nobody is told. The lab tells, and lets them be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kargo_lab.engine.pipeline.steps import STEPS
from kargo_lab.errors import PipelineError
from kargo_lab.resources.pipeline import Promotion, PromotionStep, PromotionTask, Stage


def problems(
    stages: Sequence[Stage],
    warehouses: Iterable[tuple[str, str]],
    tasks: Mapping[tuple[str, str], PromotionTask] | None = None,
    *,
    steps: Iterable[str] = STEPS,
) -> tuple[PipelineError, ...]:
    """Unknown upstreams, Warehouses, tasks and steps, requests without source, and cycles that no Freight enters.

    `warehouses` are namespace and name.
    """
    known, origins = {stage.key: stage for stage in stages}, set(warehouses)
    found: list[PipelineError] = []
    for stage in stages:
        for request in stage.requested_freight:
            if (stage.namespace, request.origin.name) not in origins:
                found.append(_problem(stage, f"requests Freight of {request.origin.key}, which does not exist"))
            if not request.direct and not request.stages:
                found.append(_problem(stage, f"names no source for Freight of {request.origin.key}"))
            found += (
                _problem(stage, f"names the upstream Stage {upstream!r}, which does not exist")
                for upstream in request.stages
                if f"{stage.namespace}/{upstream}" not in known
            )
        found += _of_steps(stage, tasks or {}, frozenset(steps))
    return (*found, *_cycles(known))


def unrun(declared: Iterable[Promotion]) -> tuple[PipelineError, ...]:
    """Promotions out of files that look as if they were to run.

    In Kargo each creation of one is another Promotion, under a name of its own (8.7), so a file that is applied again
    would promote again. The lab keeps what is declared as objects for webhooks to refresh, and says so.
    """
    return tuple(
        PipelineError(
            f"Promotion {each.key}",
            "is declared and so is not run; ask the lab API instead, with"
            f" POST /lab/v1/stages/{each.namespace}/{each.stage}/promote",
        )
        for each in declared
        if each.status.phase in ("", "Pending")
    )


def _problem(stage: Stage, text: str) -> PipelineError:
    return PipelineError(f"Stage {stage.key}", text)


def _of_steps(
    stage: Stage, tasks: Mapping[tuple[str, str], PromotionTask], known: frozenset[str]
) -> list[PipelineError]:
    found, steps = [], list[PromotionStep]()
    for step in stage.steps:
        if step.task is None:
            steps.append(step)
            continue
        where = "" if step.task.kind == "ClusterPromotionTask" else stage.namespace
        task = tasks.get((where, step.task.name))
        if task is None:
            found.append(_problem(stage, f"uses the {step.task.kind} {step.task.name!r}, which does not exist"))
        else:
            steps += task.steps
    unknown = dict.fromkeys(step.uses for step in steps if step.uses and step.uses not in known)
    return found + [_problem(stage, f"uses the step {name!r}, which this lab does not have") for name in unknown]


def _cycles(stages: Mapping[str, Stage]) -> list[PipelineError]:
    """Stages that wait for one another for the same Warehouse, with no way in; each cycle once."""
    found: list[PipelineError] = []
    told: set[str] = set()
    for key in stages:
        for request in stages[key].requested_freight:
            cycle = _cycle_from(stages, key, request.origin.name)
            if cycle and not told & set(cycle):
                told.update(cycle)
                names = " -> ".join(stages[each].name for each in (*cycle, cycle[0]))
                found.append(
                    _problem(stages[cycle[0]], f"waits for itself: {names}; Freight can enter by approval only")
                )
    return found


def _cycle_from(stages: Mapping[str, Stage], start: str, origin: str) -> tuple[str, ...]:
    """The Stages of a cycle that is reached from a Stage along upstreams, if everything there leads into it."""
    trail: list[str] = []
    key = start
    while key not in trail:
        trail.append(key)
        stage = stages[key]
        request = next((each for each in stage.requested_freight if each.origin.name == origin), None)
        if request is None or request.direct:
            return ()
        upstreams = [f"{stage.namespace}/{name}" for name in request.stages]
        inside = [each for each in upstreams if each in stages]
        if not inside or _has_entrance(stages, key, origin):
            return ()
        key = inside[0]
    return tuple(trail[trail.index(key) :])


def _has_entrance(stages: Mapping[str, Stage], start: str, origin: str) -> bool:
    """True if some Stage above takes Freight of the origin directly, or from a Stage that is not known."""
    seen, left = set[str](), [start]
    while left:
        key = left.pop()
        if key in seen:
            continue
        seen.add(key)
        stage = stages.get(key)
        if stage is None:
            return True
        for request in stage.requested_freight:
            if request.origin.name == origin:
                if request.direct:
                    return True
                left += (f"{stage.namespace}/{name}" for name in request.stages)
    return False

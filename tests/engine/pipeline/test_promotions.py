"""Names of Promotions, unfolding of tasks, and what is in a Stage after a Promotion of one of two origins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab import profiles
from kargo_lab.engine.pipeline import promotions, tasks
from kargo_lab.engine.pipeline.values import Collection, StageStatus
from kargo_lab.errors import PipelineError
from kargo_lab.resources.pipeline import (
    Freight,
    FreightRequest,
    Origin,
    PromotionStep,
    PromotionTask,
    Stage,
    TaskReference,
    Variable,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_ulids_time_is_that_of_the_published_example() -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1469918176385)
    assert promotions.ulid(moment, 0) == "01aryz6s410000000000000000"


@settings(max_examples=100)
@given(
    seconds=st.integers(0, 2**32),
    milliseconds=st.integers(1, 10**9),
    randomness=st.tuples(st.integers(0, 2**80 - 1), st.integers(0, 2**80 - 1)),
)
def test_names_sort_as_they_were_made(seconds: int, milliseconds: int, randomness: tuple[int, int]) -> None:
    before = datetime.fromtimestamp(seconds, tz=UTC)
    first = promotions.ulid(before, randomness[0])
    assert first < promotions.ulid(before + timedelta(milliseconds=milliseconds), randomness[1])


@pytest.mark.parametrize(
    ("profile", "stage", "expected"),
    [
        pytest.param("latest", "Dev", "dev.u.abcdefg", id="lower-case, seven of the Freight"),
        pytest.param("latest", "a" * 217 + "-b", "a" * 217 + ".u.abcdefg", id="what a cut leaves is trimmed"),
        pytest.param("v1.11", "a" * 217 + "-b", "a" * 217 + "-.u.abcdefg", id="before, it stayed"),
    ],
)
def test_a_name(profile: str, stage: str, expected: str) -> None:
    assert promotions.name(stage, "u", "ABCDEFGHIJ", profile=profiles.get(profile)) == expected


def test_the_other_origin_keeps_what_it_has() -> None:
    requests = tuple(FreightRequest(origin=Origin(name=name), direct=True) for name in ("web", "api"))
    stage = Stage(namespace="p", name="dev", requested_freight=requests)
    held = Collection(id="", freight={"Warehouse/web": "w1", "Warehouse/api": "a1", "Warehouse/gone": "g1"})
    piece = Freight(namespace="p", name="a2", origin=Origin(name="api"))
    target = promotions.target(stage, StageStatus(history=(held,)), piece)
    assert target.freight == {"Warehouse/web": "w1", "Warehouse/api": "a2"}


def test_with_one_request_there_is_only_what_was_promoted() -> None:
    stage = Stage(namespace="p", name="dev", requested_freight=(FreightRequest(origin=Origin(name="api")),))
    held = Collection(id="", freight={"Warehouse/web": "w1"})
    piece = Freight(namespace="p", name="a2", origin=Origin(name="api"))
    assert promotions.target(stage, StageStatus(history=(held,)), piece).freight == {"Warehouse/api": "a2"}


TASK = PromotionTask(
    namespace="p",
    name="deploy",
    vars=(Variable(name="repo"), Variable(name="branch", value="main")),
    steps=(PromotionStep(uses="git-clone", alias="clone"), PromotionStep(uses="git-push")),
)


def test_a_task_is_replaced_by_its_steps() -> None:
    step = PromotionStep(
        task=TaskReference(name="deploy"),
        alias="out",
        vars=(Variable(name="repo", value="r"),),
        condition="${{ always() }}",
    )
    found = tasks.unfolded((PromotionStep(uses="noop"), step), {("p", "deploy"): TASK}, "p")
    assert [(each.alias, each.uses, each.condition) for each in found] == [
        ("step-0", "noop", ""),
        ("out::clone", "git-clone", "${{ always() }}"),
        ("out::step-1", "git-push", "${{ always() }}"),
    ]
    assert [(each.name, each.value) for each in found[1].vars] == [("branch", "main"), ("repo", "r")]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param(
            (PromotionStep(task=TaskReference(name="none")),),
            "step task-0: there is no PromotionTask 'none'",
            id="a task that is not there",
        ),
        pytest.param(
            (PromotionStep(task=TaskReference(name="deploy")),),
            "variable repo: is required",
            id="s39: a required variable without a value",
        ),
    ],
)
def test_a_task_that_cannot_be_unfolded_is_named(steps: tuple[PromotionStep, ...], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        tasks.unfolded(steps, {("p", "deploy"): TASK}, "p")

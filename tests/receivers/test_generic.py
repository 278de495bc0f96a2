import json
from pathlib import Path
from typing import Any

import pytest

from kargo_lab import profiles
from kargo_lab.receivers import generic
from kargo_lab.resources.configuration import GenericAction, LabelRequirement, TargetCriteria
from kargo_lab.wire import Actions, Delivery, Refusal, Setup

DATA = Path(__file__).parents[1] / "data"
NEWEST = {"v1.9": (1, 9, 10), "v1.10": (1, 10, 10), "v1.11": (1, 11, 2)}


def _profiles(record: dict[str, Any]) -> list[profiles.Profile]:
    first = tuple(int(part) for part in record["since"].split("."))
    last = tuple(int(part) for part in record["until"].split(".")) if record["until"] else None
    found = [
        profiles.get(name) for name, newest in NEWEST.items() if first <= newest and (last is None or newest <= last)
    ]
    return found if last else [*found, profiles.LATEST]


def _records(name: str) -> list[Any]:
    records = json.loads((DATA / name).read_text())
    return [
        pytest.param(
            record, profile, id=f"{number} {record.get('expression', record.get('template'))!r:.60} on {profile.name}"
        )
        for number, record in enumerate(records)
        for profile in _profiles(record)
    ]


def _delivery(record: dict[str, Any], body: bytes) -> Delivery:
    headers = [(name, value) for name, values in record["headers"].items() for value in values]
    return Delivery(headers=headers, body=body, query=record["query"])


def _plan(action: GenericAction, delivery: Delivery, profile: profiles.Profile) -> Any:
    verdict = generic.receive(delivery, Setup(secret=b"x", actions=(action,)), profile)
    assert isinstance(verdict, Actions)
    (plan,) = verdict.plans
    return plan


@pytest.mark.parametrize(("record", "profile"), _records("generic-expressions.json"))
def test_a_when_expression_decides_as_in_kargo(record: dict[str, Any], profile: profiles.Profile) -> None:
    action = GenericAction(when_expression=record["expression"], parameters=record["params"])
    plan = _plan(action, _delivery(record, record["body"].encode()), profile)
    expected = {"matched": "matched", "not-matched": "not-applicable", "error": "error"}[record["result"]]
    assert (plan.outcome, plan.matched_when) == (expected, expected == "matched")


@pytest.mark.parametrize(("record", "profile"), _records("generic-templates.json"))
def test_a_template_gives_a_name_as_in_kargo(record: dict[str, Any], profile: profiles.Profile) -> None:
    action = GenericAction(
        parameters=record["params"], targets=(TargetCriteria(kind="Warehouse", name=record["template"]),)
    )
    plan = _plan(action, _delivery(record, json.dumps(record["body"]).encode()), profile)
    if record["error"]:
        assert (plan.outcome, plan.summary) == ("error", "Error evaluating targetSelectionCriteria")
        assert plan.matched_when
    else:
        expected = record["value"] if record["template"] else None  # an absent name filters nothing
        assert (plan.outcome, plan.targets[0].name) == ("matched", expected)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            b"{x",
            "invalid request body: invalid character 'x' looking for beginning of object key string",
            id="an object that breaks off",
        ),
        pytest.param(b" ", "invalid request body: unexpected end of JSON input", id="a single blank"),
        pytest.param(
            b"{} x", "invalid request body: invalid character 'x' after top-level value", id="something behind the JSON"
        ),
    ],
)
def test_a_body_that_is_no_json_is_refused_in_the_decoders_words(body: bytes, text: str) -> None:
    verdict = generic.receive(Delivery(body=body), Setup(secret=b"x", actions=(GenericAction(),)), profiles.LATEST)
    assert verdict == Refusal(400, text)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"'])
def test_a_body_may_be_empty_or_any_json(body: bytes) -> None:
    assert _plan(GenericAction(), Delivery(body=body), profiles.LATEST).outcome == "matched"


def test_without_actions_there_is_nothing_to_conclude() -> None:
    assert generic.receive(Delivery(body=b"{}"), Setup(secret=b"x"), profiles.LATEST) == Actions(())


def test_one_action_in_error_does_not_stop_the_next() -> None:
    actions = (GenericAction(when_expression="("), GenericAction())
    verdict = generic.receive(Delivery(body=b"{}"), Setup(secret=b"x", actions=actions), profiles.LATEST)
    assert isinstance(verdict, Actions)
    assert [plan.outcome for plan in verdict.plans] == ["error", "matched"]


def test_the_configuration_is_echoed_unevaluated_with_empty_selectors() -> None:
    criteria = TargetCriteria(kind="Warehouse", name="${{ request.body.name }}")
    action = GenericAction(when_expression="true", parameters={"a": "${{ 1 }}"}, targets=(criteria,))
    assert _plan(action, Delivery(body=b'{"name":"w"}'), profiles.LATEST).echo == {
        "action": "Refresh",
        "whenExpression": "true",
        "parameters": {"a": "${{ 1 }}"},
        "targetSelectionCriteria": [
            {"kind": "Warehouse", "name": "${{ request.body.name }}", "labelSelector": {}, "indexSelector": {}}
        ],
    }


def test_labels_and_values_of_selectors_are_templates_and_keys_are_not() -> None:
    criteria = TargetCriteria(
        kind="Warehouse",
        match_labels={"env": "${{ request.body.env }}"},
        match_expressions=(LabelRequirement(key="tier", operator="In", values=("web", "${{ request.body.tier }}")),),
    )
    plan = _plan(GenericAction(targets=(criteria,)), Delivery(body=b'{"env":"prod","tier":"db"}'), profiles.LATEST)
    assert plan.targets[0].labels == (("env", "In", ("prod",)), ("tier", "In", ("web", "db")))


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("len(map(1..100000000, {#})) > 0", id="a range that explodes"),
        pytest.param("all(1..99999, {all(1..99999, {true})})", id="loops within loops"),
        pytest.param("(" * 5000 + "1" + ")" * 5000, id="nesting without end"),
    ],
)
def test_an_expression_that_would_not_end_is_an_error(expression: str) -> None:
    plan = _plan(GenericAction(when_expression=expression), Delivery(body=b"{}"), profiles.LATEST)
    assert plan.outcome == "error"

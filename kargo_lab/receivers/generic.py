"""The generic receiver: any sender, with expressions of the operator's that say when to refresh and what.

Nothing authenticates a delivery but the secrecy of the URL. Every action is judged for itself. What a plan
selects is looked up by `matching`, and what comes of that is answered per action. Source: receivers.md 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from kargo_lab.errors import ExpressionError
from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import Check, Examination, examine
from kargo_lab.resources.configuration import GenericAction, TargetCriteria
from kargo_lab.rules import expressions, templates, urls
from kargo_lab.rules import json as gojson
from kargo_lab.wire import ActionPlan, Actions, Delivery, Refusal, Setup, Target, Verdict

TYPE = "generic"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret


def body_is_json(examination: Examination) -> Verdict | None:
    """The body is empty or any JSON. Here alone Kargo sends the decoder's own words."""
    if not examination.delivery.body:
        return None
    try:
        _ = examination.body
    except gojson.JSONError as problem:
        return Refusal(400, f"invalid request body: {problem.message}")
    return None


def conclude(examination: Examination) -> Verdict:
    """One plan an action."""
    body = examination.body if examination.delivery.body else None
    return Actions(tuple(_plan(action, body, examination) for action in examination.setup.actions))


CHECKS: tuple[Check, ...] = (body_is_json, conclude)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    return Examination(receiver_type=TYPE, delivery=delivery, setup=setup, profile=profile)


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def _plan(action: GenericAction, body: Any, examination: Examination) -> ActionPlan:
    """What one action concludes: does the delivery concern it, and what would it refresh."""
    plan = partial(ActionPlan, echo=_echo(action))
    variables = _variables(action, body, examination)
    try:
        concerned = _is_concerned(action.when_expression, variables, examination.profile)
    except ExpressionError as problem:
        summary = "Error evaluating whenExpression"
        return plan(outcome="error", matched_when=False, summary=summary, detail=str(problem))
    if not concerned:
        summary = "Request did not match whenExpression"
        return plan(outcome="not-applicable", matched_when=False, summary=summary)
    try:
        targets = tuple(_target(criteria, variables, examination.profile) for criteria in action.targets)
    except ExpressionError as problem:
        summary = "Error evaluating targetSelectionCriteria"
        return plan(outcome="error", matched_when=True, summary=summary, detail=str(problem))
    return plan(outcome="matched", matched_when=True, targets=targets)


def _variables(action: GenericAction, body: Any, examination: Examination) -> dict[str, expressions.Value]:
    profile = examination.profile
    return expressions.request_variables(
        body=body,
        headers=examination.delivery.headers,
        query=examination.delivery.query,
        parameters=action.parameters,  # literally: templates in them are not evaluated
        normalize_git=partial(urls.normalize_git, profile=profile),
        normalize_image=partial(urls.normalize_image, profile=profile),
        normalize_chart=partial(urls.normalize_chart, profile=profile),
    )


@lru_cache(maxsize=1024)
def _compiled(text: str, version: str) -> expressions.Program:
    return expressions.compile(text, environment=expressions.GENERIC, version=version)


def _is_concerned(text: str, variables: Mapping[str, expressions.Value], profile: Profile) -> bool:
    """An absent expression concerns everything; any other has to give a boolean."""
    return not text or expressions.matched(_compiled(text, profile.expr_version).run(variables))


def _target(criteria: TargetCriteria, variables: Mapping[str, expressions.Value], profile: Profile) -> Target:
    """A criterion with its templates evaluated: index and labels first, the name last."""
    text = partial(_text, variables=variables, profile=profile)
    index = tuple((each.key, each.operator, text(each.value)) for each in criteria.match_indices)
    exact = ((key, "In", (value,)) for key, value in sorted(criteria.match_labels.items()))
    others = ((each.key, each.operator, each.values) for each in criteria.match_expressions)
    labels = tuple((key, operator, tuple(map(text, values))) for key, operator, values in (*exact, *others))
    name = text(criteria.name) if criteria.name else None
    return Target(kind=criteria.kind, name=name, labels=labels, index=index)


def _text(template: str, variables: Mapping[str, expressions.Value], profile: Profile) -> str:
    """The value of a template, which has to be text: what looks like a number or a boolean has become one."""
    value = templates.evaluate(template, variables, functions=profile.template_functions, version=profile.expr_version)
    if isinstance(value, str):
        return value
    raise ExpressionError(f"the template gives no text but {expressions.text_of(value)[:100]}", template, stage="run")


def _echo(action: GenericAction) -> dict[str, Any]:
    """The configuration as Kargo repeats it, unevaluated."""
    echo: dict[str, Any] = {"action": action.action}
    if action.when_expression:
        echo["whenExpression"] = action.when_expression
    if action.parameters:
        echo["parameters"] = dict(action.parameters)
    if action.targets:
        echo["targetSelectionCriteria"] = [_echo_criteria(criteria) for criteria in action.targets]
    return echo


def _echo_criteria(criteria: TargetCriteria) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    if criteria.match_labels:
        labels["matchLabels"] = dict(criteria.match_labels)
    if criteria.match_expressions:
        labels["matchExpressions"] = [
            {"key": each.key, "operator": each.operator} | ({"values": list(each.values)} if each.values else {})
            for each in criteria.match_expressions
        ]
    index: dict[str, Any] = {}
    if criteria.match_indices:
        index["matchIndices"] = [
            {"key": each.key, "operator": each.operator, "value": each.value} for each in criteria.match_indices
        ]
    named = {"name": criteria.name} if criteria.name else {}
    return {"kind": criteria.kind, **named, "labelSelector": labels, "indexSelector": index}

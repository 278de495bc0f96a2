"""Faults of the generic receiver."""

from __future__ import annotations

from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import always, answered, header, verdict
from kargo_lab.conformance.faults.fault import Fault
from kargo_lab.matching import SubscribedURLs
from kargo_lab.wire import Actions, Refusal

_GENERIC = "kargo_lab.receivers.generic"
_MATCHING = "kargo_lab.matching"


def _plans(change: Any) -> dict[str, Any]:
    """Every plan is changed."""
    return {"generic": verdict(lambda seen: Actions(tuple(change(seen.plans))) if isinstance(seen, Actions) else seen)}


def _until_error(plans: Any) -> Any:
    kept = []
    for plan in plans:
        kept.append(plan)
        if plan.outcome == "error":
            break
    return kept


def _lenient(plan: Any) -> Any:
    if plan.outcome != "error":
        return plan
    return attrs.evolve(plan, outcome="not-applicable", summary="", matched_when=False)


def _targets(change: Any) -> dict[str, Any]:
    """What the criteria select is changed: `change(right, arguments)`."""
    return {f"{_MATCHING}:select_targets": lambda right: lambda *given: change(right, given)}


def _without_labels(right: Any, given: Any) -> Any:
    return right(tuple(attrs.evolve(each, labels=()) for each in given[0]), *given[1:])


def _without_names(right: Any, given: Any) -> Any:
    return right(tuple(attrs.evolve(each, name=None) for each in given[0]), *given[1:])


def _everywhere(right: Any, given: Any) -> Any:
    targets, index, promotions, _namespace = given
    return right(targets, index, promotions, None)


def _twice(right: Any, given: Any) -> Any:
    found = right(given[0], *given[1:])
    return found + found if len(given[0]) > 1 and isinstance(found, tuple) else found


def _first_only(right: Any, given: Any) -> Any:
    return right(given[0][:1], *given[1:])


def _backwards(right: Any, given: Any) -> Any:
    found = right(*given)
    return tuple(reversed(found)) if isinstance(found, tuple) else found


def _not_equals_works(right: Any, given: Any) -> Any:
    targets, index, promotions, namespace = given
    every = SubscribedURLs(index.warehouses, attrs.evolve(index.profile, index_requirements="all"))
    return right(targets, every, promotions, namespace)


def _literal(right: Any) -> Any:
    """Parameters are templates."""

    def wrong(action: Any, body: Any, examination: Any) -> Any:
        from kargo_lab.rules import templates

        variables = right(action, body, examination)
        evaluated = {
            name: templates.evaluate(text, variables, functions=(), version="1.17.8") if "${{" in text else text
            for name, text in action.parameters.items()
        }
        return right(attrs.evolve(action, parameters=evaluated), body, examination)

    return wrong


def _no_empty_body(receive: Any) -> Any:
    return lambda delivery, setup, profile: receive(
        delivery if delivery.body else attrs.evolve(delivery, body=b"{}"), setup, profile
    )


def _without_query(receive: Any) -> Any:
    return lambda delivery, setup, profile: receive(attrs.evolve(delivery, query=""), setup, profile)


def _all_fine(status: int, headers: Any, body: bytes) -> Any:
    return (200 if b'"results"' in body else status), headers, body


def _fault(name: str, says: str, source: str = "receivers.md 5.2", **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=("generic",), **change)


FAULTS = (
    _fault(
        "generic-always-concerned",
        "whenExpression is not looked at",
        replaced={f"{_GENERIC}:_is_concerned": always(True)},
    ),
    _fault(
        "generic-never-concerned", "No whenExpression ever holds", replaced={f"{_GENERIC}:_is_concerned": always(False)}
    ),
    _fault(
        "generic-truthy-is-true",
        "Any value that is not empty counts as true",
        replaced={f"{_GENERIC}:expressions.matched": lambda _right: bool},
    ),
    _fault(
        "generic-errors-do-not-match",
        "An expression that fails counts as not matched",
        receivers=_plans(lambda plans: [_lenient(plan) for plan in plans]),
    ),
    _fault("generic-errors-are-fine", "Errors answer 200", "receivers.md 5.2 step 5", endpoint=answered(_all_fine)),
    _fault(
        "generic-stops-at-an-error",
        "Actions behind one that failed are not run",
        "receivers.md 5.2 step 4",
        receivers=_plans(_until_error),
    ),
    _fault("generic-runs-one-action", "Only the first action is run", receivers=_plans(lambda plans: plans[:1])),
    _fault(
        "generic-labels-ignored", "Labels are not looked at", "receivers.md 5.4", replaced=_targets(_without_labels)
    ),
    _fault("generic-names-ignored", "Names are not looked at", "receivers.md 5.4", replaced=_targets(_without_names)),
    _fault(
        "generic-reaches-everywhere",
        "A project's receiver reaches other projects",
        "receivers.md 9 GE-27",
        replaced=_targets(_everywhere),
    ),
    _fault(
        "generic-selects-twice",
        "What two criteria select is refreshed twice",
        "receivers.md 5.4",
        replaced=_targets(_twice),
    ),
    _fault(
        "generic-first-criterion-only",
        "Only the first criterion counts",
        "receivers.md 5.4",
        replaced=_targets(_first_only),
    ),
    _fault("generic-targets-unsorted", "Targets are not sorted", "receivers.md 5.4", replaced=_targets(_backwards)),
    _fault(
        "generic-index-requirements-work",
        "NotEquals and several indices work, which they do not in Kargo",
        "receivers.md 8.1 B11",
        replaced=_targets(_not_equals_works),
    ),
    _fault(
        "generic-parameters-evaluated",
        "Templates in parameters are evaluated",
        "receivers.md 8.1 B15",
        replaced={f"{_GENERIC}:_variables": _literal},
    ),
    _fault(
        "generic-templates-untyped",
        "A template's result stays text",
        "receivers.md 8.1 B12",
        replaced={"kargo_lab.rules.templates:typed": lambda _right: lambda text: text},
    ),
    _fault(
        "generic-templates-unused",
        "Templates are taken literally",
        "receivers.md 5.6",
        replaced={f"{_GENERIC}:templates.evaluate": lambda _right: lambda text, *_given, **_options: text},
    ),
    _fault(
        "generic-empty-body-is-an-object",
        "An empty body counts as an empty object",
        "receivers.md 9 GE-35",
        receivers={"generic": _no_empty_body},
    ),
    _fault("generic-query-ignored", "The query is not seen", "receivers.md 5.5", receivers={"generic": _without_query}),
    _fault(
        "generic-headers-ignored",
        "The header X-Event-Type is not seen",
        "receivers.md 5.5",
        receivers={"generic": header("x-event-type", lambda _value: None)},
    ),
    _fault(
        "generic-echo-forgotten",
        "The results do not repeat the configuration",
        "receivers.md 5.3",
        replaced={f"{_GENERIC}:_echo": always({"action": "Refresh"})},
    ),
    _fault(
        "generic-criteria-not-normalised",
        "The normalize functions change nothing",
        "receivers.md 5.5",
        replaced={f"{_GENERIC}:urls.normalize_git": lambda _right: lambda text, **_options: text},
    ),
    _fault(
        "generic-body-errors-without-words",
        "A malformed body is refused without the decoder's words",
        "receivers.md 5.2 step 2",
        receivers={
            "generic": verdict(
                lambda seen: attrs.evolve(seen, reason="invalid request body") if isinstance(seen, Refusal) else seen
            )
        },
    ),
)

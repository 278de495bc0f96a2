"""What the expressions of a promotion template see: `ctx`, `vars`, `outputs`, and functions over the Freight.

A subset of Kargo's: variables are evaluated in their order (the Stage's, the Promotion's, the step's), each may
use those before it; `imageFrom`, `commitFrom` and `chartFrom` look into the Freight of the Promotion;
`success()`, `failure()`, `always()` and `status(alias)` serve `if`. Source: Kargo's documentation, "Expressions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.errors import ExpressionError, PipelineError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import Freight, Promotion, PromotionStep, Variable
from kargo_lab.rules import expressions, templates, urls
from kargo_lab.rules.expressions import Environment, Function
from kargo_lab.rules.expressions.natures import ANY, BOOL, STRING, function

DEEPEST = 50  # of a step's configuration
_ONE = (function(STRING), function(STRING, ANY))
_DECLARED = Environment(
    name="promotion",
    functions=MappingProxyType(
        {
            "imageFrom": _ONE,
            "commitFrom": _ONE,
            "chartFrom": (function(STRING), function(STRING, ANY), function(STRING, STRING, ANY)),
            "warehouse": (function(STRING),),
            "success": (function(result=BOOL),),
            "failure": (function(result=BOOL),),
            "always": (function(result=BOOL),),
            "status": (function(STRING, result=STRING),),
        }
    ),
)


@attrs.frozen(kw_only=True)
class Scope:
    """One moment of a Promotion. `outcomes` maps the aliases of steps that ended to how they did."""

    promotion: Promotion
    freight: tuple[Freight, ...] = ()
    stage_vars: tuple[Variable, ...] = ()
    outputs: Mapping[str, Any] = attrs.field(factory=dict)
    outcomes: Mapping[str, str] = attrs.field(factory=dict)
    profile: Profile = LATEST
    now: datetime | None = None

    def evaluate(self, value: Any, step: PromotionStep) -> Any:
        """A step's configuration with its expressions replaced by their values. Raises PipelineError."""
        try:
            variables = self._variables(step)
            return self._deep(value, variables, 0)
        except ExpressionError as error:
            raise PipelineError(self._named(step), f"an expression cannot be evaluated: {error}") from None

    def wanted(self, step: PromotionStep) -> bool:
        """Whether the step is to run: its `if`, or that nothing failed before it."""
        if not step.condition:
            return self.succeeded
        value = self.evaluate(step.condition, step)
        if not isinstance(value, bool):
            raise PipelineError(self._named(step), f"`if` gives {value!r}, which is no boolean")
        return value

    @property
    def succeeded(self) -> bool:
        """True as long as no step failed."""
        return not any(outcome in ("Failed", "Errored", "Aborted") for outcome in self.outcomes.values())

    def _named(self, step: PromotionStep) -> str:
        return f"Promotion {self.promotion.key}, step {step.alias}"

    def _variables(self, step: PromotionStep) -> dict[str, Any]:
        known: dict[str, Any] = {
            "ctx": {
                "project": self.promotion.namespace,
                "promotion": self.promotion.name,
                "stage": self.promotion.stage,
                "targetFreight": {"name": self.promotion.freight},
            },
            "outputs": dict(self.outputs),
            "task": {"outputs": self._of_task(step)},
            "vars": {},
        }
        for each in (*self.stage_vars, *self.promotion.vars, *step.vars):
            known["vars"] = {**known["vars"], each.name: self._text(each.value, known)}
        return known

    def _of_task(self, step: PromotionStep) -> dict[str, Any]:
        """The outputs of the steps of the same task, under their own names."""
        task, separator, _ = step.alias.partition("::")
        prefix = task + separator
        return {
            key[len(prefix) :]: value for key, value in self.outputs.items() if separator and key.startswith(prefix)
        }

    def _deep(self, value: Any, variables: Mapping[str, Any], depth: int) -> Any:
        if depth > DEEPEST:
            raise ExpressionError("the configuration is nested too deeply", "")
        match value:
            case str():
                return self._text(value, variables)
            case Mapping():
                return {key: self._deep(each, variables, depth + 1) for key, each in value.items()}
            case list() | tuple():
                return [self._deep(each, variables, depth + 1) for each in value]
        return value

    def _text(self, text: str, variables: Mapping[str, Any]) -> Any:
        if "${{" not in text and "${%" not in text:
            return text
        value = templates.evaluate(
            text,
            variables,
            functions=self.profile.template_functions,
            version=self.profile.expr_version,
            now=self.now,
            environment=_DECLARED,
            calls=self._calls(),
        )
        return expressions.plain_of(value)

    def _calls(self) -> dict[str, Function]:
        def calling(name: str, call: Callable[..., Any], *parameters: Any) -> Function:
            return Function(name, call, parameters, variadic=bool(parameters))

        return {
            "imageFrom": calling("imageFrom", self._image, str, object),
            "commitFrom": calling("commitFrom", self._commit, str, object),
            "chartFrom": calling("chartFrom", self._chart, str, object),
            "warehouse": Function("warehouse", lambda name: {"kind": "Warehouse", "name": name}, (str,)),
            "success": Function("success", lambda: self.succeeded),
            "failure": Function("failure", lambda: not self.succeeded),
            "always": Function("always", lambda: True),
            "status": Function("status", lambda alias: self.outcomes.get(alias, ""), (str,)),
        }

    def _from(self, origins: Iterable[object]) -> tuple[Freight, ...]:
        names = [origin.get("name") for origin in origins if isinstance(origin, Mapping)]
        return tuple(piece for piece in self.freight if not names or piece.origin.name in names)

    def _image(self, url: str, *origins: object) -> Any:
        wanted = urls.normalize_image(url, profile=self.profile)
        for piece in self._from(origins):
            for each in piece.images:
                if urls.normalize_image(each.repo_url, profile=self.profile) == wanted:
                    return {
                        "RepoURL": each.repo_url,
                        "Tag": each.tag,
                        "Digest": each.digest,
                        "Annotations": dict(each.annotations),
                    }
        return None

    def _commit(self, url: str, *origins: object) -> Any:
        wanted = urls.normalize_git(url, profile=self.profile)
        for piece in self._from(origins):
            for each in piece.commits:
                if urls.normalize_git(each.repo_url, profile=self.profile) == wanted:
                    return {
                        "RepoURL": each.repo_url,
                        "ID": each.id,
                        "Branch": each.branch,
                        "Tag": each.tag,
                        "Message": each.message,
                        "Author": each.author,
                        "Committer": each.committer,
                    }
        return None

    def _chart(self, url: str, *rest: object) -> Any:
        wanted = urls.normalize_chart(url, profile=self.profile)
        name = next((each for each in rest if isinstance(each, str)), "")
        for piece in self._from(rest):
            for each in piece.charts:
                if urls.normalize_chart(each.repo_url, profile=self.profile) == wanted and name in ("", each.name):
                    return {"RepoURL": each.repo_url, "Name": each.name, "Version": each.version}
        return None

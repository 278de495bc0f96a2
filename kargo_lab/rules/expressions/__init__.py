"""expr-lang's expressions as Kargo runs them: compile once, evaluate many.

    >>> compile('tag startsWith "v1." and not (subject contains "wip")').run({"tag": "v1.2", "subject": "feat"})
    True

The language is discovery.md appendix A, checked against expr-lang 1.17.5 to 1.17.8. Any text gives
a value or an `ExpressionError` that says whether it failed to compile or to run and points at the
character. Values are Python's where the two languages agree; `values` tells the rest. What an
expression may use is an `Environment`, and what it may cost is bounded by `Limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import attrs

from kargo_lab.errors import ExpressionError
from kargo_lab.rules.expressions import evaluator, printing
from kargo_lab.rules.expressions.builtins.numbers import parse_float
from kargo_lab.rules.expressions.checker import check
from kargo_lab.rules.expressions.dates import LOCAL, Duration, Month, Time, Weekday
from kargo_lab.rules.expressions.environments import (
    CRITERIA,
    GENERIC,
    PLAIN,
    Artifact,
    Artifacts,
    Commit,
    Environment,
    Image,
    commit_variables,
    criteria_functions,
    request_variables,
    tag_variables,
    template_environment,
)
from kargo_lab.rules.expressions.frame import Frame
from kargo_lab.rules.expressions.limits import LIMITS, Limits
from kargo_lab.rules.expressions.optimizer import optimize
from kargo_lab.rules.expressions.parser import parse
from kargo_lab.rules.expressions.values import Failure, Function, Value

__all__ = [
    "CRITERIA",
    "GENERIC",
    "LIMITS",
    "PLAIN",
    "VERSION",
    "Artifact",
    "Artifacts",
    "Commit",
    "Duration",
    "Environment",
    "ExpressionError",
    "Function",
    "Image",
    "Limits",
    "Month",
    "Program",
    "Time",
    "Value",
    "Weekday",
    "accepted",
    "commit_variables",
    "compile",
    "criteria_functions",
    "json_of",
    "matched",
    "parse_boolean",
    "parse_float",
    "plain_of",
    "request_variables",
    "tag_variables",
    "template_environment",
    "text_of",
]

VERSION = "1.17.8"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_TOO_MUCH = (RecursionError, MemoryError, OverflowError)


@attrs.frozen(eq=False)
class Program:
    """A compiled expression. `run` may be called any number of times, from any thread."""

    text: str
    environment: Environment
    limits: Limits
    _run: Callable[[Frame], Value] = attrs.field(repr=False)
    _slots: int = attrs.field(repr=False)

    def run(
        self,
        variables: Mapping[str, Value] | None = None,
        *,
        functions: Mapping[str, Value] | None = None,
        now: datetime | Time | None = None,
    ) -> Value:
        """The value of the expression; an ExpressionError of stage `run` if there is none.

        `variables` hold JSON's values, or those of `values`; a datetime is taken as a Go time.
        `functions` are those that the environment declares; where it has no variables, the first
        argument may hold them. `now` is the moment that `now()` gives; the wall clock's if left out.
        """
        given = {name: _taken(value) for name, value in (variables or {}).items()}
        frame = Frame(
            given if self.environment.variables else None,
            functions or ({} if self.environment.variables else given),
            slots=self._slots,
            limits=self.limits,
            now=lambda: _moment(now),
        )
        try:
            return self._run(frame)
        except Failure as failure:
            raise ExpressionError(failure.message, self.text, failure.position, stage="run") from None
        except _TOO_MUCH as error:
            raise ExpressionError(_exhausted(error), self.text, stage="run") from None


def _taken(value: Value) -> Value:
    return Time.of(value) if isinstance(value, datetime) else value


def _moment(now: datetime | Time | None) -> Time:
    if isinstance(now, Time):
        return now
    return attrs.evolve(Time.of(now or datetime.now(UTC)), location=LOCAL)


def _exhausted(error: BaseException) -> str:
    return "the value is nested too deeply" if isinstance(error, RecursionError) else "the value is too large"


def compile(  # noqa: A001  (reads as re.compile does)
    text: str, *, environment: Environment = PLAIN, version: str = VERSION, limits: Limits = LIMITS
) -> Program:
    """Compile `text` as expr-lang of `version` would; an ExpressionError of stage `compile` if it is refused."""
    numbers = tuple(int(part) for part in version.split("."))
    try:
        tree = parse(text, version=numbers, limits=limits)
        check(tree, text, environment.functions, numbers)
        tree = optimize(tree, text, numbers)
        run, slots = evaluator.build(tree, text, frozenset(environment.functions))
    except _TOO_MUCH:
        raise ExpressionError("the expression is nested too deeply", text) from None
    return Program(text, environment, limits, run, slots)


def _outside(make: Callable[[Frame], Value]) -> Value:
    """Something made of a value outside an evaluation, under the limits of one."""
    try:
        return make(Frame(None, {}, slots=0, limits=LIMITS, now=lambda: _moment(None)))
    except Failure as failure:
        raise ExpressionError(failure.message, "", stage="run") from None
    except _TOO_MUCH as error:
        raise ExpressionError(_exhausted(error), "", stage="run") from None


def text_of(value: Value) -> str:
    """A value as Go's `fmt` prints it, which is what `string()` gives."""
    return str(_outside(lambda frame: printing.text(value, frame)))


def json_of(value: Value, *, indent: str = "") -> str:
    """A value as Go's json.Marshal writes it, or MarshalIndent with an `indent`."""
    return str(_outside(lambda frame: printing.json_text(value, frame, indent=indent)))


def plain_of(value: Value) -> object:
    """A value as JSON's own kinds: dict, list, str, int, float, bool, None."""
    return _outside(lambda frame: printing.plain(value, frame))


def parse_boolean(text: str) -> bool:
    """Go's ParseBool; ValueError for any other text."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(text)


def accepted(value: Value) -> bool:
    """What a filter or criteria make of a value (discovery.md 4.7): printed, then read by ParseBool.

    So 1 and "T" count as true. Anything that reads as no boolean is an ExpressionError.
    """
    printed = text_of(value)
    try:
        return parse_boolean(printed)
    except ValueError:
        raise ExpressionError("the result is no boolean", printed[:100], stage="run") from None


def matched(value: Value) -> bool:
    """What `whenExpression` makes of a value (receivers.md 5.5): a real boolean, nothing else."""
    if isinstance(value, bool):
        return value
    raise ExpressionError("the result is not a boolean", text_of(value)[:100], stage="run")

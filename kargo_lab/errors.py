"""Every error this package raises on purpose. A refused delivery is not one: that is a `Refusal`.

LabError
├── ManifestError      a file the user wrote is wrong: resources, case, payload, scenario, target
├── RuleError          a text in one of the small dialects cannot be read; points at the character
│   ├── ConstraintError   a semver constraint
│   ├── VersionError      a version
│   ├── PatternError      a regular expression, glob or path selector
│   ├── DurationError     a text that is no Go duration
│   └── ExpressionError   an expression that does not compile, or does not evaluate
├── SelectionError     a subscription cannot be used: what Kargo refuses when it builds its selector
├── UpstreamError      a registry, Git host or chart repository answered badly, or not at all
├── PipelineError      a Stage, Promotion or Freight cannot be used as asked
├── TargetError        an implementation under test cannot be reached or set up: nothing was judged
├── UnfitError         what a case needs cannot be made on this target: the case is skipped, nothing is broken
├── UnofferedError     a target refuses an operation that it need not offer: the case is unsupported
├── StoreError         the store's file cannot be used
└── UsageError         a command was given words that do not fit
"""

from __future__ import annotations

import attrs


class LabError(Exception):
    """Base class; catch this to catch everything below."""


@attrs.frozen
class Misfit:
    """One thing that is wrong in a file: where, and what was expected instead.

    `line` counts from 1; 0 means that the file as a whole is meant. `path` reads like
    `spec.subscriptions[0].image.constraint`, empty for the document itself.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ManifestError(LabError):
    """Says all misfits of the files at once, one a line."""

    def __init__(self, misfits: list[Misfit] | tuple[Misfit, ...]) -> None:
        self.misfits = tuple(misfits)
        super().__init__("\n".join(str(misfit) for misfit in self.misfits))


class RuleError(LabError):
    """Shows the text and points at the character that could not be read.

    `position` counts characters from 0; a position of -1 means that no one character is to blame.
    """

    def __init__(self, message: str, text: str, position: int = -1) -> None:
        self.message, self.text, self.position = message, text, position
        super().__init__(message if position < 0 else f"{message}\n{caret(text, position)}")


def caret(text: str, position: int, *, width: int = 72) -> str:
    """The line of `text` that holds `position`, cut to about `width`, with a caret below the character."""
    position = min(max(position, 0), len(text))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start:] if end < 0 else text[start:end]
    column = position - start
    first = max(0, column - width // 2)
    shown = line[first : first + width].replace("\t", " ")
    return f"    {shown}\n    {' ' * (column - first)}^"


class ConstraintError(RuleError):
    """A semver constraint that Masterminds' library refuses."""


class VersionError(RuleError):
    """A text that is no version."""


class PatternError(RuleError):
    """A regular expression, glob or path selector that Go refuses."""


class DurationError(RuleError):
    """A text that Go does not read as a duration, or that the API server does not admit as an interval."""


class ExpressionError(RuleError):
    """An expression that does not compile, or does not evaluate.

    `stage` is `compile` or `run`: the first shows at once, the second only on some inputs.
    """

    def __init__(self, message: str, text: str, position: int = -1, *, stage: str = "compile") -> None:
        super().__init__(message, text, position)
        self.stage = stage


class SelectionError(LabError):
    """A subscription that Kargo accepts at admission and then cannot use.

    `field` is the member at fault, as it is spelled in YAML.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}")


class UpstreamError(LabError):
    """A source answered badly or not at all. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class PipelineError(LabError):
    """What was asked of a Stage, a Promotion or Freight is refused; `object` names it, as `Stage p/dev`."""

    def __init__(self, object: str, message: str) -> None:  # noqa: A002 - Kubernetes' word for it
        self.object = object
        super().__init__(f"{object}: {message}")


class UnfitError(LabError):
    """A target cannot hold what a case sets up; the sentence says why, and the case is skipped with it."""


class UnofferedError(LabError):
    """A target does not do what a case asks, and need not; the sentence says what, and the case is unsupported."""


class TargetError(LabError):
    """An implementation under test cannot be reached, or cannot be set up: no case was judged."""


class StoreError(LabError):
    """The store's file cannot be opened, or is not one of ours."""


class UsageError(LabError):
    """A command was given words that do not fit; the text says what would."""

"""Scenarios as YAML: read into values, or refused with everything that is wrong, each with its place and reason.

Lengths of time are Go durations, as in Kargo's own YAML, with days beside (`30d`). A setting
`fleets.images.interval=10m` is laid over the document before it is read, so it is checked as if it stood there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from kargo_lab.errors import DurationError, ManifestError, Misfit, UsageError
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.scenario import PROCESSES, Controller, Events, Fleet, Quota, Scenario, Source, Webhook
from kargo_lab.resources.yaml_lines import Document, documents, spelled
from kargo_lab.rules import durations

SHIPPED = Path(__file__).parent / "scenarios"
SPANS = ("fixed", "uniform", "exponential")
DAY = 86400
WRONG = object()


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that come with the lab."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def load(path: str | Path, *, settings: Iterable[str] = ()) -> Scenario:
    """Read a file, or a scenario that ships by its name. Raises ManifestError with all misfits."""
    named = SHIPPED / f"{path}.yaml"
    file = named if str(path) in shipped() and not Path(path).exists() else Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        known = ", ".join(shipped())
        raise UsageError(f"{path} cannot be read ({error.strerror}); scenarios that ship: {known}") from error
    return loads(content, name=str(path), settings=settings)


def loads(content: str | bytes, *, name: str = "<scenario>", settings: Iterable[str] = ()) -> Scenario:
    """As `load`, from a text."""
    found = _documents(content, name)
    if len(found) != 1:
        raise ManifestError([Misfit(name, 0, "", f"one document is expected, not {len(found)}")])
    document = found[0]
    misfits = list(document.problems)
    reader = Reader(attrs.evolve(document, value=_laid_over(document.value, settings)), misfits)
    scenario = _scenario(reader)
    if misfits or scenario is None:
        raise ManifestError(misfits)
    return scenario


@functools.lru_cache(maxsize=4)
def _documents(content: str | bytes, name: str) -> tuple[Document, ...]:
    """A sweep reads one text hundreds of times, and YAML would be most of its work. Nobody changes what is in here."""
    return tuple(documents(content, name))


def _laid_over(value: Any, settings: Iterable[str]) -> Any:
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise UsageError(f"--set takes PATH=VALUE such as fleets.images.interval=10m, not {setting!r}")
        try:
            value = _with(value, path.split("."), yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise UsageError(f"the value of --set {setting} is no YAML") from error
    return value


def _with(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    inner = dict(value) if isinstance(value, Mapping) else {}
    for step in list(inner) if path[0] == "*" else [path[0]]:
        inner[step] = _with(inner.get(step), path[1:], new)
    return inner


Read = Callable[["Reader", Any, tuple[str | int, ...]], Any]


class Reader:
    """Reads values, and writes down what is wrong instead of stopping."""

    def __init__(self, document: Document, misfits: list[Misfit]) -> None:
        self.document, self.misfits = document, misfits

    def wrong(self, path: tuple[str | int, ...], reason: str) -> Any:
        """Note a misfit."""
        self.misfits.append(Misfit(self.document.file, self.document.line(path), spelled(path), reason))
        return WRONG

    def record(
        self,
        value: Any,
        path: tuple[str | int, ...],
        fields: Mapping[str, tuple[str, Read]],
        required: tuple[str, ...] = (),
    ) -> dict[str, Any] | None:
        """Members by the names of attributes; None if anything is wrong with it."""
        if not isinstance(value, Mapping):
            self.wrong(path, f"a mapping is expected, with {', '.join(fields)}")
            return None
        before = len(self.misfits)
        read = {}
        for key, member in value.items():
            if key not in fields:
                self.wrong((*path, str(key)), f"unknown key; known are {', '.join(fields)}")
                continue
            attribute, how = fields[key]
            read[attribute] = how(self, member, (*path, key))
        for key in required:
            if key not in value:
                self.wrong((*path, key), "is missing")
        return read if len(self.misfits) == before else None


def number(low: float, high: float = float("inf"), *, above: bool = False) -> Read:
    """A number from `low` (or only above it) to `high`."""
    text = f"{'above' if above else 'of at least'} {low:g}" + ("" if high == float("inf") else f" and at most {high:g}")

    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not low <= value <= high or (above and value == low) or value == float("inf"):
            return reader.wrong(path, f"a number {text} is expected, not {value!r}")
        return float(value)

    return read


def whole(low: int) -> Read:
    """A whole number of at least `low`."""

    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            return reader.wrong(path, f"a whole number of at least {low} is expected, not {value!r}")
        return value

    return read


def one_of(words: tuple[str, ...]) -> Read:
    """One of these words."""

    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        return value if value in words else reader.wrong(path, f"one of {', '.join(words)} is expected, not {value!r}")

    return read


def _flag(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    return value if isinstance(value, bool) else reader.wrong(path, f"true or false is expected, not {value!r}")


def _text(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    return value if isinstance(value, str) and value else reader.wrong(path, f"a text is expected, not {value!r}")


def _seconds(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    text = str(value)
    try:
        if text.endswith("d"):
            seconds = float(text[:-1]) * DAY
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = float(value)
        else:
            seconds = durations.parse(text) / durations.SECOND
    except (ValueError, DurationError):
        return reader.wrong(path, f"a duration such as 5m, 1h30m or 30d is expected, not {value!r}")
    if not 0 <= seconds < float("inf"):
        return reader.wrong(path, f"a duration of at least 0 is expected, not {value!r}")
    return seconds


def _some_time(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    seconds = _seconds(reader, value, path)
    return reader.wrong(path, "a duration above 0 is expected") if seconds == 0 else seconds


def _list(each: Read) -> Read:
    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        if not isinstance(value, list):
            return reader.wrong(path, "a list is expected")
        return tuple(each(reader, member, (*path, place)) for place, member in enumerate(value))

    return read


def _outage(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        return reader.wrong(path, "an outage is expected as [begin, end], such as [10h, 12h]")
    start, end = (_seconds(reader, member, (*path, place)) for place, member in enumerate(value))
    if WRONG not in (start, end) and end <= start:
        return reader.wrong(path, "an outage ends after it began")
    return start, end


def _span(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
    if not isinstance(value, Mapping):
        return Span(mean) if (mean := _seconds(reader, value, path)) is not WRONG else WRONG
    read = reader.record(
        value, path, {"mean": ("mean_seconds", _seconds), "shape": ("shape", one_of(SPANS))}, ("mean",)
    )
    return WRONG if read is None else Span(**read)


def _made(what: type, fields: Mapping[str, tuple[str, Read]], required: tuple[str, ...] = ()) -> Read:
    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        found = reader.record(value, path, fields, required)
        return WRONG if found is None else what(**found)

    return read


def _named(each: Read) -> Read:
    def read(reader: Reader, value: Any, path: tuple[str | int, ...]) -> Any:
        if not isinstance(value, Mapping) or not value:
            return reader.wrong(path, "a mapping of names is expected, with at least one")
        return {str(name): each(reader, member, (*path, str(name))) for name, member in value.items()}

    return read


QUOTA = _made(Quota, {"requests": ("requests", whole(1)), "per": ("per_seconds", _some_time)}, ("requests", "per"))
SOURCE = _made(
    Source, {"quota": ("quota", QUOTA), "requests-per-second": ("requests_per_second", number(0, above=True))}
)
EVENTS = _made(
    Events,
    {
        "process": ("process", one_of(PROCESSES)),
        "per-day": ("per_day", number(0)),
        "burst-size": ("burst_size", number(1)),
        "burst-length": ("burst_seconds", _seconds),
        "opens": ("opens_hour", number(0, 24)),
        "closes": ("closes_hour", number(0, 24)),
        "trace": ("trace_seconds", _list(_seconds)),
    },
)
WEBHOOK = _made(
    Webhook,
    {
        "latency": ("latency", _span),
        "loss": ("loss", number(0, 1)),
        "retries": ("retries_seconds", _list(_seconds)),
        "duplicates": ("duplicates", number(0, 1)),
        "outages": ("outages_seconds", _list(_outage)),
        "filtered": ("filtered", _flag),
    },
)
FLEET = _made(
    Fleet,
    {
        "source": ("source", _text),
        "warehouses": ("warehouses", whole(1)),
        "interval": ("interval_seconds", _some_time),
        "repositories": ("repositories", whole(1)),
        "events": ("events", EVENTS),
        "passes": ("passes", number(0, 1)),
        "webhook": ("webhook", WEBHOOK),
        "discovery": ("discovery", _span),
        "requests": ("requests", whole(0)),
        "counted": ("counted", whole(0)),
        "new-requests": ("new_requests", whole(0)),
    },
    ("source", "warehouses", "interval"),
)
CONTROLLER = _made(
    Controller,
    {
        "workers": ("workers", whole(1)),
        "minimum-interval": ("minimum_interval_seconds", _seconds),
        "jitter": ("jitter", number(0, 1)),
        "retry": ("retry_seconds", _some_time),
    },
)
SCENARIO: Mapping[str, tuple[str, Read]] = {
    "scenario": ("name", _text),
    "length": ("length_seconds", _some_time),
    "seed": ("seed", whole(0)),
    "cold-start": ("cold_start", _flag),
    "controller": ("controller", CONTROLLER),
    "sources": ("sources", _named(SOURCE)),
    "fleets": ("fleets", _named(FLEET)),
}


def _scenario(reader: Reader) -> Scenario | None:
    found = reader.record(reader.document.value, (), SCENARIO, ("scenario", "length", "sources", "fleets"))
    if found is None:
        return None
    scenario = Scenario(**found)
    for name, fleet in scenario.fleets.items():
        _fits(reader, scenario, name, fleet)
    return scenario


def _fits(reader: Reader, scenario: Scenario, name: str, fleet: Fleet) -> None:
    """What one member says about another."""
    here: tuple[str | int, ...] = ("fleets", name)
    floor = scenario.controller.minimum_interval_seconds
    if fleet.interval_seconds < floor:
        reason = f"{fleet.interval_seconds:g} s is below the controller's minimum-interval of {floor:g} s"
        reader.wrong((*here, "interval"), f"{reason}, which Kargo would wait for instead")
    if fleet.source not in scenario.sources:
        known = ", ".join(scenario.sources)
        reader.wrong((*here, "source"), f"there is no source {fleet.source!r}; there are {known}")
    elif (quota := scenario.sources[fleet.source].quota) and fleet.counted > quota.requests:
        reason = f"one discovery needs {fleet.counted} counted requests, the quota has {quota.requests}"
        reader.wrong(("sources", fleet.source, "quota", "requests"), f"{reason}: nothing could ever be found")
    if fleet.counted > fleet.requests:
        reader.wrong((*here, "counted"), f"{fleet.counted} of {fleet.requests} requests cannot be counted")
    if fleet.events.closes_hour <= fleet.events.opens_hour:
        reader.wrong((*here, "events", "closes"), "an office closes after it opens")
    if fleet.events.process == "trace" and not fleet.events.trace_seconds:
        reader.wrong((*here, "events", "trace"), "the process trace needs moments, such as [1h, 1h30m]")

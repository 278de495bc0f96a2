"""`now`, `date`, `duration`, `timezone`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kargo_lab.errors import RuleError
from kargo_lab.rules import durations
from kargo_lab.rules.expressions import dates, layouts
from kargo_lab.rules.expressions.builtins.text import string
from kargo_lab.rules.expressions.dates import Duration, Location, Time
from kargo_lab.rules.expressions.frame import Frame
from kargo_lab.rules.expressions.values import Failure, Value

DATE_STEPS = 50
"""What a date, a duration, a place or a wrong guess at a layout costs beyond any call: some microseconds."""


def _now(frame: Frame, place: Value = None) -> Time:
    frame.work(DATE_STEPS)
    moment = frame.now()
    return Time(moment.nanoseconds, place) if isinstance(place, Location) else moment


def _timezone(frame: Frame, name: Value) -> Location:
    frame.call(DATE_STEPS, (name,))
    try:
        return dates.location(string(name))
    except ValueError as error:
        raise Failure(str(error)) from None


def _date(frame: Frame, *arguments: Value) -> Time:
    place = arguments[0] if isinstance(arguments[0], Location) else None
    texts = [string(given) for given in (arguments if place is None else arguments[1:])]
    if not texts:
        raise Failure("date needs a text")
    frame.call(DATE_STEPS, texts)
    try:
        if len(texts) == 3:
            return layouts.parse_time(texts[0], texts[1], _timezone(frame, texts[2]))
        if len(texts) == 2:
            return layouts.parse_time(texts[0], texts[1], place)
    except ValueError as error:
        raise Failure(str(error)) from None
    for layout in layouts.GUESSED:
        try:
            return layouts.parse_time(texts[0], layout, place)
        except ValueError:
            frame.work(DATE_STEPS + len(texts[0]) // 64)
    raise Failure(f"invalid date {texts[0]}")


def _duration(frame: Frame, text: Value) -> Duration:
    frame.call(DATE_STEPS, (text,))
    try:
        return Duration(durations.parse(string(text)))
    except RuleError as error:
        raise Failure(error.message) from None


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "now": _now,
    "timezone": _timezone,
    "date": _date,
    "duration": _duration,
}

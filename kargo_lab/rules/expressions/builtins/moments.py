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


def _now(frame: Frame, *places: Value) -> Time:
    frame.work(DATE_STEPS)
    moment = frame.now()
    if not places:
        return moment
    if not isinstance(places[0], Location):
        raise Failure("now takes nothing but a place")
    return Time(moment.nanoseconds, places[0])


def _timezone(frame: Frame, name: Value) -> Location:
    frame.call(DATE_STEPS, (name,))
    try:
        return dates.location(string(name))
    except ValueError as error:
        raise Failure(str(error)) from None


def _date(frame: Frame, *arguments: Value) -> Time:
    place = arguments[0] if isinstance(arguments[0], Location) else None
    given = arguments if place is None else arguments[1:]
    texts = [string(text) for text in (given if len(given) <= 3 else given[:1])]  # upstream's, see TAKEN
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


def date_of_texts(frame: Frame, *arguments: Value) -> Time:
    """`date` where the checker has not seen that the first argument is a place: upstream follows the pointer then."""
    return _date(frame, string(arguments[0]), *arguments[1:])


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

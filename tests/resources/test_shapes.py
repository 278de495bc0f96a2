"""Each shape reads what fits, says what was expected of what does not, and writes back what it read."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kargo_lab.resources.configuration import GenericAction
from kargo_lab.resources.configuration_shapes import ReceiverShape
from kargo_lab.resources.loading import subscription
from kargo_lab.resources.pipeline import Freight, Origin, Promotion, Stage
from kargo_lab.resources.shapes import (
    WRONG,
    Anything,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    Place,
    Record,
    Report,
    Shape,
    Text,
    nearest,
)
from kargo_lab.resources.warehouse_shapes import SubscriptionShape
from kargo_lab.resources.yaml_lines import Document


def read(shape: Shape, value: Any, *, admitted: bool = True) -> tuple[Any, list[str]]:
    """What a shape makes of a value, and what it reports."""
    report = Report(Document("f", value, {}), admitted=admitted)
    result = shape.read(Place(value, (), report))
    return result, [misfit.message for misfit in report.misfits]


@attrs.frozen(kw_only=True)
class Point:
    x: int = 0
    label: str = ""


POINT = Record(kind=Point, fields=(Field("x", "x", Number(), required=True), Field("label", "label", Text())))


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        pytest.param(Text(shortest=1, longest=2), "ab", id="text"),
        pytest.param(Text(choices=("a", "b")), "b", id="a choice"),
        pytest.param(Number(lowest=1, highest=2), 2, id="a number in its range"),
        pytest.param(Flag(), False, id="a flag"),
        pytest.param(Anything(), {"a": [1]}, id="anything"),
    ],
)
def test_a_value_that_fits_is_read_and_written_as_it_is(shape: Shape, value: Any) -> None:
    assert (read(shape, value), shape.write(value)) == ((value, []), value)


def test_a_float_without_a_fraction_is_a_whole_number() -> None:
    assert read(Number(), 2.0) == (2, [])


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        pytest.param(Text(), 1, "expected text, found the number 1; put it in quotes", id="number for text"),
        pytest.param(Text(), True, "expected text, found the boolean true; put it in quotes", id="boolean for text"),
        pytest.param(Text(), [], "expected text, found a list", id="list for text"),
        pytest.param(Text(shortest=1, meaning="a name"), "", "expected a name, found empty text", id="empty text"),
        pytest.param(Text(longest=2), "abc", "expected at most 2 characters, found 3", id="long text"),
        pytest.param(Number(), "1", "expected a whole number, found the text '1'", id="text for number"),
        pytest.param(Number(), 1.5, "expected a whole number, found the number 1.5", id="a fraction"),
        pytest.param(Number(lowest=0), -1, "expected a whole number of at least 0, found -1", id="too low"),
        pytest.param(Number(lowest=1, highest=3), 4, "expected a whole number from 1 to 3, found 4", id="too high"),
        pytest.param(Number(), True, "expected a whole number, found the boolean true", id="boolean for number"),
        pytest.param(Flag(), "true", "expected true or false, found the text 'true'", id="text for flag"),
        pytest.param(Flag(), None, "expected true or false, found nothing", id="nothing for flag"),
        pytest.param(ListOf(shape=Text()), "a", "expected a list, found the text 'a'", id="text for list"),
        pytest.param(ListOf(shape=Text(), least=2), [], "expected at least 2 elements, found none", id="an empty list"),
        pytest.param(MapOf(shape=Text()), ["a"], "expected a mapping, found a list", id="list for mapping"),
        pytest.param(POINT, "a", "expected a mapping, found the text 'a'", id="text for record"),
        pytest.param(POINT, {}, "missing, and required", id="a missing member"),
        pytest.param(POINT, {"x": None}, "missing, and required", id="a member that is null"),
        pytest.param(
            ReceiverShape(), 5, "expected a mapping with a name and a type, found the number 5", id="receiver"
        ),
        pytest.param(
            SubscriptionShape(), [], "expected a mapping with one of git, image, chart; found a list", id="subscription"
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told(shape: Shape, value: Any, message: str) -> None:
    assert read(shape, value) == (WRONG, [message])


def test_every_misfit_of_a_record_is_told() -> None:
    assert read(POINT, {"x": "a", "label": 1, "labelx": ""})[1] == [
        "unknown field `labelx` (did you mean `label`?)",
        "expected a whole number, found the text 'a'",
        "expected text, found the number 1; put it in quotes",
    ]


def test_a_document_with_thousands_of_mistakes_is_not_told_in_full() -> None:
    messages = read(POINT, {"x": 1, **{f"y{number}": 1 for number in range(5000)}})[1]
    assert (len(messages), messages[-1]) == (101, "more than 100 things are wrong; the rest is not shown")


def test_what_is_stored_is_not_held_to_ranges_and_choices() -> None:
    assert read(Number(lowest=1), 0, admitted=False) == (0, [])
    assert read(Text(choices=("a",), shortest=1), "", admitted=False) == ("", [])
    assert read(ListOf(shape=Text(), least=1), [], admitted=False) == ((), [])


def test_members_that_have_their_default_are_not_written() -> None:
    assert POINT.write(Point(x=0, label="")) == {"x": 0}


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("REPOurl", ["repoURL", "branch"]) == " (did you mean `repoURL`?)"
    assert nearest("zzz", ["repoURL", "branch"]) == ""


@pytest.mark.parametrize(
    "data",
    [
        {"name": "r"},
        {"name": "r", "artifactory": {"secretRef": {"name": "s"}, "virtualRepoName": "v"}},
        {"name": "r", "generic": {"secretRef": {"name": "s"}, "actions": [{"action": "Refresh"}]}},
        {"name": "r", "github": {"secretRef": {"name": "s"}}, "harbor": {"secretRef": {"name": "s"}}},
    ],
    ids=["no type", "artifactory", "generic", "two types"],
)
def test_a_receiver_is_written_as_it_was_read(data: dict[str, Any]) -> None:
    value, problems = read(ReceiverShape(), data)
    assert (ReceiverShape().write(value), problems) == (data, [])


def test_a_generic_action_has_no_targets_unless_told() -> None:
    value, _ = read(ReceiverShape(), {"name": "r", "generic": {"secretRef": {}, "actions": [{"action": "Refresh"}]}})
    assert value.actions == (GenericAction(),)


def test_a_generic_subscription_is_written_as_it_was_read() -> None:
    data = {"models": {"config": {"a": 1}, "discoveryLimit": 3}, "name": "m"}
    assert SubscriptionShape().write(subscription(data, admitted=False)) == data


def test_a_stored_interval_may_be_any_that_go_reads() -> None:
    from kargo_lab.resources.warehouse_shapes import DURATION

    assert read(DURATION, "500ms", admitted=False) == ("500ms", [])
    assert read(DURATION, 5)[1] == ["expected text, found the number 5; put it in quotes"]


def test_objects_of_the_pipeline_have_keys() -> None:
    origin = Origin(name="w")
    freight = Freight(namespace="p", name="f", origin=origin)
    stage = Stage(namespace="p", name="s", requested_freight=())
    promotion = Promotion(namespace="p", name="m", stage="s")
    assert (origin.key, freight.key, stage.key, promotion.key) == ("Warehouse/w", "p/f", "p/s", "p/m")
    assert stage.control_flow

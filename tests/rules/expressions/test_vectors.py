"""The executed vectors of discovery.md appendix A and receivers.md 5.5, one test a record and version."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import durations, expressions, urls
from kargo_lab.rules import json as gojson
from kargo_lab.rules.expressions import values
from kargo_lab.rules.expressions.dates import Duration, Month, Time, Weekday
from kargo_lab.rules.expressions.layouts import RFC3339_NANO, format_time

DATA = Path(__file__).parents[2] / "data"
VECTORS = json.loads((DATA / "expressions.json").read_text())
VERSIONS = ("1.17.5", "1.17.6", "1.17.7", "1.17.8")
NORMALIZERS = {
    "normalize_git": urls.normalize_git,
    "normalize_image": urls.normalize_image,
    "normalize_chart": urls.normalize_chart,
}
NOW = datetime.fromisoformat("2026-11-25T12:00:00+00:00")


def given(value: Any) -> Any:
    """A value of the vectors as one of the language; plain numbers are floats."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return [given(item) for item in value]
    for mark, make in MARKS.items():
        if set(value) == {mark}:
            return make(value[mark])
    return {key: given(item) for key, item in value.items()}


def moment(text: str) -> Time:
    return Time.of(datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-").replace(" ", "T")))


MARKS = {
    "$int": int,
    "$time": moment,
    "$duration": lambda text: Duration(durations.parse(text)),
    "$strings": values.Strings,
}


def discovered(artifacts: dict[str, Any]) -> expressions.Artifacts:
    def optional(text: str | None) -> datetime | None:
        return datetime.fromisoformat(text) if text else None

    return expressions.Artifacts(
        commits=tuple(
            (
                result["repoURL"],
                tuple(
                    expressions.Commit(
                        **{key: value for key, value in commit.items() if key != "creatorDate"},
                        creator_date=optional(commit.get("creatorDate")),
                    )
                    for commit in result["commits"]
                ),
            )
            for result in artifacts["git"]
        ),
        images=tuple(
            (
                result["repoURL"],
                tuple(
                    expressions.Image(
                        tag=image["tag"],
                        digest=image["digest"],
                        annotations=image.get("annotations"),
                        created_at=optional(image.get("createdAt")),
                    )
                    for image in result["references"]
                ),
            )
            for result in artifacts["images"]
        ),
        charts=tuple(
            (result["repoURL"], result.get("name", ""), tuple(result["versions"])) for result in artifacts["charts"]
        ),
        artifacts=tuple(
            (
                result["name"],
                tuple(
                    expressions.Artifact(
                        artifact_type=artifact["artifactType"],
                        subscription_name=artifact["subscriptionName"],
                        version=artifact["version"],
                        metadata=given(artifact["metadata"]),
                    )
                    for artifact in result["artifactReferences"]
                ),
            )
            for result in artifacts["results"]
        ),
    )


def request(delivery: dict[str, Any]) -> dict[str, Any]:
    body = delivery.get("body")
    return expressions.request_variables(
        body=gojson.loads(body.encode()) if body else None,
        headers=[(name, value) for name, found in delivery.get("headers", {}).items() for value in found],
        query=delivery.get("query", ""),
        parameters=delivery.get("parameters", {}),
        **NORMALIZERS,
    )


def setting(row: dict[str, Any]) -> tuple[expressions.Environment, dict[str, Any]]:
    environment = row["environment"]
    if row["context"] == "plain":
        return expressions.PLAIN, given(VECTORS["environments"][environment])
    if row["context"] == "criteria":
        return expressions.CRITERIA, {}
    delivery = VECTORS["deliveries"][environment] if isinstance(environment, str) else environment
    return expressions.GENERIC, request(delivery)


def described(value: Any) -> Any:
    """A value of the language as the vectors spell it."""
    kind = type(value)
    if value is None:
        return {"type": "nil"}
    if kind in SIMPLE:
        return {"type": SIMPLE[kind], "value": value}
    if kind is float:
        special = "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf" if math.isinf(value) else value
        return {"type": "float", "value": special}
    if kind is values.Byte:
        return {"type": "uint", "go": "uint8", "value": int(value)}
    if kind is bytes:
        return {"type": "bytes", "value": value.hex()}
    if kind is Time:
        return {"type": "time", "value": format_time(value, RFC3339_NANO)}
    if kind is Duration:
        return {"type": "duration", "value": str(value)}
    if kind is values.Function:
        return {"type": "function"}
    if kind in {Month, Weekday}:
        return {"type": "int", "go": f"time.{kind.__name__}", "value": value.number}
    if kind in values.LISTS:
        return {"type": "array", "value": [described(item) for item in value]}
    if kind in values.MAPS:
        entries = value.items() if isinstance(value, dict) else value
        return {"type": "map", "value": sorted([[described(key), described(item)] for key, item in entries], key=str)}
    return {"type": "object"}


SIMPLE = {bool: "bool", int: "int", values.Int64: "int", str: "string"}


def plain(described_value: Any) -> Any:
    """Without Go's own type names, with floats as floats, and maps in one order."""
    if not isinstance(described_value, dict):
        return described_value
    kind, value = described_value["type"], described_value.get("value")
    if kind == "array":
        return {"type": kind, "value": [plain(item) for item in value]}
    if kind == "map":
        pairs = [[plain(key), plain(item)] for key, item in value]
        return {"type": kind, "value": sorted(pairs, key=lambda pair: str(pair[0]))}
    if kind == "float" and not isinstance(value, str):
        return {"type": kind, "value": float(value)}
    if kind == "int" and isinstance(value, str):  # where JSON's numbers are not exact enough
        return {"type": kind, "value": int(value)}
    return {"type": kind} if value is None else {"type": kind, "value": value}


def text(row: dict[str, Any]) -> str:
    if "generate" in row:
        made = row["generate"]
        return made["prefix"] + made["separator"].join([made["repeat"]] * made["times"]) + made["suffix"]
    return row["expression"]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def covers(row: dict[str, Any], version: str) -> bool:
    since, until = row["since"] or "0", row["until"] or "9"
    return numbers(since) <= numbers(version) <= numbers(until)


FUNCTIONS = expressions.criteria_functions(discovered(VECTORS["artifacts"]), **NORMALIZERS)


def judged(judge: Any, value: Any) -> Any:
    try:
        return judge(value)
    except ExpressionError:
        return "error"


def expected(row: dict[str, Any]) -> list[Any]:
    if row["outcome"] != "value":
        return [row["outcome"]]
    return ["value", plain(row["value"]), row["filter"], *([row["when"]] if "when" in row else [])]


def found(row: dict[str, Any], version: str) -> list[Any]:
    environment, variables = setting(row)
    try:
        program = expressions.compile(text(row), environment=environment, version=version)
        value = program.run(variables, functions=FUNCTIONS, now=NOW)
    except ExpressionError as error:
        return [f"{error.stage}-error"]
    verdicts = [judged(expressions.accepted, value)]
    if "when" in row:
        verdicts.append(judged(expressions.matched, value))
    return ["value", plain(described(value)), *verdicts]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=ascii([row["context"], text(row)[:60]]))
        for row in VECTORS["rows"]
        if covers(row, VERSIONS[-1])
    ],
)
def test_an_expression_gives_what_upstream_gave(row: dict[str, Any]) -> None:
    assert found(row, VERSIONS[-1]) == expected(row)


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_older_releases_differ_only_where_the_vectors_say_so(version: str) -> None:
    rows = [row for row in VECTORS["rows"] if covers(row, version)]
    misfits = [text(row) for row in rows if found(row, version) != expected(row)]
    assert (len(rows) > 1300, misfits) == (True, [])


def when(record: dict[str, Any]) -> str:
    """What `whenExpression` makes of a record of generic-expressions.json; empty means always."""
    if record["expression"] == "":
        return "matched"
    try:
        program = expressions.compile(record["expression"], environment=expressions.GENERIC)
        value = program.run(request({**record, "parameters": record["params"]}))
    except ExpressionError as error:
        return f"error {error.stage}"
    try:
        return "matched" if expressions.matched(value) else "not-matched"
    except ExpressionError:
        return "error not a boolean"


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(record, id=ascii(record["expression"]))
        for record in json.loads((DATA / "generic-expressions.json").read_text())
    ],
)
def test_a_when_expression_decides_as_kargos(record: dict[str, Any]) -> None:
    expected = record["result"]
    if expected == "error":
        expected = f"error {record['errorAt']}"
    assert when(record) == expected

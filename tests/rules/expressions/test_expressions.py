"""The face of the package: compiling, running, errors, limits, environments, and what judges a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Limits, Time, values
from kargo_lab.rules.expressions.dates import UTC as GO_UTC
from kargo_lab.rules.expressions.environments import query_values

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def run(text: str, variables: dict[str, Any] | None = None, **options: Any) -> Any:
    return expressions.compile(text, **options).run(variables, now=NOON)


def same(text: str) -> str:
    return text


def test_a_program_is_compiled_once_and_run_many_times() -> None:
    program = expressions.compile("n * 2 + len(filter(xs, # > n))")
    assert [program.run({"n": n, "xs": [1, 2, 3]}) for n in range(3)] == [3, 4, 5]


@pytest.mark.parametrize(
    ("text", "variables", "stage", "position"),
    [
        pytest.param("1 + ", {}, "compile", 3, id="a missing operand is pointed at"),
        pytest.param('"a" * 2', {}, "compile", 4, id="unfit types point at the operator"),
        pytest.param("a == @", {}, "compile", 5, id="an unknown character is pointed at"),
        pytest.param("1 +\n  a.b", {"a": 5}, "run", 8, id="a failing member is pointed at"),
        pytest.param("map(xs, # + 1)", {"xs": ["a"]}, "run", 10, id="a failing predicate is pointed at"),
        pytest.param('a matches ("(" + "x")', {}, "compile", 15, id="a pattern that folding made is pointed at"),
    ],
)
def test_an_error_says_when_and_where(text: str, variables: dict[str, Any], stage: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(text, variables)
    assert (caught.value.stage, caught.value.position) == (stage, position)
    assert str(caught.value).endswith("^")


@pytest.mark.parametrize(
    ("text", "limits", "words"),
    [
        pytest.param("a" * 20, Limits(characters=10), "longer than 10 characters", id="characters"),
        pytest.param("[1,2,3]", Limits(nodes=3), "more than 3 nodes", id="nodes"),
        pytest.param("((((1))))", Limits(nesting=3), "nested too deeply", id="nesting"),
        pytest.param("a.b.c.d.e", Limits(depth=3), "nested too deeply", id="depth"),
        pytest.param("map(1..99, 1)", Limits(memory=50), "memory budget exceeded", id="memory"),
        pytest.param("let r = 1..99; all(r, all(r, true))", Limits(steps=500), "more than 500 steps", id="steps"),
        pytest.param("[s, s]", Limits(memory=2), "memory budget exceeded", id="memory of a list"),
        pytest.param("{a: s, b: s}", Limits(memory=2), "memory budget exceeded", id="memory of a map"),
        pytest.param("findLast(1..99, false)", Limits(steps=50), "more than 50 steps", id="steps backwards"),
        pytest.param("repeat('ab', 50) + 'c'", Limits(text=99), "longer than 99 characters", id="text"),
        pytest.param("all(1..99, s contains 'b' or t)", Limits(steps=400), "more than 400", id="text steps"),
        pytest.param("toJSON(reduce(1..60, [#acc, #acc], 1))", Limits(steps=9999), "9999 steps", id="lists in lists"),
        pytest.param("flatten(reduce(1..10002, [#acc], 1))", Limits(), "recursion depth exceeded", id="flatten"),
        pytest.param("now().AddDate(1" + "0" * 13 + ", 0, 0)", Limits(), "out of range", id="dates"),
        pytest.param("toJSON(reduce(1..5000, [#acc], 1))", Limits(), "nested too deeply", id="a deep value"),
    ],
)  # fmt: skip
def test_a_hostile_expression_is_stopped_with_a_clear_error(text: str, limits: Limits, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        run(text, {"s": "a" * 640, "t": True}, limits=limits)


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["1"] * 4000),
        "t ? 1 : " * 2000 + "1",
        "if t {1} else " * 2000 + "{1}",
        "x == 2 or " * 2000 + "t",
        "".join(f"let v{n} = {n}; " for n in range(2000)) + "v1",
    ],
    ids=["sum", "ternary", "else if", "or", "let"],
)
def test_a_long_chain_is_not_a_deep_one(text: str) -> None:
    assert run(text, {"t": True, "x": 1}) in (True, 1, 4000)


def test_a_compiler_out_of_stack_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(expressions, "check", exhausted)
    with pytest.raises(ExpressionError, match="nested too deeply"):
        expressions.compile("1")


@pytest.mark.parametrize(
    ("value", "accepted", "matched"),
    [
        (True, True, True),
        (False, False, False),
        (1, True, None),
        (0.0, False, None),
        ("T", True, None),
        ("yes", None, None),
        (None, None, None),
        ([True], None, None),
    ],
)
def test_a_filter_prints_and_parses_where_when_wants_a_boolean(value: Any, accepted: Any, matched: Any) -> None:
    for judge, expected in ((expressions.accepted, accepted), (expressions.matched, matched)):
        if expected is None:
            with pytest.raises(ExpressionError):
                judge(value)
        else:
            assert judge(value) is expected


def test_a_value_too_deep_to_print_is_an_expression_error() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ExpressionError) as refused:
        expressions.accepted(deep)
    error = refused.value
    assert (error.stage, error.message, error.text) == ("run", "the value is nested too deeply", "")


def test_a_value_that_json_does_not_know_is_an_expression_error() -> None:
    with pytest.raises(ExpressionError, match="unsupported value"):
        expressions.json_of(float("nan"))


@pytest.mark.parametrize(
    ("moment", "printed"),
    [
        pytest.param(NOON.replace(tzinfo=None), "2026-11-25 12:00:00 +0000 UTC", id="without a zone it is UTC"),
        pytest.param(NOON, "2026-11-25 12:00:00 +0000 UTC", id="UTC"),
        pytest.param(
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1))),
            "2026-03-01 12:00:00 +0100 +0100",
            id="an offset keeps no name",
        ),
        pytest.param(
            datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),
            "2026-07-01 12:00:00 +0200 CEST",
            id="a named zone keeps its name",
        ),
    ],
)  # fmt: skip
def test_a_datetime_is_taken_as_a_go_time(moment: datetime, printed: str) -> None:
    assert run("string(t)", {"t": moment}) == printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now().Year()", 2026),
        ('now(timezone("Asia/Kolkata")).Minute()', 30),
        ("now() - duration('24h') < now()", True),
        ("now().Location().String()", "Local"),
    ],
)
def test_now_is_the_moment_that_is_given(text: str, expected: Any) -> None:
    assert run(text) == expected


def test_now_takes_a_go_time_too() -> None:
    assert expressions.compile("now().Year()").run(now=Time(0, GO_UTC)) == 1970


def test_now_is_the_wall_clocks_if_nothing_is_given() -> None:
    assert expressions.compile("now().Year()").run() >= 2026


COMMIT = expressions.commit_variables(
    commit_id="abc", commit_date=NOON, author="A <a@x>", committer="C <c@x>", subject="feat: x"
)
TAG = expressions.tag_variables(
    tag="v1.2", commit_id="abc", creator_date=Time(0, GO_UTC), author="A <a@x>", committer="C <c@x>", subject="x"
)


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("author contains 'a@x' and commitDate.Year() == 2026", COMMIT, True),
        ("id == 'abc' and committer startsWith 'C' and subject matches '^feat'", COMMIT, True),
        ("tag startsWith 'v1' and tagger == '' and annotation == '' and creatorDate.Year() == 1970", TAG, True),
        ("unknown == nil", TAG, True),
    ],
)
def test_a_git_filter_sees_its_variables(text: str, variables: dict[str, Any], expected: bool) -> None:
    assert run(text, variables) is expected


FOUND = expressions.Artifacts(
    commits=(("https://x/a", ()), ("https://x/a", (expressions.Commit(id="1", creator_date=NOON),))),
    images=(
        ("nginx", (expressions.Image(tag="1"),)),
        ("new", (expressions.Image(annotations={"a": "b"}, created_at=NOON),)),
    ),
    charts=(("https://c", "web", ()), ("https://c", "db", ("1.0.0",))),
    artifacts=(("m", (expressions.Artifact(version="7"),)),),
)  # fmt: skip
CRITERIA = expressions.criteria_functions(FOUND, normalize_git=same, normalize_image=same, normalize_chart=same)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("commitFrom('https://x/a').ID", "1"),
        ("commitFrom('https://x/a').CreatorDate.Year()", 2026),
        ("commitFrom('https://x/a').CreatorDate.Before(commitFrom('https://x/a').CreatorDate)", False),
        ("commitFrom('https://x/a').CreatorDate.Equal(commitFrom('https://x/a').CreatorDate)", True),
        ("commitFrom('https://x/a') == commitFrom('https://x/a')", True),
        ("get(commitFrom('https://x/a'), 'ID')", "compile"),
        ("imageFrom('nginx').Annotations == nil", True),
        ("imageFrom('new').Annotations == imageFrom('new').Annotations", True),
        ("imageFrom('new').Annotations.a", "b"),
        ("imageFrom('new').Annotations?.zz", ""),
        ("toJSON(imageFrom('nginx'))", '{\n  "annotations": null,\n  "createdAt": null,\n  "digest": "",\n  "tag": "1"\n}'),  # noqa: E501  (one row)
        ("string(imageFrom('nginx'))", "{1  map[] <nil>}"),
        ("chartFrom('https://c').Version", "1.0.0"),
        ("chartFrom('https://c', 'web')", None),
        ("artifactFrom('m').Metadata == {}", True),
        ("'Version' in artifactFrom('m')", True),
        ("get(first([artifactFrom('m'), 1]), 'Version')", "7"),
        ("first([artifactFrom('m'), 1]).Nope", "run"),
        ("groupBy([artifactFrom('m')], #) != nil", True),
        ("type(chartFrom('https://c'))", "github.com/akuity/kargo/api/v1alpha1.Chart"),
        ("commitFrom", "run"),
        ("'a' == commitFrom('https://x/a')", "compile"),
        ("let c = commitFrom; c('https://x/a')", "run"),
        ("let commitFrom = 1; 1", "compile"),
        ("commitFrom('https://x/a')[1]", "compile"),
    ],
)  # fmt: skip
def test_criteria_see_what_was_discovered(text: str, expected: Any) -> None:
    try:
        value = expressions.compile(text, environment=expressions.CRITERIA).run(functions=CRITERIA)
    except ExpressionError as error:
        value = error.stage
    assert value == expected


def test_criteria_take_their_functions_as_the_first_argument_too() -> None:
    assert expressions.compile("imageFrom('nginx').Tag", environment=expressions.CRITERIA).run(CRITERIA) == "1"


def test_a_declared_function_has_to_be_given() -> None:
    with pytest.raises(ExpressionError, match="commitFrom was not given"):
        expressions.compile("commitFrom('x')", environment=expressions.CRITERIA).run()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=1&q=2", {"q": "1"}),
        ("a=x+y&b=%C3%A9", {"a": "x y", "b": "é"}),
        ("a;b=1&&c", {"c": ""}),
        ("a=%zz&b=%4&c=1", {"c": "1"}),
    ],
)
def test_query_parameters_read_as_in_go(query: str, found: dict[str, str]) -> None:
    assert query_values(query) == found


def test_the_host_header_cannot_be_asked_for() -> None:
    variables = expressions.request_variables(
        body=None, headers=[("Host", "x"), ("A", "1"), ("a", "2")], query="", parameters={},
        normalize_git=same, normalize_image=same, normalize_chart=same,
    )  # fmt: skip
    text = "[request.header('host'), request.header('A'), len(request.headers('a')), request.headers('b') ?? 5]"
    assert run(text, variables, environment=expressions.GENERIC) == ["", "1", 2, 5]


def test_a_variadic_function_takes_what_is_left() -> None:
    f = values.Function("f", lambda *all_of: len(all_of), (str, object), variadic=True)
    assert run("[f('a'), f('a', 1, nil)]", {"f": f}) == [1, 3]
    with pytest.raises(ExpressionError, match="invalid number of arguments"):
        run("f()", {"f": f})


def test_text_with_lone_surrogates_reads_as_replacement_characters() -> None:
    assert run("s[0]", {"s": "\ud800"}) == 0xEF


ANYTHING = st.text(alphabet=st.characters()) | st.text(
    alphabet="()[]{}.?:,;|#&=!<>+-*/%^'\"`\\ \n019eExablnotiruefmp_$é"
)


@given(ANYTHING)
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_program_or_an_expression_error(text: str) -> None:
    try:
        value = expressions.text_of(run(text, {"a": [1.0, "x", {"b": None}], "e": {}}))
    except ExpressionError as error:
        value = str(error)
    assert isinstance(value, str)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
@settings(deadline=None)
def test_integers_wrap_as_64_bits_do(one: int, two: int) -> None:
    for operator, exact in (("+", one + two), ("-", one - two), ("*", one * two)):
        assert run(f"a {operator} b", {"a": one, "b": two}) == (exact + 2**63) % 2**64 - 2**63


@given(st.floats(allow_nan=False))
@settings(deadline=None)
def test_a_printed_float_reads_back(value: float) -> None:
    assert run("float(string(f)) == f", {"f": value}) is True

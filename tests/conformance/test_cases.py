"""Case files: read, multiplied, selected, and refused with a place."""

from pathlib import Path

import pytest

from kargo_lab.conformance import cases
from kargo_lab.errors import ManifestError, UsageError

GOOD = """
about: A file for the tests
receiver: github
source: somewhere to look up
cases:
- id: one
  says: A sentence that says something
  with:
  - {as: first, ref: refs/heads/a, hit: [x]}
  - {as: second, ref: refs/heads/b, hit: []}
  send: {event: push, body: {ref: <ref>, url: <git>/app}}
  expect: {status: 200, refreshed: <hit>}
"""


def read(tmp_path: Path, text: str) -> tuple[cases.Case, ...]:
    (tmp_path / "topic").mkdir()
    (tmp_path / "topic" / "file.yaml").write_text(text, encoding="utf-8")
    return cases.load(tmp_path)


def test_a_row_becomes_a_case_whose_id_reads_as_a_path(tmp_path: Path) -> None:
    assert [case.id for case in read(tmp_path, GOOD)] == ["topic/file/one/first", "topic/file/one/second"]


def test_a_parameter_alone_keeps_its_type(tmp_path: Path) -> None:
    assert [case.steps[0].expect["refreshed"] for case in read(tmp_path, GOOD)] == [["x"], []]


def test_names_of_the_run_are_left_for_the_run(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD)[0].steps[0].detail["body"] == {"ref": "refs/heads/a", "url": "<git>/app"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("expect: {status: 200,", "expct: {status: 200,"), "expct", id="an unknown key is named"),
        pytest.param(("hit: [x]", "hit: 7"), "one/first", id="a row that does not fit is named"),
        pytest.param(("says: A", "level: urgent\n  says: A"), "urgent", id="an unknown level is named"),
        pytest.param(("as: second", "as: first"), "is taken by", id="an id that stands twice names the other place"),
        pytest.param(("about:", "about: twice\nabout:"), "stands twice", id="a key that stands twice is named"),
        pytest.param(("cases:", "cases: ["), "", id="a file that is no YAML is refused"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ManifestError, match=r"file\.yaml") as raised:
        read(tmp_path, GOOD.replace(*change, 1))
    assert said in str(raised.value)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no case file"):
        cases.load(tmp_path)


SHIPPED = cases.load()


def test_the_shipped_cases_are_many_and_say_where_they_come_from() -> None:
    print(f"{len(SHIPPED)} shipped cases")
    assert len(SHIPPED) >= 60
    assert [case.id for case in SHIPPED if not case.source] == []


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        pytest.param(["github/push"], "github/push/branch", id="the beginning of an id up to a slash"),
        pytest.param(["github/*/branch"], "github/push/branch", id="stars"),
        pytest.param(["!gitea", "!routing"], "github/push/branch", id="everything but"),
    ],
)
def test_a_pattern_selects(patterns: list[str], wanted: str) -> None:
    chosen = [case.id for case in cases.select(SHIPPED, patterns)]
    assert wanted in chosen
    assert not any(name.startswith("gitea/") for name in chosen)


def test_a_pattern_that_selects_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="githob"):
        cases.select(SHIPPED, ["githob"])


def test_strict_cases_belong_to_the_recommended_profile_only() -> None:
    strict = [case for case in SHIPPED if case.level == "strict"]
    assert strict
    assert not any(case.holds_for("latest") for case in strict)
    assert all(case.holds_for("recommended") for case in strict)


def test_a_quirk_is_not_asked_of_the_recommended_profile() -> None:
    quirks = [case for case in SHIPPED if case.quirk]
    assert quirks
    assert not any(case.holds_for("recommended") for case in quirks)


def test_slugs_are_not_shared() -> None:
    assert len({case.slug for case in SHIPPED}) == len(SHIPPED)

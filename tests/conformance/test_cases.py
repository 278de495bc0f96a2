"""Case files: read, multiplied, selected, and refused with a place."""

from pathlib import Path

import pytest

from kargo_lab.conformance import cases
from kargo_lab.errors import ManifestError, UsageError

GOOD = """
about: A file for the tests
receiver: github
level: strict
since: v1.7
source: somewhere to look up
quirk: false
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


SAID = [
    pytest.param(
        ("expect: {status: 200,", "expct: {status: 200,"),
        "15: cases[0].expct: there is no such key (did you mean `expect`?)",
        id="an unknown key",
    ),
    pytest.param(
        ("expect: {status: 200,", "expect: {statuz: 200,"),
        "15: cases[0].expect.statuz: there is no such key (did you mean `status`?)",
        id="an unknown key of an expectation",
    ),
    pytest.param(
        ("hit: [x]", "hit: 7"),
        "12: cases[0].with[0].hit: one/first: expect.refreshed: expected a list, found the number 7",
        id="a value of a row that does not fit where it is put",
    ),
    pytest.param(
        ("says: A", "level: urgent\n  says: A"),
        "10: cases[0].level: expected one of core, extended, strict, found the text 'urgent'",
        id="an unknown level",
    ),
    pytest.param(
        ("level: strict", "level: strickt"),
        "4: level: expected one of core, extended, strict, found the text 'strickt' (did you mean `strict`?)",
        id="an unknown level of the file",
    ),
    pytest.param(
        ("receiver: github", "receiver: githup"),
        "found the text 'githup' (did you mean `github`?)",
        id="an unknown receiver",
    ),
    pytest.param(
        ("receiver: github", "receiver: {type: github, scop: cluster}"),
        "3: receiver.scop: there is no such key (did you mean `scope`?)",
        id="an unknown key of a receiver, which may be a text as well",
    ),
    pytest.param(
        ("status: 200", "status: ok"), "15: cases[0].expect.status: expected a whole number, found", id="no status"
    ),
    pytest.param(("  expect: {", "  # expect: {"), "9: cases[0]: `steps` or `expect` is missing", id="no expectation"),
    pytest.param(
        ("  expect: {", "  steps: [{look: {}}]\n  expect: {"),
        "9: cases[0]: `steps` and `expect` exclude each other",
        id="steps beside an expectation",
    ),
    pytest.param(
        ("about: A file for the tests", "about: A"),
        "expected a text of 8 letters or more",
        id="a text that says nothing",
    ),
    pytest.param(
        ("- id: one", "- id: One"),
        "9: cases[0].id: expected small letters, digits",
        id="an id that is no part of a path",
    ),
    pytest.param(("as: second", "as: first"), "is taken by", id="an id that stands twice names the other place"),
    pytest.param(
        ("about:", "about: twice\nabout:"),
        "3: about: the key is here twice, first in line 2",
        id="a key that stands twice",
    ),
    pytest.param(("cases:", "cases: ["), "not YAML: ", id="a file that is no YAML"),
    pytest.param(("cases:", "? [a]\n: b\ncases:"), "8: a key must be text", id="a key that is a list"),
    pytest.param(("cases:", "---\ncases:"), "expected one YAML document, found 2", id="two documents"),
]


@pytest.mark.parametrize(("change", "said"), SAID)
def test_a_file_that_is_wrong_is_refused_with_its_line_in_our_words(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(ManifestError, match=r"file\.yaml") as raised:
        read(tmp_path, GOOD.replace(*change, 1))
    told = str(raised.value)
    assert said in told
    assert not any(
        word in told for word in ("valid under", "additional properties", "is not of type", "'refs/heads/a'")
    )


def test_a_file_that_is_wrong_leads_to_the_schema(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="`kargo-lab conformance schema case` prints all"):
        read(tmp_path, GOOD.replace("expect:", "expct:"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "7"])
def test_a_file_that_is_no_mapping_says_what_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match="expected a mapping, found"):
        read(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_bytes(b"about: \xff\n")
    with pytest.raises(ManifestError, match="not UTF-8"):
        cases.load(tmp_path)


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

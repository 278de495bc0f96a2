"""Vectors of path-filters.json, and the spelling of git."""

import json
from pathlib import Path

import pytest

from kargo_lab.errors import SelectionError
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.selection.paths import as_git_prints, path_rules

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "path-filters.json").read_text())

GOOD = [record for record in RECORDS if record["commit_passes"] != "bad-pattern"]
BAD = [record for record in RECORDS if record["commit_passes"] == "bad-pattern"]


def _rules(record):
    return path_rules(
        GitSubscription(
            repo_url="https://example.com/r",
            include_paths=tuple(record["includePaths"]),
            exclude_paths=tuple(record["excludePaths"]),
        )
    )


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in GOOD])
def test_a_commit_passes_as_in_discovery(record):
    assert bool(_rules(record).judge_commit(record["changed"])) is record["commit_passes"]


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in GOOD])
def test_a_push_passes_as_in_the_webhook_filter(record):
    assert bool(_rules(record).judge_push(record["changed"])) is record["push_passes"]


@pytest.mark.parametrize("record", [pytest.param(r, id=r["case"]) for r in BAD])
def test_a_bad_pattern_is_refused(record):
    with pytest.raises(SelectionError):
        _rules(record)


def test_there_are_58_records():
    assert (len(GOOD), len(BAD)) == (56, 2)


@pytest.mark.parametrize("field", ["include_paths", "exclude_paths"])
def test_a_pattern_that_does_not_compile_names_its_list(field):
    with pytest.raises(SelectionError, match="Paths"):
        path_rules(GitSubscription(repo_url="x", **{field: ("regex:(",)}))


@pytest.mark.parametrize(
    ("path", "printed"),
    [
        ("docs/with space.md", "docs/with space.md"),
        ("docs/\u00e9.md", '"docs/\\303\\251.md"'),
        ("docs/tab\there.md", '"docs/tab\\there.md"'),
        ('docs/q"uote.md', '"docs/q\\"uote.md"'),
        ("a\\b", '"a\\\\b"'),
        ("a\x01b\x7f", '"a\\001b\\177"'),
        ("\ud800", '"\\355\\240\\200"'),
    ],
)
def test_git_quotes_odd_names(path, printed):
    assert as_git_prints(path) == printed


def test_a_push_of_an_odd_name_can_be_judged_in_both_spellings():
    rules = _rules({"includePaths": [], "excludePaths": ["docs"]})
    assert rules.judge_push(["docs/\u00e9.md"], quoted_too=True)


def test_unless_told_so_it_is_judged_as_the_platform_spells_it():
    rules = _rules({"includePaths": [], "excludePaths": ["docs"]})
    assert not rules.judge_push(["docs/\u00e9.md"])

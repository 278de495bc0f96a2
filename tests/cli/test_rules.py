"""`kargo-lab rules`: the verdict is printed with its reason, and is the exit status."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from kargo_lab.cli import rules


def ask(*words: str) -> Result:
    return CliRunner().invoke(rules.group, list(words))


@pytest.mark.parametrize(
    ("words", "status", "printed"),
    [
        pytest.param(
            ["semver", "^1.2", "1.3.0"],
            0,
            "match     1.3.0 satisfies ^1.2: it is at least 1.2.0 and below 2.0.0\n",
            id="a version is accepted",
        ),
        pytest.param(
            ["semver", "^1.2", "1.3.0", "2.0.0-rc.1"],
            1,
            "match     1.3.0 satisfies ^1.2: it is at least 1.2.0 and below 2.0.0\n"
            "no match  2.0.0-rc.1 does not satisfy ^1.2: it is a prerelease, and ^1.2 does not name one\n",
            id="one of two versions is not",
        ),
        pytest.param(
            ["semver", "*", "latest"],
            1,
            "no match  latest is no version: a version starts with a digit\n",
            id="a tag is no version",
        ),
        pytest.param(
            ["semver", "--strict", "*", "1.2"],
            1,
            "no match  1.2 is no strict version: a strict version has three numbers\n",
            id="a tag is no strict version",
        ),
        pytest.param(
            ["semver", "--profile", "v1.6", "*", "01.2.3"],
            1,
            "no match  01.2.3 is no version: a number starts with zero\n",
            id="a profile decides on leading zeros",
        ),
        pytest.param(
            ["path", "apps", "apps/x"],
            0,
            "match     apps/x is taken by apps (path and all below it)\n",
            id="a path below",
        ),
        pytest.param(
            ["path", "apps", "apps/a..b"],
            1,
            "no match  apps/a..b is not taken by apps "
            "(path and all below it; below it, a path with two dots in a row is never taken)\n",
            id="a path with two dots",
        ),
        pytest.param(
            ["name", "glob:prod-*", "qa"], 1, "no match  qa is not taken by glob:prod-* (glob)\n", id="a name beside"
        ),
        pytest.param(
            ["regex", r"v\d", "rev1"], 0, "match     rev1 holds 'v1', which v\\d matches\n", id="an expression found"
        ),
        pytest.param(
            ["regex", r"^v\d", "rev1"],
            1,
            "no match  rev1 holds nothing that ^v\\d matches\n",
            id="an expression not found",
        ),
        pytest.param(["glob", "a/**", "a/b"], 0, "match     a/b matches a/** as a whole\n", id="a glob matches"),
        pytest.param(["glob", "a/*", "a"], 1, "no match  a does not match a/* as a whole\n", id="a glob does not"),
        pytest.param(
            ["url", "git", "https://user@github.com/Acme/Shop.git", "https://github.com/acme/shop"],
            0,
            "match     https://user@github.com/Acme/Shop.git is https://github.com/acme/shop\n"
            "match     https://github.com/acme/shop is https://github.com/acme/shop\n",
            id="two spellings of one repository",
        ),
        pytest.param(
            ["url", "image", "nginx", "quay.io/nginx"],
            1,
            "match     nginx is nginx\nno match  quay.io/nginx is quay.io/nginx\n",
            id="two images",
        ),
        pytest.param(["expr", "1 + 1 == 2"], 0, "match     the value is true\n", id="an expression is true"),
        pytest.param(["expr", 'duration("90m")'], 1, "no match  the value is 1h30m0s\n", id="or a value JSON lacks"),
        pytest.param(
            ["expr", "a + 'é'", "--env", '{"a": "x"}'], 1, 'no match  the value is "xé"\n', id="or has another value"
        ),
    ],
)
def test_a_rule_answers_with_its_reason(words: list[str], status: int, printed: str) -> None:
    result = ask(*words)
    assert (result.exit_code, result.stdout) == (status, printed)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["semver", ">=1<2", "1"], id="a constraint"),
        pytest.param(["semver", "--profile", "v0.1", "1", "1"], id="a profile"),
        pytest.param(["path", "glob:[", "a"], id="a path selector"),
        pytest.param(["name", "regex:(", "a"], id="a name selector"),
        pytest.param(["regex", "(", "a"], id="a regular expression"),
        pytest.param(["glob", "{", "a"], id="a glob"),
        pytest.param(["expr", "1 +"], id="an expression"),
        pytest.param(["expr", "1", "--env", "{"], id="an environment that is no JSON"),
        pytest.param(["expr", "1", "--env", "[]"], id="an environment that is no object"),
        pytest.param(["url", "svn", "x"], id="a kind of URL"),
    ],
)
def test_what_cannot_be_read_ends_with_2_and_an_error(words: list[str]) -> None:
    result = ask(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rror: " in result.stderr


def test_an_error_points_at_the_character() -> None:
    assert ask("semver", ">=1<2", "1").stderr.splitlines()[1:] == ["    >=1<2", "       ^"]


def test_json_holds_the_same_for_programs() -> None:
    assert json.loads(ask("glob", "--json", "a*", "ab", "b").stdout) == {
        "rule": "glob",
        "pattern": "a*",
        "matched": False,
        "verdicts": [
            {"text": "ab", "matched": True, "why": "ab matches a* as a whole"},
            {"text": "b", "matched": False, "why": "b does not match a* as a whole"},
        ],
    }


@pytest.mark.parametrize("command", sorted(rules.group.commands))
def test_every_command_shows_an_example(command: str) -> None:
    assert "Example" in ask(command, "--help").output

"""`kargo-lab rules`: ask one rule about one text, and be told why.

The verdict is the exit status, so that a script can ask as well: 0 if all texts matched, 1 if one did not,
2 if the rule itself could not be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from kargo_lab.errors import LabError, VersionError

Verdict = tuple[str, bool, str]
"""A text, whether it matched, and why."""

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
_profile = click.option(
    "--profile", "name", default="latest", show_default=True, help="Kargo minor whose behaviour is wanted."
)


@click.group()
def group() -> None:
    """Ask one rule about a text: would Kargo take this tag, path or URL, and why?

    Exit status: 0 if everything matched, 1 if something did not, 2 if the rule cannot be read.

    \b
    Example:
      kargo-lab rules semver "^1.2" 1.3.0 2.0.0-rc.1
    """


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _answer(rule: str, text: str, verdicts: Iterable[Verdict], *, as_json: bool) -> None:
    """Print the verdicts and leave with the status that sums them up."""
    found = list(verdicts)
    matched = all(matches for _, matches, _ in found)
    if as_json:
        rows = [{"text": asked, "matched": matches, "why": why} for asked, matches, why in found]
        click.echo(json.dumps({"rule": rule, "pattern": text, "matched": matched, "verdicts": rows}, indent=2))
    else:
        for _, matches, why in found:
            click.echo(f"{'match   ' if matches else 'no match'}  {why}")
    sys.exit(0 if matched else 1)


@group.command()
@click.argument("constraint")
@click.argument("version", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Read versions as `strictSemvers: true` does: three numbers.")
@_profile
@_json
def semver(constraint: str, version: tuple[str, ...], name: str, *, strict: bool, as_json: bool) -> None:
    """Which VERSIONs does a semver CONSTRAINT accept?

    \b
    Example:
      kargo-lab rules semver ">=1.0.0-0 <2" v1.4.0 1.5.0-rc.1 latest
    """
    from kargo_lab import profiles
    from kargo_lab.rules import constraints, versions

    def verdict(text: str, compiled: constraints.Constraint, library: str) -> Verdict:
        try:
            read = versions.parse(text, strict=strict, library=library)
        except VersionError as error:
            return text, False, f"{text} is no {'strict ' if strict else ''}version: {error.message}"
        return text, compiled.check(read), compiled.explain(read)

    with _refusals():
        library = profiles.get(name).semver_library
        compiled = constraints.compile(constraint, library=library)
        _answer("semver", constraint, (verdict(text, compiled, library) for text in version), as_json=as_json)


@group.command()
@click.argument("selector")
@click.argument("path", nargs=-1, required=True)
@_json
def path(selector: str, path: tuple[str, ...], *, as_json: bool) -> None:
    """Which PATHs does a path SELECTOR of `includePaths` or `excludePaths` take?

    \b
    Example:
      kargo-lab rules path "glob:charts/**/*.yaml" charts/web/values.yaml README.md
    """
    from kargo_lab.rules import patterns

    with _refusals():
        chosen = patterns.path_selector(selector)
        _answer("path", selector, ((t, chosen.matches(t), chosen.explain(t)) for t in path), as_json=as_json)


@group.command()
@click.argument("selector")
@click.argument("name", nargs=-1, required=True)
@_json
def name(selector: str, name: tuple[str, ...], *, as_json: bool) -> None:
    """Which NAMEs does a name SELECTOR, as of Stages in a promotion policy, take?

    \b
    Example:
      kargo-lab rules name "regex:^(dev|qa)$" dev prod
    """
    from kargo_lab.rules import patterns

    with _refusals():
        chosen = patterns.name_selector(selector)
        _answer("name", selector, ((t, chosen.matches(t), chosen.explain(t)) for t in name), as_json=as_json)


@group.command()
@click.argument("pattern")
@click.argument("text", nargs=-1, required=True)
@_json
def regex(pattern: str, text: tuple[str, ...], *, as_json: bool) -> None:
    """In which TEXTs does a regular expression match, anywhere, as Go searches?

    \b
    Example:
      kargo-lab rules regex '^v\\d+$' v12 v12-rc
    """
    from kargo_lab.rules import patterns

    def verdict(asked: str, found: str | None) -> Verdict:
        if found is None:
            return asked, False, f"{asked} holds nothing that {pattern} matches"
        return asked, True, f"{asked} holds {found!r}, which {pattern} matches"

    with _refusals():
        compiled = patterns.regex(pattern)
        _answer("regex", pattern, (verdict(asked, compiled.find(asked)) for asked in text), as_json=as_json)


@group.command()
@click.argument("pattern")
@click.argument("name", nargs=-1, required=True)
@_json
def glob(pattern: str, name: tuple[str, ...], *, as_json: bool) -> None:
    """Which NAMEs does a doublestar glob match as a whole?

    \b
    Example:
      kargo-lab rules glob "**/*.{yaml,yml}" a/b/values.yml README.md
    """
    from kargo_lab.rules import globs

    def verdict(asked: str, *, matches: bool) -> Verdict:
        return asked, matches, f"{asked} {'matches' if matches else 'does not match'} {pattern} as a whole"

    with _refusals():
        compiled = globs.compile(pattern)
        _answer("glob", pattern, (verdict(asked, matches=compiled.matches(asked)) for asked in name), as_json=as_json)


@group.command()
@click.argument("kind", type=click.Choice(["git", "image", "chart"]))
@click.argument("url", nargs=-1, required=True)
@_profile
@_json
def url(kind: str, url: tuple[str, ...], name: str, *, as_json: bool) -> None:
    """Print URLs as Kargo normalises them before it compares; with several, 0 only if all come out equal.

    \b
    Example:
      kargo-lab rules url git https://github.com/Acme/Shop.git https://github.com/acme/shop
    """
    from kargo_lab import profiles
    from kargo_lab.rules import urls

    normalise: dict[str, Callable[..., str]] = {
        "git": urls.normalize_git,
        "image": urls.normalize_image,
        "chart": urls.normalize_chart,
    }
    with _refusals():
        profile = profiles.get(name)
        results = [normalise[kind](text, profile=profile) for text in url]
        verdicts = (
            (text, result == results[0], f"{text} is {result}") for text, result in zip(url, results, strict=True)
        )
        _answer(f"url {kind}", results[0], verdicts, as_json=as_json)


@group.command()
@click.argument("expression")
@click.option("--env", "environment_json", default="{}", help="The variables, as a JSON object.")
@click.option(
    "--environment",
    type=click.Choice(["plain", "criteria", "generic"]),
    default="plain",
    show_default=True,
    help="Where Kargo runs it: a git filter, Freight creation criteria, or a generic receiver.",
)
@_profile
@_json
def expr(expression: str, environment_json: str, environment: str, name: str, *, as_json: bool) -> None:
    """Evaluate an expression as expr-lang does; true is a match, and any value is printed.

    \b
    Example:
      kargo-lab rules expr 'subject startsWith "feat"' --env '{"subject": "feat: x"}'
    """
    from kargo_lab import profiles
    from kargo_lab.rules import expressions

    with _refusals():
        program = expressions.compile(
            expression, environment=getattr(expressions, environment.upper()), version=profiles.get(name).expr_version
        )
        value = program.run(_variables(environment_json))
        _answer(
            "expr", expression, [(environment_json, value is True, f"the value is {_shown(value)}")], as_json=as_json
        )


def _variables(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(str(error), param_hint="--env") from None
    if not isinstance(found, dict):
        raise click.BadParameter("a JSON object is expected", param_hint="--env")
    return found


def _shown(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)

"""What `kargo-lab conformance` prints for other programs to read: manifests, schemas, the lab API's description."""

from __future__ import annotations

import re

import click

from kargo_lab.cli.conformance_choice import chosen, level_option, profile_of, profile_option, select_option
from kargo_lab.errors import UsageError


@click.command("manifests")
@click.option("--git", default="http://127.0.0.1:3000", show_default=True, help="The lab's Git host, from the target.")
@click.option("--registry", default="127.0.0.1:5000", show_default=True, help="The lab's registry, from the target.")
@click.option(
    "--charts", default="http://127.0.0.1:8879", show_default=True, help="The lab's chart host, from the target."
)
@click.option("--target", help="A target file whose addresses are taken instead.")
@profile_option
@select_option
@level_option
@click.option("--seed", default=7, show_default=True, help="The one that `run` will be given.")
def manifests_command(
    git: str,
    registry: str,
    charts: str,
    target: str | None,
    profile: str | None,
    patterns: tuple[str, ...],
    level: tuple[str, ...],
    seed: int,
) -> None:
    """Print the YAML to apply where the lab cannot configure the implementation itself.

    The addresses are those at which the implementation reaches the lab; inside a cluster that is not 127.0.0.1.
    For Flux and Argo CD it is their own objects; copy their target file to say the addresses.

    \b
    Examples:
      kargo-lab conformance manifests --git http://lab:3000 --registry lab:5000 --charts http://lab:8879
      kargo-lab conformance manifests --target flux
    """
    from kargo_lab.conformance import suite, targets
    from kargo_lab.conformance.plans import Addresses

    for option, value, like in (("--git", git, "http://lab:3000"), ("--charts", charts, "http://lab:8879")):
        _check(option, value, like, value.partition("://")[0] in ("http", "https"))
    _check("--registry", registry, "lab:5000", "/" not in registry)
    addresses = Addresses(git=git.rstrip("/"), registry=registry, charts=charts.rstrip("/"))
    described = targets.file(target) if target else None
    if target and (described is None or described.sources is None):
        raise UsageError(f"{target} is no target file that says where the lab's sources are")
    if described is not None and described.sources is not None:
        addresses = described.sources
    cases = chosen(profile_of(profile, target), patterns, level, target)
    if described is None:
        text = suite.manifests(cases, addresses, seed)
    else:
        one_secret = "one-secret" in described.features
        text = suite.manifests(cases, addresses, seed, objects=described.objects, one_secret=one_secret)
    click.echo(text, nl=False)


def _check(option: str, value: str, like: str, good: bool) -> None:
    """An address that nobody can be reached at would be told by thousands of objects, and by no word."""
    if not good or not value.rpartition("/")[2].strip() or re.search(r"[\s@?#]", value):
        raise click.BadParameter(f"{value!r} is no address; expected something like {like}", param_hint=option)


@click.command("schema")
@click.argument("what", type=click.Choice(["case", "report", "target"]))
def schema_command(what: str) -> None:
    """Print a published JSON Schema.

    \b
    Example:
      kargo-lab conformance schema case
    """
    from kargo_lab.conformance import cases

    path = cases.SCHEMA.parent / f"{what}.schema.json"
    click.echo(path.read_text(encoding="utf-8"), nl=False)


@click.command("openapi")
@click.option("--whole", is_flag=True, help="All that the reference's API has, not only what the suite asks of others.")
def openapi_command(whole: bool) -> None:
    """Print the OpenAPI description of the lab API, which an implementation offers to be judged by `kind: lab-api`.

    \b
    Example:
      kargo-lab conformance openapi > lab-api.yaml
    """
    import yaml

    from kargo_lab.service import document

    text = document.text() if whole else yaml.safe_dump(document.part(), sort_keys=False, allow_unicode=True)
    click.echo(text, nl=False)

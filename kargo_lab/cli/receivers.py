"""`kargo-lab receivers`: the URLs to register at each platform, as Kargo writes them to status."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kargo_lab.cli import EXIT_NOT_GOOD
from kargo_lab.cli.options import namespace_option, profile_option, resources_option
from kargo_lab.engine.declared import DeclaredObjects
from kargo_lab.profiles import Profile
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import ProjectConfig

# Nothing but the URL's secrecy protects these (receivers.md 4, S1); the other types check a signature
# or a token as well.
URL_IS_THE_SECRET = frozenset({"azure", "dockerhub", "generic", "quay"})
SHOWN_DIGITS = 8


def masked(url: str) -> str:
    """The URL with all but the first digits of its hash hidden."""
    front, slash, digest = url.rpartition("/")
    return f"{front}{slash}{digest[:SHOWN_DIGITS]}…"


@click.command()
@resources_option()
@click.option(
    "--base-url", default="http://localhost:8080", show_default=True, help="Where platforms reach the server."
)
@profile_option()
@namespace_option()
@click.option("--show-secrets", is_flag=True, help="Show whole URLs where the URL is the only secret.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@click.pass_context
def command(
    context: click.Context,
    resources: tuple[Path, ...],
    base_url: str,
    profile: Profile,
    namespace: str,
    show_secrets: bool,
    as_json: bool,
) -> None:
    """Print the URLs to register at each platform.

    URLs that are a platform's only secret are masked unless you ask for them. The exit status is 1
    if a receiver cannot be built.

    \b
    Example, with resources that the suite has:
      kargo-lab conformance manifests --select github/push/branch > lab.yaml
      kargo-lab receivers --resources lab.yaml --base-url https://kargo.example.com
    """
    objects = DeclaredObjects(
        loading.load(resources, profile=profile, namespace=namespace), base_url=base_url, profile=profile
    )
    rows = []
    ready = True
    for config in objects.configs():
        status = objects.status(config)
        ready = ready and status.ready
        for condition in status.conditions:
            if condition.type == "Ready" and condition.status != "True":
                click.echo(f"{type(config).__name__} {config.name}: {condition.message}", err=True)
        for entry in status.entries:
            kind = entry.path.rsplit("/", 2)[-2]
            hidden = kind in URL_IS_THE_SECRET and not show_secrets
            rows.append(
                {
                    "project": config.namespace if isinstance(config, ProjectConfig) else "",
                    "name": entry.name,
                    "type": kind,
                    "url": masked(entry.url) if hidden else entry.url,
                }
            )
    click.echo(json.dumps(rows, indent=2) if as_json else _table(rows), nl=as_json or bool(rows))
    if not rows and not as_json:
        click.echo("no receiver in these resources", err=True)
    context.exit(0 if ready else EXIT_NOT_GOOD)


def _table(rows: list[dict[str, str]]) -> str:
    columns = ("project", "name", "type", "url")
    lines = [columns, *((row["project"] or "(cluster)", row["name"], row["type"], row["url"]) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(3)]
    text = "\n".join("  ".join((*(line[i].ljust(widths[i]) for i in range(3)), line[3])) for line in lines)
    return text if rows else ""

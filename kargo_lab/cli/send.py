"""`kargo-lab send`: one delivery of the corpus, signed as its platform signs, to any receiver."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import click

from kargo_lab import payloads
from kargo_lab.cli import EXIT_NOT_GOOD
from kargo_lab.errors import UsageError


@click.command()
@click.argument("platform", required=False, default="")
@click.argument("event", required=False, default="")
@click.option("--url", default="", help="The receiver's URL.")
@click.option(
    "--secret", default="", envvar="KARGO_LAB_SECRET", help="What the platform signs with; none sends unsigned."
)
@click.option("--variant", default="", help="Which of the event's deliveries; `default` unless named.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of the delivery. Repeatable.")
@click.option("--scheme", default="", help="Sign in another way, for example gitlab-signing-token.")
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this delivery file."
)
@click.option("--print", "printed", is_flag=True, help="Show the request as a curl command instead of sending it.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the unsigned delivery to a file instead."
)
@click.option("--list", "listed", is_flag=True, help="List what the corpus has for the platform and event.")
@click.option(
    "--timeout",
    "timeout_seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds to wait for an answer.",
)
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@click.pass_context
def command(
    context: click.Context,
    platform: str,
    event: str,
    url: str,
    secret: str,
    variant: str,
    settings: tuple[str, ...],
    scheme: str,
    path: Path | None,
    printed: bool,
    save: Path | None,
    listed: bool,
    timeout_seconds: float,
    as_json: bool,
) -> None:
    """Deliver a realistic, correctly signed request.

    The exit status is 1 if the receiver does not answer with a 2xx status.

    \b
    Examples; the last two are for `kargo-lab record` in another terminal, or for your receiver's URL:
      kargo-lab send --list github push
      kargo-lab send github package --set repository=acme/shop --set tag=v2.0.0 --print --url http://localhost:8080/x
      kargo-lab send github push --url http://127.0.0.1:8765 --secret s3cr3t
      kargo-lab send gitlab push --variant commits-truncated --url http://127.0.0.1:8765 --secret s3cr3t
    """
    if listed:
        _list(platform, event, as_json=as_json)
        return
    if not platform or not (event or path):
        raise UsageError("name a platform and an event, such as `github push`, or use --list to see what there is")
    request, usual_scheme = _request(platform, event, variant, settings, path)
    if save is not None:
        payloads.write(save, request, says=f"{platform} {event} {variant}".strip())
        click.echo(f"wrote {save}", err=True)
        return
    if not url:
        raise UsageError("say where to deliver with --url")
    signed = payloads.sign(request, platform, secret, scheme=scheme or usual_scheme)
    if printed:
        click.echo(payloads.as_curl(signed, url))
        return
    outcome = payloads.send(signed, url, timeout_seconds=timeout_seconds)
    if as_json:
        answer = {"status": outcome.status, "body": outcome.body, "seconds": round(outcome.seconds, 3)}
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo(f"{outcome.status} after {outcome.seconds:.3f} s")
        click.echo(outcome.body.rstrip("\n"), nl=bool(outcome.body))
    context.exit(0 if outcome.status // 100 == 2 else EXIT_NOT_GOOD)


def _request(
    platform: str, event: str, variant: str, settings: tuple[str, ...], path: Path | None
) -> tuple[payloads.Request, str]:
    """The request to send, and the way in which its file wants it signed."""
    given = dict(_pair(setting) for setting in settings)
    if path is not None:
        if given:
            raise UsageError("--set goes with deliveries of the corpus, not with --file: edit the file")
        return payloads.read(path), ""
    file = payloads.load(platform, event, variant)
    # A delivery happens now and once, unless somebody says otherwise.
    fresh = {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "delivery": str(uuid.uuid4())}
    known = payloads.known_parameters(file, platform)
    rendered = payloads.render(platform, event, variant, **{k: v for k, v in fresh.items() if k in known} | given)
    return rendered, file.notes.get("sign", "")


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise UsageError(f"--set takes NAME=VALUE, not {setting!r}")
    return name, value


def _list(platform: str, event: str, *, as_json: bool) -> None:
    found = payloads.entries(platform, event) or payloads.entries(platform, f"{event} hook")
    if not found:
        payloads.load(platform, event)  # says what there is instead
    if as_json:
        rows = [{"id": each.id, "says": each.says, "follows": each.follows} for each in found]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(len(each.id) for each in found)
    for each in found:
        click.echo(f"{each.id.ljust(width)}  {each.says.splitlines()[0]}")

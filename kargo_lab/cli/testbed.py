"""`kargo-lab testbed`: platforms, hooks and the reference implementation together, on this machine."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from kargo_lab.cli.options import address, profile_option
from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.profiles import Profile

if TYPE_CHECKING:
    from kargo_lab.testbed import Testbed

DEFAULT_API = "127.0.0.1:8081"
LOOK_SECONDS = 0.2
IMAGE, CONFIG = "team/app", "team/config"
# How `send` imitates a persona so that a Warehouse here is meant: the platform, the event and what to set. Payloads
# of the others name an address with TLS, or one that is not ours to choose.
SAMPLES = {
    "acr": "azure push --set host={host} --set name={repository} --set tag=1.0.0",
    "azure-devops": "azure git.push --set remote_url={clone}",
    "docker-hub": "dockerhub push --set repository={repository} --set tag=1.0.0",
    "harbor": "harbor push-artifact --set host={host} --set repository={repository} --set tag=1.0.0",
    "quay": "quay push --set host={host} --set repository={repository} --set tag=1.0.0",
    "registry": "registry push --set host={host} --set repository={repository} --set tag=1.0.0",
}


@click.group()
def group() -> None:
    """Start platforms, reference and board together.

    \b
    Example:
      kargo-lab testbed up
    """


@group.command()
@click.option(
    "--backend",
    default="embedded",
    show_default=True,
    type=click.Choice(["embedded", "process", "container"]),
    help="Whose registry: ours, Debian's docker-registry, or registry:2 in a container.",
)
@click.option("--registry", default="harbor", show_default=True, metavar="PERSONA", help="What the registry acts as.")
@click.option("--git", "git_host", default="gitea", show_default=True, metavar="PERSONA", help="And the Git host.")
@click.option("--interval", default="5m0s", show_default=True, metavar="DURATION", help="Of both Warehouses.")
@profile_option()
@click.option("--api", "api_address", default=DEFAULT_API, show_default=True, metavar="ADDR", help="For the lab API.")
@click.option("--no-hooks", is_flag=True, help="Install no hooks: polling only, until `testbed hooks install`.")
@click.option("--json", "as_json", is_flag=True, help="All facts as one JSON document instead of a screen.")
def up(
    backend: str,
    registry: str,
    git_host: str,
    interval: str,
    profile: Profile,
    api_address: str,
    no_hooks: bool,
    as_json: bool,
) -> None:
    """Start a registry, a Git host and the reference implementation, until Ctrl-C.

    One image and one repository are there already, each watched by a Warehouse. New Freight is printed as it appears.

    \b
    Examples:
      kargo-lab testbed up
      kargo-lab testbed up --registry docker-hub --git github --interval 10s
      kargo-lab testbed up --backend process
    """
    from kargo_lab.service import api
    from kargo_lab.service.platforms import add_platforms
    from kargo_lab.service.serving import Server
    from kargo_lab.testbed import Testbed

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    host, port = address(api_address, default_port=8081)
    with _until_signalled() as over, _own_folder():
        bed = Testbed(
            backend=backend,
            git_backend=_git_backend(backend, git_host),
            notify=not no_hooks,
            registry=registry,
            git=git_host,
            interval=interval,
            profile=profile.name,
        )
        with bed:
            _fill(bed)
            if not no_hooks:
                bed.install_hooks()
            app = add_platforms(api.create_app(bed.lab), bed)
            server = Server(app, address=host, port=port, kept_bytes=api.MOST_BYTES + 1)
            try:
                server.start()
            except OSError as error:
                raise UsageError(
                    f"cannot serve the lab API on {api_address}: {error.strerror}; try --api :0"
                ) from error
            with _stopped(server):
                shown = facts(bed, f"{server.url}{api.PREFIX}", hooked=not no_hooks)
                click.echo(json.dumps(shown, indent=2) if as_json else screen(shown))
                _watch(bed, over, quiet=as_json)


def _git_backend(backend: str, persona: str) -> str:
    """The same for the Git host, where it can be had; else ours, and a sentence why."""
    from kargo_lab.platforms.containers import why_no_container
    from kargo_lab.platforms.gitea_container import IMAGE as GITEA
    from kargo_lab.platforms.gitea_process import why_no_gitea
    from kargo_lab.testbed import REAL_GIT

    if backend == "embedded":
        return backend
    if persona not in REAL_GIT:
        reason = f"{persona} is nothing that one can start"
    else:
        reason = (why_no_gitea() if backend == "process" else why_no_container(GITEA)) or ""
    if reason:
        click.echo(f"the Git host is the embedded one: {reason}", err=True)
    return "embedded" if reason else backend


@contextmanager
def _stopped(server: Any) -> Iterator[None]:
    try:
        yield
    finally:
        server.stop()


@contextmanager
def _until_signalled() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one, while we tidy up, changes nothing."""
    over = threading.Event()
    before = {number: signal.signal(number, lambda *_: over.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield over
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _own_folder() -> Iterator[None]:
    """Everything temporary goes into one folder, which does not outlive us even if we are killed."""
    from kargo_lab.platforms.guard import Guard

    usual, folder = tempfile.tempdir, tempfile.mkdtemp(prefix="kargo-lab-testbed-")
    guard = Guard("rm", "-rf", "--", folder)
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = usual
        shutil.rmtree(folder, ignore_errors=True)
        guard.dismiss()


def _fill(bed: Testbed) -> None:
    bed.registry.push_image(IMAGE, "1.0.0")
    bed.git.create_repository(CONFIG)
    bed.git.commit(CONFIG, {"version.txt": "1.0.0\n"}, message="Begin")
    bed.watch("image", bed.image(IMAGE))
    bed.watch("commit", bed.commits(CONFIG, branch="main"))


def _watch(bed: Testbed, over: threading.Event, *, quiet: bool) -> None:
    """Tell what happens, until it is over."""
    pieces_told = deliveries_told = 0
    while not over.wait(LOOK_SECONDS):
        deliveries, pieces = bed.deliveries, bed.lab.freight()
        for name, row in () if quiet else deliveries[deliveries_told:]:
            answer = f"{row.status} " if row.status else ""
            click.echo(f"{name} told {row.event} of {row.about}: {answer}{row.outcome} after {row.seconds:.3f} s")
        for piece in () if quiet else pieces[pieces_told:]:
            what = [f"{image.repo_url}:{image.tag}" for image in piece.images]
            what += [f"{commit.repo_url} {commit.id[:7]}" for commit in piece.commits]
            click.echo(f"Freight {piece.alias} of Warehouse {piece.origin.name}: {', '.join(what)}")
        deliveries_told, pieces_told = len(deliveries), len(pieces)


def facts(bed: Testbed, api_url: str, *, hooked: bool) -> dict[str, Any]:
    """Every URL, every credential and what to type next; hooks that are there need no registering."""
    registry, git = bed.registry, bed.git
    users = list(getattr(getattr(registry, "records", None), "accounts", {}).items())
    login = {"user": users[0][0], "password": users[0][1]} if users else {}
    urls, types = bed.receiver_urls(), bed.receiver_types()
    return {
        "profile": bed.lab.profile.name,
        "backend": bed.backend,
        "gitBackend": bed.git_backend,
        "interval": bed.interval,
        "platforms": {
            "registry": {"persona": bed.personas["registry"], "url": registry.url, **login},
            "git": {
                "persona": bed.personas["git"],
                "url": git.url,
                "user": git.admin.login if bed.git_backend == "embedded" else git.username,
                "password": "lab-password" if bed.git_backend == "embedded" else git.password,
                "token": git.token,
            },
            "charts": {"persona": "charts", "url": bed.charts.url},
        },
        "webhooks": bed.lab.base_url,
        "api": api_url,
        "receivers": {
            name: {"type": types[name], "url": urls[name], "secret": bed.secret(name)} for name in ("registry", "git")
        },
        "next": _next(bed, api_url, urls, hooked=hooked),
    }


def _next(bed: Testbed, api_url: str, urls: dict[str, str], *, hooked: bool) -> dict[str, list[str]]:
    host, clone = bed.registry.host, bed.git.clone_url(CONFIG)
    folder = clone.rstrip("/").rpartition("/")[2].removesuffix(".git")
    image = f"{host}/{IMAGE}"
    commit = "-c user.name=me -c user.email=me@example.com commit --allow-empty -m 'Try it'"
    origin = api_url.rpartition("/lab/")[0]
    return {
        "push an image": [
            f"skopeo copy --src-tls-verify=false --dest-tls-verify=false docker://{image}:1.0.0 docker://{image}:1.1.0",
            f"docker pull {image}:1.0.0 && docker tag {image}:1.0.0 {image}:1.2.0 && docker push {image}:1.2.0",
        ],
        "push a commit": [f"git clone {clone} && git -C {folder} {commit} && git -C {folder} push"],
        "send a hook by hand": [line for name in ("registry", "git") for line in _send(bed, name, urls[name])],
        **({} if hooked else {"register the hooks by API": [f"kargo-lab testbed hooks install --api {origin}"]}),
        "look": [
            f"curl -s '{api_url}/freight?namespace=testbed'",
            f"kargo-lab testbed deliveries --api {origin}",
            f"kargo-lab testbed burn --api {origin}",
        ],
    }


def _send(bed: Testbed, name: str, url: str) -> list[str]:
    """The command that imitates the platform, where one can."""
    sample = SAMPLES.get(bed.personas[name])
    if sample is None:
        return []
    words = sample.format(host=bed.platforms[name].host, repository=IMAGE, clone=bed.git.clone_url(CONFIG))
    return [f"kargo-lab send {words} --url {url} --secret {bed.secret(name)}"]


def screen(shown: dict[str, Any]) -> str:
    """The facts as one screen."""
    lines = [f"A testbed on this machine, profile {shown['profile']}. Ctrl-C ends it and leaves nothing.", ""]
    for name, part in shown["platforms"].items():
        login = f"{part['user']} / {part['password']}" if "user" in part else "no login needed"
        token = f", token {part['token']}" if "token" in part else ""
        persona = "" if part["persona"] == name else part["persona"]
        lines.append(f"  {name:9} {persona:22} {part['url']:24} {'' if name == 'charts' else login + token}".rstrip())
    lines += [f"  {'webhooks':9} {'':22} {shown['webhooks']}", f"  {'lab API':9} {'':22} {shown['api']}/", ""]
    for name, receiver in shown["receivers"].items():
        lines += [
            f"  receiver {name}, of type {receiver['type']}, secret {receiver['secret']}",
            f"    {receiver['url']}",
        ]
    lines += ["", f"Warehouses testbed/image and testbed/commit poll every {shown['interval']}. In another terminal:"]
    for purpose, commands in shown["next"].items():
        lines += [f"  # {purpose}", *(f"  {command}" for command in commands)]
    return "\n".join([*lines, ""])


def _ask(method: str, api_url: str, path: str, **options: Any) -> Any:
    """What the lab API of a running testbed answers. Raises UsageError for a refusal, UpstreamError for silence."""
    import requests

    from kargo_lab.payloads.sending import why_no_answer

    try:
        answer = requests.request(method, f"{api_url.rstrip('/')}/lab/v1{path}", timeout=30, **options)
        body = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise UpstreamError(f"no testbed answers at {api_url}: {why_no_answer(error)}") from error
    if not answer.ok:
        message = str(body.get("error", answer.text))
        raise UsageError(message) if answer.status_code in (400, 404) else UpstreamError(message)
    return body


api_option = click.option(
    "--api", "api_url", default=f"http://{DEFAULT_API}", show_default=True, help="The testbed's lab API."
)


@group.command()
@api_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def deliveries(api_url: str, as_json: bool) -> None:
    """Show what every platform of a running testbed delivered, and how that went.

    \b
    Example:
      kargo-lab testbed deliveries
    """
    names = [item["name"] for item in _ask("GET", api_url, "/platforms")["items"]]
    rows = [
        {"platform": name, **row}
        for name in names
        for row in _ask("GET", api_url, f"/platforms/{name}/deliveries")["items"]
    ]
    rows.sort(key=lambda row: str(row["time"]))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("platform", "time", "event", "about", "attempt", "outcome", "status", "guid")
    _table(columns, [[str(row[column]) for column in columns] for row in rows])


@group.command()
@click.argument("platform")
@click.argument("guid")
@api_option
def redeliver(platform: str, guid: str, api_url: str) -> None:
    """Let PLATFORM (registry or git) send the delivery GUID once more.

    \b
    Example, with a GUID that `kargo-lab testbed deliveries` shows:
      kargo-lab testbed redeliver git 0b7c5f3e-3f1e-5d0a-9c53-0f0f2f7f9a11
    """
    _ask("POST", api_url, f"/platforms/{platform}/deliveries/{guid}/redeliver")
    click.echo(f"{platform} sends {guid} once more")


@group.command()
@api_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def burn(api_url: str, as_json: bool) -> None:
    """Show what discovery has cost so far, by Warehouse and strategy: requests, and those that quotas count.

    \b
    Example:
      kargo-lab testbed burn
    """
    rows = _ask("GET", api_url, "/burn")["items"]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("warehouse", "subscription", "strategy", "source", "requests", "counted")
    _table(columns, [[str(row[column]) for column in columns] for row in rows])


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    lines = [list(columns), *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


@group.group()
def hooks() -> None:
    """Hooks from the platforms to the receivers.

    \b
    Example:
      kargo-lab testbed hooks install
    """


@hooks.command()
@api_option
@click.option("--image", default=IMAGE, show_default=True, help="The image's repository.")
@click.option("--repository", default=CONFIG, show_default=True, help="The Git repository.")
def install(api_url: str, image: str, repository: str) -> None:
    """Register the receivers' URLs, from the status, at each platform by that platform's own API.

    Where a platform has no such API (a plain registry, Docker Hub, GHCR, ACR), the testbed adds the hook itself.

    \b
    Example:
      kargo-lab testbed hooks install
    """
    for name, target in (("registry", image), ("git", repository)):
        place = f"/platforms/{name}/hooks"
        try:
            made = _ask("POST", api_url, place, json={"repository": target})
        except UsageError as error:  # no API for hooks: the sentence says so
            click.echo(f"{name}: {error}", err=True)
            made = _ask("POST", api_url, place, json={})
        click.echo(f"{name}: the hook for {target} was registered by {made['by']}")

"""`kargo-lab serve`: the reference implementation as a server."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from kargo_lab.cli.options import address, namespace_option, profile_option, resources_option
from kargo_lab.errors import UsageError
from kargo_lab.profiles import Profile

if TYPE_CHECKING:
    from kargo_lab.engine.lab import Lab
    from kargo_lab.sources.shared import OperatorSettings

DEFAULT_PORT = 8080  # Kargo's
DEFAULT_API_PORT = 8081


@click.command()
@resources_option()
@profile_option()
@namespace_option()
@click.option("--store", default=":memory:", show_default=True, metavar="FILE", help="Where state is kept.")
@click.option("--listen", default=f"127.0.0.1:{DEFAULT_PORT}", show_default=True, metavar="ADDR", help="For webhooks.")
@click.option("--api", "api_address", metavar="ADDR", help="Serve the lab API there as well, for instance :8081.")
@click.option(
    "--api-token-env", metavar="NAME", help="Answer the lab API only to who knows the token in this variable."
)
@click.option("--loopback-only", is_flag=True, help="Ask sources on this machine; all others have nothing, unasked.")
@click.option("--base-url", metavar="URL", help="Where platforms reach the server; else built from --listen.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key, PEM, PKCS#8.")
@click.option(
    "--min-interval",
    "minimum_seconds",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="The operator's minimum between polls, in seconds; Kargo's chart sets 300.",
)
@click.option(
    "--registry-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests a second to one registry; else what the profile's Kargo allows itself.",
)
@click.option("--lean", is_flag=True, help="Ask sources as little as possible, which no Kargo does; see docs/lean.md.")
@click.option("--promote", is_flag=True, help="Run Stages as well; their steps commit to real repositories.")
@click.option("-v", "--verbose", is_flag=True, help="Log more to stderr.")
def command(
    resources: tuple[Path, ...],
    profile: Profile,
    namespace: str,
    store: str,
    listen: str,
    api_address: str | None,
    api_token_env: str | None,
    loopback_only: bool,
    base_url: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    minimum_seconds: float,
    registry_rate: float | None,
    lean: bool,
    promote: bool,
    verbose: bool,
) -> None:
    """Run the reference implementation as a server until interrupted.

    With --store, a refresh is on disk before its sender reads 200, and a killed server finds it there.

    \b
    Example, with resources that the suite has:
      kargo-lab conformance manifests --select github/push/branch > lab.yaml
      kargo-lab serve --resources lab.yaml --store lab.db --listen 127.0.0.1:8080 --api 127.0.0.1:8081
    """
    from kargo_lab.resources import loading
    from kargo_lab.sources.shared import OperatorSettings

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    door = _door(listen, base_url, tls_cert, tls_key)
    token = _token(api_address, api_token_env)
    loaded = loading.load(resources, profile=profile, namespace=namespace)
    settings = OperatorSettings(minimum_interval_seconds=minimum_seconds, registry_rate_limit=registry_rate, lean=lean)
    with ExitStack() as stack:
        lab = _lab(profile, store, door, settings, promote=promote, loopback_only=loopback_only)
        stack.callback(lab.close)
        if api_address is not None:
            stack.enter_context(_api(lab, api_address, token))
        lab.apply(loaded)
        _tell_what_is_not_ready(lab)
        _serve(lab, door)


@attrs.frozen(kw_only=True)
class _Door:
    """Where webhooks come in."""

    listen: str
    host: str
    port: int
    base_url: str | None
    certificate: Path | None
    key: Path | None

    def url(self, port: int) -> str:
        """What receivers' URLs begin with; made of the port that is listened on, where it was not given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"{'https' if self.certificate else 'http'}://{host}:{port}"


def _door(listen: str, base_url: str | None, certificate: Path | None, key: Path | None) -> _Door:
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key belong together")
    host, port = address(listen, default_port=DEFAULT_PORT)
    return _Door(listen=listen, host=host, port=port, base_url=base_url, certificate=certificate, key=key)


def _token(api_address: str | None, name: str | None) -> str:
    if name is None:
        return ""
    if api_address is None:
        raise UsageError("--api-token-env is about the lab API, which is served only with --api")
    if not (token := os.environ.get(name, "")):
        raise UsageError(f"--api-token-env names {name}, but that is not set in the environment, or empty")
    return token


def _lab(
    profile: Profile, store: str, door: _Door, settings: OperatorSettings, *, promote: bool, loopback_only: bool
) -> Lab:
    from kargo_lab.engine.discovery import NETWORK
    from kargo_lab.engine.lab import Lab
    from kargo_lab.engine.store import Store
    from kargo_lab.service import nearby

    return Lab(
        profile=profile,
        store=Store(store),
        base_url=door.url(door.port),
        settings=settings,
        environment=os.environ,
        promote=promote,
        sources=nearby.LOOPBACK if loopback_only else NETWORK,
    )


@contextmanager
def _api(lab: Lab, where: str, token: str) -> Iterator[None]:
    from kargo_lab.service import api, serving

    host, port = address(where, default_port=DEFAULT_API_PORT)
    server = serving.Server(api.create_app(lab, token=token), address=host, port=port, kept_bytes=api.MOST_BYTES + 1)
    try:
        server.start()
    except OSError as error:
        raise UsageError(f"cannot serve the lab API on {where}: {error.strerror or error}") from error
    try:
        click.echo(f"lab API at {server.url}{api.PREFIX}", err=True)
        yield
    finally:
        server.stop()


def _tell_what_is_not_ready(lab: Lab) -> None:
    for config in lab.objects.configs:
        status = lab.objects.receiver_status(config)
        for condition in status.conditions if status and not status.ready else ():
            if condition.type == "Ready":
                click.echo(f"{type(config).__name__} {config.name}: {condition.message}", err=True)


def _serve(lab: Lab, door: _Door) -> None:
    from kargo_lab.service import serving

    def ready(bound: int) -> None:
        lab.resync(base_url=door.url(bound))
        lab.start()
        click.echo(f"webhooks at {lab.base_url} (profile {lab.profile.name}); Ctrl-C ends it", err=True)

    try:
        serving.serve_forever(
            lab, address=door.host, port=door.port, certificate=door.certificate, key=door.key, ready=ready
        )
    except ssl.SSLError as error:
        reason = f"{door.certificate} and {door.key} are no certificate and its key in PEM: {error}"
        raise UsageError(reason) from error
    except OSError as error:
        raise UsageError(f"cannot listen on {door.listen}: {error.strerror or error}") from error

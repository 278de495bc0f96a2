"""`kargo-lab record`: a receiver that keeps what it is sent and does nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from kargo_lab.cli.options import address
from kargo_lab.errors import UsageError
from kargo_lab.payloads.recording import Recorder

DEFAULT_PORT = 8765


@click.command()
@click.option(
    "--listen", default="127.0.0.1:8765", show_default=True, metavar="ADDRESS:PORT", help="Port 0 takes a free one."
)
@click.option(
    "--into", "folder", default="recorded", show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--status", default=200, show_default=True, type=click.IntRange(100, 599), help="What to answer.")
@click.option("--exact", is_flag=True, help="Keep bodies and signatures as they came; the files may then hold secrets.")
@click.option(
    "--count", default=0, type=click.IntRange(0), help="Stop after so many deliveries; 0 goes on until Ctrl-C."
)
def command(listen: str, folder: Path, status: int, exact: bool, count: int) -> None:
    """Keep what a real platform sends as delivery files, with secrets and personal data redacted.

    \b
    Example:
      kargo-lab record --listen 127.0.0.1:8765 --into recorded
    """
    host, port = address(listen, default_port=DEFAULT_PORT)
    done = threading.Event()
    kept: list[Path] = []

    def on_file(path: Path) -> None:
        kept.append(path)
        click.echo(str(path))
        if count and len(kept) >= count:
            done.set()

    try:
        recorder = Recorder(folder, address=host, port=port, status=status, exact=exact, on_file=on_file)
    except OSError as problem:
        raise UsageError(f"cannot listen on {listen}: {problem.strerror}") from None
    with recorder:
        click.echo(f"listening on {recorder.url}; Ctrl-C ends", err=True)
        try:
            done.wait()
        except KeyboardInterrupt:
            click.echo(f"kept {len(kept)} deliveries in {folder}", err=True)

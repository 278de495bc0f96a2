"""The corpus of deliveries: list, load, render, sign, send.

    request = payloads.render("github", "push", "tag", repository="acme/guestbook", tag="v1.4.0")
    request = payloads.sign(request, "github", secret)
    payloads.send(request, url)

A delivery on disk is one format, for the corpus, the recorder, `explain`, `doctor` and `send --print`: see `format`.
"""

from __future__ import annotations

from pathlib import Path

from kargo_lab.errors import ManifestError, Misfit
from kargo_lab.payloads.corpus import RECEIVERS, Entry, entries, known_parameters, load, render
from kargo_lab.payloads.format import File, Request, of_request, parse, unparse
from kargo_lab.payloads.sending import Outcome, as_curl, send
from kargo_lab.payloads.signing import SCHEMES, sign

__all__ = [
    "RECEIVERS",
    "SCHEMES",
    "Entry",
    "File",
    "Outcome",
    "Request",
    "as_curl",
    "entries",
    "known_parameters",
    "load",
    "of_request",
    "parse",
    "read",
    "render",
    "send",
    "sign",
    "unparse",
    "write",
]


def read(path: Path) -> Request:
    """A delivery file as a request; parameters that it declares and nobody set stay in their braces."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ManifestError(
            [Misfit(file=str(path), line=0, path="", message=problem.strerror or str(problem))]
        ) from None
    file = parse(data, str(path))
    return file.request(file.settings)


def write(path: Path, request: Request, *, says: str = "") -> None:
    """Keep a request as a delivery file, byte for byte."""
    path.write_bytes(unparse(of_request(request, says=says, origin=str(path))))

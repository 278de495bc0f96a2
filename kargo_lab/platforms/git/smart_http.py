"""Git's smart HTTP protocol, versions 0 and 2, spoken by the real `git upload-pack` and `receive-pack`.

What git's own `http-backend` does, as functions on WSGI: the two programs run with `--stateless-rpc`, a
request's body is their stdin, their stdout is the answer. So shallow, partial, side-band and push-option
traffic is right because git itself answers it. Source: git's `http-backend.c`, `gitprotocol-http`.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs

import attrs

from kargo_lab.platforms.git.program import Git

SERVICES = frozenset({"git-upload-pack", "git-receive-pack"})
CHUNK = 1 << 16
_PATH = re.compile(r"/(?P<repository>.+?)(?:\.git)?/(?P<endpoint>info/refs|git-upload-pack|git-receive-pack|HEAD)\Z")
_PROTOCOL = re.compile(r"[a-z0-9=.:]{1,64}\Z")

Headers = list[tuple[str, str]]
_NO_CACHE: Headers = [
    ("Expires", "Fri, 01 Jan 1980 00:00:00 GMT"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache, max-age=0, must-revalidate"),
]


@attrs.frozen
class GitRequest:
    """What a request of the protocol asks for. `service` is empty for the dumb protocol."""

    repository: str
    service: str
    advertise: bool

    @property
    def writes(self) -> bool:
        """True if it is a push, or the beginning of one."""
        return self.service == "git-receive-pack"


@attrs.frozen
class GitAnswer:
    """A WSGI answer: status line, headers, body."""

    status: str
    headers: Headers
    body: Any


def read_request(environ: dict[str, Any]) -> GitRequest | None:
    """The request in terms of the protocol; None if it is not one of Git's paths."""
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    found = _PATH.match(path)
    if not found:
        return None
    repository, endpoint = found["repository"], found["endpoint"]
    if environ.get("REQUEST_METHOD") == "POST":
        return GitRequest(repository, endpoint, advertise=False) if endpoint in SERVICES else None
    if endpoint in SERVICES:
        return None
    service = parse_qs(environ.get("QUERY_STRING", "")).get("service", [""])[0]
    return GitRequest(repository, service if service in SERVICES else "", advertise=True)


def plain(status: str, text: str, *more: tuple[str, str]) -> GitAnswer:
    """A short answer in words; git shows them to its user."""
    body = f"{text}\n".encode()
    return GitAnswer(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *more], [body])


def advertise(git: Git, directory: Path, service: str, environ: dict[str, Any]) -> GitAnswer:
    """The refs (version 0), or the capabilities (version 2)."""
    environment = _environment(environ)
    words = (service.removeprefix("git-"), "--stateless-rpc", "--advertise-refs", str(directory))
    body = git.run(directory, *words, environment=environment)
    if not _is_version_2(environment):
        line = f"# service={service}\n".encode()
        body = b"%04x%b0000%b" % (len(line) + 4, line, body)
    headers = [("Content-Type", f"application/x-{service}-advertisement"), ("Content-Length", str(len(body)))]
    return GitAnswer("200 OK", [*headers, *_NO_CACHE], [body])


def exchange(
    git: Git, directory: Path, service: str, environ: dict[str, Any], *, options: list[str] | None = None
) -> GitAnswer:
    """One request of a fetch or a push; a push has been carried out completely when this returns.

    The push options (`git push -o`) are appended to `options`.
    """
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() != f"application/x-{service}-request":
        return plain("415 Unsupported Media Type", "unsupported media type")
    try:
        feed = _spooled(environ)
    except (OSError, zlib.error, ValueError):
        return plain("400 Bad Request", "the request body cannot be read")
    if options is not None:
        options += _push_options(feed)
    headers = [("Content-Type", f"application/x-{service}-result"), *_NO_CACHE]
    words = (service.removeprefix("git-"), "--stateless-rpc", str(directory))
    process = git.open(directory, *words, feed=feed, environment=_environment(environ))
    body = _Output(process, feed)
    if service == "git-receive-pack":
        # Whoever pushed finds the hooks on their way when `git push` returns.
        whole = b"".join(body)
        body.close()
        return GitAnswer("200 OK", [*headers, ("Content-Length", str(len(whole)))], [whole])
    return GitAnswer("200 OK", headers, body)


class _Output:
    """Streams what git prints, and ends git when the client has gone."""

    def __init__(self, process: Any, feed: IO[bytes]) -> None:
        self._process, self._feed = process, feed

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._process.stdout.read1(CHUNK):
            yield chunk

    def close(self) -> None:
        if self._process.stdout.read1(1):
            self._process.kill()  # somebody broke off: nobody wants the rest
        self._process.stdout.close()
        self._process.wait()
        self._feed.close()


def _push_options(feed: IO[bytes]) -> list[str]:
    """The options in a push: lines of their own between the commands and the pack."""
    try:
        commands = list(_lines(feed))
        asked = commands and b" push-options" in commands[0].partition(b"\0")[2].replace(b"\n", b" ")
        return [line.decode(errors="replace").rstrip("\n") for line in _lines(feed)] if asked else []
    except ValueError:
        return []  # git will say what is wrong with it
    finally:
        feed.seek(0)


def _lines(feed: IO[bytes]) -> Iterator[bytes]:
    """Packet lines up to a flush packet or the end."""
    while (size := int(feed.read(4) or b"0", 16)) > 4:
        yield feed.read(size - 4)


def _environment(environ: dict[str, Any]) -> dict[str, str]:
    asked = environ.get("HTTP_GIT_PROTOCOL", "")
    return {"GIT_PROTOCOL": asked} if _PROTOCOL.match(asked) else {}


def _is_version_2(environment: dict[str, str]) -> bool:
    return "version=2" in environment.get("GIT_PROTOCOL", "").split(":")


def _spooled(environ: dict[str, Any]) -> IO[bytes]:
    """The body in a file that a process can read, unpacked if it was sent compressed."""
    stream, left = environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
    packed = environ.get("HTTP_CONTENT_ENCODING", "").lower() in {"gzip", "x-gzip"}
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    # Without a buffer: git inherits the descriptor and its position, and moves it.
    feed: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the answer
    try:
        while left > 0 and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            feed.write(unpacking.decompress(chunk) if packed else chunk)
    except BaseException:
        feed.close()
        raise
    if packed and not unpacking.eof:
        feed.close()
        raise ValueError("the compressed body ends early")
    feed.seek(0)
    return feed

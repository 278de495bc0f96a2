"""A delivery on disk: an HTTP request in a text file that a person can read and edit.

    # A tag was pushed.                          what it is, in words
    # follows: platforms.md 2.6                  notes: a key, a colon, a value
    # parameters: repository tag
    # body: compact
    POST / HTTP/1.1
    Content-Type: application/json

    {"ref": "refs/tags/{{ tag }}", ...}

Senders write JSON without blanks, people read it with; so the note `body` says how the bytes are made
from the text: `as-written` (less one final newline), `compact` (without blanks outside strings), `form` and
`form-as-written` (as the field `payload`), `base64`. A `Content-Length` counts the bytes of an as-written
body exactly. Names in double braces are parameters, but only those that the file declares: a recorded body
may hold anything. Secrets and signatures are never inside; they are added when a delivery is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, quote_plus

import attrs

from kargo_lab.errors import ManifestError, Misfit
from kargo_lab.wire import Delivery

NOTES = ("follows", "parameters", "set", "body", "sign", "repeat", "pad")
BODIES = ("as-written", "compact", "form", "form-as-written", "base64")
_NOTE = re.compile(r"# ([a-z-]+): (.*)")
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.1")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
_PLACEHOLDER = re.compile(r"\{\{ *([a-z][a-z0-9_]*) *\}\}")
_STRING_OR_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*"?)|[ \t\r\n]+', re.DOTALL)
_BAD_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@attrs.frozen(kw_only=True)
class Request:
    """An HTTP request, ready to be signed and sent. `signed` is what the sender signs, where that is not the body."""

    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "POST"
    target: str = "/"
    signed: bytes | None = None

    def delivery(self) -> Delivery:
        """The request as a receiver sees it."""
        return Delivery(headers=self.headers, body=self.body, query=self.target.partition("?")[2], method=self.method)

    def header(self, name: str) -> str:
        """The first value of a header, empty if absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """The request with these headers instead of those of the same names, in any letter case."""
        replaced = {name.lower() for name in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in replaced)
        return attrs.evolve(self, headers=(*kept, *headers.items()))


@attrs.frozen(kw_only=True)
class File:
    """A delivery as it is written: the text before parameters are filled in."""

    origin: str
    says: str = ""
    notes: Mapping[str, str] = attrs.field(factory=dict)
    method: str = "POST"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    text: bytes = b""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that the file declares."""
        return tuple(self.notes.get("parameters", "").split())

    @property
    def settings(self) -> Mapping[str, str]:
        """Values that this file gives to parameters instead of the platform's defaults."""
        pairs = (line.partition("=") for line in self.notes.get("set", "").splitlines())
        return MappingProxyType({name.strip(): value.strip() for name, _, value in pairs})

    def request(self, values: Mapping[str, str] | None = None) -> Request:
        """The request with the parameters filled in. Raises ManifestError for a file that does not work."""
        known = {name: (values or {})[name] for name in self.parameters if name in (values or {})}
        body, signed = self._bodies(known)
        return Request(
            method=self.method,
            target=fill(self.target, {name: quote(value, safe="") for name, value in known.items()}),
            headers=tuple((name, _one_line(fill(value, known), self.origin)) for name, value in self.headers),
            body=body,
            signed=signed,
        )

    def _bodies(self, values: Mapping[str, str]) -> tuple[bytes, bytes | None]:
        how = self.notes.get("body", "as-written")
        if how == "base64":
            try:
                return base64.b64decode(self.text, validate=False), None
            except binascii.Error as problem:
                raise _misfit(self.origin, f"the body is not base64: {problem}") from None
        text = self.text
        if "parameters" in self.notes:
            escaped = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in values.items()}
            text = fill(text.decode(errors="surrogateescape"), escaped).encode(errors="surrogateescape")
        if how in ("compact", "form") or "repeat" in self.notes:
            text = _compact(text)
        if repeat := self.notes.get("repeat"):
            text = _repeated(text, repeat, self.origin)
        if pad := self.notes.get("pad"):
            text = text.ljust(int(pad))
        if how in ("form", "form-as-written"):
            return b"payload=" + quote_plus(text).encode(), text
        return text, None


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its parameters filled in; names without a value stay as they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def placeholders(text: str) -> frozenset[str]:
    """The names in double braces."""
    return frozenset(_PLACEHOLDER.findall(text))


def parse(data: bytes, origin: str = "delivery") -> File:
    """Read a delivery. Raises ManifestError that names the line."""
    lines = data.split(b"\n")
    says, notes, at = _preamble(lines, origin)
    if at >= len(lines) or not (found := _REQUEST_LINE.fullmatch(_line(lines[at], origin, at))):
        raise _misfit(origin, "a request line such as `POST / HTTP/1.1` is expected here", at + 1)
    method, target = found.groups()
    headers: list[tuple[str, str]] = []
    for at in range(at + 1, len(lines)):  # noqa: B020 - counting on from where the notes ended
        line = _line(lines[at], origin, at)
        if not line:
            break
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _misfit(origin, "a header (`Name: value`) or an empty line is expected here", at + 1)
        headers.append((header[1], header[2].rstrip()))
    text = b"\n".join(lines[at + 1 :])
    return File(
        origin=origin,
        says=says,
        notes=MappingProxyType(notes),
        method=method,
        target=target,
        headers=tuple(headers),
        text=_exact(text, headers, origin),
    )


def unparse(file: File) -> bytes:
    """Write a delivery; `parse` reads the same back."""
    lines = [f"# {line}" for line in file.says.splitlines()]
    lines += [f"# {key}: {value}" for key in NOTES for value in file.notes.get(key, "").splitlines()]
    lines.append(f"{file.method} {file.target} HTTP/1.1")
    lines += [f"{name}: {value}" for name, value in file.headers]
    head = "\n".join(lines).encode(errors="surrogateescape")
    return head + b"\n\n" + file.text + b"\n"


def of_request(request: Request, *, says: str = "", origin: str = "request") -> File:
    """A file that holds the request exactly, without parameters."""
    text, notes = request.body, dict[str, str]()
    if not _is_plain(request.body):
        text, notes = base64.encodebytes(request.body).rstrip(b"\n"), {"body": "base64"}
    kept = tuple(pair for pair in request.headers if pair[0].lower() != "content-length")
    if not notes:
        kept = (*kept, ("Content-Length", str(len(text))))
    return File(
        origin=origin, says=says, notes=notes, method=request.method, target=request.target, headers=kept, text=text
    )


def _is_plain(body: bytes) -> bool:
    """True for text that an editor gives back as it was: editors change carriage returns."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\r" not in body


def _preamble(lines: list[bytes], origin: str) -> tuple[str, dict[str, str], int]:
    says: list[str] = []
    notes: dict[str, str] = {}
    for at, raw in enumerate(lines):
        if not raw.startswith(b"#"):
            return "\n".join(says), notes, at
        line = _line(raw, origin, at)
        if found := _NOTE.fullmatch(line):
            key, value = found.groups()
            if key not in NOTES:
                raise _misfit(origin, f"no note is called {key!r}; there are {', '.join(NOTES)}", at + 1)
            if key == "body" and value not in BODIES:
                raise _misfit(
                    origin, f"no way to make a body is called {value!r}; there are {', '.join(BODIES)}", at + 1
                )
            notes[key] = f"{notes[key]}\n{value}" if key in notes else value
        else:
            says.append(line.removeprefix("#").strip())
    return "\n".join(says), notes, len(lines)


def _line(raw: bytes, origin: str, at: int) -> str:
    try:
        return raw.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise _misfit(origin, "the lines before the body have to be UTF-8", at + 1) from None


def _exact(text: bytes, headers: list[tuple[str, str]], origin: str) -> bytes:
    """The body's text: by `Content-Length` where there is one, else without the newline that editors add."""
    length = next((value for name, value in headers if name.lower() == "content-length"), None)
    if length is None:
        return text.removesuffix(b"\n")
    if not length.isdecimal() or text[int(length) :].strip(b"\r\n") or len(text) < int(length):
        message = (
            f"the body has {len(text.rstrip())} bytes, Content-Length says {length}; correct the header or delete it"
        )
        raise _misfit(origin, message)
    return text[: int(length)]


def _compact(text: bytes) -> bytes:
    written = text.decode(errors="surrogateescape")
    return _STRING_OR_BLANKS.sub(lambda found: found[1] or "", written).encode(errors="surrogateescape")


def _repeated(text: bytes, how: str, origin: str) -> bytes:
    """`commits 2048`: the first element of that list, so many times; the member may be a dotted path."""
    path, _, count = how.partition(" ")
    try:
        document = json.loads(text)
        *above, last = path.split(".")
        place = document
        for name in above:
            place = place[name]
        place[last] = place[last][:1] * int(count)
    except (ValueError, KeyError, TypeError, IndexError):
        raise _misfit(origin, f"the note `repeat: {how}` does not fit the body") from None
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _one_line(value: str, origin: str) -> str:
    if _BAD_IN_HEADER.search(value):
        raise _misfit(origin, "a parameter puts control characters into a header")
    return value


def _misfit(origin: str, message: str, line: int = 0) -> ManifestError:
    return ManifestError([Misfit(file=origin, line=line, path="", message=message)])

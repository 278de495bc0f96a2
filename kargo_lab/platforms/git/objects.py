"""Commits and tags as values, read from git's own bytes.

Raw objects are read, not `git log` formats: a message may hold any character but NUL, and only the
object says how long it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import attrs

_PERSON = re.compile(r"(?s)(.*?) ?<(.*?)> (-?\d+) ([+-]\d{4})\Z")


@attrs.frozen
class Person:
    """Who made a commit or tag, and when; the time keeps the zone it was given in."""

    name: str
    email: str
    when: datetime


@attrs.frozen(kw_only=True)
class Commit:
    """One commit and the paths it touched against its first parent. `message` ends as git keeps it."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str
    added: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@attrs.frozen(kw_only=True)
class Tag:
    """An annotated tag."""

    id: str
    name: str
    target: str
    message: str
    tagger: Person | None


def person(text: str) -> Person:
    """Read `Name <address> seconds zone`. What does not fit becomes the epoch's nobody."""
    found = _PERSON.match(text)
    if not found:
        return Person("", "", datetime.fromtimestamp(0, UTC))
    name, email, seconds, zone = found.groups()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (-1 if zone[0] == "-" else 1)
    place = UTC if not offset or abs(offset) >= timedelta(hours=24) else timezone(offset)
    return Person(name, email, datetime.fromtimestamp(int(seconds), place))


def spelled(who: Person) -> str:
    """The inverse of `person`, without what git cannot keep in a name or an address."""
    name, email = (re.sub(r"[<>\n\0]", "", text).strip() for text in (who.name, who.email))
    return f"{name} <{email}> {int(who.when.timestamp())} {who.when.strftime('%z') or '+0000'}"


def commit(object_id: str, raw: bytes) -> Commit:
    """Read a commit object."""
    headers, message = _split(raw)
    return Commit(
        id=object_id,
        tree=next((value for name, value in headers if name == "tree"), ""),
        parents=tuple(value for name, value in headers if name == "parent"),
        author=person(next((value for name, value in headers if name == "author"), "")),
        committer=person(next((value for name, value in headers if name == "committer"), "")),
        message=message,
    )


def tag(object_id: str, raw: bytes) -> Tag:
    """Read a tag object; the message is without a signature that may follow it."""
    headers, message = _split(raw)
    tagger = next((value for name, value in headers if name == "tagger"), None)
    return Tag(
        id=object_id,
        name=next((value for name, value in headers if name == "tag"), ""),
        target=next((value for name, value in headers if name == "object"), ""),
        message=message.partition("-----BEGIN ")[0],
        tagger=None if tagger is None else person(tagger),
    )


def _split(raw: bytes) -> tuple[list[tuple[str, str]], str]:
    head, _, message = raw.partition(b"\n\n")
    headers: list[tuple[str, str]] = []
    for line in head.decode(errors="replace").split("\n"):
        if line.startswith(" ") and headers:  # the rest of a signature
            headers[-1] = (headers[-1][0], f"{headers[-1][1]}\n{line[1:]}")
        else:
            name, _, value = line.partition(" ")
            headers.append((name, value))
    return headers, message.decode(errors="replace")


def batch(output: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Read what `git cat-file --batch` prints: (id, type, content) of each object that exists."""
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        words = output[place:end].decode(errors="replace").split(" ")
        place = end + 1
        if len(words) != 3 or words[1] == "missing":  # else: id, type, size
            continue
        size = int(words[2])
        yield words[0], words[1], output[place : place + size]
        place += size + 1


def touched(output: bytes) -> dict[str, dict[str, list[str]]]:
    """Read `git diff-tree --stdin -z --name-status`: per commit, per status letter, the paths."""
    found: dict[str, dict[str, list[str]]] = {}
    fields = iter(output.split(b"\0"))
    paths: dict[str, list[str]] = {}
    for field in fields:
        word = field.decode(errors="replace")
        if len(word) == 1:
            paths.setdefault(word, []).append(next(fields, b"").decode(errors="replace"))
        elif word:
            paths = found.setdefault(word, {})
    return found

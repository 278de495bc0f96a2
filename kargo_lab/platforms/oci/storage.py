"""Where the embedded registry keeps things: content in files named by digest, everything else in one SQLite file.

Several gigabytes and 100,000 tags have to stay usable, so nothing is held in memory: blobs stream
into place, and a page of tags is a range scan of an index. Content is shared between
repositories; a repository only holds links to it, and the last link that goes takes the file along.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import attrs

ALGORITHMS = {"sha256": 64, "sha512": 128}  # algorithm -> length in hex digits; the two registered ones
PIECE = 1 << 20  # bytes read at a time

_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS blobs (
    repository INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blobs_by_digest ON blobs (digest);
CREATE TABLE IF NOT EXISTS manifests (
    repository INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
    subject TEXT NOT NULL, descriptor TEXT NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS manifests_by_digest ON manifests (digest);
CREATE INDEX IF NOT EXISTS manifests_by_subject ON manifests (repository, subject) WHERE subject != '';
CREATE TABLE IF NOT EXISTS tags (
    id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    UNIQUE (repository, name));
CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (repository, digest);
"""


@attrs.frozen
class StoredManifest:
    """What is known about a manifest without reading it. `descriptor` is JSON, as the referrers list shows it."""

    digest: str
    size: int
    media_type: str
    subject: str = ""
    descriptor: str = ""


def is_digest(text: str) -> bool:
    """True for the two algorithms a registry must know, with lower-case hex of the right length."""
    return bool(_DIGEST.fullmatch(text))


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """`algorithm:hex` of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def digest_of_file(path: Path, algorithm: str) -> str:
    """`algorithm:hex` of a file of any size."""
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


class Storage:
    """Repositories, their blobs, manifests and tags below one folder. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self._content, self.incoming = folder / "content", folder / "incoming"
        self._content.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(folder / "registry.sqlite", check_same_thread=False, isolation_level=None)
        # A testbed's registry need not survive a power cut; it has to take pushes quickly.
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._known: dict[str, int] = {}

    def close(self) -> None:
        """Close the database; the files stay."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside become visible together. May be nested; many small pushes are quicker in one."""
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                self._known.clear()
                raise
            self._database.execute("COMMIT")

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def _repository(self, name: str) -> int:
        """The number of a repository; 0 where there is none."""
        with self._lock:
            if name not in self._known:
                rows = self._rows("SELECT id FROM repositories WHERE name = ?", name)
                if not rows:
                    return 0
                self._known[name] = rows[0][0]
            return self._known[name]

    def _created(self, name: str) -> int:
        with self.transaction():
            self._rows("INSERT OR IGNORE INTO repositories (name) VALUES (?)", name)
            return self._repository(name)

    # Repositories

    def has_repository(self, name: str) -> bool:
        """True once something was pushed there; it stays true when all of it was deleted."""
        return bool(self._repository(name))

    def repositories(self, *, last: str = "", limit: int = -1) -> list[str]:
        """Names after `last`, in the order of their bytes."""
        return [
            name for (name,) in self._rows(
                "SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?", last, limit)
        ]  # fmt: skip

    # Content

    def path(self, digest: str) -> Path:
        """Where the bytes with this digest are, or would be."""
        algorithm, _, value = digest.partition(":")
        return self._content / algorithm / value[:2] / value

    def put_content(self, digest: str, content: bytes) -> None:
        """Write small content whose digest was checked."""
        path = self.path(digest)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and moved, so that a reader never sees half of it.
        partial = path.with_name(f"{path.name}.{threading.get_ident()}")
        partial.write_bytes(content)
        partial.replace(path)

    def adopt(self, digest: str, file: Path) -> None:
        """Move a complete file, whose digest was checked, into place."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)

    def _discard(self, digest: str) -> None:
        links = self._rows(
            "SELECT 1 FROM blobs WHERE digest = ? UNION ALL SELECT 1 FROM manifests WHERE digest = ? LIMIT 1",
            digest, digest,
        )  # fmt: skip
        if not links:
            self.path(digest).unlink(missing_ok=True)

    # Blobs

    def link_blob(self, repository: str, digest: str, size: int) -> None:
        """Make content that is in place a blob of this repository."""
        with self.transaction():
            number = self._created(repository)
            self._rows("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", number, digest, size)

    def put_blob(self, repository: str, content: bytes, *, algorithm: str = "sha256") -> str:
        """Store a small blob from memory; its digest."""
        digest = digest_of(content, algorithm)
        with self.transaction():
            self.put_content(digest, content)
            self.link_blob(repository, digest, len(content))
        return digest

    def adopt_blob(self, repository: str, digest: str, file: Path) -> int:
        """Store a complete file as a blob; its size."""
        size = file.stat().st_size
        with self.transaction():
            self.adopt(digest, file)
            self.link_blob(repository, digest, size)
        return size

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Bytes, or None where this repository has no such blob."""
        rows = self._rows(
            "SELECT size FROM blobs WHERE repository = ? AND digest = ?", self._repository(repository), digest
        )
        return rows[0][0] if rows else None

    def blob_anywhere(self, digest: str) -> tuple[str, int] | None:
        """Some repository that has the blob, and its size: for a mount that names no source."""
        rows = self._rows(
            "SELECT name, size FROM blobs JOIN repositories ON id = repository WHERE digest = ? LIMIT 1", digest
        )
        return rows[0] if rows else None

    def open_blob(self, digest: str) -> IO[bytes]:
        """The bytes; stays readable if the blob is deleted meanwhile."""
        return self.path(digest).open("rb")

    def delete_blob(self, repository: str, digest: str) -> bool:
        """True if the repository had it."""
        with self.transaction():
            gone = self._rows(
                "DELETE FROM blobs WHERE repository = ? AND digest = ? RETURNING 1",
                self._repository(repository), digest,
            )  # fmt: skip
            self._discard(digest)
        return bool(gone)

    # Manifests

    def put_manifest(self, repository: str, manifest: StoredManifest, content: bytes) -> None:
        """Store a manifest whose digest was checked."""
        with self.transaction():
            number = self._created(repository)
            self.put_content(manifest.digest, content)
            self._rows(
                "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?)",
                number, manifest.digest, manifest.size, manifest.media_type, manifest.subject, manifest.descriptor,
            )  # fmt: skip

    def manifest(self, repository: str, digest: str) -> StoredManifest | None:
        """None where this repository has no such manifest."""
        rows = self._rows(
            "SELECT digest, size, media_type, subject, descriptor FROM manifests WHERE repository = ? AND digest = ?",
            self._repository(repository), digest,
        )  # fmt: skip
        return StoredManifest(*rows[0]) if rows else None

    def manifests(self, repository: str) -> list[StoredManifest]:
        """All manifests of a repository, tagged or not, by digest."""
        rows = self._rows(
            "SELECT digest, size, media_type, subject, descriptor FROM manifests WHERE repository = ? ORDER BY digest",
            self._repository(repository),
        )
        return [StoredManifest(*row) for row in rows]

    def read_manifest(self, digest: str) -> bytes:
        """The bytes as they were pushed."""
        return self.path(digest).read_bytes()

    def referrers(self, repository: str, subject: str) -> list[str]:
        """Descriptors (JSON) of the manifests whose subject this is, by digest."""
        return [
            descriptor for (descriptor,) in self._rows(
                "SELECT descriptor FROM manifests WHERE repository = ? AND subject = ? ORDER BY digest",
                self._repository(repository), subject)
        ]  # fmt: skip

    def delete_manifest(self, repository: str, digest: str) -> list[str] | None:
        """Delete it and the tags that point to it; those tags, or None where there was no such manifest."""
        with self.transaction():
            number = self._repository(repository)
            gone = self._rows("DELETE FROM manifests WHERE repository = ? AND digest = ? RETURNING 1", number, digest)
            tags = self._rows("DELETE FROM tags WHERE repository = ? AND digest = ? RETURNING name", number, digest)
            self._discard(digest)
        return [name for (name,) in tags] if gone else None

    # Tags

    def tag(self, repository: str, name: str, digest: str) -> None:
        """Point a tag at a manifest; a tag that moves keeps its place in the order of pushing."""
        with self.transaction():
            self._rows(
                "INSERT INTO tags (repository, name, digest) VALUES (?, ?, ?) "
                "ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest",
                self._created(repository), name, digest,
            )  # fmt: skip

    def tagged(self, repository: str, name: str) -> str | None:
        """The digest a tag points to."""
        rows = self._rows(
            "SELECT digest FROM tags WHERE repository = ? AND name = ?", self._repository(repository), name
        )
        return rows[0][0] if rows else None

    def tags_of(self, repository: str, digest: str) -> list[str]:
        """The tags that point to a manifest, in the order of their bytes."""
        rows = self._rows(
            "SELECT name FROM tags WHERE repository = ? AND digest = ? ORDER BY name",
            self._repository(repository), digest,
        )  # fmt: skip
        return [name for (name,) in rows]

    def tags(self, repository: str, *, last: str = "", limit: int = -1, lexical: bool = True) -> list[str]:
        """Tags after `last`, at most `limit` (-1: all).

        The specification wants them in lexical order; not `lexical` is the order of first pushing,
        which GHCR and plain storage listings show (platforms.md 13.2).
        """
        number = self._repository(repository)
        if lexical:
            rows = self._rows(
                "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?", number, last, limit
            )
        else:
            rows = self._rows(
                "SELECT name FROM tags WHERE repository = ? AND id > "
                "coalesce((SELECT id FROM tags WHERE repository = ? AND name = ?), 0) ORDER BY id LIMIT ?",
                number, number, last, limit,
            )  # fmt: skip
        return [name for (name,) in rows]

    def count_tags(self, repository: str) -> int:
        """How many tags a repository has."""
        return int(self._rows("SELECT count(*) FROM tags WHERE repository = ?", self._repository(repository))[0][0])

    def untag(self, repository: str, name: str) -> str | None:
        """Remove a tag, not its manifest; the digest it pointed to."""
        with self.transaction():
            rows = self._rows(
                "DELETE FROM tags WHERE repository = ? AND name = ? RETURNING digest",
                self._repository(repository), name,
            )  # fmt: skip
        return rows[0][0] if rows else None

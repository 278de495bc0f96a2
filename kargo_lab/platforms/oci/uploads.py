"""Uploads under way: a file that grows, its running hash, and a lock. Never a whole blob in memory."""

from __future__ import annotations

import hashlib
import secrets
import threading
from pathlib import Path
from typing import IO, Any

from kargo_lab.platforms.oci.storage import PIECE, digest_of_file


class Upload:
    """One upload session of one repository."""

    def __init__(self, identity: str, repository: str, path: Path, algorithm: str) -> None:
        self.identity, self.repository, self.path = identity, repository, path
        self.size = 0
        self.lock = threading.Lock()
        self._hash: Any = hashlib.new(algorithm)
        path.touch()

    def append(self, stream: IO[bytes]) -> int:
        """Write everything the stream has behind what is there; the number of bytes."""
        before = self.size
        with self.path.open("ab") as file:
            while piece := stream.read(PIECE):
                file.write(piece)
                self._hash.update(piece)
                self.size += len(piece)
        return self.size - before

    def matches(self, digest: str) -> bool:
        """True if the bytes have this digest; another algorithm than announced costs one more reading."""
        algorithm, _, value = digest.partition(":")
        if algorithm == self._hash.name:
            return bool(self._hash.hexdigest() == value)
        return digest_of_file(self.path, algorithm) == digest


class Uploads:
    """The sessions by their identity, which is all that protects one, so it cannot be guessed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._open: dict[str, Upload] = {}

    def begin(self, repository: str, algorithm: str = "sha256") -> Upload:
        """A new, empty session."""
        identity = secrets.token_hex(16)
        upload = Upload(identity, repository, self._folder / identity, algorithm)
        with self._lock:
            self._open[identity] = upload
        return upload

    def find(self, repository: str, identity: str) -> Upload | None:
        """The session, unless it belongs to another repository."""
        upload = self._open.get(identity)
        return upload if upload is not None and upload.repository == repository else None

    def end(self, upload: Upload) -> None:
        """Forget the session; what it wrote goes too, unless it was moved into place."""
        with self._lock:
            self._open.pop(upload.identity, None)
        upload.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._open)

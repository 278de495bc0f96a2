"""The real `git`, run in an environment of its own.

Nothing of the machine's configuration, prompts, hooks or language reaches it, and no shell is involved:
what a test sees here it sees everywhere.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from kargo_lab.errors import UpstreamError

# What hosting platforms switch on: partial clones, fetching any object, push options; and what only costs
# time in a testbed, switched off: automatic packing and waiting for the disk.
_CONFIGURATION = """\
[safe]
    directory = *
[user]
    name = kargo-lab
    email = kargo-lab@example.com
[init]
    defaultBranch = main
[uploadpack]
    allowFilter = true
    allowAnySHA1InWant = true
    hideRefs = refs/lab
[receive]
    advertisePushOptions = true
    autogc = false
    hideRefs = refs/pull
    hideRefs = refs/lab
[gc]
    auto = 0
[maintenance]
    auto = false
[core]
    fsync = none
    logAllRefUpdates = false
[commit]
    gpgSign = false
[advice]
    detachedHead = false
"""


class GitError(UpstreamError):
    """git ended with a failure; `code` is its exit status, `output` what it printed to stdout."""

    def __init__(self, arguments: tuple[str, ...], code: int, output: bytes, complaint: bytes) -> None:
        self.code, self.output = code, output
        self.complaint = complaint.decode(errors="replace").strip()
        super().__init__(f"git {' '.join(arguments[:2])} ended with {code}: {self.complaint}")


class Git:
    """Runs git with `home` as its home directory; one for any number of repositories and threads."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / ".gitconfig").write_text(_CONFIGURATION)
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    def run(
        self,
        directory: Path,
        *arguments: str,
        feed: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run to the end and give stdout; raises `GitError`."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            input=feed,
            env=self._environment | dict(environment or {}),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise GitError(arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def open(
        self, directory: Path, *arguments: str, feed: IO[bytes], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start, reading from the open file `feed`; the caller reads stdout and waits."""
        return subprocess.Popen(
            ["git", *arguments],
            cwd=directory,
            stdin=feed,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment | dict(environment or {}),
        )

"""A command that runs if we end without having tidied up: after a kill -9 as after a crash.

A shell waits at a pipe that only we hold open. The kernel closes it however we end, so that what is ours
outside of this process, a container or a folder, does not outlive it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys


class Guard:
    """Runs `words` when this process ends, unless it was dismissed before. Without a shell it guards nothing."""

    def __init__(self, *words: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        shell = shutil.which("sh")
        if shell is None or shutil.which(words[0]) is None:
            return
        # In a session of its own: a Ctrl-C at the terminal is for us, and would end the guard before its work.
        # Words arrive as arguments, so that nothing in them is read as shell.
        self._process = subprocess.Popen(
            [shell, "-c", 'read -r word; [ "$word" = dismissed ] || exec "$@"', "guard", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=sys.platform != "win32",
        )

    def dismiss(self) -> None:
        """What was to be guarded is gone. A second call does nothing."""
        if self._process is not None:
            self._process.communicate(b"dismissed\n")
            self._process = None

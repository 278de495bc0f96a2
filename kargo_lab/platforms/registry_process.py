"""Debian's docker-registry (distribution 2.8) as a process: the same interface, somebody else's behaviour."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.access import AccessLog
from kargo_lab.platforms.registry_remote import RemoteRegistry, read_access_log

PROGRAM = "docker-registry"
START_SECONDS = 15.0
PORTS_TO_TRY = 5

# Ends the registry when its own standard input closes, which happens however we end: so that not
# even a killed test run leaves a registry behind.
_GUARD = 'read -r _; kill "$1"'


def why_no_process() -> str | None:
    """None if the program is installed, else the sentence to skip with."""
    return None if shutil.which(PROGRAM) else f"the program {PROGRAM} is not installed"


class ProcessRegistry(RemoteRegistry):
    """distribution's registry between `start()` and `stop()`, or as a context manager.

    `notify` are addresses that get its notifications; `settings` are merged over the configuration, one level deep.
    """

    def __init__(self, *, notify: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._notify, self._settings = tuple(notify), dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it on a free port; it answers when this returns."""
        reason = why_no_process()
        if reason is not None:
            raise UpstreamError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix="kargo-lab-process-"))
        # Also at the end of the interpreter, where nobody called `stop`.
        self._removal = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        try:
            trouble = self._launch_somewhere()
        except BaseException:
            self._end()
            self._removal()
            raise
        if trouble:
            self._removal()
            raise UpstreamError(f"{PROGRAM} did not start: {trouble}")
        return self

    def _launch_somewhere(self) -> str:
        """Empty once it answers, else what it said last."""
        said = ""
        for _ in range(PORTS_TO_TRY):
            # The program cannot choose a port itself; between our look and its bind another may take it.
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            self._launch(port)
            if self._answers():
                return ""
            self._end()
            said = self.log()[:500] or "it said nothing"
            if "address already in use" not in said:
                break
        return said

    def _launch(self, port: int) -> None:
        configuration = self._folder / "config.yml"
        configuration.write_text(yaml.safe_dump({**self._configuration(port), **self._settings}))
        self.url = f"http://127.0.0.1:{port}"
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _configuration(self, port: int) -> dict[str, Any]:
        endpoints = [
            {"name": f"hook-{number}", "url": url, "timeout": "5s", "threshold": 5, "backoff": "1s"}
            for number, url in enumerate(self._notify)
        ]
        return {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "content")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{port}", "secret": "kargo-lab"},
            "notifications": {"endpoints": endpoints},
        }

    def _answers(self) -> bool:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            try:
                return requests.get(f"{self.url}/v2/", timeout=1).status_code < 500
            except requests.RequestException:
                time.sleep(0.02)
        return False

    def _end(self) -> None:
        # The guard goes first, while the number it would kill is still the registry's.
        for process in (self._guard, self._process):
            if process is not None:
                if process.stdin is not None:
                    process.kill()
                    process.stdin.close()
                process.terminate()
                process.wait()
        self._guard = self._process = None

    def stop(self) -> None:
        """End the process and remove its folder. A second call does nothing."""
        if self._process is not None:
            self._end()
            self._removal()

    def log(self) -> str:
        """All that the program has written so far."""
        return (self._folder / "log").read_text(errors="replace")

    @property
    def access_log(self) -> AccessLog:
        """What the program logged until now, which may be a moment behind its answers."""
        log = AccessLog()
        log.extend(read_access_log(self.log()))
        return log

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

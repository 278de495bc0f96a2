"""A real Gitea or Forgejo as a process, where its program is installed: the same interface, its own behaviour."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.gitea_remote import RemoteGitea

PROGRAM = "gitea"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# The shell ends Gitea when its standard input closes, which happens however we end:
# so that not even a killed test run leaves one behind.
_GUARD = '"$1" web --config "$2" </dev/null & child=$!; read -r _; kill "$child"; wait "$child"'

# Both spellings of the allow-list, because it moved from one section to another (platforms.md 10.4).
_CONFIGURATION = """\
APP_NAME = kargo-lab
RUN_MODE = prod
RUN_USER = {user}
WORK_PATH = {folder}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {root}

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
DISABLE_SSH = true
OFFLINE_MODE = true
{static}

[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db

[security]
INSTALL_LOCK = true
SECRET_KEY = {key}
ALLOWED_HOST_LIST = *

[webhook]
ALLOWED_HOST_LIST = *

[service]
DISABLE_REGISTRATION = true

[repository]
ROOT = {folder}/repositories
DEFAULT_BRANCH = main
ENABLE_PUSH_CREATE_USER = true

[log]
MODE = console
LEVEL = Warn

[other]
SHOW_FOOTER_VERSION = false
"""


def why_no_gitea(program: str = PROGRAM) -> str | None:
    """None if the program is installed, else the sentence to skip with."""
    return None if shutil.which(program) else f"the program {program} is not installed"


class ProcessGitea(RemoteGitea):
    """A Gitea between `start()` and `stop()`, or as a context manager, with everything in a temporary folder.

    `static_root` is where templates and options lie, for a program that was built without them inside.
    """

    def __init__(self, program: str = PROGRAM, *, static_root: Path | None = None) -> None:
        super().__init__()
        self._program, self._static_root = program, static_root
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it on a free port with an administrator; it answers when this returns."""
        reason = why_no_gitea(self._program)
        if reason is not None:
            raise UpstreamError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix="kargo-lab-gitea-"))
        try:
            self._launch()
            self.wait(START_SECONDS)
            self._make_administrator()
            self.token = self._new_token()
        except BaseException:
            self.stop()
            raise
        return self

    def _launch(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._configuration = self._folder / "app.ini"
        self._configuration.write_text(
            _CONFIGURATION.format(
                user=getpass.getuser(),
                root=str(os.geteuid() == 0).lower(),
                folder=self._folder,
                port=port,
                static=f"STATIC_ROOT_PATH = {self._static_root}" if self._static_root else "",
                key=secrets.token_hex(16),
            )
        )
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", self._program, str(self._configuration)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )

    def _environment(self) -> dict[str, str]:
        home = {"HOME": str(self._folder), "GIT_CONFIG_NOSYSTEM": "1", "USER": getpass.getuser()}
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"} | home

    def _make_administrator(self) -> None:
        words = ["admin", "user", "create", "--admin", "--must-change-password=false"]
        facts = ["--username", self.username, "--password", self.password, "--email", "lab@example.com"]
        done = subprocess.run(
            [self._program, "--config", str(self._configuration), *words, *facts],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UpstreamError(f"Gitea made no administrator: {(done.stdout + done.stderr)[-500:]}")

    def log(self) -> str:
        """What it printed so far."""
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """End it and delete its folder. A second call does nothing."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)

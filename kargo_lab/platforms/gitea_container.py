"""The real Gitea or Forgejo in a container, started by testcontainers: the same interface once more."""

from __future__ import annotations

import secrets
import socket
from typing import Any, Self

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.gitea_remote import RemoteGitea

IMAGE = "gitea/gitea:1.27.3"
FORGEJO_IMAGE = "codeberg.org/forgejo/forgejo:11"
PORT = 3000
START_SECONDS = 90.0
OUR_MACHINE = "host.docker.internal"

# Both spellings of the allow-list, because it moved from one section to another (platforms.md 10.4), and the
# widest value: the host is reached in a private range, a receiver in another container by a name.
_SETTINGS = {
    "GITEA__security__INSTALL_LOCK": "true",
    "GITEA__security__ALLOWED_HOST_LIST": "*",
    "GITEA__webhook__ALLOWED_HOST_LIST": "*",
    "GITEA__database__DB_TYPE": "sqlite3",
    "GITEA__server__DISABLE_SSH": "true",
    "GITEA__server__OFFLINE_MODE": "true",
    "GITEA__service__DISABLE_REGISTRATION": "true",
    "GITEA__log__LEVEL": "Info",
    "GITEA__repository__DEFAULT_BRANCH": "main",
    "GITEA__repository__ENABLE_PUSH_CREATE_USER": "true",
    "GITEA__ui__FEED_MAX_COMMIT_NUM": "5",
}


class ContainerGitea(RemoteGitea):
    """A Gitea between `start()` and `stop()`, or as a context manager; rootless images and Forgejo's too.

    The image is never pulled: it is on the machine, or the error says that it is not. `settings` are further
    `GITEA__section__KEY` variables.
    """

    def __init__(self, image: str = IMAGE, *, settings: dict[str, str] | None = None) -> None:
        super().__init__()
        self.image, self._settings = image, dict(settings or {})
        self._container: Any = None

    def start(self) -> Self:
        """Start it on a free port with an administrator; it answers when this returns."""
        reason = why_no_container(self.image)
        if reason is not None:
            raise UpstreamError(reason)
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer

        # Its reaper is one more image to have; `stop` does its work.
        testcontainers_config.ryuk_disabled = True
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]  # chosen by us, because ROOT_URL has to name it
        self.url = f"http://127.0.0.1:{port}"
        container = DockerContainer(self.image).with_bind_ports(PORT, port)
        container.with_kwargs(extra_hosts={OUR_MACHINE: "host-gateway"})
        own = {"GITEA__server__ROOT_URL": f"{self.url}/", "GITEA__security__SECRET_KEY": secrets.token_hex(16)}
        for name, value in (_SETTINGS | own | self._settings).items():
            container.with_env(name, value)
        self._container = container
        try:
            container.start()
            self.wait(START_SECONDS)
            self._make_administrator()
            self.token = self._new_token()
        except BaseException:
            self.stop()
            raise
        return self

    def _make_administrator(self) -> None:
        words = ["gitea", "admin", "user", "create", "--admin", "--must-change-password=false"]
        facts = ["--username", self.username, "--password", self.password, "--email", "lab@example.com"]
        # As root the program refuses; both images have the user git.
        code, output = self._container.get_wrapped_container().exec_run([*words, *facts], user="git")
        if code:
            raise UpstreamError(f"Gitea made no administrator: {output.decode(errors='replace')[-500:]}")

    def reach(self, port: int) -> str:
        """How this Gitea calls a port of our machine, which must listen on more than the loopback address."""
        return f"http://{OUR_MACHINE}:{port}"

    def log(self) -> str:
        """What it printed so far."""
        return "".join(part.decode(errors="replace") for part in self._container.get_logs())

    def stop(self) -> None:
        """Remove the container with its volumes. A second call does nothing."""
        if self._container is None:
            return
        container, self._container = self._container, None
        container.stop()
        container.get_docker_client().client.close()

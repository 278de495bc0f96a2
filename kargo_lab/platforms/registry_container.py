"""registry:2 in a container, started by testcontainers: the same interface once more."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.access import AccessLog
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.registry_remote import RemoteRegistry, read_access_log

IMAGE = "registry:2"
PORT = 5000


class ContainerRegistry(RemoteRegistry):
    """distribution's registry between `start()` and `stop()`, or as a context manager.

    The image is never pulled: it is on the machine, or the error says that it is not. `.ci/registry-image` makes it.
    """

    def __init__(self, image: str = IMAGE) -> None:
        super().__init__()
        self.image = image
        self._container: Any = None

    def start(self) -> Self:
        """Start it on a free port; it answers when this returns."""
        reason = why_no_container(self.image)
        if reason is not None:
            raise UpstreamError(reason)
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import HttpWaitStrategy

        # Its reaper is one more image to have; `stop` does its work.
        testcontainers_config.ryuk_disabled = True
        container = DockerContainer(self.image).with_exposed_ports(PORT)
        container.with_env("REGISTRY_STORAGE_DELETE_ENABLED", "true")
        container.waiting_for(HttpWaitStrategy(PORT, "/v2/").for_status_code(200))
        self._container = container
        try:
            container.start()
        except Exception:
            self.stop()
            raise
        # On the loopback address, because engines take only that as a registry without TLS.
        self.url = f"http://127.0.0.1:{container.get_exposed_port(PORT)}"
        return self

    def stop(self) -> None:
        """Remove the container with its volumes. A second call does nothing."""
        if self._container is None:
            return
        container, self._container = self._container, None
        container.stop()
        container.get_docker_client().client.close()

    @property
    def access_log(self) -> AccessLog:
        """What the container logged until now, which may be a moment behind its answers."""
        log = AccessLog()
        log.extend(read_access_log(self._container.get_logs()[0].decode(errors="replace")))
        return log

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

"""registry:2 in a container, started by testcontainers: the same interface once more."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.access import AccessLog
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.guard import Guard
from kargo_lab.platforms.registry_remote import RemoteRegistry, read_access_log

IMAGE = "registry:2"
PORT = 5000
START_SECONDS = 15.0


class ContainerRegistry(RemoteRegistry):
    """distribution's registry between `start()` and `stop()`, or as a context manager.

    The image is never pulled: it is on the machine, or the error says that it is not. `.ci/registry-image` makes it.
    `notify` are addresses that get its notifications; to reach ours, the container then shares the machine's network.
    """

    def __init__(self, image: str = IMAGE, *, notify: Sequence[str] = ()) -> None:
        super().__init__()
        self.image, self._notify = image, tuple(notify)
        self._guard: Guard | None = None
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
        container = DockerContainer(self.image).with_env("REGISTRY_STORAGE_DELETE_ENABLED", "true")
        self._container, port = container, 0
        if self._notify:
            port = self._on_our_network(container)
        else:
            container.with_exposed_ports(PORT).waiting_for(HttpWaitStrategy(PORT, "/v2/").for_status_code(200))
        try:
            container.start()
            # On the loopback address, because engines take only that as a registry without TLS.
            self.url = f"http://127.0.0.1:{port or container.get_exposed_port(PORT)}"
            # By the program, as nothing of ours is left to ask the engine when this is needed.
            self._guard = Guard("docker", "rm", "--force", "--volumes", str(container.get_wrapped_container().id))
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def _on_our_network(self, container: Any) -> int:
        """Let it listen on a free port of the machine itself, and notify; the port."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        endpoints = [
            {"name": f"hook-{number}", "url": url, "timeout": "5s", "threshold": 5, "backoff": "1s"}
            for number, url in enumerate(self._notify)
        ]
        container.with_kwargs(network_mode="host")
        container.with_env("REGISTRY_HTTP_ADDR", f"127.0.0.1:{port}")
        # Distribution reads the value of a variable as YAML, of which JSON is a part.
        container.with_env("REGISTRY_NOTIFICATIONS_ENDPOINTS", json.dumps(endpoints))
        return port

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                self.request("GET", "/v2/")
            except UpstreamError:
                time.sleep(0.02)
            else:
                return
        raise UpstreamError(f"{self.image} did not answer within {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """Remove the container with its volumes. A second call does nothing."""
        if self._container is None:
            return
        container, self._container = self._container, None
        container.stop()
        if self._guard is not None:
            self._guard.dismiss()
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

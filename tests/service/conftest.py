"""Servers for tests, each in threads of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from kargo_lab.service import serving
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Endpoint, Webhook

Serve = Callable[..., AbstractContextManager[int]]


@contextmanager
def on_waitress(lab: Endpoint) -> Iterator[int]:
    """The port of a waitress."""
    with Server(Webhook(lab)) as server:
        yield server.port


@contextmanager
def on_granian(lab: Endpoint, **options: Any) -> Iterator[int]:
    """The port of a granian, which runs in a loop of its own."""
    ports: list[int] = []
    ready, ends = threading.Event(), []

    def answers(port: int) -> None:
        ports.append(port)
        ready.set()

    async def run() -> None:
        stop = asyncio.Event()
        ends.append((asyncio.get_running_loop(), stop))
        await serving.serve(lab, address="127.0.0.1", port=0, stop=stop, ready=answers, **options)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop, stop = ends[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def servers() -> dict[str, Serve]:
    """How to serve a lab, by the server's name."""
    return {"waitress": on_waitress, "granian": on_granian}

"""Connections that are kept, and what becomes of those that ended meanwhile (sources/connections.py)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.sources.connections import Connections
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.outgoing import Outgoing

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def answering(*connections: int) -> Iterator[str]:
    """A port that answers so many requests on each connection in turn, and breaks it at the one after them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                with connection:
                    for _ in range(answers):
                        connection.recv(65536)
                        connection.sendall(ANSWER)
                    connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def asked_in_turn(url: str, times: int) -> list[int]:
    connections, ledger = Connections(), Ledger()
    out = Outgoing(ledger=ledger, clock=VirtualClock(), connections=connections)
    for _ in range(times):
        out.send(url, kind="ping")
    connections.close()
    return [row.status for row in ledger.rows]


def test_a_connection_is_kept() -> None:
    with answering(3) as url:
        assert asked_in_turn(url, 3) == [200, 200, 200]


def test_a_connection_that_ended_meanwhile_is_replaced() -> None:
    with answering(1, 1) as url:
        assert asked_in_turn(url, 2) == [200, 0, 200]

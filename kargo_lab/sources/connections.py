"""Connections to registries, chart repositories and APIs: trust, and an end to patience.

A server that sends a byte now and then never runs into a timeout on a socket, which begins anew with each byte. So
answers are read through a reader that knows when the headers have to be complete (Go's ResponseHeaderTimeout, which
Kargo sets, is such a bound) and when the whole answer (Kargo has no such bound, and can be held for ever). It looks
up often enough to end promptly when its clock says that everything ends.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

KEPT_HOSTS, KEPT_CONNECTIONS = 64, 16  # of lean mode, the latter a host
LOOK_SECONDS = 0.2  # between two looks whether to go on
DRIPPED = "the answer had begun, and did not end in time"


@attrs.frozen
class Patience:
    """Until when on `time.monotonic()` an answer is read, and what is called now and then, and may raise."""

    until: float
    check: Callable[[], None]


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patience(until: float, check: Callable[[], None]) -> Iterator[None]:
    """Answers that begin meanwhile, in this thread, are read so long."""
    token = _patience.set(Patience(until, check))
    try:
        yield
    finally:
        _patience.reset(token)


class _Reader(io.RawIOBase):
    """Reads a socket with the patience of the moment; TimeoutError at its end."""

    def __init__(self, connection: socket.socket, inner: io.RawIOBase) -> None:
        self._socket, self._inner = connection, inner  # which keeps the socket open
        self._silence, self._patience = connection.gettimeout(), _patience.get()
        self.headed_by = None if self._silence is None else time.monotonic() + self._silence

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As that of any raw reader."""
        began = time.monotonic()
        bounds = [
            self.headed_by,
            None if self._silence is None else began + self._silence,
            None if self._patience is None else self._patience.until,
        ]
        end = min((bound for bound in bounds if bound is not None), default=None)
        try:
            while True:
                left = LOOK_SECONDS if end is None else min(end - time.monotonic(), LOOK_SECONDS)
                if left <= 0:
                    raise TimeoutError(
                        "timed out" if self._patience is None or end != self._patience.until else DRIPPED
                    )
                self._socket.settimeout(left)
                try:
                    return self._socket.recv_into(buffer)
                except TimeoutError:
                    if self._patience is not None:
                        self._patience.check()
        finally:
            self._socket.settimeout(self._silence)

    def close(self) -> None:
        """Let go of the socket, which ends with its last user."""
        if not self.closed:
            self._inner.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose headers and body are read through a `_Reader`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = _Reader(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the headers."""
        super().begin()
        self._reader.headed_by = None


class _Plain(urllib3.connection.HTTPConnection):
    response_class = _Answer


class _Secure(urllib3.connection.HTTPSConnection):
    response_class = _Answer


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class _QuietPool(_SecurePool):
    """Who sets insecureSkipTLSVerify has been told what it means; urllib3 would tell again at each request."""

    def _validate_conn(self, connection: Any) -> None:
        if connection.is_closed:
            connection.connect()


class Adapter(HTTPAdapter):
    """requests' own, with one TLS context for all connections: loading the trust store costs more than a request."""

    def __init__(self, *, verify: bool, hosts: int = 1, connections: int = 1) -> None:
        self._context = _trusting() if verify else None
        super().__init__(pool_connections=hosts, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Give every pool the shared context."""
        if self._context is not None:
            kwargs["ssl_context"] = self._context
        super().init_poolmanager(*args, **kwargs)
        self._dress(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same for what goes through a proxy."""
        known = proxy in self.proxy_manager
        found = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._dress(found)
        return found

    def _dress(self, pools: Any) -> None:
        secure = _QuietPool if self._context is None else _SecurePool
        pools.pool_classes_by_scheme = {"http": _PlainPool, "https": secure}

    def close_pools(self) -> None:
        """Close what is kept now; urllib3 would leave it to the garbage collector."""
        pools = self.poolmanager.pools
        for key in list(pools.keys()):
            pools[key].close()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the pool as it is where the shared context already knows whom to trust."""
        if verify is True and self._context is not None:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # the stubs leave it out


@attrs.define
class _Trust:
    context: ssl.SSLContext | None = None


_trust = _Trust()


def _trusting() -> ssl.SSLContext:
    if _trust.context is None:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=DEFAULT_CA_BUNDLE_PATH)
        _trust.context = context
    return _trust.context


class Connections:
    """Connections that are kept from one request to the next: what Kargo does without, and lean mode does with."""

    def __init__(self) -> None:
        self._lock, self._adapters = threading.Lock(), dict[bool, Adapter]()

    def adapter(self, *, verify: bool) -> HTTPAdapter:
        """The pools of those that verify certificates, or of those that do not."""
        with self._lock:
            if verify not in self._adapters:
                self._adapters[verify] = Adapter(verify=verify, hosts=KEPT_HOSTS, connections=KEPT_CONNECTIONS)
            return self._adapters[verify]

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            for adapter in self._adapters.values():
                adapter.close_pools()
                adapter.close()
            self._adapters.clear()

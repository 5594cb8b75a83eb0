"""HTTP to one server by the standard library: keep-alive connections in a thread-safe pool.

It sends one request and gives one response; retries, JSON and errors are `api`'s.
"""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from typing import IO, Protocol
from urllib.parse import urlsplit

import msgspec

from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = [
    "Body",
    "ConnectionLostError",
    "HttpTransport",
    "Parts",
    "Response",
    "ServerUnreachableError",
    "Transport",
]

_IDLE_LIMIT_S = 4.0  # servers commonly close idle connections after five seconds
_BLOCK = 1 << 20

Parts = list[bytes | memoryview]
"""A body in several pieces."""
Body = bytes | Parts | IO[bytes]


class Response(msgspec.Struct, frozen=True):
    """One answer. `headers` have lower-case names; `body` is empty when it went to a sink."""

    status: int
    headers: dict[str, str]
    body: bytes


class ServerUnreachableError(HoldfastError):
    """No connection could be made, so the request was not sent."""


class ConnectionLostError(HoldfastError):
    """The connection broke after the request was sent: the server may or may not have acted on it."""


class Transport(Protocol):
    """Sends one request. Raises ServerUnreachableError or ConnectionLostError; every status is a Response."""

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        sink: IO[bytes] | None = None,
    ) -> Response: ...

    def close(self) -> None: ...


class HttpTransport:
    """The transport over http.client. Thread-safe; survives a fork (a child opens its own connections).

    `url` is `http://` or `https://` with an optional base path. `timeout_s` bounds each wait on the socket.
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0, pool_size: int = 8) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                f"The server address {url!r} is not an http or https URL.",
                hint="Give it like http://127.0.0.1:5000.",
            )
        try:
            self._port = parts.port
        except ValueError:
            raise InvalidInput(f"The server address {url!r} has no valid port.") from None
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._base = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        _transports.add(self)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        sink: IO[bytes] | None = None,
    ) -> Response:
        connection = self._checkout()
        try:
            self._request(connection, method, self._base + target, headers, body)
            answer = connection.getresponse()
            response = _read(answer, sink)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionLostError(f"The connection to {self.url} broke: {_describe(error)}.") from error
        except BaseException:
            connection.close()
            raise
        self._checkin(connection, keep=not answer.will_close)
        return response

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> None:
        """Send a request. A file over plain HTTP is sent by the kernel, from its position on, without a copy here."""
        if self._secure or not isinstance(body, io.BufferedReader) or "Content-Length" not in headers:
            stated = {"Content-Length": str(sum(map(len, body)))} if isinstance(body, list) else {}
            connection.request(method, target, body=body, headers={**headers, **stated})
            return
        connection.putrequest(method, target)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        length = int(headers["Content-Length"])
        # No bytes: to sendfile 0 would mean everything.
        if length and connection.sock.sendfile(body, body.tell(), length) != length:
            raise http.client.HTTPException("the file became shorter while it was sent")

    def close(self) -> None:
        """Close the idle connections; those in use are closed by their owners."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_idle"):
            self.close()

    def start_anew(self) -> None:
        """In a forked child: the sockets are the parent's, and so is the thread that may have held the lock."""
        self._lock, self._idle = threading.Lock(), []

    def _checkout(self) -> http.client.HTTPConnection:
        with self._lock:
            idle, self._idle = self._idle, []
            usable = [item for item in idle if _is_usable(*item)]
            chosen = usable.pop() if usable else None
            self._idle = usable
        for item in idle:
            if item not in usable and item is not chosen:
                item[0].close()
        return chosen[0] if chosen else self._connect()

    def _checkin(self, connection: http.client.HTTPConnection, *, keep: bool) -> None:
        with self._lock:
            if keep and len(self._idle) < self._pool_size:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s, blocksize=_BLOCK)
        try:
            connection.connect()
        except OSError as error:
            raise ServerUnreachableError(f"No server answers at {self.url} ({_describe(error)}).") from error
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


_transports: weakref.WeakSet[HttpTransport] = weakref.WeakSet()


def _after_fork() -> None:
    for transport in list(_transports):
        transport.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _is_usable(connection: http.client.HTTPConnection, since: float) -> bool:
    """Whether an idle connection is young and the server has not closed it (a closed socket reads as
    ready).
    """
    if connection.sock is None or time.monotonic() - since > _IDLE_LIMIT_S:
        return False
    try:
        ready, _, _ = select.select([connection.sock], [], [], 0)
    except (OSError, ValueError):
        return False
    return not ready


def _read(answer: http.client.HTTPResponse, sink: IO[bytes] | None) -> Response:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    if sink is None or answer.status >= 300:
        return Response(answer.status, headers, answer.read())
    expected = answer.length
    copied = 0
    while block := answer.read(_BLOCK):
        sink.write(block)
        copied += len(block)
    if expected is not None and copied != expected:
        raise http.client.IncompleteRead(b"", expected - copied)
    return Response(answer.status, headers, b"")


def _describe(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text) if text else type(error).__name__

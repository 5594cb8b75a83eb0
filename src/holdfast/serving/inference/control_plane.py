"""HTTP to the control plane, by the standard library: one connection per user of this class, made anew when it breaks."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable, error_from_wire
from holdfast.serving.records import Authorization, Heartbeat, SignedState

__all__ = ["ControlPlane"]

_BLOCK = 1 << 20


class ControlPlane:
    """The serving plane of one control plane. Not thread-safe: each thread has its own.

    Every call raises Unavailable when the control plane can't be reached, or the error that it answered with.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise InvalidInput(f"The control plane's address {url!r} is not an http URL.")
        self._url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or 80
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._is_interrupted = False

    def desired_state(self, after: int, wait_s: int) -> SignedState:
        """The signed desired state; waits up to `wait_s` for a generation above `after`."""
        path = f"/api/v1/serving/desired-state?after={after}&wait_s={wait_s}"
        body = self._exchange("GET", path, timeout_s=self._timeout_s + wait_s)
        try:
            return msgspec.json.decode(body, type=SignedState)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self._url} answers something else than a desired state: {error}.") from error

    def fetch_file(self, sha256: str, write: Callable[[bytes], object]) -> None:
        """The bytes of a deployed file, block by block; the caller checks them."""
        self._exchange("GET", f"/api/v1/serving/files/{sha256}", sink=write)

    def put_segment(self, endpoint_id: str, replica: str, boot: str, seq: int, data: bytes) -> None:
        """Ship a segment: durable there when this returns."""
        path = f"/api/v1/serving/segments/{endpoint_id}/{replica}/{boot}/{seq}"
        self._exchange("PUT", path, data, "application/octet-stream")

    def report(self, replica: str, heartbeat: Heartbeat) -> None:
        """Send a heartbeat."""
        self._exchange(
            "PUT", f"/api/v1/serving/replicas/{replica}", msgspec.json.encode(heartbeat), "application/json"
        )

    def authorize(self, digest: str) -> Authorization:
        """What the credential with this SHA-256 may do; an empty digest stands for no credential."""
        body = self._exchange("GET", f"/api/v1/serving/authorizations/{digest or 'none'}")
        try:
            return msgspec.json.decode(body, type=Authorization)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self._url} answers something else than permissions: {error}.") from error

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def interrupt(self) -> None:
        """End a call that waits in another thread, by shutting its socket down; later calls raise Unavailable."""
        self._is_interrupted = True
        sock = None if self._connection is None else self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed already

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        media: str = "",
        *,
        timeout_s: float | None = None,
        sink: Callable[[bytes], object] | None = None,
    ) -> bytes:
        is_reused = self._connection is not None
        try:
            return self._once(method, path, body, media, timeout_s or self._timeout_s, sink)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may have been closed by the other side meanwhile; every call here is idempotent.
            if (
                is_reused
                and sink is None
                and not self._is_interrupted
                and not isinstance(error, TimeoutError)
            ):
                return self._exchange(method, path, body, media, timeout_s=timeout_s)
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(f"The control plane at {self._url} can't be reached: {reason}.") from error

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        media: str,
        timeout_s: float,
        sink: Callable[[bytes], object] | None,
    ) -> bytes:
        connection = self._connection
        if self._is_interrupted:
            raise ConnectionAbortedError(errno.ECONNABORTED, "this server is ending")
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        connection.sock.settimeout(timeout_s)
        headers = {**self._headers, "content-type": media} if media else self._headers
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            raise _error(answer.status, answer.read())
        if sink is None:
            data = answer.read()
        else:
            data = b""
            while block := answer.read(_BLOCK):
                sink(block)
        if answer.will_close:
            self.close()
        return data


def _error(status: int, body: bytes) -> HoldfastError:
    try:
        error = error_from_wire(msgspec.json.decode(body, type=dict), status)
    except msgspec.DecodeError:
        return Unavailable(f"The control plane answered {status}.")
    if status >= 500 and not isinstance(error, Unavailable):
        return Unavailable(f"The control plane answered {status}: {error.message}")
    return error

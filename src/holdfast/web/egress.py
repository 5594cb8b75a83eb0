"""The one door for connections that leave: webhooks, notifications, single sign-on, policy webhooks.

A host is resolved once, every address is checked, and the connection goes to a checked address while TLS and the Host
header keep the name: what the name leads to a moment later does not matter. Redirects are not followed, proxies of
the environment are not used, and time and sizes are limited.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput, Unavailable
from holdfast.web.egress_rules import HTTPS_PORTS, EgressRules, Target, plain_address

__all__ = ["Egress", "Limits", "Reply", "Resolve"]

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host as texts; raises OSError when it has none."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class Limits(msgspec.Struct, frozen=True):
    """What one exchange may take: seconds in all, bytes of the answer's head and of its body, bytes sent."""

    seconds: float = 10.0
    head_bytes: int = 32 * 1024
    body_bytes: int = 1024 * 1024
    sent_bytes: int = 4 * 1024 * 1024


class Reply(msgspec.Struct, frozen=True):
    """An answer. Header names are lower-case; of a repeated header the last counts. A redirect is an answer like any."""

    status: int
    headers: dict[str, str]
    body: bytes


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Egress:
    """The door. Thread-safe.

    `allowed` is the administrator's list (`--allow-egress`, see `EgressRules`). `resolve` and `tls` are the system's
    unless given.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        limits: Limits | None = None,
        resolve: Resolve = resolve_host,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = EgressRules(allowed)
        self._limits = limits or Limits()
        self._resolve = resolve
        self._tls = tls

    def check_url(self, url: str) -> None:
        """Raises InvalidInput when `url` could never be sent to, as far as can be told without resolving its host.

        For when a URL is entered: what its name leads to is checked at every connection.
        """
        self._rules.check_entered(self._rules.parse_url(url))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits | None = None,
    ) -> Reply:
        """One exchange on a connection of its own; any status is a Reply.

        Raises InvalidInput for a URL or host that may not be reached, and Unavailable when the other side does not
        answer in time, closes, or answers with more than the limits allow. Never repeated here.
        """
        limits = limits or self._limits
        sent = _check_request(method, headers or {}, body, limits)
        target = self._rules.parse_url(url)
        deadline = time.monotonic() + limits.seconds
        try:
            with self._open(target.scheme, target.host, target.port, deadline) as sock:
                secured = self._secure(sock, target, deadline) if target.scheme == "https" else sock
                with secured:
                    return _exchange(
                        _Timed(secured, deadline, limits.head_bytes), target, method, sent, body, limits
                    )
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Unavailable(
                f"{target.scheme}://{target.netloc} can't be used: {_why(error, limits)}.",
                hint="Check the address and the service behind it.",
            ) from error

    def connect(
        self, host: str, port: int, *, ports: frozenset[int] = HTTPS_PORTS, seconds: float | None = None
    ) -> socket.socket:
        """A plain connection to a checked address of `host`, for protocols with their own security (SMTP, a tunnel).

        `ports` are open without being listed. Raises InvalidInput when it may not be reached, Unavailable when it
        can't be.
        """
        limits = self._limits if seconds is None else msgspec.structs.replace(self._limits, seconds=seconds)
        deadline = time.monotonic() + limits.seconds
        try:
            return self._open("tcp", self._rules.check_host(host), port, deadline, ports)
        except OSError as error:
            raise Unavailable(f"{host}:{port} can't be reached: {_why(error, limits)}.") from error

    def _open(
        self, scheme: str, host: str, port: int, deadline: float, ports: frozenset[int] = HTTPS_PORTS
    ) -> socket.socket:
        """Resolve, check, connect: to the first checked address that answers."""
        found = [host] if plain_address(host) is not None else self._look_up(host, port, deadline)
        last: OSError = TimeoutError()
        for address in self._rules.check(scheme, host, port, found, ports):
            try:
                sock = socket.create_connection((str(address), port), _left(deadline))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            except OSError as error:
                last = error
        raise last

    def _look_up(self, host: str, port: int, deadline: float) -> Sequence[str]:
        """In a thread, because the system's resolver knows no deadline."""
        answer: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                answer.put(self._resolve(host, port))
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                answer.put(error)

        threading.Thread(target=work, name="holdfast-resolve", daemon=True).start()
        try:
            found = answer.get(timeout=_left(deadline))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(found, Exception):
            raise found
        return found

    def _secure(self, sock: socket.socket, target: Target, deadline: float) -> ssl.SSLSocket:
        context = self._tls or ssl.create_default_context()
        sock.settimeout(_left(deadline))
        return context.wrap_socket(sock, server_hostname=target.host.rstrip("."))


class _Timed:
    """A socket as http.client wants it, with one deadline over everything and a budget of bytes to read."""

    def __init__(self, sock: socket.socket, deadline: float, budget: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._budget = budget

    def allow(self, count: int) -> None:
        """Read up to so many bytes more."""
        self._budget = count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self), 4096)

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._sock.settimeout(_left(self._deadline))
            left = left[self._sock.send(left) :]

    def read_into(self, buffer: memoryview) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self._budget -= count
        if self._budget < 0:
            raise _TooMuchError
        return count

    def close(self) -> None:
        """Left to who opened the socket: http.client closes its own while the answer is still read."""


class _Reader(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.read_into(buffer)


class _TooMuchError(OSError):
    """The answer is longer than its limit."""


def _exchange(
    timed: _Timed, target: Target, method: str, sent: Mapping[str, str], body: bytes | None, limits: Limits
) -> Reply:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = timed
    connection.auto_open = 0  # what is not this connection is none
    connection.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
    own = {"Host": target.netloc, "Connection": "close", "Accept-Encoding": "identity"}
    if body is not None:
        own["Content-Length"] = str(len(body))
    for name, value in {**own, **sent}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    timed.allow(limits.body_bytes + limits.head_bytes)  # the frames of a chunked body come on top of it
    content = answer.read(limits.body_bytes + 1)
    if len(content) > limits.body_bytes:
        raise _TooMuchError
    if answer.length:
        raise http.client.IncompleteRead(content, answer.length)
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def _check_request(
    method: str, headers: Mapping[str, str], body: bytes | None, limits: Limits
) -> dict[str, str]:
    if method not in _METHODS:
        raise InvalidInput(f"{method[:20]!r} is not a method that is sent.")
    if body is not None and len(body) > limits.sent_bytes:
        raise InvalidInput(f"The body of {len(body)} bytes is over the limit of {limits.sent_bytes}.")
    for name, value in headers.items():
        if not name or not set(name.lower()) <= _TOKEN or name.lower() in _OWN_HEADERS:
            raise InvalidInput(f"The header {name[:80]!r} can't be set.")
        if not value.isprintable() or not value.isascii():
            raise InvalidInput(
                f"The value of the header {name!r} holds characters that a header may not have."
            )
    return {"User-Agent": "holdfast", **headers}


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _why(error: Exception, limits: Limits) -> str:
    if isinstance(error, _TooMuchError):
        return f"its answer is over the limit of {limits.head_bytes} bytes of head or {limits.body_bytes} bytes of body"
    if isinstance(error, TimeoutError):
        return f"no answer within {limits.seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)

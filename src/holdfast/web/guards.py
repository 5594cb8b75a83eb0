"""ASGI middleware around every request: request id, access log, metrics, Host and Origin checks, security headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.kernel.errors import Forbidden, InvalidInput
from holdfast.kernel.ids import uuid7
from holdfast.web.hosts import Hosts

__all__ = ["AccessLog", "Guard"]

_HEADERS = {
    b"content-security-policy": (
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_log = logging.getLogger("holdfast.access")


class Guard:
    """Gives each request an id, refuses foreign hosts and origins, and adds the security headers.

    A page of another site must not reach us: the Host header must name this server (DNS rebinding), and a request
    that changes something must not come from another origin (CSRF).
    """

    def __init__(
        self, app: ASGIApp, refuse: Callable[[Scope, Receive, Send, Exception], object], hosts: Hosts
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = uuid7()
        scope.setdefault("state", {})["request_id"] = request_id
        self._hosts.believe(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                given += [(name, value) for name, value in _HEADERS.items() if name not in names]
                message["headers"] = [*given, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._check(scope, headers)
        except (Forbidden, InvalidInput) as error:
            await self._refuse(scope, receive, send_with_headers, error)  # type: ignore[misc]
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope, headers: Headers) -> None:
        netloc = headers.get("host", "")
        if not self._hosts.allows(netloc):
            raise Forbidden(
                f"The Host header {netloc[:80]!r} does not name this server.",
                hint="Use http://127.0.0.1 or http://localhost with the server's port, or start the server with "
                "--allow-host NAME.",
            )
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{netloc}":
            raise Forbidden(
                f"The Origin {origin[:80]!r} is not this server's.",
                hint="Send the request from this server's own pages.",
            )


class AccessLog:
    """Logs each request as one JSON line and hands its figures to `observe(method, route, status, seconds)`."""

    def __init__(
        self, app: ASGIApp, observe: Callable[[str, str, int, float], None], quiet: Iterable[str]
    ) -> None:
        self._app = app
        self._observe = observe
        self._quiet = frozenset(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("state", {}).get("route", "unmatched")
            self._observe(scope["method"], route, status, seconds)
            if scope["path"] not in self._quiet:
                line = {
                    "request_id": scope.get("state", {}).get("request_id", ""),
                    "method": scope["method"],
                    "path": scope["path"][:500],
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                }
                _log.info("request", extra={"fields": line})

"""From a declared route to an ASGI endpoint: permission, body within its limit, decode, run, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from anyio import CapacityLimiter, from_thread, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Forbidden, InvalidInput, NotFound, PayloadTooLarge
from holdfast.kernel.principal import Caller, Principal
from holdfast.web.responses import respond
from holdfast.web.routing import Call, Page, Route, Upload

__all__ = ["Door", "endpoint"]


_UPLOADS = 16


class Door(msgspec.Struct, frozen=True):
    """What every route needs: who is asking, may they, what time is it, and how to show a page."""

    authenticate: Callable[[Any], Principal]
    permits: Callable[[Principal, str], bool]
    clock: Clock
    workspace: str
    render: Callable[[Request, Page], str]


def endpoint(route: Route, door: Door) -> Callable[[Request], Any]:
    """The async endpoint of a route."""
    # An upload that stands still keeps its thread: those of other requests are not for uploads to take.
    limiter = CapacityLimiter(_UPLOADS) if route.body is Upload else None
    decoder = None if route.body in (None, Upload, bytes) else msgspec.json.Decoder(route.body)

    def body_of(request: Request, raw: bytes) -> Any:
        if route.body is Upload:
            return _Blocks(request, route.max_body)
        if decoder is not None:
            return _decode(decoder, request, raw)
        return raw if route.body is bytes else None

    async def serve(request: Request) -> Response:
        caller = _caller(request, route, door)
        raw = b"" if route.body in (None, Upload) else await _read(request, route.max_body)

        def work() -> Response:
            """In a thread, so that a large body, answer or page holds up nobody else."""
            call = Call(
                caller=caller,
                path=request.path_params,
                query=dict(request.query_params),
                headers=request.headers,
                body=body_of(request, raw),
                raw=raw,
                url=f"{request.url.scheme}://{request.url.netloc}",
                raw_query=request.url.query,
            )
            return respond(request, route.handler(call), door.render)

        return await to_thread.run_sync(work, limiter=limiter)

    return serve


def _caller(request: Request, route: Route, door: Door) -> Caller:
    principal = door.authenticate(request.headers)
    if not door.permits(principal, route.permission):
        raise Forbidden(
            f"The principal {principal.name!r} (role {principal.role}) lacks the permission {route.permission!r}.",
            hint="Ask an administrator, or use the token in admin.token of the data folder.",
            details={"permission": route.permission},
        )
    asked = request.headers.get("x-holdfast-workspace", door.workspace)
    if asked != door.workspace:
        raise NotFound(
            f"There is no workspace {asked[:80]!r} on this server.",
            hint=f"It has {door.workspace!r}: leave --workspace and HOLDFAST_WORKSPACE out.",
        )
    request_id = str(request.scope["state"]["request_id"])
    return Caller(principal, door.workspace, request_id, door.clock.now_ms())


async def _read(request: Request, most: int) -> bytes:
    _check_length(request, most)
    parts: list[bytes] = []
    size = 0
    try:
        async for block in request.stream():
            size += len(block)
            if size > most:
                raise _too_large(most)
            parts.append(block)
    except ClientDisconnect:
        raise InvalidInput("The request's body ended before its stated length.") from None
    return b"".join(parts)


def _check_length(request: Request, most: int) -> None:
    stated = request.headers.get("content-length", "0").lstrip("0")
    if stated.isascii() and stated.isdigit() and (len(stated) > 18 or int(stated) > most):
        raise _too_large(most)


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The body is larger than this route's limit of {most} bytes.", hint="Send it in parts."
    )


def _decode(decoder: msgspec.json.Decoder[Any], request: Request, data: bytes) -> Any:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise InvalidInput(
            f"The content type {media[:80]!r} is not application/json.",
            hint="Send JSON with that Content-Type.",
        )
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The body does not fit: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.") from None


class _Blocks(Iterator[bytes]):
    """The body's blocks for a handler in a thread, within the limit; a body cut short raises InvalidInput."""

    def __init__(self, request: Request, most: int) -> None:
        _check_length(request, most)
        self._stream = request.stream()
        self._left = most
        self._most = most

    def __next__(self) -> bytes:
        block = from_thread.run(self._pull)
        if block is None:
            raise StopIteration
        self._left -= len(block)
        if self._left < 0:
            raise _too_large(self._most)
        return block

    async def _pull(self) -> bytes | None:
        try:
            return await anext(self._stream, None)
        except ClientDisconnect:
            raise InvalidInput("The upload ended before its stated length; nothing was stored.") from None
        except asyncio.CancelledError:
            raise InvalidInput("The upload was cancelled; nothing was stored.") from None

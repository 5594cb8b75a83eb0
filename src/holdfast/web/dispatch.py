"""From a declared route to an ASGI endpoint: permission, body within its limit, decode, run, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec
from anyio import CapacityLimiter, from_thread, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import InvalidInput, PayloadTooLarge
from holdfast.kernel.principal import Caller, Principal
from holdfast.web.cookies import WORKSPACE_COOKIE, write_cookie
from holdfast.web.forms import check_token
from holdfast.web.responses import respond
from holdfast.web.routing import Call, Form, Page, Route, Upload, Visit

__all__ = ["Admission", "Door", "endpoint", "visit_of"]


_RECEIVED = 4 << 20
_SMALL = 256 << 10


class Admission(Protocol):
    """Tells who asks and in which workspace, and refuses who may not."""

    def admit(self, visit: Visit, permission: str, *, wait: bool) -> tuple[Principal, str] | None:
        """The principal and the workspace of a request that needs `permission`.

        Raises Unauthenticated, Forbidden, NotFound or TooManyRequests. None when it would have to ask the
        database and `wait` is false: the caller then asks again from a thread.
        """


class Door(msgspec.Struct, frozen=True):
    """What every route needs: who is asking, may they, what time is it, and how to show a page."""

    admission: Admission
    clock: Clock
    render: Callable[[Request, Page], str]


def endpoint(route: Route, door: Door) -> Callable[[Request], Any]:
    """The async endpoint of a route."""
    # An upload that stands still keeps its thread: those of other requests are not for uploads to take.
    limiter = CapacityLimiter(route.at_once) if route.body is Upload else None
    decoder = None if route.body in (None, Upload, Form, bytes) else msgspec.json.Decoder(route.body)

    def body_of(request: Request, raw: bytes, blocks: _Blocks | None) -> Any:
        if route.body is Upload:
            return blocks or iter((raw,))
        if decoder is not None:
            return _decode(decoder, request, raw)
        if route.body is Form:
            fields = _read_form(request, raw)
            return check_token(request.headers, fields, is_secure=_is_secure(request))
        return raw if route.body is bytes else None

    async def serve(request: Request) -> Response:
        caller = request.scope["state"]["caller"] = await _admitted(request, route, door)
        # A small upload is received whole: handing blocks from thread to thread takes longer than they do.
        is_streamed = route.body is Upload and not _is_small(request)
        raw = b"" if route.body is None or is_streamed else await _read(request, route.max_body)
        blocks = _Blocks(request, route.max_body) if is_streamed else None

        raw_query = request.scope["query_string"].decode("utf-8", "replace")

        def work() -> Response:
            """In a thread, so that a large body, answer or page holds up nobody else."""
            query = dict(request.query_params) if raw_query else {}
            call = Call(
                caller=caller,
                path=request.path_params,
                query=query,
                params=None if route.query is None else _read_query(route.query, query),
                headers=request.headers,
                body=body_of(request, raw, blocks),
                raw=b"" if route.body is Upload else raw,
                url=f"{request.url.scheme}://{request.url.netloc}",
                raw_query=raw_query,
                address=_address(request),
            )
            answer = route.handler(call)
            if isinstance(answer, Page) and "workspace" in call.query:
                answer = _remember_workspace(answer, call)
            return respond(request, answer, door.render)

        try:
            return await to_thread.run_sync(work, limiter=limiter if is_streamed else None)
        finally:
            if blocks is not None:
                await blocks.close()

    return serve


def _remember_workspace(page: Page, call: Call) -> Page:
    """The browser stays in the workspace that the address of a page has chosen."""
    cookie = write_cookie(WORKSPACE_COOKIE, call.caller.workspace, is_secure=call.is_secure)
    return msgspec.structs.replace(page, cookies=(*page.cookies, cookie))


async def _admitted(request: Request, route: Route, door: Door) -> Caller:
    visit = visit_of(request)
    found = door.admission.admit(visit, route.permission, wait=False)
    if found is None:
        found = await to_thread.run_sync(lambda: door.admission.admit(visit, route.permission, wait=True))
    assert found is not None
    request_id = str(request.scope["state"]["request_id"])
    return Caller(*found, request_id, door.clock.now_ms())


def visit_of(request: Request) -> Visit:
    """What is known of a request before anybody knows who asks."""
    return Visit(
        request.method,
        request.scope["path"],
        request.headers,
        dict(request.query_params) if request.scope["query_string"] else {},
        _address(request),
        _is_secure(request),
    )


def _is_secure(request: Request) -> bool:
    return bool(request.scope.get("scheme") == "https")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


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


def _is_small(request: Request) -> bool:
    stated = request.headers.get("content-length", "")
    return stated.isascii() and stated.isdigit() and len(stated) < 10 and int(stated) <= _SMALL


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


def _read_query(kind: Any, query: dict[str, str]) -> Any:
    """The record of what the address asks for; what is empty is as if it were not there."""
    given = {name: value for name, value in query.items() if value}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        shown = f"{name}={given.get(name, '')[:40]!r} does not fit" if name else "does not fit"
        raise InvalidInput(
            f"The query {shown}: {problem}.", hint="See /api/v1/openapi.json for what can be asked."
        ) from None


def _read_form(request: Request, data: bytes) -> dict[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise InvalidInput(
            f"The content type {media[:80]!r} is not that of a form.", hint="Send the page's form."
        )
    try:
        fields = parse_qsl(
            data.decode(), keep_blank_values=True, strict_parsing=bool(data), max_num_fields=100
        )
    except ValueError as error:
        raise InvalidInput(f"The form can't be read: {error}.") from None
    return dict(fields)


class _Blocks(Iterator[bytes]):
    """The body's blocks for a handler in a thread, within the limit; a body cut short raises InvalidInput.

    They come from the event loop 4 MB at a time. While the handler is busy with those, the next are received, so that
    network and disk work side by side.
    """

    def __init__(self, request: Request, most: int) -> None:
        _check_length(request, most)
        self._stream = request.stream()
        self._left = most
        self._most = most
        self._ahead: asyncio.Task[list[bytes]] | None = None
        self._ready: Iterator[bytes] = iter(())

    def __next__(self) -> bytes:
        block = next(self._ready, None)
        if block is None:
            self._ready = iter(from_thread.run(self._next))
            block = next(self._ready)
        self._left -= len(block)
        if self._left < 0:
            raise _too_large(self._most)
        return block

    async def _next(self) -> list[bytes]:
        """The next blocks, none at the end; begins to receive those after them."""
        receiving = self._ahead or asyncio.create_task(self._receive())
        self._ahead = None
        try:
            blocks = await receiving
        except ClientDisconnect:
            raise InvalidInput("The upload ended before its stated length; nothing was stored.") from None
        except asyncio.CancelledError:
            receiving.cancel()
            raise InvalidInput("The upload was cancelled; nothing was stored.") from None
        if blocks:
            self._ahead = asyncio.create_task(self._receive())
        return blocks

    async def _receive(self) -> list[bytes]:
        blocks: list[bytes] = []
        size = 0
        async for block in self._stream:
            if block:
                blocks.append(block)
                size += len(block)
            if size >= _RECEIVED:
                break
        return blocks

    async def close(self) -> None:
        """Stop receiving: the handler has ended, perhaps before the body did."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])
            if not self._ahead.cancelled():
                self._ahead.exception()

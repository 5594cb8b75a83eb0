"""The application around the routes: guards, errors, static files."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.kernel.errors import HoldfastError, InvalidInput, NotFound, Unauthenticated, Unavailable
from holdfast.web.dispatch import Door, endpoint
from holdfast.web.guards import AccessLog, Guard
from holdfast.web.hosts import Hosts
from holdfast.web.indexed import IndexedRouter
from holdfast.web.responses import Dialect, error_response, show_page, wants_html
from holdfast.web.routing import Page, Route
from holdfast.web.templates import STATIC

__all__ = ["build_shell"]

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_log = logging.getLogger("holdfast.web")
_QUIET = ("/health", "/ready", "/metrics")


def build_shell(
    routes: Sequence[Route],
    door: Door,
    *,
    observe: Callable[[str, str, int, float], None],
    hosts: Hosts | None = None,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None,
    bare: Iterable[BaseRoute] = (),
    dialects: Mapping[str, Dialect] | None = None,
    mirrors: Mapping[str, str] | None = None,
) -> ASGIApp:
    """The ASGI application that serves `routes`, with `bare` ASGI routes before them.

    dialects: how errors read below an address, where that is not our own way: prefix -> status and JSON of an error.
    mirrors: other beginnings of addresses: `/ajax-api/` -> `/api/` serves all of `/api/` below both.
    """

    def page_of(request: Request, error: HoldfastError) -> Response:
        context = {"error": error, "request_id": request.scope["state"]["request_id"]}
        page = Page("error.html", context, _title(error), error.status)
        return show_page(request, page, door.render)

    def show(request: Request, error: HoldfastError) -> Response:
        if isinstance(error, Unauthenticated) and _is_for_signing_in(request):
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?{urlencode({'next': here})}", 303)
        spoken = next(
            (one for prefix, one in (dialects or {}).items() if request.url.path.startswith(prefix)), None
        )
        return error_response(request, error, page_of, spoken)

    async def on_holdfast(request: Request, error: Exception) -> Response:
        assert isinstance(error, HoldfastError)
        if error.status >= 500 and error.status not in (501, 503):
            _log.error("failed", exc_info=error, extra={"fields": {"path": request.url.path}})
        return show(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = show(request, _from_http(request, error))
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_allowed(request))
        return response

    async def on_disk(request: Request, error: Exception) -> Response:
        assert isinstance(error, OSError)
        if error.errno not in _OF_THE_DISK:
            raise error
        return await on_holdfast(request, _disk_failed(error))

    async def on_fault(request: Request, error: Exception) -> Response:
        _log_fault(request.scope, error)
        return show(
            request,
            HoldfastError(
                "The server met a fault of its own.", hint="Its log has the details under this request id."
            ),
        )

    async def refuse(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
        assert isinstance(error, HoldfastError)
        await show(Request(scope, receive), error)(scope, receive, send)

    app = Starlette(
        exception_handlers={
            HoldfastError: on_holdfast,
            HTTPException: on_http,
            OSError: on_disk,
            Exception: on_fault,
        },
        lifespan=lifespan,
    )
    app.router = IndexedRouter(
        [
            *bare,
            *(_mounted(route, door) for route in routes),
            Mount("/static", _Static(directory=str(STATIC))),
        ],
        app.router.lifespan_context,
    )
    mirrored = _Mirrors(app, mirrors) if mirrors else app
    guarded = _Faults(Guard(_Compressed(mirrored), refuse, hosts or Hosts()))
    return AccessLog(guarded, observe, _QUIET)


def _is_for_signing_in(request: Request) -> bool:
    """Whether a person looks at a page that needs a login."""
    return request.method == "GET" and wants_html(request) and request.url.path not in ("/login", "/sign-in")


def _mounted(route: Route, door: Door) -> StarletteRoute:
    serve = endpoint(route, door)

    async def named(request: Request) -> Response:
        request.scope["state"]["route"] = route.path
        response: Response = await serve(request)
        return response

    return StarletteRoute(route.path, named, methods=[route.method])


def _disk_failed(error: OSError) -> Unavailable:
    """Of a disk that is full, read-only or broken: nothing is wrong with the request or with us."""
    return Unavailable(
        f"The server's disk can't be written: {error.strerror}.",
        hint="Check the space and state of the data folder's disk: holdfast doctor.",
        retry_after_s=10,
    )


def _log_fault(scope: Scope, error: Exception) -> None:
    """Log a fault of our own, once."""
    if not scope["state"].get("fault_logged"):
        scope["state"]["fault_logged"] = True
        _log.error("fault", exc_info=error, extra={"fields": {"path": scope["path"]}})


class _Mirrors:
    """Serves addresses under another beginning as well."""

    def __init__(self, app: ASGIApp, mirrors: Mapping[str, str]) -> None:
        self._app = app
        self._mirrors = tuple(mirrors.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        for mirror, real in self._mirrors:
            if path.startswith(mirror):
                scope = {**scope, "path": real + path[len(mirror) :]}
        await self._app(scope, receive, send)


class _Compressed:
    """Gzip for pages, static files and JSON; stored files are sent as they are, with their length.

    Quickly for programs, whose answers are long and seldom go far; well for pages.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._well = GZipMiddleware(app, minimum_size=1024, compresslevel=5)
        self._quickly = GZipMiddleware(app, minimum_size=1024, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_api = path.startswith("/api/")
        if is_api and ("/artifacts/" in path or "/files/" in path):
            await self._app(scope, receive, send)
        else:
            await (self._quickly if is_api else self._well)(scope, receive, send)


class _Faults:
    """Starlette raises a fault again after its 500 was sent; once it is in the log, the server need not hear of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Any) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if not started or scope["type"] != "http":
                raise
            _log_fault(scope, error)  # one that cut an answer short has met no handler


class _Static(StaticFiles):
    """Static files; an address that carries the digest may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        scope["state"]["route"] = "/static"
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


def _allowed(request: Request) -> list[str]:
    """The methods of the address, of all routes that have it."""
    routes = [route for route in request.app.routes if isinstance(route, StarletteRoute)]
    found = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return sorted({method for route in found for method in route.methods or ()})


def _from_http(request: Request, error: HTTPException) -> HoldfastError:
    path = "".join(char if char.isprintable() else "\ufffd" for char in request.url.path[:200])
    if error.status_code == 404:
        return NotFound(f"There is nothing at {path}.", hint="The routes are listed in /api/v1/openapi.json.")
    if error.status_code == 405:
        wrong = InvalidInput(f"{request.method} is not a method of {path}.")
        wrong.status = 405  # type: ignore[misc]
        return wrong
    other = InvalidInput(f"The request to {path} was refused: {error.detail}.")
    other.status = error.status_code  # type: ignore[misc]
    return other


def _title(error: HoldfastError) -> str:
    return {
        401: "Sign in",
        403: "Not allowed",
        404: "Not found",
        429: "Too often",
        503: "Not available now",
    }.get(error.status, "That did not work")

"""Answers to Starlette responses, errors to JSON or to a page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from holdfast.kernel.errors import HoldfastError, PayloadTooLarge, Unauthenticated, Unavailable
from holdfast.web.forms import BrowserKey, showing_forms
from holdfast.web.routing import Page, Raw, Redirect, Stream

__all__ = ["Dialect", "ErrorPage", "error_response", "json_bytes", "respond", "show_page", "wants_html"]

ErrorPage = Callable[[Request, HoldfastError], Response]
Dialect = Callable[[HoldfastError], tuple[int, Any]]

_encoder = msgspec.json.Encoder()
_strict = json.JSONEncoder(allow_nan=False, ensure_ascii=False, check_circular=False, separators=(",", ":"))


def json_bytes(value: Any) -> bytes:
    """The JSON of a record; NaN and infinities travel as the texts `NaN`, `Infinity`, `-Infinity`."""
    plain = msgspec.to_builtins(value)
    try:  # the library's encoder tells of such a number ten times as fast as a walk here would
        return _strict.encode(plain).encode()
    except ValueError:
        return _encoder.encode(_finite(plain))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return value if _are_finite_numbers(value) else [_finite(item) for item in value]
    return value


def _are_finite_numbers(values: Sequence[Any]) -> bool:
    """The quick way past a long column: a sum is finite only when every number in it is."""
    if not values or not isinstance(values[0], (int, float)):
        return False
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def respond(request: Request, answer: Any, render: Callable[[Request, Page], str]) -> Response:
    """The response for what a handler gave."""
    if isinstance(answer, Page):
        return show_page(request, answer, render)
    if isinstance(answer, Raw):
        return Response(answer.content, answer.status, dict(answer.headers), answer.media_type)
    if isinstance(answer, Stream):
        # As the header, or a charset that we do not know would be added to texts.
        headers = {**answer.headers, "Content-Type": answer.media_type}
        return StreamingResponse(answer.blocks, answer.status, headers)
    if isinstance(answer, Redirect):
        return _with_cookies(RedirectResponse(answer.url, answer.status), answer.cookies)
    return Response(json_bytes({} if answer is None else answer), media_type="application/json")


def show_page(request: Request, page: Page, render: Callable[[Request, Page], str]) -> Response:
    """The response of a page, with the cookie that its forms need."""
    key = BrowserKey(request.headers, is_secure=request.url.scheme == "https")
    with showing_forms(key):
        html = render(request, page)
    return _with_cookies(Response(html, page.status, media_type="text/html"), (*page.cookies, *key.cookies))


def _with_cookies(response: Response, cookies: Sequence[str]) -> Response:
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
        response.headers["Cache-Control"] = "no-store"
    return response


def error_response(
    request: Request, error: HoldfastError, page: ErrorPage, dialect: Dialect | None = None
) -> Response:
    """The error as JSON for programs, in another protocol's way with `dialect`, and as a page for people."""
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    if dialect is not None:
        status, spoken = dialect(error)
        response = Response(_encoder.encode(spoken), status, media_type="application/json")
    elif wants_html(request):
        response = page(request, error)
    else:
        body = json.dumps(_finite(error.to_wire(request_id)), default=str).encode()
        response = Response(body, error.status, media_type="application/json")
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, PayloadTooLarge):
        response.headers["Connection"] = "close"  # or the rest of the body would still be taken
    return response


def wants_html(request: Request) -> bool:
    """Whether a person's browser asked: an address outside /api whose Accept names HTML."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")

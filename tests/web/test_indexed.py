"""The index finds what Starlette's router finds, whatever stands before what."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router

from holdfast.web.indexed import IndexedRouter

PATHS = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/{x}",
    "/a/{x}",
    "/{x}/b",
    "/a/{x}/c",
    "/{x:path}",
    "/a/{x:path}",
    "/b/{x:path}/d",
)
ASKED = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/c",
    "/a/b/c",
    "/b",
    "/b/b",
    "/b/x/y/d",
    "/a/b/",
    "/b/d/",
    "",
    "/A",
    "/static/x",
)
METHODS = ("GET", "POST", "PUT", "HEAD")


def _answering(text: str) -> Any:
    async def answer(request: Any) -> PlainTextResponse:
        shown = ",".join(f"{key}={value}" for key, value in sorted(request.path_params.items()))
        return PlainTextResponse(f"{text} {shown}")

    return answer


def _ask(router: Router, method: str, path: str) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "headers": [(b"host", b"h")], "query_string": b"",
        "scheme": "http", "server": ("h", 80), "root_path": "",
    }  # fmt: skip
    asyncio.run(router(scope, receive, send))
    return sent


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(METHODS[:3])), max_size=8))
def test_it_finds_what_starlette_finds(declared: list[tuple[str, str]]) -> None:
    routes = [
        Route(path, _answering(f"{at} {path}"), methods=[method])
        for at, (path, method) in enumerate(declared)
    ]
    every = [*routes, Mount("/static", PlainTextResponse("static"))]
    theirs, ours = Router(every), IndexedRouter(every, Router().lifespan_context)
    for method, path in itertools.product(METHODS, ASKED):
        assert _ask(ours, method, path) == _ask(theirs, method, path), (method, path)

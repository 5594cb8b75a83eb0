"""Pages from templates: Jinja with autoescape, static addresses that carry the file's digest."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request

from holdfast.kernel.hashing import sha256_hex
from holdfast.web import filters
from holdfast.web.forms import form_token
from holdfast.web.routing import Page

__all__ = ["STATIC", "Frame", "Templates"]

_WEB = Path(str(files("holdfast.web")))
STATIC = _WEB / "static"


class Frame(msgspec.Struct, frozen=True):
    """What the frame around every page shows."""

    title: str
    path: str
    query: str
    workspace: str
    """Empty for somebody who is not signed in."""
    workspaces: list[str]
    """Those that the person may switch to."""
    principal: str
    counts: dict[str, int]
    settings: list[tuple[str, str]]
    """Address and name of the settings pages that the person may open."""
    url: str
    """This server's own address, for the commands that pages teach."""
    version: str
    now_ms: int


class Templates:
    """Renders pages. `rooms` are packages with a `templates` folder; `frame` tells the frame of a request."""

    def __init__(self, rooms: Iterable[str], frame: Callable[[Request, Page], Frame]) -> None:
        folders = [_WEB / "templates", *(Path(str(files(room))) / "templates" for room in rooms)]
        self._environment = Environment(
            loader=FileSystemLoader([str(folder) for folder in folders]),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(filters.FILTERS)
        self._environment.globals["static"] = static
        self._environment.globals["form_token"] = form_token
        self._frame = frame

    def render(self, request: Request, page: Page) -> str:
        """The HTML of a page."""
        context: dict[str, Any] = {**page.context, "page": self._frame(request, page)}
        return self._environment.get_template(page.template).render(context)


@functools.cache
def static(path: str) -> str:
    """The address of a static file, with a part of its digest so that browsers may keep it for ever."""
    return f"/static/{path}?v={sha256_hex((STATIC / path).read_bytes())[:12]}"

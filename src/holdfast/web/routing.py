"""What a room says about its routes: the declaration, the call that a handler takes, the answers it may give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from holdfast.kernel.principal import Caller

__all__ = ["Call", "Form", "Page", "Raw", "Redirect", "Route", "Stream", "Upload", "Visit"]

JSON_LIMIT = 16 * 1024 * 1024


class Upload:
    """The type of `Route.body` for raw bytes that are streamed: the handler finds the blocks in `call.body`."""


class Form:
    """The type of `Route.body` for a page's form: the handler finds its fields (text by name) in `call.body`.

    Only a form of this browser's own pages gets that far (`web.forms`).
    """


class Visit(msgspec.Struct, frozen=True):
    """What is known of a request before anybody knows who asks."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    address: str = ""
    """The client's IP address; behind a trusted proxy the one that it forwards."""
    is_secure: bool = False
    """Whether the client speaks https, to us or to a trusted proxy."""


class Call(msgspec.Struct, frozen=True):
    """One request, decoded: what a handler takes."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    params: Any = None
    """A record of the route's `query` type."""
    body: Any = None
    """A record of the route's `body` type, its bytes, or an iterator of blocks when that is Upload."""
    raw: bytes = b""
    """The body as it was sent, unless it is streamed."""
    url: str = ""
    """Scheme, host and port that the client used, without a slash at the end."""
    raw_query: str = ""
    address: str = ""
    """The client's IP address."""

    @property
    def is_secure(self) -> bool:
        """Whether the client speaks https."""
        return self.url.startswith("https:")

    @property
    def blocks(self) -> Iterator[bytes]:
        """The uploaded bytes, block by block."""
        blocks: Iterator[bytes] = self.body
        return blocks


class Raw(msgspec.Struct, frozen=True):
    """An answer of bytes."""

    content: bytes
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = {}
    status: int = 200


class Stream(msgspec.Struct, frozen=True):
    """An answer that is sent block by block."""

    blocks: Iterable[bytes]
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = {}
    status: int = 200


class Page(msgspec.Struct, frozen=True):
    """An HTML answer: a template and what it shows."""

    template: str
    context: Mapping[str, Any]
    title: str = ""
    status: int = 200
    cookies: tuple[str, ...] = ()
    """Values of Set-Cookie headers; a page with one is never kept by caches."""


class Redirect(msgspec.Struct, frozen=True):
    """Sends the browser to another address."""

    url: str
    status: int = 303
    cookies: tuple[str, ...] = ()
    """Values of Set-Cookie headers."""


class Route(msgspec.Struct, frozen=True):
    """One route: its handler runs in a thread and may block.

    `path` may end in `{name:path}` for the rest of the address. `permission` is checked before the body is read.
    """

    method: str
    path: str
    handler: Callable[[Call], Any]
    permission: str
    body: Any = None
    """None, a msgspec type (JSON), Form, bytes (read whole), or Upload (streamed)."""
    summary: str = ""
    max_body: int = JSON_LIMIT
    result: Any = None
    """The type of the answer, for the API's description."""
    query: Any = None
    """None, or the msgspec type of what the address asks for: the handler finds the record in `call.params`."""
    at_once: int = 16
    """How many uploads to this route are taken at a time; the others wait."""

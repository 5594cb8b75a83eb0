"""Receiving requests: uvicorn's HTTP, with two instead of five copies of each byte of a body.

A large upload is bound by this: the bytes are read into one buffer and parsed there, and what the parser cuts out of it
is handed on as it is.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["ReceivingProtocol"]

_BUFFER = 1 << 20


class ReceivingProtocol(asyncio.BufferedProtocol):
    """One connection. What is received is parsed before the next read, so all connections share the buffer."""

    _buffer = memoryview(bytearray(_BUFFER))

    def __init__(self, *args: Any, **options: Any) -> None:
        self._http = _Http(*args, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._http.connection_made(transport)  # type: ignore[arg-type]  # uvicorn asks for more than asyncio promises

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._http.data_received(self._buffer[:nbytes])  # type: ignore[arg-type]  # the parser takes any buffer

    def eof_received(self) -> None:
        self._http.eof_received()

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()


class _Http(HttpToolsProtocol):
    def on_body(self, body: bytes) -> None:
        """The first piece since the request was last asked for its body is kept as it is, and not copied twice."""
        cycle: Any = self.cycle
        if cycle.body or cycle.response_complete or self.parser.should_upgrade():
            super().on_body(body)
            return
        cycle.body = body
        if len(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

"""Cutting bytes where their content says so (FastCDC), so that an edit changes the chunks around it alone.

Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems" (2020).
The sizes and the seed are part of the stored format: with others, equal content would no longer be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from blake3 import blake3
from pyfastcdc import FastCDC

__all__ = ["MOST", "SMALLEST", "Stream", "chunk_id", "cut", "cut_stream"]

SMALLEST, _AVERAGE, MOST = 16 << 10, 64 << 10, 256 << 10


class Stream(Protocol):
    """What `cut_stream` reads from."""

    def readinto(self, buffer: memoryview, /) -> int: ...


def cut(data: bytes | memoryview) -> Iterator[memoryview]:
    """The chunks of `data` in order: 16 to 256 KiB each, about 80 on average, the last one of any size.

    Bytes of up to 16 KiB are one chunk; no bytes are none.
    """
    view = memoryview(data)
    if len(view) <= SMALLEST:
        if view:
            yield view
        return
    for chunk in _cutter().cut_buf(view):
        yield view[chunk.offset : chunk.offset + chunk.length]


def cut_stream(stream: Stream) -> Iterator[memoryview]:
    """The chunks of a stream, the same as `cut` gives. Each is valid until the next one is asked for."""
    for chunk in _cutter().cut_stream(stream):
        yield chunk.data


def chunk_id(chunk: bytes | memoryview) -> bytes:
    """The 32 bytes of BLAKE3 that name a chunk."""
    return blake3(chunk).digest()


def _cutter() -> FastCDC:
    return FastCDC(_AVERAGE, min_size=SMALLEST, max_size=MOST)

"""Bundles: many files in the body of one request.

Format 1: `HFBUNDLE1\\n`, the length of the head (32 bits, big-endian), the head (JSON: a list of `[path, size]`), then
the bytes of the files back to back in that order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from holdfast.chunks.tree import check_path
from holdfast.kernel.errors import InvalidInput

__all__ = ["BUNDLE_LIMIT", "BUNDLE_TYPE", "bundle_head", "read_bundle"]

BUNDLE_LIMIT = 64 << 20
"""The most bytes of a whole bundle."""
BUNDLE_TYPE = "application/vnd.holdfast.bundle"
"""The media type of a bundle."""
_MAGIC, _LENGTH = b"HFBUNDLE1\n", struct.Struct(">I")


def bundle_head(files: Sequence[tuple[str, int]]) -> bytes:
    """What stands before the bytes of these files (path, size)."""
    head = msgspec.json.encode(files)
    return _MAGIC + _LENGTH.pack(len(head)) + head


def read_bundle(blocks: Iterable[bytes]) -> Iterator[tuple[str, bytes | memoryview]]:
    """(path, bytes) of each file in a body that comes in blocks; while one is looked at, the next may be on their way.

    Raises InvalidInput for what is no bundle, a bad path, or a path twice: perhaps after the first files.
    """
    body = _Body(blocks)
    if body.take(len(_MAGIC)) != _MAGIC or len(length := body.take(_LENGTH.size)) < _LENGTH.size:
        raise InvalidInput("The body is not a bundle of files.", hint=f"Send {BUNDLE_TYPE}, format 1.")
    try:
        files = msgspec.json.decode(body.take(*_LENGTH.unpack(length)), type=list[tuple[str, int]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"The bundle's head is not a list of paths and sizes: {error}.") from None
    seen: set[str] = set()
    for path, size in files:
        if path in seen:
            raise InvalidInput(f"The path {path[:120]!r} stands twice in the bundle.")
        seen.add(check_path(path))
        data = body.take(size)
        if len(data) != size:
            raise InvalidInput(f"The bundle ends before the {size} bytes of {path[:120]!r}.")
        yield path, data
    if extra := body.drain():
        raise InvalidInput(f"The bundle holds {extra} bytes that belong to no file.")


class _Body:
    """Blocks as one string of bytes, of which those alone are copied that cross from one block to the next."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = memoryview(b"")
        self._at = 0

    def take(self, size: int) -> bytes | memoryview:
        """The next `size` bytes, fewer at the end; none for a negative size."""
        end = self._at + size
        if end > len(self._block):
            return self._take_across(size)
        part = self._block[self._at : end]
        self._at = max(end, self._at)
        return part

    def _take_across(self, size: int) -> bytes:
        parts: list[memoryview] = []
        while size > 0:
            if self._at == len(self._block):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._block, self._at = memoryview(block), 0
            part = self._block[self._at : self._at + size]
            parts.append(part)
            self._at += len(part)
            size -= len(part)
        return b"".join(parts)

    def drain(self) -> int:
        """How many bytes are left."""
        left = len(self._block) - self._at
        return left + sum(map(len, self._blocks))

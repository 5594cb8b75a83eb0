"""Bundles: many files in the body of one request.

Format 1: `HFBUNDLE1\\n`, the length of the head (32 bits, big-endian), the head (JSON: a list of `[path, size]`), then
the bytes of the files back to back in that order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

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


def read_bundle(data: bytes) -> list[tuple[str, memoryview]]:
    """(path, bytes) of each file. Raises InvalidInput for what is no bundle, a bad path, or a path twice."""
    view, start = memoryview(data), len(_MAGIC) + _LENGTH.size
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise InvalidInput("The body is not a bundle of files.", hint=f"Send {BUNDLE_TYPE}, format 1.")
    (length,) = _LENGTH.unpack(view[len(_MAGIC) : start])
    try:
        files = msgspec.json.decode(view[start : start + length], type=list[tuple[str, int]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"The bundle's head is not a list of paths and sizes: {error}.") from None
    position, found = start + length, dict[str, memoryview]()
    for path, size in files:
        if size < 0 or position + size > len(view):
            raise InvalidInput(f"The bundle ends before the {size} bytes of {path[:120]!r}.")
        if path in found:
            raise InvalidInput(f"The path {path[:120]!r} stands twice in the bundle.")
        found[check_path(path)] = view[position : position + size]
        position += size
    if position != len(view):
        raise InvalidInput(f"The bundle holds {len(view) - position} bytes that belong to no file.")
    return list(found.items())

"""Packs: many chunks in one file of at most 64 MB, which can be verified from its own bytes.

Format 1: `HFPACK1\\n`, the stored bytes of each chunk back to back, then the index: per chunk its id (BLAKE3,
32 bytes), stored size, size (both 32 bits, big-endian) and codec (1 byte: 0 as it is, 1 zstd); then the trailer: the
BLAKE3 of the index (32 bytes), the count of chunks (32 bits) and `HFPKEND1`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import zstandard

from holdfast.chunks.cut import chunk_id
from holdfast.kernel.errors import IntegrityError

__all__ = ["PACK_LIMIT", "PackBuilder", "PackEntry", "read_index", "unpack_chunk", "verify_pack"]

PACK_LIMIT = 64 << 20
"""A pack is closed before it would grow beyond so many bytes of chunks."""
_HEAD, _TAIL = b"HFPACK1\n", b"HFPKEND1"
_ENTRY, _TRAILER = struct.Struct(">32sIIB"), struct.Struct(">32sI8s")
_RAW, _ZSTD = 0, 1
_LEVEL = 3
_PAYS = 0.9
_SAMPLE = 1024


class PackEntry(msgspec.Struct, frozen=True, gc=False):
    """Where a chunk stands in its pack. `offset` and `stored` count bytes as stored, `size` as they were given."""

    chunk_id: bytes
    offset: int
    stored: int
    size: int
    codec: int


class PackBuilder:
    """Collects chunks into one pack.

    A chunk is compressed (zstd) when its first KiB and then the whole save a tenth. Chunks are kept by reference
    until `parts` is written.
    """

    def __init__(self) -> None:
        self.entries: list[PackEntry] = []
        self.size = len(_HEAD)
        self._parts: list[bytes | memoryview] = [_HEAD]
        self._zstd = zstandard.ZstdCompressor(level=_LEVEL)

    def has_room(self, size: int) -> bool:
        """Whether a chunk of `size` bytes still fits."""
        return self.size + size <= PACK_LIMIT

    def add(self, identity: bytes, chunk: bytes | memoryview) -> PackEntry:
        """Add a chunk under its id."""
        stored, codec = self._compressed(chunk)
        return self._append(identity, stored, len(chunk), codec)

    def copy(self, entry: PackEntry, stored: bytes | memoryview) -> PackEntry:
        """Add a chunk of another pack as it is stored there."""
        return self._append(entry.chunk_id, stored, entry.size, entry.codec)

    def parts(self) -> list[bytes | memoryview]:
        """The bytes of the whole pack, in order."""
        index = b"".join(_ENTRY.pack(e.chunk_id, e.stored, e.size, e.codec) for e in self.entries)
        return [*self._parts, index, _TRAILER.pack(chunk_id(index), len(self.entries), _TAIL)]

    def _append(self, identity: bytes, stored: bytes | memoryview, size: int, codec: int) -> PackEntry:
        entry = PackEntry(identity, self.size, len(stored), size, codec)
        self.entries.append(entry)
        self._parts.append(stored)
        self.size += len(stored)
        return entry

    def _compressed(self, chunk: bytes | memoryview) -> tuple[bytes | memoryview, int]:
        sample = memoryview(chunk)[:_SAMPLE]
        packed = self._zstd.compress(sample)
        if len(packed) > len(sample) * _PAYS:
            return chunk, _RAW
        if len(chunk) > len(sample):
            packed = self._zstd.compress(chunk)
        return (packed, _ZSTD) if len(packed) <= len(chunk) * _PAYS else (chunk, _RAW)


def unpack_chunk(entry: PackEntry, stored: bytes | memoryview) -> bytes | memoryview:
    """The chunk's bytes, checked against its id. Raises IntegrityError when they differ."""
    try:
        if entry.codec == _ZSTD and zstandard.frame_content_size(stored) != entry.size:
            # A damaged frame may ask for more memory than there is.
            raise IntegrityError(f"The chunk {entry.chunk_id.hex()} is damaged: its frame has another size.")
        chunk = (
            zstandard.ZstdDecompressor().decompress(stored, max_output_size=entry.size)
            if entry.codec == _ZSTD
            else stored
        )
    except zstandard.ZstdError as error:
        raise IntegrityError(f"The chunk {entry.chunk_id.hex()} is damaged: {error}.") from None
    if len(chunk) != entry.size or chunk_id(chunk) != entry.chunk_id:
        raise IntegrityError(f"The chunk {entry.chunk_id.hex()} is damaged: its bytes have another digest.")
    return chunk


def read_index(pack: bytes | memoryview) -> list[PackEntry]:
    """The entries of a pack by its own footer. Raises IntegrityError when that is damaged."""
    view = memoryview(pack)
    if len(view) < len(_HEAD) + _TRAILER.size or view[: len(_HEAD)] != _HEAD:
        raise IntegrityError("The pack is damaged: it does not begin as one.")
    digest, count, tail = _TRAILER.unpack(view[-_TRAILER.size :])
    start = len(view) - _TRAILER.size - count * _ENTRY.size
    if tail != _TAIL or start < len(_HEAD) or chunk_id(index := view[start : -_TRAILER.size]) != digest:
        raise IntegrityError("The pack is damaged: its footer is not whole.")
    entries, offset = list[PackEntry](), len(_HEAD)
    for identity, stored, size, codec in _ENTRY.iter_unpack(index):
        entries.append(PackEntry(identity, offset, stored, size, codec))
        offset += stored
    if offset != start:
        raise IntegrityError("The pack is damaged: its index does not fit its bytes.")
    return entries


def verify_pack(pack: bytes | memoryview) -> Iterator[tuple[PackEntry, str]]:
    """The damaged chunks of a pack, each with what is wrong. Raises IntegrityError when the footer is damaged."""
    view = memoryview(pack)
    for entry in read_index(view):
        try:
            unpack_chunk(entry, view[entry.offset : entry.offset + entry.stored])
        except IntegrityError as error:
            yield entry, error.message

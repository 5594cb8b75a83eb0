"""Reading an object, loose or packed, as one file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Protocol

from holdfast.chunks.pack import unpack_chunk
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects.backend import Backend, Part
from holdfast.storage.objects.rows import ChunkPlace, ObjectRow, places_of

__all__ = ["ObjectReader"]

_WINDOW = 256
"""Chunks whose places are looked up together: about 20 MB."""
_MOST_RUN = 8 << 20
_TRIES = 5


class _Source(Protocol):
    def read(self, position: int, most: int) -> Part: ...


class ObjectReader(io.RawIOBase):
    """The bytes of an object, not checked as a whole; a chunk is checked before any byte of it is given.

    An object that is packed, or whose pack is rewritten, while it is read is looked up anew and read on.
    """

    def __init__(self, storage: Storage, backend: Backend, find: Callable[[], ObjectRow]) -> None:
        self._storage, self._backend, self._find = storage, backend, find
        row = find()
        self.size = row.size
        self._source = self._source_of(row)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        part = self.read_part(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def read_part(self, most: int) -> Part:
        """The next bytes, at most so many, without a copy where there is none; empty at the end."""
        for attempt in range(1, _TRIES + 1):
            try:
                part = self._source.read(self._position, most) if self._position < self.size else b""
                break
            except NotFound:
                if attempt == _TRIES:
                    raise
                self._source = self._source_of(self._find())
        self._position += len(part)
        return part

    def _source_of(self, row: ObjectRow) -> _Source:
        if row.key is not None:
            return _Loose(self._backend, row.key)
        return _Packed(self._storage, self._backend, row)


class _Loose:
    def __init__(self, backend: Backend, key: str) -> None:
        self._backend, self._key = backend, key

    def read(self, position: int, most: int) -> Part:
        return self._backend.read(self._key, position, most)


class _Packed:
    """Chunks that lie behind each other in one pack are fetched together."""

    def __init__(self, storage: Storage, backend: Backend, row: ObjectRow) -> None:
        self._storage, self._backend = storage, backend
        self._ids = row.chunk_ids
        self._sha256 = row.sha256
        self._next, self._end = 0, 0  # the index of the next chunk to look up, and where the known ones end
        self._starts: list[int] = []
        self._places: list[ChunkPlace] = []
        self._held: tuple[int, list[Part]] = (0, [])

    def read(self, position: int, most: int) -> Part:
        while True:
            at, parts = self._held
            for part in parts:
                if at <= position < at + len(part):
                    return memoryview(part)[position - at : position - at + most]
                at += len(part)
            self._fetch(position, most)

    def _fetch(self, position: int, most: int) -> None:
        """Hold the run of chunks that begins with the one at `position`, no more than are asked for."""
        if self._starts and position < self._starts[0]:
            self._next, self._end, self._starts, self._places = 0, 0, [], []
        while position >= self._end:
            self._look_up()
        index = next(i for i in reversed(range(len(self._starts))) if self._starts[i] <= position)
        run = [self._places[index]]
        end = self._starts[index] + run[0].entry.size
        for place in self._places[index + 1 :]:
            last = run[-1]
            is_next = (
                place.pack_id == last.pack_id and place.entry.offset == last.entry.offset + last.entry.stored
            )
            if not is_next or end >= position + min(most, _MOST_RUN):
                break
            run.append(place)
            end += place.entry.size
        first, last_entry = run[0].entry, run[-1].entry
        length = last_entry.offset + last_entry.stored - first.offset
        data = memoryview(self._backend.read(f"packs/{run[0].pack_id}", first.offset, length))
        parts: list[Part] = []
        for place in run:
            start = place.entry.offset - first.offset
            parts.append(unpack_chunk(place.entry, data[start : start + place.entry.stored]))
        self._held = (self._starts[index], parts)

    def _look_up(self) -> None:
        some = self._ids[self._next : self._next + _WINDOW]
        if not some:
            raise IntegrityError(f"The object {self._sha256} is damaged: its chunks end before it does.")

        def fn(tx: Tx) -> dict[bytes, ChunkPlace]:
            return places_of(tx, some)

        places = self._storage.read(fn)
        missing = next((identity for identity in some if identity not in places), None)
        if missing is not None:
            raise NotFound(f"The object {self._sha256} lacks its chunk {missing.hex()}.")
        self._places = [places[identity] for identity in some]
        self._starts, position = [], self._end
        for place in self._places:
            self._starts.append(position)
            position += place.entry.size
        self._next += len(some)
        self._end = position

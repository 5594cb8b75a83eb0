"""Packing: loose objects become chunks in packs, and rows change over at once. The worker's task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from holdfast.chunks.cut import chunk_id, cut_stream
from holdfast.chunks.pack import PackBuilder
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.kernel.ids import new_id
from holdfast.storage.engine import Storage
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend
from holdfast.storage.objects.batch import stored_chunks
from holdfast.storage.objects.read import ObjectReader
from holdfast.storage.objects.rows import ObjectRow

__all__ = ["PACK_AFTER_MS", "pack_loose"]

PACK_AFTER_MS = 10 * 60_000
"""Objects that were put this long ago are packed: by then, what is replaced at once has been."""
_MANY = 200
_LOOK_UP = 400
_FILL = 8 << 20


def pack_loose(
    storage: Storage, backend: Backend, clock: Clock, before_ms: int, renew: Callable[[], None]
) -> int:
    """Pack every lasting loose object that was last put before this time; how many were packed.

    Safe beside writers, other packers and the collector, and killed at any point: an object stays loose until the
    transaction that makes it its chunks; the loose file is deleted after it. Calls `renew` between pieces of work, and
    ends when that raises. Damaged and lost objects are left as they are, for `verify` to name.
    """
    packer = _Packer(storage, backend, clock, renew)
    after = ""
    while found := storage.read(partial(rows.list_loose, before_ms=before_ms, after=after, most=_MANY)):
        for row in found:
            packer.add(row)
        after = found[-1].sha256
    packer.flush()
    return packer.packed


class _Packer:
    """One pack at a time; objects change over when all their chunks are in packs that are written."""

    def __init__(self, storage: Storage, backend: Backend, clock: Clock, renew: Callable[[], None]) -> None:
        self._storage, self._backend, self._clock, self._renew = storage, backend, clock, renew
        self._builder = PackBuilder()
        self._inside: set[bytes] = set()
        self._ready: list[tuple[ObjectRow, bytes]] = []
        self._waiting: list[tuple[bytes, bytes]] = []
        self._waiting_size = 0
        self.packed = 0

    def add(self, row: ObjectRow) -> None:
        """Cut one object; small ones share a pack."""
        reader = ObjectReader(self._storage, self._backend, lambda: row)
        ids: list[bytes] = []
        size = 0
        try:
            for chunk in cut_stream(reader):
                size += len(chunk)
                ids.append(identity := chunk_id(chunk))
                self._take(identity, bytes(chunk))
        except (NotFound, IntegrityError):
            return
        if size == row.size:
            self._ready.append((row, b"".join(ids)))
            if len(self._ready) >= _MANY:
                self.flush()

    def flush(self) -> None:
        """Write the pack that is open, then let the objects that are complete be their chunks."""
        self._settle()
        self._write()
        for row, chunks in self._ready:
            key = row.key
            assert key is not None

            if self._storage.write(partial(rows.move_to_packs, sha256=row.sha256, key=key, chunks=chunks)):
                self._backend.delete([key])
                self.packed += 1
        self._ready.clear()

    def _take(self, identity: bytes, chunk: bytes) -> None:
        self._waiting.append((identity, chunk))
        self._waiting_size += len(chunk)
        if self._waiting_size >= _FILL or len(self._waiting) >= _LOOK_UP:
            self._settle()

    def _settle(self) -> None:
        """Put those of the waiting chunks into the pack that are stored nowhere yet."""
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        wanted = list({identity for identity, _ in waiting} - self._inside)
        if not wanted:
            return
        self._renew()
        known = stored_chunks(self._storage, self._backend, wanted, self._clock.now_ms())
        for identity, chunk in waiting:
            if identity in known or identity in self._inside:
                continue
            if not self._builder.has_room(len(chunk)):
                self._write()
            self._builder.add(identity, chunk)
            self._inside.add(identity)

    def _write(self) -> None:
        builder, self._builder, self._inside = self._builder, PackBuilder(), set()
        if not builder.entries:
            return
        pack_id, parts, now_ms = new_id(), builder.parts(), self._clock.now_ms()
        self._backend.put(f"packs/{pack_id}", parts)
        self._renew()
        size = sum(map(len, parts))
        self._storage.write(lambda tx: rows.add_pack(tx, pack_id, size, builder.entries, now_ms))

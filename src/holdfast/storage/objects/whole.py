"""Whether what rows name is in the store: a look at sizes, which finds what was lost or cut short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.kernel.errors import NotFound
from holdfast.storage.engine import Storage
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend
from holdfast.storage.objects.rows import ChunkPlace, ObjectRow

__all__ = ["whole_chunks", "whole_objects"]


def whole_objects(storage: Storage, backend: Backend, objects: Sequence[ObjectRow]) -> set[str]:
    """The digests of those objects of which everything is there."""
    whole = {row.sha256 for row in objects if row.key is not None and _size(backend, row.key) == row.size}
    packed = {row.sha256: row.chunk_ids for row in objects if row.key is None}
    wanted = list({identity for ids in packed.values() for identity in ids})
    places = storage.read(lambda tx: rows.places_of(tx, wanted)) if wanted else {}
    there = whole_chunks(backend, places.values())
    return whole | {digest for digest, ids in packed.items() if there.issuperset(ids)}


def whole_chunks(backend: Backend, places: Iterable[ChunkPlace]) -> set[bytes]:
    """The ids of those chunks whose packs are there and reach far enough."""
    by_pack: dict[str, list[ChunkPlace]] = {}
    for place in places:
        by_pack.setdefault(place.pack_id, []).append(place)
    there: set[bytes] = set()
    for pack_id, inside in by_pack.items():
        size = _size(backend, f"packs/{pack_id}")
        there.update(p.entry.chunk_id for p in inside if p.entry.offset + p.entry.stored <= size)
    return there


def _size(backend: Backend, key: str) -> int:
    try:
        return backend.size(key)
    except NotFound:
        return -1

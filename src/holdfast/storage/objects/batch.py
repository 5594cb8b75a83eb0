"""Many objects at once: written as one pack, synced once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.chunks.cut import SMALLEST, chunk_id, cut
from holdfast.chunks.pack import PACK_LIMIT, PackBuilder
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import PayloadTooLarge
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend, Part
from holdfast.storage.objects.records import Blob
from holdfast.storage.objects.whole import whole_chunks, whole_objects
from holdfast.storage.objects.write import check_lease

__all__ = ["put_batch", "stored_chunks"]


def put_batch(storage: Storage, backend: Backend, clock: Clock, files: Iterable[Part]) -> list[Blob]:
    """Store many files, together at most 64 MB; durable before it returns. Blobs in the order of the files.

    What is stored already is not written again: neither whole files nor chunks of them.
    """
    blobs: list[Blob] = []
    fresh: dict[str, Part] = {}
    size = 0
    for file in files:
        size += len(file)
        if size > PACK_LIMIT:
            raise PayloadTooLarge(
                f"The files are together larger than {PACK_LIMIT} bytes.", hint="Send fewer."
            )
        blob = Blob(sha256_hex(file), len(file))
        blobs.append(blob)
        fresh[blob.sha256] = file
    for digest in _stored(storage, backend, list(fresh), clock.now_ms()):
        del fresh[digest]
    if fresh:
        _write(storage, backend, clock, fresh)
    return blobs


def _stored(storage: Storage, backend: Backend, digests: Sequence[str], now_ms: int) -> list[str]:
    """Those of the digests that are stored whole; they are touched."""
    seen = storage.read(lambda tx: rows.find_objects(tx, sorted(rows.which_objects(tx, digests))))
    whole = sorted(whole_objects(storage, backend, list(seen.values()))) if seen else []
    if not whole:
        return []

    def fn(tx: Tx) -> list[str]:
        found = rows.find_objects(tx, whole, for_update=True)
        kept = [digest for digest, row in found.items() if row.chunks == seen[digest].chunks]
        rows.touch_objects(tx, kept, True, now_ms)
        return kept

    return storage.write(fn)


def _write(storage: Storage, backend: Backend, clock: Clock, files: dict[str, Part]) -> None:
    started, now_ms = clock.now_ms(), clock.now_ms()
    chunks: dict[bytes, Part] = {}
    parts_of_files: list[bytes] = []
    recipes: list[tuple[str, int, bytes]] = []
    for digest, file in files.items():
        if 0 < len(file) <= SMALLEST:
            identity = chunk_id(file)
            chunks[identity] = file
            recipes.append((digest, len(file), identity))
            continue
        ids = []
        for piece in cut(file):
            ids.append(identity := chunk_id(piece))
            chunks[identity] = piece
        recipes.append((digest, len(file), b"".join(ids)))
        if len(ids) > 1:
            parts_of_files += ids
    # A chunk that is a whole small file would have been found as that file; looking for it too does not pay.
    known = stored_chunks(storage, backend, parts_of_files, now_ms) if parts_of_files else set()
    builder = PackBuilder()
    for identity, chunk in chunks.items():
        if identity not in known:
            builder.add(identity, chunk)
    pack_id, parts = new_id(), builder.parts()
    if builder.entries:
        backend.put(f"packs/{pack_id}", parts)
        check_lease(clock, started)
    size = sum(map(len, parts))

    def fn(tx: Tx) -> list[str]:
        if builder.entries:
            rows.add_pack(tx, pack_id, size, builder.entries, now_ms)
        # Stored meanwhile, or found damaged: what was written now takes its place.
        return rows.add_packed(tx, recipes, now_ms)

    backend.delete(storage.write(fn))


def stored_chunks(storage: Storage, backend: Backend, chunk_ids: Sequence[bytes], now_ms: int) -> set[bytes]:
    """Which chunks are stored whole; their packs are touched, so the collector leaves them for a grace.

    A look without a lock comes first, because most uploads hold new chunks alone.
    """
    if not storage.read(lambda tx: rows.places_of(tx, chunk_ids)):
        return set()
    places = storage.write(lambda tx: rows.known_chunks(tx, chunk_ids, now_ms))
    return whole_chunks(backend, places.values())

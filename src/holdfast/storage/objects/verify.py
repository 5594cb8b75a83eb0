"""Verification: every object is read and hashed, every pack checked from its own bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

from holdfast.chunks.pack import verify_pack
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.storage.engine import Storage
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend
from holdfast.storage.objects.collect import GcRoots
from holdfast.storage.objects.read import ObjectReader
from holdfast.storage.objects.records import Damage
from holdfast.storage.objects.rows import ObjectRow, PackRow
from holdfast.storage.values import misplaced_values

__all__ = ["verify"]

_MANY = 200
_BLOCK = 4 << 20


def verify(storage: Storage, backend: Backend, roots: Sequence[GcRoots]) -> Iterator[Damage | None]:
    """For each object and each pack: None when it is whole, else what is wrong and what refers to it.

    Objects that are deleted, packed or moved meanwhile are no damage.
    """
    if strange := storage.read(lambda tx: list(misplaced_values(tx, rows.TABLES))):
        # What is told of the bytes can't be followed; nothing can be said of them.
        yield from (Damage("database", problem) for problem in strange)
        return
    for row in _objects(storage):
        problem = _check_object(storage, backend, row)
        if problem is None:
            yield None
            continue
        named = [text for root in roots for text in storage.read(partial(root.referrers, digest=row.sha256))]
        yield Damage(row.sha256, problem, named)
    for pack in _packs(storage):
        problem = _check_pack(storage, backend, pack)
        yield None if problem is None else Damage(f"pack {pack.pack_id}", problem)


def _objects(storage: Storage) -> Iterator[ObjectRow]:
    after = ""
    while page := storage.read(partial(rows.list_objects, after=after, most=_MANY)):
        yield from page
        after = page[-1].sha256


def _packs(storage: Storage) -> Iterator[PackRow]:
    after = ""
    while page := storage.read(partial(rows.list_packs, after=after, most=_MANY)):
        yield from page
        after = page[-1].pack_id


def _check_object(storage: Storage, backend: Backend, row: ObjectRow) -> str | None:
    def find() -> ObjectRow:
        found = storage.read(lambda tx: rows.find_objects(tx, [row.sha256])).get(row.sha256)
        if found is None:
            raise _GoneError
        return found

    digest, size = hashlib.sha256(), 0
    try:
        reader = ObjectReader(storage, backend, find)
        while block := reader.read_part(_BLOCK):
            digest.update(block)
            size += len(block)
    except _GoneError:
        return None
    except NotFound as error:
        return f"Its bytes are lost: {error.message}"
    except IntegrityError as error:
        return error.message
    if size != row.size:
        return f"It has {size} bytes instead of {row.size}."
    return None if digest.hexdigest() == row.sha256 else "Its bytes have another digest."


def _check_pack(storage: Storage, backend: Backend, pack: PackRow) -> str | None:
    try:
        data = backend.read(f"packs/{pack.pack_id}", 0, pack.size + 1)
        if len(data) != pack.size:
            return f"It has {len(data)} bytes instead of {pack.size}."
        damaged = [entry.chunk_id.hex() for entry, _ in verify_pack(data)]
    except NotFound:
        gone = not storage.read(lambda tx: rows.known_keys(tx, [f"packs/{pack.pack_id}"]))
        return None if gone else "Its file is lost."
    except IntegrityError as error:
        return error.message
    if not damaged:
        return None
    return f"{len(damaged)} of its chunks are damaged: {', '.join(damaged[:5])}."


class _GoneError(Exception):
    """The object was deleted meanwhile."""

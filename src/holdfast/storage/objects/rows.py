"""The rows that say where objects, chunks and packs lie. Each function takes a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from holdfast.chunks.pack import PackEntry
from holdfast.storage.direct import Direct, DirectIn, Inserts
from holdfast.storage.engine import Tx
from holdfast.storage.tables import metadata

TABLES = ("object", "pack", "chunk")
_ID = 32
_MANY = 500

_objects = Table(
    "object",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("object_key", String(100)),
    Column("chunks", LargeBinary),
    Column("lasting", Boolean, nullable=False),
    Column("touched_at", BigInteger, nullable=False),
    Column("marked_at", BigInteger),
    Index("ix_object_object_key", "object_key", unique=True),
    Index("ix_object_touched_at", "touched_at"),
)
_packs = Table(
    "pack",
    metadata,
    Column("pack_id", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False),
    Column("suspect_at", BigInteger),
)
_chunks = Table(
    "chunk",
    metadata,
    Column("chunk_id", LargeBinary(_ID), primary_key=True),
    Column("pack_id", String(64), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("codec", BigInteger, nullable=False),
    Index("ix_chunk_pack_id", "pack_id"),
)

_SLOTS = [f"digest{at}" for at in range(_MANY)]
_WHICH_OBJECTS = Direct(select(_objects.c.sha256).where(_objects.c.sha256.in_(map(bindparam, _SLOTS))))
_FIND_OBJECTS = DirectIn(select(_objects).order_by(_objects.c.sha256), _objects.c.sha256)
_HOLD_OBJECTS = DirectIn(select(_objects).order_by(_objects.c.sha256).with_for_update(), _objects.c.sha256)
_NEW_OBJECTS = Inserts(_objects)
_NEW_PACKED = Inserts(_objects, "sha256", "size", "chunks", "lasting", "touched_at", skip_taken=True)
_NEW_CHUNKS = Inserts(_chunks, skip_taken=True)


class ObjectRow(msgspec.Struct, frozen=True):
    """An object: loose under `key`, or the chunks whose ids stand in `chunks`, 32 bytes each."""

    sha256: str
    size: int
    key: str | None
    chunks: bytes | None
    lasting: bool
    touched_at: int
    marked_at: int | None

    @property
    def chunk_ids(self) -> list[bytes]:
        """The ids of a packed object's chunks, in order."""
        blob = self.chunks or b""
        return [blob[at : at + _ID] for at in range(0, len(blob), _ID)]


class ChunkPlace(msgspec.Struct, frozen=True):
    """A chunk and the pack that holds it."""

    pack_id: str
    entry: PackEntry


class PackRow(msgspec.Struct, frozen=True):
    """A pack. `touched_at`: when one of its chunks was last used anew; `suspect_at`: when it may have lost some."""

    pack_id: str
    size: int
    touched_at: int
    suspect_at: int | None


def find_objects(tx: Tx, digests: Sequence[str], *, for_update: bool = False) -> dict[str, ObjectRow]:
    """The objects of these digests that are stored."""
    found = (_HOLD_OBJECTS if for_update else _FIND_OBJECTS).rows(tx, {}, digests)
    return {
        sha256: ObjectRow(sha256, size, key, chunks, bool(lasting), touched_at, marked_at)
        for sha256, size, key, chunks, lasting, touched_at, marked_at in found
    }


def which_objects(tx: Tx, digests: Sequence[str]) -> set[str]:
    """Which of these objects are stored, at less cost than `find_objects`."""
    found: set[str] = set()
    for some in _portions(digests):
        filled = [*some, *[some[-1]] * (_MANY - len(some))]
        found.update(digest for (digest,) in _WHICH_OBJECTS.rows(tx, dict(zip(_SLOTS, filled, strict=True))))
    return found


def touch_objects(tx: Tx, digests: Sequence[str], lasting: bool, now_ms: int) -> None:
    """Note that somebody put these bytes again: the collector waits for another grace."""
    values = {"touched_at": now_ms, "marked_at": None} | ({"lasting": True} if lasting else {})
    for some in _portions(digests):
        tx.execute(update(_objects).where(_objects.c.sha256.in_(some)).values(**values))


def add_loose(tx: Tx, sha256: str, size: int, key: str, lasting: bool, now_ms: int) -> None:
    """A new loose object."""
    _NEW_OBJECTS.run(tx, [(sha256, size, key, None, lasting, now_ms, None)])


def set_loose(tx: Tx, sha256: str, key: str, lasting: bool, now_ms: int) -> None:
    """Let an object be found under this key from now on, wherever it was."""
    touch_objects(tx, [sha256], lasting, now_ms)
    tx.execute(update(_objects).where(_objects.c.sha256 == sha256).values(object_key=key, chunks=None))


def add_packed(tx: Tx, objects: Sequence[tuple[str, int, bytes]], now_ms: int) -> list[str]:
    """Objects (digest, size, chunk ids) that lie in packs. One that was stored already lies there from now on: gives
    the keys under which such objects were."""
    left = {digest: (digest, size, ids, True, now_ms) for digest, size, ids in sorted(objects)}
    keys: list[str] = []
    while _NEW_PACKED.run(tx, list(left.values())) < len(left):
        there = find_objects(tx, list(left), for_update=True)
        for digest, row in there.items():
            _set_packed(tx, digest, left.pop(digest)[2], now_ms)
            if row.key is not None:
                keys.append(row.key)
    return keys


def _set_packed(tx: Tx, sha256: str, chunks: bytes, now_ms: int) -> None:
    tx.execute(
        update(_objects).where(_objects.c.sha256 == sha256)
        .values(object_key=None, chunks=chunks, lasting=True, touched_at=now_ms, marked_at=None)
    )  # fmt: skip


def move_to_packs(tx: Tx, sha256: str, key: str, chunks: bytes) -> bool:
    """Let an object that is loose under `key` be its chunks; False when it is no longer there."""
    done = tx.execute(
        update(_objects).where(_objects.c.sha256 == sha256, _objects.c.object_key == key)
        .values(object_key=None, chunks=chunks)
    )  # fmt: skip
    return done.rowcount == 1


def add_pack(tx: Tx, pack_id: str, size: int, entries: Sequence[PackEntry], now_ms: int) -> None:
    """A new pack with its chunks; one that lay in another pack, damaged or written meanwhile, lies here from now on."""
    tx.execute(insert(_packs).values(pack_id=pack_id, size=size, touched_at=now_ms, suspect_at=now_ms))
    left = {e.chunk_id: e for e in entries}
    while _NEW_CHUNKS.run(tx, [_chunk_row(pack_id, left[identity]) for identity in sorted(left)]) < len(left):
        others = {i: place for i, place in places_of(tx, list(left)).items() if place.pack_id != pack_id}
        place_chunks(tx, pack_id, [left[identity] for identity in others])
        suspect_packs_of(tx, {place.pack_id for place in others.values()}, now_ms)
        # Another transaction may have taken a chunk away in between: look again.
        here = {i for i, place in places_of(tx, list(left)).items() if place.pack_id == pack_id}
        left = {identity: e for identity, e in left.items() if identity not in here}


def _chunk_row(pack_id: str, e: PackEntry) -> tuple[bytes, str, int, int, int, int]:
    return e.chunk_id, pack_id, e.offset, e.stored, e.size, e.codec


def place_chunks(tx: Tx, pack_id: str, entries: Sequence[PackEntry]) -> None:
    """Let chunks that are stored already be found in this pack."""
    for e in entries:
        tx.execute(
            update(_chunks).where(_chunks.c.chunk_id == e.chunk_id)
            .values(pack_id=pack_id, start=e.offset, stored=e.stored, size=e.size, codec=e.codec)
        )  # fmt: skip


def suspect_packs_of(tx: Tx, pack_ids: Iterable[str], now_ms: int) -> None:
    """These packs may have lost chunks."""
    for some in _portions(sorted(pack_ids)):
        tx.execute(update(_packs).where(_packs.c.pack_id.in_(some)).values(suspect_at=now_ms))


def known_chunks(tx: Tx, chunk_ids: Sequence[bytes], now_ms: int) -> dict[bytes, ChunkPlace]:
    """Where those of these chunks lie that are stored. Their packs are touched: the collector leaves them for a grace."""
    while True:
        places = places_of(tx, chunk_ids)
        packs = sorted({place.pack_id for place in places.values()})
        touched = 0
        for some in _portions(packs):
            done = tx.execute(update(_packs).where(_packs.c.pack_id.in_(some)).values(touched_at=now_ms))
            touched += done.rowcount
        # Fewer: the collector's transaction, which this one waited for, took a pack away. Look again.
        if touched == len(packs):
            return places


def places_of(tx: Tx, chunk_ids: Sequence[bytes]) -> dict[bytes, ChunkPlace]:
    """Where these chunks lie."""
    c = _chunks.c
    found: dict[bytes, ChunkPlace] = {}
    for some in _portions(chunk_ids):
        query = select(c.chunk_id, c.pack_id, c.start, c.stored, c.size, c.codec).where(c.chunk_id.in_(some))
        for identity, pack_id, start, stored, size, codec in tx.execute(query):
            key = bytes(identity)
            found[key] = ChunkPlace(pack_id, PackEntry(key, start, stored, size, codec))
    return found


def chunks_of_packs(tx: Tx, pack_ids: Sequence[str]) -> dict[bytes, ChunkPlace]:
    """Every chunk of these packs."""
    c = _chunks.c
    found: dict[bytes, ChunkPlace] = {}
    for some in _portions(pack_ids):
        query = select(c.chunk_id, c.pack_id, c.start, c.stored, c.size, c.codec).where(c.pack_id.in_(some))
        for identity, pack_id, start, stored, size, codec in tx.execute(query):
            key = bytes(identity)
            found[key] = ChunkPlace(pack_id, PackEntry(key, start, stored, size, codec))
    return found


def list_loose(tx: Tx, before_ms: int, after: str, most: int) -> list[ObjectRow]:
    """Loose objects to pack: lasting, last put before this time, digests after `after`, in order."""
    query = select(_objects).where(
        _objects.c.object_key.is_not(None),
        _objects.c.lasting.is_(True),
        _objects.c.touched_at < before_ms,
        _objects.c.sha256 > after,
    )
    return [ObjectRow(*row) for row in tx.execute(query.order_by(_objects.c.sha256).limit(most))]


def list_objects(tx: Tx, after: str, most: int, *, before_ms: int | None = None) -> list[ObjectRow]:
    """Objects by digest, after `after`; with `before_ms` those alone that were last put before."""
    query = select(_objects).where(_objects.c.sha256 > after)
    if before_ms is not None:
        query = query.where(_objects.c.touched_at < before_ms)
    return [ObjectRow(*row) for row in tx.execute(query.order_by(_objects.c.sha256).limit(most))]


def mark(tx: Tx, digests: Sequence[str], marked_at: int | None) -> None:
    """Set or take away the mark of objects that nothing was found to refer to."""
    for some in _portions(digests):
        tx.execute(update(_objects).where(_objects.c.sha256.in_(some)).values(marked_at=marked_at))


def suspect_chunks(tx: Tx, chunk_ids: Sequence[bytes], now_ms: int) -> None:
    """The packs that hold these chunks may lose them."""
    for some in _portions(chunk_ids):
        holding = select(_chunks.c.pack_id).where(_chunks.c.chunk_id.in_(some))
        tx.execute(update(_packs).where(_packs.c.pack_id.in_(holding)).values(suspect_at=now_ms))


def remove_objects(tx: Tx, digests: Sequence[str]) -> None:
    """Forget these objects. Before, `suspect_chunks` names the packs that lose by it."""
    for some in _portions(digests):
        tx.execute(delete(_objects).where(_objects.c.sha256.in_(some)))


def remove_fleeting(tx: Tx, sha256: str) -> bool:
    """Forget an object unless anybody put it as lasting; whether it was there."""
    gone = tx.execute(delete(_objects).where(_objects.c.sha256 == sha256, _objects.c.lasting.is_(False)))
    return gone.rowcount == 1


def list_packs(tx: Tx, after: str, most: int) -> list[PackRow]:
    """Packs by id, after `after`."""
    query = select(_packs).where(_packs.c.pack_id > after).order_by(_packs.c.pack_id).limit(most)
    return [PackRow(*row) for row in tx.execute(query)]


def suspect_packs(tx: Tx, before_ms: int, most: int) -> list[PackRow]:
    """Packs that may have lost chunks, and of which none was used anew since this time."""
    query = select(_packs).where(_packs.c.suspect_at.is_not(None), _packs.c.touched_at < before_ms)
    return [
        PackRow(*row) for row in tx.execute(query.order_by(_packs.c.suspect_at, _packs.c.pack_id).limit(most))
    ]


def settle_packs(tx: Tx, packs: Sequence[PackRow]) -> None:
    """These packs were examined and stay; one that became suspect anew meanwhile stays suspect."""
    for pack in packs:
        tx.execute(
            update(_packs).where(_packs.c.pack_id == pack.pack_id, _packs.c.suspect_at == pack.suspect_at)
            .values(suspect_at=None)
        )  # fmt: skip


def unchanged_packs(tx: Tx, packs: Sequence[PackRow]) -> set[str]:
    """Which of these packs are there still and were not used anew; they are held until the end of the transaction."""
    seen = {pack.pack_id: pack.touched_at for pack in packs}
    kept: set[str] = set()
    for some in _portions(sorted(seen)):
        query = select(_packs.c.pack_id, _packs.c.touched_at).where(_packs.c.pack_id.in_(some))
        rows = tx.execute(query.order_by(_packs.c.pack_id).with_for_update())
        kept.update(pack_id for pack_id, touched_at in rows if seen[pack_id] == touched_at)
    return kept


def replace_packs(
    tx: Tx, old: Sequence[str], pack_id: str, size: int, entries: Sequence[PackEntry], now_ms: int
) -> None:
    """A new pack takes over these chunks of the old packs, which are forgotten with all others."""
    tx.execute(insert(_packs).values(pack_id=pack_id, size=size, touched_at=now_ms, suspect_at=None))
    place_chunks(tx, pack_id, entries)
    remove_packs(tx, old)


def remove_packs(tx: Tx, pack_ids: Sequence[str]) -> None:
    """Forget packs and the chunks that lie in them."""
    for some in _portions(pack_ids):
        tx.execute(delete(_chunks).where(_chunks.c.pack_id.in_(some)))
        tx.execute(delete(_packs).where(_packs.c.pack_id.in_(some)))


def known_keys(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Which of these keys of the store a row names."""
    found: set[str] = set()
    for some in _portions(keys):
        found.update(
            tx.execute(select(_objects.c.object_key).where(_objects.c.object_key.in_(some))).scalars()
        )
    ids = [key.removeprefix("packs/") for key in keys if key.startswith("packs/")]
    for some in _portions(ids):
        packs = tx.execute(select(_packs.c.pack_id).where(_packs.c.pack_id.in_(some))).scalars()
        found.update(f"packs/{pack_id}" for pack_id in packs)
    return found


def totals(tx: Tx) -> Mapping[str, int]:
    """Counts and bytes of objects, loose objects, packs and chunks."""
    c, p, k = _objects.c, _packs.c, _chunks.c
    loose = c.object_key.is_not(None)
    return {
        "objects": _one(tx, select(func.count()).select_from(_objects)),
        "object_bytes": _one(tx, select(func.sum(c.size))),
        "loose": _one(tx, select(func.count()).select_from(_objects).where(loose)),
        "loose_bytes": _one(tx, select(func.sum(c.size)).where(loose)),
        "packs": _one(tx, select(func.count()).select_from(_packs)),
        "pack_bytes": _one(tx, select(func.sum(p.size))),
        "chunks": _one(tx, select(func.count()).select_from(_chunks)),
        "chunk_bytes": _one(tx, select(func.sum(k.size))),
    }


def sizes(tx: Tx) -> tuple[int, int]:
    """(objects, the bytes that they take). Fewer questions than `totals`: for figures that are read often."""
    loose = _one(tx, select(func.sum(_objects.c.size)).where(_objects.c.object_key.is_not(None)))
    count = _one(tx, select(func.count()).select_from(_objects))
    return count, loose + _one(tx, select(func.sum(_packs.c.size)))


def _one(tx: Tx, query: Any) -> int:
    return int(tx.execute(query).scalar_one() or 0)


def _portions(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), _MANY):
        yield items[first : first + _MANY]

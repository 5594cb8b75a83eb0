"""Garbage collection: what nothing refers to goes, after two marks and a day of grace.

An object goes when it was last put more than a grace ago, a pass found nothing that refers to it, and another pass at
least a grace later found so again. The last look and the end of its row are one transaction, in which a put of the same
bytes comes either before, and saves it, or after, and stores it anew. A pack goes, or its living chunks move, when no
chunk of it was used anew since a grace before the pass. Keys of the store that no row names go when they are a grace
old: an upload may take half of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import msgspec

from holdfast.chunks.pack import PackBuilder, unpack_chunk
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.kernel.ids import new_id
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend, Entry
from holdfast.storage.objects.rows import ChunkPlace, ObjectRow, PackRow

__all__ = ["GRACE_MS", "Collected", "GcRoots", "collect"]

GRACE_MS = 24 * 3_600_000
_MANY = 500
_PACKS = 200
_MOSTLY_DEAD = 0.5


class GcRoots(Protocol):
    """A room that refers to objects. Declared here, bound by the composition root."""

    def referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        """Those of the digests that the room refers to."""
        ...

    def referrers(self, tx: Tx, digest: str) -> list[str]:
        """What refers to an object, in words for people; the first hundred at most."""
        ...


class Collected(msgspec.Struct, frozen=True):
    """What one pass did. `marked` objects may go in a pass at least a grace later."""

    marked: int = 0
    objects: int = 0
    packs: int = 0
    rewritten: int = 0
    orphans: int = 0
    freed_bytes: int = 0


def collect(
    storage: Storage,
    backend: Backend,
    clock: Clock,
    roots: Sequence[GcRoots],
    renew: Callable[[], None],
    grace_ms: int = GRACE_MS,
) -> Collected:
    """One pass. Safe beside writers, packers and other collectors, and killed at any point.

    `renew` is called between pieces of work; the pass ends when it raises.
    """
    collector = _Collector(storage, backend, clock.now_ms(), roots, renew, grace_ms)
    marked, objects, freed = collector.objects()
    packs, rewritten, from_packs = collector.packs()
    orphans, from_orphans = collector.orphans()
    return Collected(marked, objects, packs, rewritten, orphans, freed + from_packs + from_orphans)


class _Collector:
    def __init__(
        self,
        storage: Storage,
        backend: Backend,
        now_ms: int,
        roots: Sequence[GcRoots],
        renew: Callable[[], None],
        grace_ms: int,
    ) -> None:
        self._storage, self._backend, self._now_ms = storage, backend, now_ms
        self._roots, self._renew = roots, renew
        self._before = now_ms - grace_ms

    def objects(self) -> tuple[int, int, int]:
        """Mark, and end what was marked a grace ago: (newly marked, ended, bytes of files freed)."""
        marked = ended = freed = 0
        after = ""
        while page := self._storage.read(
            partial(rows.list_objects, after=after, most=_MANY, before_ms=self._before)
        ):
            after = page[-1].sha256
            self._renew()
            lost = self._unreferred(page)
            fresh = [row.sha256 for row in lost if row.marked_at is None]
            found_again = [row.sha256 for row in page if row.marked_at is not None and row not in lost]
            if fresh or found_again:
                self._storage.write(partial(self._mark, fresh=fresh, found_again=found_again))
                marked += len(fresh)
            due = [row for row in lost if row.marked_at is not None and row.marked_at <= self._before]
            if due:
                gone = self._end(due)
                ended += len(gone)
                freed += sum(row.size for row in gone if row.key is not None)
        return marked, ended, freed

    def _unreferred(self, page: Sequence[ObjectRow]) -> list[ObjectRow]:
        digests = [row.sha256 for row in page]
        referred = self._storage.read(lambda tx: self._referred(tx, digests))
        return [row for row in page if row.sha256 not in referred]

    def _referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        return set[str]().union(*(root.referred(tx, digests) for root in self._roots))

    def _mark(self, tx: Tx, fresh: Sequence[str], found_again: Sequence[str]) -> None:
        old = rows.find_objects(tx, fresh, for_update=True)
        rows.mark(tx, [d for d, row in old.items() if row.touched_at < self._before], self._now_ms)
        rows.mark(tx, found_again, None)

    def _end(self, due: Sequence[ObjectRow]) -> list[ObjectRow]:
        """Forget these objects, then delete their files. Packs that hold their chunks are suspect from before."""
        ids = list({identity for row in due for identity in row.chunk_ids})
        for first in range(0, len(ids), _MANY):
            some = ids[first : first + _MANY]
            self._storage.write(partial(rows.suspect_chunks, chunk_ids=some, now_ms=self._now_ms))
        seen = {row.sha256: row for row in due}

        def fn(tx: Tx) -> list[ObjectRow]:
            now = rows.find_objects(tx, list(seen), for_update=True)
            same = [
                row
                for row in now.values()
                if (row.touched_at, row.marked_at)
                == (seen[row.sha256].touched_at, seen[row.sha256].marked_at)
            ]
            referred = self._referred(tx, [row.sha256 for row in same])
            gone = [row for row in same if row.sha256 not in referred]
            rows.remove_objects(tx, [row.sha256 for row in gone])
            return gone

        gone = self._storage.write(fn)
        self._backend.delete([row.key for row in gone if row.key is not None])
        return gone

    def packs(self) -> tuple[int, int, int]:
        """Examine suspect packs: (deleted, rewritten, bytes freed)."""
        deleted = rewritten = freed = 0
        examined: set[str] = set()
        while packs := self._suspects(examined):
            self._renew()
            examined.update(pack.pack_id for pack in packs)
            ids = [pack.pack_id for pack in packs]
            places = self._storage.read(partial(rows.chunks_of_packs, pack_ids=ids))
            living = self._living(set(places))
            dead, poor, rich = [], [], []
            for pack in packs:
                inside = [place for place in places.values() if place.pack_id == pack.pack_id]
                alive = [place for place in inside if place.entry.chunk_id in living]
                size = sum(place.entry.stored for place in alive)
                if not alive:
                    dead.append(pack)
                elif size < pack.size * (1 - _MOSTLY_DEAD):
                    poor.append((pack, alive))
                else:
                    rich.append(pack)
            gone = self._drop(dead)
            moved, freed_by_moving, damaged = self._rewrite(poor)
            self._settle([*rich, *damaged])
            deleted += len(gone)
            rewritten += moved
            freed += sum(pack.size for pack in dead if pack.pack_id in gone) + freed_by_moving
        return deleted, rewritten, freed

    def _suspects(self, examined: set[str]) -> list[PackRow]:
        most = len(examined) + _PACKS
        found = self._storage.read(lambda tx: rows.suspect_packs(tx, self._before, most))
        return [pack for pack in found if pack.pack_id not in examined][:_PACKS]

    def _settle(self, packs: Sequence[PackRow]) -> None:
        if packs:
            self._storage.write(lambda tx: rows.settle_packs(tx, packs))

    def _living(self, wanted: set[bytes]) -> set[bytes]:
        """Those of the chunks that an object consists of."""
        living: set[bytes] = set()
        after = ""
        while page := self._storage.read(partial(rows.list_objects, after=after, most=_MANY)):
            after = page[-1].sha256
            for row in page:
                living.update(wanted.intersection(row.chunk_ids))
        return living

    def _drop(self, packs: Sequence[PackRow]) -> set[str]:
        def fn(tx: Tx) -> set[str]:
            gone = rows.unchanged_packs(tx, packs)
            rows.remove_packs(tx, sorted(gone))
            return gone

        gone = self._storage.write(fn) if packs else set()
        self._backend.delete([f"packs/{pack_id}" for pack_id in sorted(gone)])
        return gone

    def _rewrite(self, poor: Sequence[tuple[PackRow, list[ChunkPlace]]]) -> tuple[int, int, list[PackRow]]:
        """Move the living chunks of each pack to a new one: (packs rewritten, bytes freed, damaged packs)."""
        moved = freed = 0
        damaged: list[PackRow] = []
        for pack, alive in poor:
            self._renew()
            builder = PackBuilder()
            try:
                for place in sorted(alive, key=lambda place: place.entry.offset):
                    stored = self._backend.read(
                        f"packs/{pack.pack_id}", place.entry.offset, place.entry.stored
                    )
                    unpack_chunk(place.entry, stored)
                    builder.copy(place.entry, bytes(stored))
            except (
                NotFound,
                IntegrityError,
            ):  # damaged: what is left of it stays as it is, for `verify` to name
                damaged.append(pack)
                continue
            if self._swap(pack, builder):
                moved += 1
                freed += pack.size - builder.size
        return moved, freed, damaged

    def _swap(self, pack: PackRow, builder: PackBuilder) -> bool:
        pack_id, parts = new_id(), builder.parts()
        size = sum(map(len, parts))
        self._backend.put(f"packs/{pack_id}", parts)

        def fn(tx: Tx) -> bool:
            if not rows.unchanged_packs(tx, [pack]):
                return False
            rows.replace_packs(tx, [pack.pack_id], pack_id, size, builder.entries, self._now_ms)
            return True

        is_done = self._storage.write(fn)
        self._backend.delete([f"packs/{pack.pack_id if is_done else pack_id}"])
        return is_done

    def orphans(self) -> tuple[int, int]:
        """Delete keys that no row names and that are a grace old: (how many, their bytes)."""
        count = size = 0
        for prefix in ("loose", "packs"):
            entries = self._backend.list(prefix)
            while page := list(islice(entries, _MANY)):
                self._renew()
                lost = self._without_row([entry for entry in page if entry.modified_ms < self._before])
                self._backend.delete([entry.key for entry in lost])
                count += len(lost)
                size += sum(entry.size for entry in lost)
        return count, size

    def _without_row(self, old: Sequence[Entry]) -> list[Entry]:
        known = self._storage.read(lambda tx: rows.known_keys(tx, [entry.key for entry in old]))
        return [entry for entry in old if entry.key not in known]

"""Objects: bytes named by their SHA-256, durable before the answer."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from holdfast.kernel.clock import Clock, SystemClock
from holdfast.kernel.errors import IntegrityError, InvalidInput, NotFound
from holdfast.kernel.hashing import is_sha256, sha256_hex
from holdfast.kernel.spans import span
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.adopt import adopt
from holdfast.storage.objects.backend import Backend, Part
from holdfast.storage.objects.collect import GRACE_MS, Collected, GcRoots, collect
from holdfast.storage.objects.read import ObjectReader
from holdfast.storage.objects.records import Blob, Damage, Stats, Stored
from holdfast.storage.objects.rows import ObjectRow
from holdfast.storage.objects.write import Refer, put_bytes, put_stream

__all__ = ["Objects"]

T = TypeVar("T")
_BLOCK = 1 << 20
_PAGE = 1000


class Objects:
    """A content-addressed store: bytes in a backend, where they lie in the database. Thread-safe.

    What a put acknowledged is durable and comes back whole, also from another process; nothing half-written is ever
    seen; the same bytes are kept once. A put needs the bytes themselves: knowing a digest gives nothing. A stored
    object stays for a grace of 24 hours, within which the caller's own row must refer to it.
    """

    def __init__(self, storage: Storage, backend: Backend, clock: Clock | None = None) -> None:
        self.backend = backend
        self._storage = storage
        self._clock = clock or SystemClock()

    @property
    def url(self) -> str:
        """Where the bytes are."""
        return self.backend.url

    # Writing

    def put(self, data: bytes, *, lasting: bool = True) -> Blob:
        """Store `data`. What is not `lasting` will be deleted soon, and is never packed."""
        with span("objects.put", size=len(data)):
            return put_bytes(self._storage, self.backend, self._clock, data, lasting, _alone)

    def put_stream(self, blocks: Iterable[Part], most: int | None = None, *, lasting: bool = True) -> Blob:
        """Store the bytes of `blocks`, which are never held in memory together and must not change afterwards.

        Raises PayloadTooLarge when they are more than `most` bytes; then nothing is kept.
        """
        with span("objects.put"):
            return put_stream(self._storage, self.backend, self._clock, blocks, most, lasting, _alone)

    def put_for(
        self,
        blocks: Iterable[Part],
        refer: Refer[T],
        most: int | None = None,
        *,
        lasting: bool = True,
    ) -> T:
        """As `put_stream`; in the transaction that makes the object findable runs `refer(tx, blob)`, whose result it
        gives: the caller's row with the bytes, by one commit. What `refer` raises is raised; then nothing refers.
        """
        with span("objects.put"):
            return put_stream(self._storage, self.backend, self._clock, blocks, most, lasting, refer)

    def put_file(self, path: Path) -> Blob:
        """Store the bytes of a file."""
        with path.open("rb", buffering=0) as file:
            return self.put_stream(iter(lambda: file.read(_BLOCK), b""))

    def put_batch(self, files: Iterable[Part]) -> list[Blob]:
        """Store many files of together at most 64 MB as one pack, synced once. Blobs in their order.

        When `files` raises, nothing is kept.
        """
        from holdfast.storage.objects.batch import put_batch  # chunking is loaded where it is used alone

        with span("objects.put_batch"):
            return put_batch(self._storage, self.backend, self._clock, files)

    # Reading

    def get(self, sha256: str) -> bytes:
        """The bytes behind a digest, checked against it. Raises NotFound, or IntegrityError when they differ."""
        with span("objects.get"), self.open(sha256) as file:
            data = file.read()
        if sha256_hex(data) != sha256:
            raise IntegrityError(
                f"The object {sha256} is damaged: its bytes have another digest.",
                hint="Restore it from a backup, or put the same bytes again.",
            )
        return data

    def open(self, sha256: str) -> BinaryIO:
        """The bytes behind a digest as a file opened for reading, not checked as a whole. Raises NotFound."""
        return cast(BinaryIO, io.BufferedReader(self._reader(sha256), self.backend.block))

    def open_range(self, sha256: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start` on, fewer at the end; those of a loose object are not checked."""
        if start < 0 or length < 0:
            raise InvalidInput(f"The range of {length} bytes from {start} on is no range.")
        reader = self._reader(sha256)
        reader.seek(start)
        parts: list[Part] = []
        while length and (part := reader.read_part(length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def copy_to(self, sha256: str, path: Path) -> None:
        """Write an object to a new local file, checked. Raises NotFound, IntegrityError."""
        with self.open(sha256) as file, path.open("xb") as target:
            digest = _copy(file, target)
        if digest != sha256:
            path.unlink()
            raise IntegrityError(f"The object {sha256} is damaged: its bytes have another digest.")

    def exists(self, sha256: str) -> bool:
        """Whether the object is stored."""
        return self._find(sha256) is not None

    def presign(self, sha256: str, seconds: int) -> str | None:
        """An address that gives the object's bytes to whoever has it, for so long.

        None where there is none: a local folder, or an object that lies in packs. Raises NotFound.
        """
        row = self._row(sha256)
        return None if row.key is None else self.backend.presign(row.key, seconds)

    def list(self) -> Iterator[Stored]:
        """Every object by digest."""
        after = ""
        while page := self._storage.read(partial(rows.list_objects, after=after, most=_PAGE)):
            for row in page:
                yield Stored(row.sha256, row.size, row.key is None, row.touched_at)
            after = page[-1].sha256

    def stats(self) -> Stats:
        """How much is stored."""
        return Stats(
            url=self.url,
            conditional_put=self.backend.is_conditional(),
            **self._storage.read(rows.totals),
        )

    def sizes(self) -> tuple[int, int]:
        """(how many objects there are, the bytes that they take): cheaper than `stats`."""
        return self._storage.read(rows.sizes)

    def table(self, kind: str, owner: str) -> str:
        """The address of a Delta table: `<url>/<kind>/<owner>`."""
        return self.backend.table(f"{kind}/{owner}")

    def check(self) -> None:
        """Raises Unavailable when the store can't be reached now."""
        self.backend.check()

    # Upkeep

    def discard(self, sha256: str) -> None:
        """Remove an object that was put as not lasting, at once. One that anybody put as lasting stays; no error
        when it is gone already."""
        row = self._find(sha256)
        if row is None or row.lasting:
            return
        if self._storage.write(lambda tx: rows.remove_fleeting(tx, sha256)) and row.key is not None:
            self.backend.delete([row.key])

    def pack(self, renew: Callable[[], None], after_ms: int | None = None) -> int:
        """Pack the lasting loose objects that were put at least `after_ms` ago (ten minutes): how many were packed."""
        from holdfast.storage.objects.pack import PACK_AFTER_MS, pack_loose

        before = self._clock.now_ms() - (PACK_AFTER_MS if after_ms is None else after_ms)
        return pack_loose(self._storage, self.backend, self._clock, before, renew)

    def collect(
        self, roots: Sequence[GcRoots], renew: Callable[[], None], grace_ms: int = GRACE_MS
    ) -> Collected:
        """One pass of garbage collection: see `collect`."""
        return collect(self._storage, self.backend, self._clock, roots, renew, grace_ms)

    def verify(self, roots: Sequence[GcRoots]) -> Iterator[Damage | None]:
        """Every object and pack, checked: see `verify`."""
        from holdfast.storage.objects.verify import verify

        return verify(self._storage, self.backend, roots)

    def adopt(self) -> int:
        """Take over the objects of an earlier version's folder: how many."""
        return adopt(self._storage, self.backend, self._clock.now_ms())

    def _find(self, sha256: str) -> ObjectRow | None:
        if not is_sha256(sha256):
            raise InvalidInput(f"{sha256[:80]!r} is not a SHA-256 in lower-case hex.")
        return self._storage.read(lambda tx: rows.find_objects(tx, [sha256])).get(sha256)

    def _row(self, sha256: str) -> ObjectRow:
        row = self._find(sha256)
        if row is None:
            raise NotFound(f"There is no object {sha256}.")
        return row

    def _reader(self, sha256: str) -> ObjectReader:
        return ObjectReader(self._storage, self.backend, lambda: self._row(sha256))


def _alone(_tx: Tx, blob: Blob) -> Blob:
    """Nothing but the object."""
    return blob


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()

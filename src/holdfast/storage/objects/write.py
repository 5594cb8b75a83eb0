"""Writing an object: its bytes under a new key, durable, then the row that names it."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import PayloadTooLarge, Unavailable
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend, Part
from holdfast.storage.objects.records import Blob
from holdfast.storage.objects.whole import whole_objects

__all__ = ["LEASE_MS", "check_lease", "put_bytes", "put_stream"]

LEASE_MS = 12 * 3_600_000
"""How long an upload may take: half of the collector's grace, which spares what has no row yet."""
_PORTION, _WAITING = 2 << 20, 4
"""The hash takes so many bytes at a time, and so many portions wait for it."""


def put_bytes(storage: Storage, backend: Backend, clock: Clock, data: Part, lasting: bool) -> Blob:
    """Store bytes that are in memory; when they are stored already, nothing is written."""
    blob = Blob(sha256_hex(data), len(data))
    if _touch(storage, backend, blob, lasting, clock.now_ms()):
        return blob
    key, started = f"loose/{new_id()}", clock.now_ms()
    backend.put(key, [data])
    _name(storage, backend, clock, blob, key, lasting, started)
    return blob


def put_stream(
    storage: Storage, backend: Backend, clock: Clock, blocks: Iterable[Part], most: int | None, lasting: bool
) -> Blob:
    """Store the bytes of `blocks`, hashed in a thread beside the writing once they are many."""
    key, started = f"loose/{new_id()}", clock.now_ms()
    writer = backend.writer(key)
    size = 0
    try:
        with _Hash() as digest:
            for block in blocks:
                size += len(block)
                if most is not None and size > most:
                    raise PayloadTooLarge(f"The body is larger than {most} bytes.", hint="Send it in parts.")
                digest.update(block)
                writer.write(block)
            blob = Blob(digest.hexdigest(), size)
        if _touch(storage, backend, blob, lasting, clock.now_ms()):
            writer.abort()
            return blob
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    _name(storage, backend, clock, blob, key, lasting, started)
    return blob


def check_lease(clock: Clock, started: int) -> None:
    """Raises Unavailable when an upload took so long that the collector may have taken its bytes for left over."""
    if clock.now_ms() - started > LEASE_MS:
        raise Unavailable(
            f"The upload took more than {LEASE_MS // 3_600_000} hours; nothing was stored.",
            hint="Send it again.",
        )


def _touch(storage: Storage, backend: Backend, blob: Blob, lasting: bool, now_ms: int) -> bool:
    """Whether the object is stored, whole by its sizes; then the collector leaves it for another grace."""
    seen = storage.read(lambda tx: rows.find_objects(tx, [blob.sha256])).get(blob.sha256)
    if seen is None or not whole_objects(storage, backend, [seen]):
        return False

    def fn(tx: Tx) -> bool:
        row = rows.find_objects(tx, [blob.sha256], for_update=True).get(blob.sha256)
        if row is None or (row.key, row.chunks) != (seen.key, seen.chunks):
            return False
        rows.touch_objects(tx, [blob.sha256], lasting, now_ms)
        return True

    return storage.write(fn)


def _name(
    storage: Storage, backend: Backend, clock: Clock, blob: Blob, key: str, lasting: bool, started: int
) -> None:
    """Let the object be found under the key. What stood there before, damaged or put at the same time, is removed."""
    try:
        check_lease(clock, started)
    except Unavailable:
        backend.delete([key])
        raise
    now_ms = clock.now_ms()

    def fn(tx: Tx) -> str | None:
        row = rows.find_objects(tx, [blob.sha256], for_update=True).get(blob.sha256)
        if row is None:
            rows.add_loose(tx, blob.sha256, blob.size, key, lasting, now_ms)
            return None
        rows.set_loose(tx, blob.sha256, key, lasting, now_ms)
        return row.key

    before = storage.write(fn)
    if before is not None:
        backend.delete([before])


class _Hash:
    """SHA-256 of blocks: of the first few at once, of more in a thread, while the caller writes them."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._held: list[Part] = []
        self._size = 0
        self._queue: queue.Queue[list[Part]] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Hash:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def update(self, block: Part) -> None:
        """Add a block, which must not change afterwards."""
        self._held.append(block)
        self._size += len(block)
        if self._size < _PORTION:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="holdfast-hash", daemon=True)
            self._thread.start()
        self._queue.put(self._held)
        self._held, self._size = [], 0

    def hexdigest(self) -> str:
        """The digest of everything."""
        self._end()
        for block in self._held:
            self._digest.update(block)
        self._held = []
        return self._digest.hexdigest()

    def _end(self) -> None:
        if self._thread is not None:
            self._queue.put([])
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while blocks := self._queue.get():
            for block in blocks:
                self._digest.update(block)

"""Writing an object: its bytes under a new key, durable, then the row that names it."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import PayloadTooLarge, Unavailable
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend, Part
from holdfast.storage.objects.records import Blob
from holdfast.storage.objects.whole import whole_objects

__all__ = ["LEASE_MS", "Refer", "check_lease", "put_bytes", "put_stream"]

T = TypeVar("T")
Refer = Callable[[Tx, Blob], T]
"""What is done about an object in the transaction that makes it findable."""
LEASE_MS = 12 * 3_600_000
"""How long an upload may take: half of the collector's grace, which spares what has no row yet."""
_SMALL = 1 << 20
_PORTION, _WAITING = 2 << 20, 4
"""The hash takes so many bytes at a time, and so many portions wait for it."""


def put_bytes(
    storage: Storage, backend: Backend, clock: Clock, data: Part, lasting: bool, refer: Refer[T]
) -> T:
    """Store bytes that are in memory; when they are stored already, nothing is written."""
    blob = Blob(sha256_hex(data), len(data))
    touched = _touch(storage, backend, blob, lasting, clock.now_ms(), refer)
    if touched is not None:
        return touched.value
    key, started = f"loose/{new_id()}", clock.now_ms()
    backend.put(key, [data])
    return _name(storage, backend, clock, blob, key, lasting, started, refer)


def put_stream(
    storage: Storage,
    backend: Backend,
    clock: Clock,
    blocks: Iterable[Part],
    most: int | None,
    lasting: bool,
    refer: Refer[T],
) -> T:
    """Store the bytes of `blocks`: a few as one piece, more as they come, hashed in a thread beside the writing."""
    stream = _limited(blocks, most)
    begun, size = [], 0
    for block in stream:
        begun.append(block)
        size += len(block)
        if size > _SMALL:
            break
    else:
        return put_bytes(storage, backend, clock, b"".join(begun), lasting, refer)
    key, started = f"loose/{new_id()}", clock.now_ms()
    writer = backend.writer(key)
    size = 0
    try:
        with _Hash() as digest:
            for block in chain(begun, stream):
                size += len(block)
                digest.update(block)
                writer.write(block)
            blob = Blob(digest.hexdigest(), size)
        touched = _touch(storage, backend, blob, lasting, clock.now_ms(), refer)
        if touched is not None:
            writer.abort()
            return touched.value
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return _name(storage, backend, clock, blob, key, lasting, started, refer)


def _limited(blocks: Iterable[Part], most: int | None) -> Iterator[Part]:
    """The blocks. Raises PayloadTooLarge with the one that is beyond the limit."""
    size = 0
    for block in blocks:
        size += len(block)
        if most is not None and size > most:
            raise PayloadTooLarge(f"The body is larger than {most} bytes.", hint="Send it in parts.")
        yield block


def check_lease(clock: Clock, started: int) -> None:
    """Raises Unavailable when an upload took so long that the collector may have taken its bytes for left over."""
    if clock.now_ms() - started > LEASE_MS:
        raise Unavailable(
            f"The upload took more than {LEASE_MS // 3_600_000} hours; nothing was stored.",
            hint="Send it again.",
        )


def _touch(
    storage: Storage, backend: Backend, blob: Blob, lasting: bool, now_ms: int, refer: Refer[T]
) -> _Touched[T] | None:
    """When the object is stored, whole by its sizes: referred to, and the collector leaves it for another grace."""
    seen = storage.read(lambda tx: rows.find_objects(tx, [blob.sha256])).get(blob.sha256)
    if seen is None or not whole_objects(storage, backend, [seen]):
        return None

    def fn(tx: Tx) -> T:
        value = refer(tx, blob)
        row = rows.find_objects(tx, [blob.sha256], for_update=True).get(blob.sha256)
        if row is None or (row.key, row.chunks) != (seen.key, seen.chunks):
            raise _Moved
        rows.touch_objects(tx, [blob.sha256], lasting, now_ms)
        return value

    try:
        return _Touched(storage.write(fn))
    except _Moved:
        return None


class _Moved(Exception):
    """The object was collected, packed or put again since it was looked at: what refers to it is rolled back."""


class _Touched(Generic[T]):
    """What `refer` gave."""

    def __init__(self, value: T) -> None:
        self.value = value


def _name(
    storage: Storage,
    backend: Backend,
    clock: Clock,
    blob: Blob,
    key: str,
    lasting: bool,
    started: int,
    refer: Refer[T],
) -> T:
    """Let the object be found under the key. What stood there before, damaged or put at the same time, is removed."""
    try:
        check_lease(clock, started)
    except Unavailable:
        backend.delete([key])
        raise
    now_ms = clock.now_ms()

    def fn(tx: Tx) -> tuple[T, str | None]:
        value = refer(tx, blob)
        row = rows.find_objects(tx, [blob.sha256], for_update=True).get(blob.sha256)
        if row is None:
            rows.add_loose(tx, blob.sha256, blob.size, key, lasting, now_ms)
            return value, None
        rows.set_loose(tx, blob.sha256, key, lasting, now_ms)
        return value, row.key

    # When it raises, the bytes are left to the collector: whether a lost commit took place is not always known.
    value, before = storage.write(fn)
    if before is not None:
        backend.delete([before])
    return value


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

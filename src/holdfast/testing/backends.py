"""The contract of an object store's backend: bytes under keys."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from holdfast.kernel.errors import NotFound
from holdfast.kernel.ids import new_id
from holdfast.storage.objects import Backend
from holdfast.testing.expect import raises

__all__ = ["BackendContract"]

_PART = 8 << 20


class BackendContract:
    """Needs a fixture `backend`, a store that may hold other keys already."""

    def test_what_is_put_is_read_back(self, backend: Backend) -> None:
        for data in (b"", b"a", os.urandom(100_000)):
            key = f"loose/{new_id()}"
            backend.put(key, [data])
            assert backend.size(key) == len(data)
            assert bytes(backend.read(key, 0, len(data) + 10)) == data

    def test_parts_are_joined(self, backend: Backend) -> None:
        key = f"packs/{new_id()}"
        parts: list[bytes | memoryview] = [os.urandom(5_000_000), memoryview(b"middle"), b"", os.urandom(9)]
        backend.put(key, parts)
        assert bytes(backend.read(key, 0, 10_000_000)) == b"".join(parts)

    def test_a_stream_of_many_parts_is_read_back(self, backend: Backend) -> None:
        for size in (0, 1, 4096, 4 << 20, (4 << 20) + 1, 2 * _PART + 12_345):
            data, key = os.urandom(size), f"loose/{new_id()}"
            writer = backend.writer(key)
            for first in range(0, size, 1 << 20):
                writer.write(data[first : first + (1 << 20)])
            writer.commit()
            writer.abort()
            assert backend.size(key) == size
            assert bytes(backend.read(key, 0, size + 1)) == data

    def test_what_is_aborted_is_not_there(self, backend: Backend) -> None:
        for size in (0, 10, _PART + 1):
            key = f"loose/{new_id()}"
            writer = backend.writer(key)
            writer.write(b"x" * size)
            writer.abort()
            writer.abort()
            with raises(NotFound, key):
                backend.size(key)

    def test_what_is_listed_is_below_the_folder_at_any_depth(self, backend: Backend) -> None:
        name = new_id()
        assert list(backend.list(f"loose/{name}")) == []
        backend.put(f"loose/{name}", [b"beside"])
        assert list(backend.list(f"loose/{name}")) == []

    def test_ranges(self, backend: Backend) -> None:
        key = f"loose/{new_id()}"
        backend.put(key, [b"0123456789"])
        ranges = {(0, 0): b"", (0, 1): b"0", (3, 4): b"3456", (8, 10): b"89", (10, 5): b"", (99, 5): b""}
        assert {asked: bytes(backend.read(key, *asked)) for asked in ranges} == ranges

    def test_what_is_not_there_is_named(self, backend: Backend) -> None:
        key = f"loose/{new_id()}"
        with raises(NotFound, key):
            backend.size(key)
        with raises(NotFound, key):
            backend.read(key, 0, 10)

    def test_deleting_is_idempotent(self, backend: Backend) -> None:
        kept, gone = f"loose/{new_id()}", f"loose/{new_id()}"
        backend.put(kept, [b"kept"])
        backend.put(gone, [b"gone"])
        backend.delete([gone])
        backend.delete([gone, f"loose/{new_id()}"])
        assert bytes(backend.read(kept, 0, 10)) == b"kept"
        with raises(NotFound):
            backend.size(gone)

    def test_listing_names_every_key_of_a_folder(self, backend: Backend) -> None:
        keys = {f"packs/{new_id()}": size for size in range(1, 8)}
        for key, size in keys.items():
            backend.put(key, [b"x" * size])
        found = {entry.key: entry for entry in backend.list("packs")}
        assert {key: found[key].size for key in keys} == keys
        assert all(found[key].modified_ms > 1_600_000_000_000 for key in keys)
        assert not any(key.startswith("loose") for key in found)

    def test_one_of_many_creates_a_key_where_the_store_can_tell(self, backend: Backend) -> None:
        key = f"loose/{new_id()}"
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda number: backend.put_new(key, b"%d" % number), range(8)))
        stored = bytes(backend.read(key, 0, 10))
        if backend.is_conditional():
            assert made.count(True) == 1
            assert stored == b"%d" % made.index(True)
        else:
            assert stored in {b"%d" % number for number in range(8)}

    def test_many_threads_at_once(self, backend: Backend) -> None:
        blocks = {f"loose/{new_id()}": os.urandom(10_000) for _ in range(32)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: backend.put(item[0], [item[1]]), blocks.items()))
            read = dict(
                zip(blocks, pool.map(lambda key: bytes(backend.read(key, 0, 20_000)), blocks), strict=True)
            )
        assert read == blocks

    def test_a_store_that_is_there_passes_its_check(self, backend: Backend) -> None:
        backend.check()

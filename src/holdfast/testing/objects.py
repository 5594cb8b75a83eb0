"""The contract of the object store as rooms use it, over any backend and database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import IntegrityError, InvalidInput, NotFound, PayloadTooLarge
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Objects, Tx
from holdfast.storage.objects import GRACE_MS, Blob
from holdfast.testing.expect import raises

__all__ = ["ObjectsContract", "Roots"]


class Roots:
    """A room that refers to what its test says."""

    def __init__(self) -> None:
        self.digests: set[str] = set()

    def referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        """Those that are referred to."""
        return self.digests.intersection(digests)

    def referrers(self, tx: Tx, digest: str) -> list[str]:
        """What refers to an object."""
        return ["the test"] if digest in self.digests else []


def _on() -> None:
    """The lease is held."""


class ObjectsContract:
    """Needs fixtures `objects`, an empty store, and `clock`, the ManualClock that it was built with, at the present."""

    def test_what_is_put_comes_back(self, objects: Objects, tmp_path: Path) -> None:
        for data in (b"", b"a", os.urandom(3_000_000)):
            blob = objects.put(data)
            assert blob == Blob(sha256_hex(data), len(data))
            assert objects.exists(blob.sha256)
            assert objects.get(blob.sha256) == data
            assert objects.open_range(blob.sha256, 0, len(data) + 5) == data
            with objects.open(blob.sha256) as file:
                assert file.read() == data
            objects.copy_to(blob.sha256, tmp_path / blob.sha256)
            assert (tmp_path / blob.sha256).read_bytes() == data

    def test_the_same_bytes_are_kept_once(self, objects: Objects, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"same")
        blobs = [
            objects.put(b"same"),
            objects.put_stream(iter([b"sa", b"", b"me"])),
            objects.put_file(tmp_path / "file"),
            *objects.put_batch([b"same", b"same"]),
        ]
        assert set(blobs) == {Blob(sha256_hex(b"same"), 4)}
        stats = objects.stats()
        assert (stats.objects, stats.loose, stats.packs) == (1, 1, 0)

    def test_what_refers_to_an_object_comes_with_it_or_not_at_all(self, objects: Objects) -> None:
        class Refused(Exception):
            """Of who would have referred."""

        def refuse(_tx: Tx, _blob: Blob) -> None:
            raise Refused

        for data in (b"few", os.urandom(2_500_000)):
            digest = sha256_hex(data)
            with raises(Refused, ""):
                objects.put_for(iter([data]), refuse)
            assert not objects.exists(digest)
            for _ in range(2):  # new, then there already
                found = objects.put_for(
                    iter([data[:2], data[2:]]), lambda tx, blob: (blob, tx.in_transaction()), len(data)
                )
                assert found == (Blob(digest, len(data)), True)
                assert objects.get(digest) == data
            with raises(Refused, ""):
                objects.put_for(iter([data]), refuse)
            assert objects.get(digest) == data

    def test_a_stream_over_its_limit_leaves_nothing(self, objects: Objects) -> None:
        assert objects.put_stream(iter([b"12345", b"67890"]), most=10).size == 10
        with raises(PayloadTooLarge, "10 bytes"):
            objects.put_stream(iter([b"12345", b"67890", b"x"]), most=10)
        assert len(list(objects.backend.list("loose"))) == objects.stats().objects == 1

    def test_a_stream_that_breaks_leaves_nothing(self, objects: Objects) -> None:
        def broken() -> Iterator[bytes]:
            yield os.urandom(9_000_000)
            raise InvalidInput("The upload ended before its stated length.")

        with raises(InvalidInput, "ended"):
            objects.put_stream(broken())
        assert (list(objects.list()), list(objects.backend.list("loose"))) == ([], [])

    def test_only_digests_are_names(self, objects: Objects) -> None:
        for name in ("", "..", "../../etc/passwd", "A" * 64, "a" * 63, "g" * 64):
            with raises(InvalidInput, "SHA-256"):
                objects.get(name)
        for read in (objects.get, objects.open):
            with raises(NotFound, "0" * 64):
                read("0" * 64)

    def test_a_batch_is_one_pack(self, objects: Objects) -> None:
        files = [
            b"",
            b"one",
            b"one",
            os.urandom(900_000),
            b"text " * 40_000,
            *(b"%d" % n for n in range(500)),
        ]
        blobs = objects.put_batch(files)
        assert blobs == [Blob(sha256_hex(data), len(data)) for data in files]
        assert [objects.get(blob.sha256) for blob in blobs] == files
        stats = objects.stats()
        assert (stats.packs, stats.loose, stats.objects) == (1, 0, 504)
        assert stats.pack_bytes < 1_000_000  # the text is compressed
        assert objects.put_batch(files) == blobs
        assert objects.stats() == stats

    def test_a_batch_is_limited(self, objects: Objects) -> None:
        with raises(PayloadTooLarge, str(64 << 20)):
            objects.put_batch([bytes(40 << 20), bytes((24 << 20) + 1)])

    def test_packed_objects_read_the_same(self, objects: Objects, clock: ManualClock) -> None:
        data = {objects.put(part).sha256: part for part in (b"", b"small", os.urandom(2_500_000))}
        fleeting = objects.put(b"fleeting", lasting=False)
        assert objects.pack(_on) == 0
        clock.advance(11 * 60_000)
        with objects.open(sha256_hex(data_of(data))) as reading:
            first = reading.read(1_500_000)
            assert objects.pack(_on) == 3
            assert first + reading.read() == data_of(data)
        assert {digest: objects.get(digest) for digest in data} == data
        assert (
            objects.open_range(sha256_hex(data_of(data)), 1_000_000, 300_000)
            == data_of(data)[1_000_000:1_300_000]
        )
        assert [one.sha256 for one in objects.list() if not one.packed] == [fleeting.sha256]
        assert len(list(objects.backend.list("loose"))) == 1
        assert set(objects.verify([])) == {None}

    def test_an_edit_stores_what_changed(self, objects: Objects, clock: ManualClock) -> None:
        data = bytearray(os.urandom(12_000_000))
        objects.put(bytes(data))
        clock.advance(11 * 60_000)
        objects.pack(_on)
        before = objects.stats().pack_bytes
        data[5_000_000:5_000_000] = os.urandom(1000)
        edited = objects.put(bytes(data))
        clock.advance(11 * 60_000)
        objects.pack(_on)
        assert objects.stats().pack_bytes - before < 800_000
        assert objects.get(edited.sha256) == data

    def test_garbage_goes_at_the_second_mark(self, objects: Objects, clock: ManualClock) -> None:
        roots = Roots()
        kept, gone, saved = objects.put(b"kept"), objects.put(b"gone"), objects.put(b"saved")
        packed = objects.put_batch([os.urandom(50_000), b"packed and kept"])
        roots.digests = {kept.sha256, packed[1].sha256}
        clock.advance(GRACE_MS - 1000)
        assert objects.collect([roots], _on).marked == 0
        clock.advance(2000)
        assert (objects.collect([roots], _on).marked, objects.exists(gone.sha256)) == (3, True)
        clock.advance(GRACE_MS - 1000)
        assert objects.collect([roots], _on).objects == 0
        objects.put(b"saved")
        clock.advance(2000)
        done = objects.collect([roots], _on)
        assert (done.objects, done.rewritten) == (2, 1)
        assert [objects.exists(blob.sha256) for blob in (kept, gone, saved, *packed)] == [
            True, False, True, False, True,
        ]  # fmt: skip
        assert (objects.stats().packs, objects.stats().chunks) == (1, 1)
        assert objects.get(packed[1].sha256) == b"packed and kept"
        roots.digests = {kept.sha256}
        for _ in range(4):
            clock.advance(GRACE_MS + 1000)
            objects.collect([roots], _on)
        stats = objects.stats()
        assert (stats.objects, stats.packs, stats.chunks) == (1, 0, 0)
        assert [list(objects.backend.list("packs")), objects.get(kept.sha256)] == [[], b"kept"]

    def test_a_fleeting_object_goes_at_once_unless_somebody_keeps_it(self, objects: Objects) -> None:
        gone, kept = objects.put(b"gone", lasting=False), objects.put(b"kept", lasting=False)
        objects.put(b"kept")
        for blob in (gone, kept, gone):
            objects.discard(blob.sha256)
        assert [objects.exists(blob.sha256) for blob in (gone, kept)] == [False, True]

    def test_lost_bytes_are_named_and_healed_by_a_put(self, objects: Objects) -> None:
        roots = Roots()
        loose, (packed,) = objects.put(b"loose"), objects.put_batch([b"packed"])
        roots.digests = {packed.sha256}
        for prefix in ("loose", "packs"):
            objects.backend.delete([entry.key for entry in objects.backend.list(prefix)])
        damages = {found.name: found for found in objects.verify([roots]) if found is not None}
        assert {loose.sha256, packed.sha256} < damages.keys()
        assert damages[packed.sha256].referrers == ["the test"]
        objects.put(b"loose")
        objects.put_batch([b"packed"])
        assert [objects.get(blob.sha256) for blob in (loose, packed)] == [b"loose", b"packed"]

    def test_left_over_keys_go_after_the_grace(self, objects: Objects, clock: ManualClock) -> None:
        kept = objects.put(b"kept")
        roots = Roots()
        roots.digests = {kept.sha256}
        objects.backend.put("loose/leftover", [b"half"])
        objects.backend.put("packs/leftover", [b"half"])
        assert objects.collect([roots], _on).orphans == 0
        clock.advance(GRACE_MS + 60_000)
        assert objects.collect([roots], _on).orphans == 2
        assert objects.get(kept.sha256) == b"kept"

    def test_a_damaged_object_is_an_integrity_error(self, objects: Objects) -> None:
        blob = objects.put(b"better")
        (entry,) = objects.backend.list("loose")
        objects.backend.delete([entry.key])
        objects.backend.put(entry.key, [b"bettar"])
        with raises(IntegrityError, blob.sha256):
            objects.get(blob.sha256)


def data_of(data: dict[str, bytes]) -> bytes:
    """The largest of the objects."""
    return max(data.values(), key=len)

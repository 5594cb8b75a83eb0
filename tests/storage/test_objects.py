"""Objects in a local folder: what the contract of all stores leaves to each."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import IntegrityError, Unavailable
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Objects, Storage, open_backend
from holdfast.storage.objects import Damage
from holdfast.storage.objects.local import LocalBackend
from holdfast.testing.objects import ObjectsContract


def stored(objects: Objects) -> list[Path]:
    return [path for path in Path(objects.url).rglob("*") if path.is_file()]


def held() -> None:
    """The lease is held."""


def test_many_threads_put_the_same_and_other_bytes_at_once(objects: Objects) -> None:
    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(lambda n: objects.put(b"%d" % (n % 7)), range(84)))
    assert {objects.get(blob.sha256) for blob in blobs} == {b"%d" % n for n in range(7)}
    assert len(stored(objects)) == 7


def test_many_threads_put_batches_that_overlap(objects: Objects) -> None:
    shared = [os.urandom(30_000) for _ in range(20)]

    def put(number: int) -> None:
        objects.put_batch([*random.Random(number).sample(shared, 10), b"%d" % number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(16)))
    assert all(objects.get(sha256_hex(b"%d" % number)) for number in range(16))
    assert set(objects.verify([])) == {None}


def test_what_is_stored_while_a_batch_is_written_lies_where_the_batch_put_it(
    objects: Objects, storage: Storage
) -> None:
    files = [b"loose meanwhile", b"packed meanwhile", os.urandom(50_000), b"the batch's own"]
    at_once = LocalBackend(Path(objects.url))
    put = at_once.put

    def put_after_others(key: str, parts: Sequence[bytes]) -> None:
        objects.put(files[0])
        objects.put_batch(files[1:3])
        put(key, parts)

    at_once.put = put_after_others  # type: ignore[method-assign]
    Objects(storage, at_once).put_batch(files)
    assert [objects.get(sha256_hex(data)) for data in files] == files
    stats = objects.stats()
    assert (stats.objects, stats.loose, stats.packs) == (4, 0, 2)
    assert set(objects.verify([])) == {None}
    assert len(stored(objects)) == 2  # the loose file is gone


def test_an_object_survives_the_process_that_put_it(objects: Objects, storage: Storage) -> None:
    program = "import os, sys; from pathlib import Path; from holdfast.storage import Objects, Storage, open_backend; " \
        "objects = Objects(Storage(sys.argv[1]), open_backend(sys.argv[2])); " \
        "print(objects.put(b'kept').sha256, flush=True); os.kill(os.getpid(), 9)"  # fmt: skip
    command = [sys.executable, "-c", program, storage.address, objects.url]
    done = subprocess.run(command, capture_output=True, text=True)
    assert objects.get(done.stdout.strip()) == b"kept"


@pytest.mark.parametrize("damage", [b"bettar", b"", b"bet"])
def test_damaged_bytes_are_an_integrity_error(objects: Objects, damage: bytes) -> None:
    blob = objects.put(b"better")
    stored(objects)[0].write_bytes(damage)
    with pytest.raises(IntegrityError, match=blob.sha256):
        objects.get(blob.sha256)


def test_bytes_cut_short_are_healed_by_the_next_put(objects: Objects) -> None:
    blob = objects.put(b"better")
    stored(objects)[0].write_bytes(b"bet")
    objects.put(b"better")
    assert objects.get(blob.sha256) == b"better"
    assert len(stored(objects)) == 1


def test_every_flipped_byte_of_packed_objects_is_named(objects: Objects, clock: ManualClock) -> None:
    files = [os.urandom(40_000), b"text " * 9_000, os.urandom(100)]
    blobs = {blob.sha256 for blob in objects.put_batch(files)}
    (pack,) = stored(objects)
    whole, chance = pack.read_bytes(), random.Random(5)
    for position in [0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(40))]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << chance.randrange(8)
        pack.write_bytes(damaged)
        named = [found for found in objects.verify([]) if found is not None]
        assert Damage in {type(found) for found in named}, position
        assert {found.name for found in named} <= blobs | {f"pack {pack.name}"}
    pack.write_bytes(whole)
    assert set(objects.verify([])) == {None}


def test_reads_of_a_damaged_chunk_give_no_byte_of_it(objects: Objects) -> None:
    (blob,) = objects.put_batch([os.urandom(900_000)])
    (pack,) = stored(objects)
    data = bytearray(pack.read_bytes())
    data[450_000] ^= 1
    pack.write_bytes(data)
    whole = objects.open_range(blob.sha256, 0, 10_000)
    assert len(whole) == 10_000
    with pytest.raises(IntegrityError, match="chunk"):
        objects.open_range(blob.sha256, 449_000, 2000)


def test_a_store_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="can't be written"):
        open_backend(tmp_path / "file" / "below")


def test_objects_of_the_old_layout_are_taken_over(tmp_path: Path, storage: Storage) -> None:
    data = [b"old one", b"old two", b""]
    for part in data:
        digest = sha256_hex(part)
        path = tmp_path / "objects" / "sha256" / digest[:2] / digest[2:4] / digest
        path.parent.mkdir(parents=True)
        path.write_bytes(part)
    (tmp_path / "objects" / "incoming").mkdir()
    objects = Objects(storage, open_backend(tmp_path / "objects"))
    assert objects.adopt() == 3
    assert sorted(objects.get(sha256_hex(part)) for part in data) == sorted(data)
    assert (objects.adopt(), sorted(path.name for path in (tmp_path / "objects").iterdir())) == (
        0,
        ["loose", "packs"],
    )
    assert objects.put(b"old one").size == 7
    assert len(stored(objects)) == 3


@pytest.mark.parametrize("moved", [0, 1])
def test_a_take_over_that_was_killed_goes_on(tmp_path: Path, storage: Storage, moved: int) -> None:
    digests = sorted(sha256_hex(part) for part in (b"one", b"two"))
    objects = Objects(storage, open_backend(tmp_path / "objects"))
    root = tmp_path / "objects" / "sha256"
    for part in (b"one", b"two"):
        digest = sha256_hex(part)
        (root / digest[:2] / digest[2:4]).mkdir(parents=True)
        (root / digest[:2] / digest[2:4] / digest).write_bytes(part)
    assert objects.adopt() == 2
    for digest in digests[moved:]:  # as if the process had died between the rows and these renames
        (root / digest[:2] / digest[2:4]).mkdir(parents=True)
        (tmp_path / "objects" / "loose" / digest).rename(root / digest[:2] / digest[2:4] / digest)
    assert objects.adopt() == 2 - moved
    assert {objects.get(digest) for digest in digests} == {b"one", b"two"}


class TestOnEveryDatabase(ObjectsContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(time.time_ns() // 1_000_000)

    @pytest.fixture
    def objects(self, tmp_path: Path, storage: Storage, clock: ManualClock) -> Objects:
        return Objects(storage, open_backend(tmp_path / "objects"), clock)

"""Objects: named by their content, whole or not there at all."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.kernel.errors import IntegrityError, InvalidInput, NotFound, PayloadTooLarge
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Blob, Objects


def stored(objects: Objects) -> list[Path]:
    return [path for path in objects.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", b"a", b"holdfast" * 300_000])
def test_what_is_put_comes_back(objects: Objects, data: bytes) -> None:
    blob = objects.put(data)
    assert blob == Blob(sha256_hex(data), len(data))
    assert objects.exists(blob.sha256)
    assert objects.get(blob.sha256) == data
    with objects.open(blob.sha256) as file:
        assert file.read() == data


def test_the_same_bytes_are_kept_once(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"same")
    puts = [
        objects.put(b"same"),
        objects.put_stream(iter([b"sa", b"", b"me"])),
        objects.put_file(tmp_path / "file"),
    ]
    assert len(set(map(str, puts))) == 1
    assert stored(objects) == [objects.path(puts[0].sha256)]


def test_many_threads_put_the_same_and_other_bytes_at_once(objects: Objects) -> None:
    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(lambda n: objects.put(b"%d" % (n % 7)), range(84)))
    assert {objects.get(blob.sha256) for blob in blobs} == {b"%d" % n for n in range(7)}
    assert len(stored(objects)) == 7


def test_an_object_survives_the_process_that_put_it(objects: Objects) -> None:
    program = "import os, sys; from pathlib import Path; from holdfast.storage import Objects; " \
        "print(Objects(Path(sys.argv[1])).put(b'kept').sha256, flush=True); os.kill(os.getpid(), 9)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program, str(objects.root)], capture_output=True, text=True)
    assert objects.get(done.stdout.strip()) == b"kept"


@pytest.mark.parametrize("damage", [b"bettar", b"", b"better and longer"])
def test_damaged_bytes_are_an_integrity_error(objects: Objects, damage: bytes) -> None:
    blob = objects.put(b"better")
    objects.path(blob.sha256).write_bytes(damage)
    with pytest.raises(IntegrityError, match=blob.sha256):
        objects.get(blob.sha256)


def test_bytes_cut_short_are_healed_by_the_next_put(objects: Objects) -> None:
    blob = objects.put(b"better")
    objects.path(blob.sha256).write_bytes(b"bet")
    objects.put(b"better")
    assert objects.get(blob.sha256) == b"better"


def test_a_stream_over_its_limit_leaves_nothing(objects: Objects) -> None:
    assert objects.put_stream(iter([b"12345", b"67890"]), most=10).size == 10
    before = stored(objects)
    with pytest.raises(PayloadTooLarge, match="10 bytes"):
        objects.put_stream(iter([b"12345", b"67890", b"x"]), most=10)
    assert stored(objects) == before


def test_a_stream_that_breaks_leaves_nothing(objects: Objects) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise InvalidInput("The upload ended before its stated length.")

    with pytest.raises(InvalidInput, match="ended"):
        objects.put_stream(broken())
    assert stored(objects) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "g" * 64])
def test_only_digests_are_names(objects: Objects, name: str) -> None:
    with pytest.raises(InvalidInput, match="SHA-256"):
        objects.get(name)


def test_an_unknown_object_is_not_found(objects: Objects) -> None:
    assert not objects.exists("0" * 64)
    for read in (objects.get, objects.open):
        with pytest.raises(NotFound, match="0" * 64):
            read("0" * 64)


def test_a_deleted_object_is_gone(objects: Objects) -> None:
    blob = objects.put(b"gone")
    objects.delete(blob.sha256)
    objects.delete(blob.sha256)
    assert not objects.exists(blob.sha256)


def test_cleaning_takes_old_leftovers_of_killed_writers_alone(objects: Objects) -> None:
    blob = objects.put(b"kept")
    (objects.root / "incoming" / "leftover").write_bytes(b"half")
    assert objects.clean(3600, time.time()) == 0
    assert objects.clean(3600, time.time() + 7200) == 1
    assert stored(objects) == [objects.path(blob.sha256)]

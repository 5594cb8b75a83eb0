"""Writers, packers and collectors on one store, killed at random: what was acknowledged and is kept stays readable."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Objects, Storage, open_backend
from tests.faults.objects_child import KEPT, Kept, Shifted, content

CHILD = Path(__file__).with_name("objects_child.py")
GRACE_MS = 2500
"""Far below a day, so that the collector meets everybody; still above what a put needs between bytes and row."""
ROLES = ("writer", "writer", "packer", "collector")


class Crew:
    """The processes, each killed and started again, and what the writers said."""

    def __init__(self, storage: Storage, objects: Objects, seed: int) -> None:
        self.arguments = [storage.address, objects.url]
        self.chance = random.Random(seed)
        self.said: list[tuple[int, str, int]] = []
        self.errors: list[str] = []
        self._threads: list[threading.Thread] = []
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._ready: dict[int, threading.Event] = {}

    def start(self, slot: int) -> None:
        command = [
            sys.executable, str(CHILD), *self.arguments, ROLES[slot], str(self.chance.randrange(1 << 30)), "0",
            str(GRACE_MS),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._running[slot] = process
        self._ready[slot] = threading.Event()
        for target in (self._listen, self._hear):
            self._threads.append(threading.Thread(target=target, args=(process, slot)))
            self._threads[-1].start()

    def kill_at_work(self, slot: int) -> None:
        """Kill a process some time after it began, which the seed chooses."""
        assert self._ready[slot].wait(60)
        with pytest.raises(subprocess.TimeoutExpired):
            self._running[slot].wait(self.chance.uniform(0, 0.8))
        self.kill(slot)

    def kill(self, slot: int) -> None:
        process = self._running.pop(slot)
        process.kill()
        process.wait()

    def end(self) -> None:
        for slot in list(self._running):
            self.kill(slot)
        for thread in self._threads:
            thread.join()

    def _listen(self, process: subprocess.Popen[str], slot: int) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._ready[slot].set()
                word, _, number = line.partition(" ")
                if number:
                    self.said.append((slot, word, int(number)))

    def _hear(self, process: subprocess.Popen[str], slot: int) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            text = lines.read()
        if text:
            self.errors.append(text)


@pytest.fixture
def fire(storage: Storage, objects: Objects) -> Crew:
    storage.write(KEPT.create)
    return Crew(storage, objects, seed=11)


def burn(crew: Crew, objects: Objects, storage: Storage, kills: int) -> None:
    for slot in range(len(ROLES)):
        crew.start(slot)
    try:
        for _ in range(kills):
            slot = crew.chance.randrange(len(ROLES))
            crew.kill_at_work(slot)
            crew.start(slot)
    finally:
        crew.end()
    assert crew.errors == []
    check(crew, objects, storage)


def check(crew: Crew, objects: Objects, storage: Storage) -> None:
    """Every row of the room has its bytes; what was said to be kept last, and never dropped since, has its row."""
    kept = set(storage.read(lambda tx: tx.execute(KEPT.select()).scalars().all()))
    dropped = {number for _, word, number in crew.said if word == "dropping"}
    acknowledged = {number for _, word, number in crew.said if word == "kept"} - dropped
    assert {sha256_hex(content(number)) for number in acknowledged} <= kept
    assert kept
    for digest in kept:
        assert sha256_hex(objects.get(digest)) == digest
    assert [found for found in objects.verify([Kept()]) if found is not None] == []


def settle(objects: Objects, storage: Storage) -> None:
    """With time, everything that nothing refers to goes, and nothing else."""
    for days in range(1, 6):
        late = Objects(storage, open_backend(objects.url), Shifted(days * 3 * GRACE_MS + days * 86_400_000))
        late.pack(lambda: None, after_ms=-1)
        late.collect([Kept()], lambda: None, GRACE_MS)
    kept = set(storage.read(lambda tx: tx.execute(KEPT.select()).scalars().all()))
    assert {one.sha256 for one in objects.list()} == kept
    assert list((Path(objects.url) / "loose").iterdir()) == []
    assert [found for found in objects.verify([Kept()]) if found is not None] == []
    chunks = {identity for row in _rows(storage) for identity in row}
    assert objects.stats().chunks >= len(chunks)


def _rows(storage: Storage) -> list[list[bytes]]:
    from holdfast.storage.objects import rows

    return [row.chunk_ids for row in storage.read(lambda tx: rows.list_objects(tx, "", 10_000))]


@pytest.mark.faults
def test_nothing_kept_is_lost_under_fire(fire: Crew, objects: Objects, storage: Storage) -> None:
    burn(fire, objects, storage, 8)
    settle(objects, storage)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_kept_is_lost_under_long_fire(objects: Objects, storage: Storage, seed: int) -> None:
    storage.write(KEPT.create)
    burn(Crew(storage, objects, seed), objects, storage, 60)
    settle(objects, storage)

"""One process at an object store: `DATABASE OBJECTS writer|packer|collector SEED SHIFT_MS GRACE_MS`, until it is killed.

A writer puts bytes that it derives from numbers, then a row of its own that refers to them, and prints the number: from
then on the bytes must be there. It also takes such rows away again, and prints that before.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from sqlalchemy import Column, MetaData, String, Table, delete, insert, select

from holdfast.kernel.clock import SystemClock
from holdfast.storage import Objects, Storage, Tx, open_backend

KEPT = Table("kept", MetaData(), Column("sha256", String(64), primary_key=True))
NUMBERS = 60
SHARED = random.Random(0).randbytes(300_000)


def content(number: int) -> bytes:
    """Bytes of a number: large ones share most of their chunks, small ones fill bundles."""
    chance = random.Random(number)
    if number % 3:
        return chance.randbytes(chance.randrange(9000))
    at = chance.randrange(len(SHARED))
    return SHARED[:at] + chance.randbytes(20_000) + SHARED[at:]


class Kept:
    """The room of the test."""

    def referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        return set(tx.execute(select(KEPT.c.sha256).where(KEPT.c.sha256.in_(digests))).scalars())

    def referrers(self, tx: Tx, digest: str) -> list[str]:
        return ["kept"] if self.referred(tx, [digest]) else []


class Shifted(SystemClock):
    """The machine's clock, some time ahead."""

    def __init__(self, shift_ms: int) -> None:
        self._shift_ms = shift_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._shift_ms


def keep(storage: Storage, digest: str) -> None:
    def fn(tx: Tx) -> None:
        if tx.execute(select(KEPT).where(KEPT.c.sha256 == digest)).one_or_none() is None:
            tx.execute(insert(KEPT).values(sha256=digest))

    storage.write(fn)


def write(storage: Storage, objects: Objects, chance: random.Random) -> None:
    numbers = [chance.randrange(NUMBERS) for _ in range(chance.choice((1, 1, 8)))]
    if chance.random() < 0.3:
        digest = objects.put(content(numbers[0])).sha256
        print("dropping", numbers[0], flush=True)
        storage.write(lambda tx: tx.execute(delete(KEPT).where(KEPT.c.sha256 == digest)).rowcount)
        return
    if len(numbers) > 1:
        blobs = objects.put_batch([content(number) for number in numbers])
    else:
        data = content(numbers[0])
        blobs = [objects.put_stream(iter([data[:5000], data[5000:]]))]
    for number, blob in zip(numbers, blobs, strict=True):
        keep(storage, blob.sha256)
        print("kept", number, flush=True)


def main(database: str, where: str, role: str, seed: str, shift_ms: str, grace_ms: str) -> None:
    storage = Storage(database)
    objects = Objects(storage, open_backend(where), Shifted(int(shift_ms)))
    chance = random.Random(int(seed))
    print("ready", flush=True)
    while True:
        if role == "writer":
            write(storage, objects, chance)
        elif role == "packer":
            objects.pack(lambda: None, after_ms=chance.choice((-1, 50)))
        else:
            objects.collect([Kept()], lambda: None, int(grace_ms))


if __name__ == "__main__":
    main(*sys.argv[1:])

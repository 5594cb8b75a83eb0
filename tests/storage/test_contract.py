"""The contract of the metadata database, on each kind."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import Popen

import pytest
from sqlalchemy import Table, func, insert, select

from holdfast.storage import Storage, Tx
from holdfast.testing.storage_contract import StorageContract


class TestContract(StorageContract):
    """On the databases of the fixture `storage`."""


def test_two_processes_write_at_the_same_time(
    storage: Storage, notes: Table, start_writer: Callable[..., Popen[str]]
) -> None:
    child = start_writer(1_000, 150)
    assert child.stdout is not None
    child.stdout.readline()

    def add(number: int) -> Callable[[Tx], object]:
        return lambda tx: tx.execute(insert(notes).values(id=number, text="here"))

    for number in range(150):
        storage.write(add(number))
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert (
        storage.read(lambda tx: tx.execute(select(func.count()).select_from(notes)).scalar_one()) == 150 + 300
    )


@pytest.mark.faults
@pytest.mark.parametrize("acknowledged", [1, 40, 111])
def test_kill_9_loses_nothing_acknowledged(
    storage: Storage, notes: Table, start_writer: Callable[..., Popen[str]], acknowledged: int
) -> None:
    child = start_writer(0, 10**6)
    assert child.stdout is not None
    heard = [int(child.stdout.readline()) for _ in range(acknowledged)]
    child.kill()
    heard += [int(line) for line in child.communicate()[0].splitlines()]
    stored = set(storage.read(lambda tx: tx.execute(select(notes.c.id)).scalars().all()))
    assert {2 * number for number in heard} <= stored
    assert {one ^ 1 for one in stored} == stored  # no half of a pair
    if storage.kind == "sqlite":
        assert storage.read(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar_one()) == "ok"

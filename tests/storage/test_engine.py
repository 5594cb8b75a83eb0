"""The unit of work: isolation inside a group, durability after the answer, and an orderly end."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, event, func, insert, select

from holdfast.kernel.errors import IntegrityError, InvalidInput, Unavailable
from holdfast.storage import Storage, Tx


def add(notes: Table, number: int) -> Callable[[Tx], int]:
    def fn(tx: Tx) -> int:
        tx.execute(insert(notes).values(id=number, text="here"))
        return number

    return fn


def add_and_fail(notes: Table, number: int) -> Callable[[Tx], int]:
    def fn(tx: Tx) -> int:
        tx.execute(insert(notes).values(id=number, text="gone"))
        raise ValueError(f"no {number}")

    return fn


def count(storage: Storage, notes: Table) -> int:
    return storage.read(lambda tx: tx.execute(select(func.count()).select_from(notes)).scalar_one())


def test_a_write_gives_its_result_and_a_read_sees_it(storage: Storage, notes: Table) -> None:
    assert storage.write(add(notes, 7)) == 7
    assert storage.read(lambda tx: tx.execute(select(notes.c.id)).scalars().all()) == [7]


def test_nothing_is_visible_before_the_commit(storage: Storage, notes: Table) -> None:
    def fn(tx: Tx) -> int:
        add(notes, 1)(tx)
        return count(storage, notes)

    assert storage.write(fn) == 0
    assert count(storage, notes) == 1


def test_a_function_that_raises_leaves_nothing(storage: Storage, notes: Table) -> None:
    with pytest.raises(ValueError, match="no 1"):
        storage.write(add_and_fail(notes, 1))
    assert count(storage, notes) == 0


def test_a_failure_takes_nothing_of_its_group_with_it(storage: Storage, notes: Table) -> None:
    async def story() -> list[int | BaseException]:
        release = threading.Event()
        plug = asyncio.create_task(storage.write_async(lambda _tx: release.wait()))
        makers = [add_and_fail if number % 3 == 1 else add for number in range(12)]
        tasks = [asyncio.create_task(storage.write_async(make(notes, n))) for n, make in enumerate(makers)]
        await asyncio.sleep(0)  # every task has queued its function behind the plug
        release.set()
        await plug
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(story())
    assert [n for n, answer in enumerate(answers) if isinstance(answer, ValueError)] == [1, 4, 7, 10]
    stored = storage.read(lambda tx: tx.execute(select(notes.c.id).order_by(notes.c.id)).scalars().all())
    assert stored == [0, 2, 3, 5, 6, 8, 9, 11]


def test_sixteen_threads_share_commits(storage: Storage, notes: Table) -> None:
    commits = []

    def seen(connection: object) -> None:
        commits.append(connection)

    event.listen(Engine, "commit", seen)
    try:
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(lambda n: storage.write(add(notes, n)), range(400))) == list(range(400))
    finally:
        event.remove(Engine, "commit", seen)
    assert count(storage, notes) == 400
    assert len(commits) < 300


def test_a_cancelled_write_does_not_stop_the_writer(storage: Storage, notes: Table) -> None:
    async def story() -> None:
        release = threading.Event()
        plug = asyncio.create_task(storage.write_async(lambda _tx: release.wait()))
        waiting = asyncio.create_task(storage.write_async(add(notes, 1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        release.set()
        await plug
        await storage.write_async(add(notes, 2))

    asyncio.run(story())
    assert storage.read(lambda tx: tx.execute(select(notes.c.id)).scalars().all()) == [2]


def test_a_write_inside_a_write_is_refused_at_once(storage: Storage, notes: Table) -> None:
    with pytest.raises(RuntimeError, match="another write"):
        storage.write(lambda _tx: storage.write(add(notes, 1)))
    storage.write(add(notes, 2))


def test_a_transaction_that_ends_early_fails_its_caller_and_nobody_waits_for_ever(
    storage: Storage, notes: Table
) -> None:
    """SQLite rolls the whole transaction back on some errors, as this ROLLBACK does."""

    def fn(tx: Tx) -> None:
        add(notes, 1)(tx)
        tx.exec_driver_sql("ROLLBACK")

    with pytest.raises(Exception, match="savepoint"):
        storage.write(fn)
    storage.write(add(notes, 2))
    assert count(storage, notes) == 1


def test_a_full_disk_is_told_and_the_writer_lives_on(storage: Storage, notes: Table) -> None:
    pages = storage.write(lambda tx: tx.exec_driver_sql("PRAGMA page_count").scalar_one())
    storage.write(lambda tx: tx.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}").scalar_one())
    with pytest.raises(Unavailable, match="full") as caught:
        storage.write(lambda tx: tx.execute(insert(notes), [{"text": "x" * 90}] * 10_000))
    assert caught.value.retry_after_s == 30
    storage.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count=1000000").scalar_one())
    storage.write(add(notes, 1))
    assert count(storage, notes) == 1


def test_a_read_may_not_write(storage: Storage, notes: Table) -> None:
    with pytest.raises(Unavailable, match="can't be written"):
        storage.read(add(notes, 1))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_beyond_64_bits_is_invalid_input(storage: Storage, notes: Table, number: int) -> None:
    with pytest.raises(InvalidInput, match="64 bits"):
        storage.write(add(notes, number))
    with pytest.raises(InvalidInput, match="64 bits"):
        storage.read(lambda tx: tx.execute(select(notes).where(notes.c.id == number)).all())


def test_half_a_surrogate_pair_is_invalid_input(storage: Storage, notes: Table) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        storage.read(lambda tx: tx.execute(select(notes).where(notes.c.text == "\ud800")).all())


def test_a_damaged_file_is_an_integrity_error(storage: Storage, notes: Table, tmp_path: Path) -> None:
    storage.write(lambda tx: tx.execute(insert(notes), [{"text": "x" * 90}] * 2_000))
    storage.close()
    data = bytearray(storage.path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    (tmp_path / "damaged.db").write_bytes(data)
    damaged = Storage(tmp_path / "damaged.db")
    with pytest.raises(IntegrityError, match="damaged"):
        damaged.read(lambda tx: tx.execute(select(notes)).all())
    damaged.close()


def test_after_close_reads_and_writes_are_refused(storage: Storage, notes: Table) -> None:
    storage.close()
    storage.close()
    with pytest.raises(Unavailable, match="shutting down"):
        storage.write(add(notes, 1))
    with pytest.raises(Unavailable, match="shutting down"):
        count(storage, notes)


def test_closing_under_load_answers_everybody(storage: Storage, notes: Table) -> None:
    written: list[list[int]] = [[] for _ in range(8)]
    going = threading.Barrier(9)

    def work(lane: int) -> None:
        going.wait()
        try:
            for number in range(lane, 10**9, 8):
                written[lane].append(storage.write(add(notes, number)))
        except Unavailable:
            return

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(8)]
    for thread in threads:
        thread.start()
    going.wait()
    storage.write(add(notes, -1))
    storage.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    again = Storage(storage.path)
    assert count(again, notes) == 1 + sum(map(len, written))
    again.close()


def test_two_processes_write_at_the_same_time(
    storage: Storage, notes: Table, start_writer: Callable[..., subprocess.Popen[str]]
) -> None:
    child = start_writer(1_000, 150)
    assert child.stdout is not None
    child.stdout.readline()
    for number in range(150):
        storage.write(add(notes, number))
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert count(storage, notes) == 150 + 300


@pytest.mark.faults
@pytest.mark.parametrize("acknowledged", [1, 40, 111])
def test_kill_9_loses_nothing_acknowledged(
    storage: Storage, notes: Table, start_writer: Callable[..., subprocess.Popen[str]], acknowledged: int
) -> None:
    child = start_writer(0, 10**6)
    assert child.stdout is not None
    heard = [int(child.stdout.readline()) for _ in range(acknowledged)]
    child.kill()
    heard += [int(line) for line in child.communicate()[0].splitlines()]
    stored = set(storage.read(lambda tx: tx.execute(select(notes.c.id)).scalars().all()))
    assert {2 * number for number in heard} <= stored
    assert {one ^ 1 for one in stored} == stored  # no half of a pair
    assert storage.read(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar_one()) == "ok"

"""What SQLite alone does: groups of units of work in one commit, and what a file can suffer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, event, func, insert, select

from holdfast.kernel.errors import IntegrityError, Unavailable
from holdfast.storage import Storage, Tx

pytestmark = pytest.mark.database("sqlite")


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


def test_who_writes_alone_commits_by_itself_but_for_the_main_thread(storage: Storage) -> None:
    with ThreadPoolExecutor(1) as pool:
        ours = pool.submit(threading.get_ident).result()
        assert pool.submit(storage.write, lambda _tx: threading.get_ident()).result() == ours
    assert storage.write(lambda _tx: threading.get_ident()) != threading.get_ident()


def test_no_thread_may_write_inside_its_write(storage: Storage, notes: Table) -> None:
    def nested(_tx: Tx) -> None:
        storage.write(add(notes, 1))

    with ThreadPoolExecutor(1) as pool:
        for write in (storage.write, lambda fn: pool.submit(storage.write, fn).result()):
            with pytest.raises(RuntimeError, match="another write"):
                write(nested)
        assert pool.submit(storage.write, add(notes, 2)).result() == 2
    assert count(storage, notes) == 1


def test_threads_and_the_loop_write_at_once(storage: Storage, notes: Table) -> None:
    """Whoever writes runs what others asked for: each is answered with its own result or failure."""

    def from_thread(number: int) -> object:
        try:
            return storage.write((add_and_fail if number % 7 == 0 else add)(notes, number))
        except ValueError as error:
            return str(error)

    async def from_loop() -> list[int]:
        return [await storage.write_async(add(notes, number)) for number in range(1000, 1100)]

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(from_thread, range(800))
        assert asyncio.run(from_loop()) == list(range(1000, 1100))
        assert list(answers) == [f"no {n}" if n % 7 == 0 else n for n in range(800)]
    assert count(storage, notes) == 100 + sum(n % 7 != 0 for n in range(800))


def test_closing_answers_everybody_and_keeps_what_was_acknowledged(storage: Storage, notes: Table) -> None:
    is_busy = threading.Event()
    numbers = iter(range(10**6))

    def work() -> int:
        for done in range(10**6):
            try:
                if storage.write(add(notes, next(numbers))) == 100:
                    is_busy.set()
            except Unavailable:
                return done
        raise AssertionError("it never closed")

    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work) for _ in range(6)]
        assert is_busy.wait(60)
        storage.close()
        acknowledged = sum(worker.result(timeout=30) for worker in workers)
    again = Storage(storage.location)
    try:
        assert count(again, notes) == acknowledged > 0
    finally:
        again.close()


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


def test_a_damaged_file_is_an_integrity_error(storage: Storage, notes: Table, tmp_path: Path) -> None:
    storage.write(lambda tx: tx.execute(insert(notes), [{"text": "x" * 90}] * 2_000))
    storage.close()
    data = bytearray(storage.location.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    (tmp_path / "damaged.db").write_bytes(data)
    damaged = Storage(tmp_path / "damaged.db")
    with pytest.raises(IntegrityError, match="damaged"):
        damaged.read(lambda tx: tx.execute(select(notes)).all())
    damaged.close()

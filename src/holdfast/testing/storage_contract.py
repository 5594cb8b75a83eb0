"""What every kind of metadata database must do: inherit `StorageContract` in a test module, with a fixture `storage`.

The fixture gives a new, empty database that is open; the tests make a table of their own in it. Needs pytest.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, func, insert, select, update

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, InvalidInput, Unavailable
from holdfast.storage import Storage, Tx, leases, lock

__all__ = ["StorageContract"]

_notes = Table("note", MetaData(), Column("id", BigInteger, primary_key=True, autoincrement=False),
               Column("text", String(100)))  # fmt: skip


def _add(number: int) -> Callable[[Tx], int]:
    def fn(tx: Tx) -> int:
        tx.execute(insert(_notes).values(id=number, text="here"))
        return number

    return fn


def _add_and_fail(number: int) -> Callable[[Tx], int]:
    def fn(tx: Tx) -> int:
        _add(number)(tx)
        raise ValueError(f"no {number}")

    return fn


def _ids(storage: Storage) -> list[int]:
    return list(
        storage.read(lambda tx: tx.execute(select(_notes.c.id).order_by(_notes.c.id)).scalars().all())
    )


class StorageContract:
    """The unit of work: all or nothing, durable after the answer, true when it commits, orderly at its end."""

    @pytest.fixture(autouse=True)
    def table(self, storage: Storage) -> None:
        """A table of the tests' own."""
        storage.write(_notes.create)

    def test_a_write_gives_its_result_and_a_read_sees_it(self, storage: Storage) -> None:
        assert storage.write(_add(7)) == 7
        assert _ids(storage) == [7]

    def test_nothing_is_visible_before_the_commit(self, storage: Storage) -> None:
        def fn(tx: Tx) -> list[int]:
            _add(1)(tx)
            return _ids(storage)

        assert storage.write(fn) == []
        assert _ids(storage) == [1]

    def test_a_function_that_raises_leaves_nothing(self, storage: Storage) -> None:
        with pytest.raises(ValueError, match="no 1"):
            storage.write(_add_and_fail(1))
        assert _ids(storage) == []

    def test_a_failure_takes_nothing_of_others_with_it(self, storage: Storage) -> None:
        async def story() -> list[int | BaseException]:
            makers = [_add_and_fail if number % 3 == 1 else _add for number in range(12)]
            tasks = [storage.write_async(make(number)) for number, make in enumerate(makers)]
            return await asyncio.gather(*tasks, return_exceptions=True)

        answers = asyncio.run(story())
        assert [n for n, answer in enumerate(answers) if isinstance(answer, ValueError)] == [1, 4, 7, 10]
        assert _ids(storage) == [0, 2, 3, 5, 6, 8, 9, 11]

    def test_a_read_stands_on_one_snapshot(self, storage: Storage) -> None:
        def fn(tx: Tx) -> tuple[int, int]:
            count = select(func.count()).select_from(_notes)
            before = tx.execute(count).scalar_one()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(storage.write, _add(1)).result()
            return before, tx.execute(count).scalar_one()

        assert storage.read(fn) == (0, 0)
        assert _ids(storage) == [1]

    def test_a_read_may_not_write(self, storage: Storage) -> None:
        with pytest.raises(Unavailable, match="can't be written"):
            storage.read(_add(1))
        assert _ids(storage) == []

    def test_a_write_inside_a_write_is_refused_at_once(self, storage: Storage) -> None:
        with pytest.raises(RuntimeError, match="another write"):
            storage.write(lambda _tx: storage.write(_add(1)))
        storage.write(_add(2))
        assert _ids(storage) == [2]

    def test_what_was_read_under_a_lock_is_true_at_the_commit(self, storage: Storage) -> None:
        storage.write(lambda tx: tx.execute(insert(_notes).values(id=1, text="0")))

        def count_up(tx: Tx) -> int:
            lock(tx, "note", "default", "1")
            number = int(tx.execute(select(_notes.c.text).where(_notes.c.id == 1)).scalar_one()) + 1
            tx.execute(update(_notes).where(_notes.c.id == 1).values(text=str(number)))
            return number

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: storage.write(count_up), range(80)))
        assert sorted(answers) == list(range(1, 81))

    def test_a_thing_that_many_make_at_once_is_made_once(self, storage: Storage) -> None:
        def find_or_make(tx: Tx) -> bool:
            if tx.execute(select(_notes.c.id).where(_notes.c.id == 5)).one_or_none() is not None:
                return False
            _add(5)(tx)
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda _: storage.write(find_or_make), range(40))) == 1

    def test_locks_in_opposite_orders_end(self, storage: Storage) -> None:
        def take(number: int) -> Callable[[Tx], int]:
            names = ("a", "b") if number % 2 else ("b", "a")

            def fn(tx: Tx) -> int:
                for name in names:
                    lock(tx, "thing", name)
                return _add(number)(tx)

            return fn

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: storage.write(take(number)), range(24)))
        assert _ids(storage) == list(range(24))

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
    def test_a_number_beyond_64_bits_is_invalid_input(self, storage: Storage, number: int) -> None:
        with pytest.raises(InvalidInput, match="64 bits"):
            storage.write(_add(number))
        with pytest.raises(InvalidInput, match="64 bits"):
            storage.read(lambda tx: tx.execute(select(_notes).where(_notes.c.id == number)).all())

    def test_half_a_surrogate_pair_is_invalid_input(self, storage: Storage) -> None:
        with pytest.raises(InvalidInput, match="surrogate"):
            storage.read(lambda tx: tx.execute(select(_notes).where(_notes.c.text == "\ud800")).all())

    def test_text_sorts_by_its_code_points(self, storage: Storage) -> None:
        words = ["b", "a/b", "a", "a0", "Z", "é", "ab", "a_b", "B", "z"]
        storage.write(
            lambda tx: tx.execute(insert(_notes), [{"id": n, "text": word} for n, word in enumerate(words)])
        )
        found = storage.read(
            lambda tx: tx.execute(select(_notes.c.text).order_by(_notes.c.text)).scalars().all()
        )
        assert found == sorted(words)

    def test_a_lease_goes_to_one_of_many(self, storage: Storage) -> None:
        from holdfast.storage.tables import metadata  # the leases' table, where the fixture gives none

        storage.write(lambda tx: metadata.tables["lease"].create(tx, checkfirst=True))
        clock = ManualClock(1_760_000_000_000)

        def take(number: int) -> leases.Lease | None:
            return leases.acquire(storage, "compact", f"worker{number}", 60_000, clock.now_ms())

        with ThreadPoolExecutor(8) as pool:
            held = [lease for lease in pool.map(take, range(16)) if lease is not None]
        assert len(held) == 1
        clock.advance(60_000)
        heir = take(99)
        assert heir is not None and heir.token > held[0].token
        with pytest.raises(Conflict, match="taken over"):
            storage.write(lambda tx: leases.check(tx, held[0]))

    def test_after_close_reads_and_writes_are_refused(self, storage: Storage) -> None:
        storage.close()
        storage.close()
        with pytest.raises(Unavailable, match="shutting down"):
            storage.write(_add(1))
        with pytest.raises(Unavailable, match="shutting down"):
            _ids(storage)

    def test_closing_under_load_answers_everybody(self, storage: Storage) -> None:
        written: list[list[int]] = [[] for _ in range(8)]
        going = threading.Barrier(9)

        def work(lane: int) -> None:
            going.wait()
            try:
                for number in range(lane, 10**9, 8):
                    written[lane].append(storage.write(_add(number)))
            except Unavailable:
                return

        threads = [threading.Thread(target=work, args=(lane,)) for lane in range(8)]
        for thread in threads:
            thread.start()
        going.wait()
        until = time.monotonic() + 30
        while sum(map(len, written)) < 20 and time.monotonic() < until:
            storage.write(lambda _tx: None)
        storage.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        again = Storage(storage.address)
        assert _ids(again) == sorted(number for lane in written for number in lane)
        again.close()

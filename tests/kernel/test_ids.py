"""UUIDv7: unique, ordered, of the right version, also from many threads."""

from __future__ import annotations

import threading
import time
import uuid

from holdfast.kernel.ids import new_id, uuid7


def test_an_id_is_a_uuid_of_version_7() -> None:
    one = uuid.UUID(uuid7())
    assert (one.version, one.variant) == (7, uuid.RFC_4122)


def test_its_first_48_bits_are_the_time_in_ms() -> None:
    before = time.time_ns() // 1_000_000
    stamp = uuid.UUID(uuid7()).int >> 80
    assert before <= stamp <= time.time_ns() // 1_000_000 + 1


def test_later_ids_compare_greater() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_get_distinct_ids_each_in_order() -> None:
    made: list[list[str]] = [[] for _ in range(8)]

    def draw(mine: list[str]) -> None:
        mine.extend(uuid7() for _ in range(2_000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 16_000


def test_new_id_stands_behind_its_prefix() -> None:
    first, second = new_id("m-"), new_id("m-")
    assert first.startswith("m-") and len(first) == 34
    assert first < second

"""Leases: one owner at a time, and a token that fences off the one before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict
from holdfast.storage import Storage, leases
from holdfast.storage.leases import Lease

TTL = 60_000


def take(storage: Storage, owner: str, now_ms: int) -> Lease | None:
    return leases.acquire(storage, "compact:flights", owner, TTL, now_ms)


def test_a_lease_has_one_owner(storage: Storage, clock: ManualClock) -> None:
    held = take(storage, "a", clock.now_ms())
    assert held == Lease("compact:flights", "a", 1, clock.now_ms() + TTL)
    assert take(storage, "b", clock.now_ms() + TTL - 1) is None
    assert leases.acquire(storage, "compact:other", "b", TTL, clock.now_ms()) is not None


def test_its_owner_may_take_it_again(storage: Storage, clock: ManualClock) -> None:
    first, again = take(storage, "a", clock.now_ms()), take(storage, "a", clock.now_ms() + 5)
    assert first is not None and again is not None
    assert (again.token, again.expires_at) == (first.token, first.expires_at + 5)


def test_after_its_end_another_takes_it_with_a_greater_token(storage: Storage, clock: ManualClock) -> None:
    late = take(storage, "a", clock.now_ms())
    clock.advance(TTL)
    heir = take(storage, "b", clock.now_ms())
    assert late is not None and heir is not None and heir.token > late.token
    with pytest.raises(Conflict, match="taken over"):
        storage.write(lambda tx: leases.check(tx, late))
    with pytest.raises(Conflict, match="taken over"):
        leases.renew(storage, late, TTL, clock.now_ms())
    storage.write(lambda tx: leases.check(tx, heir))


def test_an_owner_that_returns_after_its_end_gets_a_new_token(storage: Storage, clock: ManualClock) -> None:
    first, again = take(storage, "a", 0), take(storage, "a", TTL)
    assert first is not None and again is not None and again.token > first.token


def test_renewing_keeps_others_out(storage: Storage, clock: ManualClock) -> None:
    held = take(storage, "a", 0)
    assert held is not None
    assert leases.renew(storage, held, TTL, 50_000).expires_at == 110_000
    assert take(storage, "b", 100_000) is None


def test_a_released_lease_is_free(storage: Storage) -> None:
    held = take(storage, "a", 0)
    assert held is not None
    leases.release(storage, held)
    heir = take(storage, "b", 1)
    assert heir is not None and heir.token == held.token + 1
    leases.release(storage, held)  # late, by the one before: changes nothing
    assert take(storage, "c", 2) is None


def test_of_many_that_ask_at_once_one_gets_it(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: take(storage, f"worker-{n}", 0), range(8)))
    assert sum(one is not None for one in got) == 1


def test_a_clock_that_was_a_year_ahead_locks_nobody_out(storage: Storage, clock: ManualClock) -> None:
    year = 365 * 86_400_000
    wrong = take(storage, "a", clock.now_ms() + year)
    heir = take(storage, "b", clock.now_ms())
    assert wrong is not None and heir is not None and heir.token > wrong.token
    with pytest.raises(Conflict, match="taken over"):
        leases.renew(storage, wrong, TTL, clock.now_ms())


def test_a_lease_of_the_future_is_not_in_force(storage: Storage, clock: ManualClock) -> None:
    take(storage, "a", clock.now_ms() + 365 * 86_400_000)
    assert leases.held(storage, "compact:", clock.now_ms()) == []
    take(storage, "b", clock.now_ms())
    assert [one.owner for one in leases.held(storage, "compact:", clock.now_ms())] == ["b"]


def test_a_clock_that_goes_back_a_little_leaves_the_lease_with_its_owner(
    storage: Storage, clock: ManualClock
) -> None:
    held = take(storage, "a", clock.now_ms())
    assert held is not None
    renewed = leases.renew(storage, held, TTL, clock.now_ms() - 5_000)
    assert take(storage, "b", clock.now_ms() - 5_000) is None
    assert renewed.token == held.token

"""Appends, verification, proofs and the share of a change, on SQLite with durable commits (`synchronous=FULL`)."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.report import report
from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.records import Change
from holdfast.audit.service import append, append_all
from holdfast.kernel.principal import Caller, Principal
from holdfast.registry import service
from holdfast.registry.service import Registry
from holdfast.storage import Objects, Storage, Tx, open_backend
from holdfast.storage.keys import open_keyring
from holdfast.storage.migrate import migrate
from holdfast.tracking.models import LoggedModels

__all__ = ["main"]

_CALLER = Caller(
    Principal("u-0198c0de", "ada", "admin", "token"), "default", "0198c0de-req", 1_760_000_000_000
)
_CHANGES = [
    Change("alias.set", f"model:flights-{at}@production", before={"version": at}, after={"version": at + 1})
    for at in range(500)
]
_ENTRIES = 300_000
_THREADS = 16


def main() -> None:
    """Measure everything on a new database in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "holdfast.db"
        migrate(path)
        storage = Storage(path)
        try:
            checkpoints = Checkpoints(storage, Keys(storage, open_keyring(Path(folder) / "keys")))
            _appends(storage)
            _fill(storage)
            _verify(checkpoints)
            _proofs(checkpoints)
        finally:
            storage.close()
    _share()


def _rate(count: int, work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def _one(storage: Storage) -> Callable[[int], int]:
    def fn(tx: Tx) -> int:
        return append(
            tx, _CALLER, action="alias.set", object="model:flights@production", after={"version": 7}
        )

    return lambda _number: storage.write(fn)


def _appends(storage: Storage) -> None:
    one = _one(storage)
    with ThreadPoolExecutor(_THREADS) as pool:
        rate = _rate(10_000, lambda: list(pool.map(one, range(10_000))))
    what = f"each its own unit of work, {_THREADS} callers at once, up to 16 units share a durable commit"
    _rate_line("appends, one per transaction", rate, 5_000, what)
    rate = _rate(1_000, lambda: [one(number) for number in range(1_000)])
    _rate_line("appends, one caller in turn", rate, None, "each waits for a durable commit of its own")
    rate = _rate(
        20_000, lambda: [storage.write(lambda tx: append_all(tx, _CALLER, _CHANGES)) for _ in range(40)]
    )
    _rate_line("appends, batched", rate, 50_000, "500 entries in one unit of work")


def _rate_line(name: str, rate: float, least: float | None, what: str) -> None:
    """A rate; as `goal` is the most that a value should be, the goal stands on the time of one."""
    goal = None if least is None else 1e6 / least
    report("audit", name, 1e6 / rate, "us each", goal, per_s=round(rate), what=what)


def _fill(storage: Storage) -> None:
    size = storage.write(lambda tx: append_all(tx, _CALLER, _CHANGES[:1]))
    while size < _ENTRIES - 1:
        batch = _CHANGES[: min(len(_CHANGES), _ENTRIES - 1 - size)]
        size = storage.write(lambda tx, batch=batch: append_all(tx, _CALLER, batch)) + len(batch) - 1  # type: ignore[misc]


def _verify(checkpoints: Checkpoints) -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        found = checkpoints.verify()
        times.append(time.perf_counter() - started)
        assert found.ok, found
    report(
        "audit",
        "verify the whole log",
        statistics.median(times),
        "s",
        2.0,
        entries=found.size,
        best=round(min(times), 3),
    )


def _proofs(checkpoints: Checkpoints) -> None:
    size = checkpoints.current(_CALLER.time_ms).size
    times = []
    for number in range(500):
        index = number * 7919 % size
        started = time.perf_counter()
        checkpoints.prove_inclusion(_CALLER, index)
        times.append((time.perf_counter() - started) * 1000)
    report("audit", "inclusion proof, median", statistics.median(times), "ms", 1.0, entries=size)


def _share() -> None:
    """What the entry adds to a real change: creating a registered model, with and without the append."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "holdfast.db"
        migrate(path)
        storage = Storage(path)
        try:
            objects = Objects(storage, open_backend(Path(folder) / "objects"))
            registry = Registry(storage, objects, LoggedModels(storage, objects))
            number = 0

            def change() -> None:
                nonlocal number
                number += 1
                registry.create_model(_CALLER, f"model-{number}")

            with_entry, without = [], []
            for _ in range(300):  # in turn, so that both see the same machine
                with_entry.append(_seconds(change))
                with patch.object(service.audit, "append", lambda *_args, **_options: 0):
                    without.append(_seconds(change))
            added = statistics.median(with_entry) / statistics.median(without) - 1
            report("audit", "the entry's share of a change", added * 100, "% added", 10.0, change="create a model",
                   ms_with=round(statistics.median(with_entry) * 1000, 3))  # fmt: skip
        finally:
            storage.close()


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

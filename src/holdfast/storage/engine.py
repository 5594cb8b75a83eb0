"""The metadata engine: one writer thread with group commit, and concurrent snapshot reads, on SQLite in WAL mode."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from holdfast.kernel.errors import Unavailable

__all__ = ["Storage", "Tx"]

T = TypeVar("T")
Tx = Connection
"""An open transaction: what stores take as their first argument."""

_GROUP = 16
_GROUP_S = 0.002
_BUSY_MS = 10_000


class _Job:
    __slots__ = ("fn", "future", "result")

    def __init__(self, fn: Callable[[Tx], Any]) -> None:
        self.fn = fn
        self.future: Future[Any] = Future()
        self.result: Any = None


class Storage:
    """The metadata database.

    `write(fn)` runs `fn(tx)` in a transaction of the writer thread and answers after the commit is durable
    (`synchronous=FULL`). Up to 16 functions, or what arrives within 2 ms, share one commit; each has its own
    savepoint, so one that raises takes nothing of the others with it. A function may run twice: no I/O, hashing,
    clock or id generation inside. `read(fn)` runs on a snapshot and may not write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer_engine = _engine(path, "BEGIN IMMEDIATE", pool_size=1)
        self._reader_engine = _engine(path, "BEGIN", pool_size=8)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="holdfast-writer", daemon=True)
        self._thread.start()
        self._closed = False

    def write(self, fn: Callable[[Tx], T]) -> T:
        """The result of `fn(tx)`, after its commit. Not to be called from inside another `write`."""
        result: T = self._submit(fn).result()
        return result

    async def write_async(self, fn: Callable[[Tx], T]) -> T:
        """As `write`, without blocking the event loop."""
        result: T = await asyncio.wrap_future(self._submit(fn))
        return result

    def read(self, fn: Callable[[Tx], T]) -> T:
        """The result of `fn(tx)` on a snapshot of the last commit."""
        try:
            with self._reader_engine.connect() as tx:
                return fn(tx)
        except OperationalError as error:
            raise _translate(error) from error

    def close(self) -> None:
        """Finish what is queued, then close. Later writes are refused."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _submit(self, fn: Callable[[Tx], Any]) -> Future[Any]:
        if self._closed:
            raise Unavailable("The server is shutting down.", hint="Try again when it is back.")
        job = _Job(fn)
        self._jobs.put(job)
        return job.future

    def _run(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            if self._commit_group(first):
                return

    def _commit_group(self, first: _Job) -> bool:
        """Run and commit one group; whether the queue's end was met."""
        done: list[_Job] = []
        ending = False
        try:
            with self._writer_engine.connect() as tx, tx.begin():
                until = time.monotonic() + _GROUP_S
                job: _Job | None = first
                while job is not None:
                    self._run_one(tx, job, done)
                    if len(done) >= _GROUP or time.monotonic() > until:
                        break
                    try:
                        job = self._jobs.get_nowait()
                    except queue.Empty:
                        break
                    ending = job is None
        except BaseException as error:  # noqa: BLE001 - every caller of the group must hear of it
            failure = _translate(error)
            for job in done or [first]:
                if not job.future.done():
                    job.future.set_exception(failure)
            return ending
        for job in done:
            if not job.future.done():
                job.future.set_result(job.result)
        return ending

    @staticmethod
    def _run_one(tx: Connection, job: _Job, done: list[_Job]) -> None:
        savepoint = tx.begin_nested()
        try:
            job.result = job.fn(tx)
            savepoint.commit()
        except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
            savepoint.rollback()
            job.future.set_exception(_translate(error))
        done.append(job)


def _translate(error: BaseException) -> BaseException:
    if not isinstance(error, OperationalError):
        return error
    text = str(error.orig).lower()
    if "full" in text:
        return Unavailable(
            "The disk that holds the database is full; nothing was written.",
            hint="Free space on the data folder's disk, then try again.",
            retry_after_s=30,
        )
    if "locked" in text or "busy" in text:
        return Unavailable("The database is busy; nothing was written.", hint="Try again.", retry_after_s=1)
    if "readonly" in text or "unable to open" in text or "disk i/o" in text:
        return Unavailable(
            f"The database can't be written: {error.orig}.", hint="Check the data folder's disk and rights."
        )
    return error


def _engine(path: Path, begin: str, pool_size: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=pool_size,
        max_overflow=0 if pool_size == 1 else 32,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-8000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        if begin == "BEGIN":
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine

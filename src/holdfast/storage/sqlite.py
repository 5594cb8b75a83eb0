"""SQLite in WAL mode: one writer at a time with group commit, and concurrent snapshot reads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from holdfast.kernel.errors import IntegrityError, InvalidInput, Unavailable
from holdfast.storage.database import Tx, closing, count_connections, nested, pool_is_busy, surrogate
from holdfast.storage.figures import Connections
from holdfast.storage.patterns import add_matcher
from holdfast.storage.scope import refuse_unscoped

__all__ = ["SqliteDatabase"]

T = TypeVar("T")
_GROUP = 16
_GROUP_S = 0.002
_BUSY_MS = 10_000
_OVERFLOW = 32
_WRITER_CACHE_KB, _READER_CACHE_KB = 8000, 2000
"""Of pages, by connection; behind them stands the operating system's own cache."""


class _Job:
    __slots__ = ("fn", "future", "result")

    def __init__(self, fn: Callable[[Tx], Any]) -> None:
        self.fn = fn
        self.future: Future[Any] = Future()
        self.result: Any = None


class SqliteDatabase:
    """A database in a file. What it promises stands at `Storage`.

    Whoever writes while nobody else does commits by itself, with what others asked for meanwhile: waking another
    thread takes as long as a small commit. What is still queued then, what arrives from the event loop and from the
    main thread, which signals interrupt, is left to a thread of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer_engine = _engine(path, "BEGIN IMMEDIATE", pool_size=1)
        self._reader_engine = _engine(path, "BEGIN", pool_size=8)
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        """Held for a look at the queue, the turn and whether it is closed."""
        self._turn: Literal["nobody", "caller", "thread"] = "nobody"
        self._writing = 0
        """The ident of the thread that runs units of work, 0 while none does."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="holdfast-writer", daemon=True)
        self._thread.start()

    def write(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.write`."""
        self._refuse_nested()
        job = _Job(fn)
        may_commit = threading.current_thread() is not threading.main_thread()
        with self._changed:
            if self._closed:
                raise closing()
            is_mine = may_commit and self._turn == "nobody"
            if is_mine:
                self._turn = "caller"
            else:
                self._queue(job)
        if is_mine:
            try:
                self._commit_group(job)
            finally:
                self._pass_on()
        result: T = job.future.result()
        return result

    async def write_async(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.write_async`."""
        self._refuse_nested()
        job = _Job(fn)
        with self._changed:
            if self._closed:
                raise closing()
            self._queue(job)
        result: T = await asyncio.wrap_future(job.future)
        return result

    def read(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.read`."""
        if self._closed:
            raise closing()
        try:
            with self._reader_engine.connect() as tx:
                return fn(tx)
        except (SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeError) as error:
            translated = _translate(error)
            if translated is error:
                raise
            raise translated from error

    def connections(self) -> list[Connections]:
        """See `Storage.connections`."""
        return [
            count_connections("writer", self._writer_engine),
            count_connections("reader", self._reader_engine, _OVERFLOW),
        ]

    def close(self) -> None:
        """See `Storage.close`."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _refuse_nested(self) -> None:
        if self._writing == threading.get_ident():
            raise nested()

    def _queue(self, job: _Job) -> None:
        """Leave it to whoever writes now, or else to the thread. The caller holds `_changed`."""
        self._jobs.append(job)
        if self._turn == "nobody":
            self._turn = "thread"
            self._changed.notify()

    def _pass_on(self) -> None:
        """After a group: what is still queued is the thread's."""
        with self._changed:
            self._turn = "thread" if self._jobs else "nobody"
            if self._jobs or self._closed:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._turn == "thread" or (self._closed and self._turn == "nobody")
                )
                if self._turn == "nobody":
                    return
            first = self._waiting()
            if first is not None:
                self._commit_group(first)
            self._pass_on()

    def _waiting(self) -> _Job | None:
        """The next job, when one waits now and nobody has given it up."""
        while True:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return None
            if job.future.set_running_or_notify_cancel():
                return job

    def _commit_group(self, first: _Job) -> None:
        """Run and commit one group, and answer its callers."""
        group = [first]
        self._writing = threading.get_ident()
        try:
            with self._writer_engine.connect() as tx, tx.begin():
                until = time.monotonic() + _GROUP_S
                self._run_one(tx, first)
                while len(group) < _GROUP and time.monotonic() < until and (job := self._waiting()):
                    group.append(job)
                    self._run_one(tx, job)
        except BaseException as error:  # noqa: BLE001 - every caller of the group must hear of it
            failure = _translate(error)
            for job in group:
                if not job.future.done():
                    job.future.set_exception(failure)
            return
        finally:
            self._writing = 0
        for job in group:
            if not job.future.done():
                job.future.set_result(job.result)

    @staticmethod
    def _run_one(tx: Connection, job: _Job) -> None:
        # By the driver itself: SQLAlchemy's own savepoint takes longer than what most functions do in theirs.
        driver: Any = tx.connection.driver_connection
        driver.execute("SAVEPOINT unit_of_work")
        try:
            job.result = job.fn(tx)
            driver.execute("RELEASE unit_of_work")
        except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
            try:
                driver.execute("ROLLBACK TO unit_of_work")
                driver.execute("RELEASE unit_of_work")
            except sqlite3.Error:
                # A full disk or a failed read ends the whole transaction: then the group fails as one.
                raise error from None
            job.future.set_exception(_translate(error))


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, OverflowError) and "SQLite" in str(error):
        return InvalidInput("A number of the request is beyond 64 bits.")
    if isinstance(error, UnicodeEncodeError):
        return surrogate()
    if isinstance(error, UnicodeDecodeError):  # in what SQLite says of a damaged schema
        return IntegrityError(f"The database is damaged: {error}.", hint="Restore it from a backup.")
    if isinstance(error, PoolTimeout):
        return pool_is_busy()
    if not isinstance(error, (DatabaseError, sqlite3.DatabaseError)):
        return error
    said = error.orig if isinstance(error, DatabaseError) else error
    text = str(said).lower()
    if "malformed" in text or "not a database" in text or "could not decode" in text:
        return IntegrityError(
            f"The database is damaged: {getattr(error, 'orig', error)}.", hint="Restore it from a backup."
        )
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
            f"The database can't be written: {getattr(error, 'orig', error)}.",
            hint="Check the data folder's disk and rights.",
        )
    return error


def _engine(path: Path, begin: str, pool_size: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=pool_size,
        max_overflow=0 if pool_size == 1 else _OVERFLOW,
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
            f"cache_size=-{_WRITER_CACHE_KB if begin == 'BEGIN IMMEDIATE' else _READER_CACHE_KB}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        if begin == "BEGIN":
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()
        add_matcher(connection)

    refuse_unscoped(engine)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection  # at a quarter of what SQLAlchemy's way takes
        driver.execute(begin)

    return engine

"""PostgreSQL 15 or newer: one transaction for each unit of work, repeated on conflicts and lost connections."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.types import String

from holdfast.kernel.errors import HoldfastError, IntegrityError, InvalidInput, Unavailable
from holdfast.storage.database import Tx, closing, count_connections, nested, pool_is_busy, surrogate
from holdfast.storage.figures import Connections
from holdfast.storage.patience import PatientConnection
from holdfast.storage.scope import refuse_unscoped

__all__ = ["PostgresDatabase", "open_engine"]

T = TypeVar("T")
_CONNECTIONS = 8
_PATIENCE_S = 10.0
_SLOWEST_RETRY_S = 0.5
_CONFLICTS = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, and a row that another inserted after we had looked."""
_MOST_CONFLICTS = 12
_SESSION = "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
_WRITER = f"{_SESSION} -c statement_timeout=60s -c synchronous_commit=on"
_READER = f"{_SESSION} -c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
_KEEP_S = 3600
_SWEEP = 2000
_MARK = text(
    "INSERT INTO write_token (token, written_at) SELECT :token, CAST(extract(epoch FROM now()) AS bigint) "
    "WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
)
"""The number of the transaction would not do: after a crash PostgreSQL gives lost numbers to others."""
_CLAIM = text(
    "INSERT INTO write_token (token, written_at) VALUES (:token, -CAST(extract(epoch FROM now()) AS bigint)) "
    "ON CONFLICT DO NOTHING"
)
"""Waits for a transaction that is still writing this token, and keeps one that has not from ever committing.
A claim's time is negative."""
_WRITTEN = text("SELECT written_at > 0 FROM write_token WHERE token = :token")
_FORGET = text(
    f"DELETE FROM write_token WHERE abs(written_at) < CAST(extract(epoch FROM now()) AS bigint) - {_KEEP_S}"
)


class PostgresDatabase:
    """A PostgreSQL database. What it promises stands at `Storage`."""

    def __init__(self, url: URL) -> None:
        self._writer = open_engine(url, _WRITER)
        self._reader = open_engine(url, _READER)
        for engine in (self._writer, self._reader):
            refuse_unscoped(engine)
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "holdfast-writer")
        self._here = threading.local()
        self._closed = False
        self._under_way = 0
        self._writes = itertools.count(1)
        self._ended = threading.Condition()

    def write(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.write`."""
        if getattr(self._here, "writing", False):
            raise nested()
        self._here.writing = True
        try:
            return self._repeat(lambda until: self._commit(fn, until))
        finally:
            self._here.writing = False

    async def write_async(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.write_async`."""
        if self._closed:
            raise closing()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.write, fn)

    def read(self, fn: Callable[[Tx], T]) -> T:
        """See `Storage.read`."""

        def once(_until: float) -> T:
            with self._reader.connect() as tx:
                return fn(tx)

        return self._repeat(once)

    def connections(self) -> list[Connections]:
        """See `Storage.connections`."""
        return [count_connections("writer", self._writer), count_connections("reader", self._reader)]

    def close(self) -> None:
        """See `Storage.close`."""
        self._closed = True
        self._threads.shutdown()
        with self._ended:
            self._ended.wait_for(lambda: self._under_way == 0, _PATIENCE_S)
        self._writer.dispose()
        self._reader.dispose()

    def _repeat(self, once: Callable[[float], T]) -> T:
        """What `once(until)` gives, tried again on conflicts, and on lost connections until they are back."""
        with self._ended:
            if self._closed:
                raise closing()
            self._under_way += 1
        try:
            return self._try(once)
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def _try(self, once: Callable[[float], T]) -> T:
        until, pause, conflicts = time.monotonic() + _PATIENCE_S, 0.01, 0
        while True:
            if self._closed:
                raise closing()
            try:
                return once(until)
            except (SQLAlchemyError, UnicodeEncodeError) as error:
                if _is_conflict(error):
                    conflicts += 1
                if not (_is_conflict(error) and conflicts < _MOST_CONFLICTS) and not (
                    _is_lost(error) and time.monotonic() + pause < until
                ):
                    translated = _translate(error)
                    if translated is error:
                        raise
                    raise translated from error
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _SLOWEST_RETRY_S)

    def _commit(self, fn: Callable[[Tx], T], until: float) -> T:
        """Run and commit once. A commit whose answer was lost is looked up by the token that it wrote."""
        token = secrets.token_hex(16)
        with self._writer.connect() as tx:
            transaction = tx.begin()
            try:
                result = fn(tx)
                marked = tx.execute(_MARK, {"token": token}).rowcount == 1
                if marked and next(self._writes) % _SWEEP == 0:
                    tx.execute(_FORGET)
            except BaseException:
                _roll_back(tx)
                raise
            try:
                transaction.commit()
            except DBAPIError as error:
                if not _is_lost(error):
                    raise
                if marked and not self._has_committed(token, until):
                    raise
        return result

    def _has_committed(self, token: str, until: float) -> bool:
        """Whether a transaction took place whose commit was cut off. Raises Unavailable when it can't be told.

        Its session may still be at it, so the token is claimed: that waits for the session, or shuts it out.
        """
        pause = 0.02
        while time.monotonic() < until:
            try:
                with self._writer.connect() as tx, tx.begin():
                    tx.execute(_CLAIM, {"token": token})
                    return bool(tx.execute(_WRITTEN, {"token": token}).scalar_one())
            except SQLAlchemyError as error:
                if not _is_lost(error):
                    break
            time.sleep(pause)
            pause = min(pause * 2, _SLOWEST_RETRY_S)
        raise Unavailable(
            "The connection to the database was lost during a commit; whether it took place is not known.",
            hint="Look whether the change is there before you try again.",
        )


def open_engine(url: URL, options: str = _WRITER) -> Engine:
    """Connections to the database; `options` are settings of each session. Text sorts by its code points."""
    given = url.query.get("options", ())
    own = " ".join([given] if isinstance(given, str) else given)
    engine = create_engine(
        url.difference_update_query(["options"]),
        use_native_hstore=False,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_PATIENCE_S,
        connect_args={
            "options": f"{options} {own}".strip(),
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "application_name": "holdfast",
        },
    )
    engine.dialect.ddl_compiler = _Ddl

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> PatientConnection:
        return PatientConnection.connect(*arguments, **options)

    return engine


class _Ddl(PGDDLCompiler):
    """Gives every text column the collation "C", so that order and ranges are those of SQLite everywhere."""

    def get_column_specification(self, column: Any, **options: Any) -> str:
        made: str = super().get_column_specification(column, **options)  # type: ignore[no-untyped-call]
        if not isinstance(column.type, String):
            return made
        name = self.preparer.format_column(column)
        type_name = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        head = f"{name} {type_name}"
        assert made.startswith(head)
        return f'{head} COLLATE "C"{made[len(head) :]}'


def _roll_back(tx: Connection) -> None:
    """End a transaction that failed; a connection that is lost has ended it already."""
    transaction = tx.get_transaction()
    try:
        if transaction is not None:
            transaction.rollback()
    except DBAPIError as error:
        if not _is_lost(error):
            raise


def _state(error: BaseException) -> str:
    """The SQLSTATE of an error; empty when it has none."""
    origin = getattr(error, "orig", None)
    return (origin.sqlstate or "") if isinstance(origin, psycopg.Error) else ""


def _is_conflict(error: BaseException) -> bool:
    return _state(error) in _CONFLICTS


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone or could not be made, and may come back."""
    if not isinstance(error, DBAPIError):
        return False
    state = _state(error)
    if state:
        # 08: connection; 57P: shut down, crashed, or starting up.
        return state.startswith("08") or state in ("57P01", "57P02", "57P03")
    refused = "password authentication failed", "does not exist", "no pg_hba.conf entry"
    said = str(error.orig)
    return isinstance(error.orig, psycopg.OperationalError) and not any(word in said for word in refused)


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, UnicodeEncodeError):
        return surrogate()
    if isinstance(error, PoolTimeout):
        return pool_is_busy()
    if not isinstance(error, DBAPIError):
        return error
    said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    found = _of_state(_state(error), said)
    if found is not None:
        return found
    if isinstance(error.orig, psycopg.DataError) and "NUL" in said:
        return InvalidInput("A text of the request holds a NUL character.", hint="Leave it out.")
    if isinstance(error.orig, psycopg.OperationalError):
        return Unavailable(
            f"The database can't be reached: {said}.",
            hint="Check that PostgreSQL runs and that the address of --database is right; then try again.",
            retry_after_s=2,
        )
    return error


def _of_state(state: str, said: str) -> HoldfastError | None:
    """Our error for an SQLSTATE (PostgreSQL, appendix A)."""
    if state == "22003":
        return InvalidInput("A number of the request is beyond 64 bits.")
    if state == "22001":
        return InvalidInput(f"A text of the request is too long: {said}.")
    if state == "22021":
        return InvalidInput("A text of the request holds a NUL character or is not valid UTF-8.")
    if state == "53100":
        return Unavailable(
            "The disk that holds the database is full; nothing was written.",
            hint="Free space on the database server, then try again.",
            retry_after_s=30,
        )
    if state in ("55P03", "57014"):
        return Unavailable(f"The database is busy: {said}.", hint="Try again.", retry_after_s=1)
    if state in ("25006", "42501") or state.startswith("58"):
        return Unavailable(
            f"The database can't be written: {said}.", hint="Check its state and the user's rights."
        )
    if state in ("XX001", "XX002"):
        return IntegrityError(f"The database is damaged: {said}.", hint="Restore it from a backup.")
    return None

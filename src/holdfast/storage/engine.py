"""The metadata database: the unit of work, on SQLite or on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from holdfast.kernel.spans import span
from holdfast.storage.database import Database, Tx
from holdfast.storage.figures import Connections, WriteFigures
from holdfast.storage.location import address_of, describe, parse_location

__all__ = ["Storage", "Tx"]

T = TypeVar("T")


class Storage:
    """The metadata database of a path (SQLite) or a `postgresql://` address.

    `write(fn)` runs `fn(tx)` in a transaction and answers after its commit is durable. What it read about a thing
    that it has taken the `lock` of is still true when it commits. A function may run twice: no I/O, hashing, clock
    or id generation inside. `read(fn)` runs on a snapshot of the last commit and may not write. Thread-safe, and
    safe beside other processes on the same database.

    SQLite (WAL, `synchronous=FULL`): one writer at a time; up to 16 functions, or what arrives within 2 ms, share one
    commit; each has its own savepoint, so one that raises takes nothing of the others with it. PostgreSQL: one READ
    COMMITTED transaction for each function, repeated on a conflict with another; a connection that is lost is made
    anew for up to 10 s, and whether a commit that was cut off took place is looked up, not guessed.
    """

    def __init__(self, location: Path | URL | str) -> None:
        self.location = parse_location(location)
        self.figures = WriteFigures()
        self._database: Database
        if isinstance(self.location, Path):
            from holdfast.storage.sqlite import SqliteDatabase  # a process loads the one that it uses

            self._database = SqliteDatabase(self.location)
        else:
            from holdfast.storage.postgres import PostgresDatabase

            self._database = PostgresDatabase(self.location)

    def __repr__(self) -> str:
        return f"Storage({describe(self.location)!r})"

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if isinstance(self.location, Path) else "postgresql"

    @property
    def address(self) -> str:
        """What another process opens the same database by; a secret when it holds a password."""
        return address_of(self.location)

    def write(self, fn: Callable[[Tx], T]) -> T:
        """The result of `fn(tx)`, after its commit. Raises RuntimeError inside another `write`."""
        with span("storage.write", database=self.kind), self.figures.timing():
            return self._database.write(fn)

    async def write_async(self, fn: Callable[[Tx], T]) -> T:
        """As `write`, without blocking the event loop."""
        with span("storage.write", database=self.kind), self.figures.timing():
            return await self._database.write_async(fn)

    def read(self, fn: Callable[[Tx], T]) -> T:
        """The result of `fn(tx)` on a snapshot of the last commit."""
        return self._database.read(fn)

    def connections(self) -> list[Connections]:
        """The connections of this process, by pool."""
        return self._database.connections()

    def close(self) -> None:
        """Finish what is queued, then close. Later reads and writes are refused."""
        self._database.close()

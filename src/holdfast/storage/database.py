"""What a kind of database does for `Storage`, and what both kinds say when they can't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import QueuePool

from holdfast.kernel.errors import InvalidInput, Unavailable
from holdfast.storage.figures import Connections

__all__ = ["Database", "Tx", "closing", "count_connections", "nested", "pool_is_busy", "surrogate"]

T = TypeVar("T")
Tx = Connection
"""An open transaction: what stores take as their first argument."""


class Database(Protocol):
    """A kind of database; `Storage` says what its functions promise."""

    def write(self, fn: Callable[[Tx], T]) -> T:
        """Run a unit of work."""
        ...

    async def write_async(self, fn: Callable[[Tx], T]) -> T:
        """Run a unit of work without blocking the event loop."""
        ...

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function on a snapshot."""
        ...

    def connections(self) -> list[Connections]:
        """The connections of this process, by pool."""
        ...

    def close(self) -> None:
        """Finish what is queued."""
        ...


def count_connections(name: str, engine: Engine, overflow: int = 0) -> Connections:
    """How an engine's pool stands; `overflow` is how many it may open beyond its size."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return Connections(name, pool.checkedout(), pool.size() + overflow)


def closing() -> Unavailable:
    """The process ends."""
    return Unavailable("The server is shutting down.", hint="Try again when it is back.")


def nested() -> RuntimeError:
    """A fault of the caller: a unit of work inside another."""
    return RuntimeError("A write can't start another write: it would wait for itself.")


def pool_is_busy() -> Unavailable:
    """Every connection is in use."""
    return Unavailable("The database is busy: too many requests at once.", hint="Try again.")


def surrogate() -> InvalidInput:
    """A text that has no UTF-8."""
    return InvalidInput("A text of the request is not valid Unicode: it holds half of a surrogate pair.")

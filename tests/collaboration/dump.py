"""Everything that a database holds, to look for what must not be there."""

from __future__ import annotations

from sqlalchemy import select

from holdfast.storage import Storage, Tx, metadata

__all__ = ["dump"]


def dump(storage: Storage) -> str:
    """Every value of every table."""

    def read(tx: Tx) -> str:
        return repr([list(tx.execute(select(table))) for table in metadata.sorted_tables])

    return storage.read(read)

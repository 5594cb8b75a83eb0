"""Everything that a database holds, to look for what must not be there."""

from __future__ import annotations

from sqlalchemy import select

from holdfast.storage import ALL_WORKSPACES, Storage, Tx, metadata

__all__ = ["dump"]


def dump(storage: Storage) -> str:
    """Every value of every table."""

    def read(tx: Tx) -> str:
        tables = (select(table).execution_options(**ALL_WORKSPACES) for table in metadata.sorted_tables)
        return repr([list(tx.execute(query)) for query in tables])

    return storage.read(read)

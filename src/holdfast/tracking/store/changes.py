"""What changed since: a number in each run's row that grows with every change of the run or its attributes.

On SQLite, where there is one writer at a time, it is the workspace's greatest plus one, and commits follow its order.
On PostgreSQL transactions commit in any order, so it is the transaction's id: whoever has read all rows below the oldest
id that was still going (`horizon`) reads from there on the next time, and misses nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, String, bindparam, cast, func, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from holdfast.storage import Tx
from holdfast.storage.direct import Direct
from holdfast.tracking.store.tables import runs

__all__ = ["horizon", "touch"]


class _Change(FunctionElement[int]):
    """The number of this change, given the workspace."""

    type = BigInteger()
    inherit_cache = True


@compiles(_Change, "sqlite")
def _on_sqlite(element: _Change, compiler: SQLCompiler, **options: Any) -> str:
    workspace = compiler.process(element.clauses, **options)
    return f"(SELECT coalesce(max(changed), 0) + 1 FROM run WHERE workspace_id = {workspace})"


@compiles(_Change, "postgresql")
def _on_postgresql(_element: _Change, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"


_TOUCH = Direct(
    update(runs)
    .where(runs.c.workspace_id == bindparam("workspace"), runs.c.run_no == bindparam("run"))
    .values(changed=_Change(bindparam("workspace")))
)
_NEWEST = select(func.coalesce(func.max(runs.c.changed), 0)).where(
    runs.c.workspace_id == bindparam("workspace")
)
_OLDEST, _BELOW = (
    cast(cast(bound(func.pg_current_snapshot()), String), BigInteger)
    for bound in (func.pg_snapshot_xmin, func.pg_snapshot_xmax)
)
_SNAPSHOT = select(_OLDEST, _BELOW)


def touch(tx: Tx, workspace: str, run_no: int) -> None:
    """Note that the run, or an attribute of it, changes in this transaction."""
    _TOUCH.run(tx, {"workspace": workspace, "run": run_no})


def horizon(tx: Tx, workspace: str) -> tuple[int, int]:
    """(from, below): whoever reads now misses changes numbered `from` and greater alone, and none is `below` or more."""
    if tx.dialect.name == "sqlite":
        newest = int(tx.execute(_NEWEST, {"workspace": workspace}).scalar_one())
        return newest + 1, newest + 1
    oldest, below = tx.execute(_SNAPSHOT).one()
    return int(oldest), int(below)

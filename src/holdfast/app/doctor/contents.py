"""What the database holds, looked at in depth: its file, its schema, the audit log, and the rows that digests bind."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from holdfast.app.doctor.records import Finding, bad, ok
from holdfast.app.services import Services
from holdfast.audit.recorded import Recorded, differences
from holdfast.collaboration.recorded import RecordedTalk
from holdfast.identity.recorded import RecordedIdentities
from holdfast.kernel.errors import HoldfastError
from holdfast.predictions.recorded import RecordedEndpoints
from holdfast.registry.recorded import RecordedModels
from holdfast.serving.recorded import RecordedDeployments
from holdfast.storage import Tx, misplaced_values, trees
from holdfast.storage.migrate import migrate
from holdfast.tracking.recorded import RecordedRuns

__all__ = ["check_contents", "check_file"]

_NAMED = 5
_RESTORE = "Stop the server and restore a backup: holdfast restore FILE --data DIR."
_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


def check_file(path: Path) -> Iterator[Finding]:
    """A SQLite file as SQLite sees it, every index against its table, and its schema against this version's."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            problems = [
                row[0].decode("utf-8", "replace") for row in connection.execute("PRAGMA integrity_check(20)")
            ]
            found = dict(connection.execute(_SCHEMA))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield bad("database file", f"damaged: {error}", _RESTORE)
        return
    wanted = _schema()
    changed = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if changed:
        names = ", ".join(name.decode("utf-8", "replace") for name in changed)
        yield bad("database schema", f"not this version's: {names}", _RESTORE)
    if problems != ["ok"]:
        yield bad("database file", f"damaged: {_told(problems)}", _RESTORE)
    else:
        yield ok("database file", "whole, and every index agrees with its table")


@cache
def _schema() -> dict[bytes, bytes | None]:
    """What a new database is made of."""
    with tempfile.TemporaryDirectory(prefix="holdfast-doctor-") as folder:
        path = Path(folder) / "new.db"
        migrate(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            return dict(connection.execute(_SCHEMA))


def check_contents(services: Services) -> Iterator[Finding]:
    """The audit log against its hashes and signatures, sealed trees against their files, rows against the log."""
    report = services.checkpoints.verify()
    damage = [
        f"entry {one.index}: {one.problem}" if one.index >= 0 else one.problem for one in report.damaged
    ]
    yield _judged("audit log", f"{report.size:,} entries verified", damage)
    try:
        problems = services.storage.read(lambda tx: [*misplaced_values(tx)] or _problems(tx))
    except SQLAlchemyError as error:
        problems = [f"the rows can't be read: {getattr(error, 'orig', error)}"]
    except HoldfastError as error:
        problems = [error.message]
    yield _judged("records", "as the audit log and their digests say", problems)


def _problems(tx: Tx) -> list[str]:
    rooms: list[Recorded] = [
        RecordedIdentities(),
        RecordedTalk(),
        RecordedRuns(),
        RecordedModels(),
        RecordedEndpoints(),
        RecordedDeployments(),
    ]
    return [*trees.broken_seals(tx), *differences(tx, rooms)]


def _judged(check: str, well: str, problems: Sequence[str]) -> Finding:
    return bad(check, _told(problems), _RESTORE) if problems else ok(check, well)


def _told(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - _NAMED:,} more" if len(problems) > _NAMED else ""
    return "; ".join(problems[:_NAMED]) + more

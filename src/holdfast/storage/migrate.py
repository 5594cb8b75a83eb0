"""Bringing a database to this version's schema."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from holdfast.kernel.errors import Conflict, NotFound

__all__ = ["head_revision", "migrate", "require_current", "revision_of"]

_MIGRATIONS = Path(str(files("holdfast.storage"))) / "migrations"


def migrate(path: Path) -> bool:
    """Create the database or upgrade it to this version; whether anything was done.

    Atomic: a migration that is cut short leaves the database as it was. Alembic is loaded only when there is
    something to do, so a start on an existing folder is quick. Raises Conflict when a newer holdfast or another
    program made the database, or when it can't be read.
    """
    revision = revision_of(path)
    if revision == head_revision():
        return False
    if revision is not None and revision not in _revisions():
        raise Conflict(
            f"The database {path} has the schema {revision}, which this holdfast does not know: a newer one made it.",
            hint="Install that newer version of holdfast, or give another folder with --data.",
        )
    # Alembic takes a third of a second to import and is needed on new and old folders alone.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["path"] = path
    command.upgrade(config, "head")
    return True


def require_current(path: Path) -> None:
    """Raises NotFound when there is no database, Conflict when it has another schema than this version's.

    For processes that work beside the server, which alone makes and upgrades the database.
    """
    revision = revision_of(path)
    if revision is None:
        raise NotFound(
            f"There is no holdfast database at {path}.", hint="Start the server on this data folder first."
        )
    if revision != head_revision():
        raise Conflict(
            f"The database {path} has the schema {revision}; this holdfast works on {head_revision()}.",
            hint="Start the server of this version once: it upgrades the database.",
        )


def revision_of(path: Path) -> str | None:
    """The revision of a database; None when there is none yet."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            tables = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if "alembic_version" in tables:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                return None if row is None else str(row[0])
    except sqlite3.OperationalError as error:
        raise Conflict(
            f"The database {path} can't be read: {error}.", hint="Check its rights, or restore a backup."
        ) from error
    except sqlite3.DatabaseError as error:
        raise Conflict(
            f"The file {path} is not a holdfast database: {error}.", hint="Restore a backup."
        ) from error
    if tables:
        raise Conflict(
            f"The database {path} is another program's: it holds the table {min(tables)!r}.",
            hint="Give another folder with --data.",
        )
    return None


def head_revision() -> str:
    """The revision of this version's schema."""
    return _revisions()[-1]


def _revisions() -> list[str]:
    names = (re.match(r"(\d{4})_\w+\.py$", path.name) for path in (_MIGRATIONS / "versions").iterdir())
    return sorted(match[1] for match in names if match)

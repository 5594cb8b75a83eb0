"""Bringing a database to this version's schema."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import SQLAlchemyError

from holdfast.kernel.errors import Conflict, NotFound, Unavailable
from holdfast.storage.location import Location, describe, parse_location

__all__ = [
    "head_revision",
    "is_known",
    "migrate",
    "open_location",
    "require_current",
    "revision_of",
    "upgrade",
]

_MIGRATIONS = Path(str(files("holdfast.storage"))) / "migrations"
_OLDEST_POSTGRES = 15


def migrate(location: Location | str) -> bool:
    """Create the database or upgrade it to this version; whether anything was done.

    Atomic: a migration that is cut short leaves the database as it was. Servers that start together on one
    PostgreSQL wait for each other. Alembic is loaded only when there is something to do, so a start on an existing
    folder is quick. Raises Conflict when a newer holdfast or another program made the database, or when it can't be
    read, Unavailable when PostgreSQL can't be reached.
    """
    location = parse_location(location)
    revision = revision_of(location)
    if revision == head_revision():
        return False
    if revision is not None and not is_known(revision):
        raise Conflict(
            f"The database {describe(location)} has the schema {revision}, which this holdfast does not know: "
            "a newer one made it.",
            hint="Install that newer version of holdfast, or give another database.",
        )
    engine = open_location(location)
    try:
        with engine.connect() as connection, connection.begin():
            upgrade(connection)
    finally:
        engine.dispose()
    return True


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database of an open transaction to a revision, an empty one too. The caller commits."""
    # Alembic takes a third of a second to import and is needed on new and old folders alone.
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        # Replicas that start together: the first migrates, the others find it done.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4815162342)")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def open_location(location: Location) -> Engine:
    """Connections for migrations, dumps and loads: on SQLite each transaction holds the write lock from its begin."""
    return _sqlite_engine(location) if isinstance(location, Path) else _postgres_engine(location)


def require_current(location: Location | str) -> None:
    """Raises NotFound when there is no database, Conflict when it has another schema than this version's.

    For processes that work beside the server, which alone makes and upgrades the database.
    """
    location = parse_location(location)
    revision = revision_of(location)
    if revision is None:
        raise NotFound(
            f"There is no holdfast database at {describe(location)}.",
            hint="Start the server on this data folder or database first.",
        )
    if revision != head_revision():
        raise Conflict(
            f"The database {describe(location)} has the schema {revision}; this holdfast works on {head_revision()}.",
            hint="Start the server of this version once: it upgrades the database.",
        )


def revision_of(location: Location | str) -> str | None:
    """The revision of a database; None when there is none yet."""
    location = parse_location(location)
    tables, revision = _look_at_file(location) if isinstance(location, Path) else _look_at_postgres(location)
    if "alembic_version" in tables:
        return revision
    if tables:
        raise Conflict(
            f"The database {describe(location)} is another program's: it holds the table {min(tables)!r}.",
            hint="Give another folder with --data, or another database with --database.",
        )
    return None


def head_revision() -> str:
    """The revision of this version's schema."""
    return _revisions()[-1]


def is_known(revision: str) -> bool:
    """Whether this version of holdfast knows the revision: made by it or by an older one."""
    return revision in _revisions()


def _revisions() -> list[str]:
    names = (re.match(r"(\d{4})_\w+\.py$", path.name) for path in (_MIGRATIONS / "versions").iterdir())
    return sorted(match[1] for match in names if match)


def _look_at_file(path: Path) -> tuple[set[str], str | None]:
    """The tables of a SQLite file, and its revision."""
    if not path.exists():
        return set(), None
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            tables = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if "alembic_version" not in tables:
                return tables, None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return tables, None if row is None else str(row[0])
    except sqlite3.OperationalError as error:
        raise Conflict(
            f"The database {path} can't be read: {error}.", hint="Check its rights, or restore a backup."
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter in words about a damaged schema
        raise Conflict(
            f"The file {path} is not a holdfast database: {error}.", hint="Restore a backup."
        ) from error


def _look_at_postgres(url: URL) -> tuple[set[str], str | None]:
    """The tables of a PostgreSQL database's own schema, and its revision."""
    engine = _postgres_engine(url)
    try:
        with engine.connect() as connection:
            version = connection.dialect.server_version_info or (0,)
            if int(version[0]) < _OLDEST_POSTGRES:
                raise Conflict(
                    f"The database {describe(url)} runs PostgreSQL {version[0]}; holdfast needs {_OLDEST_POSTGRES} "
                    "or newer."
                )
            tables = set(inspect(connection).get_table_names())
            if "alembic_version" not in tables:
                return tables, None
            return tables, connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise Unavailable(
            f"The database {describe(url)} can't be reached: {said}.",
            hint="Check that PostgreSQL runs, and the address, user and password of --database.",
        ) from error
    finally:
        engine.dispose()


def _sqlite_engine(path: Path) -> Engine:
    # Without isolation_level None, sqlite3 commits each CREATE TABLE by itself.
    engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 10})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def start(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    return engine


def _postgres_engine(url: URL) -> Engine:
    from holdfast.storage.postgres import open_engine  # a process on SQLite needs no driver of PostgreSQL

    return open_engine(url)

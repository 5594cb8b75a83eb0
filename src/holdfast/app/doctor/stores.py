"""The stores: the files' rights, the database and its schema, the objects."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.app.doctor.records import Finding, attention, bad, ok
from holdfast.app.services import Services
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.storage import Storage
from holdfast.storage.location import describe, parse_location
from holdfast.storage.migrate import head_revision, revision_of

__all__ = ["check_database", "check_files", "check_objects"]


def check_files(settings: Settings) -> Iterator[Finding]:
    """The data folder and what in it is secret."""
    if not settings.data.is_dir():
        yield attention(
            "data folder",
            f"{settings.data} does not exist",
            "Start a server on it, or name another with --data.",
        )
        return
    if not os.access(settings.data, os.R_OK | os.W_OK | os.X_OK):
        yield bad(
            "data folder", f"{settings.data} can't be written by this user", "Check its owner and rights."
        )
        return
    yield ok("data folder", str(settings.data))
    secret = [*sorted(settings.keys.glob("*.key")), settings.data / "admin.token", settings.inference_secret]
    found = [path for path in secret if path.exists()]
    wide = [path for path in found if _is_wide(path)]
    if wide:
        names = " ".join(str(path) for path in wide)
        yield bad("keys", f"others may read {names}", f"Close them: chmod 600 {names}; then rotate them.")
    elif found:
        yield ok("keys", f"{len(found)} secret files, readable by their owner alone")
    if settings.keys_command:
        yield ok("keys", "from the command of HOLDFAST_KEYS_COMMAND")


def _is_wide(path: Path) -> bool:
    """Whether more may read a secret than its owner, or, for one mounted by an orchestrator, its group."""
    found = path.stat()
    allowed = 0o700 if found.st_uid == os.getuid() else 0o750
    return bool(stat.S_IMODE(found.st_mode) & ~allowed)


def check_database(settings: Settings, *, is_whole: bool = True) -> Iterator[Finding]:
    """Whether it can be reached, its schema, and on SQLite, with `is_whole`, whether its pages are whole."""
    location = parse_location(settings.database)
    revision = revision_of(location)
    if revision is None:
        yield attention(
            "database",
            f"there is none yet at {describe(location)}",
            "Start the server: it makes the database.",
        )
        return
    if revision != head_revision():
        yield bad(
            "database",
            f"{describe(location)} has the schema {revision}; this holdfast works on {head_revision()}",
            "Run holdfast upgrade, or install the version of holdfast that made it.",
        )
        return
    storage = Storage(location)
    try:
        yield ok("database", f"{describe(location)}, schema {revision}, {_server(storage)}")
        if is_whole and isinstance(location, Path):
            yield _check_whole(storage)
    finally:
        storage.close()


def _server(storage: Storage) -> str:
    if storage.kind == "sqlite":
        return "SQLite"
    version = storage.read(lambda tx: tx.exec_driver_sql("SHOW server_version").scalar_one())
    return f"PostgreSQL {str(version).split()[0]}"


def _check_whole(storage: Storage) -> Finding:
    found = storage.read(lambda tx: tx.exec_driver_sql("PRAGMA quick_check(5)").scalars().all())
    if found == ["ok"]:
        return ok("database file", "whole")
    return bad(
        "database file",
        f"damaged: {'; '.join(map(str, found))}",
        "Stop the server and restore a backup: holdfast restore FILE --data DIR.",
    )


def check_objects(services: Services) -> Iterator[Finding]:
    """Whether the object store can be reached."""
    try:
        services.objects.check()
    except HoldfastError as error:
        yield bad("objects", error.message, error.hint or "Check the object store's address and rights.")
        return
    yield ok("objects", str(services.objects.url))

"""`python -m holdfast.app upgrade`: bring a database of an older version to this one's schema, with a way back."""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import time
from pathlib import Path

import msgspec

from holdfast.app.__main__ import settings_of
from holdfast.app.folder import hold_folder
from holdfast.audit.verify import verify_log
from holdfast.kernel.errors import Conflict, IntegrityError, NotFound
from holdfast.settings import Settings
from holdfast.storage import Storage
from holdfast.storage.location import Location, describe, parse_location
from holdfast.storage.migrate import head_revision, migrate, revision_of
from holdfast.web.logs import configure_logs

__all__ = ["Upgraded", "run", "upgrade_database"]


class Upgraded(msgspec.Struct):
    """From which schema to which; `backup` is the copy of before. Nothing was done where both are the same."""

    database: str
    before: str
    after: str
    backup: str = ""
    audit_entries: int = 0


def run(options: argparse.Namespace) -> int:
    """Upgrade, or with --check only tell; print it as JSON. The exit code is 1 when --check finds something to do."""
    configure_logs("upgrade", options.log_level)
    settings = settings_of(options)
    if options.check:
        done = Upgraded(describe(parse_location(settings.database)), _revision(settings), head_revision())
    else:
        done = upgrade_database(settings, without_backup=options.no_backup)
    print(msgspec.json.format(msgspec.json.encode(done), indent=2).decode())  # noqa: T201 - the answer
    return 1 if options.check and done.before != done.after else 0


def upgrade_database(settings: Settings, *, without_backup: bool = False) -> Upgraded:
    """Copy the database (SQLite), migrate it in one transaction, and verify it.

    Raises NotFound without a database, Conflict while a server holds the folder, for a newer database, and on
    PostgreSQL unless `without_backup` says that there is a backup; IntegrityError when it is not whole afterwards.
    """
    location, before = parse_location(settings.database), _revision(settings)
    done = Upgraded(describe(location), before, head_revision())
    if before == done.after:
        return done
    with contextlib.ExitStack() as held:
        if isinstance(location, Path):
            held.enter_context(hold_folder(settings.data))
            if not without_backup:
                done.backup = str(_copy(location, before))
        elif not without_backup:
            raise Conflict(
                f"The database {done.database} is on PostgreSQL, which this command does not copy.",
                hint="Stop every server, take a backup (pg_dump -Fc, or holdfast backup of the version that made it), "
                "then run holdfast upgrade --no-backup.",
            )
        migrate(location)
        done.audit_entries = _verify(location, done)
    return done


def _revision(settings: Settings) -> str:
    revision = revision_of(settings.database)
    if revision is None:
        raise NotFound(
            f"There is no holdfast database at {describe(parse_location(settings.database))}.",
            hint="Name it with --data or --database; a new one is made by the server's start.",
        )
    return revision


def _copy(path: Path, revision: str) -> Path:
    """A copy beside, durable: of what is in the write-ahead log too."""
    target = path.with_name(
        f"{path.name}.before-upgrade-{revision}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    )
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    fd = os.open(target, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return target


def _verify(location: Location, done: Upgraded) -> int:
    storage = Storage(location)
    try:
        if storage.kind == "sqlite":
            found = storage.read(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all())
            if found != ["ok"]:
                raise _damaged(done, "; ".join(map(str, found)))
        audit = storage.read(verify_log)
        if not audit.ok:
            raise _damaged(done, f"audit entry {audit.damaged[0].index}: {audit.damaged[0].problem}")
        return audit.size
    finally:
        storage.close()


def _damaged(done: Upgraded, what: str) -> IntegrityError:
    return IntegrityError(
        f"The database {done.database} is upgraded and not whole: {what}.",
        hint=f"Look whether it was so before, in the copy {done.backup}; to go back, put that in its place."
        if done.backup
        else "Look whether it was so before, in your backup.",
    )

"""`python -m holdfast.app restore FILE`: a whole deployment out of a backup, or nothing.

Everything is written beside its place first (files) or in one open transaction (PostgreSQL), compared with the
backup's digests, and put into place at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec
from sqlalchemy import Connection

from holdfast.app.__main__ import settings_of
from holdfast.app.backup import COUNTERS, DELTA_FOLDERS, HEADER, ROWS, SECRETS, STORED, Header
from holdfast.app.passphrase import open_secrets, read_passphrase, write_secrets
from holdfast.app.told import Told, progress
from holdfast.audit.checkpoints import forget_signatures
from holdfast.audit.verify import verify_log
from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import Conflict, IntegrityError, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.serving.service import outrun_replicas
from holdfast.settings import Settings
from holdfast.storage import leases
from holdfast.storage.archive import check_archive, read_archive
from holdfast.storage.dump import Block, empty_tables, load_block, load_counters, reflect
from holdfast.storage.location import describe, parse_location
from holdfast.storage.migrate import head_revision, is_known, open_location, revision_of, upgrade
from holdfast.storage.objects import Backend, open_backend
from holdfast.web.logs import configure_logs

__all__ = ["Restored", "restore", "run"]

_BLOCK = 4 << 20
_MOST_HEADER, _MOST_WHOLE = 1 << 20, 1 << 29


class Restored(msgspec.Struct):
    """What was restored, and into what. `problems` are in the backup already."""

    file: str
    data: str
    database: str
    objects: str
    schema: str
    made_with: str
    made_at: int
    rows: int = 0
    stored: int = 0
    has_keys: bool = False
    audit_entries: int = 0
    problems: list[str] = []


def run(options: argparse.Namespace) -> int:
    """Restore and print what there is now as JSON; the exit code is 1 when the backup holds a damaged audit log."""
    configure_logs("restore", options.log_level)
    passphrase = read_passphrase(options.passphrase_file)
    file = options.file.expanduser().absolute()
    with progress() as told:
        done = restore(file, settings_of(options), passphrase, without_keys=options.without_keys, told=told)
    print(msgspec.json.format(msgspec.json.encode(done), indent=2).decode())  # noqa: T201 - the answer
    return 1 if done.problems else 0


def restore(
    file: Path,
    settings: Settings,
    passphrase: str = "",
    *,
    without_keys: bool = False,
    told: Told = lambda *_: None,
) -> Restored:
    """Restore the backup into an empty data folder, database and object store.

    All or nothing: when this raises, the targets are as they were. Raises IntegrityError for a damaged file, Conflict
    for one of a newer holdfast or a target that is not empty, Unauthenticated for a wrong passphrase.
    """
    check_archive(file, lambda done, size: told("checking", done, size))
    header = _read_header(file)
    if header.has_keys and not passphrase and not without_keys:
        raise Conflict(
            f"The backup {file} holds the deployment's keys under a passphrase.",
            hint="Give it with --passphrase-file or HOLDFAST_BACKUP_PASSPHRASE, or restore --without-keys.",
        )
    places = _Places(settings)
    done = Restored(
        str(file), str(settings.data), describe(parse_location(settings.database)), settings.objects,
        head_revision(), header.holdfast, header.created_at,
    )  # fmt: skip
    with places.staged():
        if isinstance(parse_location(settings.database), Path):
            with _database(places.database) as connection:
                _fill(connection, file, header, places, passphrase, done, told)
            _sync(places.database)
            places.put_into_place()
        else:
            with _database(settings.database) as connection:
                _fill(connection, file, header, places, passphrase, done, told)
                places.put_into_place()
    return done


def _read_header(file: Path) -> Header:
    name, size, content = next(read_archive(file))
    if name != HEADER:
        raise IntegrityError(f"The file {file} is no backup of holdfast: it begins with {name[:80]!r}.")
    header = msgspec.json.decode(_whole(name, size, content, _MOST_HEADER), type=Header)
    if header.format != 1 or not is_known(header.schema):
        raise Conflict(
            f"The backup {file} is of holdfast {header.holdfast} with the schema {header.schema}, which this version "
            "does not know: a newer one made it.",
            hint="Install that version of holdfast, or a newer one.",
        )
    return header


def _fill(
    connection: Connection,
    file: Path,
    header: Header,
    places: _Places,
    passphrase: str,
    done: Restored,
    told: Told,
) -> None:
    """Everything of the backup into the open transaction and the places beside."""
    upgrade(connection, header.schema)
    tables = reflect(connection)
    empty_tables(connection, tables)
    counters: dict[str, int] = {}
    for name, size, content in read_archive(file):
        if name == SECRETS and passphrase:
            places.secrets = open_secrets(_whole(name, size, content), passphrase)
            done.has_keys = True
        elif name == COUNTERS:
            counters = msgspec.json.decode(_whole(name, size, content), type=dict[str, int])
        elif name.startswith(ROWS):
            block = msgspec.msgpack.decode(_whole(name, size, content), type=Block)
            done.rows += load_block(connection, tables, block)
            told("rows", done.rows, None)
        elif name.startswith(STORED):
            places.store(name.removeprefix(STORED), content)
            done.stored += 1
            told("objects", done.stored, None)
        else:
            _skip(content, size)
    load_counters(connection, tables, counters)
    upgrade(connection)
    leases.end_all(connection)
    if not done.has_keys and not places.has_keys():
        forget_signatures(connection)  # nobody could tell that they are ours
    outrun_replicas(connection, SystemClock().now_ms())
    verified = verify_log(connection)
    done.audit_entries = verified.size
    done.problems = [f"audit entry {one.index}: {one.problem}" for one in verified.damaged]


def _whole(name: str, size: int, content: IO[bytes], most: int = _MOST_WHOLE) -> bytes:
    """A member in memory; one that no backup of ours has would only be there to fill it."""
    if size > most:
        raise IntegrityError(
            f"The backup's member {name[:80]!r} of {size} bytes is larger than any that was backed up."
        )
    return content.read()


def _skip(content: IO[bytes], size: int) -> None:
    while size > 0 and (block := content.read(_BLOCK)):
        size -= len(block)


@contextmanager
def _database(location: Path | str) -> Iterator[Connection]:
    """A transaction on an empty database that is committed at the end, as long as it takes."""
    engine = open_location(parse_location(location))
    try:
        with engine.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                for name in ("idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {name} = 0")
            yield connection
    finally:
        engine.dispose()


class _Places:
    """The data folder, its objects and its keys: written beside, then renamed. A bucket is written at once, and
    emptied again when something fails: nothing refers to it before the database is there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data = settings.data
        mark = f".restoring-{new_id()}"
        self._stage = self._data.with_name(f".{self._data.name}{mark}")
        self.database = self._stage / "holdfast.db"
        self.secrets: dict[str, bytes] = {}
        self._bucket: Backend | None = None
        self._written: list[str] = []
        self._moves = [(self._stage, self._data)]
        if "://" in settings.objects:
            self._bucket = open_backend(settings.objects)
            self._objects = self._stage
        elif settings.objects_url:
            target = Path(settings.objects).expanduser().absolute()
            self._objects = target.with_name(f".{target.name}{mark}")
            self._moves.insert(0, (self._objects, target))
        else:
            self._objects = self._stage / "objects"
        self._require_empty()

    def has_keys(self) -> bool:
        """Whether keys stand elsewhere already: a command's, or those of a folder of their own."""
        folder = self._settings.keys_folder
        return bool(self._settings.keys_command) or (
            folder is not None and folder.is_dir() and any(folder.iterdir())
        )

    def _require_empty(self) -> None:
        for _, target in self._moves:
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise _not_empty(f"The folder {target}", "Give another one, or move it away.")
        outside = self._settings.keys_folder
        if outside is not None and any(outside.glob("*.key")):
            raise _not_empty(f"The key folder {outside}", "Give another one with --keys.")
        location = parse_location(self._settings.database)
        if not isinstance(location, Path) and revision_of(location) is not None:
            raise _not_empty(
                f"The database {describe(location)}",
                "Make a new one (createdb), and give that with --database.",
            )
        if self._bucket is not None:
            for folder in ("loose", "packs", *DELTA_FOLDERS):
                if next(iter(self._bucket.list(folder)), None) is not None:
                    raise _not_empty(f"The object store {self._bucket.url}", "Give another bucket or prefix.")

    @contextmanager
    def staged(self) -> Iterator[None]:
        """Make the folders beside; take away what is left of them, and what the bucket has got, when it fails."""
        try:
            for folder, _ in self._moves:
                folder.mkdir(parents=True, mode=0o700)
            yield
        except BaseException as error:
            for folder, target in self._moves:
                if not folder.exists() and target.exists():
                    target.rename(folder)  # it had been put into place before the database failed
                shutil.rmtree(folder, ignore_errors=True)
            if self._bucket is not None:
                self._bucket.delete(self._written)
            if isinstance(error, OSError):
                raise Unavailable(
                    f"The backup can't be restored: {error.strerror or error}.",
                    hint="Give a data folder on a disk with enough space, below a folder that you may write to.",
                ) from error
            raise

    def store(self, key: str, content: IO[bytes]) -> None:
        """Write one key of the object store."""
        parts = PurePosixPath(key).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise IntegrityError(f"The backup holds the object key {key[:120]!r}, which is none.")
        if self._bucket is not None:
            self._written.append(key)
            writer = self._bucket.writer(key)
            try:
                _copy(content, writer.write)
                writer.commit()
            finally:
                writer.abort()
            return
        path = self._objects.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            _copy(content, target.write)

    def put_into_place(self) -> None:
        """Make everything durable and give it its names."""
        write_secrets(self.secrets, self._stage, self._settings.keys_folder or self._stage / "keys")
        os.sync()
        for folder, target in self._moves:
            folder.replace(target)  # over an empty folder, or over nothing
            _sync(target.parent)


def _copy(source: IO[bytes], write: Callable[[bytes], object]) -> None:
    while block := source.read(_BLOCK):
        write(block)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _not_empty(what: str, hint: str) -> Conflict:
    return Conflict(f"{what} is not empty; a backup is restored into empty places alone.", hint=hint)

"""`python -m holdfast.app backup FILE`: one file of everything, taken while servers and workers go on.

First a snapshot of the database, and with it the list of the prediction log's tables, while no compaction changes
them; then every object that the snapshot refers to, while nothing is packed or collected.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from holdfast.app.__main__ import settings_of
from holdfast.app.passphrase import read_passphrase, seal_secrets
from holdfast.app.renewal import Renewal
from holdfast.app.services import Services, open_services
from holdfast.app.told import Told, progress
from holdfast.audit.verify import verify_log
from holdfast.kernel.errors import Conflict, NotFound, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.predictions.compact import compaction_lease
from holdfast.storage import Tx, leases
from holdfast.storage.archive import ArchiveWriter
from holdfast.storage.dump import Block, dump_counters, dump_rows, reflect
from holdfast.storage.migrate import head_revision
from holdfast.storage.objects import Backend, Entry
from holdfast.version import __version__
from holdfast.web.logs import configure_logs

__all__ = [
    "COUNTERS",
    "DELTA_FOLDERS",
    "HEADER",
    "ROWS",
    "SECRETS",
    "STORED",
    "Done",
    "Header",
    "back_up",
    "run",
]

HEADER, SECRETS, COUNTERS = "holdfast-backup.json", "secrets", "counters"
ROWS, STORED = "rows/", "objects/"
DELTA_FOLDERS = ("predictions", "labels")
_BLOCK = 4 << 20
_PATIENCE_S = 120.0
_LASTING_MS = 120_000
"""Longer than a stalled machine stands still; renewed while the backup is taken."""
_HOLD_MS = 120_000
_CHECKPOINT = "_delta_log/_last_checkpoint"


class Header(msgspec.Struct, frozen=True):
    """The first member: what the file is. `created_at` in ms."""

    format: int
    holdfast: str
    schema: str
    database: str
    created_at: int
    has_keys: bool


class Done(msgspec.Struct):
    """What a backup holds. `problems` were so before it: it holds them as they are."""

    file: str
    schema: str
    rows: int = 0
    objects: int = 0
    object_bytes: int = 0
    log_files: int = 0
    has_keys: bool = False
    file_bytes: int = 0
    problems: list[str] = []


class _Key(msgspec.Struct, frozen=True):
    """A key of the object store that a row names; `sha256` is that of its bytes, when the row tells."""

    key: str
    size: int
    sha256: str = ""
    lasting: bool = True


def run(options: argparse.Namespace) -> int:
    """Take a backup and print what it holds as JSON; the exit code is 1 when the deployment itself has damage."""
    configure_logs("backup", options.log_level)
    passphrase = read_passphrase(options.passphrase_file)
    services = open_services(settings_of(options))
    try:
        with progress() as told:
            done = back_up(services, options.file.expanduser().absolute(), passphrase, told)
    finally:
        services.close()
    print(msgspec.json.format(msgspec.json.encode(done), indent=2).decode())  # noqa: T201 - the answer
    return 1 if done.problems else 0


def back_up(services: Services, path: Path, passphrase: str = "", told: Told = lambda *_: None) -> Done:
    """Write the backup; it is whole and durable when this returns, and not there when this raises.

    Raises Conflict when the file is there or a worker does not give its work free, Unavailable when a store fails.
    """
    header = Header(
        1, __version__, head_revision(), services.storage.kind, services.clock.now_ms(), bool(passphrase)
    )
    done = Done(str(path), header.schema, has_keys=header.has_keys)
    with ArchiveWriter(path) as archive, _held(services, ["objects:pack", "objects:collect"]):
        archive.add(HEADER, msgspec.json.encode(header))
        if passphrase:
            archive.add(SECRETS, seal_secrets(services.settings, passphrase))
        snapshot = _take_snapshot(services, archive, done, told)
        _add_objects(services.objects.backend, archive, snapshot.keys, done, told)
        _add_log(services.objects.backend, archive, snapshot, done, told)
    done.file_bytes = path.stat().st_size
    return done


class _Snapshot:
    """One reading of the database, with the tables of the prediction log at the same moment."""

    def __init__(self, services: Services, archive: ArchiveWriter, held: set[str], free: ExitStack) -> None:
        self._services, self._archive, self._held, self._free = services, archive, held, free
        self.keys: list[_Key] = []
        self.log: list[Entry] = []
        self.checkpoints: dict[str, bytes] = {}
        self._began = False

    def take(self, done: Done, told: Told, tx: Tx) -> None:
        """Write every row to the archive. Raises _NewEndpointError, before anything is written, when there is an
        endpoint whose compaction is not held."""
        if self._began:
            raise Unavailable(
                "The connection to the database was lost during the backup.", hint="Start it again."
            )
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not self._services.predictions.endpoint_ids(tx) <= self._held:
            raise _NewEndpointError
        self._began = True
        self._list_log()
        self._free.close()  # compaction may go on: the snapshot and the list belong together
        tables = reflect(tx)
        for number, block in enumerate(dump_rows(tx, tables)):
            self._archive.add(f"{ROWS}{number:08d}", msgspec.msgpack.encode(block))
            self.keys += _keys_of(block)
            done.rows += len(block.rows)
            told("rows", done.rows, None)
        self._archive.add(COUNTERS, msgspec.json.encode(dump_counters(tx, tables)))
        damaged = verify_log(tx).damaged
        done.problems += [f"audit entry {one.index}: {one.problem}" for one in damaged]

    def _list_log(self) -> None:
        backend = self._services.objects.backend
        for folder in DELTA_FOLDERS:
            for entry in backend.list(folder):
                self.log.append(entry)
                if entry.key.endswith(_CHECKPOINT):  # the one file of a table that is ever overwritten
                    self.checkpoints[entry.key] = bytes(backend.read(entry.key, 0, entry.size))


class _NewEndpointError(Exception):
    """An endpoint was made between the holding of compactions and the snapshot."""


def _take_snapshot(services: Services, archive: ArchiveWriter, done: Done, told: Told) -> _Snapshot:
    while True:
        held = services.storage.read(services.predictions.endpoint_ids)
        with ExitStack() as free:
            free.enter_context(
                _held(services, [compaction_lease(one) for one in sorted(held)], lasting=False)
            )
            snapshot = _Snapshot(services, archive, held, free)
            try:
                services.storage.read(partial(snapshot.take, done, told))
                return snapshot
            except _NewEndpointError:
                continue


@contextmanager
def _held(services: Services, names: list[str], *, lasting: bool = True) -> Iterator[None]:
    """Nobody else does these pieces of work while the block runs, for two minutes when it is not `lasting`.

    Raises Conflict when they don't come free, and at the end when one was lost meanwhile: then another may have
    deleted what was to be copied.
    """
    owner, until = new_id("backup"), time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        taken = list[leases.Lease]()
        for name in names:
            while (lease := _acquire(services, name, owner, _LASTING_MS if lasting else _HOLD_MS)) is None:
                if time.monotonic() > until:
                    raise Conflict(
                        f"Another process has been at the work {name!r} for {_PATIENCE_S:.0f} s.",
                        hint="Try again later; holdfast doctor tells what waits.",
                    )
                time.sleep(0.1)
            taken.append(lease)
            stack.callback(leases.release, services.storage, lease)
            if lasting:
                stack.enter_context(Renewal(services, lease, _LASTING_MS))
        yield

        def check(tx: Tx) -> None:
            for lease in taken:
                leases.check(tx, lease)

        services.storage.write(check)


def _acquire(services: Services, name: str, owner: str, ttl_ms: int) -> leases.Lease | None:
    return leases.acquire(services.storage, name, owner, ttl_ms, services.clock.now_ms())


def _keys_of(block: Block) -> list[_Key]:
    """The keys of the object store that rows name."""
    rows = [dict(zip(block.columns, row, strict=True)) for row in block.rows]
    if block.table == "object":
        return [
            _Key(row["object_key"], row["size"], row["sha256"], bool(row["lasting"]))
            for row in rows
            if row["object_key"] is not None
        ]
    return [_Key(f"packs/{row['pack_id']}", row["size"]) for row in rows] if block.table == "pack" else []


def _add_objects(backend: Backend, archive: ArchiveWriter, keys: list[_Key], done: Done, told: Told) -> None:
    whole = sum(key.size for key in keys)
    for key in keys:
        try:
            size = backend.size(key.key)
        except NotFound:
            if key.lasting:  # one that is not is deleted once the log's table has its rows
                done.problems.append(f"object {key.key}: its bytes are lost")
            continue
        digest = archive.add_stream(STORED + key.key, size, _blocks(backend, key.key, size))
        if size != key.size or key.sha256 not in ("", digest):
            done.problems.append(f"object {key.key}: its bytes are not those that were stored")
        done.objects += 1
        done.object_bytes += size
        told("objects", done.object_bytes, whole)


def _add_log(backend: Backend, archive: ArchiveWriter, snapshot: _Snapshot, done: Done, told: Told) -> None:
    for entry in snapshot.log:
        if entry.key in snapshot.checkpoints:
            archive.add(STORED + entry.key, snapshot.checkpoints[entry.key])
        else:
            try:
                backend.size(entry.key)
            except NotFound:  # out of use before the snapshot, and swept since
                continue
            archive.add_stream(STORED + entry.key, entry.size, _blocks(backend, entry.key, entry.size))
        done.log_files += 1
        told("prediction log", done.log_files, len(snapshot.log))


def _blocks(backend: Backend, key: str, size: int) -> Iterator[bytes]:
    for start in range(0, size, _BLOCK):
        yield bytes(backend.read(key, start, min(_BLOCK, size - start)))

"""A database of every released version comes to this version's schema, on either kind, with everything in it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from holdfast.app.services import Services, open_services
from holdfast.audit.service import AuditLog
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import SystemClock
from holdfast.settings import Settings
from holdfast.storage.dump import dump_counters, dump_rows, empty_tables, load_block, load_counters, reflect
from holdfast.storage.location import parse_location
from holdfast.storage.migrate import head_revision, open_location, revision_of, upgrade
from holdfast.testing.postgres import PostgresServer

DATABASES = sorted(Path(__file__).with_name("databases").glob("*.sql.zst"))
SCHEMAS = {"0.1.0": "0001"}


def make(stored: Path, path: Path) -> None:
    """The stored database as a file."""
    sql = zstandard.decompress(stored.read_bytes(), 16 << 20).decode()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


@pytest.fixture(params=DATABASES, ids=lambda path: path.name.removesuffix(".sql.zst"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The data folder of an old version."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    make(request.param, data / "holdfast.db")
    version = request.param.name.removesuffix(".sql.zst")
    assert revision_of(data / "holdfast.db") == SCHEMAS[version]
    return data


def holdfast(*arguments: object) -> tuple[int, Any, str]:
    command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def check(services: Services) -> None:
    """What stood in the database of 0.1.0 is read by the services of today."""
    caller = system_caller("default", SystemClock().now_ms())
    audit = AuditLog(services.storage).verify()
    assert (audit.ok, audit.size, audit.root[:16]) == (True, 11, "be0a83c5d9283fed")
    first = next(run for run in services.tracking.list_runs(caller).items if run.name == "first")
    assert (first.status, first.params) == ("finished", {"depth": "3", "rate": "0.1"})
    history = services.tracking.metrics.get_history(caller, first.run_id, "loss")
    assert (history.count, history.values[-1]) == (200, 1 / 200)
    version = services.registry.get_version(caller, "clicks", 1)
    assert version.status == "ready" and version.deployable_digest
    aliases = services.registry.get_model(caller, "clicks").aliases
    assert [(one.alias, one.version) for one in aliases] == [("champion", 1)]
    endpoint = services.predictions.get_endpoint(caller, "clicks")
    assert (endpoint.model, endpoint.live_version) == ("clicks", 1)
    log = services.predictions.log_status(caller, "clicks")
    assert (log.rows, log.labels, log.labels_matched) == (40, 40, 40)
    assert sum(window.rows for window in services.monitor.show(caller, "clicks").windows) == 40
    # And it goes on: numbers continue, the audit log grows on what it was.
    run = services.tracking.create_run(caller, name="after")
    services.tracking.finish_run(caller, run.run_id, "finished")
    after = AuditLog(services.storage).verify()
    assert after.ok and after.size > 11


def test_on_sqlite_by_the_command(old: Path) -> None:
    code, said, _ = holdfast("upgrade", "--data", old, "--check")
    assert (code, said["before"], said["after"]) == (1, "0001", head_revision())
    assert revision_of(old / "holdfast.db") == "0001"
    code, said, error = holdfast("upgrade", "--data", old)
    assert (code, error, said["audit_entries"]) == (0, "", 11)
    assert revision_of(Path(said["backup"])) == "0001"
    assert Path(said["backup"]).stat().st_mode & 0o777 == 0o600
    services = open_services(Settings(data=old))
    try:
        check(services)
    finally:
        services.close()
    code, said, _ = holdfast("upgrade", "--data", old, "--check")
    assert (code, said["backup"]) == (0, "")


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.create_database("upgraded")
    postgres.drop_database("upgraded")


def test_on_postgresql(old: Path, url: str) -> None:
    """Restored into PostgreSQL at its own schema, and upgraded there."""
    source, target = open_location(old / "holdfast.db"), open_location(parse_location(url))
    try:
        with source.connect() as reading, target.connect() as writing, writing.begin():
            upgrade(writing, "0001")
            tables = reflect(writing)
            empty_tables(writing, tables)
            for block in dump_rows(reading, reflect(reading)):
                load_block(writing, tables, block)
            load_counters(writing, tables, dump_counters(reading, tables))
    finally:
        source.dispose()
        target.dispose()
    code, _, error = holdfast("upgrade", "--data", old, "--database", url)
    assert code == 1 and "--no-backup" in error
    code, said, error = holdfast("upgrade", "--data", old, "--database", url, "--no-backup")
    assert (code, error, said["before"], said["audit_entries"]) == (0, "", "0001", 11)
    services = open_services(Settings(data=old, database_url=url))
    try:
        check(services)
    finally:
        services.close()


def test_there_is_one_of_each_release() -> None:
    assert {path.name.removesuffix(".sql.zst") for path in DATABASES} == set(SCHEMAS)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    code, _, error = holdfast("upgrade", "--data", tmp_path)
    assert code == 1 and "no holdfast database" in error

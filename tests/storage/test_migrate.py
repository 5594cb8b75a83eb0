"""Bringing a database to this version's schema, and refusing what is not ours."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

import holdfast.app.compose  # noqa: F401 - declares the tables of every room
from holdfast.kernel.errors import Conflict
from holdfast.storage import metadata
from holdfast.storage.migrate import head_revision, migrate, revision_of


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new.db"


def test_a_new_database_has_exactly_the_declared_tables(file: Path) -> None:
    assert migrate(file) is True
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"render_as_batch": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_at_the_head_is_left_alone(file: Path) -> None:
    migrate(file)
    before = file.read_bytes()
    assert migrate(file) is False
    assert revision_of(file) == head_revision()
    assert file.read_bytes() == before


def test_a_new_database_is_in_wal_mode(file: Path) -> None:
    migrate(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_table_carries_the_workspace(file: Path) -> None:
    deployment_wide = {
        "audit_node",
        "audit_head",
        "principal",
        "token",
        "session",
        "one_time_secret",
        "login_attempt",
        "write_token",
        "sign_on_provider",
    }
    assert {t.name for t in metadata.tables.values() if "workspace_id" not in t.c} - deployment_wide == set()


def test_a_newer_database_is_refused_and_left_alone(file: Path) -> None:
    migrate(file)
    run_sql(file, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match=r"9999.*newer"):
        migrate(file)
    assert revision_of(file) == "9999"


@pytest.mark.parametrize("data", [b"not a database, but long enough to look like one" * 20, b"PAR1"])
def test_a_file_that_is_no_database_is_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(Conflict, match="not a holdfast database"):
        migrate(file)
    assert file.read_bytes() == data


def test_a_folder_in_its_place_is_refused(file: Path) -> None:
    file.mkdir()
    with pytest.raises(Conflict, match="can't be read"):
        migrate(file)


def test_another_programs_database_is_refused_and_left_alone(file: Path) -> None:
    run_sql(file, "CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(Conflict, match="'recipes'"):
        migrate(file)
    assert tables(file) == {"recipes"}


def test_an_empty_file_becomes_a_database(file: Path) -> None:
    file.touch()
    assert migrate(file) is True
    assert "run" in tables(file)


def test_a_migration_that_fails_leaves_nothing(file: Path) -> None:
    """A view has the name of the last table, so that the migration fails at its end."""
    last = [table.name for table in metadata.sorted_tables][-1]
    run_sql(file, f"CREATE VIEW {last} AS SELECT 1")
    with pytest.raises(Exception, match=last):
        migrate(file)
    assert tables(file) == set()


@pytest.mark.faults
def test_kill_9_while_migrating_leaves_a_database_that_migrates(file: Path) -> None:
    program = "import sys; from pathlib import Path; from holdfast.storage.migrate import migrate; " \
        "print(flush=True); migrate(Path(sys.argv[1]))"  # fmt: skip
    for delay in (0.25, 0.4, 0.5):
        child = subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            child.wait(delay)
        child.kill()
        child.communicate()
    migrate(file)
    assert revision_of(file) == head_revision()

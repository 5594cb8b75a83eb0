"""What PostgreSQL alone can suffer: lost connections, commits without an answer, a server that is killed."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, Table, event, func, insert, select
from sqlalchemy.exc import OperationalError

from holdfast.kernel.errors import Conflict, InvalidInput, Unavailable
from holdfast.storage import Storage, Tx
from holdfast.storage.location import describe, parse_location
from holdfast.storage.migrate import head_revision, migrate, require_current, revision_of
from holdfast.testing.postgres import PostgresServer

pytestmark = pytest.mark.database("postgresql")


def add(notes: Table, number: int) -> Callable[[Tx], int]:
    def fn(tx: Tx) -> int:
        tx.execute(insert(notes).values(id=number, text="here"))
        return number

    return fn


def count(storage: Storage, notes: Table) -> int:
    return storage.read(lambda tx: tx.execute(select(func.count()).select_from(notes)).scalar_one())


def end_connections(postgres: PostgresServer, name: str) -> None:
    postgres.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )


def test_lost_connections_are_made_anew(storage: Storage, notes: Table, postgres: PostgresServer) -> None:
    assert not isinstance(storage.location, str)
    name = str(storage.address).rpartition("/")[2]
    for number in range(5):
        storage.write(add(notes, number))
        end_connections(postgres, name)
        assert count(storage, notes) == number + 1
        end_connections(postgres, name)


def test_a_connection_lost_inside_a_write_repeats_it(
    storage: Storage, notes: Table, postgres: PostgresServer
) -> None:
    name, runs = storage.address.rpartition("/")[2], []

    def fn(tx: Tx) -> None:
        runs.append(1)
        add(notes, 1)(tx)
        if len(runs) == 1:
            end_connections(postgres, name)
        add(notes, 2)(tx)

    storage.write(fn)
    assert (len(runs), count(storage, notes)) == (2, 2)


@pytest.mark.parametrize("took_place", [True, False])
def test_a_commit_without_an_answer_is_looked_up(
    storage: Storage, notes: Table, postgres: PostgresServer, took_place: bool
) -> None:
    """The connection ends just after the commit, or just before it: the change is there once in either case."""
    name, cut, runs = storage.address.rpartition("/")[2], [], []

    def seen(connection: object) -> None:
        if connection.engine.url.database != name or cut:  # type: ignore[attr-defined]
            return
        cut.append(1)
        if took_place:
            connection.exec_driver_sql("COMMIT")  # type: ignore[attr-defined]
        end_connections(postgres, name)

    def fn(tx: Tx) -> None:
        runs.append(1)
        add(notes, 1)(tx)

    event.listen(Engine, "commit", seen)
    try:
        storage.write(fn)
    finally:
        event.remove(Engine, "commit", seen)
    assert cut == [1] and count(storage, notes) == 1
    assert len(runs) == (1 if took_place else 2)


def test_a_server_that_is_gone_is_told(notes: Table, storage: Storage) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gone = Storage(f"postgresql://holdfast:secret@127.0.0.1:{port}/lost")
    with pytest.raises(Unavailable, match="can't be reached") as caught:
        gone.read(lambda tx: tx.exec_driver_sql("SELECT 1"))
    assert "secret" not in str(caught.value) and "secret" not in repr(gone)
    gone.close()


def test_a_wrong_database_is_told_at_once(postgres: PostgresServer) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="nowhere"):
        migrate(postgres.url("nowhere"))
    wrong = Storage(postgres.url("nowhere"))
    with pytest.raises(Unavailable, match="nowhere"):
        wrong.write(lambda tx: tx.exec_driver_sql("SELECT 1"))
    wrong.close()
    assert time.monotonic() - began < 10  # not the patience of a lost connection


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://localhost/a", "neither SQLite nor PostgreSQL"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://localhost:port/a", "can't be read"),
    ],
)
def test_an_address_without_sense_is_refused(address: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_location(address)


def test_a_password_is_not_shown() -> None:
    location = parse_location("postgres://ada:secret@db.example/holdfast?sslmode=require")
    assert describe(location) == "postgresql://ada:***@db.example/holdfast"


def test_text_that_is_too_long_or_holds_nul_is_invalid_input(storage: Storage, notes: Table) -> None:
    for text, message in (("x" * 101, "too long"), ("a\0b", "NUL")):
        with pytest.raises(InvalidInput, match=message):
            storage.write(lambda tx, text=text: tx.execute(insert(notes).values(id=1, text=text)))
    assert count(storage, notes) == 0


def test_servers_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    url = postgres.create_database("together")
    program = (
        "import sys, holdfast.app.compose; from holdfast.storage.migrate import migrate; migrate(sys.argv[1])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    require_current(url)
    assert revision_of(url) == head_revision()
    postgres.drop_database("together")


def test_another_programs_database_is_refused(postgres: PostgresServer) -> None:
    url = postgres.create_database("foreign")
    postgres.execute("CREATE TABLE recipes (id int)", "foreign")
    with pytest.raises(Conflict, match="'recipes'"):
        migrate(url)
    postgres.drop_database("foreign")


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that syncs its files and may be killed."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.mark.faults
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_server_loses_nothing_acknowledged(own_server: PostgresServer, rounds: int) -> None:
    """Kill -9 of every process of PostgreSQL under load, again and again; writers go on within 10 s of its return."""
    url = own_server.create_database("load")
    migrate(url)
    own_server.execute("CREATE TABLE note (id bigint PRIMARY KEY, text varchar(100))", "load")
    storage, chance = Storage(url), random.Random(3)
    from sqlalchemy import MetaData

    notes = Table("note", MetaData(), autoload_with=storage._database._reader)  # type: ignore[attr-defined]
    acknowledged: list[int] = []
    refused: list[Unavailable] = []
    stop, numbers, guard = threading.Event(), iter(range(10**9)), threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with guard:
                number = next(numbers)
            try:
                storage.write(add(notes, number))
                acknowledged.append(number)
            except Unavailable as error:
                refused.append(error)

    recoveries = []
    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work) for _ in range(6)]
        try:
            for _ in range(rounds):
                target = len(acknowledged) + chance.randrange(50, 400)
                _wait_for(lambda target=target: len(acknowledged) >= target)
                own_server.kill()
                own_server.start()
                began, before = time.monotonic(), len(acknowledged)
                _wait_for(lambda before=before: len(acknowledged) > before)
                recoveries.append(time.monotonic() - began)
        finally:
            stop.set()
        for worker in workers:
            worker.result(60)
    stored = storage.read(lambda tx: tx.execute(select(notes.c.id)).scalars().all())
    assert set(acknowledged) <= set(stored)
    assert len(acknowledged) == len(set(acknowledged))
    # What was not acknowledged was refused in so many words, or never tried.
    assert len(set(stored) - set(acknowledged)) <= len(refused)
    assert max(recoveries) < 10
    print(f"{rounds} kills, {len(acknowledged):,} writes, again after at most {max(recoveries):.2f} s")
    storage.close()


def _wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_error_of_sql_is_not_repeated(storage: Storage) -> None:
    runs = []

    def fn(tx: Tx) -> None:
        runs.append(1)
        tx.exec_driver_sql("SELEC")

    with pytest.raises(Exception, match="syntax") as caught:
        storage.write(fn)
    assert runs == [1] and not isinstance(caught.value, OperationalError)

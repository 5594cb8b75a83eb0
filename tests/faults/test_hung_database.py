"""A PostgreSQL that takes connections and never answers: requests are refused in words, and go on when it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from holdfast.kernel.errors import Unavailable
from holdfast.storage import Storage
from holdfast.storage.migrate import migrate
from holdfast.testing.postgres import PostgresServer, find_programs
from tests.faults.system import System, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server whose processes may be stopped."""
    if find_programs() is None:
        pytest.skip("there is no PostgreSQL server on this machine: apt-get install postgresql")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_requests_are_refused_while_it_hangs(own_server: PostgresServer, tmp_path: Path) -> None:
    address = own_server.create_database("hung")
    migrate(address)
    with (
        System(tmp_path / "data", address=address, options=("--no-inference",)) as system,
        httpx.Client(base_url=system.url, timeout=90) as http,
    ):
        assert http.post("/api/v1/models", json={"name": "before"}).status_code == 200
        with own_server.paused():
            for answer in (
                http.get("/api/v1/models"),
                http.post("/api/v1/models", json={"name": "meanwhile"}),
                http.get("/ready"),
            ):
                assert answer.status_code == 503, answer.text
                said = answer.json()["error"]
                assert "can't be reached" in said["message"] and "PostgreSQL" in said["hint"]
            assert http.get("/health").status_code == 200
        wait_until("an answer again", lambda: http.get("/api/v1/models").status_code == 200)
        assert http.post("/api/v1/models", json={"name": "after"}).status_code == 200
        names = {model["name"] for model in http.get("/api/v1/models").json()["items"]}
        assert {"before", "after"} <= names
        assert system.stop() == 0


def test_a_write_that_was_under_way_is_told_and_not_half_done(own_server: PostgresServer) -> None:
    """The server stops in the middle of a unit of work: refused; it goes on: nothing of it is there."""
    address = own_server.create_database("half")
    migrate(address)
    own_server.execute("CREATE TABLE note (id bigint PRIMARY KEY)", "half")
    storage = Storage(address)
    with pytest.raises(Unavailable, match=r"not answered for \d+ s|timeout"):
        storage.write(lambda tx: _stop_between(own_server, tx))
    assert storage.read(lambda tx: tx.execute(text("SELECT count(*) FROM note")).scalar_one()) == 0
    storage.close()


def _stop_between(server: PostgresServer, tx: object) -> None:
    tx.execute(text("INSERT INTO note (id) VALUES (1)"))  # type: ignore[attr-defined]
    with server.paused():
        tx.execute(text("INSERT INTO note (id) VALUES (2)"))  # type: ignore[attr-defined]


def test_a_slow_statement_of_a_server_that_is_there_is_waited_for(own_server: PostgresServer) -> None:
    storage = Storage(own_server.create_database("slow"))
    assert storage.read(lambda tx: tx.execute(text("SELECT 1 FROM pg_sleep(7)")).scalar_one()) == 1
    storage.close()

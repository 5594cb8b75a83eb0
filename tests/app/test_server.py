"""The server as a process: it starts, tells where it serves, refuses what it must, and ends in order."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from holdfast.app.__main__ import main
from holdfast.storage.migrate import migrate
from holdfast.version import __version__
from tests.app.conftest import free_port

if TYPE_CHECKING:
    from tests.app.conftest import Server

Start = Callable[..., "Server"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_and_ends_in_order(start: Start, number: signal.Signals) -> None:
    server = start()
    assert server.banner == f"holdfast {__version__} serves at {server.url}\n"
    assert server.http.get("/ready").json() == {"database": "ok", "objects": "ok"}
    server.process.send_signal(number)
    _, err = server.process.communicate(timeout=10)
    assert (server.process.returncode, err) == (0, "")


def test_it_starts_again_on_its_folder(start: Start) -> None:
    first = start()
    run = first.http.post("/api/v1/runs", json={}).json()
    first.process.terminate()
    first.process.wait(10)
    second = start()
    assert second.http.get(f"/api/v1/runs/{run['run_id']}").json() == run


def test_its_folder_is_for_its_owner_alone(start: Start) -> None:
    data = start().data
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "admin.token").stat().st_mode) == 0o600


def test_it_leaves_no_child_behind(start: Start) -> None:
    server = start(children=True)
    children = server.children()
    assert len(children) >= 2
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert psutil.wait_procs(children, timeout=0.5)[1] == []


@pytest.mark.faults
def test_its_children_end_when_it_is_killed(start: Start) -> None:
    server = start(children=True)
    children = server.children()
    server.process.kill()
    assert psutil.wait_procs(children, timeout=20)[1] == []


@pytest.mark.slow
def test_a_signal_ends_it_while_an_upload_hangs(start: Start) -> None:
    server = start()
    run = server.http.post("/api/v1/runs", json={}).json()["run_id"]
    with socket.create_connection(("127.0.0.1", server.port)) as upload:
        upload.sendall(
            f"PUT /api/v1/runs/{run}/artifacts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf".encode()
        )
        assert server.http.get("/health").text == "OK"
        server.process.terminate()
        assert server.process.wait(20) == 0


# What it refuses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.com", "127.0.0.1.example.com", ""])
def test_an_address_beyond_this_machine_needs_an_administrator_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str
) -> None:
    assert main(["server", "--data", str(tmp_path / "data"), "--host", host]) == 1
    told = capsys.readouterr().err
    assert repr(host) in told and f"holdfast user add NAME --admin --data {tmp_path / 'data'}" in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_addresses_of_this_machine_are_served(start: Start, host: str) -> None:
    server = start("--host", host)
    with socket.create_connection((host, server.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_port_in_use_is_named(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = start(port=port).refusal()
    assert f"port {port}" in told and "--port" in told


def test_the_inference_servers_port_in_use_is_named(start: Start) -> None:
    while True:
        port = free_port()
        try:
            taken = socket.create_server(("127.0.0.1", port + 1))
            break
        except OSError:
            continue  # the next port is somebody else's: try another pair
    with taken:
        told = start("--no-worker", port=port, children=True).refusal()
    assert f"port {port + 1}" in told


def test_a_port_without_a_successor_is_refused(start: Start) -> None:
    assert "65535" in start("--no-worker", port=65535, children=True).refusal()


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", ""])
def test_what_is_no_port_is_wrong_usage(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["server", f"--port={port}"])
    assert repr(port) in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    told = start(data=tmp_path / "file").refusal()
    assert str(tmp_path / "file") in told and "--data" in told
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_another_server_uses_is_refused(start: Start) -> None:
    first = start()
    told = start().refusal()
    assert str(first.data) in told and str(first.process.pid) in told
    assert first.http.get("/ready").status_code == 200


@pytest.mark.faults
def test_a_folder_is_free_again_after_kill_9(start: Start) -> None:
    first = start()
    first.process.kill()
    first.process.wait()
    assert start().http.get("/ready").status_code == 200


def test_a_newer_database_is_refused_and_left_alone(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    migrate(data / "holdfast.db")
    with contextlib.closing(sqlite3.connect(data / "holdfast.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    told = start().refusal()
    assert "9999" in told and "newer" in told


def test_a_file_that_is_no_database_is_refused_and_left_alone(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "holdfast.db").write_bytes(b"a letter to a friend" * 100)
    assert "holdfast.db" in start().refusal()
    assert (data / "holdfast.db").read_bytes() == b"a letter to a friend" * 100


def test_an_error_tells_its_code_and_where_it_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--port", "65535"]) == 1
    assert "docs/reference/errors.md#invalid_input" in capsys.readouterr().err


def test_a_worker_without_a_servers_database_is_refused_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--data", str(tmp_path / "nothing")]) == 1
    told = capsys.readouterr().err
    assert "no holdfast database" in told and "Start the server" in told
    assert not (tmp_path / "nothing").exists()


def test_a_worker_of_another_schema_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(tmp_path / "holdfast.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "holdfast.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
        database.commit()
    assert main(["worker", "--data", str(tmp_path)]) == 1
    assert "schema 0000" in capsys.readouterr().err

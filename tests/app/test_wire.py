"""What only a real connection can do to a server: cut bodies, raw paths, malformed requests, many at once."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.app.conftest import Server


def talk(server: Server, request: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes; gives all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
        return answer


def head(method: str, path: str, length: int) -> bytes:
    """The head of a request with a body."""
    lines = (f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


def objects_of(server: Server) -> list[Path]:
    return [path for path in (server.data / "objects").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def run(running: Server) -> str:
    made: str = running.http.post("/api/v1/runs", json={}).json()["run_id"]
    return made


@pytest.mark.parametrize(
    ("path", "body"), [("artifacts/a", b"half a file"), ("batch", b'{"params": {"a": "b"}')]
)
def test_a_body_cut_short_leaves_nothing(running: Server, run: str, path: str, body: bytes) -> None:
    method = "PUT" if path.startswith("artifacts") else "POST"
    answer = talk(running, head(method, f"/api/v1/runs/{run}/{path}", 1000) + body, hang_up=True)
    assert b" 200 " not in answer
    assert running.http.get(f"/api/v1/runs/{run}/artifacts").json()["items"] == []
    assert running.http.get(f"/api/v1/runs/{run}").json()["params"] == {}
    assert objects_of(running) == []


@pytest.mark.parametrize("path", [
    "../../../../evil", "..", "a/../../../evil", "%2e%2e/%2e%2e/evil", "..%2f..%2fevil", "..\\..\\evil", "/evil", "./a",
])  # fmt: skip
def test_paths_as_no_client_library_would_send_them(running: Server, run: str, path: str) -> None:
    answer = talk(running, head("PUT", f"/api/v1/runs/{run}/artifacts/{path}", 4) + b"evil")
    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 500
    assert running.http.get(f"/api/v1/runs/{run}/artifacts").json()["items"] == []
    assert objects_of(running) == []
    assert not list(running.data.parent.rglob("evil"))


@pytest.mark.parametrize("request_bytes", [
    b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", head("POST", "/api/v1/runs", -1),
    head("GET", "/" + "a" * 200_000, 0), head("GET", "/health", 0)[:-2] + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
])  # fmt: skip
def test_malformed_requests_do_not_harm(running: Server, request_bytes: bytes) -> None:
    answer = talk(running, request_bytes, hang_up=True)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert running.http.get("/health").text == "OK"


def test_a_body_over_the_limit_is_refused_before_it_is_sent(running: Server, run: str) -> None:
    answer = talk(running, head("POST", f"/api/v1/runs/{run}/batch", 10**12))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"payload_too_large" in answer


def test_ten_megabytes_as_one_batch_are_refused(running: Server, run: str) -> None:
    answer = running.http.post(f"/api/v1/runs/{run}/batch", json={"tags": {"a": "x" * 10_000_000}})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"


def test_a_large_artifact_streams_through(running: Server) -> None:
    run = running.http.post("/api/v1/runs", json={}).json()["run_id"]
    data = bytes(range(256)) * 40_000
    address = f"/api/v1/runs/{run}/artifacts/large.bin"
    assert (
        running.http.put(
            address, content=(data[at : at + 65_536] for at in range(0, len(data), 65_536))
        ).status_code
        == 200
    )
    assert running.http.get(address).content == data
    running.http.delete(address)
    for path in objects_of(running):
        path.unlink()


def test_uploads_that_stand_still_hold_up_nobody_else(running: Server) -> None:
    run = running.http.post("/api/v1/runs", json={}).json()["run_id"]
    request = head("PUT", f"/api/v1/runs/{run}/artifacts/slow", 10) + b"half"
    stalled = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
    try:
        for connection in stalled:
            connection.sendall(request)
        for _ in range(5):
            assert running.http.get(f"/api/v1/runs/{run}", timeout=10).status_code == 200
    finally:
        for connection in stalled:
            connection.close()
    assert running.http.put(f"/api/v1/runs/{run}/artifacts/quick", content=b"", timeout=20).status_code == 200


def test_the_server_does_not_tell_what_it_is_made_of(running: Server) -> None:
    assert "server" not in running.http.get("/health").headers


def test_many_clients_at_once(running: Server) -> None:
    def one(number: int) -> int:
        return running.http.post("/api/v1/runs", json={"experiment": f"e{number % 3}"}).status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(one, range(60))) == {200}
    counts = [
        one["runs"]
        for one in running.http.get("/api/v1/experiments").json()["items"]
        if one["name"] in ("e0", "e1", "e2")
    ]
    assert counts == [20, 20, 20]

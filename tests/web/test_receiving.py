"""Bodies as they come over a real connection: whole, in pieces, in chunks, and when nobody waits for them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from holdfast.web.receiving import ReceivingProtocol

SIZES = [0, 1, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 7_000_003]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers the body's SHA-256; to /refuse before it has read any."""
    digest = hashlib.sha256()
    more = scope["path"] != "/refuse"
    while more:
        message = await receive()
        assert type(message["body"]) is bytes
        digest.update(message["body"])
        more = message["more_body"]
        if scope["path"] == "/slow":
            await asyncio.sleep(0.001)
    answer = digest.hexdigest().encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=ReceivingProtocol, loop="uvloop", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def line(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def answer(line: socket.socket) -> str:
    """One answer's body."""
    found = b""
    while b"\r\n\r\n" not in found or len(found.partition(b"\r\n\r\n")[2]) < 64:
        block = line.recv(4096)
        assert block, found
        found += block
    assert found.startswith(b"HTTP/1.1 200"), found
    assert len(found.partition(b"\r\n\r\n")[2]) == 64
    return found[-64:].decode()


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: here", *lines, "", ""]).encode()


@pytest.mark.parametrize("path", ["/", "/slow"])
def test_bodies_of_every_size_arrive_whole_on_one_connection(line: socket.socket, path: str) -> None:
    for size in SIZES:
        body = os.urandom(size)
        line.sendall(head(path, f"Content-Length: {size}") + body)
        assert answer(line) == hashlib.sha256(body).hexdigest()


def test_a_body_in_small_pieces_arrives_whole(line: socket.socket) -> None:
    body = os.urandom(5000)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(head("/", "Content-Length: 5000"))
    for first in range(0, 5000, 50):
        line.sendall(body[first : first + 50])
    assert answer(line) == hashlib.sha256(body).hexdigest()


def test_a_body_in_chunks_arrives_whole(line: socket.socket) -> None:
    parts = [os.urandom(size) for size in (1, 100, 300_000, 70_000, 5)]
    line.sendall(head("/", "Transfer-Encoding: chunked"))
    for part in parts:
        line.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    line.sendall(b"0\r\n\r\n")
    assert answer(line) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_requests_that_follow_each_other_are_answered_in_turn(line: socket.socket) -> None:
    bodies = [os.urandom(100), b"", os.urandom(100)]
    line.sendall(b"".join(head("/", f"Content-Length: {len(body)}") + body for body in bodies))
    found = b""
    while found.count(b"HTTP/1.1 200") < 3 or len(found.rpartition(b"\r\n\r\n")[2]) < 64:
        found += line.recv(4096)
    assert [hashlib.sha256(body).hexdigest().encode() in found for body in bodies] == [True] * 3


def test_after_a_body_that_nobody_read_the_connection_still_works(line: socket.socket) -> None:
    for path in ("/refuse", "/"):
        body = os.urandom(3_000_000)
        line.sendall(head(path, f"Content-Length: {len(body)}") + body)
        expected = b"" if path == "/refuse" else body
        assert answer(line) == hashlib.sha256(expected).hexdigest()

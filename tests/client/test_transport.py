from __future__ import annotations

import io
import socket
import threading

import pytest

from holdfast.client.transport import ConnectionLostError, HttpTransport, ServerUnreachableError
from holdfast.kernel.errors import InvalidInput


def test_one_connection_serves_many_requests(plane) -> None:
    plane.on("GET /a", (200, {"ok": True}))
    transport = HttpTransport(plane.url)
    for _ in range(5):
        assert transport.send("GET", "/a", {}).body == b'{"ok": true}'
    assert len({seen.client for seen in plane.seen}) == 1
    transport.close()


def test_threads_do_not_share_a_connection_in_use(plane) -> None:
    gate = threading.Barrier(4, timeout=10)
    plane.routes["GET /a"] = lambda _: (200, {"n": gate.wait()})
    transport = HttpTransport(plane.url)
    threads = [threading.Thread(target=transport.send, args=("GET", "/a", {})) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({seen.client for seen in plane.seen}) == 4
    transport.close()


def test_a_connection_that_the_server_closed_is_replaced(plane) -> None:
    plane.on("POST /a", (200, ({}, {"Connection": "close"})))
    transport = HttpTransport(plane.url)
    for _ in range(3):
        assert transport.send("POST", "/a", {}, b"{}").status == 200
    assert len({seen.client for seen in plane.seen}) == 3
    transport.close()


def test_no_server_is_told_with_the_address() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(ServerUnreachableError, match=f"http://127.0.0.1:{port}"):
        HttpTransport(f"http://127.0.0.1:{port}").send("GET", "/", {})


def test_an_answer_cut_short_is_a_lost_connection(plane) -> None:
    plane.on("GET /a", (200, (b"half", {"Content-Length": "8", "Connection": "close"})))
    transport = HttpTransport(plane.url, timeout_s=5)
    with pytest.raises(ConnectionLostError):
        transport.send("GET", "/a", {})
    with pytest.raises(ConnectionLostError):
        transport.send("GET", "/a", {}, None, io.BytesIO())


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "ftp://x", "http://", "http://x:port"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="server address"):
        HttpTransport(url)

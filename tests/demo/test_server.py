from __future__ import annotations

import socket
from pathlib import Path

import pytest

from holdfast.demo.server import free_port, running_server
from holdfast.kernel.errors import Unavailable


def _listen(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_a_port_in_use_is_passed_over() -> None:
    with _listen() as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
        if port > 1024:
            assert free_port(port - 1) != port - 1


def test_a_given_port_in_use_is_told(tmp_path: Path) -> None:
    with _listen() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=str(port)), running_server(tmp_path / "data", port):
            pass


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(Unavailable) as raised, running_server(tmp_path / "data", free_port()):
        pass
    assert "ended with code 1" in raised.value.hint and str(tmp_path / "data") in raised.value.hint

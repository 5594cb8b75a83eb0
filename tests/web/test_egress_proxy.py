"""Programs that connect by themselves get out through the door's tunnel, or not at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.web.egress import Egress
from holdfast.web.egress_proxy import EgressProxy

from .outside import Outside, make_certificate

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
NAMES = {"hooks.test": "127.0.0.1", "inner.test": "127.0.0.1", "good.test": "93.184.216.34"}


def resolve(host: str, _port: int) -> list[str]:
    return [NAMES[host]]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    server = Outside(lambda sock: sock.sendall(OK), make_certificate(tmp_path, "hooks.test"))
    yield server
    server.close()


@pytest.fixture
def proxy() -> Iterator[EgressProxy]:
    with EgressProxy(Egress(["hooks.test"], resolve=resolve)) as opened:
        yield opened


@pytest.fixture
def run(proxy: EgressProxy, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the confined child with attempts of (kind, host, port)."""

    def start(*attempts: tuple[str, str, int]) -> list[str]:
        order = {
            "port": proxy.port, "secret": proxy.secret,
            "attempts": [[*attempted, str(tmp_path / "cert.pem")] for attempted in attempts],
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("confined_child.py"))],
            input=json.dumps(order), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    return start


def ask(proxy: EgressProxy, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as sock:
        sock.sendall(request)
        return sock.recv(4096)


def test_requests_gets_out_through_the_door_and_no_other_way(
    run: Callable[..., list[str]], outside: Outside
) -> None:
    allowed, private, direct, datagram, name = run(
        ("requests", "hooks.test", outside.port),
        ("requests", "inner.test", outside.port),
        ("connect", "127.0.0.1", outside.port),
        ("udp", "127.0.0.1", outside.port),
        ("plain", "good.test", 80),
    )
    assert allowed == "hi"
    assert outside.names == ["hooks.test"]
    assert "not a public address" in private
    assert "past the proxy" in direct
    assert "past the proxy" in datagram
    assert "The port 80" in name


def test_mail_gets_out_through_the_door(run: Callable[..., list[str]]) -> None:
    server = _MailServer()
    try:
        assert run(("smtp", "hooks.test", server.port)) == ["mail.test hello"]
    finally:
        server.close()


class _MailServer:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        sock, _ = self._listener.accept()
        with sock:
            sock.sendall(b"220 mail.test\r\n")
            for answer in (b"250 mail.test hello\r\n", b"221 bye\r\n"):
                sock.recv(1024)
                sock.sendall(answer)

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize(("request_line", "status"), [
    ("CONNECT good.test:22 HTTP/1.1", b"403"), ("CONNECT inner.test:443 HTTP/1.1", b"403"),
    ("CONNECT 127.0.0.1:443 HTTP/1.1", b"403"), ("CONNECT [::1]:443 HTTP/1.1", b"403"), ("CONNECT x HTTP/1.1", b"405"),
    ("CONNECT 0x7f.1:443 HTTP/1.1", b"403"), ("GET http://good.test/ HTTP/1.1", b"405"), ("CONNECT :443 HTTP/1.1", b"403"),
    ("CONNECT good.test:99999 HTTP/1.1", b"405"), ("rubbish", b"405"),
])  # fmt: skip
def test_the_tunnel_obeys_the_doors_rules(proxy: EgressProxy, request_line: str, status: bytes) -> None:
    head = f"{request_line}\r\nProxy-Authorization: Bearer {proxy.secret}\r\n\r\n"
    assert ask(proxy, head.encode()).split(b" ")[1] == status


@pytest.mark.parametrize(
    "header", ["", "Proxy-Authorization: Bearer wrong\r\n", "Authorization: Bearer {}\r\n"]
)
def test_a_stranger_on_the_machine_gets_no_tunnel(proxy: EgressProxy, header: str) -> None:
    answer = ask(proxy, f"CONNECT hooks.test:443 HTTP/1.1\r\n{header.format(proxy.secret)}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 407")


def test_a_head_without_an_end_is_refused(proxy: EgressProxy) -> None:
    assert ask(proxy, b"CONNECT " + b"x" * 5000).startswith(b"HTTP/1.1 400")


def test_a_tunnel_carries_a_limited_number_of_bytes() -> None:
    flooding = Outside(lambda sock: [sock.sendall(bytes(65536)) for _ in range(1000)])
    try:
        egress = Egress(["hooks.test"], resolve=resolve)
        with (
            EgressProxy(egress, most_bytes=1_000_000) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port), 10) as sock,
        ):
            head = f"CONNECT hooks.test:{flooding.port} HTTP/1.1\r\nProxy-Authorization: Bearer {proxy.secret}\r\n\r\n"
            sock.sendall(head.encode())
            assert sock.recv(39).startswith(b"HTTP/1.1 200")
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            received = 0
            try:
                while block := sock.recv(1 << 16):
                    received += len(block)
            except ConnectionResetError:
                pass
            assert 0 < received <= 1_000_000 + 65_536
    finally:
        flooding.close()


def test_a_closed_proxy_takes_no_tunnel() -> None:
    proxy = EgressProxy(Egress())
    proxy.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 10)

"""The door for programs that make their own connections: a tunnel that the door opens, and no other way out.

The server's side is `EgressProxy`, a CONNECT proxy on loopback that asks for a secret. The child's side is `confine`:
every connection of the process then goes through the proxy, and one that tries another way fails.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import sys
import threading
import time
from typing import Any

from holdfast.kernel.errors import HoldfastError
from holdfast.web.egress import Egress
from holdfast.web.egress_rules import HTTPS_PORTS

__all__ = ["MAIL_PORTS", "EgressProxy", "confine"]

MAIL_PORTS = frozenset({25, 465, 587})
_HEAD_BYTES = 4096
_HEAD_S = 10.0
_BLOCK = 64 * 1024
_MOST_TUNNELS = 16


class EgressProxy:
    """A CONNECT proxy over the door, for one child process at a time or several. A context manager.

    `ports` are open beside those that an administrator listed. A tunnel lives at most `seconds` and carries at most
    `most_bytes` both ways together.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        ports: frozenset[int] = HTTPS_PORTS | MAIL_PORTS,
        seconds: float = 60.0,
        most_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._egress = egress
        self._ports = ports
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._free = threading.BoundedSemaphore(_MOST_TUNNELS)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.secret = secrets.token_urlsafe(32)
        """What `confine` of the child needs, with the port: hand it over by standard input, never by arguments."""
        threading.Thread(target=self._accept, name="holdfast-egress", daemon=True).start()

    def __enter__(self) -> EgressProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no further tunnels; those that are open end by themselves."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        except OSError:
            pass
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if not self._free.acquire(blocking=False):
                sock.close()
                continue
            threading.Thread(target=self._serve, args=(sock,), name="holdfast-tunnel", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                try:
                    host, port = self._asked(sock)
                    far = self._egress.connect(host, port, ports=self._ports)
                except _RefusedError as error:
                    sock.sendall(_answer(error.status, str(error)))
                    return
                except HoldfastError as error:
                    sock.sendall(_answer(403 if error.status < 500 else 502, str(error)))
                    return
                with far:
                    sock.sendall(_answer(200, ""))
                    self._relay(sock, far)
        except OSError:
            return  # either side is gone, which ends a tunnel
        finally:
            self._free.release()

    def _asked(self, sock: socket.socket) -> tuple[str, int]:
        """Where the child wants to go; nothing is read beyond the request's head."""
        head = _read_head(sock)
        lines = head.split("\r\n")
        expected = f"proxy-authorization: bearer {self.secret}".encode()
        if not any(hmac.compare_digest(_header(line).encode(), expected) for line in lines[1:]):
            raise _RefusedError(407, "The proxy's secret is missing or wrong.")
        method, _, rest = lines[0].partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        if method != "CONNECT" or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise _RefusedError(405, "This proxy opens tunnels (CONNECT host:port) alone.")
        return host.removeprefix("[").removesuffix("]"), int(port)

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        deadline, left = time.monotonic() + self._seconds, self._most_bytes
        with selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while ready.get_map() and left > 0 and (wait := deadline - time.monotonic()) > 0:
                for key, _ in ready.select(wait):
                    source, sink = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    source.settimeout(self._seconds)
                    block = source.recv(_BLOCK)
                    left -= len(block)
                    if block:
                        sink.sendall(block)
                    else:
                        ready.unregister(source)
                        sink.shutdown(socket.SHUT_WR)


class _RefusedError(ConnectionError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def confine(port: int, secret: str) -> None:
    """Send every TCP connection of this process through the proxy at loopback `port`. For child processes alone.

    `socket.create_connection`, and with it smtplib, http.client and requests, opens a tunnel; TLS goes through it
    from end to end. Any other connection, by whatever library, raises ConnectionRefusedError. It can't be undone.
    """
    direct = socket.create_connection

    def tunnel(
        address: tuple[str, int], timeout: Any = None, source_address: Any = None, *_: Any, **__: Any
    ) -> socket.socket:
        wait = timeout if isinstance(timeout, (int, float)) else 30.0
        sock = direct(("127.0.0.1", port), wait)
        try:
            name = address[0].encode("idna").decode() if not address[0].isascii() else address[0]
            host = f"[{name}]" if ":" in name else name
            asked = f"CONNECT {host}:{address[1]} HTTP/1.1\r\nProxy-Authorization: Bearer {secret}\r\n\r\n"
            sock.sendall(asked.encode("ascii"))
            said = _read_head(sock).partition("\r\n")
            if said[0].split(" ")[1:2] != ["200"]:
                raise ConnectionRefusedError(said[2].partition("X-Reason: ")[2].strip() or said[0])
            return sock
        except BaseException:
            sock.close()
            raise

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and arguments[1] != ("127.0.0.1", port):
            raise ConnectionRefusedError(
                f"A connection to {arguments[1]} goes past the proxy of this process."
            )
        if event in ("socket.sendto", "socket.sendmsg"):
            raise ConnectionRefusedError("Datagrams go past the proxy of this process.")

    socket.create_connection = tunnel  # type: ignore[assignment]
    try:
        from urllib3.util import connection  # has a copy of its own; there where requests is
    except ImportError:
        pass
    else:
        connection.create_connection = tunnel
    sys.addaudithook(watch)


def _read_head(sock: socket.socket) -> str:
    """Up to the empty line, a byte at a time at its end, so that nothing of what follows is taken."""
    until, head = time.monotonic() + _HEAD_S, b""
    while not head.endswith(b"\r\n\r\n"):
        left = until - time.monotonic()
        if len(head) >= _HEAD_BYTES or left <= 0:
            raise _RefusedError(400, "The request's head is too long or too slow.")
        sock.settimeout(left)
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError
        head += byte
    return head.decode("latin-1")


def _header(line: str) -> str:
    """A header line with its name, and the scheme of a credential, in lower case."""
    name, _, value = line.partition(":")
    scheme, _, rest = value.strip().partition(" ")
    return f"{name.lower()}: {scheme.lower()} {rest}"


def _answer(status: int, reason: str) -> bytes:
    names = {200: "Connection established", 403: "Forbidden", 405: "Method not allowed", 407: "Unauthorized"}
    extra = f"X-Reason: {' '.join(reason.split())}\r\n" if reason else ""
    return f"HTTP/1.1 {status} {names.get(status, 'Failed')}\r\n{extra}\r\n".encode("ascii", "replace")

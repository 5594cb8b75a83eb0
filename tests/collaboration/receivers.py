"""Other sides, on loopback: an HTTP receiver that records what it gets, and an SMTP server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["MailServer", "Receiver", "Request"]


class Request:
    """One request as it came."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body


class Receiver:
    """An HTTP server; `answer` gives the status for each request, 204 unless set. `got` keeps the requests."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.answer: Callable[[Request], int] = lambda _request: 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, headers, body)
                receiver.got.append(request)
                self.send_response(receiver.answer(request))
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MailServer:
    """As much of SMTP (RFC 5321) as a client needs to hand over a message; `mails` keeps (from, to, data)."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.refuse = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rwb") as stream:
                try:
                    self._talk(stream)
                except OSError:
                    continue

    def _talk(self, stream: object) -> None:
        def say(text: str) -> None:
            stream.write(f"{text}\r\n".encode())  # type: ignore[attr-defined]
            stream.flush()  # type: ignore[attr-defined]

        sender, receivers = "", []
        say("220 mail.test ESMTP")
        while line := stream.readline().decode().strip():  # type: ignore[attr-defined]
            verb = line.upper()
            if verb.startswith(("EHLO", "HELO")):
                say("250 mail.test")
            elif verb.startswith("MAIL FROM:"):
                sender = line[10:].partition(" ")[0].strip("<>")
                say("550 not from you" if self.refuse else "250 ok")
            elif verb.startswith("RCPT TO:"):
                receivers.append(line[8:].strip("<>"))
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                data = ""
                while (text := stream.readline().decode()) not in (".\r\n", ""):  # type: ignore[attr-defined]
                    data += text
                self.mails.append((sender, receivers, data))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

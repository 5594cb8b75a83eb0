"""A real HTTP server in the test's process whose answers the test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from holdfast.client import Client


class Seen(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


Answer = tuple[int, Any]


class Plane:
    """Answers by `routes` ("METHOD /path", without query, to a function of the request); records what it
    saw.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[Seen], Answer]] = {}
        self.seen: list[Seen] = []
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, self.rfile.read(length), self.client_address)
                plane.seen.append(seen)
                route = plane.routes.get(f"{seen.method} {seen.path.partition('?')[0]}")
                missing = {"error": {"code": "not_found", "message": f"There is no {seen.path}."}}
                status, body = route(seen) if route else (404, missing)
                extra: dict[str, str] = {}
                if isinstance(body, tuple):
                    body, extra = body
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(raw)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def on(self, route: str, *answers: Answer) -> None:
        """Give these answers in turn, the last one for ever."""
        left = list(answers)
        self.routes[route] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def bodies(self, route: str) -> list[bytes]:
        """What was sent to a route."""
        return [seen.body for seen in self.seen if f"{seen.method} {seen.path.partition('?')[0]}" == route]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane()
    yield made
    made.close()


@pytest.fixture
def client(plane: Plane) -> Iterator[Client]:
    with Client(plane.url) as made:
        yield made


@pytest.fixture
def run_document() -> dict[str, Any]:
    return {"run_id": "r1", "experiment_id": 1, "name": "amber-1", "status": "running", "start_time": 1}


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("HOLDFAST_URL", "HOLDFAST_RUN_ID", "HOLDFAST_TOKEN", "HOLDFAST_EXPERIMENT"):
        monkeypatch.delenv(name, raising=False)

"""Each change makes a registered model: three statements, and one entry of the audit log."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.report import report
from holdfast.settings import DATABASE_VARIABLE
from holdfast.testing.postgres import PostgresServer

__all__ = ["main"]

_CLIENTS = 16
_SECONDS = 8.0


def main() -> None:
    """1 and 4 control planes on PostgreSQL that syncs its files, and 1 on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = _measure(Path(folder), 1, None)
    report("replicas", "changes, 1 server on SQLite", sqlite, "1/s", clients=_CLIENTS)
    postgres = PostgresServer()
    try:
        postgres.start()
        for count in (1, 4):
            with tempfile.TemporaryDirectory() as folder:
                rate = _measure(Path(folder), count, postgres.create_database(f"servers{count}"))
            report("replicas", f"changes, {count} on PostgreSQL", rate, "1/s", clients=_CLIENTS,
                   ratio_to_sqlite=round(rate / sqlite, 3))  # fmt: skip
    finally:
        postgres.close()


def _measure(folder: Path, count: int, address: str | None) -> float:
    environment = {**os.environ, **({DATABASE_VARIABLE: address} if address else {})}
    ports = [_free_port() for _ in range(count)]
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "holdfast.app", "server", "--data", str(folder / str(port)), "--port",
             str(port), "--no-worker", "--no-inference"],
            stdout=subprocess.DEVNULL, env=environment,
        )
        for port in ports
    ]  # fmt: skip
    try:
        for port in ports:
            _wait(f"http://127.0.0.1:{port}/ready")
        until = time.monotonic() + _SECONDS
        with ThreadPoolExecutor(_CLIENTS) as pool:
            done = list(pool.map(lambda n: _work(ports[n % count], n, until), range(_CLIENTS)))
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/audit/verify", timeout=60) as answer:
                checked = json.load(answer)
            if not checked["ok"] or checked["size"] != sum(done):
                raise SystemExit(f"the audit log of {count} servers is wrong: {checked}")
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
        for server in servers:
            server.wait(30)
    return sum(done) / _SECONDS


def _work(port: int, client: int, until: float) -> int:
    connection, count = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
    while time.monotonic() < until:
        body = json.dumps({"name": f"model-{client}-{count}"})
        connection.request("POST", "/api/v1/models", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise SystemExit(f"a change was refused: {answer.status}")
        count += 1
    connection.close()
    return count


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)

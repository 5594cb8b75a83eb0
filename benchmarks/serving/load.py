"""A load generator in a process of its own: keep-alive connections over raw sockets, one request in flight on each.

`python -m benchmarks.serving.load`: reads orders from standard input, one JSON line each (url, body, connections,
seconds), and answers each with a JSON line: requests, errors, seconds and
latencies (microseconds). It parses no JSON and as little HTTP as it can, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

__all__ = ["drive"]


class _Connection(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete."""

    def __init__(self, request: bytes, latencies: list[int], is_over: asyncio.Event) -> None:
        self._request = request
        self._latencies = latencies
        self._is_over = is_over
        self._buffer = b""
        self._sent = 0
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._latencies.append(time.perf_counter_ns() - self._sent)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self.errors += 1
        self._buffer = b""
        if self._is_over.is_set():
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or not self._is_over.is_set():
            self.errors += 1
        if not self.done.done():
            self.done.set_result(None)


async def drive(url: str, body: bytes, connections: int, seconds: float) -> dict[str, object]:
    """The measurement as a record; latencies in microseconds."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    loop, is_over, latencies = asyncio.get_running_loop(), asyncio.Event(), list[int]()
    request = head.encode() + body
    started = time.perf_counter()
    opened = [
        await loop.create_connection(
            lambda: _Connection(request, latencies, is_over), parts.hostname or "", parts.port or 80
        )
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    is_over.set()
    await asyncio.wait([protocol.done for _, protocol in opened], timeout=10)
    took = time.perf_counter() - started
    ordered = sorted(latencies)

    def quantile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000

    return {
        "requests": len(ordered),
        "errors": sum(protocol.errors for _, protocol in opened),
        "seconds": took,
        "per_second": len(ordered) / took,
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
    }


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        result = uvloop.run(
            drive(order["url"], order["body"].encode(), int(order["connections"]), float(order["seconds"]))
        )
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

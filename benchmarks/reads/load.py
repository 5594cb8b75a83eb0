"""Open-loop load in a process of its own: every request has its time, whether the ones before are answered or not.

`python -m benchmarks.reads.load`: reads one order from standard input (url, paths, rate, seconds) and answers it with
latencies in milliseconds. A latency counts from the time that the request was due, so a server that stalls is charged
for all that had to wait (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

__all__ = ["drive"]


class _Pool:
    """Keep-alive connections, as many as are needed at once."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def get(self, path: str) -> int:
        """The status of a GET, once its whole answer has arrived."""
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            self.opened += 1
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
        self._idle.append((reader, writer))
        return int(head[9:12])

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def drive(url: str, paths: list[str], rate: float, seconds: float) -> dict[str, object]:
    """The measurement as a record: `late_ms` is how late, at the 99th percentile, the generator itself was."""
    parts = urlsplit(url)
    pool = _Pool(parts.hostname or "", parts.port or 80)
    latencies, late, errors = list[float](), list[float](), 0
    started = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        nonlocal errors
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        late.append((time.perf_counter() - due) * 1000)
        status = await pool.get(paths[number % len(paths)])
        latencies.append((time.perf_counter() - due) * 1000)
        errors += status != 200

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    pool.close()
    latencies.sort()
    late.sort()

    def quantile(values: list[float], share: float) -> float:
        return values[min(len(values) - 1, int(len(values) * share))]

    return {
        "requests": len(latencies), "errors": errors, "connections": pool.opened, "p50_ms": quantile(latencies, 0.5),
        "p99_ms": quantile(latencies, 0.99), "most_ms": latencies[-1], "late_ms": quantile(late, 0.99),
    }  # fmt: skip


def main() -> None:
    order = json.loads(sys.stdin.readline())
    print(
        json.dumps(uvloop.run(drive(order["url"], order["paths"], order["rate"], order["seconds"]))),
        flush=True,
    )


if __name__ == "__main__":
    main()

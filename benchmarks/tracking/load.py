"""Loads a tracking server by MLflow's protocol over plain HTTP: `python -m benchmarks.tracking.load URL KEYS CONNECTIONS
BATCHES`. Each connection logs so many batches of 1,000 points of a run of its own; prints the points a second.

Values are float32 numbers, as training loops log them. Bodies are made before the clock starts.
"""

from __future__ import annotations

import http.client
import json
import random
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

__all__ = ["POINTS", "bodies", "post"]

POINTS = 1000


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    """The answer to one request, which must succeed."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {found[:500]!r}")
    return found


def bodies(run_id: str, keys: int, count: int, seed: int) -> list[bytes]:
    """So many bodies of 1,000 points, in steps of all keys."""
    chance, made, step = random.Random(seed), [], 0
    names = [f"train/metric_{number}" for number in range(keys)]
    for _ in range(count):
        points = []
        for _ in range(POINTS // keys):
            step += 1
            stamp = 1_760_000_000_000 + step * 137 + chance.randrange(9)
            for name in names:
                (value,) = struct.unpack("f", struct.pack("f", 1 / (1 + step / 1000) + chance.gauss(0, 0.02)))
                points.append({"key": name, "value": value, "timestamp": stamp, "step": step})
        made.append(json.dumps({"run_id": run_id, "metrics": points}).encode())
    return made


def main(url: str, keys: int, connections: int, count: int) -> float:
    """Points a second of all connections together."""
    place = urlsplit(url)
    assert place.hostname
    opened = [http.client.HTTPConnection(place.hostname, place.port, timeout=600) for _ in range(connections)]
    work = []
    for number, connection in enumerate(opened):
        answer = post(connection, "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0"}).encode())
        run_id = json.loads(answer)["run"]["info"]["run_id"]
        work.append((connection, bodies(run_id, keys, count, number)))
    begin = threading.Barrier(connections + 1)
    failed: list[BaseException] = []

    def send(connection: http.client.HTTPConnection, made: list[bytes]) -> None:
        begin.wait()
        try:
            for body in made:
                post(connection, "/api/2.0/mlflow/runs/log-batch", body)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=send, args=one) for one in work]
    for thread in threads:
        thread.start()
    begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(f"a connection failed: {failed[0]}")
    return connections * count * POINTS / (time.perf_counter() - started)


if __name__ == "__main__":
    print(main(sys.argv[1], *map(int, sys.argv[2:5])))

"""`python -m benchmarks.reads.write URL`: batches of metrics, one after another, until SIGTERM; prints how many."""

from __future__ import annotations

import signal
import sys
import threading

import holdfast

_POINTS = 100


def main(url: str) -> None:
    stop, client, step = threading.Event(), holdfast.Client(url), 0
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run = client.create_run("written").run_id
    while not stop.is_set():
        client.log_batch(
            run, metrics=[("loss", 1.0 / (step + at + 1), step + at, 0) for at in range(_POINTS)]
        )
        step += _POINTS
    client.close()
    print(step // _POINTS, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

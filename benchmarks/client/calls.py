"""The microseconds of a call: `python calls.py CLIENT URL CALL COUNT`, in the client's environment.

CLIENT is holdfast, mlflow, mlflow-async or trackio; CALL is `metric` (one metric) or `dict` (20 of them). Prints the
median of 50 stretches, and the seconds from the first call until everything has arrived.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

_STRETCHES = 50
_VALUES = {f"metric_{number}": number / 7 for number in range(20)}
Calls = tuple[Callable[[int], object], Callable[[int], object], Callable[[], object]]
"""What logs one metric, what logs the dict, what waits until all has arrived."""


def _holdfast(url: str) -> Calls:
    import holdfast

    holdfast.init(url or None, mode=None if url else "offline")
    holdfast.start_run()
    metric, metrics = holdfast.log_metric, holdfast.log_metrics
    return lambda step: metric("loss", 0.5, step), lambda step: metrics(_VALUES, step), holdfast.finish_run


def _mlflow(url: str, *, synchronous: bool = True) -> Calls:
    import mlflow

    mlflow.set_tracking_uri(url)
    mlflow.start_run()
    metric, metrics = mlflow.log_metric, mlflow.log_metrics

    def end() -> None:
        mlflow.flush_async_logging()
        mlflow.end_run()

    return (
        lambda step: metric("loss", 0.5, step, synchronous=synchronous),
        lambda step: metrics(_VALUES, step, synchronous=synchronous),
        end,
    )


def _trackio(url: str) -> Calls:
    import trackio

    trackio.init(project="calls")
    log = trackio.log
    return lambda step: log({"loss": 0.5}, step=step), lambda step: log(_VALUES, step=step), trackio.finish


def main(client: str, url: str, call: str, count: int) -> None:
    """Measure and print."""
    made = {
        "holdfast": _holdfast, "mlflow": _mlflow, "trackio": _trackio,
        "mlflow-async": lambda url: _mlflow(url, synchronous=False),
    }[client](url)  # fmt: skip
    work, end = made[0 if call == "metric" else 1], made[2]
    work(0)
    taken = []
    first = time.perf_counter()
    for stretch in range(_STRETCHES):
        started = time.perf_counter()
        for step in range(stretch * count + 1, (stretch + 1) * count + 1):
            work(step)
        taken.append((time.perf_counter() - started) / count * 1e6)
    end()
    print("result", statistics.median(taken), time.perf_counter() - first)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

"""kill -9 of compaction at random points: no row is lost and none stands in Delta twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import HoldfastError
from holdfast.kernel.principal import Caller
from holdfast.predictions.compact import compact_endpoint
from holdfast.predictions.records import MonitorFields, SegmentName
from holdfast.predictions.service import Predictions

WORKER = """
import sys, uuid
from pathlib import Path
from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import HoldfastError
from holdfast.predictions.compact import compact_endpoint
from holdfast.predictions.service import Predictions
from holdfast.storage import Objects, Storage, open_backend
class Impatient(SystemClock):
    def now_ms(self): return super().now_ms() + int(sys.argv[4])
storage = Storage(sys.argv[1])
predictions = Predictions(storage, Objects(storage, open_backend(sys.argv[2])))
print("ready", flush=True)
while True:
    try:
        compact_endpoint(predictions, Impatient(), "default", sys.argv[3], uuid.uuid4().hex)
    except HoldfastError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.faults
def test_killed_compaction_neither_loses_nor_repeats(
    predictions: Predictions,
    caller: Caller,
    ship: Callable[..., SegmentName],
    make_batch: Any,
    tmp_path: Path,
) -> None:
    endpoint_id = predictions.set_monitor(caller, "watched", MonitorFields()).endpoint_id
    chance, shipped, seq = random.Random(7), [], 0
    for round_ in range(5):
        # Each worker's clock is past the leases of those before: it takes over while their children may still run.
        arguments = [
            predictions.storage.address,
            predictions.objects.url,
            endpoint_id,
            str(round_ * 60_000),
        ]
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, start_new_session=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        for _ in range(4):
            seq += 1
            batch = make_batch([f"k{seq}-{row}" for row in range(200)])
            ship(endpoint_id, seq, [batch])
            shipped += [f"{batch.request_id}.{row}" for row in range(200)]
            predictions.accept_feedback(caller, "watched", {"key": [f"k{seq}-0"], "label": [1]})
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(chance.uniform(0.05, 1.5))
        if round_ % 2:
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            worker.kill()  # its child goes on alone
        worker.wait()
        worker.stdout.close()

    class Late(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() + 10 * 60_000

    while predictions.pending_endpoints():
        with contextlib.suppress(
            HoldfastError
        ):  # an orphan child may commit between this one's read and write
            compact_endpoint(predictions, Late(), "default", endpoint_id, "last")
    predictions_table, labels_table = predictions.tables(endpoint_id)
    assert sorted(pl.read_delta(str(predictions_table))["prediction_id"]) == sorted(shipped)
    assert sorted(pl.read_delta(str(labels_table))["key"]) == sorted(
        f"k{number}-0" for number in range(1, seq + 1)
    )
    assert predictions.log_status(caller, "watched").labels_matched == seq

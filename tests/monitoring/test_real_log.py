"""Folding the prediction log as `predictions` keeps it: shipped segments, Delta tables, labels by key."""

from __future__ import annotations

import gzip
import json

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.ids import uuid7
from holdfast.kernel.principal import Caller
from holdfast.monitoring.service import Monitor
from holdfast.predictions.compact import compact_endpoint
from holdfast.predictions.records import MonitorFields, SegmentName
from holdfast.predictions.segments import Batch, Failure, Schema, SegmentHeader, encode_record
from holdfast.predictions.service import Predictions
from holdfast.storage import Objects, Storage
from tests.monitoring.conftest import MONDAY

SCHEMA = Schema(0, 1, ["x", "city"], ["double", "string"], "binary", ["0", "1"], "1")


def batch(keys: list[str], said: str = "1") -> Batch:
    rows = len(keys)
    return Batch(
        schema_id=0,
        request_id=uuid7(),
        logged_at=MONDAY + 1000,
        latency_us=120,
        labels=[said] * rows,
        scores=[[0.25] * rows, [0.75] * rows],
        columns=[[1.5] * rows, ["Wien"] * rows],
        keys=list(keys),
        event_times=[MONDAY + at for at in range(rows)],
    )


@pytest.fixture
def predictions(storage: Storage, objects: Objects) -> Predictions:
    return Predictions(storage, objects)


def ship(
    predictions: Predictions, caller: Caller, endpoint_id: str, seq: int, *records: Batch | Failure
) -> None:
    header = SegmentHeader(1, endpoint_id, "local", "b1", seq, 0)
    data = b"".join(encode_record(record) for record in (header, SCHEMA, *records))
    predictions.accept_segment(caller, SegmentName(endpoint_id, "local", "b1", seq), data)


def test_rows_sent_twice_count_once_and_labels_by_key_are_judged(
    storage: Storage, objects: Objects, predictions: Predictions, caller: Caller, clock: ManualClock
) -> None:
    rows = 400
    reference = {
        "x": [1.0, 2.0] * rows,
        "city": ["Wien", "Graz"] * rows,
        "late": [1, 1, 1, 0] * (rows // 2),
        "prediction": [1] * (2 * rows),
        "score": [0.75] * (2 * rows),
    }
    fields = MonitorFields(
        window="1d", task="binary", target="late", positive="1", reference={"columns": reference}
    )
    endpoint = predictions.set_monitor(caller, "delays", fields)
    monitor = Monitor(storage, objects, predictions, clock)
    assert json.loads(gzip.decompress(objects.get(endpoint.reference.sha256)))["columns"]["x"][0] == 1.0

    keys = [f"k{at}" for at in range(100)]
    failure = Failure(uuid7(), MONDAY + 1000, 90, 503, 1, MONDAY + 1000, "the model is not loaded")
    ship(predictions, caller, endpoint.endpoint_id, 1, batch(keys), failure)
    ship(predictions, caller, endpoint.endpoint_id, 2, batch(keys[:40]))
    assert compact_endpoint(predictions, clock, "default", endpoint.endpoint_id, "w") is not None
    assert monitor.has_pending()
    (outcome,) = monitor.fold_pending()
    assert outcome.rows == 100 and not monitor.has_pending()
    (window,) = monitor.show(caller, "delays").windows
    assert (window.rows, window.labelled, window.operations.errors) == (100, 0, 1)
    assert window.operations.p50_ms == pytest.approx(0.12, rel=0.05)

    labels = {"key": keys, "label": [1] * 70 + [0] * 30}
    predictions.accept_feedback(caller, "delays", labels)
    compact_endpoint(predictions, clock, "default", endpoint.endpoint_id, "w")
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert report.windows[0].labelled == 100
    error = report.windows[0].metrics["error"]
    assert error.realised == pytest.approx(0.3) and error.reference == pytest.approx(0.25)
    assert report.reference.source == "file" and report.state == "monitoring"

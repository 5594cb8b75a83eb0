"""The prediction log in a bucket: exactly once, read and looked up as in a folder."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.ids import new_id, uuid7
from holdfast.kernel.principal import Caller
from holdfast.predictions.compact import compact_endpoint, run_child
from holdfast.predictions.lookup import look_up
from holdfast.predictions.records import DAY_MS, CompactRequest, MonitorFields, SegmentName
from holdfast.predictions.segments import Batch, Schema, SegmentHeader, encode_record, scan
from holdfast.predictions.service import Predictions
from holdfast.predictions.tables import append_predictions, open_table
from holdfast.storage import Objects, Storage, open_backend

DAY = 19_000 * DAY_MS
SCHEMA = Schema(0, 1, ["x"], ["double"], "binary", ["0", "1"], "1")


@pytest.fixture
def predictions(moto: str, s3_environment: Callable[[str], None], storage: Storage) -> Predictions:
    s3_environment(moto)
    with urllib.request.urlopen(urllib.request.Request(f"{moto}/bucket", method="PUT")):
        pass
    return Predictions(storage, Objects(storage, open_backend(f"s3://bucket/{new_id()}")))


def segment_of(endpoint_id: str, seq: int, key: str) -> bytes:
    batch = Batch(
        schema_id=0, request_id=uuid7(), logged_at=DAY, latency_us=1, labels=["1"], scores=[[0.2], [0.8]],
        columns=[[1.0]], keys=[key], event_times=[DAY],
    )  # fmt: skip
    header = SegmentHeader(1, endpoint_id, "local", "b1", seq, 0)
    return b"".join(encode_record(record) for record in (header, SCHEMA, batch))


def test_the_log_is_compacted_once_and_read_from_a_bucket(
    predictions: Predictions, caller: Caller, clock: ManualClock
) -> None:
    endpoint_id = predictions.set_monitor(caller, "watched", MonitorFields()).endpoint_id
    for seq, key in ((1, "a"), (2, "b")):
        data = segment_of(endpoint_id, seq, key)
        predictions.accept_segment(caller, SegmentName(endpoint_id, "local", "b1", seq), data)
    (first, *_) = [one.sha256 for one in predictions.objects.list()]
    assert predictions.objects.get(first)
    predictions.accept_feedback(caller, "watched", {"key": ["a"], "label": [1]})
    assert compact_endpoint(predictions, clock, "default", endpoint_id, "w1") is not None
    rows = predictions.read_days(endpoint_id, DAY, DAY)
    assert rows.select("key", "label").sort("key").rows() == [("a", "1"), ("b", None)]
    assert [row["key"] for row in look_up(predictions, caller, "watched", None, "b")] == ["b"]


def test_a_segment_that_is_in_the_table_is_not_written_again(
    predictions: Predictions, tmp_path: object
) -> None:
    tables = predictions.tables("e1")
    (predictions.objects.put(b"unrelated"))
    segment = segment_of("e1", 1, "a")
    path = f"{tmp_path}/segment"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(segment)
    for _ in range(2):
        run_child(CompactRequest(*tables, [path], [], []), lambda: None)
    table = open_table(tables[0])
    assert table is not None
    assert pl.scan_delta(table).collect().height == 1


def test_of_two_writers_at_one_version_one_fails(predictions: Predictions) -> None:
    address = predictions.tables("e1")[0]
    append_predictions(address, [scan(segment_of("e1", 1, "a"))])
    stale = open_table(address)
    append_predictions(address, [scan(segment_of("e1", 2, "b"))])
    assert stale is not None
    with pytest.raises(CommitFailedError):
        _append_at(stale, address)
    table = open_table(address)
    assert table is not None
    assert sorted(pl.scan_delta(table).collect()["key"]) == ["a", "b"]


def _append_at(stale: object, address: str) -> None:
    from holdfast.predictions import tables

    frame = tables.prediction_frame([scan(segment_of("e1", 3, "c"))], {})
    tables._commit(address, stale, frame, {"local/b1": 3})  # type: ignore[arg-type]

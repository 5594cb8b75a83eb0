"""Compaction to Delta: every row once, whatever is repeated, killed or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from deltalake import DeltaTable

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.principal import Caller
from holdfast.predictions import store
from holdfast.predictions.compact import compact_endpoint, run_child
from holdfast.predictions.lookup import look_up
from holdfast.predictions.records import DAY_MS, CompactRequest, CompactResult, MonitorFields, SegmentName
from holdfast.predictions.segments import Batch, Failure, Schema, SegmentHeader, encode_record, scan
from holdfast.predictions.service import Predictions
from holdfast.predictions.tables import append_predictions, merge_small_files
from holdfast.storage import leases

Ship = Callable[..., SegmentName]
MakeBatch = Callable[..., Batch]
DAY = 19_000 * DAY_MS


@pytest.fixture
def endpoint_id(predictions: Predictions, caller: Caller) -> str:
    return predictions.set_monitor(caller, "watched", MonitorFields()).endpoint_id


@pytest.fixture
def compact(
    predictions: Predictions, clock: ManualClock, endpoint_id: str
) -> Callable[[], CompactResult | None]:
    return lambda: compact_endpoint(predictions, clock, "default", endpoint_id, "worker-1")


def everything(predictions: Predictions, endpoint_id: str) -> pl.DataFrame:
    return pl.read_delta(str(predictions.tables(endpoint_id)[0]))


def test_rows_arrive_with_all_they_were_logged_with(
    predictions: Predictions, endpoint_id: str, ship: Ship, make_batch: MakeBatch, compact: Any
) -> None:
    batch = make_batch(["k1", None], event_time=DAY + 5, at=DAY + 9)
    ship(endpoint_id, 1, [batch, Failure("0-0", DAY + 10, 7, 400, 1, DAY + 10, "Column 'x' is missing.")])
    compact()
    rows = predictions.read_days(endpoint_id, DAY, DAY)
    assert rows["prediction_id"].to_list() == [f"{batch.request_id}.0", f"{batch.request_id}.1", "0-0.0"]
    assert rows.row(0, named=True) | {"prediction_id": "", "input_hash": ""} == {
        "prediction_id": "",
        "key": "k1",
        "event_time": DAY + 5,
        "logged_at": DAY + 9,
        "logged_date": "2022-01-08",
        "status": 200,
        "version": 1,
        "prediction": "1",
        "score": 0.75,
        "input_hash": "",
        "latency_us": 120,
        "replica": "local",
        "reason": None,
        "score_0": 0.25,
        "score_1": 0.75,
        "in_x": 1.0,
        "in_city": "Wien",
        "label": None,
        "label_received_at": None,
    }
    assert rows["status"].to_list() == [200, 200, 400]
    assert rows["reason"][2] == "Column 'x' is missing."


def test_what_is_compacted_is_marked_with_its_event_days(
    predictions: Predictions,
    caller: Caller,
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
    compact: Any,
) -> None:
    ship(endpoint_id, 1, [make_batch(["a"], event_time=DAY + 1), make_batch(["b"], event_time=DAY + DAY_MS)])
    ship(endpoint_id, 2, [make_batch(["c"], event_time=DAY + 9 * DAY_MS)])
    compact()
    cursor, days = predictions.changes_since("default", endpoint_id, 0)
    assert days == [(DAY, DAY + DAY_MS), (DAY + 9 * DAY_MS, DAY + 9 * DAY_MS)]
    assert predictions.changes_since("default", endpoint_id, cursor) == (cursor, [])
    assert predictions.pending_endpoints() == []
    assert predictions.log_status(caller, "watched").rows == 3
    assert compact() is None


def test_killed_between_delta_and_marking_the_next_pass_only_marks(
    predictions: Predictions,
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
    compact: Any,
    tmp_path: Path,
) -> None:
    name = ship(endpoint_id, 1, [make_batch(["a"], event_time=DAY)])
    segment = predictions.storage.read(lambda tx: store.find_segment(tx, "default", name))
    assert segment is not None
    predictions.objects.copy_to(segment.sha256, tmp_path / "segment")
    request = CompactRequest(*predictions.tables(endpoint_id), [str(tmp_path / "segment")], [], [])
    run_child(request, lambda: None)
    ship(endpoint_id, 2, [make_batch(["b"], event_time=DAY)])
    compact()
    assert sorted(everything(predictions, endpoint_id)["key"]) == ["a", "b"]
    assert predictions.changes_since("default", endpoint_id, 0)[1] == [(DAY, DAY)]


def test_the_same_key_and_inputs_count_once(
    predictions: Predictions, endpoint_id: str, ship: Ship, make_batch: MakeBatch, compact: Any
) -> None:
    first = make_batch(["k"], event_time=DAY)
    ship(endpoint_id, 1, [first, make_batch(["k"], event_time=DAY), make_batch(["k"], x=2.0, event_time=DAY)])
    compact()
    ship(endpoint_id, 2, [make_batch(["k"], event_time=DAY), make_batch([None, None], event_time=DAY)])
    compact()
    assert everything(predictions, endpoint_id).height == 6
    counted = predictions.read_days(endpoint_id, DAY, DAY)
    assert counted.filter(pl.col("key") == "k")["in_x"].to_list() == [1.0, 2.0]
    assert counted.height == 4
    assert f"{first.request_id}.0" in counted["prediction_id"]


def test_labels_join_by_key_or_id_and_the_last_received_holds(
    predictions: Predictions,
    caller: Caller,
    clock: ManualClock,
    make_caller: Callable[..., Caller],
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
    compact: Any,
) -> None:
    batch = make_batch(["a", "b", "c"], event_time=DAY)
    again = make_batch(["c"], event_time=DAY + DAY_MS)
    ship(endpoint_id, 1, [batch, again])
    compact()
    cursor, _ = predictions.changes_since("default", endpoint_id, 0)
    predictions.accept_feedback(caller, "watched", {"key": ["a", "b", "b"], "label": [0, 0, 1]})
    compact()
    clock.advance(1000)
    ids = [f"{batch.request_id}.0", f"{again.request_id}.0"]
    predictions.accept_feedback(make_caller(), "watched", {"prediction_id": ids, "label": [1, 0]})
    compact()
    rows = predictions.read_days(endpoint_id, DAY, DAY)
    assert rows.select("key", "label").rows() == [("a", "1"), ("b", "1"), ("c", "0")]
    _, days = predictions.changes_since("default", endpoint_id, cursor)
    assert days == [(DAY, DAY), (DAY, DAY + DAY_MS)]


def test_labels_that_come_first_are_counted_and_matched_later(
    predictions: Predictions,
    caller: Caller,
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
    compact: Any,
) -> None:
    predictions.accept_feedback(caller, "watched", {"key": ["early", "never"], "label": [1, 0]})
    compact()
    status = predictions.log_status(caller, "watched")
    assert (status.labels, status.labels_matched) == (2, 0)
    ship(endpoint_id, 1, [make_batch(["early"], event_time=DAY)])
    compact()
    assert predictions.log_status(caller, "watched").labels_matched == 1
    assert predictions.read_days(endpoint_id, DAY, DAY)["label"].to_list() == ["1"]


def test_damage_is_reported_and_the_rest_is_kept(
    predictions: Predictions, caller: Caller, endpoint_id: str, make_batch: MakeBatch, compact: Any
) -> None:
    header, good, bad = (
        SegmentHeader(1, endpoint_id, "local", "b1", 1, 0),
        make_batch(["good"]),
        make_batch(["bad"]),
    )
    schema = Schema(0, 1, ["x", "city"], ["double", "string"], "binary", ["0", "1"], "1")
    broken = bytearray(encode_record(bad))
    broken[20] ^= 0xFF
    torn = encode_record(make_batch(["torn"]))[:-4]
    data = b"".join([encode_record(header), encode_record(schema), broken, encode_record(good), torn])
    predictions.accept_segment(caller, SegmentName(endpoint_id, "local", "b1", 1), bytes(data))
    outcome = compact().segments[0]
    assert (outcome.rows, "CRC mismatch" in outcome.damage) == (1, True)
    assert everything(predictions, endpoint_id)["key"].to_list() == ["good"]
    assert predictions.log_status(caller, "watched").segments_damaged == 1


def test_later_versions_bring_new_features_and_other_types(
    predictions: Predictions, endpoint_id: str, ship: Ship, make_batch: MakeBatch, compact: Any
) -> None:
    ship(endpoint_id, 1, [make_batch(["a"], event_time=DAY)])
    compact()
    newer = Schema(
        0, 2, ["x", "city", "X", "ok"], ["string", "string", "double", "boolean"], "binary", ["0", "1"], "1"
    )
    other = msgspec.structs.replace(
        make_batch(["b"], event_time=DAY + 1), columns=[["much"], ["Graz"], [7.0], [True]]
    )
    ship(endpoint_id, 2, [other], schema=newer)
    compact()
    rows = predictions.read_days(endpoint_id, DAY, DAY)
    assert rows["in_x"].to_list() == ["1", "much"]
    assert rows["in_X"].to_list() == [None, 7.0]
    assert rows["in_ok"].to_list() == [None, True]
    assert rows["version"].to_list() == [1, 2]


def test_another_workers_lease_is_respected(
    predictions: Predictions,
    clock: ManualClock,
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
    compact: Any,
) -> None:
    ship(endpoint_id, 1, [make_batch(["a"])])
    leases.acquire(predictions.storage, f"compact:{endpoint_id}", "worker-2", 1_000, clock.now_ms())
    assert compact() is None
    clock.advance(1_001)
    assert compact() is not None


def test_old_segments_give_their_space_back_and_stay_known(
    predictions: Predictions,
    caller: Caller,
    clock: ManualClock,
    endpoint_id: str,
    ship: Ship,
    make_batch: Any,
    compact: Any,
) -> None:
    batch = make_batch(["a"])
    name = ship(endpoint_id, 1, [batch])
    compact()
    clock.advance(DAY_MS + 1)
    ship(endpoint_id, 2, [make_batch(["b"])])
    compact()
    old = predictions.storage.read(lambda tx: store.find_segment(tx, "default", name))
    assert old is not None
    assert (old.state, predictions.objects.exists(old.sha256)) == ("dropped", False)
    ship(endpoint_id, 1, [batch])
    assert compact() is None
    assert everything(predictions, endpoint_id).height == 2


def test_predictions_are_looked_up_by_id_and_by_key(
    predictions: Predictions,
    caller: Caller,
    clock: ManualClock,
    endpoint_id: str,
    ship: Ship,
    make_batch: MakeBatch,
) -> None:
    batch = make_batch(["a", "b"], at=time.time_ns() // 1_000_000)
    ship(endpoint_id, 1, [batch])
    compact_endpoint(predictions, clock, "default", endpoint_id, "w")
    (found,) = look_up(predictions, caller, "watched", f"{batch.request_id}.1", None)
    assert (found["key"], found["in_city"]) == ("b", "Wien")
    assert [row["key"] for row in look_up(predictions, caller, "watched", None, "a")] == ["a"]


def test_many_small_files_are_merged_without_touching_rows(
    predictions: Predictions, endpoint_id: str, make_batch: MakeBatch
) -> None:
    table = predictions.tables(endpoint_id)[0]
    scans = []
    for seq in range(1, 68):
        header = SegmentHeader(1, endpoint_id, "local", "b1", seq, 0)
        schema = Schema(0, 1, ["x", "city"], ["double", "string"], "binary", ["0", "1"], "1")
        records = (header, schema, make_batch([f"k{seq}"], event_time=DAY + seq))
        scans.append(scan(b"".join(encode_record(record) for record in records)))
        append_predictions(table, scans[-1:])
    assert merge_small_files(table) == 1
    assert merge_small_files(table) == 0
    assert len(DeltaTable(table).file_uris()) == 1
    append_predictions(table, scans)
    assert sorted(everything(predictions, endpoint_id)["key"]) == sorted(f"k{seq}" for seq in range(1, 68))

"""A predictions service on a real database, and segments as an inference server writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from holdfast.kernel.ids import uuid7
from holdfast.kernel.principal import Caller
from holdfast.predictions.records import SegmentName
from holdfast.predictions.segments import Batch, Record, Schema, SegmentHeader, encode_record
from holdfast.predictions.service import Predictions
from holdfast.storage import Objects, Storage

SCHEMA = Schema(0, 1, ["x", "city"], ["double", "string"], "binary", ["0", "1"], "1")


@pytest.fixture
def predictions(storage: Storage, objects: Objects) -> Predictions:
    return Predictions(storage, objects)


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    def make(
        keys: Sequence[str | None], *, x: float = 1.0, event_time: int | None = None, at: int = 1_000
    ) -> Batch:
        rows = len(keys)
        return Batch(
            schema_id=0,
            request_id=uuid7(),
            logged_at=at,
            latency_us=120,
            labels=["1"] * rows,
            scores=[[0.25] * rows, [0.75] * rows],
            columns=[[x] * rows, ["Wien"] * rows],
            keys=list(keys),
            event_times=None if event_time is None else [event_time] * rows,
        )

    return make


@pytest.fixture
def ship(predictions: Predictions, caller: Caller) -> Callable[..., SegmentName]:
    """Ship records as one segment of an endpoint."""

    def send(
        endpoint_id: str, seq: int, records: Sequence[Record], boot: str = "b1", schema: Any = SCHEMA
    ) -> SegmentName:
        name = SegmentName(endpoint_id, "local", boot, seq)
        header = SegmentHeader(1, endpoint_id, "local", boot, seq, 0)
        data = b"".join(encode_record(record) for record in (header, schema, *records))
        predictions.accept_segment(caller, name, data)
        return name

    return send

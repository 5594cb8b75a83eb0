"""A monitor on a real database over a prediction log that is a frame in memory."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import holdfast.audit.store.leaves  # noqa: F401 - its tables belong to the database
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring.service import Monitor
from holdfast.predictions.records import Endpoint, Reference
from holdfast.storage import Objects, Storage

MONDAY = 1_704_067_200_000  # 2024-01-01
SIGNATURE = {"inputs": [{"name": "x", "type": "double"}, {"name": "city", "type": "string"}]}
SCHEMA = {
    "prediction_id": pl.String,
    "event_time": pl.Int64,
    "logged_at": pl.Int64,
    "status": pl.Int64,
    "version": pl.Int64,
    "prediction": pl.String,
    "score": pl.Float64,
    "latency_us": pl.Int64,
    "in_x": pl.Float64,
    "in_city": pl.String,
    "label": pl.String,
    "label_received_at": pl.Int64,
}


class FrameLog:
    """A prediction log held in memory: rows are added, labels come later, changed days are recorded."""

    def __init__(self) -> None:
        self.frame = pl.DataFrame(schema=SCHEMA)
        self.endpoints: dict[str, Endpoint] = {}
        self.changes: list[tuple[int, int]] = []
        self.reads = 0

    def active_endpoints(self, workspace: str) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints.values() if endpoint.workspace_id == workspace]

    def get_endpoint(self, caller: Caller, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise NotFound(f"There is no endpoint {name!r}.")
        return self.endpoints[name]

    def changes_since(
        self, workspace: str, endpoint_id: str, cursor: int
    ) -> tuple[int, list[tuple[int, int]]]:
        return len(self.changes), self.changes[cursor:]

    def read_days(self, endpoint_id: str, first_day: int, last_day: int) -> pl.DataFrame:
        self.reads += 1
        within = pl.col("event_time").is_between(first_day, last_day + DAY_MS, closed="left")
        return self.frame.filter(within)

    def add(self, rows: pl.DataFrame) -> None:
        self.frame = pl.concat([self.frame, rows], how="diagonal")
        self._changed(rows["event_time"])

    def label(self, labels: dict[str, str]) -> None:
        """Deliver labels by prediction id."""
        given = pl.DataFrame({"prediction_id": list(labels), "new": list(labels.values())})
        self.frame = (
            self.frame.join(given, on="prediction_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("new", "label").alias("label"))
            .drop("new")
        )
        self._changed(self.frame.filter(pl.col("prediction_id").is_in(list(labels)))["event_time"])

    def _changed(self, times: pl.Series) -> None:
        for day in (times // DAY_MS * DAY_MS).unique().sort().to_list():
            self.changes.append((day, day))


def make_rows(
    start: int,
    rows: int,
    error: float,
    *,
    seed: int = 0,
    span_ms: int = DAY_MS,
    version: int = 1,
    shift: float = 0.0,
    labelled: bool = True,
) -> pl.DataFrame:
    """Rows spread over `span_ms` from `start`, of which a share `error` is wrong; x is normal around `shift`."""
    rng = np.random.default_rng([seed, start // 1000])
    score = rng.beta(2, 5, rows)
    said = score >= 0.5
    truth = said ^ (rng.uniform(size=rows) < error)
    times = start + np.sort(rng.integers(0, span_ms, rows))
    return pl.DataFrame(
        {
            "prediction_id": [f"{version}-{start}-{seed}-{i}" for i in range(rows)],
            "event_time": times,
            "logged_at": times,
            "status": np.full(rows, 200),
            "version": np.full(rows, version),
            "prediction": np.where(said, "1", "0").tolist(),
            "score": score,
            "latency_us": rng.integers(500, 1500, rows),
            "in_x": rng.normal(shift, 1.0, rows),
            "in_city": rng.choice(["Wien", "Graz", "Linz"], rows).tolist(),
            "label": np.where(truth, "1", "0").tolist() if labelled else [None] * rows,
            "label_received_at": times + 3_600_000 if labelled else [None] * rows,
        },
        schema=SCHEMA,
    )


def reference_columns(rows: pl.DataFrame) -> dict[str, list[Any]]:
    """The columns of a scored reference file made from log rows."""
    said = [int(value) for value in rows["prediction"]]
    return {
        "x": rows["in_x"].to_list(),
        "city": rows["in_city"].to_list(),
        "late": [int(value) for value in rows["label"]],
        "prediction": said,
        "score_0": [1.0 - value for value in rows["score"]],
        "score_1": rows["score"].to_list(),
    }


@pytest.fixture
def log() -> FrameLog:
    return FrameLog()


@pytest.fixture
def monitor(storage: Storage, objects: Objects, log: FrameLog, clock: ManualClock) -> Monitor:
    return Monitor(storage, objects, log, clock)


@pytest.fixture
def add_endpoint(log: FrameLog, objects: Objects) -> Callable[..., Endpoint]:
    """Make an endpoint of a binary task; `reference` are columns, None = learning."""

    def add(reference: dict[str, Sequence[Any]] | None = None, **changes: Any) -> Endpoint:
        pointer = Reference("learning")
        if reference is not None:
            data = gzip.compress(json.dumps({"columns": reference}).encode(), mtime=0)
            pointer = Reference("model", objects.put(data).sha256, len(next(iter(reference.values()))))
        endpoint = Endpoint(
            endpoint_id="e1",
            workspace_id="default",
            name="delays",
            kind="served",
            clock="event",
            window="1w",
            task="binary",
            target="late",
            positive="1",
            classes=["0", "1"],
            model="flights",
            version=1,
            deployable_digest=None,
            live_version=1,
            status="live",
            message="",
            signature=SIGNATURE,
            reference=pointer,
            state="active",
            created_at=0,
            updated_at=0,
        )
        log.endpoints["delays"] = msgspec.structs.replace(endpoint, **changes)
        return log.endpoints["delays"]

    return add

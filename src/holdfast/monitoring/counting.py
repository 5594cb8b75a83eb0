"""Counts the rows of the prediction log into buckets. Imported in short-lived children only (Polars)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holdfast.monitoring.buckets import ColumnCells, Layout, count_latencies
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import Bucket
from holdfast.monitoring.tally import HEAD, Answers, tally
from holdfast.statistics.histograms import (
    CategoryBins,
    Histogram,
    NumericBins,
    count_categories,
    count_numbers,
)

__all__ = ["Counter", "count_frame"]

Floats: TypeAlias = NDArray[np.float64]


class Counter:
    """Counts one version's rows against its reference; `reference_id` names the profile."""

    def __init__(self, profile: Profile, reference_id: str) -> None:
        self.reference_id = reference_id
        self._profile = profile
        self._layout = Layout(profile)

    def count(self, rows: pl.DataFrame, version: int, start: int) -> Bucket:
        """The bucket of these rows, all of one version and bucket."""
        answered = rows.filter(pl.col("status") == 200)
        counted = tally(self._profile.task, self._answers(answered))
        failures = rows.height - answered.height
        columns = [self._column(cells, answered) for cells in self._layout.columns]
        latencies = count_latencies(_floats(answered, "latency_us"))
        vectors = self._layout.assemble(counted, failures, latencies, columns)
        head = dict(zip(HEAD, counted.head.tolist(), strict=True))
        return Bucket(
            version=version,
            start=start,
            reference_id=self.reference_id,
            rows=head["rows"],
            failures=failures,
            labelled=head["labelled"],
            judged=head["judged"],
            errors=head["errors"],
            last_event=int(rows["event_time"].max()),  # type: ignore[arg-type]
            last_label=answered.filter(pl.col("label").is_not_null())["event_time"].max(),  # type: ignore[arg-type]
            body=self._layout.encode(*vectors),
        )

    def _answers(self, rows: pl.DataFrame) -> Answers:
        label, said, positive = rows["label"], rows["prediction"], self._profile.positive
        labelled = (label.is_not_null() & said.is_not_null()).to_numpy()
        delays = (rows["label_received_at"] - rows["logged_at"]).cast(pl.Float64)
        nowhere = np.zeros(rows.height, bool)
        return Answers(
            labelled=labelled,
            wrong=(label != said).fill_null(False).to_numpy(),
            actual=nowhere if positive is None else (label == positive).fill_null(False).to_numpy(),
            said=nowhere if positive is None else (said == positive).fill_null(False).to_numpy(),
            scores=self._scores(rows),
            truth=label.cast(pl.Float64, strict=False).to_numpy(),
            delays=delays.to_numpy(),
        )

    def _scores(self, rows: pl.DataFrame) -> Floats:
        own = f"score_{self._profile.positive}"
        return _floats(rows, own if own in rows.columns and self._profile.task == "binary" else "score")

    def _column(self, cells: ColumnCells, rows: pl.DataFrame) -> Histogram | None:
        """The counts of one watched column; None when the rows do not have it."""
        column, bins = cells.profile, cells.profile.bins
        is_answer = column is self._profile.prediction
        name = "prediction" if is_answer else f"in_{column.name}"
        if isinstance(bins, NumericBins):
            if is_answer:
                return count_numbers(bins, self._scores(rows))
            return count_numbers(bins, _floats(rows, name)) if name in rows.columns else None
        return _count_texts(bins, rows, name) if name in rows.columns else None


def _count_texts(bins: CategoryBins, rows: pl.DataFrame, name: str) -> Histogram:
    values = rows[name]
    if values.dtype == pl.Float64:
        whole = values.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == values).fill_null(False)
        values = whole.cast(pl.String).zip_with(is_whole, values.cast(pl.String))
    found = values.cast(pl.String).alias("value").value_counts()
    return count_categories(bins, found["value"].to_list(), found["count"].to_list())


def _floats(rows: pl.DataFrame, name: str) -> Floats:
    """A column as float64, NaN for null and for text that is no number."""
    return rows[name].cast(pl.Float64, strict=False).to_numpy()


def count_frame(frame: pl.DataFrame, grain_ms: int, counter_of: Callable[[int], Counter]) -> list[Bucket]:
    """The buckets of `grain_ms` of a frame of `predictions.read_days` in which every row has a version."""
    keyed = frame.with_columns((pl.col("event_time") // grain_ms * grain_ms).alias("bucket_start"))
    return [
        counter_of(part["version"][0]).count(part, part["version"][0], part["bucket_start"][0])
        for part in keyed.partition_by("version", "bucket_start", maintain_order=True)
    ]

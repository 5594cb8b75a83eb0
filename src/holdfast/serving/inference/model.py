"""A loaded model version: from checked rows to outputs and their log record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from holdfast.predictions.labels import canonical_label
from holdfast.predictions.segments import Batch, Schema
from holdfast.runtimes.records import Deployable, Outputs, Runtime, Scalar
from holdfast.runtimes.validation import check_columns
from holdfast.serving.inference.one_row import OneRow, OneRowAnswers, OneRowReader
from holdfast.serving.inference.rows import Rows
from holdfast.serving.records import DesiredEndpoint

__all__ = ["Model", "RowRuntime"]

_schema_ids = itertools.count()


@runtime_checkable
class RowRuntime(Protocol):
    """A runtime in this process, quick enough to answer a few rows on the event loop itself."""

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Outputs:
        """The outputs for checked rows, at least one."""


class Model:
    """One deployable, loaded. `busy` counts the requests in it; it is closed when a successor took over and busy is 0."""

    def __init__(self, desired: DesiredEndpoint, deployable: Deployable, runtime: Runtime) -> None:
        self.desired = desired
        self.deployable = deployable
        self.runtime = runtime
        self.row_runtime = runtime if isinstance(runtime, RowRuntime) else None
        self.version = str(desired.version)
        self.busy = 0
        self.is_retired = False
        classes = deployable.classes or ()
        self._label_text = {(type(name), name): canonical_label(name) for name in classes}
        self._is_regression = deployable.task == "regression"
        self.one_row = OneRowReader(deployable)
        self.answers = OneRowAnswers(desired.name, self.version, deployable)
        inputs = deployable.signature.inputs
        self.schema = Schema(
            schema_id=next(_schema_ids),
            version=desired.version,
            features=[column.name for column in inputs],
            types=[column.type for column in inputs],
            task=deployable.task,
            classes=[canonical_label(name) for name in classes],
            positive=None if deployable.positive is None else canonical_label(deployable.positive),
        )

    def predict(self, rows: Rows) -> tuple[Outputs, dict[str, list[Any]]]:
        """(outputs, the checked columns). Raises InvalidInput naming column, row and value, or Unavailable."""
        columns = check_columns(self.deployable.signature, rows.columns)
        return self.runtime.predict(columns), columns

    def record(
        self,
        rows: Rows,
        columns: dict[str, list[Any]],
        outputs: Outputs,
        request_id: str,
        started: float,
        now_ms: int,
    ) -> Batch:
        """The log record of an answered request that began at `started` (perf_counter)."""
        return Batch(
            schema_id=self.schema.schema_id,
            request_id=request_id,
            logged_at=now_ms,
            latency_us=int((time.perf_counter() - started) * 1e6),
            labels=[self._text(label) for label in outputs.label],
            scores=self._scores(outputs),
            columns=list(columns.values()),
            keys=rows.keys,
            event_times=rows.event_times,
        )

    def record_row(
        self,
        row: OneRow,
        label: Scalar,
        probabilities: list[float] | None,
        request_id: str,
        seconds: float,
        now_ms: int,
    ) -> Batch:
        """The log record of one answered row."""
        if probabilities is not None:
            scores: list[list[float | None]] = [[value] for value in probabilities]
        else:
            scores = [[float(label)]] if self._is_regression else []
        return Batch(
            self.schema.schema_id,
            request_id,
            now_ms,
            int(seconds * 1e6),
            [self._text(label)],
            scores,
            list(zip(row.values)),  # type: ignore[arg-type] # tuples are written as lists are, and made faster
            row.keys,
            row.event_times,
        )

    def _text(self, label: Any) -> str:
        known = self._label_text.get((type(label), label))
        return canonical_label(label) if known is None else known

    def _scores(self, outputs: Outputs) -> list[list[float | None]]:
        if outputs.probabilities is not None:
            return [list(column) for column in zip(*outputs.probabilities, strict=True)]
        if self._is_regression:
            return [[float(label) for label in outputs.label]]
        return []

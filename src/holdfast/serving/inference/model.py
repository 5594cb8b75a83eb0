"""A loaded model version: from checked rows to outputs and their log record."""

from __future__ import annotations

import itertools
import time
from typing import Any

from holdfast.predictions.labels import canonical_label
from holdfast.predictions.segments import Batch, Schema
from holdfast.runtimes.records import Deployable, Outputs, Runtime
from holdfast.runtimes.validation import check_columns
from holdfast.serving.inference.rows import Rows
from holdfast.serving.inference.v2 import Reader
from holdfast.serving.records import DesiredEndpoint

__all__ = ["Model"]

_schema_ids = itertools.count()
_PLAIN = {"double": float, "string": str, "boolean": bool}
"""The Python type that a value of a signature type has when nothing is to be converted or bounded."""


class Model:
    """One deployable, loaded. `busy` counts the requests in it; it is closed when a successor took over and busy is 0."""

    def __init__(self, desired: DesiredEndpoint, deployable: Deployable, runtime: Runtime) -> None:
        self.desired = desired
        self.deployable = deployable
        self.runtime = runtime
        self.version = str(desired.version)
        self.busy = 0
        self.is_retired = False
        self.is_inline = runtime.kind == "onnx"
        """Whether a few rows may be predicted on the event loop itself."""
        classes = deployable.classes or ()
        self._label_text = {(type(name), name): canonical_label(name) for name in classes}
        inputs = deployable.signature.inputs
        self.reader = Reader(deployable.signature)
        self._names = [column.name for column in inputs]
        self._plain_types = [_PLAIN.get(column.type) for column in inputs]
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
        columns = rows.columns
        if rows.count != 1 or not self._is_right_row(columns):
            columns = check_columns(self.deployable.signature, columns)
        return self.runtime.predict(columns), columns

    def _is_right_row(self, columns: dict[str, list[Any]]) -> bool:
        """Whether a single row needs no conversion, so that the full check, which also names what is wrong, may be
        left out. JSON holds no infinity.
        """
        if (
            list(columns) != self._names
            or [type(values[0]) for values in columns.values()] != self._plain_types
        ):
            return False
        return all(len(values) == 1 for values in columns.values())

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

    def _text(self, label: Any) -> str:
        known = self._label_text.get((type(label), label))
        return canonical_label(label) if known is None else known

    def _scores(self, outputs: Outputs) -> list[list[float | None]]:
        if outputs.probabilities is not None:
            return [list(column) for column in zip(*outputs.probabilities, strict=True)]
        if self.deployable.task == "regression":
            return [[float(label) for label in outputs.label]]
        return []

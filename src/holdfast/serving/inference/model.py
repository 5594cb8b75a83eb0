"""A loaded model version: from checked rows to outputs and their log record."""

from __future__ import annotations

import itertools
import time
from math import isfinite
from typing import Any

from holdfast.predictions.labels import canonical_label
from holdfast.predictions.segments import Batch, Schema
from holdfast.runtimes.records import Deployable, Outputs, Runtime
from holdfast.runtimes.validation import check_columns
from holdfast.serving.inference.rows import Rows
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
        self._names = {column.name for column in inputs}
        self._plain_types = [(column.name, _PLAIN.get(column.type)) for column in inputs]
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
        columns = self._one_row(rows) if rows.count == 1 else None
        if columns is None:
            columns = check_columns(self.deployable.signature, rows.columns)
        return self.runtime.predict(columns), columns

    def _one_row(self, rows: Rows) -> dict[str, list[Any]] | None:
        """The columns of a single row that is right as it is, in the signature's order; None sends it to the full
        check, which converts and names what is wrong.
        """
        given = rows.columns
        if given.keys() != self._names:
            return None
        columns = {}
        for name, wanted in self._plain_types:
            values = given[name]
            kind = type(values[0])
            if kind is not wanted or len(values) != 1 or (kind is float and not isfinite(values[0])):
                return None
            columns[name] = values
        return columns

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

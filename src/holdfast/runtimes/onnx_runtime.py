"""A converted model in this process, through ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.program.convert import open_session
from holdfast.runtimes.program.feed import Feed
from holdfast.runtimes.records import Deployable, Outputs, RuntimeKind, Scalar

__all__ = ["OnnxRuntime"]


class OnnxRuntime:
    """Answers from `model.onnx` with one thread per call (see `records.Runtime`). Thread-safe."""

    kind: RuntimeKind = "onnx"

    def __init__(self, model: bytes, deployable: Deployable) -> None:
        """model: the bytes of `model.onnx`. Raises InvalidInput when ONNX Runtime does not take them."""
        try:
            self._session = open_session(model)
            self._feed = Feed(self._session, [column.name for column in deployable.signature.inputs])
        except Exception as error:  # noqa: BLE001  onnxruntime's classes share no base
            raise InvalidInput(
                f"ONNX Runtime does not load the converted model: {' '.join(str(error).split())[:300]}",
                hint="Register the model again: it is converted anew for this version.",
            ) from None
        with_probabilities = any(output.name == "probabilities" for output in deployable.signature.outputs)
        outputs = [output.name for output in self._session.get_outputs()]
        self._outputs = outputs[: 2 if with_probabilities else 1]
        self._never_missing = deployable.parity.never_missing
        # ONNX has labels of text and int64; 1 == 1.0 == True finds the class as the original has it.
        self._classes: dict[Scalar, Scalar] = {label: label for label in deployable.classes or ()}

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Outputs:
        """The outputs for checked columns. Raises InvalidInput for a row that the original would refuse."""
        if not len(next(iter(columns.values()))):
            return Outputs([], [] if len(self._outputs) == 2 else None)
        for name in self._never_missing:
            _refuse_missing(name, columns[name])
        return self._run(lambda: self._feed(columns))

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Outputs:
        """The outputs for rows that `validation.RowCheck` has given, at least one. Called by one thread alone."""
        return self._run(lambda: self._feed.rows(rows))

    def _run(self, feed: Callable[[], dict[str, Any]]) -> Outputs:
        try:
            given = self._session.run(self._outputs, feed())
        except Exception as error:  # noqa: BLE001  onnxruntime's classes share no base
            raise InvalidInput(f"The model refuses the rows: {' '.join(str(error).split())[:300]}") from None
        labels: list[Scalar] = given[0].reshape(-1).tolist()
        if self._classes:
            labels = [self._classes.get(label, label) for label in labels]
        return Outputs(labels, given[1].tolist() if len(given) == 2 else None)

    def close(self) -> None:
        """Nothing to end: the session goes with the object, after the calls that still use it."""


def _refuse_missing(name: str, values: Sequence[Any]) -> None:
    for row, value in enumerate(values):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise InvalidInput(
                f"The column {name!r} may not be missing; row {row} has null.",
                hint="The model refuses it. Fit it with an imputer to allow missing values.",
                details={"column": name, "row": row},
            )

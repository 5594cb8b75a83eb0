"""The usual request, one row: told apart from others, and answered from parts that are encoded once per model."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.runtimes.records import Deployable, Scalar
from holdfast.runtimes.validation import RowCheck
from holdfast.serving.inference.rows import Rows
from holdfast.serving.inference.v2 import (
    NUMBERS,
    NUMERIC_TYPES,
    InferRequest,
    label_datatype,
    read_parameters,
)

__all__ = ["OneRow", "OneRowAnswers", "OneRowReader"]

_encode = msgspec.json.Encoder().encode


class OneRow(msgspec.Struct, frozen=True):
    """A checked row: values of the signature's types in its order. `id` is the caller's name of the request."""

    values: list[Any]
    keys: list[str | None] | None = None
    event_times: list[int | None] | None = None
    id: str | None = None
    is_v2: bool = True


class OneRowReader:
    """Finds the single row of a request with a few comparisons of lists; None sends it the general way."""

    def __init__(self, deployable: Deployable) -> None:
        signature = deployable.signature
        self._names = [column.name for column in signature.inputs]
        self._shapes = [[1]] * len(self._names)
        is_all_numbers = all(column.type in NUMERIC_TYPES for column in signature.inputs)
        self._matrix_shape = [1, len(self._names)] if is_all_numbers and len(self._names) > 1 else None
        self._check = RowCheck(signature, deployable.parity.never_missing).check

    def of_v2(self, request: InferRequest) -> OneRow | None:
        """The row of a request with a tensor per feature in the signature's order, or one tensor of all. Raises
        InvalidInput for a key or an event time that is none.
        """
        if request.outputs:
            return None
        values = self._values(request)
        checked = None if values is None else self._check(values)
        if checked is None:
            return None
        if not request.parameters:
            return OneRow(checked, None, None, request.id)
        keys, times = read_parameters(request.parameters, 1, None, None)
        return OneRow(checked, keys, times, request.id)

    def of_rows(self, rows: Rows) -> OneRow | None:
        """The row of decoded rows whose columns stand in the signature's order."""
        if rows.count != 1 or list(rows.columns) != self._names:
            return None
        checked = self._check([values[0] for values in rows.columns.values()])
        return None if checked is None else OneRow(checked, rows.keys, rows.event_times, is_v2=False)

    def _values(self, request: InferRequest) -> list[Any] | None:
        inputs = request.inputs
        if len(inputs) == 1 and inputs[0].shape == self._matrix_shape:
            tensor = inputs[0]
            data = tensor.data
            if len(data) == 1 and type(data[0]) is list:
                data = data[0]
            return data if tensor.datatype in NUMBERS and len(data) == len(self._names) else None
        if [tensor.name for tensor in inputs] != self._names or [t.shape for t in inputs] != self._shapes:
            return None
        try:
            return [value for tensor in inputs for (value,) in (tensor.data,)]
        except ValueError:
            return None


class OneRowAnswers:
    """Encodes the V2 answers of one model to single rows."""

    def __init__(self, endpoint: str, version: str, deployable: Deployable) -> None:
        self._head = b'{"model_name":%b,"model_version":%b,"outputs":' % (_encode(endpoint), _encode(version))
        self._deployable = deployable
        width = len(deployable.classes or ())
        self._then = b'},{"name":"probabilities","datatype":"FP64","shape":[1,%d],"data":' % width
        # By type too, since 1 == 1.0 == True.
        self._labels = {(type(label), label): self._label(label) for label in deployable.classes or ()}

    def _label(self, label: Scalar) -> bytes:
        datatype = label_datatype(self._deployable, [label]).encode()
        return b'%b[{"name":"label","datatype":"%b","shape":[1],"data":%b' % (
            self._head,
            datatype,
            _encode([label]),
        )

    def encode(
        self, label: Scalar, probabilities: list[float] | None, request_id: str, given_id: str | None
    ) -> bytes:
        """The answer's body, byte for byte as `v2.encode` gives it."""
        head = self._labels.get((type(label), label)) or self._label(label)
        outputs = head if probabilities is None else head + self._then + _encode(probabilities)
        own = request_id.encode()
        end = b"}" if given_id is None else b',"id":%b}' % _encode(given_id)
        return b'%b}],"parameters":{"request_id":"%b","prediction_id":"%b.0"}%b' % (outputs, own, own, end)

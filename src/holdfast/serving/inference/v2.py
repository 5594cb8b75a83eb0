"""The Open Inference Protocol (V2, REST JSON): requests to rows, answers from outputs, metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.predictions.keys import read_keys
from holdfast.runtimes.records import Deployable, Outputs, Signature
from holdfast.serving.inference.rows import Rows, decode_json, read_event_times
from holdfast.version import __version__

__all__ = [
    "NUMBERS",
    "NUMERIC_TYPES",
    "InferRequest",
    "decode",
    "encode",
    "label_datatype",
    "model_metadata",
    "read_parameters",
    "read_rows",
    "server_metadata",
]

_KEY, _TIME, _ID = "holdfast_key", "holdfast_event_time", "holdfast_prediction_id"
Datatype = Literal[
    "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL", "BYTES"
]  # fmt: skip
NUMBERS = frozenset(get_args(Datatype)) - {"BOOL", "BYTES"}
_OF_TYPE = {"double": "FP64", "long": "INT64", "string": "BYTES", "boolean": "BOOL", "datetime": "BYTES"}
NUMERIC_TYPES = ("double", "long")


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """One input tensor; `data` is flat or nested, null = missing."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[Any]
    parameters: dict[str, Any] | None = None


class WantedOutput(msgspec.Struct, frozen=True):
    """One output that the caller asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, frozen=True, gc=False):
    """The body of an infer request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WantedOutput] | None = None


class OutputTensor(msgspec.Struct, frozen=True, gc=False):
    """One output tensor, row-major."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class InferAnswer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of an infer answer."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    parameters: dict[str, Any]
    id: str | None = None


_decoder = msgspec.json.Decoder(InferRequest)
_encoder = msgspec.json.Encoder()


def decode(body: bytes) -> InferRequest:
    """The request in a body. Raises InvalidInput saying where it is none."""
    try:
        request: InferRequest = decode_json(_decoder, body)
    except InvalidInput as error:
        if ".datatype`" not in error.message:
            raise
        raise InvalidInput(error.message, hint=f"Use one of {', '.join(get_args(Datatype))}.") from None
    return request


def read_rows(request: InferRequest, signature: Signature) -> Rows:
    """The rows of a request: one tensor per feature, or one [rows, features] tensor of numbers. Raises InvalidInput
    naming the tensor and what is wrong with it.
    """
    columns: dict[str, list[Any]] = {}
    keys: list[str | None] | None = None
    times: list[int | None] | None = None
    for tensor in request.inputs:
        if tensor.name == _KEY:
            keys = read_keys(_flat(tensor), _KEY)
        elif tensor.name == _TIME:
            times = read_event_times(_flat(tensor))
        elif tensor.name in columns:
            raise InvalidInput(f"The tensor {tensor.name!r} stands twice in the request.")
        elif len(tensor.shape) == 2 and tensor.shape[1] != 1:
            columns.update(_split(tensor, signature))
        else:
            columns[tensor.name] = _flat(tensor)
    if not columns:
        raise InvalidInput("The request has no input tensor.", hint=_takes(signature))
    count = len(next(iter(columns.values())))
    if count == 0:
        raise InvalidInput("The request has no rows.")
    keys, times = read_parameters(request.parameters or {}, count, keys, times)
    for name, values in ((_KEY, keys), (_TIME, times)):
        if values is not None and len(values) != count:
            raise InvalidInput(f"{name!r} has {len(values)} values for {count} rows.")
    return Rows(columns, count, keys, times)


def read_parameters(
    given: dict[str, Any], count: int, keys: list[str | None] | None, times: list[int | None] | None
) -> tuple[list[str | None] | None, list[int | None] | None]:
    """(keys, event times), which the parameters of a request for one row replace. Raises InvalidInput."""
    key, time = given.get("key"), given.get("event_time")
    if (key is not None or time is not None) and count != 1:
        raise InvalidInput(
            f"The parameters 'key' and 'event_time' are for one row; the request has {count}.",
            hint=f"Send the tensors {_KEY!r} (BYTES) and {_TIME!r} (INT64, UTC milliseconds).",
        )
    if key is not None:
        keys = read_keys([key])
    if time is not None:
        times = read_event_times([time])
    return keys, times


def _flat(tensor: Tensor) -> list[Any]:
    """The values of a [rows] or [rows, 1] tensor."""
    _check(tensor)
    data = tensor.data
    if data and type(data[0]) is list:
        data = [value for row in data for value in (row if type(row) is list else [row])]
    size = 1
    for extent in tensor.shape:
        size *= extent
    if len(data) != size or len(tensor.shape) not in (1, 2):
        raise InvalidInput(f"The tensor {tensor.name!r} has the shape {tensor.shape} and {len(data)} values.")
    return data


def _check(tensor: Tensor) -> None:
    if not tensor.shape or any(extent < 0 for extent in tensor.shape):
        raise InvalidInput(f"The tensor {tensor.name!r} has the shape {tensor.shape[:8]}.")


def _split(tensor: Tensor, signature: Signature) -> dict[str, list[Any]]:
    """The columns of one [rows, features] tensor, in the order of the signature."""
    data, width = _flat(tensor), tensor.shape[1]
    names = [column.name for column in signature.inputs]
    texts = [column.name for column in signature.inputs if column.type not in NUMERIC_TYPES]
    if texts or tensor.datatype not in NUMBERS:
        raise InvalidInput(
            f"The tensor {tensor.name!r} has {width} columns, but the model takes {(texts or names)[0]!r}, which is no "
            "number: one tensor of all features needs a model whose features are all numbers.",
            hint="Send one tensor per feature.",
        )
    if width != len(names):
        raise InvalidInput(
            f"The tensor {tensor.name!r} has {width} columns; the model takes {len(names)}.",
            hint=_takes(signature),
        )
    return {name: data[at::width] for at, name in enumerate(names)}


def _takes(signature: Signature) -> str:
    return f"The model takes {', '.join(repr(column.name) for column in signature.inputs[:40])}."


def encode(
    request: InferRequest,
    deployable: Deployable,
    outputs: Outputs,
    *,
    endpoint: str,
    version: str,
    request_id: str,
) -> bytes:
    """The answer's body. One row: the parameter `prediction_id`. More: the output `holdfast_prediction_id`."""
    count = len(outputs.label)
    tensors = [OutputTensor("label", label_datatype(deployable, outputs.label), [count], outputs.label)]
    if outputs.probabilities is not None:
        flat = [value for row in outputs.probabilities for value in row]
        tensors.append(OutputTensor("probabilities", "FP64", [count, len(outputs.probabilities[0])], flat))
    parameters: dict[str, Any] = {"request_id": request_id, "prediction_id": f"{request_id}.0"}
    if count > 1:
        del parameters["prediction_id"]
        ids = [f"{request_id}.{row}" for row in range(count)]
        tensors.append(OutputTensor(_ID, "BYTES", [count], ids))
    if request.outputs:
        tensors = _wanted(request.outputs, tensors)
    return _encoder.encode(InferAnswer(endpoint, version, tensors, parameters, request.id))


def _wanted(wanted: Sequence[WantedOutput], tensors: list[OutputTensor]) -> list[OutputTensor]:
    known = {tensor.name: tensor for tensor in tensors}
    for output in wanted:
        if output.name not in known and output.name != _ID:
            raise InvalidInput(
                f"The model has no output {output.name[:80]!r}.", hint=f"It has {', '.join(known)}."
            )
    return [known[output.name] for output in wanted if output.name in known]


def label_datatype(deployable: Deployable, labels: Sequence[Any]) -> str:
    """The datatype of the output `label`."""
    sample = deployable.classes[0] if deployable.classes else labels[0]
    if isinstance(sample, bool):
        return "BOOL"
    return {int: "INT64", float: "FP64"}.get(type(sample), "BYTES")


def model_metadata(endpoint: str, version: str, deployable: Deployable) -> dict[str, Any]:
    """The metadata of one endpoint."""
    classes = len(deployable.classes or ())
    outputs = [{"name": "label", "datatype": label_datatype(deployable, [0.0]), "shape": [-1]}]
    if classes:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, classes]})
    return {
        "name": endpoint,
        "versions": [version],
        "platform": "onnxruntime_onnx" if deployable.runtime == "onnx" else "holdfast_process",
        "inputs": [
            {"name": column.name, "datatype": _OF_TYPE[column.type], "shape": [-1]}
            for column in deployable.signature.inputs
        ],
        "outputs": outputs,
        "parameters": {"task": deployable.task, "classes": list(deployable.classes or ())},
    }


def server_metadata() -> dict[str, Any]:
    """The metadata of the server."""
    return {"name": "holdfast", "version": __version__, "extensions": []}

"""The Open Inference Protocol (V2, REST JSON) from the caller's side: columns to tensors and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from holdfast.client.records import Predictions
from holdfast.client.transport import Response
from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = ["infer_request", "read_predictions"]

_DATATYPES = {"double": "FP64", "long": "INT64", "string": "BYTES", "boolean": "BOOL", "datetime": "BYTES"}


def infer_request(
    signature: Mapping[str, Any],
    columns: Mapping[str, Sequence[Any]],
    *,
    keys: Sequence[str | None] | None = None,
    event_times: Sequence[int | None] | None = None,
) -> dict[str, Any]:
    """The request for rows given as columns: one tensor per input, null for missing, and keys and event
    times.

    Columns that are no input are left out; inputs without a column are refused with their names.
    """
    inputs = signature.get("inputs") or []
    missing = [item["name"] for item in inputs if item["name"] not in columns]
    if missing:
        given = ", ".join(columns) or "none"
        raise InvalidInput(
            f"The input {', '.join(map(repr, missing))} is missing.", hint=f"Given columns: {given}."
        )
    rows = len(next(iter(columns.values()), ()))
    tensors = [
        _tensor(item["name"], _DATATYPES[item["type"]], columns[item["name"]], rows) for item in inputs
    ]
    if keys is not None:
        tensors.append(_tensor("holdfast_key", "BYTES", keys, rows))
    if event_times is not None:
        tensors.append(_tensor("holdfast_event_time", "INT64", event_times, rows))
    return {"inputs": tensors}


def _tensor(name: str, datatype: str, values: Sequence[Any], rows: int) -> dict[str, Any]:
    if len(values) != rows:
        raise InvalidInput(f"{name!r} has {len(values)} values for {rows} rows.")
    return {"name": name, "datatype": datatype, "shape": [rows], "data": list(values)}


def read_predictions(response: Response) -> Predictions:
    """Labels, probabilities and prediction ids of an infer answer."""
    try:
        body = msgspec.json.decode(response.body, type=dict[str, Any])
        outputs = {output["name"]: output for output in body["outputs"]}
        label = outputs.get("label") or body["outputs"][0]
        request_id = response.headers.get("x-holdfast-request-id") or str(body["id"])
        probabilities = _rows(outputs["probabilities"]) if "probabilities" in outputs else None
    except (msgspec.DecodeError, KeyError, IndexError, TypeError) as error:
        raise HoldfastError(f"The inference server's answer could not be read: {error!r}.") from error
    ids = [f"{request_id}.{row}" for row in range(len(label["data"]))]
    return Predictions(ids, list(label["data"]), probabilities, str(body.get("model_version", "")))


def _rows(output: Mapping[str, Any]) -> list[list[float]]:
    """A two-dimensional tensor's data as rows, whether it came flat or nested."""
    data = output["data"]
    if data and isinstance(data[0], list):
        return [list(row) for row in data]
    width = int(output["shape"][-1])
    return [list(data[start : start + width]) for start in range(0, len(data), width)]

"""`/invocations` as MLflow's scoring server has it: four forms of input, labels as the answer."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.predictions.keys import read_keys
from holdfast.runtimes.records import Outputs, Signature
from holdfast.serving.inference.rows import Rows, decode_json, read_event_times

__all__ = ["decode", "encode"]

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Split(msgspec.Struct, frozen=True):
    """pandas' split orientation."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


class Invocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body: exactly one of the four forms, and `params` with arrays `key` and `event_time`."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    inputs: dict[str, Any] | list[Any] | None = None
    instances: list[Any] | dict[str, Any] | None = None
    params: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Invocation)
_encoder = msgspec.json.Encoder()


def decode(body: bytes, signature: Signature) -> Rows:
    """The rows of an invocation. Raises InvalidInput naming the form and what is wrong with it."""
    request: Invocation = decode_json(_decoder, body)
    given = [form for form in _FORMS if getattr(request, form) is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"The body has {' and '.join(given) or 'none'} of the forms of input.",
            hint=f"Send exactly one of {', '.join(_FORMS)}.",
        )
    columns, count = _columns(
        given[0], getattr(request, given[0]), [column.name for column in signature.inputs]
    )
    if count == 0:
        raise InvalidInput(f"{given[0]!r} has no rows.")
    params = request.params or {}
    keys = times = None
    if params.get("key") is not None:
        keys = read_keys(_each(params["key"], "params.key", count), "params.key")
    if params.get("event_time") is not None:
        times = read_event_times(_each(params["event_time"], "params.event_time", count))
    return Rows(columns, count, keys, times)


def _each(value: Any, name: str, count: int) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if len(values) != count:
        raise InvalidInput(f"{name!r} has {len(values)} values for {count} rows.")
    return values


def _columns(form: str, value: Any, names: list[str]) -> tuple[dict[str, list[Any]], int]:
    if isinstance(value, Split):
        return _table(form, value.columns, value.data)
    if isinstance(value, dict):
        columns = {name: item if isinstance(item, list) else [item] for name, item in value.items()}
        columns = {name: _unnest(item) for name, item in columns.items()}
        sizes = {len(item) for item in columns.values()}
        if len(sizes) > 1:
            raise InvalidInput(f"The columns of {form!r} have {min(sizes)} to {max(sizes)} values.")
        return columns, sizes.pop() if sizes else 0
    if value and all(isinstance(row, dict) for row in value):
        return _records(form, value)
    if value and all(not isinstance(row, (list, dict)) for row in value):
        value = [[item] for item in value] if len(names) == 1 else [value]
    for row, item in enumerate(value):
        if not isinstance(item, list):
            raise InvalidInput(f"{form!r}, row {row}: {item!r:.80} is no list of values.")
    return _table(form, names, value)


def _unnest(values: list[Any]) -> list[Any]:
    """[[1], [2]] as [1, 2]: a column given as a [rows, 1] array."""
    if values and all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    return values


def _table(form: str, names: list[str], rows: list[list[Any]]) -> tuple[dict[str, list[Any]], int]:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"{form!r} has the column {twice!r} twice.")
    for row, values in enumerate(rows):
        if len(values) != len(names):
            raise InvalidInput(f"{form!r}, row {row} has {len(values)} values for {len(names)} columns.")
    return {name: [values[at] for values in rows] for at, name in enumerate(names)}, len(rows)


def _records(form: str, records: list[dict[str, Any]]) -> tuple[dict[str, list[Any]], int]:
    names = list(records[0])
    for row, record in enumerate(records):
        if record.keys() != set(names):
            odd = sorted(set(names) ^ record.keys())[0]
            which = "lacks" if odd in names else "has"
            raise InvalidInput(f"{form!r}, row {row} {which} the column {odd!r}, unlike row 0.")
    return {name: [record[name] for record in records] for name in names}, len(records)


def encode(outputs: Outputs) -> bytes:
    """The answer's body."""
    return _encoder.encode({"predictions": outputs.label})

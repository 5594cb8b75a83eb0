"""Reading the JSON files of a model's folder; they come from clients and from sandboxes, so nothing is trusted."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from holdfast.chunks import check_path
from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.records import Deployable, ModelDescription, Signature

__all__ = ["DEPLOYABLE_FILE", "MODEL_FILE", "ONNX_FILE", "read_deployable", "read_model"]

MODEL_FILE = "holdfast-model.json"
DEPLOYABLE_FILE = "holdfast-deployable.json"
ONNX_FILE = "model.onnx"

_MOST_BYTES = 4_000_000
_MOST_INPUTS = 10_000
_RESERVED = ("holdfast_key", "holdfast_event_time")

T = TypeVar("T")


def read_model(data: bytes) -> ModelDescription:
    """The description in `holdfast-model.json`. Raises InvalidInput naming the file and what is wrong in it."""
    model = _decode(data, ModelDescription, MODEL_FILE)
    check_path(model.file)
    _check_signature(model.signature, MODEL_FILE)
    if model.task == "regression":
        return model
    if not model.classes or len(model.classes) < 2:
        raise InvalidInput(f"{MODEL_FILE}: a {model.task} model needs at least two classes.")
    if len(set(map(repr, model.classes))) != len(model.classes):
        raise InvalidInput(f"{MODEL_FILE}: a class stands twice in {list(model.classes)!r}.")
    if model.task == "binary" and len(model.classes) != 2:
        raise InvalidInput(f"{MODEL_FILE}: a binary model has 2 classes, not {len(model.classes)}.")
    if model.positive is not None and model.positive not in model.classes:
        raise InvalidInput(f"{MODEL_FILE}: the positive class {model.positive!r} is not one of the classes.")
    return model


def read_deployable(data: bytes) -> Deployable:
    """The record in `holdfast-deployable.json`. Raises InvalidInput naming the file and what is wrong in it."""
    deployable = _decode(data, Deployable, DEPLOYABLE_FILE)
    _check_signature(deployable.signature, DEPLOYABLE_FILE)
    return deployable


def _decode(data: bytes, record: type[T], name: str) -> T:
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"{name} has {len(data)} bytes; the limit is {_MOST_BYTES}.")
    try:
        return msgspec.json.decode(data, type=record)
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"{name} is not valid: {error}", hint="Log the model again with log_model."
        ) from None


def _check_signature(signature: Signature, file: str) -> None:
    names = [column.name for column in signature.inputs]
    if not names:
        raise InvalidInput(f"{file}: the signature has no inputs.")
    if len(names) > _MOST_INPUTS:
        raise InvalidInput(f"{file}: the signature has {len(names)} inputs; the limit is {_MOST_INPUTS}.")
    for name in names:
        if not name or name in _RESERVED or any(ord(char) < 32 for char in name):
            raise InvalidInput(f"{file}: {name!r} cannot be the name of an input.")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"{file}: the input {twice!r} stands twice in the signature.")

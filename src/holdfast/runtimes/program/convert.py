"""Converting the original to ONNX with skl2onnx, in the ways that a model may have been fitted."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

from .feed import TENSOR
from .frames import NUMBERS
from .mended import mended_converters
from .model import Model

__all__ = ["conversions", "open_session", "why_not_converted"]

_OPSET, _ML_OPSET = 18, 3  # read by every onnxruntime since 1.14


def conversions(model: Model) -> Iterator[tuple[str, Any]]:
    """Per way to declare the inputs: its name, and the ONNX model as bytes or the exception of the converter.

    `columns`: one input per column of its own type. `numbers`: the same with every number of one type, for
    transformers that take columns of several types together. `matrix`: one input with all columns, for
    estimators that were fitted on a matrix or select no column by name. Each in float64, then in float32, to
    which some operators are limited.
    """
    for name, types in _declarations(model):
        try:
            yield name, _convert(model, types)
        except Exception as error:  # a converter may raise anything on a model that it does not know
            yield name, error


def open_session(converted: bytes) -> Any:
    """The converted model in an onnxruntime session of one thread.

    Weights must be inside: a model may name files to read weights from, by a path relative to the working folder
    of the process that loads it, and answer with what it read there. They are looked up where there are none.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(converted, options, providers=["CPUExecutionProvider"])


def why_not_converted(error: Exception) -> str:
    """The converter's reason in a short sentence."""
    cause = error.__cause__ or error  # skl2onnx wraps some in a dump of all attributes
    said = " ".join(str(cause).split())
    unknown = re.search(
        r"Unable to find (?:a shape calculator|converter) for .*?<class '(?:[^']*\.)?(\w+)'>", said
    )
    if unknown is not None:
        return f"skl2onnx has no converter for {unknown[1]}"
    first = re.split(r"(?<=[.!?])\s", said, maxsplit=1)[0][:200].rstrip(" .")
    return f"skl2onnx refuses it ({first or type(cause).__name__})"


def _convert(model: Model, types: list[tuple[str, Any]]) -> bytes:
    import skl2onnx  # here, because it costs a second and a lean environment may lack it

    opsets = {"": min(_OPSET, skl2onnx.__max_supported_opset__), "ai.onnx.ml": _ML_OPSET}
    options = {id(model.estimator): {"zipmap": False}} if model.classes is not None else None
    with warnings.catch_warnings(), mended_converters():
        warnings.simplefilter("ignore")
        converted = skl2onnx.convert_sklearn(
            model.estimator, initial_types=types, options=options, target_opset=opsets
        )
    serialized: bytes = converted.SerializeToString()
    return serialized


def _declarations(model: Model) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    import skl2onnx.common.data_types as onnx_types

    used = set(model.types.values())
    if "datetime" in used:
        return
    doubles = [("float64", onnx_types.DoubleTensorType), ("float32", onnx_types.FloatTensorType)]
    own = {
        "long": onnx_types.Int64TensorType,
        "boolean": onnx_types.BooleanTensorType,
        "string": onnx_types.StringTensorType,
    }
    if model.names is not None or not used <= set(NUMBERS):
        for precision, double in doubles if "double" in used else doubles[:1]:
            kinds = {**own, "double": double}
            yield (
                f"columns, {precision}",
                [(name, kinds[kind]([None, 1])) for name, kind in model.types.items()],
            )
        for precision, double in doubles if {"long", "boolean"} & used else []:
            kinds = {"string": own["string"]}
            numbers = [(name, kinds.get(kind, double)([None, 1])) for name, kind in model.types.items()]
            yield f"numbers, {precision}", numbers
    if used <= set(NUMBERS):
        for precision, double in doubles:
            yield f"matrix, {precision}", [(TENSOR, double([None, len(model.types)]))]
    elif used == {"string"}:
        yield "matrix", [(TENSOR, own["string"]([None, len(model.types)]))]

"""The nouns of running a model: its description, signature, parity report, and the runtime that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

__all__ = [
    "Column",
    "Deployable",
    "InputType",
    "ModelDescription",
    "Output",
    "Outputs",
    "Parity",
    "Runtime",
    "RuntimeKind",
    "Scalar",
    "Signature",
    "TaskKind",
]

InputType = Literal["double", "long", "string", "boolean", "datetime"]
TaskKind = Literal["binary", "multiclass", "regression"]
RuntimeKind = Literal["onnx", "process"]
Scalar = str | int | float | bool


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature of a model: its name and the type of its values."""

    name: str
    type: InputType


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One output of a model; `shape` is [-1, n] for n values per row, empty for one value per row."""

    name: str
    type: InputType
    shape: tuple[int, ...] = ()


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model takes, in the order of its columns, and what it gives."""

    inputs: tuple[Column, ...]
    outputs: tuple[Output, ...]


class ModelDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`holdfast-model.json`: what `log_model` wrote down about a model.

    file: path of the pickle in the model's folder. python: the interpreter's version that fitted it.
    classes: labels in the order of the probabilities' columns, None for regression.
    positive: the class whose probability is the score of a binary task.
    """

    format: Literal[1]
    flavor: Literal["sklearn"]
    file: str
    python: str
    task: TaskKind
    target: str
    signature: Signature
    classes: tuple[Scalar, ...] | None = None
    positive: Scalar | None = None


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the converted model compares with the original on the reference rows.

    reason: why it is not served from ONNX; empty when it is.
    max_abs_difference: per output (`probabilities`, `label` of a regression); empty if nothing was compared.
    label_mismatches: rows whose labels differ and whose probabilities do not tie within the tolerance.
    never_missing: inputs for which the original refuses a missing value; ONNX would answer, so it is refused.
    """

    agrees: bool
    reason: str
    rows: int
    atol: float
    rtol: float
    max_abs_difference: dict[str, float]
    label_mismatches: int
    never_missing: tuple[str, ...] = ()


class Deployable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`holdfast-deployable.json`: how a version is served; part of what its deployable digest names."""

    format: Literal[1]
    runtime: RuntimeKind
    parity: Parity
    signature: Signature
    task: TaskKind
    classes: tuple[Scalar, ...] | None = None
    positive: Scalar | None = None


class Outputs(msgspec.Struct, frozen=True):
    """A model's answer for n rows: `label` (n values) and, for a classifier that has them, `probabilities`
    (n rows, one column per class in the order of `Deployable.classes`).
    """

    label: list[Scalar]
    probabilities: list[list[float]] | None


class Runtime(Protocol):
    """A loaded model that answers. Thread-safe."""

    @property
    def kind(self) -> RuntimeKind:
        """Where it runs: `onnx` in this process, `process` in a sandboxed one."""

    def predict(self, columns: Mapping[str, Sequence[object]]) -> Outputs:
        """The outputs for the rows of `columns`, which `validation.check_columns` has given.

        Raises InvalidInput for a row that the model refuses, Unavailable when it cannot answer now, HoldfastError
        when its answer can't be right.
        """

    def close(self) -> None:
        """Let go of the model. Idempotent."""

"""The JSON files of a model's folder: what is accepted and how a refusal reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.files import read_model

GOOD: dict[str, Any] = {
    "format": 1,
    "flavor": "sklearn",
    "file": "model.pkl",
    "python": "3.11.7",
    "task": "binary",
    "target": "late",
    "classes": [0, 1],
    "positive": 1,
    "signature": {
        "inputs": [{"name": "hour", "type": "long"}, {"name": "carrier", "type": "string"}],
        "outputs": [
            {"name": "label", "type": "long"},
            {"name": "probabilities", "type": "double", "shape": [-1, 2]},
        ],
    },
}


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode({**GOOD, **changes})


def test_reads_a_description() -> None:
    model = read_model(encoded())
    assert model.classes == (0, 1) and model.positive == 1
    assert [column.type for column in model.signature.inputs] == ["long", "string"]
    assert model.signature.outputs[1].shape == (-1, 2)


def test_a_regression_has_no_classes() -> None:
    assert read_model(encoded(task="regression", classes=None, positive=None)).classes is None


def inputs(*names: str) -> dict[str, Any]:
    return {"inputs": [{"name": name, "type": "double"} for name in names], "outputs": []}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format"),
        ({"flavor": "torch"}, "flavor"),
        ({"file": "../model.pkl"}, "'../model.pkl'"),
        ({"file": "/etc/passwd"}, "/etc/passwd"),
        ({"task": "ranking"}, "ranking"),
        ({"classes": None}, "at least two classes"),
        ({"classes": [1, 1]}, "stands twice"),
        ({"classes": [0, 1, 2]}, "2 classes, not 3"),
        ({"positive": "yes"}, "'yes' is not one of the classes"),
        ({"surprise": 1}, "surprise"),
        ({"signature": inputs()}, "no inputs"),
        ({"signature": inputs("a", "b", "a")}, "'a' stands twice"),
        ({"signature": inputs("holdfast_key")}, "holdfast_key"),
        ({"signature": inputs("a\n")}, "cannot be the name"),
    ],
)
def test_a_refusal_names_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_model(encoded(**changes))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"format":1}'])
def test_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"holdfast-model\.json is not valid"):
        read_model(data)

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from holdfast.client.logged_model import write_model
from holdfast.kernel.errors import InvalidInput

_RNG = np.random.default_rng(0)


def _frame(rows: int = 60) -> pd.DataFrame:
    frame = pd.DataFrame({"a": _RNG.normal(size=rows), "b": _RNG.integers(0, 9, rows)})
    return frame.assign(y=(frame.a > 0).astype(int))


def _fitted(frame: pd.DataFrame) -> LogisticRegression:
    return LogisticRegression().fit(frame[["a", "b"]], frame["y"])


def _description(files: dict[str, bytes]) -> dict[str, Any]:
    return json.loads(files["holdfast-model.json"])


def test_the_files_of_a_classifier() -> None:
    frame = _frame()
    files = write_model(_fitted(frame), reference=frame, target="y")
    assert set(files) == {"holdfast-model.json", "model.pkl", "requirements.txt", "reference.json.gz"}
    assert _description(files) == {
        "format": 1, "flavor": "sklearn", "file": "model.pkl", "python": sys.version.split()[0], "task": "binary",
        "target": "y", "classes": [0, 1], "positive": 1,
        "signature": {
            "inputs": [{"name": "a", "type": "double"}, {"name": "b", "type": "long"}],
            "outputs": [
                {"name": "label", "type": "long"}, {"name": "probabilities", "type": "double", "shape": [-1, 2]},
            ],
        },
    }  # fmt: skip
    table = json.loads(gzip.decompress(files["reference.json.gz"]))["columns"]
    assert list(table) == ["a", "b", "y"] and table["b"] == frame["b"].tolist()
    locked = files["requirements.txt"].decode().split()
    assert any(line.startswith("scikit-learn==") for line in locked)
    assert not any(line.startswith("holdfast") for line in locked)
    assert pickle.loads(files["model.pkl"]).predict(frame[["a", "b"]]).shape == (60,)


def test_text_classes_and_a_chosen_positive() -> None:
    frame = _frame().assign(y=lambda f: np.where(f.a > 0, "yes", "no"))
    model = LogisticRegression().fit(frame[["a", "b"]], frame["y"])
    found = _description(
        write_model(model, reference=pl.DataFrame(frame.to_dict("list")), target="y", positive="no")
    )
    assert (found["classes"], found["positive"], found["signature"]["outputs"][0]["type"]) == (
        ["no", "yes"], "no", "string",
    )  # fmt: skip


def test_three_classes_and_a_regression() -> None:
    frame = _frame().assign(y=lambda f: f.b % 3)
    model = LogisticRegression(max_iter=1000).fit(frame[["a", "b"]], frame["y"])
    found = _description(write_model(model, reference=frame, target="y"))
    assert (found["task"], found["positive"], found["classes"]) == ("multiclass", None, [0, 1, 2])
    straight = LinearRegression().fit(frame[["a", "b"]], frame["a"] * 2)
    found = _description(write_model(straight, reference=frame.assign(y=frame["a"] * 2), target="y"))
    assert (found["task"], found["classes"]) == ("regression", None)
    assert found["signature"]["outputs"] == [{"name": "label", "type": "double"}]


def test_columns_that_the_model_was_not_fitted_with_stay_out() -> None:
    frame = _frame().assign(key="k")
    found = _description(write_model(_fitted(frame), reference=frame, target="y"))
    assert [item["name"] for item in found["signature"]["inputs"]] == ["a", "b"]


def test_categories_are_text() -> None:
    frame = _frame().assign(c=lambda f: pd.Categorical(np.where(f.b > 4, "high", "low")))
    model = DummyClassifier().fit(frame[["a", "c"]], frame["y"])
    found = _description(write_model(model, reference=frame[["a", "c", "y"]], target="y"))
    assert found["signature"]["inputs"][1] == {"name": "c", "type": "string"}


def test_a_model_without_tables_takes_columns() -> None:
    frame = _frame()
    model = LogisticRegression().fit(frame[["a", "b"]].to_numpy(), frame["y"])
    table = {name: frame[name].tolist() for name in frame.columns}
    assert _description(write_model(model, reference=table, target="y"))["task"] == "binary"


class _Predicts:
    def predict(self, rows: Any) -> list[int]:
        return [1] * len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": object()}, "object has no predict method"),
        ({"target": "z"}, "no column 'z'"),
        ({"reference": _frame().head(0)}, "no rows"),
        ({"reference": _frame()[["a", "y"]]}, "lacks the column 'b'"),
        ({"reference": _frame().assign(y=7)}, "holds 7"),
        ({"reference": _frame().assign(a="x")}, "fails on its own reference"),
        ({"positive": 2}, "positive class 2"),
        ({"task": "regresion"}, "'regresion'"),
        ({"task": "multiclass"}, "'multiclass' does not fit a model of 2 classes"),
        ({"model": _Predicts()}, "classifies or regresses"),
        ({"model": _Predicts(), "task": "binary"}, "classes_"),
        ({"reference": 3}, "int is not a table"),
    ],
)
def test_what_cannot_be_served_is_refused(change: dict[str, Any], message: str) -> None:
    frame = _frame()
    arguments = {"model": _fitted(frame), "reference": frame, "target": "y", **change}
    model = arguments.pop("model")
    with pytest.raises(InvalidInput, match=message):
        write_model(model, **arguments)


def test_a_class_of_the_script_travels_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Doubler:\n    def predict(self, rows):\n        return [2.0 for _ in rows]\n"
    )
    (tmp_path / "train.py").write_text(
        "import sys, own\n"
        "from holdfast.client.logged_model import write_model\n"
        "files = write_model(own.Doubler(), reference={'a': [1.0]}, task='regression')\n"
        "open(sys.argv[1], 'wb').write(files['model.pkl'])\n"
    )
    pickled = tmp_path / "model.pkl"
    subprocess.run([sys.executable, tmp_path / "train.py", pickled], check=True)
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).predict([1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, pickled], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[2.0]"

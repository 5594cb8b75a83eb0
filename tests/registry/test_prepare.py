"""Preparing a version: real models as `log_model` writes them, and models that mean harm."""

from __future__ import annotations

import gzip
import json
import pickle
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from holdfast.client.logged_model import write_model
from holdfast.jobs.local import LocalExecutor
from holdfast.jobs.records import Limits
from holdfast.registry.prepare import Prepared, prepare_version
from holdfast.runtimes.files import read_deployable
from holdfast.runtimes.load import load_runtime

Prepare = Callable[..., Prepared]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "serving.key").write_text("secret key")
    return folder


@pytest.fixture
def executor(data: Path) -> LocalExecutor:
    return LocalExecutor(hidden=[data])


@pytest.fixture
def prepare(tmp_path: Path, data: Path, executor: LocalExecutor) -> Prepare:
    """Prepares files given as bytes, as the worker does: stored in the data folder, laid out in a work folder."""

    def prepare(files: Mapping[str, bytes], **options: Any) -> Prepared:
        stored = {path: data / f"object-{number}" for number, path in enumerate(files)}
        for path, content in files.items():
            stored[path].write_bytes(content)
        work = tmp_path / "work"
        work.mkdir()
        return prepare_version(stored, work, executor, data / "environments", **options)

    return prepare


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"hour": random.integers(5, 23, 300), "carrier": random.choice(["UA", "B6"], 300)})
    frame["wind"] = random.normal(10, 4, 300)
    frame["late"] = (0.3 * (frame["hour"] - 14) + random.logistic(0, 1, 300) > 0).astype(int)
    return frame


def fitted(table: pd.DataFrame, estimator: Any) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encode = ColumnTransformer([("t", encoder, ["carrier"])], remainder="passthrough")
    return make_pipeline(encode, estimator).fit(table[["hour", "carrier", "wind"]], table["late"])


@pytest.mark.parametrize(
    ("estimator", "runtime"),
    [
        (GradientBoostingClassifier(n_estimators=20), "onnx"),
        (HistGradientBoostingClassifier(max_iter=20), "process"),
    ],
)
def test_a_version_is_prepared_loaded_and_asked(
    estimator: Any,
    runtime: str,
    table: pd.DataFrame,
    prepare: Prepare,
    executor: LocalExecutor,
    tmp_path: Path,
) -> None:
    model = fitted(table, estimator)
    files = write_model(model, reference=table, target="late")
    prepared = prepare(files)
    assert (prepared.status, prepared.runtime) == ("ready", runtime), prepared.message
    assert prepared.parity is not None and prepared.parity.agrees == (prepared.message == "")

    folder = tmp_path / "deployable"
    folder.mkdir()
    added = {path: file.read_bytes() for path, file in prepared.deployable_files.items()}
    for path, content in {**files, **added}.items():
        (folder / path).write_bytes(content)
    deployable = read_deployable(added["holdfast-deployable.json"])
    loaded = load_runtime(folder, deployable, executor, environments=tmp_path / "environments")
    outputs = loaded.predict({"hour": [8, 21], "carrier": ["UA", "XX"], "wind": [3.0, 17.0]})
    loaded.close()
    rows = pd.DataFrame({"hour": [8, 21], "carrier": ["UA", "XX"], "wind": [3.0, 17.0]})
    assert outputs.label == model.predict(rows).tolist()
    assert outputs.probabilities is not None
    assert np.allclose(outputs.probabilities, model.predict_proba(rows), atol=1e-5)

    with gzip.open(prepared.beside_files["reference-scored.json.gz"], "rt") as file:
        scored = json.load(file)["columns"]
    assert scored["prediction"] == model.predict(table[["hour", "carrier", "wind"]]).tolist()
    assert scored["late"] == table["late"].tolist()


class Unpickles:
    """Runs a line of Python when it is unpickled."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)


def hostile(table: pd.DataFrame, code: str) -> dict[str, bytes]:
    files = write_model(
        fitted(table, GradientBoostingClassifier(n_estimators=2)), reference=table, target="late"
    )
    return {**files, "model.pkl": pickle.dumps(Unpickles(code))}


def test_a_model_cannot_read_the_data_folder(table: pd.DataFrame, prepare: Prepare, data: Path) -> None:
    code = f"import os; raise SystemError(os.listdir({str(data)!r}), os.path.exists({str(data / 'keys')!r}))"
    prepared = prepare(hostile(table, code))
    assert prepared.status == "failed" and "SystemError: ([], False)" in prepared.message


def test_a_model_cannot_reach_the_network(table: pd.DataFrame, prepare: Prepare) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        prepared = prepare(
            hostile(table, f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        )
        server.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert prepared.status == "failed" and "ConnectionRefusedError" in prepared.message


def test_a_model_cannot_change_its_own_files(
    table: pd.DataFrame, prepare: Prepare, data: Path, tmp_path: Path
) -> None:
    code = f"open({str(tmp_path / 'work' / 'model' / 'model.pkl')!r}, 'wb').write(b'x')"
    files = hostile(table, code)
    prepared = prepare(files)
    assert prepared.status == "failed" and "Read-only file system" in prepared.message
    assert files["model.pkl"] in [path.read_bytes() for path in data.glob("object-*")]


@pytest.mark.parametrize(
    ("code", "limits", "said"),
    [
        ("import time; time.sleep(600)", Limits(wall_s=3), "took too long"),
        (
            "import os\nfor _ in range(300):\n    os.fork() or __import__('time').sleep(600)",
            Limits(wall_s=60, processes=32),
            "more processes",
        ),
        ("x = bytearray(1 << 30)", Limits(wall_s=60, memory_bytes=400 * 1024**2), "MemoryError"),
        ("import os; os._exit(0)", Limits(wall_s=60), "no prepared.json"),
        ("import os; os.abort()", Limits(wall_s=60), "exit code 134"),
    ],
)
def test_a_model_that_takes_too_much_or_dies_is_contained(
    table: pd.DataFrame, prepare: Prepare, code: str, limits: Limits, said: str
) -> None:
    prepared = prepare(hostile(table, code), limits=limits)
    assert prepared.status == "failed" and said in prepared.message


@pytest.mark.parametrize("name", ["prepared.json", "model.onnx", "reference-scored.json.gz", "failed.json"])
def test_a_link_out_of_the_sandbox_is_not_followed(
    table: pd.DataFrame, prepare: Prepare, data: Path, name: str
) -> None:
    facts = {
        "classes": [0, 1],
        "gives_probabilities": True,
        "parity": {
            "agrees": True,
            "reason": "",
            "rows": 1,
            "atol": 1e-5,
            "rtol": 1e-5,
            "max_abs_difference": {},
            "label_mismatches": 0,
        },
    }
    code = f"""
import os
open("prepared.json", "w").write({json.dumps(facts)!r})
open("model.onnx", "w").write("x")
if os.path.exists({name!r}):
    os.remove({name!r})
os.symlink({str(data / "keys" / "serving.key")!r}, {name!r})
os._exit(0)
"""
    prepared = prepare(hostile(table, code))
    assert prepared.status == "failed" and "not a regular file" in prepared.message
    assert prepared.deployable_files == {} and prepared.beside_files == {}


def test_a_model_of_a_missing_module_says_what_to_do(table: pd.DataFrame, prepare: Prepare) -> None:
    files = {**hostile(table, ""), "model.pkl": b"cno_such_module\nThing\n."}
    prepared = prepare(files)
    assert prepared.status == "failed" and prepared.runtime is None
    first, hint, *_ = prepared.message.splitlines()
    assert first == "The model does not load: ModuleNotFoundError: No module named 'no_such_module'"
    assert "environment lock" in hint and "Traceback" in prepared.message


def test_a_model_that_refuses_its_reference_is_quoted(table: pd.DataFrame, prepare: Prepare) -> None:
    files = write_model(fitted(table, GradientBoostingClassifier()), reference=table, target="late")
    columns = json.loads(gzip.decompress(files["reference.json.gz"]))["columns"]
    columns["wind"] = [1e300] * len(columns["wind"])  # beyond what the trees' float32 can hold
    broken = gzip.compress(json.dumps({"columns": columns}).encode())
    prepared = prepare({**files, "reference.json.gz": broken})
    first = prepared.message.splitlines()[0]
    assert prepared.status == "failed"
    assert first.startswith(
        "The model does not score the reference rows: ValueError: Input X contains infinity"
    )


def odd_classifier(label: Any = 0, probability: float = 0.75) -> Any:
    """A classifier of the classes 0 and 1 whose answers are wrong where the wind is above 10, and its pickle."""

    class Odd:
        def __init__(self) -> None:
            self.classes_ = np.array([0, 1])
            self.feature_names_in_ = ["hour", "carrier", "wind"]

        def predict(self, frame: Any) -> Any:
            return np.where(frame["wind"] > 10, label, 1)

        def predict_proba(self, frame: Any) -> Any:
            first = np.where(frame["wind"] > 10, probability, 0.75)
            return np.stack([first, np.full(len(frame), 0.25)], axis=1)

    return Odd()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": 7}, "predict gives 7 in {} of 300 rows (rows {}, "),
        ({"probability": float("nan")}, "predict_proba gives NaN or an infinite number in {} of 300 rows (rows {}, "),
        ({"probability": 0.5}, "the probabilities do not sum to 1 in {} of 300 rows (rows {}, "),
    ],
)  # fmt: skip
def test_a_model_whose_answers_cannot_be_right_fails(
    table: pd.DataFrame, prepare: Prepare, changes: dict[str, Any], said: str
) -> None:
    files = write_model(fitted(table, GradientBoostingClassifier()), reference=table, target="late")
    prepared = prepare({**files, "model.pkl": cloudpickle.dumps(odd_classifier(**changes))})
    assert prepared.status == "failed" and prepared.runtime is None
    sentence, hint = prepared.message.splitlines()
    windy = np.flatnonzero(table["wind"] > 10)
    assert sentence.startswith("The model does not answer its reference rows as a classifier does: ")
    assert said.format(len(windy), windy[0]) in sentence
    assert "log it again" in hint


def test_a_reference_without_a_column_says_so(table: pd.DataFrame, prepare: Prepare) -> None:
    files = write_model(fitted(table, GradientBoostingClassifier()), reference=table, target="late")
    reference = {"columns": {"hour": [1], "carrier": ["UA"], "late": [0]}}
    prepared = prepare({**files, "reference.json.gz": gzip.compress(json.dumps(reference).encode())})
    assert prepared.status == "failed" and "lacks the columns ['wind']" in prepared.message


def test_without_a_reference_the_original_serves(table: pd.DataFrame, prepare: Prepare) -> None:
    files = write_model(fitted(table, GradientBoostingClassifier()), reference=table, target="late")
    del files["reference.json.gz"]
    prepared = prepare(files)
    assert (prepared.status, prepared.runtime) == ("ready", "process")
    assert "no reference rows" in prepared.message and prepared.beside_files == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("holdfast-model.json", b"{", "not valid"),
        ("holdfast-model.json", b"x" * 5_000_000, "the limit is"),
        ("requirements.txt", b"numpy>=1", "not name==version"),
        (
            "requirements.txt",
            b"no-such-distribution-of-holdfast==9.9",
            "no-such-distribution-of-holdfast==9.9",
        ),
        ("model.pkl", b"", "EOFError"),
        ("model.pkl", pickle.dumps(object()), "predict"),
        ("reference.json.gz", b"not gzip", "score the reference rows"),
    ],
    ids=["syntax", "size", "range", "no such package", "empty pickle", "no predict", "no gzip"],
)
def test_a_broken_file_is_named(
    table: pd.DataFrame,
    prepare: Prepare,
    name: str,
    content: bytes,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    files = write_model(
        fitted(table, GradientBoostingClassifier(n_estimators=2)), reference=table, target="late"
    )
    prepared = prepare({**files, name: content})
    assert prepared.status == "failed" and said in prepared.message


def test_no_description_is_no_model(prepare: Prepare) -> None:
    assert "no holdfast-model.json" in prepare({"model.pkl": b"x"}).message


def test_the_other_python_is_named_when_it_is_not_here(table: pd.DataFrame, prepare: Prepare) -> None:
    files = write_model(
        fitted(table, GradientBoostingClassifier(n_estimators=2)), reference=table, target="late"
    )
    description = {**json.loads(files["holdfast-model.json"]), "python": "3.2.1"}
    prepared = prepare({**files, "holdfast-model.json": json.dumps(description).encode()})
    assert prepared.status == "failed" and "fitted with Python 3.2" in prepared.message
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in prepared.message

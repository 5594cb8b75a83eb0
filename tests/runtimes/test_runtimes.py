"""The two runtimes behind one interface, against the original; and a process that misbehaves."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnx.helper
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from holdfast.jobs.local import LocalExecutor
from holdfast.jobs.records import Limits
from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable
from holdfast.runtimes.files import DEPLOYABLE_FILE, read_deployable, read_model
from holdfast.runtimes.load import load_runtime
from holdfast.runtimes.onnx_runtime import OnnxRuntime
from holdfast.runtimes.process_runtime import ProcessRuntime
from holdfast.runtimes.program import prepare
from holdfast.runtimes.records import Deployable, Outputs, Parity, Runtime

FEATURES = ["distance", "wind", "hour", "carrier"]


def odd_model() -> Any:
    """A model that does as the column `wind` says: 1 ends its process, 2 hangs, 3 raises, 4 eats memory, 5 gives a
    label that is no class, 6 a probability that is NaN, 7 answers past the program that runs it.

    Of a class inside a function, so that it is pickled with its code.
    """

    class Odd:
        def __init__(self) -> None:
            self.classes_ = np.array([0, 1])
            self.feature_names_in_ = ["distance", "wind", "hour"]

        def predict(self, frame: Any) -> Any:
            import os
            import sys
            import time

            wind = float(frame["wind"].iloc[0])
            sys.stdout.write("model says\n")
            os.write(1, b'{"id": 1, "label": [7]}\n')
            if wind == 1:
                sys.stderr.write("a native library gave up\n")
                sys.stderr.flush()
                os._exit(9)
            if wind == 2:
                time.sleep(600)
            if wind == 3:
                raise ValueError(f"no wind of {wind}")
            if wind == 4:
                bytearray(1_000_000_000)
            if wind == 7:
                for descriptor in range(3, 12):
                    try:
                        os.write(descriptor, b'{"id": 1, "label": [7], "probabilities": [[0.5, 0.5]]}\n')
                    except OSError:
                        continue
            return np.full(len(frame), 7 if wind == 5 else 0)

        def predict_proba(self, frame: Any) -> Any:
            wind = float(frame["wind"].iloc[0])
            return np.tile([0.75, float("nan") if wind == 6 else 0.25], (len(frame), 1))

    return Odd()


def deployable_of(folder: Path, runtime: Any = "process") -> Deployable:
    """The deployable that preparing the folder would give, for a model that stays with the original."""
    model = read_model((folder / "holdfast-model.json").read_bytes())
    parity = Parity(runtime == "onnx", "", 0, 1e-5, 1e-5, {}, 0)
    return Deployable(1, runtime, parity, model.signature, model.task, model.classes, model.positive)


def converted(folder: Path, out: Path) -> Deployable:
    """The deployable of a folder that converts; puts `model.onnx` into the folder."""
    out.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert prepare.main([folder, out]) == 0
    (out / "model.onnx").rename(folder / "model.onnx")
    facts = json.loads((out / "prepared.json").read_text())
    parity = msgspec.convert(facts["parity"], Parity)
    return msgspec.structs.replace(deployable_of(folder, "onnx"), parity=parity)


def columns_of(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): frame[name].tolist() for name in frame}


@pytest.fixture
def fitted(flights: pd.DataFrame) -> Any:
    encode = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["distance", "wind", "hour"]),
            ("t", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
        ]
    )
    return make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(flights[FEATURES], flights["late"])


@pytest.mark.parametrize("kind", ["onnx", "process"])
def test_answers_as_the_original(
    kind: str,
    fitted: Any,
    flights: pd.DataFrame,
    write_model: Callable[..., Path],
    executor: LocalExecutor,
    tmp_path: Path,
) -> None:
    folder = write_model(fitted, flights[FEATURES], flights["late"])
    deployable = converted(folder, tmp_path / "out") if kind == "onnx" else deployable_of(folder)
    (folder / DEPLOYABLE_FILE).write_bytes(msgspec.json.encode(deployable))
    read = read_deployable((folder / DEPLOYABLE_FILE).read_bytes())
    runtime = load_runtime(folder, read, executor, environments=tmp_path / "environments")
    try:
        assert runtime.kind == kind
        _check_answers(runtime, fitted, flights)
    finally:
        runtime.close()


def _check_answers(runtime: Runtime, original: Any, flights: pd.DataFrame) -> None:
    rows = flights[FEATURES].head(50).copy()
    rows.loc[0, "wind"] = math.nan
    rows.loc[1, "carrier"] = "unknown"
    outputs = runtime.predict(columns_of(rows))
    assert outputs.label == original.predict(rows).tolist()
    assert outputs.probabilities is not None
    expected = original.predict_proba(rows)
    assert abs(pd.DataFrame(outputs.probabilities).to_numpy() - expected).max() < 1e-5
    one = {name: values[:1] for name, values in columns_of(rows).items()}
    assert runtime.predict(one).label == outputs.label[:1]
    assert runtime.predict({name: [] for name in FEATURES}) == Outputs([], [])
    if isinstance(runtime, OnnxRuntime):
        _check_rows(runtime, columns_of(rows))


def _check_rows(runtime: OnnxRuntime, columns: dict[str, list[Any]]) -> None:
    """Rows together, and each alone after the other, are answered as columns are."""
    columns["carrier"][2] = None
    rows = list(zip(*columns.values(), strict=True))
    together = runtime.predict_rows(rows)
    assert together == runtime.predict(columns)
    for row, label, probabilities in zip(rows, together.label, together.probabilities or [], strict=True):
        alone = runtime.predict_rows([row])
        assert (alone.label, alone.probabilities) == ([label], [pytest.approx(probabilities, abs=1e-6)])


@pytest.mark.parametrize("classes", [("no", "yes"), (False, True), (0.0, 1.0)])
def test_onnx_gives_the_classes_as_they_are(
    classes: tuple[Any, Any], flights: pd.DataFrame, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    target = flights["late"].map(dict(enumerate(classes))).rename("late")
    model = LogisticRegression(max_iter=1000).fit(flights[["wind", "hour"]], target)
    folder = write_model(model, flights[["wind", "hour"]], target)
    deployable = converted(folder, tmp_path / "out")
    runtime = OnnxRuntime((folder / "model.onnx").read_bytes(), deployable)
    label = runtime.predict({"wind": [3.0, 18.0], "hour": [5, 22]}).label
    assert label == list(classes) and [type(each) for each in label] == [type(each) for each in classes]


def test_onnx_refuses_what_the_original_refuses(
    flights: pd.DataFrame, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    model = LogisticRegression(max_iter=1000).fit(flights[["wind", "hour"]], flights["late"])
    folder = write_model(model, flights[["wind", "hour"]], flights["late"])
    deployable = converted(folder, tmp_path / "out")
    runtime = OnnxRuntime((folder / "model.onnx").read_bytes(), deployable)
    with pytest.raises(InvalidInput, match="'wind' may not be missing; row 1"):
        runtime.predict({"wind": [3.0, math.nan], "hour": [5, 22]})


def test_onnx_that_is_not_onnx_is_refused(flights: pd.DataFrame, write_model: Callable[..., Path]) -> None:
    model = LogisticRegression(max_iter=1000).fit(flights[["wind"]], flights["late"])
    folder = write_model(model, flights[["wind"]], flights["late"])
    with pytest.raises(InvalidInput, match="does not load the converted model"):
        OnnxRuntime(b"not onnx at all", deployable_of(folder, "onnx"))


@pytest.mark.parametrize("location", ["secret", "../folder/secret", "{folder}/secret"])
def test_onnx_that_reads_weights_from_another_file_is_refused(
    location: str,
    flights: pd.DataFrame,
    write_model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "secret").write_bytes(b"key!")
    monkeypatch.chdir(tmp_path / "folder")
    weights = onnx.TensorProto(
        name="w", data_type=onnx.TensorProto.UINT8, dims=[4], data_location=onnx.TensorProto.EXTERNAL
    )
    weights.external_data.add(key="location", value=location.format(folder=tmp_path / "folder"))
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.UINT8, [4])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["w"], ["y"])], "g", [], [output], initializer=[weights]
    )
    spying = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    model = LogisticRegression(max_iter=1000).fit(flights[["wind"]], flights["late"])
    folder = write_model(model, flights[["wind"]], flights["late"])
    with pytest.raises(InvalidInput, match="does not load the converted model"):
        OnnxRuntime(spying.SerializeToString(), deployable_of(folder, "onnx"))


def test_a_deployable_without_its_model_is_refused(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor, tmp_path: Path
) -> None:
    model = LogisticRegression(max_iter=1000).fit(flights[["wind"]], flights["late"])
    folder = write_model(model, flights[["wind"]], flights["late"])
    with pytest.raises(InvalidInput, match=r"no readable model\.onnx"):
        load_runtime(folder, deployable_of(folder, "onnx"), executor, environments=tmp_path)


def test_a_regression_gives_labels_alone(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor
) -> None:
    model = LinearRegression().fit(flights[["wind", "hour"]], flights["delay"])
    folder = write_model(model, flights[["wind", "hour"]], flights["delay"], task="regression")
    runtime = ProcessRuntime(folder, deployable_of(folder), executor, Path(sys.executable))
    outputs = runtime.predict({"wind": [10.0], "hour": [14]})
    runtime.close()
    assert outputs.probabilities is None
    assert outputs.label == model.predict(pd.DataFrame({"wind": [10.0], "hour": [14]})).tolist()


class TestProcess:
    """A model that crashes, hangs, raises and prints."""

    @pytest.fixture
    def runtime(
        self, flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor
    ) -> Iterator[ProcessRuntime]:
        folder = write_model(odd_model(), flights[["distance", "wind", "hour"]], flights["late"])
        limits = Limits(wall_s=None, memory_bytes=800 * 1024**2)
        runtime = ProcessRuntime(
            folder, deployable_of(folder), executor, Path(sys.executable), deadline_s=3.0, limits=limits
        )
        yield runtime
        runtime.close()

    @staticmethod
    def ask(runtime: ProcessRuntime, wind: float = 0.0, rows: int = 1) -> Outputs:
        return runtime.predict({"distance": [1.0] * rows, "wind": [wind] * rows, "hour": [8] * rows})

    def test_what_it_prints_does_not_reach_the_answers(self, runtime: ProcessRuntime) -> None:
        for _ in range(3):
            assert self.ask(runtime, rows=2) == Outputs([0, 0], [[0.75, 0.25], [0.75, 0.25]])

    def test_after_a_crash_the_next_request_works(self, runtime: ProcessRuntime) -> None:
        with pytest.raises(Unavailable, match=r"exit code 9.*while it predicted.*a native library gave up"):
            self.ask(runtime, wind=1)
        assert self.ask(runtime).label == [0]

    def test_a_hang_ends_at_the_deadline_and_the_next_request_works(self, runtime: ProcessRuntime) -> None:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer within 3 s"):
            self.ask(runtime, wind=2)
        assert time.monotonic() - started < 6
        assert self.ask(runtime).label == [0]

    def test_the_models_own_error_is_told_and_it_goes_on(self, runtime: ProcessRuntime) -> None:
        with pytest.raises(InvalidInput, match=r"ValueError: no wind of 3\.0"):
            self.ask(runtime, wind=3)
        with pytest.raises(InvalidInput, match="MemoryError"):
            self.ask(runtime, wind=4)
        assert self.ask(runtime).label == [0]

    @pytest.mark.parametrize(
        ("wind", "said"),
        [
            (5, r"can't be right: predict gives 7 in row 0, which is not among the classes 0, 1"),
            (6, r"can't be right: predict_proba gives NaN or an infinite number in row 0"),
            (7, r"can't be right: it gives the label 7, which is not among its classes"),
        ],
    )
    def test_an_answer_that_cannot_be_right_is_an_error(
        self, runtime: ProcessRuntime, wind: float, said: str
    ) -> None:
        with pytest.raises(HoldfastError, match=said) as told:
            self.ask(runtime, wind=wind)
        assert told.value.status == 500

    def test_threads_get_their_own_answers(self, runtime: ProcessRuntime) -> None:
        lengths: list[int] = []

        def ask(rows: int) -> None:
            lengths.append(len(self.ask(runtime, rows=rows).label) - rows)

        threads = [threading.Thread(target=ask, args=(rows,)) for rows in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert lengths == [0] * 8

    def test_closing_ends_a_request_in_flight(self, runtime: ProcessRuntime) -> None:
        caught: list[BaseException] = []

        def hang() -> None:
            try:
                self.ask(runtime, wind=2)
            except Unavailable as error:
                caught.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        runtime.close()
        thread.join(10)
        assert len(caught) == 1 and not thread.is_alive()
        with pytest.raises(Unavailable):
            self.ask(runtime)

    def test_large_requests_and_answers_pass(self, runtime: ProcessRuntime) -> None:
        assert len(self.ask(runtime, rows=50_000).label) == 50_000


def test_a_model_that_does_not_load_is_told(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor
) -> None:
    folder = write_model(
        None, flights[["wind"]], flights["late"], dump=lambda _: b"cno_such_module\nThing\n."
    )
    with pytest.raises(InvalidInput, match="No module named 'no_such_module'") as refused:
        ProcessRuntime(folder, deployable_of(folder), executor, Path(sys.executable))
    assert "Traceback" in refused.value.details["traceback"]


def test_a_forest_fitted_with_all_cores_uses_one(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor
) -> None:
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, n_jobs=-1))
    folder = write_model(model.fit(flights[["wind"]], flights["late"]), flights[["wind"]], flights["late"])
    runtime = ProcessRuntime(folder, deployable_of(folder), executor, Path(sys.executable))
    assert runtime.predict({"wind": [3.0]}).label == model.predict(pd.DataFrame({"wind": [3.0]})).tolist()
    runtime.close()


def test_hist_gradient_boosting_takes_missing_values_and_unseen_rows(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor
) -> None:
    features = flights[["wind", "hour"]]
    model = HistGradientBoostingClassifier(max_iter=5).fit(features, flights["kind"])
    folder = write_model(model, features, flights["kind"], task="multiclass")
    runtime = ProcessRuntime(folder, deployable_of(folder), executor, Path(sys.executable))
    outputs = runtime.predict({"wind": [math.nan, 1e300], "hour": [8, -5]})
    runtime.close()
    assert outputs.probabilities is not None and len(outputs.probabilities[0]) == 3
    assert set(outputs.label) <= {"bad", "fair", "good"}

"""The program on real scikit-learn models: which are served from ONNX, which stay with the original, and why."""

from __future__ import annotations

import gzip
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from holdfast.runtimes.program import parity, prepare
from holdfast.runtimes.program.model import Answer

NUMBERS, TEXTS = ["distance", "wind", "hour"], ["carrier", "origin"]
ALL = [*NUMBERS, *TEXTS, "holiday"]


def one_hot(unknown: str = "ignore") -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("n", numbers, NUMBERS), ("t", OneHotEncoder(handle_unknown=unknown), TEXTS)], sparse_threshold=0
    )


def ordinal(**rest: Any) -> ColumnTransformer:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("t", encoder, TEXTS), ("n", SimpleImputer(), NUMBERS)], **rest)


def filled_text() -> ColumnTransformer:
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return ColumnTransformer([("n", SimpleImputer(), NUMBERS), ("t", text, TEXTS)], sparse_threshold=0)


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=5000)


@pytest.fixture
def run(write_model: Callable[..., Path], tmp_path: Path, flights: pd.DataFrame) -> Callable[..., Any]:
    """Fits the model on columns of the flights, prepares it, gives what `prepared.json` says."""

    def run(
        model: Any,
        columns: list[str],
        target: str = "late",
        *,
        missing: tuple[str, ...] = (),
        matrix: bool = False,
    ) -> Any:
        features, labels = flights[columns].copy(), flights[target]
        for offset, name in enumerate(missing):
            features.loc[offset::7, name] = None if features[name].dtype.kind == "O" else np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(features.to_numpy(dtype=float) if matrix else features, labels)
        task = {"late": "binary", "kind": "multiclass", "delay": "regression"}[target]
        folder, out = write_model(model, features, labels, task=task), tmp_path / "out"
        out.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert prepare.main([folder, out]) == 0, (out / "failed.json").read_text()
        return json.loads((out / "prepared.json").read_text())

    return run


CONVERTED: dict[str, tuple[Any, ...]] = {
    "one-hot and logistic": (lambda: make_pipeline(one_hot(), logistic()), ALL),
    "missing numbers": (lambda: make_pipeline(one_hot(), logistic()), ALL, "late", ("distance", "wind")),
    "missing text filled": (lambda: make_pipeline(filled_text(), logistic()), ALL, "late", ("carrier",)),
    "ordinal and boosting": (
        lambda: make_pipeline(ordinal(), GradientBoostingClassifier(n_estimators=30)),
        ALL,
        "late",
        ("wind",),
    ),
    "boolean passed through": (
        lambda: make_pipeline(ordinal(remainder="passthrough"), GradientBoostingClassifier(n_estimators=10)),
        ALL,
    ),
    "scaled forest": (lambda: make_pipeline(one_hot(), RandomForestClassifier(20)), ALL),
    "forest of classes of text": (
        lambda: make_pipeline(one_hot(), RandomForestClassifier(20)),
        ALL,
        "kind",
    ),
    "boosting of three classes": (
        lambda: make_pipeline(ordinal(), GradientBoostingClassifier(n_estimators=10)),
        ALL,
        "kind",
    ),
    "forest that takes missing values": (
        lambda: RandomForestClassifier(20),
        NUMBERS,
        "late",
        ("distance", "wind"),
    ),
    "forest that has seen none": (lambda: RandomForestClassifier(20), NUMBERS),
    "extra trees": (lambda: ExtraTreesClassifier(20), NUMBERS),
    "tree": (lambda: DecisionTreeClassifier(), NUMBERS, "late", ("wind",)),
    "boosted regression": (
        lambda: make_pipeline(ordinal(), GradientBoostingRegressor(n_estimators=20)),
        ALL,
        "delay",
    ),
    "forest regression": (lambda: RandomForestRegressor(20), NUMBERS, "delay"),
    "linear regression": (lambda: make_pipeline(one_hot(), LinearRegression()), ALL, "delay"),
    "neighbours": (lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()), NUMBERS),
    "bayes": (lambda: GaussianNB(), NUMBERS),
    "support vectors, label alone": (lambda: make_pipeline(StandardScaler(), SVC()), NUMBERS),
    "linear support vectors": (lambda: LinearSVC(), NUMBERS),
    "linear support vectors in a pipeline": (lambda: make_pipeline(one_hot(), LinearSVC()), ALL, "kind"),
    "linear support vectors in a search": (
        lambda: make_pipeline(StandardScaler(), GridSearchCV(LinearSVC(), {"C": [0.1, 1.0]})),
        NUMBERS,
    ),
    "ridge, label alone": (lambda: make_pipeline(one_hot(), RidgeClassifier()), ALL),
    "perceptron": (
        lambda: make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=50)),
        NUMBERS,
    ),
    "ada boost": (lambda: AdaBoostClassifier(n_estimators=5), NUMBERS),
    "calibrated": (lambda: CalibratedClassifierCV(logistic()), NUMBERS),
    "grid search": (
        lambda: GridSearchCV(
            make_pipeline(StandardScaler(), logistic()), {"logisticregression__C": [0.1, 1.0]}
        ),
        NUMBERS,
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_converts_and_agrees(run: Callable[..., Any], name: str, tmp_path: Path) -> None:
    make, columns, *rest = CONVERTED[name]
    target, missing = (*rest, "late", ())[0], (*rest, (), ())[1]
    found = run(make(), columns, target, missing=missing)["parity"]
    assert found["agrees"] and found["reason"] == "" and found["rows"] == 400, found
    assert (tmp_path / "out" / "model.onnx").stat().st_size > 0
    assert found["max_abs_difference"].get("probabilities", 0.0) <= 1e-5


@pytest.mark.parametrize("model", [logistic(), RandomForestClassifier(10), GradientBoostingClassifier()])
def test_a_model_fitted_on_a_matrix_converts(run: Callable[..., Any], model: Any) -> None:
    assert run(model, NUMBERS, matrix=True)["parity"]["agrees"]


ORIGINAL: dict[str, tuple[Any, ...]] = {
    "does not convert": (lambda: HistGradientBoostingClassifier(max_iter=5), NUMBERS, "late", (), "convert"),
    "no converter": (
        lambda: NearestCentroid(),
        NUMBERS,
        "late",
        (),
        "it does not convert to ONNX: skl2onnx has no converter for NearestCentroid (inputs declared as",
    ),
    "own function": (
        lambda: make_pipeline(FunctionTransformer(np.log1p), logistic()),
        ["distance", "hour"],
        "late",
        (),
        "FunctionTransformer",
    ),
    "transformed target": (
        lambda: TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
        NUMBERS,
        "delay",
        (),
        "does not convert",
    ),
    "refuses unknown text": (
        lambda: make_pipeline(one_hot("error"), logistic()),
        ALL,
        "late",
        (),
        "unknown text in 'carrier'",
    ),
    "missing text as a category": (
        lambda: make_pipeline(one_hot(), logistic()),
        ALL,
        "late",
        ("carrier",),
        "probabilities",
    ),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_stays_with_the_original_and_says_why(run: Callable[..., Any], name: str, tmp_path: Path) -> None:
    make, columns, target, missing, said = ORIGINAL[name]
    found = run(make(), columns, target, missing=missing)["parity"]
    assert not found["agrees"] and said in found["reason"]
    assert len(found["reason"]) < 350 and "Option" not in found["reason"]
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_finds_the_columns_that_may_not_be_missing(run: Callable[..., Any]) -> None:
    found = run(make_pipeline(StandardScaler(), logistic()), NUMBERS)["parity"]
    assert found["agrees"] and found["never_missing"] == ["distance", "wind"]


def test_scores_the_reference(run: Callable[..., Any], tmp_path: Path, flights: pd.DataFrame) -> None:
    model = RandomForestClassifier(10)
    run(model, NUMBERS, "kind", missing=("wind",))
    with gzip.open(tmp_path / "out" / "reference-scored.json.gz", "rt") as file:
        columns = json.load(file)["columns"]
    assert list(columns) == [*NUMBERS, "kind", "prediction", "score_bad", "score_fair", "score_good"]
    assert columns["wind"][0] is None and columns["kind"] == flights["kind"].tolist()
    sums = np.sum([columns[f"score_{label}"] for label in ("bad", "fair", "good")], axis=0)
    assert np.allclose(sums, 1.0)


def test_a_search_that_never_ends_is_stopped(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any, **__: Any) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001  as a library might
                continue

    monkeypatch.setattr("skl2onnx.convert_sklearn", endless)
    monkeypatch.setattr(prepare, "_CONVERSION_S", 1)
    assert "within 1 s" in run(logistic(), NUMBERS)["parity"]["reason"]


class TestCompare:
    """Two answers of a binary model, by hand."""

    @staticmethod
    def verdict(original: Any, converted: Any, labels: tuple[Any, Any] = ([0, 1], [0, 1])) -> parity.Verdict:
        return parity.compare(
            Answer(np.array(labels[0]), np.array(original)),
            Answer(np.array(labels[1]), np.array(converted)),
            [0, 1],
        )

    def test_within_the_tolerance(self) -> None:
        found = self.verdict([[0.9, 0.1], [0.2, 0.8]], [[0.900001, 0.099999], [0.2, 0.8]])
        assert found.reason == "" and found.differences["probabilities"] == pytest.approx(1e-6)

    def test_a_probability_apart(self) -> None:
        found = self.verdict([[0.9, 0.1], [0.2, 0.8]], [[0.89, 0.11], [0.2, 0.8]])
        assert "1 of 2 rows" in found.reason

    def test_a_label_apart(self) -> None:
        same = [[0.9, 0.1], [0.2, 0.8]]
        found = self.verdict(same, same, ([0, 1], [0, 0]))
        assert found.mismatches == 1 and "labels of 1 of 2" in found.reason

    def test_a_label_apart_on_a_tie(self) -> None:
        tie = [[0.9, 0.1], [0.500001, 0.499999]]
        assert self.verdict(tie, tie, ([0, 1], [0, 0])).reason == ""

    def test_no_number_is_no_agreement(self) -> None:
        assert self.verdict([[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [np.nan, np.nan]]).reason

    def test_a_regression_scales_with_its_values(self) -> None:
        def compare(got: float) -> str:
            original, converted = Answer(np.array([1e6]), None), Answer(np.array([got]), None)
            return parity.compare(original, converted, None).reason

        assert compare(1e6 + 5) == "" and "1 of 1 values" in compare(1e6 + 50)

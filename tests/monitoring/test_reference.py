from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, precision_score, recall_score, roc_auc_score

from holdfast.kernel.errors import IntegrityError
from holdfast.monitoring.reference import build_reference, read_reference
from holdfast.statistics.intervals import upper_bound
from tests.monitoring.conftest import MONDAY, SIGNATURE, make_rows, reference_columns


def test_metrics_equal_scikit_learn() -> None:
    rows = make_rows(MONDAY, 4000, 0.2)
    profile = build_reference(reference_columns(rows), SIGNATURE, "late", "1", task="binary")
    truth = (rows["label"] == "1").to_numpy()
    said, score = (rows["prediction"] == "1").to_numpy(), rows["score"].to_numpy()
    values = {name: metric.value for name, metric in profile.metrics.items()}
    assert values["error"] == pytest.approx(float((truth != said).mean()))
    assert values["auc"] == pytest.approx(roc_auc_score(truth, score), abs=5e-4)
    assert values["brier"] == pytest.approx(brier_score_loss(truth, score))
    assert values["log_loss"] == pytest.approx(log_loss(truth, score))
    assert values["precision"] == pytest.approx(precision_score(truth, said))
    assert values["recall"] == pytest.approx(recall_score(truth, said))
    for metric in profile.metrics.values():
        assert metric.interval is not None
        assert metric.interval[0] <= metric.value <= metric.interval[1]
    assert profile.tolerated == upper_bound(profile.errors, 4000, 0.05) + 0.01


def test_features_are_those_of_the_signature_else_every_other_column() -> None:
    columns = {
        "x": [1.0, 2.0],
        "flag": [True, None],
        "late": [0, 1],
        "prediction": [0, 1],
        "score": [0.1, 0.9],
    }
    signed = build_reference(columns, {"inputs": [{"name": "x", "type": "double"}]}, "late")
    assert [feature.name for feature in signed.features] == ["x"]
    found = build_reference(columns, None, "late")
    assert [(feature.name, feature.kind) for feature in found.features] == [
        ("x", "number"),
        ("flag", "category"),
    ]
    assert (found.task, found.positive, found.errors, found.judged) == ("binary", "1", 0, 2)


def test_without_answers_or_truth_there_is_drift_alone() -> None:
    for columns in (
        {"x": [1.0, 2.0]},
        {"x": [1.0], "late": [1]},
        {"x": [1.0], "prediction": [1], "score": [0.7]},
    ):
        profile = build_reference(columns, None, "late")
        assert profile.metrics == {} and profile.tolerated is None
        assert profile.features[0].name == "x"


def test_one_class_constant_missing_and_infinite_values_are_taken() -> None:
    rows = 50
    columns = {
        "constant": [3.0] * rows,
        "missing": [None] * rows,
        "wild": [math.inf, math.nan, -math.inf, 1e308, None] * 10,
        "late": [0] * rows,
        "prediction": [0] * rows,
        "score_0": [0.9] * rows,
        "score_1": [0.1] * rows,
    }
    profile = build_reference(columns, None, "late", "1", task="binary", classes=["0", "1"])
    assert "auc" not in profile.metrics and "recall" not in profile.metrics
    assert profile.metrics["error"].value == 0.0
    assert [sum(feature.counts) for feature in profile.features] == [rows] * 3
    assert profile.features[2].unseen == 20


def test_a_tiny_reference_tolerates_what_it_can_not_exclude() -> None:
    columns = {"x": [1.0] * 10, "late": [0] * 10, "prediction": [0] * 10, "score": [0.1] * 10}
    tolerated = build_reference(columns, None, "late", "1", task="binary").tolerated
    assert tolerated is not None and 0.26 < tolerated < 0.28


def test_labels_that_the_endpoint_can_not_have_are_not_judged() -> None:
    columns = {"x": [1.0] * 3, "late": ["yes", 1.0, None], "prediction": [1, 1, 1], "score": [0.9] * 3}
    profile = build_reference(columns, None, "late", "1", task="binary", classes=["0", "1"])
    assert (profile.judged, profile.errors) == (1, 0)


def test_regression_has_residuals_and_no_tolerated_error() -> None:
    truth = np.linspace(0, 10, 100)
    columns = {"x": truth.tolist(), "y": truth.tolist(), "prediction": (truth + 0.5).tolist()}
    profile = build_reference(columns, None, "y", task="regression")
    assert profile.metrics["mae"].value == pytest.approx(0.5)
    assert profile.metrics["rmse"].value == pytest.approx(0.5)
    assert profile.tolerated is None
    assert profile.prediction is not None and profile.prediction.kind == "number"


def test_datetimes_and_booleans_are_read_by_the_signature() -> None:
    signature = {"inputs": [{"name": "at", "type": "datetime"}, {"name": "ok", "type": "boolean"}]}
    profile = build_reference(
        {"at": ["2024-01-01", 86_400_000, "never"], "ok": [True, False, None]}, signature
    )
    at, ok = profile.features
    assert at.kind == "number" and at.histogram.missing == 1 and sum(at.sums) == MONDAY + 86_400_000
    assert ok.kind == "category" and ok.histogram.missing == 1


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"[]", mtime=0), gzip.compress(b"{}", mtime=0)]
)
def test_a_damaged_reference_is_named(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="reference"):
        read_reference(data)

"""Train a model that says whether a flight will arrive late: `holdfast run -- python -m
holdfast.demo.train`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import holdfast
from holdfast.demo.flights import CATEGORICAL, FEATURES, NUMERIC, TARGET, load_flights, split_reference

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

__all__ = ["main"]

FIRST_WEEK, LAST_WEEK = 0, 7


def main() -> None:
    """Fit on the first weeks of the year, log parameters, learning curve and model, and register it."""
    options = _options()
    params = {"stages": options.stages, "depth": options.depth, "learning_rate": options.learning_rate}
    with holdfast.start_run(params=params) as run:
        train, reference = split_reference(load_flights(), range(FIRST_WEEK, LAST_WEEK + 1))
        run.log_params(
            {"weeks": f"{FIRST_WEEK}-{LAST_WEEK}", "rows": train.height, "held_out": reference.height}
        )
        print(f"training on {train.height:,} flights, {reference.height:,} held out")
        model = build(options.stages, options.depth, options.learning_rate)
        model.fit(train.select(FEATURES), train[TARGET].to_numpy())
        log_learning_curve(model, train, reference)
        for name, value in evaluate(model, reference).items():
            print(f"{name} on the held-out days: {value:.4f}")
            run.log_metric(f"reference {name}", value)
        frame = reference.select(*FEATURES, TARGET)
        logged = holdfast.log_model(
            model, name="flights", reference=frame, target=TARGET, positive=1, register=options.register
        )
        print(f"registered {options.register} version {logged.registered_version}")


def build(stages: int, depth: int, learning_rate: float) -> Any:
    """An unfitted pipeline: one-hot categories, imputed numbers, gradient-boosted trees."""
    from sklearn.compose import ColumnTransformer  # of the server extra
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer([
        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORICAL),
        ("numbers", SimpleImputer(strategy="median"), NUMERIC),
    ])  # fmt: skip
    trees = GradientBoostingClassifier(
        n_estimators=stages, max_depth=depth, learning_rate=learning_rate, subsample=0.7, max_features=0.3,
        random_state=7,
    )  # fmt: skip
    return Pipeline([("columns", columns), ("model", trees)])


def log_learning_curve(model: Any, train: pl.DataFrame, reference: pl.DataFrame) -> None:
    """Log, per boosting stage, the loss on the training rows and on the held-out days, and the error
    there.
    """
    trees = model[-1]
    for stage, deviance in enumerate(trees.train_score_):
        holdfast.log_metric("train loss", deviance / 2, step=stage)  # the deviance is twice the log loss
    truth = reference[TARGET].to_numpy()
    rows = model[:-1].transform(reference.select(FEATURES))
    for stage, scores in enumerate(trees.staged_predict_proba(rows)):
        late = scores[:, 1]
        values = {"reference loss": _log_loss(truth, late), "reference error": ((late > 0.5) != truth).mean()}
        holdfast.log_metrics(values, step=stage)


def evaluate(model: Any, reference: pl.DataFrame) -> dict[str, float]:
    """Error rate, area under the ROC curve and Brier score on the held-out days."""
    from sklearn.metrics import brier_score_loss, roc_auc_score  # of the server extra

    truth = reference[TARGET].to_numpy()
    late = model.predict_proba(reference.select(FEATURES))[:, 1]
    return {
        "error": float(((late > 0.5) != truth).mean()),
        "auc": float(roc_auc_score(truth, late)),
        "brier": float(brier_score_loss(truth, late)),
    }


def _log_loss(truth: np.ndarray[Any, Any], late: np.ndarray[Any, Any]) -> float:
    from sklearn.metrics import log_loss  # of the server extra

    return float(log_loss(truth, late))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, default=80, help="boosting stages (%(default)s)")
    parser.add_argument("--depth", type=int, default=5, help="depth of each tree (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.15, help="shrinkage (%(default)s)")
    parser.add_argument(
        "--register", default="flights", help="registered model to add a version to (%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Autologging of XGBoost and LightGBM by the stock client; prints what it logged as one line of JSON."""

import json
import sys
import warnings

import lightgbm
import mlflow
import numpy as np
import xgboost

warnings.filterwarnings("ignore")


def main() -> dict:
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("boosters")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 4))
    late = (inputs[:, 0] > 0).astype(int)
    mlflow.xgboost.autolog()
    mlflow.lightgbm.autolog()
    matrix = xgboost.DMatrix(inputs, label=late)
    with mlflow.start_run() as first:
        xgboost.train({"max_depth": 3, "objective": "binary:logistic"}, matrix, 7, evals=[(matrix, "train")])
    data = lightgbm.Dataset(inputs, label=late)
    with mlflow.start_run() as second:
        lightgbm.train(
            {"objective": "binary", "verbose": -1}, data, 7, valid_sets=[data], valid_names=["train"]
        )
    client = mlflow.MlflowClient()
    seen = {}
    for name, active, key in (
        ("xgboost", first, "train-logloss"),
        ("lightgbm", second, "train-binary_logloss"),
    ):
        run = client.get_run(active.info.run_id)
        seen[name] = {
            "status": run.info.status,
            "steps": [one.step for one in client.get_metric_history(active.info.run_id, key)],
            "params": len(run.data.params) > 3,
            "models": len(run.outputs.model_outputs),
        }
    return seen


if __name__ == "__main__":
    print(json.dumps(main()))

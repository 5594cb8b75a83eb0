"""Fills an MLflow store by its own client: `python mlflow_store.py URI [ARTIFACTS]`; prints a run's prediction as JSON."""

from __future__ import annotations

import json
import math
import os
import random
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
import numpy as np
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

NOW = 1_760_000_000_000


def main(uri: str, artifacts: str | None) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client, chance = MlflowClient(), random.Random(1)
    for name in ("first", "second", "gone"):
        client.create_experiment(name, f"{artifacts}/{name}" if artifacts else None, {"team": name})
    used = mlflow.data.from_numpy(np.arange(6.0).reshape(3, 2), name="train")
    runs = []
    for number in range(6):
        mlflow.set_experiment(("first", "second", "gone")[number % 3])
        with mlflow.start_run(run_name=f"run {number}") as run:
            runs.append(run.info.run_id)
            mlflow.log_params({"depth": number, "text": "x" * 600, "é/ü": "v"})
            mlflow.set_tag("t", f"v{number}")
            points = [Metric("loss", chance.random(), NOW + step, step) for step in range(900)]
            client.log_batch(run.info.run_id, metrics=points)
            for value in (math.nan, math.inf, -math.inf, 0.5, 0.5):
                client.log_metric(run.info.run_id, "odd", value, NOW, 1)
            mlflow.log_metric("deep/key", 1.0, step=-5)
            mlflow.log_input(used, context="training")
            mlflow.log_text("hello", "notes/a.txt")
            mlflow.log_dict({"a": number}, "d é.json")
            if number == 0:
                model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
                # Pickled on purpose: MLflow's newer default needs a package that the test has no use for.
                kind = {"serialization_format": "pickle"}
                mlflow.sklearn.log_model(model, name="model", registered_model_name="flights", **kind)
    client.delete_run(runs[4])
    client.set_terminated(client.create_run("0", run_name="killed").info.run_id, "KILLED")
    client.create_run("0", run_name="running")
    for number in range(3):
        client.create_model_version("flights", f"runs:/{runs[5]}/notes", runs[5], {"k": str(number)})
    client.delete_model_version("flights", "2")
    client.set_registered_model_alias("flights", "best", "3")
    client.set_registered_model_alias("flights", "first", "1")
    client.transition_model_version_stage("flights", "4", "Staging")
    client.update_registered_model("flights", "About flights")
    client.set_registered_model_tag("flights", "owner", "ada")
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    print(json.dumps(runs))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)

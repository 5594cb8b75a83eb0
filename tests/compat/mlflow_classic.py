"""A classic session of the stock client, run by its own interpreter; prints what it saw as one line of JSON.

python mlflow_classic.py TRACKING_URI
"""

import json
import sys
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
RELEASE = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
PICKLED = {"serialization_format": "cloudpickle"}


def main() -> dict:
    mlflow.set_tracking_uri(sys.argv[1])
    client = mlflow.MlflowClient()
    seen = {"release": mlflow.__version__}
    mlflow.set_experiment("classic")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=list("abc"))
    late = (frame.a + frame.b > 0).astype(int)
    with mlflow.start_run(run_name="first") as active:
        run_id = active.info.run_id
        mlflow.log_param("depth", 5)
        mlflow.log_params({"rate": 0.1, "kind": "linear"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"accuracy": 0.9, "nothing": float("nan")})
        mlflow.set_tag("team", "risk")
        mlflow.set_tags({"stage": "test", "ticket": "42"})
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"k": 1}, "d.json")
        data = mlflow.data.from_pandas(frame, source="s3://bucket/train.csv", name="train")
        mlflow.log_input(data, context="training")
        model = LogisticRegression().fit(frame, late)
        where = {"name": "model"} if RELEASE >= (3, 0) else {"artifact_path": "model"}
        logged = mlflow.sklearn.log_model(
            model, registered_model_name="flights", input_example=frame.head(2), **where, **PICKLED
        )
    run = client.get_run(run_id)
    seen["run"] = {
        "status": run.info.status,
        "params": run.data.params,
        "metrics": {key: repr(value) for key, value in sorted(run.data.metrics.items())},
        "team": run.data.tags["team"],
        "datasets": [(one.dataset.name, one.tags[0].value) for one in run.inputs.dataset_inputs],
    }
    found = mlflow.search_runs(
        filter_string="metrics.loss < 0.5 and params.depth = '5' and tags.team LIKE 'r%'",
        order_by=["metrics.loss DESC"],
    )
    seen["searched"] = list(found["run_id"]) == [run_id]
    seen["history"] = [(one.step, round(one.value, 3)) for one in client.get_metric_history(run_id, "loss")]
    seen["artifacts"] = sorted(one.path for one in client.list_artifacts(run_id) if one.path != "model")
    folder = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="notes")
    seen["text"] = Path(folder, "a.txt").read_text(encoding="utf-8")
    client.set_registered_model_alias("flights", "production", "1")
    loaded = mlflow.pyfunc.load_model("models:/flights@production")
    addresses = [f"runs:/{run_id}/model", "models:/flights/1"]
    if RELEASE >= (3, 0):
        addresses.append(logged.model_uri)
        seen["logged models"] = [one.name for one in mlflow.search_logged_models(output_format="list")]
    expected = list(model.predict(frame))
    seen["predicts"] = [list(loaded.predict(frame)) == expected] + [
        list(mlflow.sklearn.load_model(address).predict(frame)) == expected for address in addresses
    ]
    version = client.search_model_versions("name='flights'")[0]
    seen["version"] = [version.version, version.run_id == run_id, version.status]
    client.set_model_version_tag("flights", "1", "k", "v")
    client.delete_model_version_tag("flights", "1", "k")
    client.set_registered_model_tag("flights", "owner", "ada")
    client.update_registered_model("flights", description="Delays")
    client.transition_model_version_stage("flights", "1", "Staging")
    staged = client.get_model_version("flights", "1")
    seen["staged"] = staged.current_stage
    seen["model"] = [one.name for one in client.search_registered_models("tags.owner = 'ada'")]
    mlflow.sklearn.autolog()
    LogisticRegression(C=0.5).fit(frame, late)
    automatic = mlflow.last_active_run()
    seen["autolog"] = [
        automatic.info.status,
        automatic.data.params["C"],
        "training_score" in automatic.data.metrics,
    ]
    seen["autolog files"] = sorted(one.path for one in client.list_artifacts(automatic.info.run_id))
    client.delete_run(run_id)
    seen["deleted"] = [client.get_run(run_id).info.lifecycle_stage, len(mlflow.search_runs()) == 1]
    client.restore_run(run_id)
    try:
        client.log_param(run_id, "depth", 6)
    except mlflow.exceptions.MlflowException as error:
        seen["param"] = [error.error_code, "Changing param values is not allowed" in str(error)]
    return seen


if __name__ == "__main__":
    print(json.dumps(main()))

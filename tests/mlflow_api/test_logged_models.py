"""MLflow's calls on logged models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mlflow_api.conftest import Protocol

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
T = 1_760_000_000_000


def make(mlflow: Protocol, name: str = "m", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = mlflow.post("logged-models", experiment_id="0", name=name, **more)["model"]
    return found


def test_from_pending_to_ready(mlflow: Protocol) -> None:
    run = mlflow.run()
    pair = [{"key": "a", "value": "1"}]
    made = make(mlflow, source_run_id=run, model_type="agent", params=pair, tags=pair)
    info = made["info"]
    own = f"0/models/{info['model_id']}/artifacts"
    assert (info["status"], info["model_type"], info["source_run_id"]) == (
        "LOGGED_MODEL_PENDING",
        "agent",
        run,
    )
    assert info["artifact_uri"] == f"mlflow-artifacts:/{own}"
    assert (info["tags"], made["data"]["params"]) == (pair, pair)
    for path in ("MLmodel", "data/model.pkl"):
        assert mlflow.http.put(f"{ARTIFACTS}/{own}/{path}", content=b"abc").status_code == 200
    listed = mlflow.get(f"logged-models/{info['model_id']}/artifacts/directories")
    assert listed == {
        "root_uri": info["artifact_uri"],
        "files": [{"path": "MLmodel", "is_dir": False, "file_size": 3}, {"path": "data", "is_dir": True}],
    }
    inner = mlflow.get(
        f"logged-models/{info['model_id']}/artifacts/directories", artifact_directory_path="data"
    )
    assert [one["path"] for one in inner["files"]] == ["data/model.pkl"]
    for _ in range(2):
        ready = mlflow.patch(f"logged-models/{info['model_id']}", status="LOGGED_MODEL_READY")["model"][
            "info"
        ]
        assert ready["status"] == "LOGGED_MODEL_READY"
    assert mlflow.http.put(f"{ARTIFACTS}/{own}/MLmodel", content=b"abc").status_code == 200
    assert mlflow.http.put(f"{ARTIFACTS}/{own}/MLmodel", content=b"other").status_code == 400
    assert mlflow.http.delete(f"{ARTIFACTS}/{own}/MLmodel").status_code == 400
    assert mlflow.get(f"logged-models/{info['model_id']}")["model"]["info"] == ready


def test_a_failed_upload_a_name_of_its_own_and_deletion(mlflow: Protocol) -> None:
    made = mlflow.post("logged-models", experiment_id="0")["model"]["info"]
    assert made["name"]
    failed = mlflow.patch(f"logged-models/{made['model_id']}", status=3)["model"]["info"]
    assert failed["status"] == "LOGGED_MODEL_UPLOAD_FAILED"
    mlflow.refused("PATCH", f"logged-models/{made['model_id']}", status="LOGGED_MODEL_PENDING")
    mlflow.refused("PATCH", f"logged-models/{made['model_id']}")
    for _ in range(2):
        assert mlflow.delete(f"logged-models/{made['model_id']}") == {}
    mlflow.refused("DELETE", f"logged-models/m-{'0' * 32}", 404)
    for method, path in (("GET", ""), ("PATCH", "/tags")):
        mlflow.refused(method, f"logged-models/{made['model_id']}{path}", 404)
    for wrong in ({"experiment_id": "77"}, {"experiment_id": "0", "source_run_id": "0" * 32}):
        mlflow.refused("POST", "logged-models", 404, **wrong)
    for name in ("a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"):
        mlflow.refused("POST", "logged-models", experiment_id="0", name=name)


def test_params_once_tags_often(mlflow: Protocol) -> None:
    model = make(mlflow)["info"]["model_id"]
    one = f"logged-models/{model}"
    for _ in range(2):
        assert mlflow.post(f"{one}/params", params=[{"key": "p", "value": "1"}]) == {}
    mlflow.refused("POST", f"{one}/params", params=[{"key": "p", "value": "2"}])
    for value in ("1", "2"):
        mlflow.patch(f"{one}/tags", tags=[{"key": "a/b", "value": value}])
    assert mlflow.get(one)["model"]["info"]["tags"] == [{"key": "a/b", "value": "2"}]
    assert mlflow.delete(f"{one}/tags/a/b") == {}
    mlflow.refused("DELETE", f"{one}/tags/a/b", 404)
    assert mlflow.get(one)["model"]["data"] == {"params": [{"key": "p", "value": "1"}]}


@pytest.fixture
def measured(mlflow: Protocol) -> dict[str, str]:
    """Models a, b, c: accuracy .5, .9, none; a measured on two data sets."""
    run = mlflow.run()
    made = {name: make(mlflow, name, source_run_id=run, params=[{"key": "p", "value": name}])["info"]["model_id"]
            for name in "abc"}  # fmt: skip
    for name, value, data in (("a", 0.5, "train"), ("a", 0.8, "test"), ("b", 0.9, "train")):
        metric = {"key": "acc", "value": value, "timestamp": T, "step": len(data), "model_id": made[name]}
        on = {"dataset_name": data, "dataset_digest": "1"}
        mlflow.post("runs/log-batch", run_id=run, metrics=[{**metric, **on}])
    return made


def found(mlflow: Protocol, **asked: Any) -> str:
    models = mlflow.post("logged-models/search", **{"experiment_ids": ["0"], **asked}).get("models", [])
    return "".join(one["info"]["name"] for one in models)


def test_metrics_of_models(mlflow: Protocol, measured: dict[str, str]) -> None:
    metrics = mlflow.get(f"logged-models/{measured['a']}")["model"]["data"]["metrics"]
    assert [(one["key"], one["value"], one["dataset_name"]) for one in metrics] == [
        ("acc", 0.8, "test"),
        ("acc", 0.5, "train"),
    ]
    assert all(one["model_id"] == measured["a"] and one["run_id"] for one in metrics)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"filter": "name = 'a'"}, "a"),
        ({"filter": "name IN ('a', 'c')", "order_by": [{"field_name": "name"}]}, "ac"),
        ({"filter": "params.p LIKE 'b%'"}, "b"),
        ({"filter": "metrics.acc >= 0.8", "order_by": [{"field_name": "name"}]}, "ab"),
        ({"filter": "metrics.acc >= 0.8", "datasets": [{"dataset_name": "train"}]}, "b"),
        ({"filter": "metrics.acc > 0", "datasets": [{"dataset_name": "test", "dataset_digest": "2"}]}, ""),
        ({"filter": "status = 'LOGGED_MODEL_READY'"}, ""),
        ({"filter": "status = 'LOGGED_MODEL_PENDING' AND name = 'b'"}, "b"),
        ({"order_by": [{"field_name": "metrics.acc", "ascending": False}, {"field_name": "name"}]}, "bac"),
        (
            {"order_by": [{"field_name": "metrics.acc", "dataset_name": "train"}, {"field_name": "name"}]},
            "abc",
        ),
        ({"order_by": [{"field_name": "creation_time"}, {"field_name": "name", "ascending": False}]}, "abc"),
        ({"filter": "source_run_id != 'x'", "max_results": 1, "order_by": [{"field_name": "name"}]}, "a"),
    ],
)
def test_they_are_searched(
    mlflow: Protocol, measured: dict[str, str], asked: dict[str, Any], expected: str
) -> None:
    assert found(mlflow, **asked) == expected


def test_pages_are_bound_to_their_question(mlflow: Protocol, measured: dict[str, str]) -> None:
    asked = {"experiment_ids": ["0"], "order_by": [{"field_name": "name"}], "max_results": 2}
    first = mlflow.post("logged-models/search", **asked)
    rest = mlflow.post("logged-models/search", **asked, page_token=first["next_page_token"])
    assert [one["info"]["name"] for one in rest["models"]] == ["c"] and "next_page_token" not in rest
    for changed in ({"filter": "name != 'x'"}, {"order_by": []}, {"experiment_ids": ["0", "1"]}):
        mlflow.refused(
            "POST", "logged-models/search", **{**asked, **changed}, page_token=first["next_page_token"]
        )
    for wrong in (
        {"filter": "metric.acc > 1"},
        {"order_by": [{"field_name": "params.p"}]},
        {"experiment_ids": []},
    ):
        mlflow.refused("POST", "logged-models/search", **{"experiment_ids": ["0"], **wrong})


def test_what_is_registered_from_it(mlflow: Protocol) -> None:
    model = make(mlflow)["info"]["model_id"]
    mlflow.http.put(f"{ARTIFACTS}/0/models/{model}/artifacts/MLmodel", content=b"abc")
    mlflow.patch(f"logged-models/{model}", status="LOGGED_MODEL_READY")
    mlflow.post("registered-models/create", name="flights")
    given = {"name": "flights", "source": f"models:/{model}", "model_id": model}
    made = mlflow.post("model-versions/create", **given)["model_version"]
    assert (made["model_id"], made["source"]) == (model, f"models:/{model}")
    info = mlflow.get(f"logged-models/{model}")["model"]["info"]
    assert info["registrations"] == [{"name": "flights", "version": "1"}]
    assert info["tags"] == [{"key": "mlflow.modelVersions", "value": '[{"name":"flights","version":"1"}]'}]
    place = mlflow.get("model-versions/get-download-uri", name="flights", version="1")
    assert place == {"artifact_uri": info["artifact_uri"]}
    unknown = {**given, "model_id": "m-" + "0" * 32}
    mlflow.refused("POST", "model-versions/create", **unknown)
    mlflow.refused("POST", "model-versions/create", 404, **{**unknown, "source": "s3://bucket/model"})
    assert len(mlflow.get("model-versions/search", filter="name = 'flights'")["model_versions"]) == 1

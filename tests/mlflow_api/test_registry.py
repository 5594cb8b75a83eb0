"""MLflow's calls on registered models and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.mlflow_api.conftest import Protocol

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def put(mlflow: Protocol, path: str, data: bytes = b"bytes") -> None:
    assert mlflow.http.put(f"{ARTIFACTS}/{path}", content=data).status_code == 200


@pytest.fixture
def run(mlflow: Protocol) -> str:
    run = mlflow.run()
    put(mlflow, f"0/{run}/artifacts/model/MLmodel", b"flavors: {}")
    put(mlflow, f"0/{run}/artifacts/model/a/model.pkl")
    put(mlflow, f"0/{run}/artifacts/other.txt")
    return run


@pytest.fixture
def model(mlflow: Protocol) -> str:
    mlflow.post(
        "registered-models/create", name="flights", description="About.", tags=[{"key": "a", "value": "1"}]
    )
    return "flights"


def version(mlflow: Protocol, model: str, run: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = mlflow.post(
        "model-versions/create", name=model, source=f"runs:/{run}/model", run_id=run, **more
    )["model_version"]
    return found


def test_a_model_is_made_described_renamed_and_deleted(mlflow: Protocol, model: str, run: str) -> None:
    found = mlflow.get("registered-models/get", name=model)["registered_model"]
    assert (found["name"], found["description"], found["tags"]) == (
        "flights",
        "About.",
        [{"key": "a", "value": "1"}],
    )
    answer = mlflow.http.post("/api/2.0/mlflow/registered-models/create", json={"name": model})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error_code": "RESOURCE_ALREADY_EXISTS",
            "message": "Registered Model (name=flights) already exists.",
        },
    )
    changed = mlflow.patch("registered-models/update", name=model, description="More.")["registered_model"]
    assert (
        changed["description"] == "More."
        and changed["last_updated_timestamp"] >= found["last_updated_timestamp"]
    )
    version(mlflow, model, run)
    mlflow.post("registered-models/alias", name=model, alias="champion", version="1")
    renamed = mlflow.post("registered-models/rename", name=model, new_name="delays")["registered_model"]
    assert (renamed["name"], renamed["aliases"]) == ("delays", [{"alias": "champion", "version": "1"}])
    assert renamed["latest_versions"][0]["name"] == "delays"
    message = mlflow.refused("GET", "registered-models/get", 404, name=model)
    assert message == "Registered Model with name=flights not found"
    assert mlflow.delete("registered-models/delete", name="delays") == {}
    mlflow.refused("DELETE", "registered-models/delete", 404, name="delays")
    mlflow.post("registered-models/create", name="delays")
    assert version(mlflow, "delays", run)["version"] == "1"


def test_a_version_has_its_own_copy_of_the_files(mlflow: Protocol, model: str, run: str) -> None:
    made = version(
        mlflow, model, run, description="First.", run_link="http://ci/1", tags=[{"key": "k", "value": "v"}]
    )
    assert (made["version"], made["status"], made["current_stage"]) == ("1", "READY", "None")
    assert {key: made[key] for key in ("source", "run_id", "run_link", "description", "tags")} == {
        "source": f"runs:/{run}/model", "run_id": run, "run_link": "http://ci/1", "description": "First.",
        "tags": [{"key": "k", "value": "v"}],
    }  # fmt: skip
    native = mlflow.http.get(f"/api/v1/models/{model}/versions/1").json()
    assert (native["status"], native["digest"] != "") == ("stored", True)
    files = mlflow.http.get(f"/api/v1/models/{model}/versions/1/files").json()["items"]
    assert [one["path"] for one in files] == ["MLmodel", "a/model.pkl"]
    copied = mlflow.get("model-versions/get-download-uri", name=model, version="1")
    assert copied == {"artifact_uri": f"runs:/{run}/model"}
    put(mlflow, f"0/{run}/artifacts/model/MLmodel", b"changed")
    assert mlflow.http.get(f"/api/v1/models/{model}/versions/1").json()["digest"] == native["digest"]


def test_versions_count_on_and_are_never_given_again(mlflow: Protocol, model: str, run: str) -> None:
    assert [version(mlflow, model, run)["version"] for _ in range(3)] == ["1", "2", "3"]
    mlflow.post("registered-models/alias", name=model, alias="champion", version="3")
    assert mlflow.delete("model-versions/delete", name=model, version="3") == {}
    mlflow.refused("GET", "model-versions/get", 404, name=model, version="3")
    assert "aliases" not in mlflow.get("registered-models/get", name=model)["registered_model"]
    assert version(mlflow, model, run)["version"] == "4"
    message = mlflow.refused("GET", "model-versions/get", name=model, version="x")
    assert message == "Parameter 'version' must be an integer, got 'x'."
    mlflow.refused("POST", "model-versions/create", 404, name="none", source=f"runs:/{run}/model")


def test_aliases(mlflow: Protocol, model: str, run: str) -> None:
    version(mlflow, model, run), version(mlflow, model, run)
    for number in ("1", "2", "2"):
        mlflow.post("registered-models/alias", name=model, alias="champion", version=number)
        found = mlflow.get("registered-models/alias", name=model, alias="champion")["model_version"]
        assert (found["version"], found["aliases"]) == (number, ["champion"])
    assert (
        mlflow.get("registered-models/alias", name=model, alias="latest")["model_version"]["version"] == "2"
    )
    for _ in range(2):
        assert mlflow.delete("registered-models/alias", name=model, alias="champion") == {}
    message = mlflow.refused("GET", "registered-models/alias", name=model, alias="champion")
    assert message == "Registered model alias champion not found."
    mlflow.refused("POST", "registered-models/alias", 404, name=model, alias="a", version="9")
    for wrong in ("latest", "v1", "a/b", "x" * 256):
        mlflow.refused("POST", "registered-models/alias", name=model, alias=wrong, version="1")


def test_tags_of_models_and_versions(mlflow: Protocol, model: str, run: str) -> None:
    version(mlflow, model, run)
    for path, more in (("registered-models", {}), ("model-versions", {"version": "1"})):
        own = {"name": model, **more}
        for value in ("1", "2", ""):
            assert mlflow.post(f"{path}/set-tag", **own, key="a", value=value) == {}
        kind = "registered_model" if path == "registered-models" else "model_version"
        assert mlflow.get(f"{path}/get", **own)[kind]["tags"] == [{"key": "a", "value": ""}]
        for _ in range(2):
            assert mlflow.delete(f"{path}/delete-tag", **own, key="a") == {}
        assert "tags" not in mlflow.get(f"{path}/get", **own)[kind]
        mlflow.refused("POST", f"{path}/set-tag", **own, value="1")
        mlflow.refused("POST", f"{path}/set-tag", 404, **{**own, "name": "none"}, key="a", value="1")


def test_stages_are_aliases(mlflow: Protocol, model: str, run: str) -> None:
    def move(number: str, stage: str, *, archives: bool = False) -> str:
        moved = mlflow.post(
            "model-versions/transition-stage",
            name=model,
            version=number,
            stage=stage,
            archive_existing_versions=archives,
        )
        return str(moved["model_version"]["current_stage"])

    def stages() -> list[str]:
        found = mlflow.get("model-versions/search", filter=f"name = '{model}'", order_by=["version_number"])
        return [one["current_stage"] for one in found["model_versions"]]

    version(mlflow, model, run), version(mlflow, model, run)
    assert move("1", "production") == "Production"
    assert (
        mlflow.get("registered-models/alias", name=model, alias="production")["model_version"]["version"]
        == "1"
    )
    assert move("2", "Production", archives=True) == "Production" and stages() == ["Archived", "Production"]
    assert move("1", "Staging") == "Staging" and move("2", "None") == "None"
    latest = mlflow.post("registered-models/get-latest-versions", name=model)["model_versions"]
    assert {one["current_stage"]: one["version"] for one in latest} == {"None": "2", "Staging": "1"}
    only = mlflow.get("registered-models/get-latest-versions", name=model, stages=["staging"])[
        "model_versions"
    ]
    assert [one["version"] for one in only] == ["1"]
    mlflow.post("registered-models/alias", name=model, alias="production", version="1")
    assert stages() == ["Production", "None"]
    for wrong in ({"stage": "Live"}, {"stage": "None", "archive_existing_versions": True}):
        mlflow.refused("POST", "model-versions/transition-stage", name=model, version="1", **wrong)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/etc/passwd", "To use a local path as a model version source"),
        ("file:///etc", "To use a local path"),
        ("model", "To use a local path"),
        ("./model", "To use a local path"),
        ("runs:/RUN/../other", "an absolute path must be provided"),
        ("runs:/RUN/%2e%2e/other", "an absolute path must be provided"),
        ("mlflow-artifacts:/0/RUN/artifacts/%252e%252e/x", "an absolute path must be provided"),
        ("mlflow-artifacts:/0/RUN/artifacts/..%5cx", "an absolute path must be provided"),
        ("s3://bucket/../x", "an absolute path must be provided"),
        ("https://host/a/../../b", "an absolute path must be provided"),
        ("runs://host/RUN/model", "another server"),
        ("models://host/m/1", "another server"),
        ("mlflow-artifacts:/0/0123/artifacts/model", "another run"),
        ("runs:/0123/model", "another run"),
        ("mlflow-artifacts:/elsewhere", "not below the artifacts"),
        ("models:/m/x", "neither a logged model nor a version"),
        ("a\0b", "control characters"),
        ("s3://" + "x" * 5000, "too long"),
    ],
)
def test_sources_that_are_refused(mlflow: Protocol, model: str, run: str, source: str, expected: str) -> None:
    given = {"name": model, "source": source.replace("RUN", run), "run_id": run}
    assert expected in mlflow.refused("POST", "model-versions/create", **given)
    assert mlflow.get("model-versions/search", filter=f"name='{model}'") == {}


@pytest.mark.parametrize(
    "source",
    ["s3://bucket/model", "https://host/model", "mlflow-artifacts:/shared/", "mlflow-artifacts://host/m"],
)
def test_sources_elsewhere(mlflow: Protocol, model: str, source: str) -> None:
    made = mlflow.post("model-versions/create", name=model, source=source)["model_version"]
    assert (made["source"], made["status"]) == (source, "READY")


@pytest.mark.parametrize("source", ["runs:/run_id_1/model", "mlflow-artifacts:/0/run_id_1/artifacts/model"])
def test_a_run_that_is_not_here_may_be_named(mlflow: Protocol, model: str, source: str) -> None:
    """MLflow's own tests name such runs: a version of it has no files, and says where it came from."""
    made = mlflow.post("model-versions/create", name=model, source=source, run_id="run_id_1")["model_version"]
    assert (made["source"], made["run_id"], made["status"]) == (source, "run_id_1", "READY")
    found = mlflow.get("model-versions/search", filter="run_id='run_id_1'")["model_versions"]
    assert [one["version"] for one in found] == [made["version"]]


def test_a_version_of_a_version(mlflow: Protocol, model: str, run: str) -> None:
    version(mlflow, model, run)
    mlflow.post("registered-models/create", name="copy")
    made = mlflow.post("model-versions/create", name="copy", source=f"models:/{model}/1")["model_version"]
    place = mlflow.get("model-versions/get-download-uri", name="copy", version="1")["artifact_uri"]
    assert place == f"runs:/{run}/model"
    mlflow.delete("registered-models/delete", name=model)
    place = mlflow.get("model-versions/get-download-uri", name="copy", version="1")["artifact_uri"]
    listed = mlflow.http.get(ARTIFACTS, params={"path": place.removeprefix("mlflow-artifacts:/")}).json()[
        "files"
    ]
    assert made["source"] == f"models:/{model}/1"
    assert listed == [
        {"path": "MLmodel", "is_dir": False, "file_size": 11},
        {"path": "a", "is_dir": True},
    ]
    inside = place.removeprefix("mlflow-artifacts:/") + "/a/model.pkl"
    assert mlflow.http.get(f"{ARTIFACTS}/{inside}").content == b"bytes"
    assert mlflow.http.put(f"{ARTIFACTS}/{inside}", content=b"x").status_code == 400
    asked = {"name": "copy", "version": "1", "path": "a/model.pkl"}
    assert mlflow.http.get("/model-versions/get-artifact", params=asked).content == b"bytes"
    assert (
        mlflow.http.get("/model-versions/get-artifact", params={**asked, "path": "none"}).status_code == 404
    )


@pytest.fixture
def registered(mlflow: Protocol, run: str) -> None:
    for name in ("Alpha", "beta", "alpha_2"):
        mlflow.post("registered-models/create", name=name, tags=[{"key": "n", "value": name}])
        version(mlflow, name, run, tags=[{"key": "n", "value": name}])
    mlflow.post(
        "registered-models/create",
        name="greeting",
        tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}],
    )
    prompt = [
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": "Hi {{x}}"},
    ]
    mlflow.post("model-versions/create", name="greeting", source="dummy-source", tags=prompt)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("", ["Alpha", "alpha_2", "beta"]),
        ("name = 'beta'", ["beta"]),
        ("name != 'beta'", ["Alpha", "alpha_2"]),
        ("name LIKE 'alpha%'", ["alpha_2"]),
        ("name ILIKE 'alpha%'", ["Alpha", "alpha_2"]),
        ("name IN ('beta', 'Alpha')", ["Alpha", "beta"]),
        ("tags.n = 'beta'", ["beta"]),
        ("tag.`n` ILIKE 'ALPHA' and name = 'Alpha'", ["Alpha"]),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", ["greeting"]),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", ["Alpha", "alpha_2", "beta"]),
        ("creation_timestamp > 0", None),
        ("version = 1", None),
        ("name = beta", None),
    ],
)
def test_models_are_searched(
    mlflow: Protocol, registered: None, filter: str, expected: list[str] | None
) -> None:
    if expected is None:
        mlflow.refused("GET", "registered-models/search", filter=filter)
        return
    found = mlflow.get("registered-models/search", filter=filter).get("registered_models", [])
    assert [one["name"] for one in found] == expected
    assert all(one["latest_versions"][0]["version"] == "1" for one in found)


def test_models_in_pages_and_orders(mlflow: Protocol, registered: None) -> None:
    asked = {"order_by": ["name DESC"], "max_results": 2}
    first = mlflow.get("registered-models/search", **asked)
    rest = mlflow.get("registered-models/search", **asked, page_token=first["next_page_token"])
    names = [one["name"] for page in (first, rest) for one in page["registered_models"]]
    assert names == ["beta", "alpha_2", "Alpha"] and "next_page_token" not in rest
    by_time = mlflow.get("registered-models/search", order_by=["creation_timestamp ASC"])["registered_models"]
    assert by_time[0]["name"] == "Alpha"
    for wrong in ({"max_results": 1001}, {"order_by": ["tags.n"]}, {"order_by": ["nothing"]}):
        mlflow.refused("GET", "registered-models/search", **wrong)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("name = 'beta'", ["beta"]),
        ("name LIKE 'a%' OR name = 'b'", None),
        ("run_id = 'RUN'", ["Alpha", "alpha_2", "beta"]),
        ("run_id IN ('RUN', 'x') AND name ILIKE 'ALPHA'", ["Alpha"]),
        ("source_path LIKE 'runs:/%'", ["Alpha", "alpha_2", "beta"]),
        ("version_number > 1", []),
        ("tags.n = 'beta'", ["beta"]),
        ("version_number = 'x'", None),
    ],
)
def test_versions_are_searched(
    mlflow: Protocol, registered: None, run: str, filter: str, expected: list[str] | None
) -> None:
    asked = {"filter": filter.replace("RUN", run), "order_by": ["name ASC"]}
    if expected is None:
        mlflow.refused("GET", "model-versions/search", **asked)
    else:
        found = mlflow.get("model-versions/search", **asked).get("model_versions", [])
        assert [one["name"] for one in found] == expected


def test_a_version_that_does_not_say_how_to_serve_it_is_not_deployed(
    mlflow: Protocol, model: str, run: str
) -> None:
    version(mlflow, model, run)
    answer = mlflow.http.post("/api/v1/endpoints", json={"model": f"{model}/1", "name": "delays"})
    assert answer.status_code == 409 and "can't be served" in answer.text


def test_what_is_served_is_neither_deleted_nor_renamed(
    mlflow: Protocol, model: str, run: str, composition: Composition
) -> None:
    version(mlflow, model, run), version(mlflow, model, run)
    composition.registry.protect(
        lambda _caller, name, number: ["endpoint delays"] if (name, number) != (model, 2) else []
    )
    for method, path, more in (
        ("DELETE", "model-versions/delete", {"version": "1"}),
        ("DELETE", "registered-models/delete", {}),
        ("POST", "registered-models/rename", {"new_name": "other"}),
    ):
        assert "is in use: endpoint delays" in mlflow.refused(method, path, name=model, **more)
    mlflow.delete("model-versions/delete", name=model, version="2")
    assert (
        mlflow.get("registered-models/get", name=model)["registered_model"]["latest_versions"][0]["version"]
        == "1"
    )

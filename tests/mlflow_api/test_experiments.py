"""MLflow's calls on experiments."""

from __future__ import annotations

import time

import pytest

from tests.mlflow_api.conftest import Protocol


def test_a_new_server_has_the_default_experiment(mlflow: Protocol) -> None:
    found = mlflow.get("experiments/get", experiment_id="0")["experiment"]
    assert (found["experiment_id"], found["name"], found["lifecycle_stage"]) == ("0", "Default", "active")
    assert found["artifact_location"] == "mlflow-artifacts:/0"
    assert mlflow.get("experiments/get-by-name", experiment_name="Default")["experiment"] == found
    assert mlflow.post("experiments/search", max_results=10)["experiments"] == [found]


def test_made_found_renamed_deleted_restored(mlflow: Protocol) -> None:
    number = mlflow.experiment("Flights", tags=[{"key": "team", "value": "risk"}])
    found = mlflow.get("experiments/get", experiment_id=number)["experiment"]
    assert (found["name"], found["tags"]) == ("Flights", [{"key": "team", "value": "risk"}])
    assert found["creation_time"] == found["last_update_time"] > 0
    assert mlflow.post("experiments/update", experiment_id=number, new_name="Delays") == {}
    run = mlflow.run(number)
    gone = mlflow.run(number)
    mlflow.post("runs/delete", run_id=gone)
    assert mlflow.post("experiments/delete", experiment_id=number) == {}
    found = mlflow.get("experiments/get-by-name", experiment_name="Delays")["experiment"]
    assert found["lifecycle_stage"] == "deleted"
    assert mlflow.get("runs/get", run_id=run)["run"]["info"]["lifecycle_stage"] == "deleted"
    assert "deleted" in mlflow.refused("POST", "runs/create", experiment_id=number)
    assert "deleted" in mlflow.refused("POST", "experiments/create", name="Delays")
    mlflow.refused("POST", "experiments/delete", 404, experiment_id=number)
    assert mlflow.post("experiments/restore", experiment_id=number) == {}
    assert mlflow.get("runs/get", run_id=run)["run"]["info"]["lifecycle_stage"] == "active"
    assert mlflow.get("runs/get", run_id=gone)["run"]["info"]["lifecycle_stage"] == "deleted"
    mlflow.refused("POST", "experiments/restore", 404, experiment_id=number)


def test_a_name_is_taken_once(mlflow: Protocol) -> None:
    mlflow.experiment("Flights")
    answer = mlflow.http.post("/api/2.0/mlflow/experiments/create", json={"name": "Flights"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    other = mlflow.experiment("Other")
    mlflow.refused("POST", "experiments/update", experiment_id=other, new_name="Flights")


def test_what_is_unknown_is_404(mlflow: Protocol) -> None:
    assert "Could not find experiment with name 'None'" in mlflow.refused(
        "GET", "experiments/get-by-name", 404, experiment_name="None"
    )
    for number in ("77", "9" * 30):
        assert "No Experiment with id" in mlflow.refused("GET", "experiments/get", 404, experiment_id=number)
    for path, body in (
        ("experiments/get", {"experiment_id": "abc"}),
        ("runs/search", {"experiment_ids": ["abc"]}),
    ):
        method = "POST" if "search" in path else "GET"
        assert mlflow.refused(method, path, **body) == (
            "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."
        )


def test_tags(mlflow: Protocol) -> None:
    number = mlflow.experiment()
    for value in ("a", "b", ""):
        assert mlflow.post("experiments/set-experiment-tag", experiment_id=number, key="k", value=value) == {}
        assert mlflow.get("experiments/get", experiment_id=number)["experiment"]["tags"] == [
            {"key": "k", "value": value}
        ]
    assert mlflow.post("experiments/delete-experiment-tag", experiment_id=number, key="k") == {}
    assert "tags" not in mlflow.get("experiments/get", experiment_id=number)["experiment"]
    mlflow.refused("POST", "experiments/delete-experiment-tag", 404, experiment_id=number, key="k")
    mlflow.refused("POST", "experiments/set-experiment-tag", experiment_id=number, key="k" * 251, value="")
    mlflow.refused(
        "POST", "experiments/set-experiment-tag", experiment_id=number, key="k", value="v" * 20_001
    )


@pytest.fixture
def many(mlflow: Protocol) -> dict[str, str]:
    made = {
        name: mlflow.experiment(name, tags=[{"key": "n", "value": name}]) for name in ("a", "Ab", "aB%", "b")
    }
    mlflow.post("experiments/delete", experiment_id=made["b"])
    return made


def names(found: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["name"] for one in found.get("experiments", [])]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("name = 'a'", ["a"]),
        ("attribute.name != 'a'", ["aB%", "Ab", "Default"]),
        ("name LIKE 'a%'", ["aB%", "a"]),
        ("name ILIKE 'a%'", ["aB%", "Ab", "a"]),
        ("name like '_b'", ["Ab"]),
        ("name ILIKE '_b%'", ["aB%", "Ab"]),
        ("tags.n = 'Ab' AND creation_time > 0", ["Ab"]),
        ('tags."n" LIKE "%a%"', ["aB%", "a"]),
        ("tags.n IS NULL", ["Default"]),
        ("tags.n IS NOT NULL AND name != 'a'", ["aB%", "Ab"]),
        ("tags.other != 'x'", []),
        ("last_update_time < 10", []),
    ],
)
def test_search(mlflow: Protocol, many: dict[str, str], filter: str, expected: list[str]) -> None:
    for ask in (mlflow.post, mlflow.get):
        found = ask("experiments/search", max_results=100, filter=filter, order_by=["name"])
        assert names(found) == sorted(expected)


def test_without_an_order_the_newest_stands_first_whatever_changed_since(mlflow: Protocol) -> None:
    made = {}
    for name in ("a", "b", "c"):
        made[name] = mlflow.post("experiments/create", name=name)["experiment_id"]
        time.sleep(0.002)  # a time of its own
    mlflow.post("experiments/delete", experiment_id=made["b"])
    mlflow.post("experiments/set-experiment-tag", experiment_id=made["a"], key="k", value="v")
    found = names(mlflow.post("experiments/search", max_results=100, view_type="ALL"))
    assert [name for name in found if name in made] == ["c", "b", "a"]


def test_search_by_view_order_and_page(mlflow: Protocol, many: dict[str, str]) -> None:
    def found(**asked: object) -> list[str]:
        return names(mlflow.post("experiments/search", **{"max_results": 100, **asked}))

    assert found(view_type="DELETED_ONLY") == ["b"]
    assert set(found(view_type="ALL")) == {"Default", *many}
    assert found(view_type=3, order_by=["name"]) == ["Ab", "Default", "a", "aB%", "b"]
    assert found(order_by=["experiment_id DESC"]) == ["aB%", "Ab", "a", "Default"]
    first = mlflow.post("experiments/search", max_results=3, order_by=["name DESC"])
    assert names(first) == ["aB%", "a", "Default"]
    rest = mlflow.post(
        "experiments/search", max_results=3, order_by=["name DESC"], page_token=first["next_page_token"]
    )
    assert names(rest) == ["Ab"] and "next_page_token" not in rest
    mlflow.refused(
        "POST", "experiments/search", max_results=3, order_by=["name"], page_token=first["next_page_token"]
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "Missing value for required parameter 'name'."),
        ({"name": ""}, "Missing value for required parameter 'name'."),
        ({"name": 123}, "Invalid value 123 for parameter 'name' supplied. Hint: Value was of type 'int'."),
        (
            {"name": "a", "artifact_location": 9.5},
            "Invalid value 9.5 for parameter 'artifact_location' supplied",
        ),
        ({"name": "a", "tags": "5"}, "Invalid value \"5\" for parameter 'tags' supplied"),
        ({"name": "a", "tags": [{"key": 1}]}, "Invalid value [{\"key\":1}] for parameter 'tags' supplied"),
        ({"name": "x" * 501}, "500 characters"),
        ({"name": "a", "artifact_location": "file:///etc"}, "a path of a machine is not allowed"),
        ({"name": "a", "artifact_location": "s3://b/../c"}, "'..' is not allowed"),
        ({"name": "a", "artifact_location": "s3://b/c?d=e"}, "are not allowed"),
        ({"name": "a", "artifact_location": "s3://b/" + "x" * 2100}, "2048 characters"),
    ],
)
def test_what_is_refused(mlflow: Protocol, body: dict[str, object], expected: str) -> None:
    assert expected in mlflow.refused("POST", "experiments/create", **body)


def test_a_location_of_its_own_is_where_artifacts_are(mlflow: Protocol) -> None:
    number = mlflow.experiment("far", artifact_location="s3://bucket/far/")
    run = mlflow.post("runs/create", experiment_id=number)["run"]["info"]
    assert run["artifact_uri"] == f"s3://bucket/far/{run['run_id']}/artifacts"


def test_names_may_come_in_camel_case(mlflow: Protocol) -> None:
    number = mlflow.experiment("a", artifactLocation="s3://b/c")
    found = mlflow.get("experiments/get", experimentId=number)["experiment"]
    assert found["artifact_location"] == "s3://b/c"
    mlflow.post("experiments/update", experimentId=number, newName="z", unknownField=[1])
    assert names(mlflow.post("experiments/search", maxResults=1, order_by=["name DESC"])) == ["z"]

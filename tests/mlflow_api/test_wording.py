"""The texts that MLflow's clients, and the programs around them, look for."""

from __future__ import annotations

import pytest

from tests.mlflow_api.conftest import Protocol

T = 1_760_000_000_000


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("foo = 'x'", "Invalid attribute key 'foo' specified. Valid keys are '{'artifact_uri', "),
        (
            "foo.bar = 'x'",
            "Invalid entity type 'foo'. Valid values are ['attribute', 'dataset', 'metric', 'parameter', ",
        ),
        (
            "dataset.foo = 'x'",
            "Invalid dataset key 'foo' specified. Valid keys are '{'context', 'digest', 'name'}'",
        ),
        ("metrics.m = 'x'", "Expected numeric value type for metric. Found 'x'"),
        ("start_time = 'x'", "Expected numeric value type for numeric attribute: start_time. Found 'x'"),
        ("params.p = 1", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1"),
        ("tags.t = 1", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 1"),
        ("run_name = 1", "Expected a quoted string value for attributes. Got value 1"),
        ("run_name > 'a'", "Invalid comparator '>' not one of '{'!=', '=', 'ILIKE', 'LIKE'}'"),
        ("params.p = 'a' OR params.p = 'b'", "Invalid clause(s) in filter string: 'OR'"),
        ("metrics.m", "Invalid clause(s) in filter string: 'metrics.m'"),
    ],
)
def test_of_filters(mlflow: Protocol, where: str, words: str) -> None:
    assert mlflow.refused("POST", "runs/search", experiment_ids=["0"], filter=where).startswith(words)


def test_of_orders_and_pages(mlflow: Protocol) -> None:
    asked = {"experiment_ids": ["0"]}
    found = [
        mlflow.refused("POST", "runs/search", **asked, order_by=["metrics.m ASC x"]),
        mlflow.refused("POST", "experiments/search", max_results=10, order_by=["tags.a"]),
        mlflow.refused("POST", "runs/search", **asked, max_results=0),
        mlflow.refused("POST", "runs/search", **asked, max_results=50_001),
        mlflow.refused("POST", "runs/search", **asked, page_token="zz"),
    ]
    assert found == [
        "Invalid order_by clause 'metrics.m ASC x'. Could not be parsed.",
        "Invalid order_by entity: tag",
        "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.",
        "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000.",
        "Invalid page token, could not base64-decode",
    ]


def test_of_names_and_values(mlflow: Protocol) -> None:
    run = mlflow.run()
    point = {"value": 1, "timestamp": T}
    found = [
        mlflow.refused("POST", "runs/log-metric", run_id=run, key="a?b", **point),
        mlflow.refused("POST", "runs/log-metric", run_id=run, key="k" * 251, **point),
        mlflow.refused("POST", "runs/log-parameter", run_id=run, key="/a", value="1"),
        mlflow.refused(
            "POST",
            "runs/log-batch",
            run_id=run,
            params=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
        ),
    ]
    assert found == [
        "Invalid value \"a?b\" for parameter 'name' supplied: Names may only contain alphanumerics, underscores (_), "
        "dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
        "'Metric name' exceeds the maximum length of 250 characters",
        "Invalid value \"/a\" for parameter 'key' supplied: Names may be treated as files in certain cases, and must not "
        "resolve to other names when treated as such. This name would resolve to '/a'",
        "Duplicate parameter keys have been submitted: ['a']. Please ensure the request contains only one param value "
        "per param key.",
    ]


def test_of_what_is_deleted_taken_or_not_there(mlflow: Protocol) -> None:
    number, run = mlflow.experiment("taken"), mlflow.run()
    mlflow.post("runs/delete", run_id=run)
    taken = mlflow.refused("POST", "experiments/create", name="taken")
    mlflow.post("experiments/delete", experiment_id=number)
    found = [
        mlflow.refused("POST", "runs/log-metric", run_id=run, key="m", value=1, timestamp=T),
        mlflow.refused("POST", "runs/create", experiment_id=number),
        mlflow.refused("POST", "experiments/create", name="taken"),
        mlflow.refused("POST", "experiments/delete", 404, experiment_id=number),
        mlflow.refused("POST", "experiments/delete-experiment-tag", 404, experiment_id="0", key="k"),
        mlflow.refused("GET", "logged-models/m-" + "0" * 32, 404),
    ]
    default = mlflow.get("experiments/get", experiment_id="0")["experiment"]["experiment_id"]
    assert taken == "Experiment(name=taken) already exists."
    assert found == [
        f"The run {run} must be in the 'active' state. Current state is deleted.",
        f"The experiment {number} must be in the 'active' state. Current state is deleted.",
        "Experiment(name=taken) already exists in deleted state. You can restore the experiment, or use a different "
        "name.",
        f"No Experiment with id={number} exists",
        f"No tag with name: k in experiment with id {default}",
        f"Logged model with ID 'm-{'0' * 32}' not found.",
    ]


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("latest", "'latest' alias name (case insensitive) is reserved."),
        ("v1", "Version alias name 'v1' is reserved."),
        (
            "a b",
            "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
        ),
    ],
)
def test_of_aliases(mlflow: Protocol, alias: str, words: str) -> None:
    mlflow.post("registered-models/create", name="M")
    assert mlflow.refused("POST", "registered-models/alias", name="M", alias=alias, version="1") == words

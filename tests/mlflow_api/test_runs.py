"""MLflow's calls on runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mlflow_api.conftest import Protocol

T = 1_760_000_000_000


@pytest.fixture
def run(mlflow: Protocol) -> str:
    return mlflow.run(run_name="first")


def data(mlflow: Protocol, run: str) -> dict[str, Any]:
    found: dict[str, Any] = mlflow.get("runs/get", run_id=run)["run"]["data"]
    return {kind: {one["key"]: one["value"] for one in values} for kind, values in found.items()}


def test_a_run_from_start_to_end(mlflow: Protocol) -> None:
    made = mlflow.post(
        "runs/create",
        experiment_id="0",
        user_id="ada",
        start_time=T,
        run_name="first",
        tags=[{"key": "a", "value": "1"}, {"key": "mlflow.runName", "value": "first"}],
    )["run"]
    info = made["info"]
    assert info["run_id"] == info["run_uuid"] and len(info["run_id"]) == 32
    assert {k: info[k] for k in ("run_name", "user_id", "status", "start_time", "lifecycle_stage")} == {
        "run_name": "first", "user_id": "ada", "status": "RUNNING", "start_time": T, "lifecycle_stage": "active",
    }  # fmt: skip
    assert "end_time" not in info
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/{info['run_id']}/artifacts"
    assert {one["key"]: one["value"] for one in made["data"]["tags"]} == {"a": "1", "mlflow.runName": "first"}
    assert "params" not in made["data"] and "metrics" not in made["data"]
    ended = mlflow.post("runs/update", run_id=info["run_id"], status="FINISHED", end_time=T + 5)["run_info"]
    assert (ended["status"], ended["end_time"]) == ("FINISHED", T + 5)
    again = mlflow.post("runs/update", run_uuid=info["run_id"], run_name="second")["run_info"]
    assert (again["run_name"], again["status"], again["end_time"]) == ("second", "FINISHED", T + 5)
    assert data(mlflow, info["run_id"])["tags"]["mlflow.runName"] == "second"
    reopened = mlflow.post("runs/update", run_id=info["run_id"], status=1)["run_info"]
    assert (reopened["status"], "end_time" in reopened) == ("RUNNING", False)


def test_a_run_without_a_name_gets_one_and_two_names_must_agree(mlflow: Protocol) -> None:
    info = mlflow.post("runs/create", experiment_id="0")["run"]["info"]
    assert info["run_name"] and info["start_time"] > 0
    tags = [{"key": "mlflow.runName", "value": "b"}]
    assert "different values" in mlflow.refused(
        "POST", "runs/create", experiment_id="0", run_name="a", tags=tags
    )
    named = mlflow.post("runs/create", experiment_id="0", tags=tags)["run"]
    assert named["info"]["run_name"] == "b"
    mlflow.post("runs/set-tag", run_id=info["run_id"], key="mlflow.runName", value="c")
    assert mlflow.get("runs/get", run_id=info["run_id"])["run"]["info"]["run_name"] == "c"


def test_params_are_written_once(mlflow: Protocol, run: str) -> None:
    for _ in range(2):
        assert mlflow.post("runs/log-parameter", run_id=run, key="p", value="1") == {}
    message = mlflow.refused("POST", "runs/log-parameter", run_id=run, key="p", value="2")
    assert message.startswith(
        f"Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='{run}'."
        " Attempted logging new value '2'."
    )
    mlflow.post("runs/log-parameter", run_id=run, key="empty", value="")
    mlflow.post("runs/log-parameter", run_id=run, key="long", value="x" * 7000)
    assert {key: len(value) for key, value in data(mlflow, run)["params"].items()} == {
        "p": 1,
        "empty": 0,
        "long": 6000,
    }
    twice = [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}]
    mlflow.refused("POST", "runs/log-batch", run_id=run, params=twice)
    assert "q" not in data(mlflow, run)["params"]


def test_tags_are_set_and_deleted(mlflow: Protocol, run: str) -> None:
    for value in ("1", "2", "", "x" * 9000):
        mlflow.post("runs/set-tag", run_id=run, key="t", value=value)
        assert data(mlflow, run)["tags"]["t"] == value[:8000]
    mlflow.post("runs/delete-tag", run_id=run, key="t")
    assert "t" not in data(mlflow, run)["tags"]
    assert "No tag with name: t" in mlflow.refused("POST", "runs/delete-tag", 404, run_id=run, key="t")
    assert (
        mlflow.refused("POST", "runs/delete-tag", 404, run_id="none", key="t") == "Run with id=none not found"
    )


def test_the_latest_metric_is_that_of_the_greatest_step_time_and_value(mlflow: Protocol, run: str) -> None:
    points = [(1.0, T, 0), (2.0, T, 5), (3.0, T + 9, 2), (4.0, T - 1, 5), (1.5, T, 5)]
    for value, time, step in points:
        mlflow.post("runs/log-metric", run_id=run, key="m", value=value, timestamp=time, step=step)
    found = mlflow.get("runs/get", run_id=run)["run"]["data"]["metrics"]
    assert found == [{"key": "m", "value": 2.0, "timestamp": T, "step": 5}]
    history = mlflow.get("metrics/get-history", run_id=run, metric_key="m")["metrics"]
    assert [(one["value"], one["timestamp"], one["step"]) for one in history] == sorted(
        points, key=lambda point: (point[1], point[2], point[0])
    )


def test_an_exact_duplicate_counts_once(mlflow: Protocol, run: str) -> None:
    for more in ({}, {"run_uuid": run}):
        mlflow.post("runs/log-metric", run_id=run, key="m", value=1, timestamp=T, step=1, **more)
    mlflow.post("runs/log-batch", run_id=run, metrics=[{"key": "m", "value": 1, "timestamp": T, "step": 1}])
    assert len(mlflow.get("metrics/get-history", run_id=run, metric_key="m")["metrics"]) == 1


def test_what_is_no_finite_number(mlflow: Protocol, run: str) -> None:
    values = {"nan": "NaN", "inf": "Infinity", "ninf": "-Infinity", "neg": -3}
    metrics = [
        {"key": key, "value": value, "timestamp": str(T), "step": "-4"} for key, value in values.items()
    ]
    mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
    largest = 1.7976931348623157e308
    assert data(mlflow, run)["metrics"] == {"inf": largest, "nan": "NaN", "neg": -3, "ninf": -largest}
    assert mlflow.get("metrics/get-history", run_id=run, metric_key="nan")["metrics"] == [
        {"key": "nan", "value": "NaN", "timestamp": T, "step": -4}
    ]


def test_a_metric_that_is_logged_again_for_its_model_counts_once(mlflow: Protocol, run: str) -> None:
    model = mlflow.post("logged-models", experiment_id="0", name="m", source_run_id=run)["model"]["info"][
        "model_id"
    ]
    largest = 1.7976931348623157e308
    for value, again in ((0.5, 0.5), ("Infinity", largest), ("NaN", "NaN")):
        metric = {"key": f"m{value}", "timestamp": T, "step": 1}
        mlflow.post("runs/log-batch", run_id=run, metrics=[{**metric, "value": value}])
        other = {**metric, "value": 0.25, "step": 2}
        known = {**metric, "value": again, "model_id": model}
        mlflow.post("runs/log-batch", run_id=run, metrics=[known, {**other, "model_id": model}])
        native = mlflow.http.get(f"/api/v1/runs/{run}").json()["metrics"][f"m{value}"]
        assert (native["count"], native["last"]) == (2, 0.25)
    measured = mlflow.get(f"logged-models/{model}")["model"]["data"]["metrics"]
    assert [one["value"] for one in measured] == [0.5, 0.25, largest, 0.25, "NaN", 0.25]


def test_a_history_in_pages_and_of_nothing(mlflow: Protocol, run: str) -> None:
    metrics = [{"key": "m", "value": n, "timestamp": T + n, "step": n} for n in range(1000)]
    mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
    found, token = [], ""
    while True:
        page = mlflow.get(
            "metrics/get-history", run_id=run, metric_key="m", max_results=300, page_token=token
        )
        found += page["metrics"]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert [one["step"] for one in found] == list(range(1000))
    assert mlflow.get("metrics/get-history", run_id=run, metric_key="none") == {}
    assert mlflow.get("metrics/get-history", run_id="0" * 32, metric_key="m") == {}
    mlflow.refused("GET", "metrics/get-history", run_id=run, metric_key="m", page_token="nonsense")


@pytest.fixture
def two(mlflow: Protocol) -> list[str]:
    """Two runs with a metric `m` at the steps 0 to 9 and 0 to 19."""
    runs = sorted(mlflow.run() for _ in range(2))
    for run, count in zip(runs, (10, 20), strict=True):
        metrics = [{"key": "m", "value": n, "timestamp": T, "step": n} for n in range(count)]
        mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
    return runs


def test_the_first_points_of_many_runs(mlflow: Protocol, two: list[str]) -> None:
    found = mlflow.get("metrics/get-history-bulk", run_id=two[::-1], metric_key="m", max_results=15)[
        "metrics"
    ]
    assert [(one["run_id"], one["step"]) for one in found] == [
        *((two[0], n) for n in range(10)), *((two[1], n) for n in range(5)),
    ]  # fmt: skip
    mirrored = mlflow.http.get(
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk", params={"run_id": two[:1], "metric_key": "m"}
    )
    assert mirrored.json()["metrics"] == [
        {"key": "m", "value": float(n), "timestamp": T, "step": n, "run_id": two[0]} for n in range(10)
    ]
    for asked, expected in (
        ({"metric_key": "m"}, "must specify at least one run_id"),
        ({"run_id": ["x"] * 101, "metric_key": "m"}, "cannot specify more than"),
        ({"run_id": ["x"]}, "must specify a metric_key"),
    ):
        assert expected in mlflow.refused("GET", "metrics/get-history-bulk", **asked)


def test_points_of_many_runs_at_the_same_steps(mlflow: Protocol, two: list[str]) -> None:
    def steps(runs: list[str], most: int = 5, **more: int) -> list[list[int]]:
        asked = {"run_ids": runs, "metric_key": "m", "max_results": most, **more}
        found = mlflow.get("metrics/get-history-bulk-interval", **asked)["metrics"]
        return [[one["step"] for one in found if one["run_id"] == run] for run in runs]

    assert steps(two[:1]) == [[0, 2, 4, 6, 8, 9]]
    assert steps(two) == [[0, 4, 8, 9], [0, 4, 8, 9, 12, 16, 19]]
    assert steps(two[:1], start_step=0, end_step=4) == [[0, 1, 2, 3, 4]]
    assert steps(two[1:], most=100) == [[*range(20)]]
    again = [{"key": "m", "value": n, "timestamp": T + 1, "step": n} for n in range(10)]
    mlflow.post("runs/log-batch", run_id=two[0], metrics=again)
    assert steps(two[:1]) == [[step for step in (0, 2, 4, 6, 8, 9) for _ in range(2)]]
    own = {"run_ids": two, "metric_key": "m"}
    for asked, expected in (
        ({"metric_key": "m"}, "Missing value for required parameter 'run_ids'."),
        ({"run_ids": two, "metric_key": ""}, "Missing value for required parameter 'metric_key'"),
        ({"run_ids": ["x"] * 101, "metric_key": "m"}, "must specify at most 100 run_ids."),
        ({**own, "max_results": 0}, "max_results must be between 1 and 2500"),
        ({**own, "start_step": 1, "end_step": 0}, "end_step must be greater than start_step. "),
        ({**own, "start_step": 1}, "both must be specified."),
    ):
        assert expected in mlflow.refused("GET", "metrics/get-history-bulk-interval", **asked)


def test_a_batch_is_all_or_nothing(mlflow: Protocol, run: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run, key="p", value="1")
    mlflow.refused(
        "POST",
        "runs/log-batch",
        run_id=run,
        metrics=[{"key": "m", "value": 1, "timestamp": T}],
        params=[{"key": "p", "value": "2"}],
        tags=[{"key": "t", "value": "1"}],
    )
    found = data(mlflow, run)
    assert "metrics" not in found and found["params"] == {"p": "1"} and "t" not in found["tags"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"run_id": None}, "Missing value for required parameter 'run_id'."),
        ({"metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        ({"params": "foo"}, "Invalid value \"foo\" for parameter 'params' supplied"),
        ({"tags": 3}, "Invalid value 3 for parameter 'tags' supplied"),
        (
            {"metrics": [{"key": "mae", "value": 2.5}]},
            'Invalid value [{"key":"mae","value":2.5}] for parameter \'metrics\' supplied',
        ),
        (
            {"metrics": [{"key": "a", "value": 1, "timestamp": T}] * 1001},
            "at most 1000 metrics. Got 1001 metrics",
        ),
        ({"params": [{"key": f"k{n}", "value": ""} for n in range(101)]}, "at most 100 params"),
        ({"tags": [{"key": f"k{n}", "value": ""} for n in range(101)]}, "at most 100 tags"),
        (
            {"metrics": [{"key": "../a", "value": 1, "timestamp": T}]},
            "Invalid value \"../a\" for parameter 'metrics[0].name' supplied: Names may be",
        ),
        ({"params": [{"key": "a//b", "value": "1"}]}, "This name would resolve to 'a/b'"),
        ({"tags": [{"key": "k" * 251, "value": "1"}]}, "'key' exceeds the maximum length of 250 characters"),
        ({"metrics": [{"key": "a", "value": 1, "timestamp": T, "step": 2**63}]}, "beyond 64 bits"),
        ({"params": [{"key": "a", "value": "b\0"}]}, "NUL"),
    ],
)
def test_batches_that_are_refused(mlflow: Protocol, run: str, body: dict[str, Any], expected: str) -> None:
    assert expected in mlflow.refused("POST", "runs/log-batch", **{"run_id": run, **body})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"key": "k", "value": 1}, "Missing value for required parameter 'timestamp'."),
        ({"value": 1, "timestamp": T}, "Missing value for required parameter 'key'."),
        ({"key": 31, "value": 1, "timestamp": T}, "Invalid value 31 for parameter 'key' supplied"),
        (
            {"key": "k", "value": "abc", "timestamp": T},
            "Invalid value \"abc\" for parameter 'value' supplied",
        ),
        (
            {"key": "k", "value": 1, "timestamp": "x"},
            "Invalid value \"x\" for parameter 'timestamp' supplied",
        ),
        (
            {"key": "k", "value": 1, "timestamp": T, "step": "foo"},
            "Invalid value \"foo\" for parameter 'step' supplied",
        ),
    ],
)
def test_metrics_that_are_refused(mlflow: Protocol, run: str, body: dict[str, Any], expected: str) -> None:
    assert expected in mlflow.refused("POST", "runs/log-metric", run_id=run, **body)


def test_a_deleted_run_takes_no_writes_until_it_is_restored(mlflow: Protocol, run: str) -> None:
    for _ in range(2):
        assert mlflow.post("runs/delete", run_id=run) == {}
    for path, body in (
        ("log-metric", {"key": "m", "value": 1, "timestamp": T}),
        ("log-parameter", {"key": "p", "value": "1"}),
        ("set-tag", {"key": "t", "value": "1"}),
        ("update", {"status": "FINISHED"}),
    ):
        assert "must be in the 'active' state" in mlflow.refused("POST", f"runs/{path}", run_id=run, **body)
    for _ in range(2):
        assert mlflow.post("runs/restore", run_id=run) == {}
    mlflow.post("runs/set-tag", run_id=run, key="t", value="1")
    mlflow.refused("POST", "runs/delete", 404, run_id="0" * 32)


def test_inputs_and_outputs(mlflow: Protocol, run: str) -> None:
    dataset = {"name": "train", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}"}
    used = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]
    model = mlflow.post("logged-models", experiment_id="0", name="m", source_run_id=run)["model"]["info"][
        "model_id"
    ]
    for _ in range(2):
        mlflow.post("runs/log-inputs", run_id=run, datasets=used, models=[{"model_id": model}])
        mlflow.post("runs/outputs", run_id=run, models=[{"model_id": model, "step": 3}])
    found = mlflow.get("runs/get", run_id=run)["run"]
    assert found["inputs"] == {"dataset_inputs": used, "model_inputs": [{"model_id": model}]}
    assert found["outputs"] == {"model_outputs": [{"model_id": model, "step": 3}]}
    summary = [{"experiment_id": "0", "name": "train", "digest": "abc", "context": "training"}]
    assert mlflow.post("experiments/search-datasets", experiment_ids=["0"])["dataset_summaries"] == summary
    too_many = [{"dataset": {**dataset, "digest": str(n)}} for n in range(1001)]
    mlflow.refused("POST", "runs/log-inputs", run_id=run, datasets=too_many)
    mlflow.refused(
        "POST", "runs/log-inputs", run_id=run, datasets=[{"dataset": {**dataset, "name": "x" * 501}}]
    )
    assert "'datasets'" in mlflow.refused("POST", "runs/log-inputs", run_id=run)
    mlflow.refused("POST", "runs/outputs", 404, run_id=run, models=[{"model_id": "m-" + "0" * 32}])


def test_older_clients_note_their_models_in_a_tag(mlflow: Protocol, run: str) -> None:
    noted = '{"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": "x"}'
    for _ in range(2):
        mlflow.post("runs/log-model", run_id=run, model_json=noted)
    assert data(mlflow, run)["tags"]["mlflow.log-model.history"].count('"artifact_path":"m"') == 2
    for broken in ("nonsense", "[]", "{}"):
        assert "Malformed model info" in mlflow.refused(
            "POST", "runs/log-model", run_id=run, model_json=broken
        )


# Search


@pytest.fixture
def three(mlflow: Protocol) -> dict[str, str]:
    """Runs a, b, c: metrics m = 1, NaN, none; params p = x, Y, none; each with a tag t of its own name."""
    made = {}
    for at, (name, metric, param) in enumerate((("a", 1.0, "x"), ("b", "NaN", "Y"), ("c", None, None))):
        run = mlflow.post(
            "runs/create", experiment_id="0", start_time=T + at, run_name=name, user_id=name * 2
        )
        made[name] = run["run"]["info"]["run_id"]
        body: dict[str, Any] = {"tags": [{"key": "t", "value": name}, {"key": "a b", "value": "v"}]}
        if metric is not None:
            body |= {
                "metrics": [{"key": "m/1", "value": metric, "timestamp": T}],
                "params": [{"key": "p", "value": param}],
            }
        mlflow.post("runs/log-batch", run_id=made[name], **body)
    mlflow.post("runs/update", run_id=made["a"], status="FINISHED", end_time=T + 50)
    used = [{"dataset": {"name": "d", "digest": "1", "source_type": "l", "source": "s"},
             "tags": [{"key": "mlflow.data.context", "value": "eval"}]}]  # fmt: skip
    mlflow.post("runs/log-inputs", run_id=made["b"], datasets=used)
    return made


def found_names(answer: dict[str, Any]) -> str:
    return "".join(run["info"]["run_name"] for run in answer.get("runs", []))


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("", "cba"),
        ("metrics.`m/1` > 0.5", "a"),
        ('metric."m/1" <= 1e0', "a"),
        ("metrics.`m/1` != 1", "b"),
        ("metrics.none > 0", ""),
        ("params.p = 'x'", "a"),
        ("param.p != 'x'", "b"),
        ("parameters.p ILIKE 'y'", "b"),
        ("params.p LIKE 'y'", ""),
        ("params.p IS NULL", "c"),
        ("params.p IS NOT NULL", "ba"),
        ("params.p='x'   and\ttags.t ='a'", "a"),
        ('tags."a b" = "v"', "cba"),
        ("tag.t LIKE '%'", "cba"),
        ("tags.t = 'a' AND tags.t = 'b'", ""),
        ("attributes.run_name = 'b'", "b"),
        ("run_name ILIKE 'B'", "b"),
        ("attributes.`Run name` LIKE 'c%'", "c"),
        ("tags.mlflow.runName = 'c'", "c"),
        ("tags.`mlflow.runName` LIKE 'b'", "b"),
        ("status = 'FINISHED'", "a"),
        ("attributes.status != 'FINISHED'", "cb"),
        ("start_time > 1760000000000 AND attr.start_time <= 1760000000001", "b"),
        ("Created >= 1760000000002", "c"),
        ("end_time > 0", "a"),
        ("user_id = 'bb'", "b"),
        ("dataset.name = 'd' and datasets.digest IN ('1', '2')", "b"),
        ("dataset.context ILIKE 'EV%'", "b"),
        ("dataset.name != 'd'", ""),
        ("max.`m/1` >= 1 AND count.`m/1` = 1", "a"),
        ("min.`m/1` < 1", ""),
        ("min.`m/1` = 'x'", None),
        ("params.p = 'x''", None),
        ("metrics.`m/1` > 'a'", None),
        ("metrics.m1 LIKE 'a'", None),
        ("params.p > 'x'", None),
        ("params.p = x", None),
        ("foo.bar = 'x'", None),
        ("attributes.nothing = 'x'", None),
        ("params.p = 'x' OR params.p = 'y'", None),
        ("params.p", None),
        ("params.p = 'x' AND", None),
        ("params. = 'x'", None),
        ("run_id IN ('a'", None),
        ("run_name IN ('a')", None),
        ("dataset.source = 'x'", None),
        ("start_time = 'x'", None),
    ],
)
def test_a_filter(mlflow: Protocol, three: dict[str, str], filter: str, expected: str | None) -> None:
    asked = {"experiment_ids": ["0"], "filter": filter}
    if expected is None:
        mlflow.refused("POST", "runs/search", **asked)
    else:
        assert found_names(mlflow.post("runs/search", **asked)) == expected


def test_a_filter_by_id_and_by_where_artifacts_are(mlflow: Protocol, three: dict[str, str]) -> None:
    listed = ", ".join(f"'{three[name]}'" for name in "ac")
    for filter, expected in (
        (f"run_id IN ({listed})", "ca"),
        (f"attributes.run_id NOT IN ({listed})", "b"),
        (f"run_id = '{three['b']}'", "b"),
        (f"artifact_uri = 'mlflow-artifacts:/0/{three['a']}/artifacts'", "a"),
        ("artifact_uri LIKE 'mlflow-artifacts:/0/%'", "cba"),
    ):
        assert found_names(mlflow.post("runs/search", experiment_ids=["0"], filter=filter)) == expected
    many = ",".join(f"'{n:032x}'" for n in range(5000))
    assert found_names(mlflow.post("runs/search", experiment_ids=["0"], filter=f"run_id IN ({many})")) == ""


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["metrics.`m/1`"], "abc"),
        (["metrics.`m/1` DESC"], "abc"),
        (["params.p"], "bac"),
        (["params.p desc"], "abc"),
        (["tags.t DESC"], "cba"),
        (["attributes.start_time ASC"], "abc"),
        (["run_name DESC"], "cba"),
        (["end_time", "start_time"], "abc"),
        (["status", "run_name DESC"], "acb"),
        (["metrics.none", "tags.`mlflow.runName`"], "abc"),
        (["metrics.`m/1`", "metrics.`m/1`"], None),
        (["nothing"], None),
        ([""], None),
        (["metrics.a SIDEWAYS"], None),
    ],
)
def test_an_order(mlflow: Protocol, three: dict[str, str], order: list[str], expected: str | None) -> None:
    asked = {"experiment_ids": ["0"], "order_by": order}
    if expected is None:
        mlflow.refused("POST", "runs/search", **asked)
    else:
        assert found_names(mlflow.post("runs/search", **asked)) == expected


def test_pages_views_and_experiments(mlflow: Protocol, three: dict[str, str]) -> None:
    other = mlflow.experiment("other")
    mlflow.run(other, run_name="o")
    mlflow.post("runs/delete", run_id=three["b"])
    asked = {"experiment_ids": ["0"], "order_by": ["run_name"]}
    assert found_names(mlflow.post("runs/search", **asked)) == "ac"
    assert found_names(mlflow.post("runs/search", **asked, run_view_type="DELETED_ONLY")) == "b"
    first = mlflow.post("runs/search", **asked, run_view_type="ALL", max_results=2)
    assert found_names(first) == "ab"
    rest = mlflow.post(
        "runs/search", **asked, run_view_type="ALL", max_results=2, page_token=first["next_page_token"]
    )
    assert found_names(rest) == "c" and "next_page_token" not in rest
    assert found_names(mlflow.post("runs/search", experiment_ids=[other, "0", "77"])) == "cao"
    assert mlflow.post("runs/search") == {}
    for wrong in (
        {"max_results": 0},
        {"max_results": 50_001},
        {"run_view_type": "SOME"},
        {"experiment_ids": 123},
    ):
        mlflow.refused("POST", "runs/search", **wrong)


def test_what_is_no_json_or_of_another_kind(mlflow: Protocol, run: str) -> None:
    url = "/api/2.0/mlflow/runs/set-tag"
    answer = mlflow.http.post(url, content=b"{nonsense", headers={"content-type": "application/json"})
    assert (answer.status_code, "Missing value" in answer.json()["message"]) == (400, True)
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = mlflow.http.post(url, content=b'{"run_id": "a"}', headers={"content-type": media})
        assert answer.status_code == 400 and "Content-Type" in answer.json()["message"]
    deep = b'{"run_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = mlflow.http.post(url, content=deep, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert mlflow.http.get("/api/2.0/mlflow/nothing").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert mlflow.http.get("/api/2.0/mlflow/runs/create").status_code == 405

"""The inference server as a real process against a real control plane."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.serving.plane import ENDPOINT, Plane, Replica, infer_body, wait_until

INFER = f"/v2/models/{ENDPOINT}/infer"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    running = Plane(tmp_path_factory.mktemp("plane"))
    for seed in (0, 1):
        assert running.add_version(seed).status == "ready"
    running.deploy(1)
    yield running
    running.close()


@pytest.fixture(scope="module")
def replica(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with Replica(plane, tmp_path_factory.mktemp("replica")) as running:
        running.wait_live(1)
        yield running


def test_v2_answers_with_label_probabilities_and_the_prediction_id(replica: Replica) -> None:
    status, headers, body = replica.infer(infer_body(x=3.0, id="mine"))
    assert status == 200
    request_id = headers["x-holdfast-request-id"]
    assert body["parameters"]["prediction_id"] == f"{request_id}.0"
    assert (body["id"], body["model_name"], body["model_version"]) == ("mine", ENDPOINT, "1")
    label, probabilities = body["outputs"]
    assert (label["data"], label["datatype"]) == ([1], "INT64")
    assert probabilities["shape"] == [1, 2]
    assert sum(probabilities["data"]) == pytest.approx(1, abs=1e-6)


def test_invocations_answer_as_mlflow_does(replica: Replica) -> None:
    body = json.dumps({"dataframe_split": {"columns": ["y", "x"], "data": [[0, 3], [0, -3]]}}).encode()
    status, headers, answer = replica.request("POST", f"/invocations/{ENDPOINT}", body)
    assert (status, answer) == (200, {"predictions": [1, 0]})
    assert "x-holdfast-request-id" in headers


def test_health_and_metadata(replica: Replica) -> None:
    assert replica.get("/v2/health/live") == (200, {"live": True})
    assert replica.get("/v2/health/ready") == (200, {"ready": True})
    assert replica.get("/v2")[1]["name"] == "holdfast"
    status, metadata = replica.get(f"/v2/models/{ENDPOINT}")
    assert status == 200
    assert metadata["inputs"] == [
        {"name": "x", "datatype": "FP64", "shape": [-1]},
        {"name": "y", "datatype": "FP64", "shape": [-1]},
    ]
    assert metadata["versions"] == ["1"]
    assert replica.get(f"/v2/models/{ENDPOINT}/versions/1") == (200, metadata)
    assert replica.get(f"/v2/models/{ENDPOINT}/ready")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "named"),
    [
        ("/v2/models/nope/infer", infer_body(), {}, 404, "'nope'"),
        (f"/v2/models/{ENDPOINT}/versions/9/infer", infer_body(), {}, 404, "version '9'"),
        ("/v2/models/delays/infer/more", infer_body(), {}, 404, "POST"),
        (INFER, infer_body(), {"content-type": "text/csv"}, 400, "'text/csv'"),
        (INFER, infer_body()[:-10], {}, 400, "not valid JSON"),
        (INFER, infer_body().replace(b"0.5", b"NaN"), {}, 400, "null"),
        (INFER, infer_body().replace(b"0.5", b'"fast"'), {}, 400, "'fast'"),
        (INFER, infer_body().replace(b'"y"', b'"z"'), {}, 400, "'z'"),
        (INFER, b"x" * 10_000_000, {}, 413, "8388608 bytes"),
        (INFER, infer_body(), {"host": "evil.example"}, 403, "evil.example"),
        (INFER, infer_body(), {"origin": "http://evil.example"}, 403, "evil.example"),
        (f"/invocations/{ENDPOINT}", b"{}", {}, 400, "dataframe_split"),
    ],
)
def test_bad_requests_are_refused_by_name(
    replica: Replica, path: str, body: bytes, headers: dict[str, str], status: int, named: str
) -> None:
    found, answered, answer = replica.request(
        "POST", path, body, {"content-type": "application/json", **headers}
    )
    assert found == status
    assert named in answer["error"]
    assert answer["error"] == f"{answer['message']} {answer.get('hint', '')}".rstrip()
    assert answer["request_id"] == answered["x-holdfast-request-id"]


def test_clients_of_the_protocol_may_leave_the_content_type_out(replica: Replica) -> None:
    assert replica.request("POST", INFER, infer_body(), {"x-from": "tritonclient"})[0] == 200
    binary = {"content-type": "application/octet-stream", "inference-header-content-length": "10"}
    found, _, answer = replica.request("POST", INFER, infer_body(), binary)
    assert (found, answer["code"]) == (400, "invalid_input")
    assert "binary_data=False" in answer["error"]


def test_a_body_that_ends_early_is_not_an_error_of_the_endpoint(replica: Replica) -> None:
    before = _errors(replica)
    with socket.create_connection(("127.0.0.1", replica.port)) as sock:
        sock.sendall(
            f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n{".encode()
        )
    assert replica.infer(infer_body())[0] == 200
    assert _errors(replica) == before


def _errors(replica: Replica) -> str:
    return next(
        line
        for line in replica.get("/metrics")[1].splitlines()
        if line.startswith("holdfast_inference_errors")
    )


def test_metrics_count_requests_rows_and_errors(replica: Replica) -> None:
    text = replica.get("/metrics")[1]
    for name in (
        "requests_total",
        "rows_total",
        "duration_seconds_bucket",
        "generation",
        "log_bytes",
        "endpoint_live",
    ):
        assert f"holdfast_inference_{name}" in text


def test_answers_are_not_delayed(replica: Replica) -> None:
    connection = replica.connect()
    took = []
    for _ in range(30):
        started = time.perf_counter()
        connection.request("POST", INFER, infer_body(), {"content-type": "application/json"})
        connection.getresponse().read()
        took.append(time.perf_counter() - started)
    connection.close()
    assert sorted(took)[15] < 0.02  # Nagle with delayed acknowledgement would add 40 ms


def test_everything_answered_arrives_in_delta_with_what_was_sent(plane: Plane, tmp_path: Path) -> None:
    plane.deploy(1, "replayed")
    with Replica(plane, tmp_path / "replica") as replica:
        replica.wait_live(1, "replayed")
        ids = []
        for row in range(20):
            parameters = {"key": f"k{row}", "event_time": 1_356_998_400_000 + row}
            status, _, body = replica.infer(infer_body(x=row - 10.0, parameters=parameters), "replayed")
            assert status == 200
            ids.append(body["parameters"]["prediction_id"])
        many = {
            "inputs": [
                {"name": "x", "shape": [5000], "datatype": "FP64", "data": [1.5] * 5000},
                {"name": "y", "shape": [5000], "datatype": "FP64", "data": [None] * 4999 + [0.25]},
                {
                    "name": "holdfast_key",
                    "shape": [5000],
                    "datatype": "BYTES",
                    "data": [f"b{row}" for row in range(5000)],
                },
            ]
        }
        bad = replica.infer(json.dumps(many).encode(), "replayed")
        assert bad[0] in (200, 400)
        many["inputs"][1]["data"] = [0.5] * 5000
        status, headers, body = replica.infer(json.dumps(many).encode(), "replayed")
        assert (status, len(body["outputs"][2]["data"])) == (200, 5000)
        assert replica.infer(infer_body().replace(b"0.5", b'"fast"'), "replayed")[0] == 400
        assert replica.stop() == 0
    plane.compact()
    rows = pl.read_delta(str(plane.tables("replayed")[0])).sort("logged_at", "prediction_id")
    assert set(ids) <= set(rows["prediction_id"])
    first = rows.filter(pl.col("prediction_id") == ids[0]).row(0, named=True)
    assert (first["key"], first["event_time"], first["in_x"], first["prediction"]) == (
        "k0",
        1_356_998_400_000,
        -10.0,
        "0",
    )
    assert first["score"] == pytest.approx(first["score_1"])
    batch = rows.filter(pl.col("prediction_id").str.starts_with(headers["x-holdfast-request-id"]))
    assert batch.height == 5000
    failed = rows.filter(pl.col("status") == 400)
    assert failed["event_time"].max() == 1_356_998_400_019  # the last one seen: a failure moves no clock
    assert "'fast'" in failed["reason"][-1]


def test_it_starts_and_serves_without_the_control_plane(plane: Plane, tmp_path: Path) -> None:
    plane.deploy(1)
    replica = Replica(plane, tmp_path / "replica")
    with replica:
        replica.wait_live(1)
    plane.stop()
    try:
        with replica:
            replica.wait_live(1)
            status, _, body = replica.infer(infer_body())
            assert status == 200
    finally:
        plane.start()
    wait_id = body["parameters"]["prediction_id"]
    with Replica(
        plane, tmp_path / "replica", name="renamed"
    ):  # what it logged before goes under its old name
        wait_until(
            "the leftovers shipped", lambda: not list((tmp_path / "replica" / "spool").glob("*/*/*.seg"))
        )
    plane.compact()
    assert wait_id in pl.read_delta(str(plane.tables()[0]))["prediction_id"].to_list()


def test_a_damaged_model_on_disk_is_fetched_again(plane: Plane, tmp_path: Path) -> None:
    replica = Replica(plane, tmp_path / "replica")
    with replica:
        replica.wait_live(1)
    (model,) = (tmp_path / "replica" / "models").glob("*/model.onnx")
    model.write_bytes(b"rubbish")
    with replica:
        replica.wait_live(1)
        assert replica.infer(infer_body())[0] == 200


def test_supervised_it_ends_with_its_parent(plane: Plane, tmp_path: Path) -> None:
    replica = Replica(plane, tmp_path / "replica", supervised=True).start()
    assert replica.process is not None
    assert replica.process.stdin is not None
    replica.process.stdin.close()
    assert replica.process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "BUSY"], "in use"),
        (["--token-file", "/proc/nowhere"], "can't be read"),
        (["--data", "/proc/nowhere"], "can't be written"),
    ],
)
def test_what_keeps_it_from_starting_is_named(
    replica: Replica, plane: Plane, tmp_path: Path, options: list[str], named: str
) -> None:
    options = [str(replica.port) if option == "BUSY" else option for option in options]
    command = [
        sys.executable,
        "-m",
        "holdfast.app",
        "inference",
        "--server",
        plane.url,
        "--data",
        str(tmp_path),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert named in done.stderr


def test_two_servers_can_not_share_a_data_folder(replica: Replica, plane: Plane) -> None:
    command = [
        sys.executable,
        "-m",
        "holdfast.app",
        "inference",
        "--server",
        plane.url,
        "--data",
        str(replica.data),
    ]
    done = subprocess.run([*command, "--port", "1"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "another inference server" in done.stderr) == (1, True)


def test_at_rest_it_holds_no_numpy_and_little_memory(tmp_path: Path) -> None:
    command = (
        "import sys; import holdfast.serving.inference.server; loaded = {m.split('.')[0] for m in sys.modules}; "
        "print(sorted(loaded & {'numpy', 'onnxruntime', 'polars', 'sqlalchemy', 'starlette'}))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

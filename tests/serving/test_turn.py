"""Rows of one turn of the event loop: run and logged together, answered or refused one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import InvalidInput
from holdfast.predictions.segments import Batch, Schema, scan
from holdfast.runtimes.onnx_runtime import OnnxRuntime
from holdfast.runtimes.records import Column, Deployable, Output, Outputs, Parity, Signature
from holdfast.serving.inference.app import InferenceApp
from holdfast.serving.inference.authorize import Authorizer, CallerAccess
from holdfast.serving.inference.endpoints import Endpoint, Endpoints
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.predict import Predictor
from holdfast.serving.inference.spool import SpoolWriter
from holdfast.serving.inference.turn import Turn
from holdfast.serving.records import INFERENCE_PERMISSIONS, DesiredEndpoint
from holdfast.web.hosts import Hosts

SIGNATURE = Signature(
    (Column("x", "double"), Column("n", "long")),
    (Output("label", "long"), Output("probabilities", "double", (-1, 2))),
)
DEPLOYABLE = Deployable(1, "onnx", Parity(True, "", 0, 0.0, 0.0, {}, 0), SIGNATURE, "binary", (0, 1), 1)
REFUSED = 13.0


class Watched(OnnxRuntime):
    """Notes the size of every run; refuses a run with the row x = 13, as a graph refuses a value it can't take."""

    def __init__(self, model: bytes) -> None:
        super().__init__(model, DEPLOYABLE)
        self.runs: list[int] = []

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Outputs:
        self.runs.append(len(rows))
        if any(row[0] == REFUSED for row in rows):
            raise InvalidInput("The model refuses the rows: 13")
        return super().predict_rows(rows)


@pytest.fixture(scope="module")
def onnx() -> bytes:
    """A logistic regression of x and n."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2))
    model = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
    converted = convert_sklearn(
        model,
        initial_types=[("holdfast_features", DoubleTensorType([None, 2]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    data: bytes = converted.SerializeToString()
    return data


class Everybody(Authorizer):
    """Lets everybody predict in the workspace `default`."""

    def __init__(self) -> None:
        """Asks nobody."""

    async def access(self, _header: bytes) -> CallerAccess:
        return CallerAccess({"default": frozenset(INFERENCE_PERMISSIONS)})


class Bench:
    """The application with its endpoints, without a socket: `turn` starts requests that are decoded in one turn."""

    def __init__(self, folder: Path, onnx: bytes) -> None:
        self.folder = folder
        self.onnx = onnx
        self.in_flight = 0
        self.endpoints = Endpoints(lambda _: pytest.fail("nothing is loaded"), self._writer, lambda: None)
        predictor = Predictor(self.endpoints, ManualClock(), Turn(ManualClock(), lambda: self.in_flight))
        self._app = InferenceApp(self.endpoints, predictor, Everybody(), Hosts(), 1 << 20, list)

    def _writer(self, endpoint_id: str) -> SpoolWriter:
        return SpoolWriter(self.folder, endpoint_id, "local", "b1", 1 << 20, lambda: None)

    def add(self, name: str) -> Watched:
        endpoint = Endpoint(self._desired(name, 1), self._writer(name))
        self.endpoints.by_name[name] = endpoint
        return self.swap(name, 1)

    def swap(self, name: str, version: int) -> Watched:
        endpoint, runtime = self.endpoints.by_name[name], Watched(self.onnx)
        endpoint.model = Model(self._desired(name, version), DEPLOYABLE, runtime)
        endpoint.state = "live"
        return runtime

    def _desired(self, name: str, version: int) -> DesiredEndpoint:
        return DesiredEndpoint(
            endpoint_id=name,
            deployment_id=f"d{version}",
            name=name,
            workspace="default",
            model="m",
            version=version,
            deployable_digest="0" * 64,
            runtime="onnx",
            clock="event",
            files=[],
            signature={},
        )

    async def post(self, body: bytes, path: str) -> tuple[int, Any]:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def turn(self, *requests: tuple[str, bytes]) -> list[tuple[int, Any]]:
        return await asyncio.gather(*(self.post(body, f"/v2/models/{name}/infer") for name, body in requests))

    def logged(self, name: str) -> list[Any]:
        (path,) = self.folder.glob(f"{name}/b1/*.open")
        found = scan(path.read_bytes())
        assert (found.damages, found.torn) == ([], 0)
        return found.records


@pytest.fixture
def bench(tmp_path: Path, onnx: bytes) -> Iterator[Bench]:
    made = Bench(tmp_path, onnx)
    yield made
    for endpoint in made.endpoints.by_name.values():
        endpoint.writer.close()


def row(x: Any, n: Any = 1, **more: Any) -> bytes:
    tensors = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in (("x", x), ("n", n))
    ]
    return json.dumps({"inputs": tensors, **more}).encode()


def test_rows_of_one_turn_run_once_and_each_gets_its_own_answer(bench: Bench, onnx: bytes) -> None:
    runtime = bench.add("a")
    values = [-3.0, -1, 0.5, 3.0, None]
    answers = asyncio.run(bench.turn(*(("a", row(x, id=f"r{x}")) for x in values)))
    assert runtime.runs == [5]
    assert [(status, body["id"]) for status, body in answers[:4]] == [(200, f"r{x}") for x in values[:4]]
    assert [body["outputs"][0]["data"] for _, body in answers[:4]] == [[0], [0], [1], [1]]
    for x, (_, body) in zip(values[:4], answers, strict=False):
        alone = Watched(onnx).predict({"x": [float(x)], "n": [1]})
        assert body["outputs"][1]["data"] == pytest.approx(alone.probabilities[0], abs=1e-12)
    schema, *batches = bench.logged("a")
    assert isinstance(schema, Schema)
    ids = [f"{batch.request_id}.0" for batch in batches]
    assert ids == [body["parameters"]["prediction_id"] for _, body in answers]
    assert [batch.columns for batch in batches[:4]] == [[[float(x)], [1]] for x in values[:4]]
    assert batches[0].scores == [[value] for value in answers[0][1]["outputs"][1]["data"]]


def test_a_bad_row_fails_alone(bench: Bench) -> None:
    runtime = bench.add("a")
    bodies = [
        row(1.0),
        row("fast"),
        row(2.0, 0.5),
        row(1.0, n=2**63),
        row(-1.0),
        row(1.0, parameters={"key": ""}),
    ]
    answers = asyncio.run(bench.turn(*(("a", body) for body in bodies)))
    assert [status for status, _ in answers] == [200, 400, 400, 400, 200, 400]
    for at, named in (
        (1, "'x' takes finite numbers; row 0 has 'fast'"),
        (2, "'n'.*0.5"),
        (3, "'n'"),
        (5, "'key'"),
    ):
        with pytest.raises(InvalidInput, match=named):
            raise InvalidInput(answers[at][1]["error"])
    assert runtime.runs == [2]
    records = bench.logged("a")
    assert sum(isinstance(record, Batch) for record in records) == 2


def test_a_row_that_the_model_refuses_fails_alone(bench: Bench) -> None:
    runtime = bench.add("a")
    answers = asyncio.run(bench.turn(("a", row(1.0)), ("a", row(REFUSED)), ("a", row(-1.0))))
    assert [status for status, _ in answers] == [200, 400, 200]
    assert runtime.runs == [3, 1, 1, 1]
    assert sum(isinstance(record, Batch) for record in bench.logged("a")) == 2


def test_two_endpoints_in_one_turn_run_and_log_apart(bench: Bench) -> None:
    one, other = bench.add("a"), bench.add("b")
    answers = asyncio.run(bench.turn(*((name, row(1.0)) for name in "abab")))
    assert [(status, body["model_name"]) for status, body in answers] == [(200, name) for name in "abab"]
    assert (one.runs, other.runs) == ([2], [2])
    assert [len(bench.logged(name)) for name in "ab"] == [3, 3]


def test_a_swap_within_a_turn_answers_each_row_with_the_version_it_met(bench: Bench) -> None:
    first = bench.add("a")
    swapped: list[Watched] = []

    async def run() -> list[tuple[int, Any]]:
        loop, path = asyncio.get_running_loop(), "/v2/models/a/infer"
        before = loop.create_task(bench.post(row(1.0), path))
        loop.call_soon(lambda: swapped.append(bench.swap("a", 2)))
        after = loop.create_task(bench.post(row(1.0), path))
        return [await before, await after]

    answers = asyncio.run(run())
    assert [(status, body["model_version"]) for status, body in answers] == [(200, "1"), (200, "2")]
    assert (first.runs, swapped[0].runs) == ([1], [1])
    kinds = [type(record) for record in bench.logged("a")]
    assert kinds == [Schema, Batch, Schema, Batch]


def test_a_lone_request_does_not_wait_for_the_end_of_the_turn(bench: Bench) -> None:
    bench.in_flight = 1
    bench.add("a")
    steps: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().call_soon(steps.append, "next turn")
        assert (await bench.post(row(1.0), "/v2/models/a/infer"))[0] == 200
        steps.append("answered")

    asyncio.run(run())
    assert steps[0] == "answered"


def test_an_unwritable_log_refuses_the_whole_turn_and_keeps_nothing_of_it(
    bench: Bench, tmp_path: Path
) -> None:
    bench.add("a")
    (tmp_path / "a").write_bytes(b"where the log's folder should be")
    answers = asyncio.run(bench.turn(("a", row(1.0)), ("a", row(2.0))))
    assert [(status, "log can't be written" in body["error"]) for status, body in answers] == [
        (503, True)
    ] * 2


def test_invocations_of_one_row_join_the_turn(bench: Bench) -> None:
    runtime = bench.add("a")
    body = json.dumps({"dataframe_records": [{"x": 3.0, "n": 1}]}).encode()

    async def run() -> list[tuple[int, Any]]:
        return await asyncio.gather(
            bench.post(body, "/invocations/a"), bench.post(row(3.0), "/v2/models/a/infer")
        )

    answers = asyncio.run(run())
    assert answers[0] == (200, {"predictions": [1]})
    assert answers[1][1]["outputs"][0]["data"] == [1]
    assert runtime.runs == [2]

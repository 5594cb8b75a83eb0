from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.client import Client, Endpoint
from holdfast.client.bulk import FileColumns, Rows, feedback_rows, predict_all, rows_of
from holdfast.client.tables import Batch
from holdfast.kernel.errors import InvalidInput, Unavailable

_SIGNATURE = {
    "inputs": [{"name": "a", "type": "double"}, {"name": "c", "type": "string"}],
    "outputs": [{"name": "label", "type": "long"}],
}
_ENDPOINT = Endpoint("e", signature=_SIGNATURE, status="live")
_FILE = Path("f.csv")


@pytest.fixture
def serving(plane):
    """An inference server that answers each row with its input `a`, on the same port as the control plane."""
    plane.on("GET /api/v1/serving", (200, {"inference_url": plane.url}))
    plane.on("GET /api/v1/endpoints/e", (200, {"name": "e", "signature": _SIGNATURE}))

    def infer(seen):
        values = json.loads(seen.body)["inputs"][0]["data"]
        outputs = [
            {"name": "label", "datatype": "INT64", "shape": [len(values)], "data": values},
            {"name": "probabilities", "datatype": "FP64", "shape": [len(values), 2], "data": [0.25, 0.75] * len(values)},
        ]  # fmt: skip
        headers = {"X-Holdfast-Request-Id": f"q{values[0]}"}
        return 200, (json.dumps({"model_version": "3", "outputs": outputs}).encode(), headers)

    plane.routes["POST /v2/models/e/infer"] = infer
    return plane


def test_a_prediction_names_rows_times_and_missing_values(serving, client: Client) -> None:
    found = client.predict(
        "e", {"a": [1, None], "c": ["x", "y"], "other": [0, 0]}, keys=["k1", "k2"], event_times=[5, 6]
    )
    assert found.labels == [1, None] and found.probabilities == [[0.25, 0.75], [0.25, 0.75]]
    assert found.prediction_ids == ["q1.0", "q1.1"] and found.version == "3"
    assert json.loads(serving.seen[-1].body)["inputs"] == [
        {"name": "a", "datatype": "FP64", "shape": [2], "data": [1, None]},
        {"name": "c", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]},
        {"name": "holdfast_key", "datatype": "BYTES", "shape": [2], "data": ["k1", "k2"]},
        {"name": "holdfast_event_time", "datatype": "INT64", "shape": [2], "data": [5, 6]},
    ]


def test_a_missing_input_is_named(serving, client: Client) -> None:
    with pytest.raises(InvalidInput, match="input 'c' is missing"):
        client.predict("e", {"a": [1]})


def test_without_an_inference_server_the_hint_says_how_to_start_one(plane, client: Client) -> None:
    plane.on("GET /api/v1/serving", (200, {"inference_url": None}))
    plane.on("GET /api/v1/endpoints/e", (200, {"name": "e", "signature": _SIGNATURE}))
    with pytest.raises(Unavailable) as raised:
        client.predict("e", {"a": [1], "c": ["x"]})
    assert "holdfast serve" in raised.value.hint


def test_answers_come_in_the_order_of_the_rows(serving, client: Client) -> None:
    batches = [Rows({"a": [number], "c": ["x"]}) for number in range(30)]
    answers = list(predict_all(client, "e", iter(batches)))
    assert [answer.labels[0] for _, answer in answers] == list(range(30))


def test_a_failed_batch_stops_the_rest(serving, client: Client) -> None:
    wire = {"error": {"code": "invalid_input", "message": "Row 0: no."}}
    serving.on("POST /v2/models/e/infer", (400, wire))
    with pytest.raises(InvalidInput, match="Row 0"):
        list(predict_all(client, "e", (Rows({"a": [1], "c": ["x"]}) for _ in range(1000))))
    assert len(serving.bodies("POST /v2/models/e/infer")) < 20


def test_a_refused_row_is_found_in_its_file(serving, plane, client: Client) -> None:
    serving.on("POST /v2/models/e/infer", (400, {"error": "Row 3 is bad.", "code": "invalid_input",
                                                 "message": "Row 3 is bad."}))  # fmt: skip
    with pytest.raises(InvalidInput) as raised:
        list(predict_all(client, "e", [Rows({"a": [1], "c": ["x"]}, first_row=1001)]))
    assert raised.value.message == "Row 3 is bad." and "row 1001 of the file" in raised.value.hint
    wire = {"code": "invalid_input", "message": "Column 'label', row 1: No such class.", "hint": "They are '0'.",
            "details": {"column": "label", "row": 1, "reason": "No such class."}}  # fmt: skip
    plane.on("POST /api/v1/endpoints/e/feedback", (400, {"error": wire}))
    batch = Batch(11, {"key": ["a", "b", "c"], "label": ["1", "", "x"]})
    with pytest.raises(InvalidInput, match=r"^Row 13 of 'f.csv': No such class\. They are '0'\.$"):
        feedback_rows(client, "e", batch, _FILE, FileColumns())


def test_rows_of_a_file() -> None:
    batch = Batch(
        1, {"a": ["1.5", ""], "c": ["x", "y"], "id": ["7", "8"], "at": ["2013-01-01", "2013-01-02"]}
    )
    rows = rows_of(batch, _ENDPOINT, _FILE, FileColumns(key="id", time="at"))
    times, written = [1356998400000, 1357084800000], ["2013-01-01", "2013-01-02"]
    assert rows == Rows({"a": [1.5, None], "c": ["x", "y"]}, ["7", "8"], times, 1, written)
    assert rows_of(batch, _ENDPOINT, _FILE, FileColumns()).keys is None


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_of_predictions_has_the_times_as_they_came_in(serving, tmp_path: Path, ending: str) -> None:
    (tmp_path / "rows.csv").write_text("a,c,at\n1,x,2013-01-01T10:00:00+01:00\n2,y,1357084800000\n3,z,\n")
    command = [
        "predict",
        "e",
        "rows.csv",
        "--time",
        "at",
        "--output",
        f"out.{ending}",
        "--server",
        serving.url,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / f"out.{ending}").open(newline="") as file:
        rows = list(csv.DictReader(file)) if ending == "csv" else [json.loads(line) for line in file]
    assert [row["event_time"] or "" for row in rows] == ["2013-01-01T10:00:00+01:00", "1357084800000", ""]
    sent = json.loads(next(seen for seen in serving.seen if "infer" in seen.path).body)["inputs"]
    assert next(each["data"] for each in sent if "time" in each["name"])[:2] == [1357030800000, 1357084800000]


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ({"a": ["1"]}, FileColumns(), "lacks the input 'c' of 'e'"),
        ({"a": ["1"], "c": ["x"]}, FileColumns(key="id"), "no column 'id'"),
        ({"a": ["1"], "c": ["x"], "event_time": ["soon"]}, FileColumns(), "event_time 'soon' is not a time"),
    ],
)
def test_a_file_that_does_not_fit(columns: dict, names: FileColumns, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        rows_of(Batch(1, columns), _ENDPOINT, _FILE, names)


def test_labels_of_a_file(plane, client: Client) -> None:
    plane.on("POST /api/v1/endpoints/e/feedback", (200, {"accepted": 2}))
    batch = Batch(1, {"key": ["a", "b", "c"], "y": ["1", "", "0"]})
    assert feedback_rows(client, "e", batch, _FILE, FileColumns(label="y")) == 2
    assert json.loads(plane.seen[-1].body) == {"columns": {"label": ["1", "0"], "key": ["a", "c"]}}
    with pytest.raises(InvalidInput, match=r"Row 2 of 'f.csv' has a label and no 'key'"):
        feedback_rows(client, "e", Batch(1, {"key": ["a", ""], "label": ["1", "0"]}), _FILE, FileColumns())
    with pytest.raises(InvalidInput, match="no column 'label'"):
        feedback_rows(client, "e", batch, _FILE, FileColumns())
    with pytest.raises(InvalidInput, match="neither 'prediction_id' nor 'key'"):
        feedback_rows(client, "e", Batch(1, {"label": ["1"]}), _FILE, FileColumns())


def test_feedback_names_its_predictions_in_one_way(client: Client) -> None:
    for names in ({}, {"keys": ["a"], "prediction_ids": ["b"]}):
        with pytest.raises(InvalidInput, match="exactly one"):
            client.feedback("e", [1], **names)
    with pytest.raises(InvalidInput, match="label 2, key 1"):
        client.feedback("e", [1, 0], keys=["a"])

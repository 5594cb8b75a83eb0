"""Both wire forms: what is accepted, and that what is not is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.records import Column, Deployable, Output, Outputs, Parity, Signature
from holdfast.runtimes.validation import check_columns
from holdfast.serving.inference import invocations, v2
from holdfast.serving.inference.rows import Rows

MIXED = Signature((Column("x", "double"), Column("city", "string")), (Output("label", "long"),))
NUMBERS = Signature((Column("a", "double"), Column("b", "long")), (Output("label", "long"),))
PARITY = Parity(True, "", 0, 0.0, 0.0, {}, 0)
BINARY = Deployable(1, "onnx", PARITY, MIXED, "binary", (0, 1), 1)


def tensor(name: str, data: Any, datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def v2_request(*tensors: dict[str, Any], **body: Any) -> v2.InferRequest:
    return v2.decode(json.dumps({"inputs": list(tensors), **body}).encode())


def v2_rows(signature: Signature, *tensors: dict[str, Any], **body: Any) -> Rows:
    return v2.read_rows(v2_request(*tensors, **body), signature)


X, CITY = tensor("x", [1.5, None]), tensor("city", ["Wien", None], "BYTES")


def test_v2_takes_one_tensor_per_feature() -> None:
    rows = v2_rows(
        MIXED,
        X,
        CITY,
        tensor("holdfast_key", ["a", None], "BYTES"),
        tensor("holdfast_event_time", [5, 6], "INT64"),
    )
    assert rows == Rows({"x": [1.5, None], "city": ["Wien", None]}, 2, ["a", None], [5, 6])


def test_v2_takes_one_row_with_parameters() -> None:
    rows = v2_rows(
        MIXED,
        tensor("x", [1]),
        tensor("city", ["W"], "BYTES"),
        parameters={"key": "k", "event_time": "2013-01-01T00:00:00Z"},
    )
    assert (rows.keys, rows.event_times) == (["k"], [1_356_998_400_000])


@pytest.mark.parametrize("data", [[1.0, 2, 3.0, 4], [[1.0, 2], [3.0, 4]]])
def test_v2_takes_one_matrix_of_numbers(data: Any) -> None:
    rows = v2_rows(NUMBERS, tensor("input-0", data, shape=[2, 2]))
    assert rows.columns == {"a": [1.0, 3.0], "b": [2, 4]}


@pytest.mark.parametrize(
    ("signature", "tensors", "body", "named"),
    [
        (MIXED, [], {}, "no input tensor"),
        (MIXED, [tensor("x", [], shape=[0])], {}, "no rows"),
        (MIXED, [X, X], {}, "'x' stands twice"),
        (MIXED, [tensor("x", [1], shape=[2])], {}, r"'x' has the shape \[2\] and 1 values"),
        (MIXED, [tensor("x", [1], shape=[-1])], {}, r"'x' has the shape \[-1\]"),
        (MIXED, [tensor("x", [1], "DOUBLE")], {}, "'DOUBLE'"),
        (MIXED, [tensor("m", [1, 2], shape=[1, 2])], {}, "'city', which is no number"),
        (NUMBERS, [tensor("m", [1, 2, 3], shape=[1, 3])], {}, "3 columns; the model takes 2"),
        (MIXED, [X, CITY], {"parameters": {"key": "k"}}, "the request has 2"),
        (
            MIXED,
            [X, CITY, tensor("holdfast_key", ["a"], "BYTES")],
            {},
            "'holdfast_key' has 1 values for 2 rows",
        ),
        (MIXED, [X, CITY, tensor("holdfast_key", ["a", ""], "BYTES")], {}, "'holdfast_key', row 1: ''"),
        (MIXED, [X, CITY, tensor("holdfast_event_time", [1, "soon"], "INT64")], {}, "Row 1.*'soon'"),
        (MIXED, [X, CITY], {"parameters": 7}, "parameters"),
    ],
)
def test_v2_names_what_is_wrong(
    signature: Signature, tensors: list[Any], body: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        v2_rows(signature, *tensors, **body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "not valid JSON"),
        (b'{"inputs": [', "not valid JSON"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [NaN]}]}', "send null"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [-Infinity]}]}', "send null"),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1e999]}]}',
            "not valid JSON|does not fit",
        ),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"inputs": 5}', "inputs"),
        (b"[" * 100_000, "not valid JSON|does not fit"),
    ],
)
def test_v2_bodies_that_are_no_requests_are_refused(body: bytes, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        v2.read_rows(v2.decode(body), MIXED)
    assert any(part in str(caught.value) for part in named.split("|"))


def test_a_wrong_value_is_named_by_column_row_and_value() -> None:
    rows = v2_rows(MIXED, tensor("x", [1.0, "fast"]), CITY)
    with pytest.raises(InvalidInput, match=r"'x'.*row 1.*'fast'"):
        check_columns(MIXED, rows.columns)


def test_v2_answers_label_and_probabilities_with_the_prediction_id() -> None:
    request = v2.decode(json.dumps({"id": "mine", "inputs": [X]}).encode())
    body = v2.encode(
        request, BINARY, Outputs([1], [[0.25, 0.75]]), endpoint="f", version="3", request_id="RID"
    )
    assert json.loads(body) == {
        "model_name": "f",
        "model_version": "3",
        "id": "mine",
        "parameters": {"request_id": "RID", "prediction_id": "RID.0"},
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [1, 2], "data": [0.25, 0.75]},
        ],
    }


def test_v2_answers_a_batch_with_all_ids_and_only_the_outputs_asked_for() -> None:
    outputs = Outputs([1, 0], [[0.25, 0.75], [0.5, 0.5]])
    request = v2.decode(json.dumps({"inputs": [X]}).encode())
    body = json.loads(v2.encode(request, BINARY, outputs, endpoint="f", version="3", request_id="R"))
    assert body["outputs"][2] == {
        "name": "holdfast_prediction_id",
        "datatype": "BYTES",
        "shape": [2],
        "data": ["R.0", "R.1"],
    }
    wanted = v2.decode(json.dumps({"inputs": [X], "outputs": [{"name": "label"}]}).encode())
    body = json.loads(v2.encode(wanted, BINARY, outputs, endpoint="f", version="3", request_id="R"))
    assert [output["name"] for output in body["outputs"]] == ["label"]
    odd = v2.decode(json.dumps({"inputs": [X], "outputs": [{"name": "odds"}]}).encode())
    with pytest.raises(InvalidInput, match="'odds'"):
        v2.encode(odd, BINARY, outputs, endpoint="f", version="3", request_id="R")


@pytest.mark.parametrize(
    "body",
    [
        {
            "dataframe_split": {
                "columns": ["x", "city"],
                "index": [0, 1],
                "data": [[1.5, "Wien"], [None, None]],
            }
        },
        {"dataframe_records": [{"x": 1.5, "city": "Wien"}, {"city": None, "x": None}]},
        {"inputs": {"x": [1.5, None], "city": ["Wien", None]}},
        {"inputs": {"x": [[1.5], [None]], "city": ["Wien", None]}},
        {"instances": [{"x": 1.5, "city": "Wien"}, {"x": None, "city": None}]},
        {"instances": [[1.5, "Wien"], [None, None]]},
    ],
)
def test_invocations_take_mlflows_four_forms(body: dict[str, Any]) -> None:
    params = {"key": ["a", 7], "event_time": [5, "1970-01-01"]}
    rows = invocations.decode(json.dumps({**body, "params": params}).encode(), MIXED)
    assert rows == Rows({"x": [1.5, None], "city": ["Wien", None]}, 2, ["a", "7"], [5, 0])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "none of the forms"),
        ({"inputs": {}, "instances": []}, "inputs and instances"),
        ({"dataframe_records": []}, "no rows"),
        ({"inputs": {"x": []}}, "no rows"),
        ({"dataframe_split": {"columns": ["x"], "data": [[1], [1, 2]]}}, "row 1 has 2 values for 1 columns"),
        ({"dataframe_split": {"columns": ["x", "x"], "data": [[1, 2]]}}, "'x' twice"),
        ({"dataframe_records": [{"x": 1}, {"y": 1}]}, "row 1 .*'x'"),
        ({"inputs": {"x": [1], "city": ["a", "b"]}}, "1 to 2 values"),
        ({"instances": [[1, "a"], 5]}, "row 1: 5"),
        (
            {"dataframe_records": [{"x": 1}], "params": {"key": ["a", "b"]}},
            "'params.key' has 2 values for 1 rows",
        ),
        ({"dataframe_records": [{"x": 1}], "wat": 1}, "wat"),
    ],
)
def test_invocations_name_what_is_wrong(body: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        invocations.decode(json.dumps(body).encode(), MIXED)


def test_invocations_answer_as_mlflow_does() -> None:
    assert json.loads(invocations.encode(Outputs([1, 0], None))) == {"predictions": [1, 0]}

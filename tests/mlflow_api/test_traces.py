"""LLM traces: what clients tell of them, their spans by OpenTelemetry's protocol, and how they are found."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

V3 = "/api/3.0/mlflow/traces"
START = 1_760_000_000_000
OTEL_ID = bytes(range(16))
TRACE = f"tr-{OTEL_ID.hex()}"


def info(trace_id: str = TRACE, experiment: str = "0", **more: Any) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2025-10-09T08:53:20.500Z",
        "execution_duration": "1.250s",
        "state": "OK",
        "request_preview": "Is it late?",
        "tags": {"mlflow.traceName": "answer"},
        "trace_metadata": {"mlflow.sourceRun": "r1"},
        **more,
    }


def start(mlflow: Any, **more: Any) -> dict[str, Any]:
    answer = mlflow.http.post(V3, json={"trace": {"trace_info": info(**more)}})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["trace"]["trace_info"]
    return found


def otlp(*spans: Span) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


def span(number: int, parent: int = 0, **more: Any) -> Span:
    made = Span(
        trace_id=OTEL_ID,
        span_id=bytes([number] * 8),
        parent_span_id=bytes([parent] * 8) if parent else b"",
        name=f"span {number}",
        start_time_unix_nano=START * 1_000_000,
        end_time_unix_nano=(START + 80) * 1_000_000,
        **more,
    )
    for key, value in (("mlflow.spanType", "LLM"), ("mlflow.spanInputs", "What?")):
        made.attributes.add(key=key).value.string_value = value
    return made


def export(mlflow: Any, body: bytes, **headers: str) -> Any:
    given = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0", **headers}
    return mlflow.http.post("/v1/traces", content=body, headers=given)


def found(mlflow: Any, filter: str = "", experiment: str = "0", **more: Any) -> list[str]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    answer = mlflow.http.post(f"{V3}/search", json={"locations": [location], "filter": filter, **more})
    assert answer.status_code == 200, answer.text
    return [one["trace_id"] for one in answer.json().get("traces", ())]


def test_a_trace_is_told_and_read_back(mlflow: Any) -> None:
    told = start(mlflow)
    assert told["request_time"] == "2025-10-09T08:53:20.500Z" and told["execution_duration"] == "1.250s"
    assert told["tags"]["mlflow.artifactLocation"] == f"mlflow-artifacts:/0/traces/{TRACE}/artifacts"
    assert mlflow.http.get(f"{V3}/{TRACE}").json()["trace"]["trace_info"] == told
    infos = mlflow.http.post(f"{V3}/batchGetInfos", json={"trace_ids": [TRACE, "tr-none"]}).json()
    assert infos["trace_infos"] == [told]
    assert mlflow.http.get(f"{V3}/batchGet", params={"trace_ids": [TRACE]}).json() == {}  # no spans yet


@pytest.mark.parametrize("spans_first", [True, False])
def test_spans_and_what_the_client_tells_come_in_either_order(mlflow: Any, spans_first: bool) -> None:
    steps = [lambda: export(mlflow, otlp(span(1), span(2, parent=1))), lambda: start(mlflow)]
    for step in steps if spans_first else reversed(steps):
        step()
    whole = mlflow.http.get(f"{V3}/batchGet", params={"trace_ids": [TRACE]}).json()["traces"][0]
    assert whole["trace_info"]["execution_duration"] == "1.250s"
    assert whole["trace_info"]["request_preview"] == "Is it late?"
    assert whole["trace_info"]["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert whole["trace_info"]["tags"]["mlflow.traceName"] == "answer"
    assert [one["name"] for one in whole["spans"]] == ["span 1", "span 2"]
    assert base64.b64decode(whole["spans"][0]["trace_id"]) == OTEL_ID
    assert len(found(mlflow)) == 1


def test_spans_alone_make_a_trace(mlflow: Any) -> None:
    assert export(mlflow, otlp(span(2, parent=1))).status_code == 200
    assert mlflow.http.get(f"{V3}/{TRACE}").json()["trace"]["trace_info"]["state"] == "IN_PROGRESS"
    body = gzip.compress(otlp(span(1, status={"code": 2, "message": "no"}), span(2, parent=1)))
    assert export(mlflow, body, **{"content-encoding": "gzip"}).status_code == 200
    whole = mlflow.http.get(f"{V3}/get", params={"trace_id": TRACE}).json()["trace"]
    assert whole["trace_info"]["state"] == "ERROR" and whole["trace_info"]["execution_duration"] == "0.080s"
    assert whole["trace_info"]["request_preview"] == "What?"
    assert len(whole["spans"]) == 2  # the one that came twice counts once


def test_traces_are_found(mlflow: Any) -> None:
    other = mlflow.experiment("Answers")
    start(mlflow, trace_id="tr-1")
    start(mlflow, trace_id="tr-2", state="ERROR", request_time="2025-10-09T08:53:30Z", tags={"team": "risk"})
    start(mlflow, trace_id="tr-3", experiment=other)
    export(mlflow, otlp(span(1)))
    assert set(found(mlflow)) == {"tr-1", "tr-2", TRACE}
    assert found(mlflow, experiment=other) == ["tr-3"]
    assert found(mlflow, "trace.status = 'ERROR'") == ["tr-2"]
    assert found(mlflow, "status IN ('ERROR', 'IN_PROGRESS')") == ["tr-2"]
    assert found(mlflow, "tags.team LIKE 'r%'") == ["tr-2"]
    assert found(mlflow, "trace.name = 'answer'") == ["tr-1"]
    assert found(mlflow, "metadata.`mlflow.sourceRun` = 'r1' AND tags.team IS NULL") == ["tr-1"]
    assert set(found(mlflow, "run_id = 'r1'")) == {"tr-1", "tr-2"}
    assert found(mlflow, "span.type = 'LLM' AND trace.text LIKE '%What?%'") == [TRACE]
    assert found(mlflow, "timestamp_ms > 1760000005000") == ["tr-2"]
    assert found(mlflow, "execution_time_ms >= 1250", order_by=["timestamp_ms ASC"]) == ["tr-1", "tr-2"]
    assert found(mlflow, max_results=1) == ["tr-2"]


def test_tags_assessments_and_deletion(mlflow: Any) -> None:
    start(mlflow)
    one = f"/api/2.0/mlflow/traces/{TRACE}/tags"
    assert mlflow.http.patch(one, json={"key": "judge", "value": "ada"}).status_code == 200
    assert found(mlflow, "tags.judge = 'ada'") == [TRACE]
    assert mlflow.http.request("DELETE", one, json={"key": "judge"}).status_code == 200
    assert mlflow.http.request("DELETE", one, json={"key": "judge"}).status_code == 404
    said = {"assessment_name": "good", "feedback": {"value": True}, "source": {"source_type": "HUMAN"}}
    made = mlflow.http.post(f"{V3}/{TRACE}/assessments", json={"assessment": said}).json()["assessment"]
    at = f"{V3}/{TRACE}/assessments/{made['assessment_id']}"
    assert mlflow.http.get(at).json()["assessment"] == made
    change = {"assessment": {"feedback": {"value": False}, "rationale": "no"}, "update_mask": "feedback"}
    changed = mlflow.http.patch(at, json=change).json()["assessment"]
    assert changed["feedback"] == {"value": False} and "rationale" not in changed
    assert mlflow.http.request("DELETE", at).status_code == 200
    assert mlflow.http.get(at).status_code == 404
    asked = {"experiment_id": "0", "max_timestamp_millis": START + 5000}
    assert mlflow.http.post(f"{V3}/delete-traces", json=asked).json() == {"traces_deleted": 1}
    assert mlflow.http.get(f"{V3}/{TRACE}").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (b"", {}, 400),
        (otlp(Span(trace_id=b"short", span_id=b"12345678")), {}, 400),
        (otlp(Span(trace_id=OTEL_ID, span_id=b"12345678", start_time_unix_nano=2**63)), {}, 400),
        (otlp(Span(trace_id=OTEL_ID, span_id=b"12345678", name="a\0b")), {}, 400),
        (otlp(span(1)), {"content-type": "application/json"}, 400),
        (otlp(span(1)), {"content-encoding": "br"}, 400),
        (otlp(span(1)), {"content-encoding": "gzip"}, 400),
        (gzip.compress(otlp(span(1)))[:-9], {"content-encoding": "gzip"}, 400),
        (gzip.compress(bytes(70_000_000)), {"content-encoding": "gzip"}, 413),
        (otlp(span(1)), {"x-mlflow-experiment-id": "77"}, 404),
        (otlp(span(1)), {"x-mlflow-experiment-id": "../x"}, 400),
    ],
)
def test_spans_that_cannot_be_taken(mlflow: Any, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = export(mlflow, body, **headers)
    assert answer.status_code == status, answer.text
    assert "error_code" in answer.json()
    assert found(mlflow) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": ""},
        {"trace_id": "x" * 300},
        {"state": "FINE"},
        {"request_time": "yesterday"},
        {"request_time": "9999-99-99T00:00:00Z"},
        {"execution_duration": "-1s"},
        {"tags": {"": "x"}},
        {"tags": {"a": "\0"}},
        {"request_preview": "x" * 20_000},
        {"assessments": [{"assessment_name": "x"}]},
        {"experiment": "77"},
    ],
)
def test_traces_that_cannot_be(mlflow: Any, wrong: dict[str, Any]) -> None:
    answer = mlflow.http.post(V3, json={"trace": {"trace_info": info(**wrong)}})
    assert answer.status_code in (400, 404), answer.text
    assert found(mlflow) == []


@pytest.mark.parametrize(
    "filter", ["trace.text RLIKE '(a+)+$'", "span.cost > 3", "feedback.good = 'x'", "name", "metadata."]
)
def test_filters_that_cannot_be_read(mlflow: Any, filter: str) -> None:
    answer = mlflow.http.post(f"{V3}/search", json={"locations": [], "filter": filter})
    assert answer.status_code == 400 and answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"

"""MLflow's calls on LLM traces, and the OpenTelemetry address that its clients send spans to."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.assessments import checked_assessment
from holdfast.mlflow_api.entities import artifact_root
from holdfast.mlflow_api.experiments import number_of_experiment
from holdfast.mlflow_api.grammars import TRACES, read_filter, read_order
from holdfast.mlflow_api.otlp import inflate, read_spans, trace_of
from holdfast.mlflow_api.wire import (
    Message,
    answer,
    decode_offset,
    encode_offset,
    limit_of,
    route,
    timestamp_of,
)
from holdfast.tracking.experiments import DEFAULT_NUMBER, Experiments
from holdfast.tracking.records import Span, Trace, TraceState
from holdfast.tracking.traces import Traces
from holdfast.web import Call, Raw, Route

__all__ = ["TraceCalls", "trace_routes"]

_V2, _V3 = "/api/2.0/mlflow/traces", "/api/3.0/mlflow/traces"
_EXPERIMENT_HEADER = "x-mlflow-experiment-id"
_LOCATION_TAG, _PROMPTS_TAG = "mlflow.artifactLocation", "mlflow.linkedPrompts"
_MOST, _MOST_IDS, _TAG_LIMIT = 500, 1000, 8000
_STATES: dict[str | int, TraceState] = {
    0: "STATE_UNSPECIFIED",
    1: "OK",
    2: "ERROR",
    3: "IN_PROGRESS",
    "STATE_UNSPECIFIED": "STATE_UNSPECIFIED",
    "OK": "OK",
    "ERROR": "ERROR",
    "IN_PROGRESS": "IN_PROGRESS",
}
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?s")


class _OfExperiment(msgspec.Struct):
    experiment_id: str | None = None


class _Location(msgspec.Struct):
    type: str | int | None = None
    mlflow_experiment: _OfExperiment | None = None


class _Info(msgspec.Struct):
    trace_id: str | None = None
    client_request_id: str | None = None
    trace_location: _Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    execution_duration: str | None = None
    state: str | int | None = None
    trace_metadata: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    assessments: list[dict[str, Any]] | None = None


class _Trace(msgspec.Struct):
    trace_info: _Info | None = None


class _Start(msgspec.Struct):
    trace: _Trace | None = None


class _Search(msgspec.Struct):
    locations: list[_Location] | None = None
    filter: str = ""
    max_results: int | None = None
    order_by: list[str] | None = None
    page_token: str = ""


class _Ids(msgspec.Struct):
    trace_ids: list[str] | None = None
    experiment_ids: list[str] | None = None


class _One(msgspec.Struct):
    trace_id: str | None = None


class _Tag(msgspec.Struct):
    key: str | None = None
    value: str | None = None


class _Delete(msgspec.Struct):
    experiment_id: str | None = None
    max_timestamp_millis: int | None = None
    max_traces: int | None = None
    request_ids: list[str] | None = None


class _Prompt(msgspec.Struct):
    name: str
    version: str


class _Prompts(msgspec.Struct):
    trace_id: str | None = None
    prompt_versions: list[_Prompt] | None = None


_START, _SEARCH, _IDS, _ONE = (
    Message(_Start, "trace"),
    Message(_Search),
    Message(_Ids),
    Message(_One, "trace_id"),
)
_SET_TAG, _DELETE_TAG = Message(_Tag, "key"), Message(_Tag, "key")
_DELETE, _PROMPTS = Message(_Delete, "experiment_id"), Message(_Prompts, "trace_id")


class TraceCalls:
    """The handlers."""

    def __init__(self, experiments: Experiments, traces: Traces) -> None:
        self._experiments = experiments
        self._traces = traces

    def start(self, call: Call) -> Raw:
        """StartTraceV3: clients send it when a trace has ended."""
        body = _START.read(call)
        info = body.trace.trace_info if body.trace is not None else None
        if info is None or not info.trace_id:
            raise InvalidInput("Missing value for required parameter 'trace.trace_info.trace_id'.")
        number = number_of_experiment(self._experiments, call.caller, _experiment(info.trace_location))
        trace = Trace(
            info.trace_id,
            number,
            _state(info.state),
            _time_of(info.request_time),
            _duration_of(info.execution_duration),
            info.client_request_id,
            info.request_preview,
            info.response_preview,
            {
                **_shortened(info.tags),
                _LOCATION_TAG: self._artifacts(call.caller, number, info.trace_id),
            },
            _shortened(info.trace_metadata),
            self._said(call.caller, info),
        )
        found = self._traces.put_trace(call.caller, trace)
        return answer({"trace": {"trace_info": trace_info(found)}})

    @staticmethod
    def _said(caller: Caller, info: _Info) -> dict[str, dict[str, Any]]:
        checked = [
            checked_assessment(str(info.trace_id), one, caller.time_ms) for one in info.assessments or ()
        ]
        return {one["assessment_id"]: one for one in checked}

    def export(self, call: Call) -> Raw:
        """OpenTelemetry's ExportTraceServiceRequest"""
        media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/x-protobuf":
            raise InvalidInput(f"Invalid Content-Type: {media[:80]}. Expected: application/x-protobuf")
        by_trace = read_spans(inflate(call.raw, call.headers.get("content-encoding", "").lower()))
        asked = call.headers.get(_EXPERIMENT_HEADER, DEFAULT_NUMBER)
        number = number_of_experiment(self._experiments, call.caller, asked)
        gathered: dict[str, tuple[Trace, Sequence[Span]]] = {}
        for trace_id, spans in by_trace.items():
            trace = trace_of(trace_id, number, spans)
            tags = {**trace.tags, _LOCATION_TAG: self._artifacts(call.caller, number, trace_id)}
            gathered[trace_id] = msgspec.structs.replace(trace, tags=tags), spans
        self._traces.add_spans(call.caller, gathered)
        return Raw(b"", "application/x-protobuf")

    def _artifacts(self, caller: Caller, number: int, trace_id: str) -> str:
        location = self._experiments.locations(caller, [number]).get(number, "")
        return f"{artifact_root(number, location)}/traces/{trace_id}/artifacts"

    def search(self, call: Call) -> Raw:
        """SearchTracesV3"""
        body = _SEARCH.read(call)
        limit = limit_of(body.max_results, default=100, most=_MOST)
        where, order = read_filter(body.filter, TRACES), read_order(body.order_by or (), TRACES)
        asked = [_experiment(one) or "" for one in body.locations or ()]
        bound = ("traces", asked, body.filter, body.order_by)
        offset = decode_offset(body.page_token, bound)
        numbers = self._experiments.numbers(call.caller, asked)
        found = self._traces.find_traces(call.caller, numbers, where, order, offset=offset, limit=limit + 1)
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        return answer({"traces": [trace_info(one) for one in found[:limit]] or None, "next_page_token": more})

    def batch(self, call: Call) -> Raw:
        """BatchGetTraces: those that have spans, with them"""
        found = self._of_ids(call)
        spans = self._traces.spans_of(call.caller, [one.trace_id for one in found])
        whole = [_whole(one, spans[one.trace_id]) for one in found if one.trace_id in spans]
        return answer({"traces": whole or None})

    def batch_infos(self, call: Call) -> Raw:
        """BatchGetTraceInfos"""
        return answer({"trace_infos": [trace_info(one) for one in self._of_ids(call)] or None})

    def _of_ids(self, call: Call) -> list[Trace]:
        body = _IDS.read(call)
        ids = body.trace_ids or []
        if len(ids) > _MOST_IDS:
            raise InvalidInput(f"{len(ids)} traces at once are more than {_MOST_IDS}.")
        found = self._traces.list_traces(call.caller, ids)
        if not body.experiment_ids:
            return found
        numbers = self._experiments.numbers(call.caller, body.experiment_ids)
        return [one for one in found if one.experiment_id in numbers]

    def get(self, call: Call) -> Raw:
        """GetTrace, with its spans"""
        trace_id = str(_ONE.read(call).trace_id)
        trace = self._traces.get_trace(call.caller, trace_id)
        return answer(
            {"trace": _whole(trace, self._traces.spans_of(call.caller, [trace_id]).get(trace_id, []))}
        )

    def get_info(self, call: Call) -> Raw:
        """GetTraceInfoV3"""
        trace = self._traces.get_trace(call.caller, call.path["trace_id"])
        return answer({"trace": {"trace_info": trace_info(trace)}})

    def set_tag(self, call: Call) -> Raw:
        """SetTraceTag"""
        body = _SET_TAG.read(call)
        value = (body.value or "")[:_TAG_LIMIT]
        self._traces.set_tag(call.caller, call.path["trace_id"], str(body.key), value)
        return answer()

    def delete_tag(self, call: Call) -> Raw:
        """DeleteTraceTag"""
        body = _DELETE_TAG.read(call)
        self._traces.delete_tag(call.caller, call.path["trace_id"], str(body.key))
        return answer()

    def link_prompts(self, call: Call) -> Raw:
        """LinkPromptsToTrace: the versions of prompts stand in a tag."""
        body = _PROMPTS.read(call)
        added = [{"name": one.name, "version": one.version} for one in body.prompt_versions or ()]

        def joined(before: str | None) -> str:
            try:
                known = msgspec.json.decode(before or "[]", type=list[dict[str, str]])
            except msgspec.DecodeError:
                known = []
            return msgspec.json.encode([*known, *(one for one in added if one not in known)]).decode()

        self._traces.change_tag(call.caller, str(body.trace_id), _PROMPTS_TAG, joined)
        return answer()

    def delete(self, call: Call) -> Raw:
        """DeleteTraces"""
        body = _DELETE.read(call)
        ids = body.request_ids or []
        if not ids and body.max_timestamp_millis is None:
            raise InvalidInput("Either `max_timestamp_millis` or `trace_ids` must be specified.")
        if ids and (body.max_timestamp_millis is not None or body.max_traces is not None):
            raise InvalidInput("`max_timestamp_millis` and `max_traces` can't be specified with `trace_ids`.")
        if len(ids) > _MOST_IDS or (body.max_traces is not None and body.max_traces < 1):
            raise InvalidInput(
                f"`max_traces` must be a positive integer, and `trace_ids` {_MOST_IDS} at the most."
            )
        number = number_of_experiment(self._experiments, call.caller, body.experiment_id)
        deleted = self._traces.delete_traces(
            call.caller, number, until=body.max_timestamp_millis, most=body.max_traces, trace_ids=ids
        )
        return answer({"traces_deleted": deleted})


def _experiment(location: _Location | None) -> str | None:
    inner = None if location is None else location.mlflow_experiment
    return None if inner is None else inner.experiment_id


def _state(given: str | int | None) -> TraceState:
    if given is None:
        return "STATE_UNSPECIFIED"
    if given not in _STATES:
        raise InvalidInput(f"Invalid value {str(given)[:80]} for parameter 'state' supplied.")
    return _STATES[given]


def _shortened(given: dict[str, str] | None) -> dict[str, str]:
    return {key: value[:_TAG_LIMIT] for key, value in (given or {}).items()}


def _time_of(text: str | None) -> int:
    """ms UTC of a timestamp in protobuf's JSON; 0 without one."""
    if not text:
        return 0
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        moment = datetime.datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInput(f"Invalid value {text[:80]!r} for parameter 'request_time' supplied.") from None
    return int(moment.timestamp()) * 1000 + int((found[2] or "0").ljust(3, "0")[:3])


def _duration_of(text: str | None) -> int | None:
    """ms of a duration in protobuf's JSON."""
    if not text:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidInput(f"Invalid value {text[:80]!r} for parameter 'execution_duration' supplied.")
    return int(found[1]) * 1000 + int((found[2] or "0").ljust(3, "0")[:3])


def trace_info(trace: Trace) -> dict[str, Any]:
    """A trace as MLflow's TraceInfoV3."""
    experiment = {"experiment_id": str(trace.experiment_id)}
    return {
        "trace_id": trace.trace_id,
        "client_request_id": trace.client_request_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": experiment},
        "request_preview": trace.request,
        "response_preview": trace.response,
        "request_time": timestamp_of(trace.start_time),
        "execution_duration": None if trace.duration is None else _seconds(trace.duration),
        "state": trace.state,
        "trace_metadata": trace.metadata or None,
        "tags": trace.tags or None,
        "assessments": list(trace.assessments.values()) or None,
    }


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}s"


def _whole(trace: Trace, spans: Sequence[Span]) -> dict[str, Any]:
    kept = [msgspec.Raw(one.content.encode()) for one in spans]
    return {"trace_info": trace_info(trace), "spans": kept or None}


def trace_routes(calls: TraceCalls) -> list[Route]:
    """The routes of traces."""
    read, write = "tracking:read", "tracking:write"
    one = "/{trace_id}"
    return [
        route("POST", "/v1/traces", calls.export, write),
        route("POST", _V3, calls.start, write),
        route("POST", f"{_V3}/search", calls.search, read),
        route("GET", f"{_V3}/batchGet", calls.batch, read),
        route("POST", f"{_V3}/batchGetInfos", calls.batch_infos, read),
        route("GET", f"{_V3}/get", calls.get, read),
        route("POST", f"{_V3}/delete-traces", calls.delete, write),
        route("POST", f"{_V2}/delete-traces", calls.delete, write),
        route("POST", f"{_V2}/link-prompts", calls.link_prompts, write),
        route("GET", _V3 + one, calls.get_info, read),
        route("PATCH", f"{_V2}{one}/tags", calls.set_tag, write),
        route("DELETE", f"{_V2}{one}/tags", calls.delete_tag, write),
        route("PATCH", f"{_V3}{one}/tags", calls.set_tag, write),
        route("DELETE", f"{_V3}{one}/tags", calls.delete_tag, write),
    ]

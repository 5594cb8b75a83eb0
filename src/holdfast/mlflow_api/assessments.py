"""MLflow's calls on assessments of LLM traces: what people and programs say of an answer, or expected it to be."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.mlflow_api.wire import Message, answer, route, timestamp_of
from holdfast.tracking.traces import Traces
from holdfast.web import Call, Raw, Route

__all__ = ["assessment_routes", "checked_assessment"]

_ONE = "/api/3.0/mlflow/traces/{trace_id}/assessments"
_NAMES = frozenset(
    {
        "assessment_id", "assessment_name", "trace_id", "span_id", "source", "create_time", "last_update_time",
        "feedback", "expectation", "rationale", "metadata", "overrides", "valid", "issue",
    }
)  # fmt: skip
_CHANGED = ("assessment_name", "feedback", "expectation", "rationale", "metadata", "valid")
_ID = re.compile(r"[\w\-]{1,64}")
_MOST_BYTES = 100_000


class _Create(msgspec.Struct):
    assessment: dict[str, Any] | None = None


class _Update(_Create):
    update_mask: str = ""


_CREATE, _UPDATE = Message(_Create, "assessment"), Message(_Update, "assessment")


def checked_assessment(trace_id: str, given: dict[str, Any], time_ms: int) -> dict[str, Any]:
    """An assessment to keep: of its trace, with an id and its times. Raises InvalidInput."""
    body = {key: value for key, value in given.items() if key in _NAMES}
    if not isinstance(body.get("assessment_name"), str) or not body["assessment_name"]:
        raise InvalidInput("Missing value for required parameter 'assessment.assessment_name'.")
    if sum(isinstance(body.get(kind), dict) for kind in ("feedback", "expectation", "issue")) != 1:
        raise InvalidInput("An assessment must have exactly one of feedback, expectation and issue.")
    now = timestamp_of(time_ms)
    body = {"assessment_id": new_id("a-"), "create_time": now, "last_update_time": now, "valid": True, **body}
    body["trace_id"] = trace_id
    if not isinstance(body["assessment_id"], str) or not _ID.fullmatch(body["assessment_id"]):
        raise InvalidInput(f"{str(body['assessment_id'])[:80]!r} is not the id of an assessment.")
    size = len(msgspec.json.encode(body))
    if size > _MOST_BYTES:
        raise InvalidInput(f"An assessment of {size} bytes is larger than {_MOST_BYTES}.")
    return body


class AssessmentCalls:
    """The handlers."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def create(self, call: Call) -> Raw:
        """CreateAssessment; one that overrides another makes that invalid."""
        trace_id = call.path["trace_id"]
        given = dict(_CREATE.read(call).assessment or {})
        given.pop("assessment_id", None)
        body = checked_assessment(trace_id, given, call.caller.time_ms)
        overridden = body.get("overrides")
        if overridden:
            self._traces.put_assessment(
                call.caller, trace_id, str(overridden), lambda before: {**_known(before), "valid": False}
            )
        made = self._traces.put_assessment(call.caller, trace_id, body["assessment_id"], lambda _: body)
        return answer({"assessment": made})

    def get(self, call: Call) -> Raw:
        """GetAssessment"""
        trace = self._traces.get_trace(call.caller, call.path["trace_id"])
        return answer({"assessment": _known(trace.assessments.get(call.path["assessment_id"]))})

    def update(self, call: Call) -> Raw:
        """UpdateAssessment: the fields that its mask names"""
        trace_id, assessment_id = call.path["trace_id"], call.path["assessment_id"]
        body = _UPDATE.read(call)
        named = {_snake(path) for path in body.update_mask.split(",") if path}
        given = body.assessment or {}
        changed = {key: given.get(key) for key in _CHANGED if key in (named or given)}

        def change(before: dict[str, Any] | None) -> dict[str, Any]:
            now = {"last_update_time": timestamp_of(call.caller.time_ms)}
            after = {**_known(before), **changed, **now}
            return checked_assessment(trace_id, after, call.caller.time_ms)

        return answer(
            {"assessment": self._traces.put_assessment(call.caller, trace_id, assessment_id, change)}
        )

    def delete(self, call: Call) -> Raw:
        """DeleteAssessment"""
        self._traces.delete_assessment(call.caller, call.path["trace_id"], call.path["assessment_id"])
        return answer()


def _known(body: dict[str, Any] | None) -> dict[str, Any]:
    if body is None:
        raise NotFound("There is no such assessment of this trace.")
    return body


def _snake(path: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found.group().lower(), path.strip())


def assessment_routes(traces: Traces) -> list[Route]:
    """The routes of assessments."""
    calls, one = AssessmentCalls(traces), f"{_ONE}/{{assessment_id}}"
    return [
        route("POST", _ONE, calls.create, "tracking:write"),
        route("GET", one, calls.get, "tracking:read"),
        route("PATCH", one, calls.update, "tracking:write"),
        route("DELETE", one, calls.delete, "tracking:write"),
    ]

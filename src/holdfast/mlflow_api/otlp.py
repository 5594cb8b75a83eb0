"""OpenTelemetry's protocol (OTLP over HTTP, protobuf): spans as tracking keeps them, by the trace they belong to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput, PayloadTooLarge
from holdfast.tracking.records import Span, Trace, TraceState

__all__ = ["SPANS_LOCATION_TAG", "TRACE_NAME_TAG", "inflate", "read_spans", "trace_of"]

TRACE_NAME_TAG, SPANS_LOCATION_TAG = "mlflow.traceName", "mlflow.trace.spansLocation"
_SESSION = "mlflow.trace.session"
_MOST_BYTES, _MOST_SPANS, _SHOWN = 64 * 1024**2, 10_000, 1000
_STATUS = ("UNSET", "OK", "ERROR")


def inflate(body: bytes, encoding: str) -> bytes:
    """The body behind its Content-Encoding. Raises InvalidInput, and PayloadTooLarge beyond 64 MB."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise InvalidInput(f"Content-Encoding {encoding[:40]!r} is not one of gzip, deflate.")
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32 if encoding == "gzip" else zlib.MAX_WBITS)
    try:
        found = reader.decompress(body, _MOST_BYTES)
    except zlib.error:
        raise InvalidInput(f"The body is not valid {encoding}.") from None
    if reader.unconsumed_tail:
        raise PayloadTooLarge(
            f"The body holds more than {_MOST_BYTES} bytes.", hint="Send fewer spans at once."
        )
    if not reader.eof:
        raise InvalidInput(f"The body is not valid {encoding}: it ends too early.")
    return found


def read_spans(body: bytes) -> dict[str, list[Span]]:
    """The spans of an ExportTraceServiceRequest by the id of their trace. Raises InvalidInput.

    The id of a trace is `tr-` and OpenTelemetry's in hexadecimal, as MLflow's clients name it.
    """
    # Imported where it is used: most servers never see a span.
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except (DecodeError, RecursionError):
        raise InvalidInput("Invalid OpenTelemetry protobuf format") from None
    if not request.resource_spans:
        raise InvalidInput("Invalid OpenTelemetry protobuf format - no spans found")
    found: dict[str, list[Span]] = {}
    count = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            count += len(scope.spans)
            if count > _MOST_SPANS:
                raise InvalidInput(f"There are more than {_MOST_SPANS} spans.", hint="Send fewer at once.")
            for span in scope.spans:
                found.setdefault(f"tr-{span.trace_id.hex()}", []).append(_span(span))
    return found


def _span(given: Any) -> Span:
    from google.protobuf.json_format import Error, MessageToDict

    if len(given.trace_id) != 16 or len(given.span_id) != 8 or len(given.parent_span_id) not in (0, 8):
        raise InvalidInput(
            f"Cannot convert OpenTelemetry span to MLflow span: {given.name[:80]!r} lacks its trace_id or span_id."
        )
    if max(given.start_time_unix_nano, given.end_time_unix_nano) >= 2**63:
        raise InvalidInput(f"The span {given.name[:80]!r} begins or ends at no time.")
    try:
        whole = MessageToDict(given, preserving_proto_field_name=True)
        content = msgspec.json.encode(whole).decode()
    except (Error, RecursionError):
        raise InvalidInput(f"The span {given.name[:80]!r} is nested too deeply.") from None
    if "\\u0000" in content:
        raise InvalidInput(f"The span {given.name[:80]!r} holds a NUL character.")
    code = given.status.code
    return Span(
        span_id=given.span_id.hex(),
        parent_id=given.parent_span_id.hex(),
        name=given.name,
        type=str(_attributes(whole).get("mlflow.spanType", "UNKNOWN")),
        status=_STATUS[code] if code < len(_STATUS) else "UNSET",
        start_ns=given.start_time_unix_nano,
        end_ns=given.end_time_unix_nano or None,
        content=content,
    )


def trace_of(trace_id: str, experiment: int, spans: list[Span]) -> Trace:
    """What its spans alone tell of a trace."""
    root = next((one for one in spans if not one.parent_id), None)
    start = min(one.start_ns for one in spans) // 1_000_000
    ends = [one.end_ns for one in spans if one.end_ns is not None]
    state: TraceState = "IN_PROGRESS"
    tags, metadata, shown = {SPANS_LOCATION_TAG: "TRACKING_STORE"}, {}, {}
    if root is not None:
        state = "ERROR" if root.status == "ERROR" else "OK"
        attributes = _attributes(msgspec.json.decode(root.content))
        tags[TRACE_NAME_TAG] = root.name[:250]
        shown = {key: _text(attributes.get(f"mlflow.span{key}")) for key in ("Inputs", "Outputs")}
        session = attributes.get("session.id") or attributes.get("gen_ai.conversation.id")
        if session:
            metadata[_SESSION] = str(session)[:200]
    return Trace(
        trace_id,
        experiment,
        state,
        start,
        max(ends) // 1_000_000 - start if ends else None,
        request=shown.get("Inputs"),
        response=shown.get("Outputs"),
        tags=tags,
        metadata=metadata,
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:_SHOWN]


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return dict(_pairs(span.get("attributes", ())))


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    for one in given:
        yield one.get("key", ""), _plain(one.get("value", {}))


def _plain(value: dict[str, Any]) -> Any:
    """A value of OpenTelemetry's JSON as JSON."""
    if "array_value" in value:
        return [_plain(one) for one in value["array_value"].get("values", ())]
    if "kvlist_value" in value:
        return dict(_pairs(value["kvlist_value"].get("values", ())))
    if "int_value" in value:
        return int(value["int_value"])
    return next(iter(value.values()), None)

"""OpenTelemetry: traces of requests and of what they do, by OTLP over HTTP, when the environment names a receiver.

Nothing of it is loaded otherwise. `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) turns it on; the other OTEL_
variables of the SDK hold too (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from holdfast.kernel import spans
from holdfast.kernel.errors import Unavailable
from holdfast.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.trace import Tracer as OtelTracer

__all__ = ["traced"]

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_QUIET = frozenset({"/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready"})


def traced(app: Any, process: str) -> Any:
    """The ASGI application with a span for each request, a child of the client's (W3C Trace Context), when the
    environment names a receiver; else the application itself. Once in a process.

    Raises Unavailable when the extra `otel` is missing.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(map(os.environ.get, _SWITCHES)):
        return app
    tracer = _start(process)
    spans.install(_Children(tracer))
    return _Traced(app, tracer)


def _start(process: str) -> OtelTracer:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Unavailable(
            f"{_SWITCHES[0]} asks for traces, which need the packages of the extra 'otel'.",
            hint="Install them: pip install 'holdfast[server,otel]'",
        ) from None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"holdfast-{process}"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": __version__}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter())
    )  # the end of the process sends the rest
    return provider.get_tracer("holdfast", __version__)


class _Children:
    """Spans within a request: those of background work, which is all the time, are not recorded."""

    def __init__(self, tracer: OtelTracer) -> None:
        from opentelemetry import trace

        self._tracer, self._current = tracer, trace.get_current_span

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[None]:
        if not self._current().get_span_context().is_valid:
            return nullcontext()
        return self._record(name, attributes)

    @contextmanager
    def _record(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        with self._tracer.start_as_current_span(name, attributes=dict(attributes)):
            yield


class _Traced:
    """A span for each request."""

    def __init__(self, app: Any, tracer: OtelTracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"] if scope["method"].isalpha() and len(scope["method"]) < 8 else "other"
        with self._tracer.start_as_current_span(
            method,
            context=extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "url.path": scope["path"],
                "url.scheme": scope["scheme"],
            },
        ) as span:

            async def watch(message: Any) -> None:
                if message["type"] == "http.response.start":
                    _note(span, method, scope, message["status"])
                await send(message)

            await self._app(scope, receive, watch)


def _note(span: Span, method: str, scope: Mapping[str, Any], status: int) -> None:
    from opentelemetry.trace import StatusCode

    route = (scope.get("state") or {}).get("route") or _inference_route(scope["path"])
    if route:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _inference_route(path: str) -> str:
    parts = path.split("/")
    if parts[1] == "invocations" and len(parts) == 3:
        return "/invocations/{endpoint}"
    if path.startswith("/v2/models/"):
        last = f"/{parts[-1]}" if parts[-1] in ("infer", "ready") else ""
        return f"/v2/models/{{endpoint}}{last}"
    return ""

"""OpenTelemetry: a client's trace goes on in the server, and arrives at a receiver that speaks OTLP."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

from holdfast.client import Client
from tests.faults.system import ENDPOINT, System, train_and_deploy

if TYPE_CHECKING:
    from tests.app.conftest import Server


class Receiver:
    """An OTLP receiver over HTTP on this machine."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self._came = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        with self._came:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [(names["service.name"], span) for span in scope.spans]
            self._came.notify_all()

    def wait(self, process: str, name: str, trace: bytes) -> Any:
        """The first span of this name in the trace; AssertionError after 30 s."""
        until = time.monotonic() + 30
        with self._came:
            while True:
                for service, span in self.spans:
                    if (service, span.name, span.trace_id) == (process, name, trace):
                        return span
                left = until - time.monotonic()
                assert left > 0, [(service, span.name) for service, span in self.spans]
                self._came.wait(left)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield made
    made.close()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_clients_trace_goes_on_in_the_server(receiver: Receiver, start: Callable[..., Server]) -> None:
    server = start("--no-worker")
    tracer = TracerProvider().get_tracer("training")
    with Client(server.url) as client, tracer.start_as_current_span("train") as mine:
        run = client.create_run(name="traced")
        client.upload_artifact(run.run_id, "notes.txt", b"hello")
    context = mine.get_span_context()
    trace = context.trace_id.to_bytes(16, "big")
    made = receiver.wait("holdfast-server", "POST /api/v1/runs", trace)
    assert made.parent_span_id == context.span_id.to_bytes(8, "big")
    found = attributes(made)
    assert (found["http.request.method"], found["http.response.status_code"]) == ("POST", 200)
    assert receiver.wait("holdfast-server", "storage.write", trace).parent_span_id
    put = receiver.wait("holdfast-server", "PUT /api/v1/runs/{run_id}/artifacts/{path:path}", trace)
    stored = receiver.wait("holdfast-server", "objects.put", trace)
    assert stored.parent_span_id == put.span_id
    server.http.get("/health")
    assert not any(span.name == "GET /health" for _, span in receiver.spans)


@pytest.mark.slow
def test_a_prediction_is_traced_in_the_inference_server(receiver: Receiver, tmp_path: Path) -> None:
    with System(tmp_path / "data") as system:
        client = Client(system.url)
        train_and_deploy(client, system.url)
        tracer = TracerProvider().get_tracer("shop")
        with tracer.start_as_current_span("checkout") as mine:
            client.predict(ENDPOINT, [{"x": 1.0, "y": 2.0}])
        context = mine.get_span_context()
        trace = context.trace_id.to_bytes(16, "big")
        predicted = receiver.wait("holdfast-inference", "inference.predict", trace)
        assert attributes(predicted)["endpoint"] == ENDPOINT
        asked = next(span for _, span in receiver.spans if span.span_id == predicted.parent_span_id)
        assert asked.parent_span_id == context.span_id.to_bytes(8, "big")
        client.close()


def test_requests_to_the_inference_server_are_traced(
    receiver: Receiver, start: Callable[..., Server]
) -> None:
    server = start("--no-worker", children=True)
    tracer = TracerProvider().get_tracer("shop")
    with tracer.start_as_current_span("checkout") as mine:
        context = mine.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
    url = f"http://127.0.0.1:{server.port + 1}/v2/models/none/infer"
    until = time.monotonic() + 30
    while True:
        try:
            answer = httpx.post(url, json={}, headers={"traceparent": parent})
            break
        except httpx.ConnectError:
            assert time.monotonic() < until
    assert answer.status_code == 404
    span = receiver.wait(
        "holdfast-inference", "POST /v2/models/{endpoint}/infer", context.trace_id.to_bytes(16, "big")
    )
    assert attributes(span)["http.response.status_code"] == 404


def test_nothing_of_it_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    program = (
        "import sys, holdfast.app.server as s, holdfast.serving.inference.server, holdfast.client;"
        "s.traced(None, 'server'); print([n for n in sys.modules if n.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

"""The inference server's ASGI application: a bare callable, since each layer costs as much as a prediction.

One request: find the endpoint by path, read the body, let `predict` answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec

from holdfast.kernel.errors import (
    Forbidden,
    HoldfastError,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
)
from holdfast.kernel.ids import uuid7
from holdfast.kernel.spans import span
from holdfast.serving.inference import v2
from holdfast.serving.inference.authorize import Authorizer, CallerAccess
from holdfast.serving.inference.endpoints import Endpoint, Endpoints
from holdfast.serving.inference.guard import check_json, check_origin
from holdfast.serving.inference.metrics import expose
from holdfast.serving.inference.predict import Predictor, Request
from holdfast.web.hosts import Hosts

__all__ = ["InferenceApp"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Gauges = Callable[[], list[tuple[str, str, float]]]

_log = logging.getLogger("holdfast.inference")
_MOST_HOSTS = 64
_REQUEST_ID = b"x-holdfast-request-id"
_JSON = (b"content-type", b"application/json")
_PUBLIC = frozenset({"/metrics", "/v2", "/v2/", "/v2/health/live", "/v2/health/ready"})


class _Disconnected(Exception):
    """The client went away before its body was complete; nobody waits for an answer."""


class InferenceApp:
    """Routes, limits and the path of a prediction. `gauges` gives the process's own figures for /metrics."""

    def __init__(
        self,
        endpoints: Endpoints,
        predictor: Predictor,
        authorizer: Authorizer,
        hosts: Hosts,
        body_bytes: int,
        gauges: Gauges,
    ) -> None:
        self._authorizer = authorizer
        self._hosts = hosts
        self._endpoints = endpoints
        self._predictor = predictor
        self._body_bytes = body_bytes
        self._gauges = gauges
        self._known_hosts: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"This server speaks HTTP, not {scope['type']}.")
        request_id = uuid7()
        try:
            status, body, headers = await self._route(scope, receive, request_id)
        except _Disconnected:
            return
        except HoldfastError as error:
            status, body, headers = _error_answer(error, request_id)
        head = [*headers, (b"content-length", b"%d" % len(body)), (_REQUEST_ID, request_id.encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _route(self, scope: Scope, receive: Receive, request_id: str) -> tuple[int, bytes, list[Any]]:
        headers = dict(scope["headers"])
        netloc = headers.get(b"host", b"").decode("latin-1")
        if netloc not in self._known_hosts:
            if not self._hosts.allows(netloc):
                raise Forbidden(
                    f"The Host header {netloc[:80]!r} does not name this server.",
                    hint="Use http://127.0.0.1 or http://localhost with the server's port, or start the server with "
                    "--allow-host NAME.",
                )
            if len(self._known_hosts) < _MOST_HOSTS:
                self._known_hosts.add(netloc)
        if scope["method"] == "POST":
            origin = headers.get(b"origin")
            if origin is not None:
                check_origin(origin.decode("latin-1"), netloc)
            access = await self._authorizer.access(headers.get(b"authorization", b""))
            endpoint, version, form = self._infer_target(scope["path"], access)
            workspace = endpoint.desired.workspace
            access.require("predictions:infer", workspace)
            may_replay = "predictions:replay" in access.workspaces[workspace]
            request = Request(endpoint, version, form, request_id, time.perf_counter(), may_replay)
            return 200, await self._infer(request, headers, receive), [_JSON]
        if scope["method"] not in ("GET", "HEAD"):
            raise InvalidInput(
                f"The method {scope['method'][:20]!r} is not used here.", hint="Use GET or POST."
            )
        path = scope["path"]
        if path in _PUBLIC:
            return self._read_public(path)
        access = await self._authorizer.access(headers.get(b"authorization", b""))
        return 200, msgspec.json.encode(self._read_model(path, access)), [_JSON]

    # Inference

    def _infer_target(self, path: str, access: CallerAccess) -> tuple[Endpoint, str | None, str]:
        """(endpoint, version asked for, wire form) of a path to POST to. Raises NotFound."""
        parts = path.split("/")
        if len(parts) == 5 and parts[1] == "v2" and parts[2] == "models" and parts[4] == "infer":
            return self._endpoint(parts[3], access), None, "v2"
        if (
            len(parts) == 7
            and parts[1:3] == ["v2", "models"]
            and parts[4] == "versions"
            and parts[6] == "infer"
        ):
            return self._endpoint(parts[3], access), parts[5], "v2"
        if len(parts) == 3 and parts[1] == "invocations":
            return self._endpoint(parts[2], access), None, "invocations"
        raise NotFound(
            f"There is nothing to POST to at {path[:120]!r}.",
            hint="Use /v2/models/ENDPOINT/infer or /invocations/ENDPOINT.",
        )

    def _endpoint(self, name: str, access: CallerAccess) -> Endpoint:
        """The endpoint. Raises NotFound alike for an unknown one and for one of a workspace that is not the caller's."""
        found = self._endpoints.by_name.get(name)
        if found is None or not access.reaches(found.desired.workspace):
            known = self._endpoints.by_name.items()
            own = [other for other, one in known if access.reaches(one.desired.workspace)]
            names = ", ".join(sorted(own)[:20])
            raise NotFound(
                f"There is no endpoint {unquote(name)[:80]!r} here.",
                hint=f"There are: {names}."
                if names
                else "Deploy a model first: holdfast deploy MODEL --endpoint NAME.",
            )
        return found

    async def _infer(self, request: Request, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The answer's body; every failure of a known endpoint is logged as a row without a prediction."""
        try:
            media_type, is_binary = (
                headers.get(b"content-type", b""),
                b"inference-header-content-length" in headers,
            )
            if is_binary or media_type != b"application/json":
                check_json(media_type.decode("latin-1"), has_binary_tensors=is_binary)
            request.body = await self._body(headers, receive)
            request.started = time.perf_counter()
            with span("inference.predict", endpoint=request.endpoint.desired.name):
                return await self._predictor.answer(request)
        except HoldfastError as error:
            self._predictor.record_failure(request, error)
            raise
        except _Disconnected:
            raise
        except Exception as error:
            _log.exception("inference failed", extra={"fields": {"request_id": request.request_id}})
            failure = HoldfastError("The prediction failed for a reason that is in the server's log.")
            self._predictor.record_failure(request, failure)
            raise failure from error

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > self._body_bytes:
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body
        parts = [body]
        size = len(body)
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._body_bytes:
                raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The body is larger than the limit of {self._body_bytes} bytes.",
            hint="Send fewer rows per request.",
        )

    # Reading

    def _read_public(self, path: str) -> tuple[int, bytes, list[Any]]:
        if path == "/metrics":
            return 200, self._metrics(), [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
        if path == "/v2/health/live":
            return 200, msgspec.json.encode({"live": True}), [_JSON]
        if path == "/v2/health/ready":
            if not self._endpoints.is_ready():
                raise Unavailable("The desired state is not known or its models are still loading.")
            return 200, msgspec.json.encode({"ready": True}), [_JSON]
        return 200, msgspec.json.encode(v2.server_metadata()), [_JSON]

    def _read_model(self, path: str, access: CallerAccess) -> Any:
        parts = path.rstrip("/").split("/")[1:]
        match parts:
            case ["v2", "models", name]:
                return self._metadata(name, None, access)
            case ["v2", "models", name, "versions", version]:
                return self._metadata(name, version, access)
            case ["v2", "models", name, "ready"]:
                return self._ready(name, None, access)
            case ["v2", "models", name, "versions", version, "ready"]:
                return self._ready(name, version, access)
        raise NotFound(
            f"There is nothing at {path[:120]!r}.", hint="Use /v2, /v2/models/ENDPOINT or /metrics."
        )

    def _metadata(self, name: str, version: str | None, access: CallerAccess) -> dict[str, Any]:
        model = self._readable(name, access).ready_model(version)
        return v2.model_metadata(name, model.version, model.deployable)

    def _ready(self, name: str, version: str | None, access: CallerAccess) -> dict[str, Any]:
        model = self._readable(name, access).ready_model(version)
        return {"name": name, "version": model.version, "ready": True}

    def _readable(self, name: str, access: CallerAccess) -> Endpoint:
        endpoint = self._endpoint(name, access)
        access.require("serving:read", endpoint.desired.workspace)
        return endpoint

    def _metrics(self) -> bytes:
        held = self._endpoints.by_name
        figures = {name: endpoint.figures for name, endpoint in held.items()}
        return expose(
            figures, self._gauges(), {name: endpoint.state == "live" for name, endpoint in held.items()}
        )


def _error_answer(error: HoldfastError, request_id: str) -> tuple[int, bytes, list[Any]]:
    """The protocol's form of an error, `error` as text, with the parts of ours beside it."""
    headers = [_JSON]
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    body = {"error": str(error), **error.to_wire(request_id)["error"]}
    return error.status, msgspec.json.encode(body, enc_hook=str), headers

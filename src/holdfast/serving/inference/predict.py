"""The path of a prediction: decode, check, predict, log, answer; failures of a known endpoint are logged too."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Forbidden, HoldfastError, Unavailable
from holdfast.predictions.segments import Batch, Failure
from holdfast.serving.inference import invocations, v2
from holdfast.serving.inference.endpoints import Endpoint, Endpoints
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.one_row import OneRow
from holdfast.serving.inference.rows import Rows
from holdfast.serving.inference.turn import Turn

__all__ = ["Predictor", "Request"]

_log = logging.getLogger("holdfast.inference")
_SMALL_BODY = 32 * 1024
_MOST_REASON = 300


class Request(msgspec.Struct):
    """An inference request whose body is there; model and rows come in turn. `form` is `v2` or `invocations`."""

    endpoint: Endpoint
    version: str | None
    form: str
    request_id: str
    started: float
    may_replay: bool = False
    """Whether the caller may say when its rows happened."""
    body: bytes = b""
    model: Model | None = None
    asked: v2.InferRequest | None = None
    rows: Rows | OneRow | None = None


def _check_replay(request: Request) -> None:
    """Raises Forbidden for rows that carry event times when the caller may not say them."""
    rows = request.rows
    if request.may_replay or rows is None or rows.event_times is None:
        return
    if any(time is not None for time in rows.event_times):
        raise Forbidden(
            "The rows carry event times, and the caller lacks the permission 'predictions:replay'.",
            hint="Leave the event times out, or use a credential of a role that has it.",
            details={"permission": "predictions:replay"},
        )


class Predictor:
    """Answers requests. A single row for a model in this process runs with the others of its turn, several small ones
    run on the event loop, everything else in a thread.
    """

    def __init__(self, endpoints: Endpoints, clock: Clock, turn: Turn) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._turn = turn
        self.log_failures = 0

    async def answer(self, request: Request) -> bytes:
        """The answer's body, after its record is in the log. Raises InvalidInput, NotFound or Unavailable."""
        model = request.model = request.endpoint.ready_model(request.version)
        model.busy += 1
        try:
            body = await self._predict(request, model)
        finally:
            self._endpoints.release(model)
        self._observe(request)
        return body

    async def _predict(self, request: Request, model: Model) -> bytes:
        endpoint, runtime = request.endpoint, model.row_runtime
        if runtime is None or len(request.body) > _SMALL_BODY:
            loop = asyncio.get_running_loop()
            batch, body = await loop.run_in_executor(None, self._compute, request, model)
        else:
            row = self._one_row(request, model)
            if row is not None:
                return await self._turn.predict(
                    endpoint, model, runtime, row, request.request_id, request.started
                )
            batch, body = self._compute(request, model)
        endpoint.writer.append(batch, batch.logged_at, model.schema)
        return body

    def _one_row(self, request: Request, model: Model) -> OneRow | None:
        """Decode a small body; the row in it when it holds just one that is as it should be."""
        if request.form == "v2":
            asked = request.asked = v2.decode(request.body)
            row = model.one_row.of_v2(asked)
        else:
            rows = request.rows = invocations.decode(request.body, model.deployable.signature)
            row = model.one_row.of_rows(rows)
        if row is not None:
            request.rows = row
            _check_replay(request)
        return row

    def _compute(self, request: Request, model: Model) -> tuple[Batch, bytes]:
        """Decode what is not decoded yet, check, predict and encode: the log record and the answer."""
        request_id, deployable, rows = request.request_id, model.deployable, request.rows
        if request.form == "v2":
            asked = request.asked or v2.decode(request.body)
            rows = request.rows = v2.read_rows(asked, deployable.signature)
            _check_replay(request)
            outputs, columns = model.predict(rows)
            name = request.endpoint.desired.name
            body = v2.encode(
                asked, deployable, outputs, endpoint=name, version=model.version, request_id=request_id
            )
        else:
            if not isinstance(rows, Rows):
                rows = request.rows = invocations.decode(request.body, deployable.signature)
            _check_replay(request)
            outputs, columns = model.predict(rows)
            body = invocations.encode(outputs)
        return model.record(rows, columns, outputs, request_id, request.started, self._clock.now_ms()), body

    def _observe(self, request: Request) -> None:
        endpoint, rows = request.endpoint, request.rows
        latest = _latest(rows)
        if latest is not None:
            endpoint.last_event_time = max(latest, endpoint.last_event_time or latest)
        count = rows.count if isinstance(rows, Rows) else 1
        endpoint.figures.observe(200, count, time.perf_counter() - request.started)

    def record_failure(self, request: Request, error: HoldfastError) -> None:
        """Log a request that got no prediction."""
        endpoint, now_ms = request.endpoint, self._clock.now_ms()
        seconds = time.perf_counter() - request.started
        endpoint.figures.observe(error.status, 0, seconds)
        event_time = self._failure_time(endpoint, request.rows, now_ms)
        if event_time is None:
            return
        failure = Failure(
            request_id=request.request_id,
            logged_at=now_ms,
            latency_us=int(seconds * 1e6),
            status=error.status,
            version=None if request.model is None else request.model.desired.version,
            event_time=event_time,
            reason=str(error)[:_MOST_REASON],
        )
        try:
            endpoint.writer.append(failure, now_ms)
        except Unavailable:
            self.log_failures += 1
            _log.exception(
                "a failed request could not be logged", extra={"fields": {"request_id": request.request_id}}
            )

    @staticmethod
    def _failure_time(endpoint: Endpoint, rows: Rows | OneRow | None, now_ms: int) -> int | None:
        """The event time of a failed request, which must never move an event clock forward; None: it has no place."""
        asked = _latest(rows)
        if endpoint.desired.clock != "event":
            return now_ms if asked is None else asked
        seen = endpoint.last_event_time
        return seen if asked is None or seen is None else min(asked, seen)


def _latest(rows: Rows | OneRow | None) -> int | None:
    """The latest event time that the caller gave."""
    if rows is None or rows.event_times is None:
        return None
    return max((at for at in rows.event_times if at is not None), default=None)

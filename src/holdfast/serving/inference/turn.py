"""Zero-wait batching: the rows that arrived in one turn of the event loop run together, and nothing ever waits for more.

Per model version one run and one write to the log for all of them; each is answered, or fails, by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from holdfast.kernel.clock import Clock
from holdfast.predictions.segments import encode_record
from holdfast.runtimes.records import Outputs
from holdfast.serving.inference import invocations
from holdfast.serving.inference.endpoints import Endpoint
from holdfast.serving.inference.model import Model, RowRuntime
from holdfast.serving.inference.one_row import OneRow

__all__ = ["Turn"]


class _Waiting(msgspec.Struct, eq=False):
    """A row that waits for the end of the turn. `answer`: the body, once it is in the log."""

    endpoint: Endpoint
    model: Model
    runtime: RowRuntime
    row: OneRow
    request_id: str
    started: float
    answer: asyncio.Future[bytes]


class Turn:
    """The rows of the present turn. On the event loop alone."""

    def __init__(self, clock: Clock, in_flight: Callable[[], int]) -> None:
        """in_flight: how many requests the process is dealing with: when all of them wait here, the turn is over."""
        self._clock = clock
        self._in_flight = in_flight
        self._waiting: list[_Waiting] = []

    async def predict(
        self,
        endpoint: Endpoint,
        model: Model,
        runtime: RowRuntime,
        row: OneRow,
        request_id: str,
        started: float,
    ) -> bytes:
        """The answer's body, after its record is in the log. Raises what the model or the log raises for this row."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        waiting = self._waiting
        waiting.append(_Waiting(endpoint, model, runtime, row, request_id, started, answer))
        if len(waiting) == self._in_flight():
            self._end()
        elif len(waiting) == 1:
            loop.call_soon(self._end)
        return await answer

    def _end(self) -> None:
        """Answer everything that waits, by model."""
        waiting, self._waiting = self._waiting, []
        by_model: dict[int, list[_Waiting]] = {}
        for each in waiting:
            by_model.setdefault(id(each.model), []).append(each)
        for group in by_model.values():
            self._run(group)

    def _run(self, group: list[_Waiting]) -> None:
        try:
            outputs = group[0].runtime.predict_rows([each.row.values for each in group])
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the answer
            if len(group) == 1:
                _fail(group[0], error)
            else:
                for each in group:  # alone, so that only the row that is refused fails
                    self._run([each])
            return
        self._log(group, outputs)

    def _log(self, group: list[_Waiting], outputs: Outputs) -> None:
        """Write the records of a group at once, then answer."""
        endpoint, model, now_ms, now = (
            group[0].endpoint,
            group[0].model,
            self._clock.now_ms(),
            time.perf_counter(),
        )
        answered: list[tuple[_Waiting, bytes]] = []
        records: list[bytes] = []
        probabilities = outputs.probabilities
        for at, (each, label) in enumerate(zip(group, outputs.label, strict=True)):
            given = None if probabilities is None else probabilities[at]
            row, request_id = each.row, each.request_id
            try:
                if row.is_v2:
                    body = model.answers.encode(label, given, request_id, row.id)
                else:
                    body = invocations.encode(Outputs([label], None))
                record = model.record_row(row, label, given, request_id, now - each.started, now_ms)
                records.append(encode_record(record))
            except Exception as error:  # noqa: BLE001 - of this row alone
                _fail(each, error)
            else:
                answered.append((each, body))
        if not answered:
            return
        try:
            endpoint.writer.append_encoded(b"".join(records), now_ms, model.schema)
        except Exception as error:  # noqa: BLE001 - without its record no prediction is given
            for each, _ in answered:
                _fail(each, error)
        else:
            for each, body in answered:
                if not each.answer.done():
                    each.answer.set_result(body)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)

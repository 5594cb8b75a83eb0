"""LLM traces: what requests to an application went through, as its clients tell it, span by span."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import LATEST_MS
from holdfast.storage import Storage, Tx, lock
from holdfast.tracking.batches import check_value
from holdfast.tracking.experiments import number_of_id
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.records import Span, Trace
from holdfast.tracking.store import traces as store

__all__ = ["Traces"]

_TAG_LIMIT, _PREVIEW_LIMIT, _ID_LIMIT = 8000, 10_000, 256
_MOST_DELETED = 10_000
T = TypeVar("T")


class Traces:
    """Traces over the metadata database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def put_trace(self, caller: Caller, trace: Trace) -> Trace:
        """Note what a trace is; of one that its spans have made known already, what is told here holds. Idempotent.

        Raises NotFound for an unknown experiment, Conflict for a deleted one, InvalidInput.
        """
        require(caller, "tracking:write")
        _check(trace)

        def fn(tx: Tx) -> Trace:
            number_of_id(tx, caller, trace.experiment_id)
            lock(tx, "trace", caller.workspace, trace.trace_id)
            known = store.find_trace(tx, caller.workspace, trace.trace_id)
            if known is None:
                number = store.insert_trace(tx, caller.workspace, trace, is_told=True)
            else:
                number, _, before = known
                told = msgspec.structs.replace(
                    trace,
                    request=before.request if trace.request is None else trace.request,
                    response=before.response if trace.response is None else trace.response,
                )
                store.update_trace(tx, caller.workspace, number, told, is_told=True)
            for key, body in trace.assessments.items():
                store.put_assessment(tx, caller.workspace, number, key, body)
            return _found(tx, caller, trace.trace_id)[1]

        return self._storage.write(fn)

    def add_spans(self, caller: Caller, gathered: Mapping[str, tuple[Trace, Sequence[Span]]]) -> None:
        """Keep spans by the id of their trace, all or none; the same span again replaces it.

        gathered: with what the spans alone tell of the trace; it holds until the trace's client tells more.
        Raises NotFound for an unknown experiment, Conflict for a deleted one.
        """
        require(caller, "tracking:write")
        for trace, _ in gathered.values():
            _check(trace)

        def fn(tx: Tx) -> None:
            for trace_id, (trace, spans) in sorted(gathered.items()):
                lock(tx, "trace", caller.workspace, trace_id)
                known = store.find_trace(tx, caller.workspace, trace_id)
                if known is None:
                    number_of_id(tx, caller, trace.experiment_id)
                    number = store.insert_trace(tx, caller.workspace, trace, is_told=False)
                else:
                    number, is_told, before = known
                    both = _told(before, trace) if is_told else _joined(before, trace)
                    store.update_trace(tx, caller.workspace, number, both, is_told=is_told)
                store.put_spans(tx, caller.workspace, number, spans)

        self._storage.write(fn)

    def get_trace(self, caller: Caller, trace_id: str) -> Trace:
        """One trace. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: _found(tx, caller, trace_id)[1])

    def list_traces(self, caller: Caller, trace_ids: Sequence[str]) -> list[Trace]:
        """Those of some ids that there are, in that order."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: store.list_traces(tx, caller.workspace, trace_ids))

    def spans_of(self, caller: Caller, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
        """The spans of some traces, in order of their start."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: store.spans_of(tx, caller.workspace, trace_ids))

    def find_traces(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter = (),
        order: Sequence[Order] = (),
        *,
        offset: int = 0,
        limit: int = 100,
    ) -> list[Trace]:
        """Traces of some experiments that match every clause, in the order asked for; else the newest first."""
        require(caller, "tracking:read")
        return self._storage.read(
            lambda tx: store.find_traces(tx, caller.workspace, experiments, where, order, offset, limit)
        )

    def set_tag(self, caller: Caller, trace_id: str, key: str, value: str) -> None:
        """Write a tag; an existing key gets the new value. Raises NotFound."""
        check_value("tag", key, value, _TAG_LIMIT)
        self._change(
            caller,
            trace_id,
            lambda tx, number, _: store.put_values(
                tx, store.trace_tags, caller.workspace, number, {key: value}
            ),
        )

    def delete_tag(self, caller: Caller, trace_id: str, key: str) -> None:
        """Take a tag off. Raises NotFound when it has none of the key."""

        def fn(tx: Tx, number: int, _trace: Trace) -> None:
            if not store.remove_tag(tx, caller.workspace, number, key):
                raise NotFound(f"No trace tag with key '{key[:250]}' for trace with ID '{trace_id[:80]}'")

        self._change(caller, trace_id, fn)

    def change_tag(
        self, caller: Caller, trace_id: str, key: str, change: Callable[[str | None], str]
    ) -> None:
        """Write a tag as a function of what it was. Raises NotFound."""

        def fn(tx: Tx, number: int, trace: Trace) -> None:
            value = change(trace.tags.get(key))
            check_value("tag", key, value, _TAG_LIMIT)
            store.put_values(tx, store.trace_tags, caller.workspace, number, {key: value})

        self._change(caller, trace_id, fn)

    def put_assessment(
        self,
        caller: Caller,
        trace_id: str,
        assessment_id: str,
        change: Callable[[dict[str, Any] | None], dict[str, Any]],
    ) -> dict[str, Any]:
        """Write an assessment as a function of what it was (None: not there); what it is now. Raises NotFound."""

        def fn(tx: Tx, number: int, trace: Trace) -> dict[str, Any]:
            body = change(trace.assessments.get(assessment_id))
            store.put_assessment(tx, caller.workspace, number, assessment_id, body)
            return body

        return self._change(caller, trace_id, fn)

    def delete_assessment(self, caller: Caller, trace_id: str, assessment_id: str) -> None:
        """Take an assessment away; one that is not there is fine. Raises NotFound for an unknown trace."""
        self._change(
            caller,
            trace_id,
            lambda tx, number, _: store.remove_assessment(tx, caller.workspace, number, assessment_id),
        )

    def delete_traces(
        self,
        caller: Caller,
        experiment: int,
        *,
        until: int | None = None,
        most: int | None = None,
        trace_ids: Sequence[str] = (),
    ) -> int:
        """Delete traces of an experiment, for good: of some ids, or the oldest up to a time (ms UTC), so many at most.

        Gives how many; 10,000 at a time, so that nothing else waits. Audited.
        """
        require(caller, "tracking:write")

        def fn(tx: Tx) -> int:
            limit = min(most or _MOST_DELETED, _MOST_DELETED)
            numbers = store.select_old(tx, caller.workspace, experiment, until, limit, trace_ids)
            if numbers:
                store.delete_traces(tx, caller.workspace, numbers)
                thing = f"experiment:{experiment}"
                audit.append(
                    tx, caller, action="trace.delete", object=thing, after={"traces": str(len(numbers))}
                )
            return len(numbers)

        return self._storage.write(fn)

    def _change(self, caller: Caller, trace_id: str, change: Callable[[Tx, int, Trace], T]) -> T:
        require(caller, "tracking:write")

        def fn(tx: Tx) -> T:
            lock(tx, "trace", caller.workspace, trace_id)
            return change(tx, *_found(tx, caller, trace_id))

        return self._storage.write(fn)


def _found(tx: Tx, caller: Caller, trace_id: str) -> tuple[int, Trace]:
    known = store.find_trace(tx, caller.workspace, trace_id)
    if known is None:
        raise NotFound(f"Trace with ID '{trace_id[:80]}' not found.")
    return known[0], known[2]


def _joined(before: Trace, more: Trace) -> Trace:
    """What two batches of spans tell of a trace whose client has said nothing yet."""
    start = min(before.start_time, more.start_time)
    ends = [one.start_time + one.duration for one in (before, more) if one.duration is not None]
    return msgspec.structs.replace(
        before,
        state=before.state if more.state == "IN_PROGRESS" else more.state,
        start_time=start,
        duration=max(ends) - start if ends else None,
        request=before.request if more.request is None else more.request,
        response=before.response if more.response is None else more.response,
        tags=more.tags,
        metadata={**more.metadata, **before.metadata},
    )


def _told(before: Trace, more: Trace) -> Trace:
    """What later spans add to a trace whose client has said what it is: where they are, and how it ended."""
    is_open = before.state in ("IN_PROGRESS", "STATE_UNSPECIFIED") and more.state != "IN_PROGRESS"
    return msgspec.structs.replace(
        before,
        state=more.state if is_open else before.state,
        request=more.request if before.request is None else before.request,
        response=more.response if before.response is None else before.response,
        tags={**more.tags, **before.tags},
        metadata={**more.metadata, **before.metadata},
    )


def _check(trace: Trace) -> None:
    """Raises InvalidInput unless it may be kept."""
    if not 0 < len(trace.trace_id) <= _ID_LIMIT or any(ord(char) < 32 for char in trace.trace_id):
        raise InvalidInput(
            f"{trace.trace_id[:80]!r} is not the id of a trace.",
            hint=f"Use 1 to {_ID_LIMIT} characters, no control characters.",
        )
    if not 0 <= trace.start_time <= LATEST_MS or not 0 <= (trace.duration or 0) < 2**53:
        raise InvalidInput(
            f"The trace {trace.trace_id[:80]!r} begins at {trace.start_time} ms and took {trace.duration} ms; "
            "these are no times."
        )
    for kind, values in (("tag", trace.tags), ("trace metadata", trace.metadata)):
        for key, value in values.items():
            check_value(kind, key, value, _TAG_LIMIT)
    for text in (trace.client_request_id, trace.request, trace.response):
        if text is not None and ("\0" in text or len(text) > _PREVIEW_LIMIT):
            raise InvalidInput(
                f"A text of the trace {trace.trace_id[:80]!r} is longer than {_PREVIEW_LIMIT} characters, or holds a "
                "NUL character."
            )

"""The tables of LLM traces and their spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    false,
    insert,
    select,
    update,
)

from holdfast.storage import BigId, Tx, metadata
from holdfast.tracking.conditions import compare, compare_stored, sort_by
from holdfast.tracking.query import Clause, Filter, Order
from holdfast.tracking.records import Span, Trace

__all__ = [
    "delete_traces",
    "find_trace",
    "find_traces",
    "insert_trace",
    "list_traces",
    "put_assessment",
    "put_spans",
    "put_values",
    "remove_assessment",
    "remove_tag",
    "select_old",
    "spans_of",
    "trace_metadata",
    "trace_tags",
    "traces",
    "update_trace",
]

traces = Table(
    "trace",
    metadata,
    Column("trace_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("trace_id", String(256), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("duration", BigInteger),
    Column("client_request_id", Text),
    Column("request", Text),
    Column("response", Text),
    Column("is_told", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("workspace_id", "trace_id"),
    Index("ix_trace_workspace_id_experiment_id_start_time", "workspace_id", "experiment_id", "start_time"),
    sqlite_autoincrement=True,
)
"""`is_told`: its client has said what it is; otherwise that is gathered from its spans."""


def _values(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("workspace_id", String(64), nullable=False),
        Column("trace_no", BigInteger, nullable=False),
        Column("key", String(250), nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("workspace_id", "trace_no", "key"),
    )


trace_tags, trace_metadata = _values("trace_tag"), _values("trace_metadata")
trace_assessments = Table(
    "trace_assessment",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("trace_no", BigInteger, nullable=False),
    Column("assessment_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "trace_no", "assessment_id"),
)
spans = Table(
    "trace_span",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("trace_no", BigInteger, nullable=False),
    Column("span_id", String(16), nullable=False),
    Column("parent_id", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "trace_no", "span_id"),
)
_COLUMNS: dict[str, ColumnElement[Any]] = {
    "request_id": traces.c.trace_id,
    "timestamp_ms": traces.c.start_time,
    "execution_time_ms": traces.c.duration,
    "end_time_ms": traces.c.start_time + traces.c.duration,
    "status": traces.c.state,
    "client_request_id": traces.c.client_request_id,
    "experiment_id": traces.c.experiment_id,
}
_OWN = (
    "trace_id", "experiment_id", "state", "start_time", "duration", "client_request_id", "request", "response"
)  # fmt: skip
_AT_ONCE = 500


def find_trace(tx: Tx, workspace: str, trace_id: str) -> tuple[int, bool, Trace] | None:
    """Its number, whether its client told of it, and the trace."""
    query = select(traces).where(traces.c.workspace_id == workspace, traces.c.trace_id == trace_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else (row.trace_no, bool(row.is_told), _records(tx, workspace, [row])[0])


def list_traces(tx: Tx, workspace: str, trace_ids: Sequence[str]) -> list[Trace]:
    """Those of some ids, in that order."""
    found: dict[str, Trace] = {}
    for some in _parts(list(dict.fromkeys(trace_ids))):
        query = select(traces).where(traces.c.workspace_id == workspace, traces.c.trace_id.in_(some))
        found |= {one.trace_id: one for one in _records(tx, workspace, tx.execute(query).all())}
    return [found[trace_id] for trace_id in dict.fromkeys(trace_ids) if trace_id in found]


def spans_of(tx: Tx, workspace: str, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
    """The spans of some traces, in order of their start."""
    found: dict[str, list[Span]] = {}
    for some in _parts(list(dict.fromkeys(trace_ids))):
        query = (
            select(traces.c.trace_id, spans)
            .join(traces, traces.c.trace_no == spans.c.trace_no)
            .where(spans.c.workspace_id == workspace, traces.c.trace_id.in_(some))
            .order_by(spans.c.start_ns, spans.c.span_id)
        )
        for row in tx.execute(query):
            span = Span(
                row.span_id,
                row.parent_id,
                row.name,
                row.type,
                row.status,
                row.start_ns,
                row.end_ns,
                row.content,
            )
            found.setdefault(row.trace_id, []).append(span)
    return found


def find_traces(
    tx: Tx,
    workspace: str,
    numbers: Sequence[int],
    where: Filter,
    order: Sequence[Order],
    offset: int,
    limit: int,
) -> list[Trace]:
    """Traces of the experiments `numbers` that match every clause; by default the newest first."""
    sorting = [part for one in order for part in _sorting(workspace, one)] or [traces.c.start_time.desc()]
    query = select(traces).where(
        traces.c.workspace_id == workspace,
        traces.c.experiment_id.in_(numbers),
        *(_condition(workspace, clause) for clause in where),
    )
    query = query.order_by(*sorting, traces.c.trace_id).offset(offset).limit(limit)
    return _records(tx, workspace, tx.execute(query).all())


_VALUES = {"tag": trace_tags, "metadata": trace_metadata}


def _condition(workspace: str, clause: Clause) -> ColumnElement[bool]:
    if clause.entity == "attribute":
        return compare(_COLUMNS[clause.key], clause)
    if clause.entity == "span":
        of_trace = (spans.c.workspace_id == workspace, spans.c.trace_no == traces.c.trace_no)
        return exists(select(spans.c.span_id).where(*of_trace, compare(spans.c[clause.key], clause)))
    table = _VALUES[clause.entity]
    has_key = (
        table.c.workspace_id == workspace,
        table.c.trace_no == traces.c.trace_no,
        table.c.key == clause.key,
    )
    return compare_stored(table.c.key, has_key, table.c.value, clause)


def _sorting(workspace: str, order: Order) -> list[ColumnElement[Any]]:
    if order.entity == "attribute":
        column = _COLUMNS[order.key]
        return sort_by(column, order, is_absent=column.is_(None))
    table = _VALUES[order.entity]
    value = (
        select(table.c.value)
        .where(
            table.c.workspace_id == workspace,
            table.c.trace_no == traces.c.trace_no,
            table.c.key == order.key,
        )
        .scalar_subquery()
    )
    return sort_by(value, order)


def insert_trace(tx: Tx, workspace: str, trace: Trace, *, is_told: bool) -> int:
    """A new trace; its number."""
    done = tx.execute(insert(traces).values(workspace_id=workspace, is_told=is_told, **_row(trace)))
    assert done.inserted_primary_key is not None
    number = int(done.inserted_primary_key[0])
    put_values(tx, trace_tags, workspace, number, trace.tags)
    put_values(tx, trace_metadata, workspace, number, trace.metadata)
    return number


def update_trace(tx: Tx, workspace: str, number: int, trace: Trace, *, is_told: bool) -> None:
    """Write its columns anew; tags and metadata are added to those that it has."""
    own = (traces.c.workspace_id == workspace, traces.c.trace_no == number)
    tx.execute(update(traces).where(*own).values(is_told=is_told, **_row(trace)))
    put_values(tx, trace_tags, workspace, number, trace.tags)
    put_values(tx, trace_metadata, workspace, number, trace.metadata)


def _row(trace: Trace) -> dict[str, Any]:
    return {name: getattr(trace, name) for name in _OWN}


def put_values(tx: Tx, table: Table, workspace: str, number: int, values: Mapping[str, str]) -> None:
    """Write tags or metadata; an existing key gets the new value."""
    own = (table.c.workspace_id == workspace, table.c.trace_no == number)
    for some in _parts(list(values)):
        tx.execute(delete(table).where(*own, table.c.key.in_(some)))
    if values:
        same = {"workspace_id": workspace, "trace_no": number}
        tx.execute(insert(table), [{**same, "key": key, "value": value} for key, value in values.items()])


def remove_tag(tx: Tx, workspace: str, number: int, key: str) -> bool:
    """Take a tag off; whether it was there."""
    own = (
        trace_tags.c.workspace_id == workspace, trace_tags.c.trace_no == number, trace_tags.c.key == key
    )  # fmt: skip
    return tx.execute(delete(trace_tags).where(*own)).rowcount > 0


def put_spans(tx: Tx, workspace: str, number: int, given: Sequence[Span]) -> None:
    """Write spans; one of a known id is replaced."""
    own = (spans.c.workspace_id == workspace, spans.c.trace_no == number)
    last = {one.span_id: one for one in given}
    for some in _parts(list(last)):
        tx.execute(delete(spans).where(*own, spans.c.span_id.in_(some)))
    same = {"workspace_id": workspace, "trace_no": number}
    tx.execute(insert(spans), [{**same, **msgspec.structs.asdict(one)} for one in last.values()])


def put_assessment(tx: Tx, workspace: str, number: int, assessment_id: str, body: Mapping[str, Any]) -> None:
    """Write an assessment, in place of the one of its id."""
    remove_assessment(tx, workspace, number, assessment_id)
    text = msgspec.json.encode(body).decode()
    row = {"workspace_id": workspace, "trace_no": number, "assessment_id": assessment_id, "body": text}
    tx.execute(insert(trace_assessments).values(row))


def remove_assessment(tx: Tx, workspace: str, number: int, assessment_id: str) -> bool:
    """Take an assessment away; whether it was there."""
    table = trace_assessments
    own = (
        table.c.workspace_id == workspace, table.c.trace_no == number, table.c.assessment_id == assessment_id
    )  # fmt: skip
    return tx.execute(delete(table).where(*own)).rowcount > 0


def select_old(
    tx: Tx, workspace: str, experiment: int, until: int | None, most: int | None, trace_ids: Sequence[str]
) -> list[int]:
    """The numbers of an experiment's traces, the oldest first: of some ids, or those up to a time, so many at most."""
    base = select(traces.c.trace_no).where(
        traces.c.workspace_id == workspace, traces.c.experiment_id == experiment
    )
    if trace_ids:
        queries = [base.where(traces.c.trace_id.in_(some)) for some in _parts(list(trace_ids))]
    else:
        aged = base if until is None else base.where(traces.c.start_time <= until)
        queries = [aged.order_by(traces.c.start_time, traces.c.trace_id).limit(most)]
    return [int(number) for query in queries for number in tx.execute(query).scalars()]


def delete_traces(tx: Tx, workspace: str, numbers: Sequence[int]) -> None:
    """Take traces away with all that is theirs."""
    for some in _parts(list(numbers)):
        for table in (spans, trace_tags, trace_metadata, trace_assessments, traces):
            tx.execute(delete(table).where(table.c.workspace_id == workspace, table.c.trace_no.in_(some)))


def _records(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[Trace]:
    numbers = [row.trace_no for row in rows]
    tags = _load(tx, trace_tags, workspace, numbers)
    more = _load(tx, trace_metadata, workspace, numbers)
    said = _load(tx, trace_assessments, workspace, numbers)
    return [
        Trace(
            **{name: getattr(row, name) for name in _OWN},
            tags=tags.get(row.trace_no, {}),
            metadata=more.get(row.trace_no, {}),
            assessments={key: msgspec.json.decode(body) for key, body in said.get(row.trace_no, {}).items()},
        )
        for row in rows
    ]


def _load(tx: Tx, table: Table, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    """Of a table of three: number -> key -> text."""
    key, value = table.c[2], table.c[3]
    found: dict[int, dict[str, str]] = {}
    for some in _parts(list(numbers)):
        query = select(table.c.trace_no, key, value).where(
            table.c.workspace_id == workspace, table.c.trace_no.in_(some)
        )
        for number, name, text in tx.execute(query.order_by(key)):
            found.setdefault(number, {})[name] = text
    return found


def _parts(values: list[Any]) -> Iterable[list[Any]]:
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]

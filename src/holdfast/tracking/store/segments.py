"""Rows of compacted points, and of what is still to be compacted.

A run's batches up to `run.compacted_to` have given their points to its segments and keep their digests alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, literal, or_, select, update

from holdfast.storage import ALL_WORKSPACES, Tx
from holdfast.storage.direct import Direct, Inserts
from holdfast.tracking.store.tables import batches, loose, runs, segments

__all__ = [
    "Batch",
    "Segment",
    "all_overviews",
    "compacted_to",
    "leave_loose",
    "list_loose",
    "list_segments",
    "load_blobs",
    "load_mixed",
    "load_next",
    "load_overviews",
    "note_loose",
    "put_segments",
    "set_compacted",
]

Batch = tuple[int, bytes]
"""Number and blob."""
Segment = tuple[str, int, bytes, bytes | None]
"""Key (empty: several), points, blob, overview (None of several keys)."""

_OF_RUN = (loose.c.workspace_id == bindparam("workspace"), loose.c.run_no == bindparam("run"))
_COUNT = Direct(select(loose.c.batches).where(*_OF_RUN))
_ADD = Inserts(loose)
_GROW = Direct(
    update(loose).where(*_OF_RUN).values(batches=bindparam("new_batches"), newest_at=bindparam("new_newest"))
)
_COMPACTED_TO = Direct(
    select(runs.c.compacted_to).where(
        runs.c.workspace_id == bindparam("workspace"), runs.c.run_no == bindparam("run")
    )
)
_NEXT = Direct(
    select(batches.c.batch_id, batches.c.blob)
    .where(
        batches.c.workspace_id == bindparam("workspace"),
        batches.c.run_no == bindparam("run"),
        batches.c.batch_id > bindparam("after"),
        batches.c.batch_id < bindparam("below"),
    )
    .order_by(batches.c.batch_id)
    .limit(bindparam("most"))
)
_COMPACTED = (
    batches.c.workspace_id == bindparam("workspace"),
    batches.c.run_no == bindparam("run"),
    batches.c.batch_id > bindparam("after"),
    batches.c.batch_id <= bindparam("last"),
)
_KEPT = ("batch_id", "workspace_id", "run_no", "body_sha256", "received_at", "points")
_LOAD_KEPT = Direct(
    select(*(batches.c[name] for name in _KEPT)).where(*_COMPACTED).order_by(batches.c.batch_id)
)
_DELETE = Direct(delete(batches).where(*_COMPACTED))
_PUT_BACK = Inserts(batches, *_KEPT, "blob")

_SEGMENTS_OF = (segments.c.workspace_id == bindparam("workspace"), segments.c.run_no == bindparam("run"))
_OVERVIEWS = Direct(
    select(segments.c.segment_id, segments.c.overview)
    .where(*_SEGMENTS_OF, segments.c.key == bindparam("key"))
    .order_by(segments.c.segment_id)
)
_MIXED = Direct(select(segments.c.blob).where(*_SEGMENTS_OF, segments.c.key == literal("")))


def note_loose(tx: Tx, workspace: str, run_no: int, fresh: int, now_ms: int) -> None:
    """Note that so many more batches of a run may be compacted; the newest came at `now_ms`."""
    own = {"workspace": workspace, "run": run_no}
    found = _COUNT.rows(tx, own)
    if found:
        _GROW.run(tx, {**own, "new_batches": found[0][0] + fresh, "new_newest": now_ms})
    else:
        _ADD.run(tx, [(workspace, run_no, fresh, now_ms)])


def list_loose(tx: Tx, many: int, few: int, before_ms: int, limit: int) -> list[tuple[str, str]]:
    """(workspace, run id) of runs with `many` batches to compact, or with `few` of which the newest came before."""
    is_due = or_(loose.c.batches >= many, loose.c.newest_at < before_ms)
    query = (
        select(loose.c.workspace_id, runs.c.run_id)
        .join(runs, (runs.c.workspace_id == loose.c.workspace_id) & (runs.c.run_no == loose.c.run_no))
        .where(loose.c.batches >= few, is_due)
        .order_by(loose.c.batches.desc())
        .limit(limit)
    )
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def leave_loose(tx: Tx, workspace: str, run_id: str) -> None:
    """Let the batches that a run has now be: they are not to be compacted."""
    run = select(runs.c.run_no).where(runs.c.workspace_id == workspace, runs.c.run_id == run_id)
    tx.execute(
        delete(loose).where(loose.c.workspace_id == workspace, loose.c.run_no == run.scalar_subquery())
    )


def compacted_to(tx: Tx, workspace: str, run_no: int) -> int:
    """The last batch of a run that was compacted; 0 before the first."""
    ((found,),) = _COMPACTED_TO.rows(tx, {"workspace": workspace, "run": run_no})
    return int(found)


def load_next(tx: Tx, workspace: str, run_no: int, after: int, below: int, most: int) -> list[Batch]:
    """At most so many batches of a run numbered above `after` and below `below`."""
    own = {"workspace": workspace, "run": run_no, "after": after, "below": below, "most": most}
    return [(int(number), bytes(blob)) for number, blob in _NEXT.rows(tx, own)]


def list_segments(tx: Tx, workspace: str, run_no: int, keys: Sequence[str]) -> list[tuple[int, str, int]]:
    """(id, key, points) of a run's segments of some keys."""
    found: list[tuple[int, str, int]] = []
    for at in range(0, len(keys), 500):
        query = select(segments.c.segment_id, segments.c.key, segments.c.points).where(
            segments.c.workspace_id == workspace,
            segments.c.run_no == run_no,
            segments.c.key.in_(keys[at : at + 500]),
        )
        found += [(row.segment_id, row.key, row.points) for row in tx.execute(query)]
    return found


def load_overviews(tx: Tx, workspace: str, run_no: int, key: str) -> list[tuple[int, bytes]]:
    """(id, overview) of a run's segments of one key alone."""
    rows = _OVERVIEWS.rows(tx, {"workspace": workspace, "run": run_no, "key": key})
    return [(int(number), bytes(overview)) for number, overview in rows]


def all_overviews(tx: Tx, workspace: str, run_no: int) -> list[tuple[bytes, bytes]]:
    """(blob, overview) of all of a run's segments that have one."""
    query = select(segments.c.blob, segments.c.overview).where(
        segments.c.workspace_id == workspace, segments.c.run_no == run_no, segments.c.overview.is_not(None)
    )
    return [(bytes(row.blob), bytes(row.overview)) for row in tx.execute(query)]


def load_mixed(tx: Tx, workspace: str, run_no: int) -> list[bytes]:
    """The blobs of a run's segments of several keys."""
    rows = _MIXED.rows(tx, {"workspace": workspace, "run": run_no})
    return [bytes(blob) for (blob,) in rows]


def load_blobs(tx: Tx, workspace: str, numbers: Sequence[int]) -> list[bytes]:
    """The blobs of segments, in the order of their ids as given."""
    found: dict[int, bytes] = {}
    for at in range(0, len(numbers), 500):
        query = select(segments.c.segment_id, segments.c.blob).where(
            segments.c.workspace_id == workspace, segments.c.segment_id.in_(numbers[at : at + 500])
        )
        found.update((row.segment_id, bytes(row.blob)) for row in tx.execute(query))
    return [found[number] for number in numbers]


def put_segments(tx: Tx, workspace: str, run_no: int, old: Sequence[int], new: Sequence[Segment]) -> None:
    """Put segments of a run in the place of others, named by their ids."""
    for at in range(0, len(old), 500):
        tx.execute(
            delete(segments).where(
                segments.c.workspace_id == workspace, segments.c.segment_id.in_(old[at : at + 500])
            )
        )
    if new:
        own = {"workspace_id": workspace, "run_no": run_no}
        rows = [
            {**own, "key": key, "points": points, "blob": blob, "overview": overview}
            for key, points, blob, overview in new
        ]
        tx.execute(insert(segments), rows)


def set_compacted(tx: Tx, workspace: str, run_no: int, after: int, last: int, left: int) -> None:
    """The batches above `after` up to `last` are compacted: their blobs go; `left` are still to be."""
    own = {"workspace": workspace, "run": run_no}
    # Written anew: SQLite gives the pages of rows back that go, and not those of rows that shrink.
    kept = _LOAD_KEPT.rows(tx, {**own, "after": after, "last": last})
    _DELETE.run(tx, {**own, "after": after, "last": last})
    _PUT_BACK.run(tx, [(*row, b"") for row in kept])
    tx.execute(
        update(runs)
        .where(runs.c.workspace_id == workspace, runs.c.run_no == run_no)
        .values(compacted_to=last)
    )
    of_run = (loose.c.workspace_id == workspace, loose.c.run_no == run_no)
    if left:
        tx.execute(update(loose).where(*of_run).values(batches=left))
    else:
        tx.execute(delete(loose).where(*of_run))

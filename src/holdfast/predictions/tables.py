"""The two Delta tables of an endpoint: predictions and labels. Appends are exactly once; reads join them.

Exactly once rests on two properties of each commit: it carries `Transaction(app_id, version)` for every segment
(or label batch) in it, so that what the table has already is skipped; and it is never retried by the writer, so
that of two writers that read the same table version one fails and starts again from what the other wrote.

Imported in short-lived children only: Polars and Delta cost 120 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError

from holdfast.predictions.columns import kind_of
from holdfast.predictions.frames import prediction_frame
from holdfast.predictions.segments import Scan
from holdfast.storage.objects import table_options

__all__ = [
    "append_labels",
    "append_predictions",
    "counted_ids",
    "matched_events",
    "merge_small_files",
    "open_table",
]

LABELS_APP = "labels"
_SMALL_FILES = 64
_KEEP_HOURS = 24
_ROW_GROUP = 65_536
_STATISTICS = ("prediction_id", "key", "event_time", "logged_at", "status", "received_at", "batch")
"""Columns whose minimum and maximum stand in the Delta log, so that reads skip files."""


def open_table(address: str) -> DeltaTable | None:
    """The table at its present version; None before its first commit."""
    try:
        return DeltaTable(address, storage_options=table_options(address))
    except TableNotFoundError:
        return None


def append_predictions(address: str, scans: Sequence[Scan]) -> pl.Series:
    """Append the rows of these segments that the table does not have; give the event times of *all* their rows.

    `scans` are in the order of their sequence numbers per boot. Raises deltalake's CommitFailedError when another
    writer committed meanwhile: nothing was written then, and the call may be repeated.
    """
    table = open_table(address)
    is_old = [_has(table, _app_id(scan), scan.header.seq) for scan in scans]
    fresh = [scan for scan, old in zip(scans, is_old, strict=True) if not old]
    events = [
        prediction_frame([scan], {}).select("event_time")
        for scan, old in zip(scans, is_old, strict=True)
        if old
    ]
    if fresh:
        frame = _mark_repeats(table, prediction_frame(fresh, _columns(table)))
        versions: dict[str, int] = {}
        for scan in fresh:
            versions[_app_id(scan)] = max(scan.header.seq, versions.get(_app_id(scan), 0))
        _commit(address, table, frame, versions, partition_by=["logged_date"])
        events.append(frame.select("event_time"))
    return pl.concat(events)["event_time"] if events else pl.Series("event_time", [], dtype=pl.Int64())


def append_labels(address: str, batches: Iterable[tuple[int, pl.DataFrame]]) -> None:
    """Append the label batches (sequence number, frame) that the table does not have, in the order of numbers."""
    table = open_table(address)
    fresh = [(seq, frame) for seq, frame in batches if not _has(table, LABELS_APP, seq)]
    if fresh:
        rows = pl.concat([frame for _, frame in fresh])
        _commit(address, table, rows, {LABELS_APP: max(seq for seq, _ in fresh)})


def counted_ids(predictions: pl.LazyFrame) -> pl.LazyFrame:
    """(prediction_id, repeat_of) of the repeats: sent again with the same key and inputs, so not counted."""
    return predictions.filter(pl.col("repeat_of").is_not_null()).select("prediction_id", "repeat_of")


def matched_events(address: str, labels: pl.DataFrame) -> tuple[int, pl.Series]:
    """(how many of these label rows have a prediction, the event times of the predictions that they touch).

    A label for a repeat touches the prediction that counts, which may lie on another day.
    """
    table = open_table(address)
    nothing = pl.Series("event_time", [], dtype=pl.Int64())
    if table is None:
        return 0, nothing
    predictions = pl.scan_delta(table).filter(pl.col("status") == 200)
    matched, times = 0, [nothing]
    counted: set[str] = set()
    for column in ("prediction_id", "key"):
        wanted = labels.filter(pl.col(column).is_not_null()).select(column)
        if wanted.is_empty():
            continue
        columns = {column, "event_time", "repeat_of"}
        found = predictions.select(columns).join(wanted.lazy(), on=column, how="semi").collect()
        matched += wanted.join(found, on=column, how="semi").height
        times.append(found["event_time"])
        counted.update(found["repeat_of"].drop_nulls())
    if counted:
        times.append(
            predictions.filter(pl.col("prediction_id").is_in(counted))
            .select("event_time")
            .collect()["event_time"]
        )
    return matched, pl.concat(times)


def merge_small_files(address: str) -> int:
    """Merge the files of each partition that has many; gives how many partitions had. Rows and transactions stay.

    Files that are out of use for a day, replaced or left by a killed writer, are deleted then.
    """
    table = open_table(address)
    if table is None:
        return 0
    counts = Counter(uri.rsplit("/", 2)[-2] for uri in table.file_uris())
    crowded = [folder for folder, count in counts.items() if count > _SMALL_FILES]
    for folder in crowded:
        column, is_partition, value = folder.partition("=")
        table.optimize.compact(
            partition_filters=[(column, "=", value)] if is_partition else None,
            writer_properties=_writer(),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    if crowded:
        table.vacuum(retention_hours=_KEEP_HOURS, dry_run=False, enforce_retention_duration=False)
    return len(crowded)


def _app_id(scan: Scan) -> str:
    return f"{scan.header.replica}/{scan.header.boot}"


def _has(table: DeltaTable | None, app_id: str, seq: int) -> bool:
    if table is None:
        return False
    version = table.transaction_version(app_id)
    return version is not None and version >= seq


def _columns(table: DeltaTable | None) -> dict[str, str]:
    """Column to storage kind of the table's features and scores."""
    if table is None:
        return {}
    schema = pl.scan_delta(table).collect_schema()
    return {name: kind_of(dtype) for name, dtype in schema.items() if name.startswith(("in_", "score_"))}


def _mark_repeats(table: DeltaTable | None, frame: pl.DataFrame) -> pl.DataFrame:
    """Fill `repeat_of`: the first prediction of the same key and inputs, in the table or earlier in the frame."""
    pair = ["key", "input_hash"]
    keyed = frame.filter(pl.col("key").is_not_null() & (pl.col("status") == 200)).select(
        "prediction_id", *pair
    )
    if keyed.is_empty():
        return frame
    first = keyed.group_by(pair, maintain_order=True).agg(pl.col("prediction_id").first().alias("first"))
    if table is not None:
        known = (
            pl.scan_delta(table)
            .filter(pl.col("repeat_of").is_null() & pl.col("key").is_not_null())
            .select(*pair, pl.col("prediction_id").alias("known"))
            .join(first.lazy().select(pair), on=pair, how="semi")
            .collect()
        )
        first = first.join(known, on=pair, how="left").select(
            *pair, pl.coalesce("known", "first").alias("first")
        )
    repeats = (
        keyed.join(first, on=pair)
        .filter(pl.col("prediction_id") != pl.col("first"))
        .select("prediction_id", pl.col("first").alias("repeat"))
    )
    return (
        frame.join(repeats, on="prediction_id", how="left", maintain_order="left")
        .with_columns(pl.col("repeat").alias("repeat_of"))
        .drop("repeat")
    )


def _commit(
    address: str,
    table: DeltaTable | None,
    frame: pl.DataFrame,
    versions: Mapping[str, int],
    partition_by: list[str] | None = None,
) -> None:
    write_deltalake(
        address if table is None else table,
        frame,
        mode="append",
        storage_options=table_options(address) if table is None else None,
        schema_mode="merge",
        partition_by=partition_by,
        configuration={
            "delta.dataSkippingStatsColumns": ",".join(name for name in _STATISTICS if name in frame.columns),
            "delta.checkpointInterval": "50",
        },
        writer_properties=_writer(),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(app_id, version) for app_id, version in sorted(versions.items())],
            max_commit_retries=0,
        ),
    )


def _writer() -> WriterProperties:
    return WriterProperties(compression="ZSTD", max_row_group_size=_ROW_GROUP)

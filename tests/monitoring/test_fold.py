from __future__ import annotations

from collections.abc import Callable

import msgspec
import polars as pl
import pytest

from holdfast.audit.service import AuditLog
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring import store
from holdfast.monitoring.fold import fold_endpoint
from holdfast.monitoring.service import Monitor
from holdfast.predictions.records import Endpoint
from holdfast.storage import Objects, Storage, Tx
from tests.monitoring.conftest import MONDAY, FrameLog, make_rows, reference_columns

WEEK_MS = 7 * DAY_MS
REFERENCE = reference_columns(make_rows(MONDAY - WEEK_MS, 5000, 0.2))
AddEndpoint = Callable[..., Endpoint]


def dump(storage: Storage) -> list[object]:
    """Every bucket with its body."""

    def fn(tx: Tx) -> list[object]:
        bodies = store.load_bodies(tx, "default", "e1", -(2**60), 2**60)
        return [
            (bucket, bodies[bucket.start, bucket.version])
            for bucket in store.list_buckets(tx, "default", "e1")
        ]

    return storage.read(fn)


def add_weeks(log: FrameLog, errors: list[float], first: int = 0, rows: int = 700) -> None:
    for week, error in enumerate(errors, first):
        log.add(make_rows(MONDAY + week * WEEK_MS, rows, error, span_ms=WEEK_MS))


def test_folding_again_and_in_another_order_gives_the_same_buckets(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, storage: Storage
) -> None:
    add_endpoint(REFERENCE)
    add_weeks(log, [0.2, 0.2])
    (outcome,) = monitor.fold_pending()
    assert (outcome.days, outcome.rows) == (14, 1400)
    first = dump(storage)
    assert not monitor.has_pending() and monitor.fold_pending() == []
    log.changes += [(MONDAY + 3 * DAY_MS, MONDAY + 9 * DAY_MS), (MONDAY, MONDAY + 4 * DAY_MS)]
    assert monitor.has_pending()
    assert monitor.fold_pending()[0].days == 10
    assert dump(storage) == first


def test_late_labels_update_their_days_and_no_row_counts_twice(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, storage: Storage
) -> None:
    add_endpoint(REFERENCE)
    whole = make_rows(MONDAY, 700, 0.2, span_ms=WEEK_MS)
    log.add(whole.with_columns(pl.lit(None, pl.String).alias("label")))
    monitor.fold_pending()
    assert sum(b.labelled for b in storage.read(lambda tx: store.list_buckets(tx, "default", "e1"))) == 0
    log.label(dict(zip(whole["prediction_id"], whole["label"], strict=True)))
    monitor.fold_pending()
    buckets = storage.read(lambda tx: store.list_buckets(tx, "default", "e1"))
    assert sum(b.rows for b in buckets) == sum(b.labelled for b in buckets) == 700
    assert sum(b.errors for b in buckets) == whole.filter(pl.col("label") != pl.col("prediction")).height


@pytest.mark.parametrize(("window", "writes_early"), [("1w", False), ("1h", True)])
def test_a_fold_that_is_cut_off_is_finished_by_the_next(
    monitor: Monitor,
    log: FrameLog,
    add_endpoint: AddEndpoint,
    storage: Storage,
    objects: Objects,
    window: str,
    writes_early: bool,
) -> None:
    endpoint = add_endpoint(REFERENCE, window=window)
    add_weeks(log, [0.2, 0.2, 0.4])

    class CutOff(Exception):
        pass

    reads = log.read_days

    def failing(endpoint_id: str, first: int, last: int) -> pl.DataFrame:
        if first > MONDAY + WEEK_MS:
            raise CutOff
        return reads(endpoint_id, first, last)

    log.read_days = failing  # type: ignore[method-assign]
    with pytest.raises(CutOff):
        fold_endpoint(storage, objects, log, endpoint, 1)
    log.read_days = reads  # type: ignore[method-assign]
    assert bool(dump(storage)) == writes_early
    assert monitor.has_pending()
    assert monitor.fold_pending()[0].raised >= 1
    buckets = storage.read(lambda tx: store.list_buckets(tx, "default", "e1"))
    assert sum(bucket.rows for bucket in buckets) == 2100


def test_of_two_folds_at_one_time_one_gives_way(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, storage: Storage, objects: Objects
) -> None:
    endpoint = add_endpoint(REFERENCE)
    add_weeks(log, [0.2])
    reads = log.read_days

    def racing(endpoint_id: str, first: int, last: int) -> pl.DataFrame:
        log.read_days = reads  # type: ignore[method-assign]
        fold_endpoint(storage, objects, log, endpoint, 2)
        return reads(endpoint_id, first, last)

    log.read_days = racing  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="same time"):
        fold_endpoint(storage, objects, log, endpoint, 1)
    assert len(dump(storage)) == 7 and not monitor.has_pending()


def test_harm_raises_one_alert_that_says_what_and_ends_it(
    monitor: Monitor,
    log: FrameLog,
    add_endpoint: AddEndpoint,
    storage: Storage,
    caller: Caller,
    clock: ManualClock,
) -> None:
    add_endpoint(REFERENCE)
    add_weeks(log, [0.2, 0.2, 0.2])
    monitor.fold_pending()
    assert monitor.list_alerts(caller).items == []
    log.add(make_rows(MONDAY + 3 * WEEK_MS, 700, 0.35, span_ms=WEEK_MS, shift=3.0))
    clock.advance(1000)
    monitor.fold_pending()
    (alert,) = monitor.list_alerts(caller, "delays", "open").items
    assert alert.id == 1 and alert.state == "open" and alert.verdict == "harmful"
    assert (
        alert.window_start == MONDAY + 3 * WEEK_MS <= alert.since < alert.detected_at <= MONDAY + 4 * WEEK_MS
    )
    assert alert.raised_at == clock.now_ms()
    assert alert.interval[0] < alert.error < alert.interval[1] and alert.error > alert.alert_above
    assert alert.inputs[0].feature == "x" and alert.inputs[0].drifted
    for part in ("January 2024", "were wrong", "against 20.3 % on the reference", "x (PSI", "instead of"):
        assert part in alert.text
    assert "retrain" in alert.advice
    monitor.fold_pending()
    add_weeks(log, [0.12, 0.12], first=4)
    assert monitor.fold_pending()[0].ended == 1
    ended = monitor.get_alert(caller, 1)
    assert ended.state == "ended" and ended.recovered_at == MONDAY + 5 * WEEK_MS
    assert ended.ended_at == clock.now_ms() and ended.text == alert.text
    assert monitor.list_alerts(caller, state="open").items == []
    actions = [entry.action for entry in AuditLog(storage).list_entries(caller).items]
    assert actions == ["alert.end", "alert.raise"]
    assert AuditLog(storage).verify().ok


def test_folding_everything_anew_raises_no_alert_again(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    endpoint = add_endpoint(REFERENCE)
    add_weeks(log, [0.2, 0.2, 0.45, 0.12, 0.12, 0.2], rows=300)
    monitor.fold_pending()
    before = monitor.list_alerts(caller).items
    assert [alert.state for alert in before] == ["ended"]
    log.endpoints["delays"] = msgspec.structs.replace(endpoint, window="1h")
    assert monitor.has_pending()
    monitor.fold_pending()
    assert monitor.list_alerts(caller).items == before
    assert len(monitor.show(caller, "delays", "1h", limit=50).windows) == 50
    assert monitor.show(caller, "delays", "1w").windows[0].rows == 300


def test_two_hundred_windows_resampled_from_the_reference_raise_no_alert(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    source = make_rows(MONDAY - WEEK_MS, 3000, 0.2)
    add_endpoint(reference_columns(source), window="1d")
    days = []
    for day in range(200):
        rows = source.sample(500, with_replacement=True, seed=day)
        ids = [f"{day}-{i}" for i in range(500)]
        at = MONDAY + day * DAY_MS
        days.append(
            rows.with_columns(pl.Series("prediction_id", ids), pl.lit(at, pl.Int64).alias("event_time"))
        )
    log.add(pl.concat(days))
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert len(report.windows) == 200 and all(window.rows == 500 for window in report.windows)
    assert monitor.list_alerts(caller).items == []
    assert sum(drift.drifted for window in report.windows for drift in window.drift.values()) <= 1


def test_a_new_reference_counts_its_versions_days_anew(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    add_weeks(log, [0.2])
    monitor.fold_pending()
    assert not monitor.show(caller, "delays").windows[0].drift["x"].drifted
    shifted = {**REFERENCE, "x": [value + 5.0 for value in REFERENCE["x"]]}
    add_endpoint(shifted)
    assert monitor.has_pending()
    monitor.fold_pending()
    assert monitor.show(caller, "delays").windows[0].drift["x"].drifted
    assert not monitor.has_pending()


def test_a_file_without_predictions_tells_drift_and_leaves_the_error_to_compare_with(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    endpoint = add_endpoint(REFERENCE)
    add_weeks(log, [0.2])
    monitor.fold_pending()
    before = monitor.show(caller, "delays")
    inputs = {"x": [value + 5.0 for value in REFERENCE["x"]], "late": REFERENCE["late"]}
    pointer = msgspec.structs.replace(add_endpoint(inputs).reference, source="file")
    log.endpoints["delays"] = msgspec.structs.replace(endpoint, reference=pointer)
    monitor.fold_pending()
    after = monitor.show(caller, "delays")
    assert after.windows[0].drift["x"].drifted
    assert after.rule == before.rule and after.reference.metrics == before.reference.metrics
    assert "They hold no predictions" in after.reference.text and after.reference.source == "file"


def test_each_version_is_judged_by_its_own_reference(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    add_weeks(log, [0.2, 0.2])
    monitor.fold_pending()
    log.add(make_rows(MONDAY + 2 * WEEK_MS, 300, 0.2))
    log.add(make_rows(MONDAY + 2 * WEEK_MS + DAY_MS, 900, 0.1, version=2, shift=4.0))
    better = reference_columns(make_rows(MONDAY - WEEK_MS, 5000, 0.1, shift=4.0, seed=9))
    add_endpoint(better, version=2, live_version=2)
    assert monitor.fold_pending()[0].days == 2
    first, _, third = monitor.show(caller, "delays").windows
    assert (first.version, third.version, third.rows) == (1, 2, 1200)
    assert first.metrics["error"].reference == pytest.approx(0.2, abs=0.02)
    assert third.metrics["error"].reference == pytest.approx(0.1, abs=0.02)
    assert not any(drift.drifted for window in (first, third) for drift in window.drift.values())
    assert monitor.list_alerts(caller).items == []


def test_without_a_reference_the_first_rows_become_it(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(None)
    add_weeks(log, [0.3], rows=700)
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert report.state == "learning" and "300 more predictions" in report.message
    assert report.windows[0].drift == {} and report.windows[0].metrics["error"].realised is not None
    add_weeks(log, [0.3], first=1)
    monitor.fold_pending()
    log.add(make_rows(MONDAY + 2 * WEEK_MS, 700, 0.9, span_ms=WEEK_MS, shift=3.0))
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert report.state == "no truth" and report.reference.rows == 1000
    assert "no alert is raised" in report.reference.text and report.rule.alert_above is None
    assert [w.drift["x"].drifted for w in report.windows] == [False, False, True]
    assert report.windows[2].metrics["error"].realised == pytest.approx(0.9, abs=0.05)
    assert report.windows[2].metrics["error"].reference is None
    assert monitor.list_alerts(caller).items == []
    assert not monitor.has_pending()


def test_a_wall_clock_endpoint_is_looked_at_when_its_window_ends(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller, clock: ManualClock
) -> None:
    add_endpoint(REFERENCE, clock="wall", window="1d")
    today = clock.now_ms() // DAY_MS * DAY_MS
    log.add(make_rows(today, 100, 0.2, span_ms=3_600_000))
    monitor.fold_pending()
    assert not monitor.has_pending()
    now = Caller(caller.principal, "default", "r", clock.now_ms())
    assert monitor.show(now, "delays").windows[-1].status == "open"
    clock.advance(DAY_MS)
    assert monitor.has_pending()
    monitor.fold_pending()
    assert not monitor.has_pending()
    later = Caller(caller.principal, "default", "r", clock.now_ms())
    window = monitor.show(later, "delays").windows[-1]
    assert (window.status, window.label_delay_ms) == ("complete", 3_600_000)


def test_a_clock_that_goes_back_by_a_year_is_folded_once_and_counts_on(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller, clock: ManualClock
) -> None:
    add_endpoint(REFERENCE, clock="wall", window="1d")
    log.add(make_rows(clock.now_ms() // DAY_MS * DAY_MS, 100, 0.2, span_ms=3_600_000))
    monitor.fold_pending()
    clock.advance(-365 * DAY_MS)
    assert monitor.has_pending()
    monitor.fold_pending()
    assert not monitor.has_pending()
    clock.advance(DAY_MS)
    assert monitor.has_pending()


def test_one_endpoints_damaged_reference_does_not_keep_others_waiting(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, storage: Storage, objects: Objects
) -> None:
    good = add_endpoint(REFERENCE)
    bad = msgspec.structs.replace(good.reference, sha256=objects.put(b"not a reference").sha256)
    log.endpoints = {
        "bad": msgspec.structs.replace(good, endpoint_id="e0", name="bad", reference=bad),
        "delays": good,
    }
    add_weeks(log, [0.2])
    with pytest.raises(Exception, match="reference can't be read"):
        monitor.fold_pending()
    assert len(dump(storage)) == 7


def test_buckets_of_another_layout_of_the_reference_are_counted_anew_by_themselves(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, storage: Storage
) -> None:
    add_endpoint(REFERENCE)
    add_weeks(log, [0.2])
    monitor.fold_pending()
    first = dump(storage)

    def write_as_an_older_release_did(tx: Tx) -> None:
        tx.exec_driver_sql("UPDATE monitor_bucket SET reference_id = 'older'")

    storage.write(write_as_an_older_release_did)
    assert monitor.has_pending()
    monitor.fold_pending()
    assert dump(storage) == first
    assert not monitor.has_pending()

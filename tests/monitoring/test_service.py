from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl
import pytest

from holdfast.kernel.errors import Forbidden, InvalidInput, NotFound
from holdfast.kernel.paging import encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring.service import Monitor
from holdfast.predictions.records import Endpoint
from tests.monitoring.conftest import MONDAY, FrameLog, make_rows, reference_columns

WEEK_MS = 7 * DAY_MS
REFERENCE = reference_columns(make_rows(MONDAY - WEEK_MS, 4000, 0.2))
AddEndpoint = Callable[..., Endpoint]


def test_the_document_has_what_was_promised(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    for week, error in enumerate([0.2, 0.4, 0.4]):
        log.add(make_rows(MONDAY + week * WEEK_MS, 600, error, span_ms=WEEK_MS))
    log.add(make_rows(MONDAY + 3 * WEEK_MS, 50, 0.2, labelled=False))
    monitor.fold_pending()
    document = json.loads(msgspec.json.encode(monitor.show(caller, "delays")))
    assert document["endpoint"] == "delays" and document["clock"] == "event" and document["window"] == "1w"
    assert document["state"] == "monitoring" and document["task"] == "binary"
    assert "1,000 windows" in document["rule"]["text"] and document["rule"]["windows_per_false_alarm"] == 1000
    assert document["reference"]["rows"] == 4000 and document["reference"]["source"] == "model"
    first, second, _, last = document["windows"]
    assert (first["start"], first["end"]) == ("2024-01-01T00:00:00Z", "2024-01-08T00:00:00Z")
    assert (first["status"], first["rows"], first["labelled"], first["labelled_share"]) == (
        "complete",
        600,
        600,
        1.0,
    )
    assert set(first["metrics"]) == {"error", "auc", "brier", "log_loss", "precision", "recall"}
    for metric in first["metrics"].values():
        assert metric["estimated"] is None
        low, high = metric["interval"]
        assert low <= metric["realised"] <= high and metric["reference"] is not None
    assert set(first["drift"]) == {"x", "city", "prediction"}
    assert {"psi", "js", "ks", "w1", "chi2", "drifted", "threshold"} <= set(first["drift"]["x"])
    operations = first["operations"]
    assert operations["requests"] == 600 and operations["errors"] == 0
    assert operations["p50_ms"] <= operations["p90_ms"] <= operations["p99_ms"]
    assert first["alerts"] == []
    (alert,) = second["alerts"]
    assert {"id", "since", "raised_at", "verdict", "text"} <= set(alert)
    assert alert["verdict"] == "harmful" and alert["since"].startswith("2024-01-")
    assert last["status"] == "open" and last["metrics"]["error"]["reason"] == "0 labels of 30 needed"
    assert last["metrics"]["error"]["realised"] is None


def test_windows_of_any_size_come_from_the_same_buckets(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 3000, 0.2, span_ms=60 * DAY_MS))
    monitor.fold_pending()
    for size, count in (("1d", 60), ("1w", 9), ("1mo", 2)):
        windows = monitor.show(caller, "delays", size).windows
        assert len(windows) == count and sum(window.rows for window in windows) == 3000
    assert len(monitor.show(caller, "delays", "1d", limit=7).windows) == 7
    with pytest.raises(InvalidInput, match="counted by day"):
        monitor.show(caller, "delays", "1h")
    with pytest.raises(InvalidInput, match="3 fortnights"):
        monitor.show(caller, "delays", "3 fortnights")


def test_a_gap_is_shown_as_empty_windows(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 50, 0.2))
    log.add(make_rows(MONDAY + 3 * WEEK_MS, 50, 0.2))
    log.add(make_rows(MONDAY + 4000 * WEEK_MS, 50, 0.2))
    monitor.fold_pending()
    windows = monitor.show(caller, "delays").windows
    assert [window.rows for window in windows] == [50, 50, 50]
    log.frame = log.frame.filter(pl.col("event_time") < MONDAY + 5 * WEEK_MS)
    log.changes.append((MONDAY + 4000 * WEEK_MS, MONDAY + 4000 * WEEK_MS))
    monitor.fold_pending()
    assert [window.rows for window in monitor.show(caller, "delays").windows] == [50, 0, 0, 50]


class CutOff(Exception):
    """A fold that dies."""


def cut_off(log: FrameLog, monitor: Monitor, after: int) -> None:
    """Fold until days after `after` are read, then die."""
    reads = log.read_days

    def failing(endpoint_id: str, first: int, last: int) -> pl.DataFrame:
        if first > after:
            raise CutOff
        return reads(endpoint_id, first, last)

    log.read_days = failing  # type: ignore[method-assign]
    with pytest.raises(CutOff):
        monitor.fold_pending()
    log.read_days = reads  # type: ignore[method-assign]


def states(monitor: Monitor, caller: Caller) -> tuple[str, str, int]:
    """State of document and summary, and the rows in the windows."""
    report, summary = monitor.show(caller, "delays"), monitor.summary(caller, "delays")
    assert report.message == summary.message
    return report.state, summary.state, sum(window.rows for window in report.windows)


def test_while_all_is_counted_anew_the_state_says_so(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 2100, 0.2, span_ms=3 * WEEK_MS))
    monitor.fold_pending()
    assert states(monitor, caller) == ("monitoring", "monitoring", 2100)

    add_endpoint(REFERENCE, window="1h")
    assert states(monitor, caller) == ("counting", "counting", 0)
    cut_off(log, monitor, MONDAY + WEEK_MS)
    report, summary, rows = states(monitor, caller)
    assert (report, summary) == ("counting", "counting") and 0 < rows < 2100
    assert "windows may lack rows" in monitor.show(caller, "delays").message
    monitor.fold_pending()
    assert states(monitor, caller) == ("monitoring", "monitoring", 2100)

    add_endpoint(reference_columns(make_rows(MONDAY - WEEK_MS, 3000, 0.2, seed=1)), window="1h")
    assert states(monitor, caller) == ("counting", "counting", 2100)
    cut_off(log, monitor, MONDAY + WEEK_MS)
    report, summary, rows = states(monitor, caller)
    assert (report, summary) == ("counting", "counting") and 0 < rows < 2100
    monitor.fold_pending()
    assert states(monitor, caller) == ("monitoring", "monitoring", 2100)


def test_another_version_or_new_rows_are_no_counting_anew(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 700, 0.2, span_ms=WEEK_MS))
    monitor.fold_pending()
    log.add(make_rows(MONDAY + WEEK_MS, 700, 0.2))
    assert states(monitor, caller) == ("monitoring", "monitoring", 700)
    add_endpoint(REFERENCE, version=2, live_version=2)
    assert monitor.show(caller, "delays").state == "learning"
    monitor.fold_pending()
    assert states(monitor, caller) == ("monitoring", "monitoring", 1400)


def test_the_first_count_of_a_large_log_says_so(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE, window="1h")
    log.add(make_rows(MONDAY, 2100, 0.2, span_ms=3 * WEEK_MS))
    assert states(monitor, caller) == ("no data", "no data", 0)
    cut_off(log, monitor, MONDAY + WEEK_MS)
    assert states(monitor, caller)[:2] == ("counting", "counting")


def test_nothing_yet_is_a_state_not_an_error(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    report, summary = monitor.show(caller, "delays"), monitor.summary(caller, "delays")
    assert (report.state, report.windows, report.watermark) == ("no data", [], None)
    assert (summary.state, summary.latest, summary.traffic, summary.alert) == ("no data", None, [], None)
    with pytest.raises(NotFound, match="nobody"):
        monitor.show(caller, "nobody")
    with pytest.raises(NotFound, match="alert 7"):
        monitor.get_alert(caller, 7)
    with pytest.raises(InvalidInput, match="asleep"):
        monitor.list_alerts(caller, state="asleep")


def test_reading_needs_the_permission(monitor: Monitor, make_caller: Callable[..., Caller]) -> None:
    nobody = make_caller(role="none")
    for call in (
        lambda: monitor.show(nobody, "x"),
        lambda: monitor.list_alerts(nobody),
        lambda: monitor.get_alert(nobody, 1),
    ):
        with pytest.raises(Forbidden):
            call()


def test_summary_tells_the_latest_judged_window_and_the_open_alert(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 600, 0.2, span_ms=WEEK_MS))
    log.add(make_rows(MONDAY + WEEK_MS, 600, 0.4, span_ms=WEEK_MS, shift=2.0))
    log.add(make_rows(MONDAY + 2 * WEEK_MS, 90, 0.2, labelled=False))
    monitor.fold_pending()
    summary = monitor.summary(caller, "delays")
    assert summary.latest is not None and summary.latest.start == "2024-01-08T00:00:00Z"
    assert summary.worst_input == "x" and summary.worst_psi is not None and summary.worst_psi > 0.5
    assert summary.alert is not None and summary.alert.state == "open"
    assert (summary.rows, summary.labelled, summary.traffic) == (1290, 1200, [600, 600, 90])


def test_alerts_come_in_pages_newest_first(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    for week in range(12):
        log.add(make_rows(MONDAY + week * WEEK_MS, 600, 0.45 if week % 4 == 1 else 0.12, span_ms=WEEK_MS))
    monitor.fold_pending()
    page = monitor.list_alerts(caller, limit=2)
    assert [alert.id for alert in page.items] == [3, 2]
    rest = monitor.list_alerts(caller, limit=2, page_token=page.next_page_token or "")
    assert [alert.id for alert in rest.items] == [1] and rest.next_page_token is None
    for token in (encode_token(None), encode_token({"a": 1}), encode_token(2**64), "no"):
        with pytest.raises(InvalidInput, match="page token"):
            monitor.list_alerts(caller, page_token=token)


def test_alerts_of_an_unknown_endpoint_are_not_found(
    monitor: Monitor, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    assert monitor.list_alerts(caller, "delays").items == []
    with pytest.raises(NotFound, match="'delay'"):
        monitor.list_alerts(caller, "delay")


def test_windows_that_are_not_shown_are_counted(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 900, 0.2, span_ms=5 * WEEK_MS))
    monitor.fold_pending()
    whole, part = monitor.show(caller, "delays"), monitor.show(caller, "delays", limit=2)
    assert (len(whole.windows), whole.earlier_windows) == (5, 0)
    assert (part.windows, part.earlier_windows) == (whole.windows[-2:], 3)


def test_a_feature_is_shown_against_its_reference(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 500, 0.2).with_columns(pl.lit("Rom").alias("in_city")))
    monitor.fold_pending()
    shape = monitor.show_feature(caller, "delays", "city", MONDAY)
    assert set(shape.labels[:3]) == {"Wien", "Graz", "Linz"}
    assert sum(shape.reference) == pytest.approx(1) and sum(shape.window[:3]) == 0
    assert monitor.show(caller, "delays").windows[0].drift["city"].unseen == 1.0
    numeric = monitor.show_feature(caller, "delays", "x", MONDAY)
    assert len(numeric.labels) == len(numeric.window) == 22
    with pytest.raises(NotFound, match="nothing"):
        monitor.show_feature(caller, "delays", "nothing", MONDAY)


def test_one_class_constant_and_infinite_production_rows_give_reasons_and_no_alarm(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    rows = make_rows(MONDAY, 200, 0.0).with_columns(
        pl.lit("0").alias("label"),
        pl.lit("0").alias("prediction"),
        pl.Series("in_x", [math.inf, -math.inf, None, 1e308] * 50),
        pl.lit(None, pl.String).alias("in_city"),
    )
    log.add(rows)
    monitor.fold_pending()
    (window,) = monitor.show(caller, "delays").windows
    assert window.metrics["auc"].reason == "all labelled rows are of one class"
    assert window.metrics["precision"].reason == "nothing was predicted positive"
    assert window.metrics["recall"].reason == "no labelled row is positive"
    assert window.metrics["error"].realised == 0.0
    assert window.drift["x"].unseen == 0.5 and window.drift["city"].missing == 1.0
    text = msgspec.json.encode(window).decode()
    assert "NaN" not in text and "Infinity" not in text
    assert monitor.list_alerts(caller).items == []


def test_a_tiny_reference_raises_no_alert_on_what_it_can_not_exclude(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint({name: values[:12] for name, values in REFERENCE.items()})
    for week in range(4):
        log.add(make_rows(MONDAY + week * WEEK_MS, 300, 0.3, span_ms=WEEK_MS))
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert report.rule.alert_above is not None and report.rule.alert_above > 0.35
    assert monitor.list_alerts(caller).items == []
    assert not any(drift.drifted for window in report.windows for drift in window.drift.values())
    assert report.windows[0].drift["x"].threshold is None


def test_regression_has_its_own_metrics_and_no_alert(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    truth = np.linspace(0, 50, 500)
    columns = {"x": truth.tolist(), "late": truth.tolist(), "prediction": (truth + 1).tolist()}
    add_endpoint(columns, task="regression", positive=None, classes=[])
    rows = make_rows(MONDAY, 500, 0.0).with_columns(
        pl.Series("score", truth + 3.0),
        pl.Series("prediction", [repr(float(value)) for value in truth + 3.0]),
        pl.Series("label", ["1e999", "soon", *(repr(float(value)) for value in truth[2:])]),
    )
    log.add(rows)
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    (window,) = report.windows
    assert window.metrics["mae"].realised == pytest.approx(3.0)
    assert window.metrics["rmse"].realised == pytest.approx(3.0)
    assert window.metrics["mae"].reference == pytest.approx(1.0)
    assert window.metrics["error"].realised is None and "regression" in window.metrics["error"].reason
    assert "regression" in report.rule.text and report.state == "monitoring"
    assert report.reference.labelled == 500 and "500 have a prediction" in report.reference.text


def test_multiclass_is_judged_by_its_error(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    def spread(seed: int, error: float, rows: int) -> tuple[list[str], list[str]]:
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, rows)
        said = np.where(rng.uniform(size=rows) < error, (truth + 1) % 3, truth)
        return [f"c{value}" for value in truth], [f"c{value}" for value in said]

    truth, said = spread(0, 0.1, 3000)
    columns = {"x": list(range(3000)), "late": truth, "prediction": said}
    add_endpoint(columns, task="multiclass", positive=None, classes=["c0", "c1", "c2"])
    for week in range(3):
        truth, said = spread(week + 1, 0.1 if week < 2 else 0.3, 500)
        rows = make_rows(MONDAY + week * WEEK_MS, 500, 0.0, span_ms=WEEK_MS)
        log.add(
            rows.with_columns(
                pl.Series("label", truth),
                pl.Series("prediction", said),
                pl.lit(None, pl.Float64).alias("score"),
            )
        )
    monitor.fold_pending()
    report = monitor.show(caller, "delays")
    assert set(report.windows[0].metrics) == {"error"}
    assert report.windows[2].metrics["error"].realised == pytest.approx(0.3, abs=0.06)
    assert report.windows[0].drift["prediction"].ks is None
    assert len(monitor.list_alerts(caller).items) == 1


def test_a_years_page_is_read_fast_and_without_polars(
    monitor: Monitor, log: FrameLog, add_endpoint: AddEndpoint, caller: Caller
) -> None:
    add_endpoint(REFERENCE)
    log.add(make_rows(MONDAY, 20_000, 0.2, span_ms=365 * DAY_MS))
    monitor.fold_pending()
    monitor.show(caller, "delays")
    begin = time.perf_counter()
    report = monitor.show(caller, "delays")
    # About 20 ms on the machine this was written on; the limit allows for a busy one.
    assert time.perf_counter() - begin < 0.4
    assert len(report.windows) == 53
    code = (
        "import sys, holdfast.monitoring.service, holdfast.monitoring.routes; print('polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

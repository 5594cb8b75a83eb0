"""A short life of one model, told through the client: trained, served for ten weeks, harmful from the sixth on."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import holdfast
from holdfast.client import Client
from holdfast.kernel.times import DAY_MS, parse_time

ENDPOINT, MODEL, EXPERIMENT = "orders", "orders", "orders"
FIRST_MONDAY = parse_time("2025-03-03")
WEEKS, ROWS, HARM_FROM = 10, 400, 5
_PATIENCE_S = 180.0
REPORT = """\
<!doctype html><html lang="en"><title>report</title><h1>report</h1><p id="seen"></p><script>
const seen = ["ran"];
for (const look of [() => document.cookie, () => parent.document.title, () => localStorage.length]) {
  try { look(); seen.push("seen"); } catch (error) { seen.push(error.name); }
}
document.getElementById("seen").textContent = seen.join(" ");
</script></html>
"""
_MARKDOWN = """\
- one `value`
- two

> It was 0.1 before.

```
rate = 0.1  # a line of code that is longer than a phone is wide, so that it has to be broken somewhere in the middle
```

| rate | accuracy |
|-----:|---------:|
| 0.1  | 0.81     |
"""


class Life(msgspec.Struct, frozen=True):
    """What the pages can be asked for."""

    url: str
    experiment_id: int
    run_id: str
    version: int
    alert_id: int
    comment_id: str
    data: str = ""
    """The server's data folder."""


def live(client: Client) -> Life:
    """Live it on an empty server; returns when the monitor has counted every row and raised its alert."""
    random = np.random.default_rng(11)
    run_id, version = _train(client, random)
    client.set_alias(MODEL, "production", version, reason="the first one")
    client.deploy(f"{MODEL}@production", ENDPOINT, clock="event", window="1w")
    client.wait_until_live(ENDPOINT)
    for week in range(WEEKS):
        _live_week(client, week, random)
    alert_id = _wait_for_alert(client)
    comment_id = _talk(client, f"run:{run_id}", f"alert:{alert_id}")
    return Life(client.url, client.get_run(run_id).experiment_id, run_id, version, alert_id, comment_id)


def _talk(client: Client, run: str, alert: str) -> str:
    """Comments on a run, with every form that Markdown has, and on an incident."""
    made = client.comment(run, "Is the *learning rate* right?")
    client.edit_comment(
        made.comment_id, f"Is the *learning rate* **right**? @administrator knows.\n\n{_MARKDOWN}"
    )
    client.comment(run, "It is: see [the report](https://example.org/report).", reply_to=made.comment_id)
    gone = client.comment(run, "Never mind.")
    client.delete_comment(gone.comment_id)
    client.comment(alert, "The warehouse moved on 7 April.")
    return made.comment_id


def make_rows(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Rows whose truth follows `size`; `shift` moves `size` and turns the relation round."""
    size = random.normal(shift, 1.0, rows)
    odds = size * (2.5 if shift == 0.0 else -1.0)
    return pd.DataFrame(
        {
            "size": size,
            "distance": random.gamma(2.0, 3.0, rows),
            "urgent": random.random(rows) < 0.2,
            "late": (random.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(int),
        }
    )


def _train(client: Client, random: np.random.Generator) -> tuple[str, int]:
    holdfast.init(client.url, EXPERIMENT)
    features = ["size", "distance", "urgent"]
    version = 0
    for depth in (1, 2):
        with holdfast.start_run(f"attempt {depth}", params={"c": 0.1 * depth, "seed": 11}) as run:
            train, reference = make_rows(random, 1500), make_rows(random, 1500)
            model = LogisticRegression(C=0.1 * depth).fit(train[features], train["late"])
            for step in range(60):
                run.log_metric("loss", 0.7 * 0.95**step + 0.4, step=step)
            run.log_metric("accuracy", float(model.score(reference[features], reference["late"])))
            _look_at(run, random)
            logged = holdfast.log_model(model, reference=reference, target="late", positive=1, register=MODEL)
            version = int(logged.registered_version or 0)
            run_id = run.run_id
    return run_id, version


def _look_at(run: Any, random: np.random.Generator) -> None:
    """What one looks at: a document whose script tells what it sees, an image at three steps, a figure, tables."""
    run.log_artifact(REPORT.encode(), "reports/report.html")
    for step in range(3):
        run.log_image("val/sample", random.random((24, 32)), step=step)
    run.log_artifact(REPORT.encode(), "figures/roc/0.html")
    frame = make_rows(random, 300)
    run.log_table("errors", frame)
    run.log_table("all", frame, form="parquet")
    run.log_artifact(frame.to_csv(index=False).encode(), "tables/all.csv")
    run.log_text("one\ntwo\n", "notes.txt")


def _live_week(client: Client, week: int, random: np.random.Generator) -> None:
    frame = make_rows(random, ROWS, shift=1.5 if week >= HARM_FROM else 0.0)
    start = FIRST_MONDAY + week * 7 * DAY_MS
    times = [start + row * (7 * DAY_MS // ROWS) for row in range(ROWS)]
    keys = [f"{week}-{row}" for row in range(ROWS)]
    client.predict(ENDPOINT, frame.drop(columns="late"), keys=keys, event_times=times)
    if week < WEEKS - 1:
        client.feedback(ENDPOINT, frame["late"].tolist(), keys=keys)


def _wait_for_alert(client: Client) -> int:
    end = time.monotonic() + _PATIENCE_S
    report: dict[str, Any] = {}
    while time.monotonic() < end:
        report = client.monitor(ENDPOINT)
        rows = sum(window["rows"] for window in report["windows"])
        labelled = sum(window["labelled"] for window in report["windows"])
        alerts = client.list_alerts(endpoint=ENDPOINT)
        if rows == WEEKS * ROWS and labelled == (WEEKS - 1) * ROWS and alerts:
            return int(alerts[0]["id"])
        time.sleep(0.3)
    raise AssertionError(f"the monitor did not catch up: {report}")

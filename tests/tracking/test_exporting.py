"""All runs that a filter finds, as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from holdfast.client.tables import to_parquet
from tests.conftest import Http


@pytest.fixture
def filled(http: Http) -> Http:
    """1,203 runs, more than are read at once; the value of the metric is the run's number, the last is NaN."""
    for at in range(1203):
        body = {"experiment": "e", "name": f'run "{at}", é', "start_time": 1_000 + at}
        run = http.post("/api/v1/runs", json=body).json()["run_id"]
        value = "NaN" if at == 1202 else float(at)
        points = [{"key": "loss", "value": value, "step": 1}]
        batch = {"metrics": points, "params": {"text": "a\nb", "parity": str(at % 2)}}
        http.post(f"/api/v1/runs/{run}/batch", json=batch)
    return http


def rows(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_every_row_comes_in_the_order_asked_for(filled: Http) -> None:
    found = rows(filled.get("/api/v1/runs/export?order=metrics.loss"))
    assert [row["metrics.loss"] for row in found] == [f"{at:.1f}" for at in range(1202)] + ["NaN"]
    assert list(found[0]) == [
        "run_id", "name", "experiment_id", "status", "start_time", "end_time", "user", "metrics.loss",
        "params.parity", "params.text",
    ]  # fmt: skip
    assert found[0]["name"] == 'run "0", é' and found[0]["params.text"] == "a\nb"
    assert (found[0]["start_time"], found[0]["end_time"]) == ("1970-01-01T00:00:01.000Z", "")


def test_the_filter_of_a_page_is_that_of_its_link(filled: Http) -> None:
    address = (
        "/experiments/e?filter=metrics.loss < 100 AND params.parity = '1'&name=9&sort=metrics.loss&order=asc"
    )
    page = filled.get(address, headers={"Accept": "text/html"}).text
    link = re.findall(r'href="(/api/v1/runs/export[^"]*)"', page)[0].replace("&amp;", "&")
    numbers = [float(row["metrics.loss"]) for row in rows(filled.get(link))]
    assert numbers == [9, 19, 29, 39, 49, 59, 69, 79, 89, *range(91, 100, 2)]
    assert "metrics.loss" in link


def test_nothing_found_is_a_header_alone(http: Http) -> None:
    answer = http.get("/api/v1/runs/export?filter=metrics.loss < 0&columns=min.loss")
    assert answer.text.splitlines() == ["run_id,name,experiment_id,status,start_time,end_time,user,min.loss"]
    assert http.get("/api/v1/runs/export?filter=loss !!").status_code == 400


def test_types_of_parquet_follow_from_the_names_of_columns(tmp_path: Path) -> None:
    import polars

    source = tmp_path / "runs.csv"
    source.write_text(
        "run_id,name,experiment_id,start_time,end_time,metrics.loss,params.lr\n"
        "a,2024-01-01,1,2026-01-01T00:00:00.250Z,,0.5,007\n"
        "b,NA,1,2026-01-01T00:00:01.000Z,2026-01-01T00:00:02.000Z,-Infinity,1.10\n"
        "c,c,2,2026-01-01T00:00:01.000Z,,NaN,1e3\n"
        "d,d,2,2026-01-01T00:00:01.000Z,,,\n"
    )
    to_parquet(source, tmp_path / "runs.parquet")
    frame = polars.read_parquet(tmp_path / "runs.parquet")
    assert frame["name"].to_list() == ["2024-01-01", "NA", "c", "d"]
    assert frame["params.lr"].to_list() == ["007", "1.10", "1e3", None]
    assert repr(frame["metrics.loss"].to_list()) == "[0.5, -inf, nan, None]"
    assert frame["experiment_id"].to_list() == [1, 1, 2, 2]
    assert frame.schema["start_time"] == polars.Datetime("ms", "UTC") == frame.schema["end_time"]
    assert frame["start_time"].dt.millisecond().to_list() == [250, 0, 0, 0]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["runs.csv", "runs.parquet"]

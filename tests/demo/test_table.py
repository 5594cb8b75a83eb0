from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from holdfast.demo.table import alerts_text, closing_table


def _month(start: str, **changes: Any) -> dict[str, Any]:
    metrics = {
        name: {"realised": value, "reference": 0.2}
        for name, value in (("error", 0.32), ("auc", 0.66), ("brier", None))
    }
    drift = {
        "temp": {"drifted": True, "psi": 0.9}, "hour": {"drifted": False, "psi": 0.0},
        "dewp": {"drifted": True, "psi": 1.2}, "prediction": {"drifted": True, "psi": 2.0},
    }  # fmt: skip
    return {
        "start": start, "rows": 28_243, "labelled": 28_000, "metrics": metrics, "drift": drift,
        "operations": {"p50_ms": 1.25, "p99_ms": None}, "alerts": [], **changes,
    }  # fmt: skip


def _text(report: dict[str, Any]) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(closing_table(report))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_one_row_per_month_and_the_reference_below() -> None:
    alert = {"id": 1, "since": "2013-06-03T00:00:00Z", "text": "..."}
    report = {
        "windows": [_month("2013-05-01T00:00:00Z"), _month("2013-06-01T00:00:00Z", alerts=[alert], drift={})],
        "reference": {"rows": 9_527, "metrics": {"error": {"value": 0.238}, "auc": {"value": 0.69}}},
    }
    (may,) = (line for line in _text(report) if "2013-05" in line)
    assert may.split() == ["2013-05", "28,243", "1.2", "0.320", "0.660", "2:", "dewp"]
    (june,) = (line for line in _text(report) if "2013-06" in line)
    assert june.split()[-2:] == ["none", "1"]
    (reference,) = (line for line in _text(report) if "reference" in line)
    assert reference.split() == ["reference", "9,527", "0.238", "0.690"]
    assert alerts_text(report) == "Alert 1, since 2013-06-03: ..."

"""One result, as one line of JSON."""

from __future__ import annotations

import json
import os
import platform
from typing import Any

__all__ = ["report"]


def report(
    benchmark: str, name: str, value: float, unit: str, goal: float | None = None, **more: Any
) -> None:
    """Print a measured value; `goal` is the most that it should be."""
    line = {"benchmark": benchmark, "name": name, "value": round(value, 4), "unit": unit, **more}
    if goal is not None:
        line["goal"] = goal
        line["within"] = value <= goal
    line["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(line), flush=True)

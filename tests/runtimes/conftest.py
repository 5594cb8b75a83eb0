"""Model folders as `log_model` writes them, from real fitted estimators."""

from __future__ import annotations

import gzip
import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from holdfast.environments.capture import capture
from holdfast.jobs.local import LocalExecutor

WriteModel = Callable[..., Path]


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """400 rows with numbers, whole numbers, text, truth values, missing values and three targets."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "distance": random.gamma(2.0, 400.0, 400),
            "wind": random.normal(10.0, 4.0, 400),
            "hour": random.integers(5, 23, 400),
            "carrier": random.choice(["UA", "B6", "EV"], 400),
            "origin": random.choice(["EWR", "JFK"], 400),
            "holiday": random.random(400) < 0.1,
        }
    )
    risk = 0.3 * (frame["hour"] - 14) + 0.15 * (frame["wind"] - 10) + (frame["carrier"] == "EV") * 1.0
    frame["late"] = (risk + random.logistic(0, 1, 400) > 0.5).astype(int)
    frame["kind"] = np.where(risk > 1.5, "bad", np.where(risk > -0.5, "fair", "good"))
    frame["delay"] = 1e4 + 1e3 * risk + random.normal(0, 10, 400)
    return frame


def column_type(values: pd.Series[Any]) -> str:
    if values.dtype.kind in "iu":
        return "long"
    return {"f": "double", "b": "boolean", "M": "datetime"}.get(values.dtype.kind, "string")


def json_values(values: pd.Series[Any]) -> list[Any]:
    plain = values.tolist()
    return [None if isinstance(value, float) and math.isnan(value) else value for value in plain]


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Writes the folder of a fitted model: description, pickle, lock, reference."""

    def write(
        model: Any,
        features: pd.DataFrame,
        target: pd.Series[Any],
        *,
        task: str = "binary",
        dump: Callable[[Any], bytes] = cloudpickle.dumps,
        lock: str | None = None,
        **changes: Any,
    ) -> Path:
        folder = tmp_path / f"model-{len(list(tmp_path.glob('model-*')))}"
        folder.mkdir()
        classes = None if task == "regression" else sorted(set(target.tolist()))
        inputs = [{"name": str(name), "type": column_type(features[name])} for name in features]
        outputs: list[dict[str, Any]] = [{"name": "label", "type": column_type(target)}]
        if classes is not None:
            outputs.append({"name": "probabilities", "type": "double", "shape": [-1, len(classes)]})
        description = {
            "format": 1,
            "flavor": "sklearn",
            "file": "model.pkl",
            "python": platform.python_version(),
            "task": task,
            "target": str(target.name),
            "classes": classes,
            "positive": classes[-1] if classes and task == "binary" else None,
            "signature": {"inputs": inputs, "outputs": outputs},
        }
        (folder / "holdfast-model.json").write_text(json.dumps({**description, **changes}))
        (folder / "model.pkl").write_bytes(dump(model))
        (folder / "requirements.txt").write_text(capture(["sklearn", "numpy"]) if lock is None else lock)
        columns = {str(name): json_values(features[name]) for name in features}
        columns[str(target.name)] = json_values(target)
        with gzip.open(folder / "reference.json.gz", "wt") as file:
            json.dump({"columns": columns}, file)
        return folder

    return write


@pytest.fixture
def executor(tmp_path: Path) -> LocalExecutor:
    (tmp_path / "data").mkdir()
    return LocalExecutor(hidden=[tmp_path / "data"])

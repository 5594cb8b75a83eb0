"""What is served: two models of gradient-boosted trees, with one row for each in the forms that callers send."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

__all__ = ["Case", "cases", "deploy_models"]

_ROWS = 3000
_TREES = 100
_FLIGHTS = "flights"
_NUMBERS = "numbers"
_CATEGORIES = {"carrier": 16, "origin": 3, "dest": 100}
_MEASURED = 12


class Case(msgspec.Struct, frozen=True):
    """One row for one endpoint, as the body of a V2 request."""

    name: str
    endpoint: str
    body: bytes


def _numbers(rng: np.random.Generator) -> pd.DataFrame:
    """Thirty numbers."""
    return pd.DataFrame(rng.normal(size=(_ROWS, 30)), columns=[f"feature_{at}" for at in range(30)])


def _flights(rng: np.random.Generator) -> pd.DataFrame:
    """Three texts and twelve numbers, as the flights of the demo have them."""
    frame = pd.DataFrame()
    for name, count in _CATEGORIES.items():
        frame[name] = [f"{name[:1].upper()}{at:02d}" for at in rng.integers(0, count, _ROWS)]
    for at in range(_MEASURED):
        frame[f"measured_{at}"] = rng.normal(size=_ROWS)
    return frame


def deploy_models(url: str) -> None:
    """Fit, log and deploy both models on the server at `url`; returns when they answer."""
    import holdfast  # here, so that a child process that wants a body alone need not load it

    holdfast.init(url, experiment="bench")
    client = holdfast.Client(url)
    rng = np.random.default_rng(0)
    categories = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(_CATEGORIES))],
        remainder=SimpleImputer(strategy="median"),
    )
    for name, inputs, steps in (
        (_NUMBERS, _numbers(rng), []),
        (_FLIGHTS, _flights(rng), [("columns", categories)]),
    ):
        target = (inputs.select_dtypes("number").sum(axis=1) > 0).astype(int)
        trees = GradientBoostingClassifier(n_estimators=_TREES)
        model = Pipeline([*steps, ("trees", trees)]).fit(inputs, target)
        with holdfast.start_run():
            reference = inputs.assign(target=target)
            holdfast.log_model(model, name=name, reference=reference, target="target", register=name)
        client.deploy(name, endpoint=name)
    for name in (_NUMBERS, _FLIGHTS):
        client.wait_until_live(name)


def cases() -> list[Case]:
    """The rows that are sent."""
    rng = np.random.default_rng(1)
    numbers, flights = _numbers(rng).iloc[0].to_dict(), _flights(rng).iloc[0].to_dict()
    matrix = {
        "name": "input-0",
        "shape": [1, len(numbers)],
        "datatype": "FP64",
        "data": list(numbers.values()),
    }
    return [
        Case("30 numbers, a tensor each", _NUMBERS, _body([_tensor(*each) for each in numbers.items()])),
        Case("30 numbers, one tensor", _NUMBERS, _body([matrix])),
        Case("flights, a tensor each", _FLIGHTS, _body([_tensor(*each) for each in flights.items()])),
    ]


def _tensor(name: str, value: Any) -> dict[str, Any]:
    datatype = "BYTES" if isinstance(value, str) else "FP64"
    return {"name": name, "shape": [1], "datatype": datatype, "data": [value]}


def _body(inputs: list[dict[str, Any]]) -> bytes:
    return json.dumps({"inputs": inputs}).encode()

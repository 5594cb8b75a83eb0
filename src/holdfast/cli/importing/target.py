"""This server, as an import writes to it and reads it back: by its own interface, and by MLflow's for what is MLflow's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from holdfast.cli.importing.records import Dataset, LoggedModel, ModelPoint, Point, in_order, point_of
from holdfast.client import Client
from holdfast.client.api import Api, encode
from holdfast.kernel.errors import NotFound

__all__ = ["Target"]

_BASE = "/api/2.0/mlflow/"
_POINTS, _TEXTS, _PAGE = 1000, 100, 25_000


class Target:
    """A server of holdfast."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._api: Api = client.connect(client.url)

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """One of MLflow's calls. What it changes may be asked again."""
        if method == "GET":
            return self._api.get(f"{_BASE}{path}?{urlencode(body, doseq=True)}", dict)
        answer = self._api.send(method, _BASE + path, json=encode(body), repeatable=True)
        found: dict[str, Any] = msgspec.json.decode(answer.body or b"{}")
        return found

    def find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """What a call that reads gives; None for what is not there."""
        try:
            return self.call("GET", path, **query)
        except NotFound:
            return None

    def log_points(self, run_id: str, points: Iterable[Point]) -> None:
        """Write points of a run; the same ones again change nothing."""
        left = iter(points)
        while block := list(islice(left, _POINTS)):
            self.call("POST", "runs/log-batch", run_id=run_id, metrics=[_metric(point) for point in block])

    def log_model_points(self, model_id: str, run_id: str, points: Sequence[ModelPoint]) -> None:
        """Write metrics of a logged model that a run measured."""
        metrics = []
        for one in points:
            named = {"dataset_name": one.dataset_name, "dataset_digest": one.dataset_digest}
            metrics.append(
                {**_metric(one.point), "model_id": model_id, **{k: v for k, v in named.items() if v}}
            )
        for at in range(0, len(metrics), _POINTS):
            self.call("POST", "runs/log-batch", run_id=run_id, metrics=metrics[at : at + _POINTS])

    def log_texts(self, run_id: str, params: dict[str, str], tags: dict[str, str]) -> None:
        """Write params and tags of a run."""
        for kind, values in (("params", params), ("tags", tags)):
            pairs = _pairs(values)
            for at in range(0, len(pairs), _TEXTS):
                self.call("POST", "runs/log-batch", run_id=run_id, **{kind: pairs[at : at + _TEXTS]})

    def log_datasets(self, run_id: str, datasets: Sequence[Dataset]) -> None:
        """Write the data sets that a run used."""
        inputs = []
        for one in datasets:
            dataset = {
                name: value
                for name in ("name", "digest", "source_type", "source", "schema", "profile")
                if (value := getattr(one, name)) is not None
            }
            inputs.append({"dataset": dataset, "tags": _pairs(one.tags)})
        if inputs:
            self.call("POST", "runs/log-inputs", run_id=run_id, datasets=inputs)

    def describe_model(self, model_id: str, model: LoggedModel) -> None:
        """Write params and tags of a logged model."""
        params = _pairs(model.params)
        for at in range(0, len(params), _TEXTS):
            self.call("POST", f"logged-models/{model_id}/params", params=params[at : at + _TEXTS])
        if model.tags:
            self.call("PATCH", f"logged-models/{model_id}/tags", tags=_pairs(model.tags))

    def points(self, run_id: str) -> Iterator[Point]:
        """Every point of a run, by (key, step, time, value)."""
        data = self.call("GET", "runs/get", run_id=run_id)["run"]["data"]
        for key in sorted({one["key"] for one in data.get("metrics", [])}):
            found, token = [], ""
            while True:
                asked = {"run_id": run_id, "metric_key": key, "max_results": _PAGE}
                page = self.call(
                    "GET", "metrics/get-history", **asked, **({"page_token": token} if token else {})
                )
                found += [point_of(one) for one in page.get("metrics", [])]
                token = page.get("next_page_token", "")
                if not token:
                    break
            yield from sorted(found, key=in_order)

    def model_files(self, model_id: str) -> dict[str, str]:
        """The SHA-256 of each file of a logged model, by its path."""
        files = self._api.pages(f"/api/v1/logged-models/{model_id}/files", dict)
        return {one["path"]: one["sha256"] for one in files}

    def upload(self, kind: str, owner: str, path: str, data: Any, size: int) -> None:
        """Store an open file of a run or of a logged model (the kinds `runs` and `logged-models`)."""
        place = "artifacts" if kind == "runs" else "files"
        self._api.upload(f"/api/v1/{kind}/{owner}/{place}/{quote(path)}", data, size=size)


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _metric(point: Point) -> dict[str, Any]:
    return {"key": point.key, "value": point.value, "timestamp": point.time, "step": point.step}

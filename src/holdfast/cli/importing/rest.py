"""An MLflow server, by its REST interface."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from holdfast.cli.importing.files import Artifacts, Fetched
from holdfast.cli.importing.records import (
    Dataset,
    Experiment,
    File,
    LoggedModel,
    ModelPoint,
    Point,
    RegisteredModel,
    Run,
    Version,
    in_order,
    point_of,
)
from holdfast.kernel.errors import NotFound, Unavailable

__all__ = ["RestSource"]

_BLOCK = 1 << 20
_PAGE, _POINTS = 1000, 25_000
_TIMEOUT_S = 120


class RestSource:
    """A server by its address. MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, are sent when set."""

    def __init__(self, url: str, artifacts: Artifacts) -> None:
        self._url, self._artifacts = url.rstrip("/"), artifacts
        self._headers = _credentials()
        self._get("experiments/get", experiment_id="0", missing_is_fine=True)

    def experiments(self) -> Iterator[Experiment]:
        """See `Source`."""
        found = self._pages("experiments/search", "experiments", view_type="ALL", max_results=_PAGE)
        for one in sorted(found, key=lambda one: int(one["experiment_id"])):
            is_deleted = one["lifecycle_stage"] == "deleted"
            yield Experiment(one["experiment_id"], one["name"], is_deleted, _tags(one))

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """See `Source`."""
        asked = {"experiment_ids": [experiment.experiment_id], "run_view_type": "ALL", "max_results": _PAGE}
        for one in self._pages("runs/search", "runs", order_by=["attributes.start_time ASC"], **asked):
            yield _run(one)

    def points(self, run: Run) -> Iterator[Point]:
        """See `Source`."""
        data = self._get("runs/get", run_id=run.run_id)["run"]["data"]
        for key in sorted({one["key"] for one in data.get("metrics", [])}):
            yield from self._history(run.run_id, key)

    def _history(self, run_id: str, key: str) -> list[Point]:
        found: dict[str, Point] = {}
        token = ""
        while True:
            page = self._get(
                "metrics/get-history", run_id=run_id, metric_key=key, max_results=_POINTS, page_token=token
            )
            for one in page.get("metrics", []):
                point = point_of(one)
                found[repr(point)] = point
            token = page.get("next_page_token", "")
            if not token:
                return sorted(found.values(), key=in_order)

    def datasets(self, run: Run) -> list[Dataset]:
        """See `Source`."""
        inputs = self._get("runs/get", run_id=run.run_id)["run"].get("inputs", {})
        return [
            Dataset(
                use["dataset"]["name"],
                use["dataset"]["digest"],
                use["dataset"].get("source_type", ""),
                use["dataset"].get("source", ""),
                use["dataset"].get("schema"),
                use["dataset"].get("profile"),
                _tags(use),
            )
            for use in inputs.get("dataset_inputs", [])
        ]

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """See `Source`. A server before MLflow 3 has none."""
        asked = {"experiment_ids": [experiment.experiment_id], "max_results": 50}
        try:
            found = list(self._pages("logged-models/search", "models", **asked))
        except NotFound:
            return
        for one in found:
            info, data = one["info"], one.get("data", {})
            points = [
                ModelPoint(
                    each["run_id"],
                    point_of(each),
                    each.get("dataset_name", ""),
                    each.get("dataset_digest", ""),
                )
                for each in data.get("metrics", [])
            ]
            yield LoggedModel(
                info["model_id"],
                info["experiment_id"],
                info["name"],
                info.get("source_run_id", ""),
                info.get("status", "").removeprefix("LOGGED_MODEL_"),
                info.get("model_type", ""),
                info["artifact_uri"],
                _tags(data, "params"),
                _tags(info),
                points,
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        """See `Source`."""
        asked = {"max_results": 100}
        ordinary = list(self._pages("registered-models/search", "registered_models", **asked))
        prompts = {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}
        for one in [
            *ordinary,
            *self._pages("registered-models/search", "registered_models", **asked, **prompts),
        ]:
            whole = self._get("registered-models/get", name=one["name"])["registered_model"]
            aliases = {each["alias"]: int(each["version"]) for each in whole.get("aliases", [])}
            yield RegisteredModel(whole["name"], whole.get("description", ""), _tags(whole), aliases)

    def versions(self, name: str) -> list[Version]:
        """See `Source`."""
        asked = {"filter": f"name='{name}'", "max_results": 1000}
        found = [
            Version(
                name,
                int(one["version"]),
                one.get("source", ""),
                one.get("run_id", ""),
                one.get("model_id", ""),
                one.get("current_stage", "None"),
                one.get("description", ""),
                one.get("run_link", ""),
                _tags(one),
            )
            for one in self._pages("model-versions/search", "model_versions", **asked)
        ]
        return sorted(found, key=lambda one: one.version)

    def files(self, uri: str) -> Mapping[str, File]:
        """See `Source`: through the server's proxy where it serves them."""
        if not uri.startswith("mlflow-artifacts:"):
            return self._artifacts.files(uri)
        root = urllib.parse.urlsplit(uri).path.strip("/")
        return {
            path.removeprefix(f"{root}/"): Fetched(partial(self._download, path))
            for path in self._listed(root)
        }

    def _listed(self, folder: str) -> Iterator[str]:
        address = f"{self._url}/api/2.0/mlflow-artifacts/artifacts?path={urllib.parse.quote(folder, safe='')}"
        with self._open(urllib.request.Request(address, headers=self._headers)) as answer:
            found = json.load(answer).get("files", [])
        for one in found:
            path = f"{folder}/{one['path']}"
            if one.get("is_dir"):
                yield from self._listed(path)
            else:
                yield path

    def _download(self, path: str) -> Iterator[bytes]:
        address = f"{self._url}/api/2.0/mlflow-artifacts/artifacts/{urllib.parse.quote(path)}"
        with self._open(urllib.request.Request(address, headers=self._headers)) as answer:
            while block := answer.read(_BLOCK):
                yield block

    def _pages(self, path: str, name: str, **asked: Any) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            page = self._ask(path, {**asked, **more})
            yield from page.get(name, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def _ask(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if path.startswith(("registered-models", "model-versions")):
            return self._get(path, **asked)
        return self._load(self._request(path, json.dumps(asked).encode()))

    def _get(self, path: str, *, missing_is_fine: bool = False, **query: Any) -> dict[str, Any]:
        known = {key: value for key, value in query.items() if value != ""}
        try:
            return self._load(self._request(f"{path}?{urllib.parse.urlencode(known)}"))
        except NotFound:
            if missing_is_fine:
                return {}
            raise

    def _request(self, path: str, body: bytes | None = None) -> urllib.request.Request:
        headers = {**self._headers, **({"Content-Type": "application/json"} if body else {})}
        return urllib.request.Request(f"{self._url}/api/2.0/mlflow/{path}", body, headers)

    def _load(self, request: urllib.request.Request) -> dict[str, Any]:
        with self._open(request) as answer:
            try:
                found: dict[str, Any] = json.load(answer)
            except ValueError as error:
                raise Unavailable(f"{request.full_url} is not an MLflow server's: {error}.") from error
        return found

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            said = error.read(1000).decode(errors="replace")
            kind = NotFound if error.code == 404 else Unavailable
            raise kind(f"{request.full_url} answered {error.code}: {said}") from error
        except (urllib.error.URLError, OSError) as error:
            raise Unavailable(f"{request.full_url} can't be read: {error}.") from error


def _credentials() -> dict[str, str]:
    environment = os.environ
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := environment.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{environment.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _run(one: dict[str, Any]) -> Run:
    info, data = one["info"], one.get("data", {})
    tags = _tags(data)
    return Run(
        info["run_id"],
        info.get("run_name") or tags.get("mlflow.runName", ""),
        info.get("user_id", ""),
        info.get("status", "FINISHED"),
        info.get("start_time"),
        info.get("end_time") or None,
        info.get("lifecycle_stage") == "deleted",
        info.get("artifact_uri", ""),
        _tags(data, "params"),
        tags,
    )


def _tags(one: Mapping[str, Any], name: str = "tags") -> dict[str, str]:
    return {each["key"]: each.get("value", "") for each in one.get(name, [])}

"""Verbs on experiments, runs, metrics, artifacts and logged models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from holdfast.chunks import BUNDLE_TYPE
from holdfast.client.api import Api, encode, segment
from holdfast.client.bundles import send_bundles
from holdfast.client.records import (
    Artifact,
    Comparison,
    Experiment,
    LoggedModel,
    MetricHistory,
    Run,
    RunGroups,
)
from holdfast.client.transport import Parts
from holdfast.client.values import metric_value, param_text, point_record, tag_text
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.ids import new_id

__all__ = ["TrackingVerbs"]

_RUNS = "/api/v1/runs"
_EXPERIMENTS = "/api/v1/experiments"
_LOGGED = "/api/v1/logged-models"


class TrackingVerbs:
    """The tracking part of `Client`."""

    _api: Api

    def create_experiment(self, name: str) -> Experiment:
        """A new experiment. Raises Conflict when the name is taken."""
        return self._api.post(_EXPERIMENTS, {"name": name}, Experiment)

    def list_experiments(self) -> list[Experiment]:
        """Every experiment of the workspace."""
        return list(self._api.pages(_EXPERIMENTS, Experiment))

    def get_experiment(self, experiment: int | str) -> Experiment:
        """The experiment by id or by name. Raises NotFound."""
        return self._api.get(f"{_EXPERIMENTS}/{segment(str(experiment))}", Experiment)

    def create_run(
        self,
        experiment: str | None = None,
        *,
        name: str | None = None,
        user: str | None = None,
        recipe: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        start_time: int | None = None,
    ) -> Run:
        """A new running run; the experiment is created when its name is new. None is the default
        experiment.

        `run_id` (32 hex digits) may be chosen here: a run that is there already is given as it is. `start_time`
        (ms, UTC) is the present by default.
        """
        given = {
            "experiment": experiment,
            "name": name,
            "user": user,
            "recipe": recipe,
            "run_id": run_id or new_id(),
            "start_time": start_time,
        }
        body = {key: value for key, value in given.items() if value is not None}
        return self._api.post(_RUNS, body, Run, repeatable=True)

    def get_run(self, run_id: str) -> Run:
        """One run with its params, tags and metric summaries. Raises NotFound."""
        return self._api.get(f"{_RUNS}/{segment(run_id)}", Run)

    def list_runs(self, experiment: str | int | None = None, *, page_size: int = 100) -> Iterator[Run]:
        """The runs, newest first, of one experiment (name or id) or of all."""
        return self._api.pages(_RUNS, Run, experiment=experiment, limit=page_size)

    def purge_runs(self, older_than_days: int, *, is_dry: bool = False) -> tuple[list[str], bool]:
        """Take runs away for good that were deleted so many days ago or earlier, at most 1,000; with `is_dry`, name them.

        Gives their ids, and whether there are more. Needs the permission tracking:purge.
        """
        body = {"older_than_days": older_than_days, "is_dry": is_dry}
        found = self._api.post(f"{_RUNS}/purge", body, dict, repeatable=True)
        return list(found["runs"]), bool(found["more"])

    def change_runs(
        self,
        run_ids: Sequence[str],
        *,
        tags: Mapping[str, str] | None = None,
        drop_tags: Sequence[str] = (),
        archive: bool | None = None,
        rename: str = "",
    ) -> int:
        """Change 1 to 1,000 runs, all or none; gives how many are other than before.

        `archive`: True hides them from tables and searches, False takes them back. `rename` is a pattern such as
        `{name}-{n}`: `{n}` counts from 1, `{user}`, `{params.KEY}` and `{tags.KEY}` are filled in for each.
        """
        body = {
            "runs": list(run_ids),
            "tags": dict(tags or {}),
            "drop_tags": list(drop_tags),
            "archive": archive,
            "rename": rename,
        }
        return int(self._api.post(f"{_RUNS}/change", body, dict)["changed"])

    def group_runs(
        self,
        by: str,
        experiment: str = "",
        *,
        filter: str = "",
        columns: str = "",
        order: str = "",
        limit: int = 100,
    ) -> RunGroups:
        """Runs in groups by up to 3 params, tags, name, user or status (`params.depth, user`), with what metrics average to.

        `order`: one of the columns, for its mean, or `runs`; `DESC` after it. By the groups' values without one.
        """
        asked = {"experiment": experiment, "filter": filter, "by": by, "columns": columns, "order": order}
        return self._api.get(f"{_RUNS}/groups", RunGroups, **asked, limit=limit)

    def export_runs(
        self,
        destination: str | Path,
        experiment: str = "",
        *,
        filter: str = "",
        order: str = "",
        columns: str = "",
    ) -> Path:
        """Write all runs that a filter finds to a CSV file; gives its path. Times are ISO 8601 in UTC."""
        asked = {"experiment": experiment, "filter": filter, "order": order, "columns": columns}
        query = urlencode({key: value for key, value in asked.items() if value})
        target = Path(destination)
        partial = target.with_name(f".{target.name}.part")
        try:
            with partial.open("w+b") as sink:
                self._api.download(f"{_RUNS}/export?{query}", sink)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def compare_runs(
        self, run_ids: Sequence[str], baseline: str = "", *, all_rows: bool = False
    ) -> Comparison:
        """2 to 500 runs side by side: what differs among them, or with `all_rows` everything.

        Numbers are also given as differences to those of `baseline`, the first run by default.
        """
        asked = {"runs": ",".join(run_ids), "baseline": baseline, "all": "true" if all_rows else "false"}
        return self._api.get(f"{_RUNS}/compare", Comparison, **asked)

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[tuple[str, Any, int, int]] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Write points (key, value, step, time), params and tags in one durable, repeatable request.

        Raises InvalidInput naming a key and value that cannot be logged.
        """
        body = {
            "metrics": [
                point_record(key, metric_value(key, value), step, at) for key, value, step, at in metrics
            ],
            "params": {key: param_text(key, value) for key, value in (params or {}).items()},
            "tags": {key: tag_text(key, value) for key, value in (tags or {}).items()},
        }
        self.send_batch(run_id, encode(body))

    def send_batch(self, run_id: str, body: bytes) -> None:
        """Send an encoded batch; the server drops one that it already has, by (run, SHA-256 of the body)."""
        self._api.send("POST", f"{_RUNS}/{segment(run_id)}/batch", json=body, repeatable=True)

    def finish_run(
        self,
        run_id: str,
        status: str = "finished",
        *,
        end_time: int | None = None,
        exit_code: int | None = None,
    ) -> Run:
        """Close a run as finished, failed or killed."""
        if status not in ("finished", "failed", "killed"):
            raise InvalidInput(f"The status {status!r} is not finished, failed or killed.")
        body: dict[str, Any] = {"status": status}
        if end_time is not None:
            body["end_time"] = end_time
        if exit_code is not None:
            body["exit_code"] = exit_code
        return self._api.post(f"{_RUNS}/{segment(run_id)}/finish", body, Run, repeatable=True)

    def metric_history(
        self,
        run_id: str,
        key: str,
        *,
        points: int = 1000,
        from_step: int | None = None,
        to_step: int | None = None,
    ) -> MetricHistory:
        """The points of a metric, reduced by the server to at most `points` with their low and high."""
        path = f"{_RUNS}/{segment(run_id)}/metrics/{segment(key)}"
        return self._api.get(path, MetricHistory, points=points, from_step=from_step, to_step=to_step)

    def upload_artifact(self, run_id: str, path: str, source: bytes | str | Path) -> None:
        """Store bytes, or a file given by its path, as the run's artifact `path`."""
        self._upload(f"{_RUNS}/{segment(run_id)}/artifacts/{_quoted(path)}", source)

    def upload_artifacts(self, run_id: str, files: Iterable[tuple[str, str | Path]]) -> None:
        """Store many files, each under its path in the run; small ones travel in bundles, side by side."""
        target = f"{_RUNS}/{segment(run_id)}/artifact-bundles"
        large = send_bundles(files, lambda body: self._send_bundle(target, body))
        for path, file in large:
            self.upload_artifact(run_id, path, file)

    def _send_bundle(self, target: str, body: Parts) -> None:
        self._api.send("POST", target, body=body, headers={"Content-Type": BUNDLE_TYPE}, repeatable=True)

    def download_artifact(self, run_id: str, path: str, destination: str | Path) -> Path:
        """Write the artifact `path` of a run to a local file and give its path."""
        target = Path(destination)
        with target.open("w+b") as sink:
            self._api.download(f"{_RUNS}/{segment(run_id)}/artifacts/{_quoted(path)}", sink)
        return target

    def delete_artifact(self, run_id: str, path: str) -> None:
        """Remove one artifact of a run. Raises NotFound."""
        self._api.delete(f"{_RUNS}/{segment(run_id)}/artifacts/{_quoted(path)}")

    def list_artifacts(self, run_id: str) -> list[Artifact]:
        """The files of a run."""
        return list(self._api.pages(f"{_RUNS}/{segment(run_id)}/artifacts", Artifact))

    def create_logged_model(self, run_id: str, name: str, *, model_id: str | None = None) -> LoggedModel:
        """An open, empty model of a run: upload its files, then finalize it.

        `model_id` (`m-` and 32 hex digits) may be chosen here: a model that is there already is given as it is.
        """
        body = {"run_id": run_id, "name": name, "model_id": model_id or new_id("m-")}
        return self._api.post(_LOGGED, body, LoggedModel, repeatable=True)

    def upload_model_file(self, model_id: str, path: str, source: bytes | str | Path) -> None:
        """Add a file to an open model."""
        self._upload(f"{_LOGGED}/{segment(model_id)}/files/{_quoted(path)}", source)

    def finalize_logged_model(self, model_id: str) -> LoggedModel:
        """Seal a model; from now on its digest names its files."""
        return self._api.post(f"{_LOGGED}/{segment(model_id)}/finalize", {}, LoggedModel, repeatable=True)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model. Raises NotFound."""
        return self._api.get(f"{_LOGGED}/{segment(model_id)}", LoggedModel)

    def _upload(self, path: str, source: bytes | str | Path) -> None:
        if isinstance(source, bytes):
            self._api.upload(path, source)
            return
        file = Path(source)
        if not file.is_file():
            raise InvalidInput(f"There is no file {str(file)!r} to upload.")
        with file.open("rb") as stream:
            self._api.upload(path, stream, size=file.stat().st_size)


def _quoted(path: str) -> str:
    """A relative path with each part quoted; the server refuses what leaves the tree."""
    return "/".join(segment(part) for part in path.split("/"))

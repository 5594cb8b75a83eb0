"""Copying a store into this server: what is there already is left as it is, so that it may be stopped and called again.

A run is written under its own id: points, params, tags, data sets, artifacts and logged models first, its end and its
deletion last. So a run that has ended here as there is whole, and is passed over.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from holdfast.cli.importing.records import (
    Experiment,
    File,
    LoggedModel,
    RegisteredModel,
    Run,
    Source,
    Version,
)
from holdfast.cli.importing.target import Target
from holdfast.kernel.errors import Conflict, HoldfastError, InvalidInput

__all__ = ["Copier", "Problem", "ids_here", "model_id_here"]

_ID = re.compile(r"[0-9a-f]{32}")
_ENDS = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STAGES = ("Staging", "Production", "Archived")
_RUN_NAME = "mlflow.runName"
_SPOOL = 8 << 20


class Problem(msgspec.Struct, frozen=True):
    """What could not be taken over, and why."""

    what: str
    why: str


def ids_here(run_id: str) -> str:
    """The id of a run here: its own where that is 32 hex digits, as MLflow makes them, else one that follows from it."""
    return (
        run_id if _ID.fullmatch(run_id) else hashlib.sha256(f"mlflow run {run_id}".encode()).hexdigest()[:32]
    )


def model_id_here(model_id: str) -> str:
    """The same of a logged model."""
    own = model_id.removeprefix("m-")
    return f"m-{own}" if _ID.fullmatch(own) else f"m-{hashlib.sha256(model_id.encode()).hexdigest()[:32]}"


class Copier:
    """Copies from a source to a target; `problems` are what it could not take over."""

    def __init__(self, source: Source, target: Target, step: Callable[[str], None]) -> None:
        """`step` is told of each run and each version that is done."""
        self._source, self._target, self._step = source, target, step
        self.problems: list[Problem] = []
        self._used: dict[str, int] = {}
        """The last number of a version that was used up, by model."""
        self._roots: dict[str, str] = {}
        """Where runs and models have their artifacts, by the address there: their address here."""

    def copy(self) -> None:
        """Everything: experiments with their runs and models, then the registry."""
        for experiment in self._source.experiments():
            self._copy_experiment(experiment)
        for model in self._source.registered_models():
            self._copy_registered(model)

    def _copy_experiment(self, experiment: Experiment) -> None:
        number = self._experiment_here(experiment)
        models: dict[str, list[LoggedModel]] = {}
        for model in self._source.logged_models(experiment):
            models.setdefault(model.run_id, []).append(model)
        for run in self._source.runs(experiment):
            self._roots[run.artifact_uri.rstrip("/")] = f"runs:/{ids_here(run.run_id)}"
            own = models.pop(run.run_id, [])
            try:
                self._copy_run(experiment, run, own)
            except HoldfastError as error:
                self.problems.append(Problem(f"run {run.run_id}", str(error)))
            self._step(f"run {run.name or run.run_id}")
        for one in (model for left in models.values() for model in left):
            self._try_model(experiment, one, None)
        if experiment.is_deleted:
            self._target.call("POST", "experiments/delete", experiment_id=number)

    def _experiment_here(self, experiment: Experiment) -> str:
        known = self._target.find("experiments/get-by-name", experiment_name=experiment.name)
        if known is None:
            tags = [{"key": key, "value": value} for key, value in experiment.tags.items()]
            made = self._target.call("POST", "experiments/create", name=experiment.name, tags=tags)
            return str(made["experiment_id"])
        found = known["experiment"]
        number = str(found["experiment_id"])
        if found["lifecycle_stage"] == "deleted":
            self._target.call("POST", "experiments/restore", experiment_id=number)
        here = {one["key"]: one["value"] for one in found.get("tags", [])}
        for key, value in experiment.tags.items():
            if here.get(key) != value:
                self._target.call(
                    "POST", "experiments/set-experiment-tag", experiment_id=number, key=key, value=value
                )
        return number

    def _copy_run(self, experiment: Experiment, run: Run, models: list[LoggedModel]) -> None:
        run_id = ids_here(run.run_id)
        for model in models:
            self._roots[model.artifact_uri.rstrip("/")] = f"models:/{model_id_here(model.model_id)}"
        if self._is_whole(run_id, run):
            return
        self._target.client.create_run(
            experiment.name,
            name=run.name or None,
            user=run.user or None,
            run_id=run_id,
            start_time=run.start_time,
        )
        made = self._target.call("GET", "runs/get", run_id=run_id)["run"]
        if made["info"]["lifecycle_stage"] == "deleted":  # an earlier import was stopped
            self._target.call("POST", "runs/restore", run_id=run_id)
        self._target.log_points(run_id, self._source.points(run))
        tags = {key: value for key, value in run.tags.items() if key != _RUN_NAME}
        self._target.log_texts(run_id, run.params, tags)
        self._target.log_datasets(run_id, self._source.datasets(run))
        self._copy_files(f"run {run.run_id}", run.artifact_uri, "runs", run_id)
        for model in models:
            self._try_model(experiment, model, run_id)
        if run.status in _ENDS:
            self._target.client.finish_run(run_id, _ENDS[run.status], end_time=run.end_time or run.start_time)
        elif run.status == "SCHEDULED":
            self._target.call("POST", "runs/update", run_id=run_id, status="SCHEDULED")
        if run.is_deleted:
            self._target.call("POST", "runs/delete", run_id=run_id)

    def _is_whole(self, run_id: str, run: Run) -> bool:
        known = self._target.find("runs/get", run_id=run_id)
        if known is None or run.status not in _ENDS:
            return False
        info = known["run"]["info"]
        is_deleted = info["lifecycle_stage"] == "deleted"
        return bool(info["status"] == run.status) and is_deleted == run.is_deleted

    def _try_model(self, experiment: Experiment, model: LoggedModel, run_id: str | None) -> None:
        try:
            self._copy_model(experiment, model, run_id)
        except HoldfastError as error:
            self.problems.append(Problem(f"logged model {model.model_id}", str(error)))

    def _copy_model(self, experiment: Experiment, model: LoggedModel, run_id: str | None) -> None:
        model_id = model_id_here(model.model_id)
        self._roots[model.artifact_uri.rstrip("/")] = f"models:/{model_id}"
        if run_id is None:
            raise InvalidInput("No run logged it; a model here is of a run.")
        made = self._target.client.create_logged_model(run_id, model.name, model_id=model_id)
        if made.status == "pending":
            self._target.describe_model(model_id, model)
            self._copy_files(f"logged model {model.model_id}", model.artifact_uri, "logged-models", model_id)
        by_run: dict[str, list[Any]] = {}
        for one in model.points:
            by_run.setdefault(ids_here(one.run_id), []).append(one)
        for other, points in by_run.items():
            self._target.log_model_points(model_id, other, points)
        if model.status in ("READY", "UPLOAD_FAILED"):
            self._target.call("PATCH", f"logged-models/{model_id}", status=f"LOGGED_MODEL_{model.status}")

    def _copy_files(self, what: str, uri: str, kind: str, owner: str) -> None:
        if not uri:
            return
        try:
            files = self._source.files(uri)
        except HoldfastError as error:
            self.problems.append(Problem(f"the artifacts of {what}", str(error)))
            return
        known = self._files_here(kind, owner) if files else {}
        for path, file in files.items():
            self._copy_file(kind, owner, path, file, known.get(path))

    def _files_here(self, kind: str, owner: str) -> Mapping[str, str]:
        if kind == "runs":
            return {one.path: one.sha256 for one in self._target.client.list_artifacts(owner)}
        return {}

    def _copy_file(self, kind: str, owner: str, path: str, file: File, known: str | None) -> None:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            digest = hashlib.sha256()
            for block in file.read():
                digest.update(block)
                spool.write(block)
            size = spool.tell()
            if digest.hexdigest() != known:
                spool.seek(0)
                self._target.upload(kind, owner, path, spool, size)

    # The registry

    def _copy_registered(self, model: RegisteredModel) -> None:
        if self._target.find("registered-models/get", name=model.name) is None:
            tags = [{"key": key, "value": value} for key, value in model.tags.items()]
            body = {"name": model.name, "tags": tags, "description": model.description}
            self._target.call("POST", "registered-models/create", **body)
        for version in self._source.versions(model.name):
            try:
                self._copy_version(model, version)
            except HoldfastError as error:
                self.problems.append(Problem(f"version {version.name}/{version.version}", str(error)))
            self._step(f"version {version.name}/{version.version}")
        for alias, number in model.aliases.items():
            try:
                body = {"name": model.name, "alias": alias, "version": str(number)}
                self._target.call("POST", "registered-models/alias", **body)
            except HoldfastError as error:
                self.problems.append(Problem(f"alias {model.name}@{alias}", str(error)))

    def _copy_version(self, model: RegisteredModel, version: Version) -> None:
        asked = {"name": version.name, "version": str(version.version)}
        source = self._source_here(version)
        known = self._target.find("model-versions/get", **asked)
        if known is not None:
            there = known["model_version"]
            if there.get("source") != source:
                raise Conflict(
                    f"There is another version {version.version} here, from {there.get('source')}."
                )
            return
        is_prompt = model.tags.get("mlflow.prompt.is_prompt", "").lower() == "true"
        self._skip_to(version, is_prompt=is_prompt)
        body: dict[str, Any] = {"name": version.name, "source": source, "description": version.description}
        body |= {"run_id": ids_here(version.run_id)} if version.run_id else {}
        body |= {"run_link": version.link} if version.link else {}
        body |= {"model_id": model_id_here(version.model_id)} if version.model_id else {}
        tags = [{"key": key, "value": value} for key, value in version.tags.items()]
        made = self._target.call("POST", "model-versions/create", **body, tags=tags)["model_version"]
        if int(made["version"]) != version.version:
            raise Conflict(f"It became version {made['version']} here: versions were made meanwhile.")
        if version.stage in _STAGES:
            self._target.call("POST", "model-versions/transition-stage", **asked, stage=version.stage)

    def _skip_to(self, version: Version, *, is_prompt: bool) -> None:
        """Use up the numbers of versions that were deleted there."""
        while True:
            newest = self._newest(version.name)
            if newest >= version.version - 1:
                return
            tag = [{"key": "mlflow.prompt.is_prompt", "value": "true"}] if is_prompt else []
            place = "dummy-source" if is_prompt else "s3://deleted/version"
            made = self._target.call(
                "POST", "model-versions/create", name=version.name, source=place, tags=tag
            )
            number = str(made["model_version"]["version"])
            self._target.call("DELETE", "model-versions/delete", name=version.name, version=number)
            self._used[version.name] = int(number)

    def _newest(self, name: str) -> int:
        found = self._target.call("GET", "model-versions/search", filter=f"name='{name}'", max_results=1000)
        numbers = [int(one["version"]) for one in found.get("model_versions", [])]
        return max([*numbers, self._used.get(name, 0)])

    def _source_here(self, version: Version) -> str:
        """Where a version's files are here: below the run or model that they were registered from, else as it was."""
        if version.model_id and version.source.startswith("models:/m-"):
            return f"models:/{model_id_here(version.model_id)}"
        source = version.source.rstrip("/")
        for root, here in self._roots.items():
            if source == root or source.startswith(f"{root}/"):
                rest = source[len(root) :]
                return here if here.startswith("models:/") else f"{here}{rest}"
        if source.startswith("runs:/"):
            run_id, _, path = source.removeprefix("runs:/").partition("/")
            return f"runs:/{ids_here(run_id)}/{path}".rstrip("/")
        return version.source

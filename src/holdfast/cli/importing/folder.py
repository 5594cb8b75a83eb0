"""An `mlruns` folder, as MLflow's file store writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.cli.importing.files import Artifacts
from holdfast.cli.importing.records import (
    Dataset,
    Experiment,
    File,
    LoggedModel,
    Point,
    RegisteredModel,
    Run,
    Version,
    in_order,
)
from holdfast.kernel.errors import InvalidInput

__all__ = ["FolderSource"]

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}
_META = "meta.yaml"
_MODELS, _TRASH = "models", ".trash"


class FolderSource:
    """A folder that holds experiments by their ids."""

    def __init__(self, folder: Path, artifacts: Artifacts) -> None:
        self._folder, self._artifacts = folder, artifacts
        if not any(self._experiment_folders()):
            raise InvalidInput(
                f"{folder} holds no experiments of MLflow.", hint="Name the folder that mlflow calls mlruns."
            )

    def _experiment_folders(self) -> Iterator[Path]:
        for folder in (self._folder, self._folder / _TRASH):
            if folder.is_dir():
                yield from sorted(
                    path.parent for path in folder.glob(f"*/{_META}") if path.parent.name != _MODELS
                )

    def experiments(self) -> Iterator[Experiment]:
        """See `Source`."""
        found = []
        for folder in self._experiment_folders():
            meta = _load(folder / _META)
            is_deleted = meta.get("lifecycle_stage") == "deleted" or folder.parent.name == _TRASH
            number = str(meta.get("experiment_id", folder.name))
            found.append(Experiment(number, str(meta["name"]), is_deleted, _texts(folder / "tags")))
        return iter(found)

    def _folder_of(self, experiment: Experiment) -> Path:
        return next(one for one in self._experiment_folders() if one.name == experiment.experiment_id)

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """See `Source`."""
        found = []
        for path in self._folder_of(experiment).glob(f"*/{_META}"):
            meta = _load(path)
            if "run_id" not in meta and "run_uuid" not in meta:
                continue
            tags = _texts(path.parent / "tags")
            status = meta.get("status", 3)
            found.append(
                Run(
                    str(meta.get("run_id") or meta["run_uuid"]),
                    str(meta.get("run_name") or tags.get("mlflow.runName", "")),
                    str(meta.get("user_id") or ""),
                    _STATUS.get(status, str(status)),
                    meta.get("start_time"),
                    meta.get("end_time") or None,
                    meta.get("lifecycle_stage") == "deleted",
                    str(meta.get("artifact_uri") or path.parent / "artifacts"),
                    _texts(path.parent / "params"),
                    tags,
                )
            )
        return iter(sorted(found, key=lambda one: (one.start_time or 0, one.run_id)))

    def _folder_of_run(self, run: Run) -> Path:
        for folder in self._experiment_folders():
            if (folder / run.run_id / _META).exists():
                return folder / run.run_id
        raise InvalidInput(f"The run {run.run_id} is not in {self._folder}.")

    def points(self, run: Run) -> Iterator[Point]:
        """See `Source`."""
        folder = self._folder_of_run(run) / "metrics"
        for path in _files(folder):
            key = path.relative_to(folder).as_posix()
            found: dict[str, Point] = {}
            for line in path.read_text(encoding="utf-8").splitlines():
                time, value, *rest = line.split()
                point = Point(key, int(rest[0]) if rest else 0, int(time), float(value))
                found[repr(point)] = point
            yield from sorted(found.values(), key=in_order)

    def datasets(self, run: Run) -> list[Dataset]:
        """See `Source`."""
        folder = self._folder_of_run(run)
        found = []
        for path in sorted((folder / "inputs").glob(f"*/{_META}")):
            use = _load(path)
            if str(use.get("source_type")) not in ("DATASET", "1"):
                continue
            meta = _load(folder.parent / "datasets" / str(use["source_id"]) / _META)
            tags = {str(key): str(value) for key, value in (use.get("tags") or {}).items()}
            found.append(
                Dataset(
                    str(meta["name"]),
                    str(meta["digest"]),
                    str(meta.get("source_type") or ""),
                    str(meta.get("source") or ""),
                    meta.get("schema"),
                    meta.get("profile"),
                    tags,
                )
            )
        return found

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """See `Source`."""
        for path in sorted((self._folder_of(experiment) / _MODELS).glob(f"*/{_META}")):
            meta = _load(path)
            if meta.get("lifecycle_stage") == "deleted":
                continue
            status = meta.get("status", 2)
            yield LoggedModel(
                str(meta["model_id"]),
                experiment.experiment_id,
                str(meta["name"]),
                str(meta.get("source_run_id") or ""),
                _MODEL_STATUS.get(status, str(status)),
                str(meta.get("model_type") or ""),
                str(meta.get("artifact_location") or path.parent / "artifacts"),
                _texts(path.parent / "params"),
                _texts(path.parent / "tags"),
                [],
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        """See `Source`."""
        for path in sorted((self._folder / _MODELS).glob(f"*/{_META}")):
            meta = _load(path)
            aliases = {alias: int(version) for alias, version in _texts(path.parent / "aliases").items()}
            tags = _texts(path.parent / "tags")
            yield RegisteredModel(str(meta["name"]), str(meta.get("description") or ""), tags, aliases)

    def versions(self, name: str) -> list[Version]:
        """See `Source`."""
        found = []
        for path in (self._folder / _MODELS / name).glob(f"version-*/{_META}"):
            meta = _load(path)
            found.append(
                Version(
                    name,
                    int(meta["version"]),
                    str(meta.get("source") or ""),
                    str(meta.get("run_id") or ""),
                    str(meta.get("model_id") or ""),
                    str(meta.get("current_stage") or "None"),
                    str(meta.get("description") or ""),
                    str(meta.get("run_link") or ""),
                    _texts(path.parent / "tags"),
                )
            )
        return sorted((one for one in found if one.stage != "Deleted_Internal"), key=lambda one: one.version)

    def files(self, uri: str) -> Mapping[str, File]:
        """See `Source`. Where the folder was moved since, or an experiment into the trash, files are beside their runs."""
        parts = urlsplit(uri)
        if parts.scheme in ("", "file") and not Path(unquote(parts.path)).exists():
            tail = Path(unquote(parts.path)).parts
            for length in (3, 4):  # experiment/run/artifacts, experiment/models/model/artifacts
                for root in (self._folder, self._folder / _TRASH):
                    moved = root.joinpath(*tail[-length:])
                    if moved.is_dir():
                        return self._artifacts.files(str(moved.absolute()))
        return self._artifacts.files(uri)


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} can't be read: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is not what MLflow writes.")
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _texts(folder: Path) -> dict[str, str]:
    """Files as texts by their names: how params and tags are kept."""
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in _files(folder)}

"""Comparing what a store holds with what this server has of it: counts and digests, kind by kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.cli.importing.copying import ids_here, model_id_here
from holdfast.cli.importing.records import Experiment, LoggedModel, Run, Source
from holdfast.cli.importing.target import Target
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import HoldfastError

__all__ = ["KINDS", "Line", "compare", "count"]

KINDS = (
    "experiments", "runs", "params", "tags", "metric points", "data sets", "artifacts", "logged models",
    "model files", "registered models", "versions", "aliases",
)  # fmt: skip
_READ_LATER = ("metric points", "artifacts", "data sets", "model files")
_OWN_TAGS = ("mlflow.runName", "mlflow.user")


class Line(msgspec.Struct, frozen=True):
    """One kind: how many there and here, and the digest of each side over all of them."""

    kind: str
    there: int
    here: int
    digest_there: str
    digest_here: str

    @property
    def is_equal(self) -> bool:
        """Whether both sides are the same."""
        return (self.there, self.digest_there) == (self.here, self.digest_here)


class _Tally:
    """What one side has."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(KINDS, 0)
        self._digests: dict[str, list[str]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, item: Any, count: int = 1) -> None:
        """Count something; `item` is what it is told by."""
        self._counts[kind] += count
        self._digests[kind].append(hashlib.sha256(canonical_json(item)).hexdigest())

    def of(self, kind: str) -> tuple[int, str]:
        """How many there are, and the digest over them in any order."""
        joined = "\n".join(sorted(self._digests[kind]))
        return self._counts[kind], hashlib.sha256(joined.encode()).hexdigest()


def count(source: Source) -> dict[str, int]:
    """How many of each kind a source has, without its points and artifacts, which may be many."""
    found = dict.fromkeys(KINDS, 0)
    for experiment in source.experiments():
        found["experiments"] += 1
        found["logged models"] += sum(1 for _ in source.logged_models(experiment))
        for run in source.runs(experiment):
            found["runs"] += 1
            found["params"] += len(run.params)
            found["tags"] += len(run.tags)
    for model in source.registered_models():
        found["registered models"] += 1
        found["versions"] += len(source.versions(model.name))
        found["aliases"] += len(model.aliases)
    return {kind: number for kind, number in found.items() if kind not in _READ_LATER}


def compare(source: Source, target: Target) -> list[Line]:
    """Every kind, both sides read anew."""
    there, here = _Tally(), _Tally()
    for experiment in source.experiments():
        _experiment(experiment, target, there, here)
        for run in source.runs(experiment):
            _run_there(source, run, there)
            _run_here(target, run, here)
        for model in source.logged_models(experiment):
            _model_there(source, model, there)
            _model_here(target, model, here)
    for registered in source.registered_models():
        _registered(source, target, registered, there, here)
    return [Line(kind, *_both(there.of(kind), here.of(kind))) for kind in KINDS]


def _both(there: tuple[int, str], here: tuple[int, str]) -> tuple[int, int, str, str]:
    return there[0], here[0], there[1], here[1]


def _experiment(experiment: Experiment, target: Target, there: _Tally, here: _Tally) -> None:
    there.add("experiments", [experiment.name, experiment.is_deleted])
    known = target.find("experiments/get-by-name", experiment_name=experiment.name)
    if known is not None:
        found = known["experiment"]
        here.add("experiments", [found["name"], found["lifecycle_stage"] == "deleted"])


def _run_there(source: Source, run: Run, tally: _Tally) -> None:
    run_id = ids_here(run.run_id)
    is_ended = run.status in ("FINISHED", "FAILED", "KILLED")
    end = (run.end_time or run.start_time) if is_ended else None
    tally.add("runs", [run_id, run.status, run.start_time, end, run.is_deleted])
    _texts(tally, run_id, run.params, run.tags)
    _points(tally, run_id, source.points(run))
    for one in source.datasets(run):
        tally.add("data sets", [run_id, one.name, one.digest])
    _files(source, run.artifact_uri, run_id, "artifacts", tally)


def _files(source: Source, uri: str, owner: str, kind: str, tally: _Tally) -> None:
    try:
        files = source.files(uri) if uri else {}
    except HoldfastError as error:
        tally.add(kind, [owner, str(error)])
        return
    for path, file in files.items():
        digest = hashlib.sha256()
        for block in file.read():
            digest.update(block)
        tally.add(kind, [owner, path, digest.hexdigest()])


def _run_here(target: Target, run: Run, tally: _Tally) -> None:
    run_id = ids_here(run.run_id)
    known = target.find("runs/get", run_id=run_id)
    if known is None:
        return
    info, data = known["run"]["info"], known["run"].get("data", {})
    end = info.get("end_time") if info["status"] in ("FINISHED", "FAILED", "KILLED") else None
    is_deleted = info["lifecycle_stage"] == "deleted"
    tally.add("runs", [run_id, info["status"], info["start_time"], end, is_deleted])
    params, tags = ({one["key"]: one["value"] for one in data.get(kind, [])} for kind in ("params", "tags"))
    _texts(tally, run_id, params, tags)
    _points(tally, run_id, target.points(run_id))
    for use in known["run"].get("inputs", {}).get("dataset_inputs", []):
        tally.add("data sets", [run_id, use["dataset"]["name"], use["dataset"]["digest"]])
    for one in target.client.list_artifacts(run_id):
        tally.add("artifacts", [run_id, one.path, one.sha256])


def _texts(tally: _Tally, run_id: str, params: dict[str, str], tags: dict[str, str]) -> None:
    for key, value in params.items():
        tally.add("params", [run_id, key, value])
    for key, value in tags.items():
        if key not in _OWN_TAGS:
            tally.add("tags", [run_id, key, value])


def _points(tally: _Tally, run_id: str, points: Iterator[Any]) -> None:
    digest, number = hashlib.sha256(), 0
    for one in points:
        digest.update(f"{one.key}\0{one.step}\0{one.time}\0{one.value!r}\n".encode())
        number += 1
    if number:
        tally.add("metric points", [run_id, digest.hexdigest()], number)


def _model_there(source: Source, model: LoggedModel, tally: _Tally) -> None:
    model_id = model_id_here(model.model_id)
    tally.add("logged models", [model_id, model.name, model.params])
    _files(source, model.artifact_uri, model_id, "model files", tally)


def _model_here(target: Target, model: LoggedModel, tally: _Tally) -> None:
    model_id = model_id_here(model.model_id)
    found = target.find(f"logged-models/{model_id}")
    if found is None:
        return
    info, data = found["model"]["info"], found["model"].get("data", {})
    params = {one["key"]: one["value"] for one in data.get("params", [])}
    tally.add("logged models", [model_id, info["name"], params])
    for path, digest in target.model_files(model_id).items():
        tally.add("model files", [model_id, path, digest])


def _registered(source: Source, target: Target, model: Any, there: _Tally, here: _Tally) -> None:
    there.add("registered models", model.name)
    for version in source.versions(model.name):
        there.add("versions", [model.name, version.version])
    for alias, number in model.aliases.items():
        there.add("aliases", [model.name, alias, number])
    known = target.find("registered-models/get", name=model.name)
    if known is None:
        return
    here.add("registered models", model.name)
    found = target.call("GET", "model-versions/search", filter=f"name='{model.name}'", max_results=1000)
    for one in found.get("model_versions", []):
        here.add("versions", [model.name, int(one["version"])])
    for one in known["registered_model"].get("aliases", []):
        if one["alias"] in model.aliases:
            here.add("aliases", [model.name, one["alias"], int(one["version"])])

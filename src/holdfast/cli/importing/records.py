"""What an MLflow store holds. Times are ms UTC; ids are the store's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

__all__ = [
    "Dataset",
    "Experiment",
    "LoggedModel",
    "ModelPoint",
    "Point",
    "RegisteredModel",
    "Run",
    "Source",
    "Version",
    "in_order",
    "infinite",
    "point_of",
]

_LARGEST = 1.7976931348623157e308


class Experiment(msgspec.Struct, frozen=True):
    """An experiment; deleted ones too."""

    experiment_id: str
    name: str
    is_deleted: bool
    tags: dict[str, str]


class Run(msgspec.Struct, frozen=True):
    """A run without its points; `status` is MLflow's word (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED)."""

    run_id: str
    name: str
    user: str
    status: str
    start_time: int | None
    end_time: int | None
    is_deleted: bool
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]


class Point(msgspec.Struct, frozen=True):
    """One point of a metric. Infinities are infinite."""

    key: str
    step: int
    time: int
    value: float


def infinite(value: float) -> float:
    """MLflow's stores and servers keep infinities as the largest numbers."""
    return math.copysign(math.inf, value) if abs(value) >= _LARGEST else value


def point_of(told: Mapping[str, Any]) -> Point:
    """A point as MLflow's REST interface tells of it."""
    return Point(
        told["key"], int(told.get("step", 0)), int(told["timestamp"]), infinite(float(told["value"]))
    )


def in_order(point: Point) -> tuple[int, int, bool, float]:
    """By step, time and value, NaN last."""
    return point.step, point.time, point.value != point.value, point.value


class Dataset(msgspec.Struct, frozen=True):
    """A data set that a run used, with the tags of the use."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


class ModelPoint(msgspec.Struct, frozen=True):
    """A metric of a logged model, by the run that measured it."""

    run_id: str
    point: Point
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(msgspec.Struct, frozen=True):
    """A logged model (MLflow 3)."""

    model_id: str
    experiment_id: str
    name: str
    run_id: str
    status: str
    type: str
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    points: list[ModelPoint]


class RegisteredModel(msgspec.Struct, frozen=True):
    """A registered model; aliases map to versions."""

    name: str
    description: str
    tags: dict[str, str]
    aliases: dict[str, int]


class Version(msgspec.Struct, frozen=True):
    """A version of a registered model; deleted ones are none."""

    name: str
    version: int
    source: str
    run_id: str
    model_id: str
    stage: str
    description: str
    link: str
    tags: dict[str, str]


class Source(Protocol):
    """A store that is read. Every iterator begins anew at each call, and gives the same order."""

    def experiments(self) -> Iterator[Experiment]: ...

    def runs(self, experiment: Experiment) -> Iterator[Run]: ...

    def points(self, run: Run) -> Iterator[Point]:
        """Every point of a run, exact duplicates once, by (key, step, time, value)."""
        ...

    def datasets(self, run: Run) -> list[Dataset]: ...

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]: ...

    def registered_models(self) -> Iterator[RegisteredModel]: ...

    def versions(self, name: str) -> list[Version]:
        """In ascending order."""
        ...

    def files(self, uri: str) -> Mapping[str, File]:
        """The files below an artifact address, by their paths below it. Raises HoldfastError where it can't be read."""
        ...


class File(Protocol):
    """One artifact."""

    def read(self) -> Iterator[bytes]:
        """Its bytes, in blocks."""
        ...

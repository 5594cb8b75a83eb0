"""MLflow's database, of any of its schemas since 1.0, on SQLite or PostgreSQL: read as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import MetaData, Table, and_, create_engine, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from holdfast.cli.importing.files import Artifacts
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
    infinite,
)
from holdfast.kernel.errors import InvalidInput, Unavailable

__all__ = ["SqlSource"]

_CONTEXT = "mlflow.data.context"
_DELETED = "Deleted_Internal"
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}


class SqlSource:
    """A database by its URL (`sqlite:///mlflow.db`, `postgresql://...`)."""

    def __init__(self, url: str, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        try:
            self._engine = create_engine(_with_driver(url))
            tables = MetaData()
            tables.reflect(self._engine)
        except (ArgumentError, NoSuchModuleError) as error:
            raise InvalidInput(f"{url[:200]!r} is not the URL of a database: {error}.") from error
        except SQLAlchemyError as error:
            raise Unavailable(f"The database can't be read: {error}.") from error
        self._tables = tables.tables
        if not {"experiments", "runs", "metrics"} <= set(self._tables):
            raise InvalidInput(f"The database {self._engine.url.render_as_string()} is not MLflow's.")

    def experiments(self) -> Iterator[Experiment]:
        """See `Source`."""
        for row in self._rows("experiments", order="experiment_id"):
            number = row["experiment_id"]
            tags = self._pairs("experiment_tags", experiment_id=number)
            yield Experiment(str(number), row["name"], row["lifecycle_stage"] == "deleted", tags)

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """See `Source`."""
        wanted = {"experiment_id": int(experiment.experiment_id)}
        for row in self._rows("runs", order="start_time,run_uuid", **wanted):
            tags = self._pairs("tags", run_uuid=row["run_uuid"])
            yield Run(
                row["run_uuid"],
                row["name"] or tags.get("mlflow.runName", ""),
                row["user_id"] or "",
                row["status"] or "FINISHED",
                row["start_time"],
                row["end_time"] or None,
                row["lifecycle_stage"] == "deleted",
                row["artifact_uri"] or "",
                self._pairs("params", run_uuid=row["run_uuid"]),
                tags,
            )

    def points(self, run: Run) -> Iterator[Point]:
        """See `Source`."""
        metrics = self._tables["metrics"]
        keys = select(metrics.c.key).where(metrics.c.run_uuid == run.run_id).distinct()
        with self._engine.connect() as connection:
            names = sorted(connection.execute(keys).scalars())
        for key in names:
            found: dict[str, Point] = {}
            for row in self._rows("metrics", run_uuid=run.run_id, key=key):
                point = Point(key, int(row["step"]), int(row["timestamp"]), _number(row))
                found[repr(point)] = point
            yield from sorted(found.values(), key=in_order)

    def datasets(self, run: Run) -> list[Dataset]:
        """See `Source`."""
        if "inputs" not in self._tables:
            return []
        found = []
        uses = {"source_type": "DATASET", "destination_type": "RUN", "destination_id": run.run_id}
        for use in self._rows("inputs", order="input_uuid", **uses):
            tags = {
                row["name"]: row["value"] for row in self._rows("input_tags", input_uuid=use["input_uuid"])
            }
            for row in self._rows("datasets", dataset_uuid=use["source_id"]):
                found.append(
                    Dataset(
                        row["name"],
                        row["digest"],
                        row["dataset_source_type"],
                        row["dataset_source"],
                        row["dataset_schema"],
                        row["dataset_profile"],
                        tags,
                    )
                )
        return found

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """See `Source`. Deleted ones are left out."""
        if "logged_models" not in self._tables:
            return
        wanted = {"experiment_id": int(experiment.experiment_id)}
        for row in self._rows("logged_models", order="creation_timestamp_ms,model_id", **wanted):
            if row["lifecycle_stage"] == "deleted":
                continue
            model_id = row["model_id"]
            yield LoggedModel(
                model_id,
                experiment.experiment_id,
                row["name"],
                row["source_run_id"] or "",
                _MODEL_STATUS.get(row["status"], str(row["status"])),
                row["model_type"] or "",
                row["artifact_location"],
                self._pairs("logged_model_params", "param_key", "param_value", model_id=model_id),
                self._pairs("logged_model_tags", "tag_key", "tag_value", model_id=model_id),
                list(self._model_points(model_id)),
            )

    def _model_points(self, model_id: str) -> Iterator[ModelPoint]:
        for row in self._rows("logged_model_metrics", model_id=model_id):
            step, time = int(row["metric_step"]), int(row["metric_timestamp_ms"])
            value = math.nan if row["metric_value"] is None else float(row["metric_value"])
            point = Point(row["metric_name"], step, time, infinite(value))
            yield ModelPoint(row["run_id"], point, row["dataset_name"] or "", row["dataset_digest"] or "")

    def registered_models(self) -> Iterator[RegisteredModel]:
        """See `Source`."""
        for row in self._rows("registered_models", order="creation_time,name"):
            name = row["name"]
            aliases = {
                one["alias"]: int(one["version"]) for one in self._rows("registered_model_aliases", name=name)
            }
            tags = self._pairs("registered_model_tags", name=name)
            yield RegisteredModel(name, row["description"] or "", tags, aliases)

    def versions(self, name: str) -> list[Version]:
        """See `Source`."""
        return [
            Version(
                name,
                int(row["version"]),
                row["source"] or "",
                row["run_id"] or "",
                row.get("model_id") or "",
                row["current_stage"] or "None",
                row["description"] or "",
                row.get("run_link") or "",
                self._pairs("model_version_tags", name=name, version=row["version"]),
            )
            for row in self._rows("model_versions", order="version", name=name)
            if row["current_stage"] != _DELETED
        ]

    def files(self, uri: str) -> Mapping[str, File]:
        """See `Source`."""
        return self._artifacts.files(uri)

    def _pairs(self, table: str, /, key: str = "key", value: str = "value", **wanted: Any) -> dict[str, str]:
        rows = self._rows(table, order=key, **wanted)
        return {row[key]: "" if row[value] is None else str(row[value]) for row in rows}

    def _rows(self, table_name: str, /, order: str = "", **wanted: Any) -> Iterator[Mapping[str, Any]]:
        """The rows of a table, which older schemas may not have; with None for columns that they don't have."""
        table: Table | None = self._tables.get(table_name)
        if table is None:
            return
        query = select(table).where(
            and_(True, *(table.c[column] == value for column, value in wanted.items()))
        )
        if order:
            query = query.order_by(*(table.c[column] for column in order.split(",") if column in table.c))
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=5000).execute(query).mappings():
                yield _Row(row)


class _Row(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


def _number(row: Mapping[str, Any]) -> float:
    return math.nan if row["is_nan"] else infinite(float(row["value"]))


def _with_driver(url: str) -> str:
    """PostgreSQL by the driver that is here, whatever driver the URL names."""
    scheme, found, rest = url.partition("://")
    return f"postgresql+psycopg{found}{rest}" if scheme.split("+")[0] in ("postgresql", "postgres") else url

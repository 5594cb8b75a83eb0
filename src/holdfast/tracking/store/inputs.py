"""The tables of what runs used and put out: data sets and logged models."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
)

from holdfast.storage import BigId, Tx, metadata
from holdfast.storage.direct import DirectIn
from holdfast.tracking.records import DatasetInput, LoggedDataset, ModelLink, RunLinks

__all__ = [
    "CONTEXT_TAG",
    "datasets",
    "inputs",
    "links",
    "list_datasets",
    "load_links",
    "put_datasets",
    "put_links",
]

CONTEXT_TAG = "mlflow.data.context"
datasets = Table(
    "logged_dataset",
    metadata,
    Column("dataset_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(36), nullable=False),
    Column("source_type", String(500), nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    UniqueConstraint("workspace_id", "experiment_id", "name", "digest"),
    sqlite_autoincrement=True,
)
inputs = Table(
    "run_dataset",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("dataset_no", BigInteger, nullable=False),
    Column("context", Text),
    Column("tags", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no", "dataset_no"),
)
links = Table(
    "run_model",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("direction", String(3), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("step", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no", "direction", "model_id"),
    Index("ix_run_model_workspace_id_model_id", "workspace_id", "model_id"),
)
# Built once: building a statement takes SQLAlchemy longer than running it.
_WORKSPACE: BindParameter[str] = bindparam("workspace")
_DATASET = [datasets.c[name] for name in ("name", "digest", "source_type", "source", "schema", "profile")]
_LOAD_INPUTS = DirectIn(
    select(inputs.c.run_no, inputs.c.tags, *_DATASET)
    .join(datasets, datasets.c.dataset_no == inputs.c.dataset_no)
    .where(inputs.c.workspace_id == _WORKSPACE)
    .order_by(inputs.c.run_no, inputs.c.dataset_no),
    inputs.c.run_no,
)
_LOAD_MODELS = DirectIn(
    select(links.c.run_no, links.c.direction, links.c.model_id, links.c.step)
    .where(links.c.workspace_id == _WORKSPACE)
    .order_by(links.c.run_no, links.c.step, links.c.model_id),
    links.c.run_no,
)


def put_datasets(
    tx: Tx, workspace: str, experiment_id: int, run_no: int, given: Sequence[DatasetInput]
) -> None:
    """Attach data sets to a run; one that it has already gets the tags in addition."""
    for one in given:
        number = _dataset_number(tx, workspace, experiment_id, one.dataset)
        own = (
            inputs.c.workspace_id == workspace,
            inputs.c.run_no == run_no,
            inputs.c.dataset_no == number,
        )
        before = tx.execute(select(inputs.c.tags).where(*own)).scalar_one_or_none()
        tags = {**(msgspec.json.decode(before) if before else {}), **one.tags}
        tx.execute(delete(inputs).where(*own))
        tx.execute(
            insert(inputs).values(
                workspace_id=workspace,
                run_no=run_no,
                dataset_no=number,
                context=tags.get(CONTEXT_TAG),
                tags=msgspec.json.encode(tags).decode(),
            )
        )


def _dataset_number(tx: Tx, workspace: str, experiment_id: int, one: LoggedDataset) -> int:
    query = select(datasets.c.dataset_no).where(
        datasets.c.workspace_id == workspace,
        datasets.c.experiment_id == experiment_id,
        datasets.c.name == one.name,
        datasets.c.digest == one.digest,
    )
    known = tx.execute(query).scalar_one_or_none()
    if known is not None:
        return int(known)
    values = {"workspace_id": workspace, "experiment_id": experiment_id, **msgspec.structs.asdict(one)}
    done = tx.execute(insert(datasets).values(**values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def put_links(tx: Tx, workspace: str, run_no: int, direction: str, given: Sequence[ModelLink]) -> None:
    """Attach logged models to a run, as `in` or as `out`; one that it has already gets the step."""
    for one in given:
        own = (
            links.c.workspace_id == workspace,
            links.c.run_no == run_no,
            links.c.direction == direction,
            links.c.model_id == one.model_id,
        )
        tx.execute(delete(links).where(*own))
        tx.execute(
            insert(links).values(
                workspace_id=workspace,
                run_no=run_no,
                direction=direction,
                model_id=one.model_id,
                step=one.step,
            )
        )


def load_links(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, RunLinks]:
    """What each of the runs used and put out; those without anything are missing."""
    found: dict[int, RunLinks] = {}
    own = {"workspace": workspace}
    for run_no, tags, *values in _LOAD_INPUTS.rows(tx, own, numbers):
        of_run = found.setdefault(run_no, RunLinks([], [], []))
        of_run.datasets.append(DatasetInput(LoggedDataset(*values), msgspec.json.decode(tags)))
    for run_no, direction, model_id, step in _LOAD_MODELS.rows(tx, own, numbers):
        of_run = found.setdefault(run_no, RunLinks([], [], []))
        (of_run.models_in if direction == "in" else of_run.models_out).append(ModelLink(model_id, step))
    return found


def list_datasets(tx: Tx, workspace: str, numbers: Sequence[int]) -> list[tuple[int, str, str, str | None]]:
    """(experiment id, name, digest, context) of the data sets that runs of the experiments used, each once."""
    query = (
        select(datasets.c.experiment_id, datasets.c.name, datasets.c.digest, inputs.c.context)
        .join(inputs, inputs.c.dataset_no == datasets.c.dataset_no)
        .where(datasets.c.workspace_id == workspace, datasets.c.experiment_id.in_(numbers))
        .distinct()
        .order_by(datasets.c.experiment_id, datasets.c.name, datasets.c.digest, inputs.c.context)
    )
    return [(row[0], row[1], row[2], row[3]) for row in tx.execute(query)]

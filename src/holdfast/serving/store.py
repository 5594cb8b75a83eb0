"""The tables of deployments, the generation of the desired state, and replicas."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from holdfast.kernel.principal import DEPLOYMENT
from holdfast.predictions.records import Deployed
from holdfast.serving.records import Deployment, EndpointReport, Replica
from holdfast.storage import ALL_WORKSPACES, Tx, lock, metadata

__all__ = [
    "active_deployments",
    "all_deployments",
    "deployments_in",
    "deployments_of",
    "end_deployments",
    "generation",
    "hold",
    "insert_deployment",
    "list_replicas",
    "next_generation",
    "put_replica",
    "raise_generation",
    "update_deployment",
    "waiting_deployments",
]

_deployments = Table(
    "deployment",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("deployment_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("endpoint", String(63), nullable=False),
    Column("model", String(256), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("deployable_digest", String(64)),
    Column("runtime", String(16)),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("deployed", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("activated_at", BigInteger),
    PrimaryKeyConstraint("workspace_id", "deployment_id"),
    Index("ix_deployment_endpoint_id_state", "workspace_id", "endpoint_id", "state"),
    Index("ix_deployment_state", "state"),
)
_generations = Table(
    "serving_generation",
    metadata,
    Column("workspace_id", String(64), primary_key=True),
    Column("generation", BigInteger, nullable=False),
)
_replicas = Table(
    "replica",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("replica", String(64), nullable=False),
    Column("url", String(500), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("status", String(32), nullable=False),
    Column("endpoints", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "replica"),
)
_json = msgspec.json.Encoder().encode


def _to_row(deployment: Deployment) -> dict[str, Any]:
    return {**msgspec.structs.asdict(deployment), "deployed": _json(deployment.deployed).decode()}


def _deployment(row: Row[Any]) -> Deployment:
    values = dict(row._mapping)
    del values["workspace_id"]
    values["deployed"] = msgspec.json.decode(values["deployed"], type=Deployed)
    return Deployment(**values)


def insert_deployment(tx: Tx, workspace: str, deployment: Deployment) -> None:
    """Add a deployment."""
    tx.execute(insert(_deployments).values(workspace_id=workspace, **_to_row(deployment)))


def update_deployment(tx: Tx, workspace: str, deployment: Deployment) -> None:
    """Write all fields of a known deployment."""
    tx.execute(
        update(_deployments)
        .where(
            _deployments.c.workspace_id == workspace, _deployments.c.deployment_id == deployment.deployment_id
        )
        .values(**_to_row(deployment))
    )


def deployments_in(tx: Tx, workspace: str, endpoint_id: str) -> list[Deployment]:
    """All deployments of an endpoint, the newest first."""
    query = select(_deployments).where(
        _deployments.c.workspace_id == workspace, _deployments.c.endpoint_id == endpoint_id
    )
    return [_deployment(row) for row in tx.execute(query.order_by(_deployments.c.deployment_id.desc()))]


def active_deployments(tx: Tx, workspace: str) -> list[Deployment]:
    """The deployments of the desired state, by endpoint name."""
    query = select(_deployments).where(
        _deployments.c.workspace_id == workspace, _deployments.c.state == "active"
    )
    return [_deployment(row) for row in tx.execute(query.order_by(_deployments.c.endpoint))]


def deployments_of(tx: Tx, workspace: str, model: str) -> list[Deployment]:
    """The deployments of a model that are active or being prepared."""
    query = select(_deployments).where(
        _deployments.c.workspace_id == workspace,
        _deployments.c.model == model,
        _deployments.c.state.in_(("preparing", "active")),
    )
    return [_deployment(row) for row in tx.execute(query)]


def waiting_deployments(tx: Tx) -> list[tuple[str, Deployment]]:
    """(workspace, deployment) of those whose deployable digest does not exist yet, the oldest first."""
    query = (
        select(_deployments).where(_deployments.c.state == "preparing").order_by(_deployments.c.deployment_id)
    )
    found = tx.execute(query.execution_options(**ALL_WORKSPACES))
    return [(row.workspace_id, _deployment(row)) for row in found]


def all_deployments(tx: Tx) -> list[Row[Any]]:
    """What every deployment of all workspaces is of."""
    d = _deployments.c
    query = select(
        d.workspace_id,
        d.deployment_id,
        d.endpoint,
        d.model,
        d.version,
        d.runtime,
        d.deployable_digest,
        d.activated_at,
    )
    return list(tx.execute(query.execution_options(**ALL_WORKSPACES)))


def end_deployments(tx: Tx, workspace: str, endpoint_id: str, states: tuple[str, ...], ended: str) -> int:
    """Move an endpoint's deployments from these states to `ended`; how many there were."""
    done = tx.execute(
        update(_deployments)
        .where(
            _deployments.c.workspace_id == workspace,
            _deployments.c.endpoint_id == endpoint_id,
            _deployments.c.state.in_(states),
        )
        .values(state=ended)
    )
    return int(done.rowcount)


def hold(tx: Tx) -> None:
    """Nobody else changes deployments or the desired state until the transaction ends."""
    lock(tx, "serving")


def generation(tx: Tx) -> int:
    """The generation of the deployment's desired state, 0 before the first endpoint."""
    query = select(_generations.c.generation).where(_generations.c.workspace_id == DEPLOYMENT)
    return int(tx.execute(query).scalar() or 0)


def next_generation(tx: Tx) -> int:
    """Count the generation up."""
    lock(tx, "serving generation")
    number = generation(tx) + 1
    if number == 1:
        tx.execute(insert(_generations).values(workspace_id=DEPLOYMENT, generation=1))
    else:
        tx.execute(
            update(_generations).where(_generations.c.workspace_id == DEPLOYMENT).values(generation=number)
        )
    return number


def raise_generation(tx: Tx, number: int) -> None:
    """Let the generation be at least this."""
    hold(tx)
    if 0 < generation(tx) < number:
        tx.execute(
            update(_generations).where(_generations.c.workspace_id == DEPLOYMENT).values(generation=number)
        )


def put_replica(tx: Tx, replica: Replica) -> None:
    """Write a replica's last heartbeat."""
    values = {
        "url": replica.url,
        "generation": replica.generation,
        "status": replica.status,
        "endpoints": _json(replica.endpoints).decode(),
        "seen_at": replica.seen_at,
    }
    known = (_replicas.c.workspace_id == DEPLOYMENT, _replicas.c.replica == replica.replica)
    if tx.execute(update(_replicas).where(*known).values(**values)).rowcount == 0:
        tx.execute(insert(_replicas).values(workspace_id=DEPLOYMENT, replica=replica.replica, **values))


def list_replicas(tx: Tx) -> list[Replica]:
    """The replicas, the one heard of last first."""
    query = (
        select(_replicas).where(_replicas.c.workspace_id == DEPLOYMENT).order_by(_replicas.c.seen_at.desc())
    )
    return [
        Replica(
            row.replica,
            row.url,
            row.generation,
            row.status,
            msgspec.json.decode(row.endpoints, type=dict[str, EndpointReport]),
            row.seen_at,
        )
        for row in tx.execute(query)
    ]

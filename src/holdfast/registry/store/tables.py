"""The tables of the registry."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    select,
)

from holdfast.storage import BigId, metadata

__all__ = [
    "ALL_OF_A_MODEL",
    "OF_NAMES",
    "alias_moves",
    "aliases",
    "model_tags",
    "models",
    "version_tags",
    "versions",
]

models = Table(
    "registered_model",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
)

versions = Table(
    "model_version",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("version", Integer, nullable=False),
    Column("version_id", String(64), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("run_id", String(256)),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("deployable_digest", String(64)),
    Column("runtime", String(16)),
    Column("parity", Text),
    Column("message", Text, nullable=False),
    Column("prepared_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("archived_at", BigInteger),
    PrimaryKeyConstraint("workspace_id", "name", "version"),
    UniqueConstraint("workspace_id", "version_id"),
    Index("ix_model_version_status", "status"),
    Index("ix_model_version_workspace_id_run_id", "workspace_id", "run_id"),
    Index("ix_model_version_workspace_id_model_id", "workspace_id", "model_id"),
)

aliases = Table(
    "model_alias",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "alias"),
)

alias_moves = Table(
    "model_alias_change",
    metadata,
    Column("change_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("version", Integer),
    Column("time", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Index("ix_model_alias_change_workspace_id_name_alias", "workspace_id", "name", "alias", "change_no"),
    sqlite_autoincrement=True,
)

model_tags = Table(
    "registered_model_tag",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "key"),
)

version_tags = Table(
    "model_version_tag",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "version", "key"),
)

ALL_OF_A_MODEL = (models, versions, aliases, alias_moves, model_tags, version_tags)
# Built once: building a statement takes SQLAlchemy longer than running it.
OF_NAMES = {
    table: select(table)
    .where(
        table.c.workspace_id == bindparam("workspace"),
        table.c.name.in_(bindparam("names", expanding=True)),
    )
    .order_by(order)
    for table, order in (
        (models, models.c.name),
        (versions, versions.c.version.desc()),
        (aliases, aliases.c.alias),
        (model_tags, model_tags.c.key),
        (version_tags, version_tags.c.key),
    )
}

"""The one set of tables, which the migrations must equal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

__all__ = ["BigId", "metadata", "write_tokens"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
BigId = BigInteger().with_variant(Integer, "sqlite")
"""The type of a key that counts up by itself: SQLite gives 64-bit row ids to INTEGER keys alone."""
write_tokens = Table(
    "write_token",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("written_at", BigInteger, nullable=False),
)
"""One row for each unit of work on PostgreSQL, for an hour: tells whether a commit without an answer took place."""

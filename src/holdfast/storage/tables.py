"""The one set of tables, which the migrations must equal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

__all__ = ["BigId", "metadata"]

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

"""Reading rows whose bytes may be damaged below the database's own types, so that the damage can be named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, LargeBinary, String, cast

from holdfast.storage import Tx

__all__ = ["blob", "readable", "words"]


def readable(tx: Tx, columns: Iterable[Column[Any]]) -> list[Any]:
    """The columns to select: on SQLite, which checks no text, texts come as their bytes."""
    if tx.dialect.name != "sqlite":
        return list(columns)
    return [
        cast(column, LargeBinary).label(column.name) if isinstance(column.type, String) else column
        for column in columns
    ]


def words(value: object) -> str | None:
    """A column's text; bytes that are no text come with marks in their place."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) or value is None else str(value)


def blob(value: object) -> bytes | None:
    """A column's bytes; SQLite gives text or a number where a hand wrote one."""
    return value if isinstance(value, bytes) or value is None else str(value).encode()

"""How features and classes become columns of the prediction table: `in_<feature>`, `score_<class>`, one kind each.

Delta compares column names without case and fixes a column's type when it is first written. So a feature whose
name differs from another's only by case, or whose kind changed with a later model version, is stored under
`in_<feature>#~<suffix>`; reading puts it back under `in_<feature>`. The same holds for classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

__all__ = ["KINDS", "column_for", "kind_of", "plain_name"]

KINDS = {"double": "number", "long": "number", "string": "text", "boolean": "boolean", "datetime": "time"}
"""Signature type to storage kind: Float64, String, Boolean, and epoch ms (Int64) for times."""
_MARK = "#~"
_DTYPES = {"Float64": "number", "String": "text", "Boolean": "boolean", "Int64": "time"}


def kind_of(dtype: object) -> str:
    """The storage kind of a Polars dtype of the table."""
    return _DTYPES[str(dtype)]


def plain_name(column: str) -> str:
    """The name under which a stored column is read: `in_<feature>`, `score_<class>`."""
    return column.partition(_MARK)[0]


def column_for(plain: str, kind: str, taken: Mapping[str, str]) -> str:
    """The stored column for a plain name and kind. `taken` is column to kind of what the table has already."""
    for name in _candidates(plain, kind):
        holder = _same_name(name, taken)
        if holder is None or (holder == name and taken[holder] == kind):
            return name
    raise AssertionError("the last candidate holds a digest of its own name")


def _candidates(plain: str, kind: str) -> list[str]:
    digest = hashlib.sha256(f"{plain}\n{kind}".encode()).hexdigest()[:12]
    return [plain, f"{plain}{_MARK}{kind}", f"{plain}{_MARK}{digest}"]


def _same_name(name: str, taken: Iterable[str]) -> str | None:
    folded = name.lower()
    alike = [held for held in taken if held.lower() == folded]
    return name if name in alike else next(iter(alike), None)

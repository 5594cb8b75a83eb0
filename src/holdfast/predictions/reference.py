"""Reference rows that come with `monitor set`: checked columns, stored as gzipped JSON like a model's own."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["encode_reference"]

_SCALARS = (str, int, float, bool, type(None))


def encode_reference(reference: dict[str, Any]) -> tuple[bytes, int]:
    """(the bytes of `reference.json.gz`, its rows) from `{"columns": {name: [values]}}`.

    Raises InvalidInput naming the column and row: columns of different lengths, no rows, values that are no scalars.
    """
    columns = reference.get("columns")
    if not isinstance(columns, dict) or not columns or set(reference) != {"columns"}:
        raise InvalidInput("A reference is an object with the one member 'columns', which is not empty.")
    rows = None
    for name, values in columns.items():
        if not isinstance(values, list) or (rows is not None and len(values) != rows):
            size = len(values) if isinstance(values, list) else type(values).__name__
            raise InvalidInput(
                f"The reference's column {name[:80]!r} holds {size} where {rows or 'a list of'} values belong."
            )
        rows = len(values)
        bad = next((row for row, value in enumerate(values) if not isinstance(value, _SCALARS)), None)
        if bad is not None:
            raise InvalidInput(
                f"The reference's column {name[:80]!r}, row {bad}: {values[bad]!r:.80} is no single value."
            )
    if not rows:
        raise InvalidInput("The reference has no rows.")
    return gzip.compress(msgspec.json.encode({"columns": columns}), compresslevel=6, mtime=0), rows

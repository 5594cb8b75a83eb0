"""The child that reads a part of a Parquet file: the file on stdin, `ROW COLUMN ROWS COLUMNS CELLS` as arguments.

To stdout goes one `ParquetPart` as JSON. Ends with 1 and a sentence on stderr for what is no Parquet. It limits its own
memory and time: a small file may hold columns without end.
"""

from __future__ import annotations

import io
import resource
import sys
from typing import Any

import msgspec
import polars as pl

from holdfast.tracking.parquet import ParquetPart

__all__: list[str] = []

_MEMORY, _SECONDS = 1 << 30, 15
_LONGEST = 1000


def _main(row: int, column: int, most_rows: int, most_columns: int, most_cells: int) -> int:
    for kind, limit in ((resource.RLIMIT_DATA, _MEMORY), (resource.RLIMIT_CPU, _SECONDS)):
        hard = resource.getrlimit(kind)[1]
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, lowest))
    try:
        part = _read(sys.stdin.buffer.read(), row, column, most_rows, most_columns, most_cells)
    except (pl.exceptions.PolarsError, MemoryError, ValueError) as error:
        sys.stderr.write(str(error).partition("\n")[0][:300])
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(part))
    return 0


def _read(
    data: bytes, row: int, column: int, most_rows: int, most_columns: int, most_cells: int
) -> ParquetPart:
    table = pl.scan_parquet(io.BytesIO(data))
    schema = table.collect_schema()
    names = schema.names()
    chosen = names[column : column + most_columns]
    taken = max(1, min(most_rows, most_cells // (len(chosen) + 2)))
    total = int(table.select(pl.len()).collect().item())
    rows = table.select(chosen).slice(row, taken).collect().rows() if chosen else []
    return ParquetPart(
        columns=chosen,
        types=[str(schema[name])[:100] for name in chosen],
        all_columns=len(names),
        all_rows=total,
        rows=[[_plain(value) for value in values] for values in rows],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value)[:_LONGEST]


if __name__ == "__main__":
    sys.exit(_main(*map(int, sys.argv[1:])))

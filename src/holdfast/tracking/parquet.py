"""Parts of Parquet files, read in a short-lived child: Polars stays out of the server, and so does what a hostile file
would do to its memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from typing import Any, BinaryIO

import msgspec

from holdfast.kernel.errors import Unavailable
from holdfast.tracking.grids import Grid, NoTable, Window, make_grid

__all__ = ["PARQUET_LIMIT", "ParquetPart", "ParquetReader"]

PARQUET_LIMIT = 64_000_000
_MOST_CELLS = 2400
_AT_ONCE, _PATIENCE_S, _SECONDS = 2, 10.0, 20.0
_BLOCK = 1 << 20


class ParquetPart(msgspec.Struct, frozen=True):
    """What the child read."""

    columns: list[str]
    types: list[str]
    all_columns: int
    all_rows: int
    rows: list[list[Any]]


class ParquetReader:
    """Reads two files at a time; whoever waits for more than ten seconds is told to come again."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def read(self, file: BinaryIO, window: Window) -> Grid:
        """The rows and columns of the window. Raises NoTable for what can't be read, Unavailable when many ask."""
        if not self._places.acquire(timeout=_PATIENCE_S):
            raise Unavailable("Other tables are being read.", hint="Open this page again.", retry_after_s=5)
        try:
            part = _in_child(file, window)
        finally:
            self._places.release()
        more = window.row + len(part.rows) < part.all_rows
        return make_grid(
            part.columns,
            part.rows,
            window,
            all_columns=part.all_columns,
            all_rows=part.all_rows,
            has_more=more,
        )


def _in_child(file: BinaryIO, window: Window) -> ParquetPart:
    numbers = (window.row, window.column, window.most_rows, window.most_columns, _MOST_CELLS)
    command = [sys.executable, "-m", "holdfast.tracking.parquet_child", *map(str, numbers)]
    with tempfile.TemporaryFile() as copy:
        while block := file.read(_BLOCK):
            copy.write(block)
        copy.seek(0)
        try:
            done = subprocess.run(command, stdin=copy, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise NoTable(f"reading it took more than {_SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise NoTable(told if done.returncode == 1 and told else "reading it took too much memory or time")
    return msgspec.json.decode(done.stdout, type=ParquetPart)

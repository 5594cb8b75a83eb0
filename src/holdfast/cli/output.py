"""What commands print: JSON, aligned tables, times and progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.client.api import encode
from holdfast.kernel.times import iso

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["number", "print_json", "print_pairs", "print_table", "progress", "short", "when"]


def print_json(value: Any) -> None:
    """Print a record, or a list of them, as indented JSON; NaN and infinities as strings."""
    click.echo(msgspec.json.format(encode(msgspec.to_builtins(value)), indent=2).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print aligned columns under their heads, numbers to the right; `empty` when there is no row."""
    if not rows:
        click.echo(empty)
        return
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(head[i]), *(len(row[i]) for row in texts)) for i in range(len(head))]
    right = [any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(head))]
    for row in [list(head), *texts]:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def print_pairs(pairs: Sequence[tuple[str, Any]]) -> None:
    """Print names with their values below each other; pairs without a value are left out."""
    shown = [(name, _text(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {value}")


def _text(cell: Any) -> str:
    return "" if cell is None else number(cell) if isinstance(cell, float) else str(cell)


def number(value: float | None, digits: int = 5) -> str:
    """A number with so many significant digits; an empty text for None."""
    if value is None:
        return ""
    return str(value) if not math.isfinite(value) else f"{value:.{digits}g}"


def when(ms: int | None) -> str:
    """A time as `2013-06-01 14:00:00Z`; an empty text for None."""
    return "" if ms is None else iso(ms)[:19].replace("T", " ") + "Z"


def short(digest: str | None) -> str:
    """The first 12 digits of a digest."""
    return (digest or "")[:12]


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on standard error, drawn when that is a terminal."""
    from rich.console import Console  # slow to import, and most commands draw nothing
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as display:
        yield display

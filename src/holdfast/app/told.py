"""Progress of long work on standard error, drawn when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Told", "progress"]

Told = Callable[[str, float, float | None], None]
"""Hears (what is done, how much of it, of how much; None when that is not known)."""


@contextmanager
def progress() -> Iterator[Told]:
    """A bar for each thing that is done."""
    from rich.console import Console  # slow to import, and most processes draw nothing
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    with Progress(console=console, disable=not console.is_terminal) as display:
        tasks = dict[str, int]()

        def told(what: str, done: float, size: float | None) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(what, total=size)
            display.update(tasks[what], completed=done, total=size)  # type: ignore[arg-type]

        yield told

"""Spans: named pieces of work, for whoever traces. Nothing, at the cost of a look, unless a process installs a tracer.

Like the logging module's handlers, the tracer is the process' own: it is installed once, at its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Tracer", "install", "span"]

_NOTHING: AbstractContextManager[None] = nullcontext()


class Tracer(Protocol):
    """Records spans."""

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[None]:
        """A block that is recorded as a child of the one around it."""


_installed: list[Tracer] = []


def install(tracer: Tracer | None) -> None:
    """Record from now on, or no more. For the start of a process."""
    _installed[:] = [] if tracer is None else [tracer]


def span(name: str, **attributes: str | int) -> AbstractContextManager[None]:
    """Record the block, where somebody traces what it belongs to."""
    return _installed[0].span(name, attributes) if _installed else _NOTHING

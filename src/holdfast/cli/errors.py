"""How an error reads on the command line: the sentence, what to do, and the code with where it is
explained.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import click

from holdfast.kernel.errors import HoldfastError, NotFound

__all__ = ["report", "suggesting"]

DOCS = "docs/reference/errors.md"


def report(error: HoldfastError) -> None:
    """Print an error to standard error."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"Hint: {error.hint}", err=True)
    for rule in error.details.get("unmet", []):
        click.echo(f"Unmet: {rule}", err=True)
    request = f", request {error.request_id}" if error.request_id else ""
    click.echo(f"Code: {error.code} ({DOCS}#{error.code}{request})", err=True)


@contextmanager
def suggesting(name: str, known: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Within it, a NotFound says the nearest of the `known` names first in its hint."""
    try:
        yield
    except NotFound as error:
        close = difflib.get_close_matches(name, list(known()), n=1, cutoff=0.6)
        if close and close[0] != name and "mean" not in error.hint:
            error.hint = f"Did you mean {close[0]!r}? {error.hint}".rstrip()
        raise

"""Expecting an error, without pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["raises"]


@contextmanager
def raises(kind: type[Exception], text: str = "") -> Iterator[None]:
    """The block must raise this class of error, whose words hold `text`."""
    try:
        yield
    except kind as error:
        assert text in str(error), f"{text!r} is not in {error!s}"
        return
    raise AssertionError(f"{kind.__name__} was not raised.")

"""LIKE and ILIKE on every kind of database: `%` is any text, `_` one character, nothing escapes; case as asked.

SQLite's own LIKE folds ASCII alone and cannot heed case, and its matching of many `%` takes exponential time. So
patterns of one plain piece are left to it (GLOB heeds case), and others are matched here, piece by piece from the
left, in time bounded by text times pattern.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Function, String, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from holdfast.kernel.errors import InvalidInput

__all__ = ["add_matcher", "compile_pattern", "matches"]

_MOST = 2_000
_FUNCTION = "holdfast_like"
_GLOB = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class _Like(FunctionElement[bool]):
    """Column, pattern, and the same as SQLite does it."""

    type = Boolean()
    inherit_cache = True


class _FoldedLike(_Like):
    """The same in whatever case."""

    inherit_cache = True


def matches(column: ColumnElement[str], pattern: str, *, fold: bool) -> ColumnElement[bool]:
    """Whether the column is like the pattern; with `fold` in whatever case. Raises InvalidInput for one too long."""
    if len(pattern) > _MOST:
        raise InvalidInput(f"A pattern has {len(pattern)} characters, more than {_MOST}.")
    pattern = re.sub("%+", "%", pattern)
    kind = _FoldedLike if fold else _Like
    return kind(column, literal(pattern, String), _native(column, pattern, fold))


def _native(column: ColumnElement[str], pattern: str, fold: bool) -> ColumnElement[Any]:
    """What SQLite does itself for patterns of one plain piece."""
    inner = pattern.strip("%")
    if "%" in inner or "_" in inner or (fold and not inner.isascii()):
        return Function(_FUNCTION, column, literal(pattern), literal(int(fold)))
    if fold:
        return func.like(pattern, column)
    return func.glob(pattern.translate(_GLOB).replace("%", "*"), column)


@compiles(_Like, "sqlite")
@compiles(_FoldedLike, "sqlite")
def _on_sqlite(element: _Like, compiler: SQLCompiler, **options: Any) -> str:
    *_, native = element.clauses
    return f"({compiler.process(native, **options)})"


@compiles(_Like)
def _anywhere(element: _Like, compiler: SQLCompiler, **options: Any) -> str:
    return _compare(element, compiler, "LIKE", **options)


@compiles(_FoldedLike)
def _anywhere_folded(element: _Like, compiler: SQLCompiler, **options: Any) -> str:
    return _compare(element, compiler, "ILIKE", **options)


def _compare(element: _Like, compiler: SQLCompiler, word: str, **options: Any) -> str:
    column, pattern, _ = element.clauses
    left, right = (compiler.process(part, **options) for part in (column, pattern))
    return f"({left} {word} {right} ESCAPE '')"


def add_matcher(connection: sqlite3.Connection) -> None:
    """Give a connection the function for patterns that SQLite does not match itself."""

    def like(text: str | None, pattern: str, fold: int) -> bool | None:
        return None if text is None else compile_pattern(pattern, bool(fold))(text)

    connection.create_function(_FUNCTION, 3, like, deterministic=True)


@functools.lru_cache(256)
def compile_pattern(pattern: str, fold: bool) -> Callable[[str], bool]:
    """Whether a text is like the pattern: each piece between `%` where it first fits, the last one at the end."""
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    pieces = [
        re.compile("".join("." if char == "_" else re.escape(char) for char in piece), flags)
        for piece in pattern.split("%")
    ]
    first, *middle = pieces
    if not middle:
        return lambda text: first.fullmatch(text) is not None
    *middle, last = middle
    tail = len(pattern) - pattern.rfind("%") - 1

    def is_like(text: str) -> bool:
        found = first.match(text)
        if found is None:
            return False
        at, end = found.end(), len(text) - tail
        for piece in middle:
            found = piece.search(text, at)
            if found is None:
                return False
            at = found.end()
        return at <= end and last.fullmatch(text, end) is not None

    return is_like

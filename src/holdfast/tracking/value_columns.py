"""Columns of many runs in memory: which run has which value. Pure; what fills them is in `index`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import InvalidInput
from holdfast.storage.patterns import compile_pattern
from holdfast.tracking.query import Clause

__all__ = ["Numbers", "Texts", "holds", "top"]

_SMALL = 4096
_MOST_PATTERN = 2_000
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
Mask = NDArray[np.bool_]


class _Column:
    """Values of those runs that have one, by the runs' positions in ascending order."""

    def __init__(self, dtype: type) -> None:
        self.at: NDArray[np.int32] = np.empty(0, np.int32)
        self.stored: NDArray[Any] = np.empty(0, dtype)

    def set(self, cleared: NDArray[np.int32], at: NDArray[np.int32], stored: NDArray[Any]) -> None:
        """Forget the values at `cleared`, then take these at `at` (any order, each once)."""
        kept, values = self.at, self.stored
        if len(cleared) and len(kept) and cleared.min() <= kept[-1]:
            still = ~np.isin(kept, cleared)
            kept, values = kept[still], values[still]
        order = np.argsort(at, kind="stable")
        at, stored = at[order], stored[order]
        joined, both = np.concatenate([kept, at]), np.concatenate([values, stored])
        if len(kept) and len(at) and at[0] < kept[-1]:
            order = np.argsort(joined, kind="stable")
            joined, both = joined[order], both[order]
        self.at, self.stored = joined, both

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self.at.nbytes + self.stored.nbytes

    def where(self, count: int, hits: Mask) -> Mask:
        """Of `count` runs those that have a value and that it is a hit."""
        mask = np.zeros(count, bool)
        mask[self.at[hits]] = True
        return mask


class Numbers(_Column):
    """A column of numbers. NaN differs from every number."""

    def __init__(self) -> None:
        super().__init__(np.float64)

    def encode(self, values: Sequence[Any]) -> NDArray[Any]:
        """Values as they are stored; None is NaN."""
        return np.array(values, np.float64)

    def mask(self, count: int, clause: Clause) -> Mask:
        """Of `count` runs those for which the clause holds."""
        return self.where(count, holds(self.stored, clause))

    def spread(self, count: int) -> NDArray[np.float64]:
        """The values of `count` runs; NaN where there is none."""
        values = np.full(count, np.nan)
        values[self.at] = self.stored
        return values

    def keys(self, count: int, *, descending: bool) -> list[NDArray[Any]]:
        """What to sort `count` runs by: numbers, then NaN, then those without a value."""
        rank, values = np.full(count, 2, np.uint8), np.zeros(count)
        number = ~np.isnan(self.stored)
        rank[self.at] = np.where(number, 0, 1)
        values[self.at] = np.where(number, -self.stored if descending else self.stored, 0)
        return [rank, values]


class Texts(_Column):
    """A column of texts, each different one kept once."""

    def __init__(self) -> None:
        super().__init__(np.int32)
        self._texts: list[str] = []
        self._codes: dict[str, int] = {}
        self._characters = 0
        self._ranks: NDArray[np.int32] | None = None

    def encode(self, values: Sequence[Any]) -> NDArray[Any]:
        """Texts as they are stored: their codes."""
        return np.fromiter(map(self._code, values), np.int32, len(values))

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
            self._characters += len(text)
            self._ranks = None
        return code

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return super().size + self._characters + 150 * len(self._texts)

    def mask(self, count: int, clause: Clause) -> Mask:
        """Of `count` runs those for which the clause holds."""
        if clause.operator in ("IS NULL", "IS NOT NULL"):
            has_one = self.where(count, np.ones(len(self.at), bool))
            return ~has_one if clause.operator == "IS NULL" else has_one
        return self.where(count, self.fits(clause)[self.stored])

    def ranks(self) -> NDArray[np.int32]:
        """Of each code the place of its text among the different ones."""
        if self._ranks is None:
            ranks = np.empty(len(self._texts), np.int32)
            ranks[sorted(range(len(self._texts)), key=self._texts.__getitem__)] = np.arange(len(self._texts))
            self._ranks = ranks
        return self._ranks

    def fits(self, clause: Clause) -> Mask:
        """Of each code whether the clause holds for its text."""
        fits = np.zeros(len(self._texts), bool)
        if clause.operator in ("LIKE", "ILIKE"):
            is_like = _pattern(str(clause.value), fold=clause.operator == "ILIKE")
            return np.fromiter(map(is_like, self._texts), bool, len(self._texts))
        named = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
        fits[[self._codes[text] for text in named if text in self._codes]] = True
        if clause.operator in (">", ">=", "<", "<="):
            raise InvalidInput(f"The text {clause.key[:80]!r} can't be compared by {clause.operator}.")
        return ~fits if clause.operator in ("!=", "NOT IN") else fits

    def spread(self, count: int) -> NDArray[np.int64]:
        """The codes of `count` runs; -1 where there is no text."""
        codes = np.full(count, -1, np.int64)
        codes[self.at] = self.stored
        return codes

    def text(self, code: int) -> str:
        """The text of a code."""
        return self._texts[code]

    def keys(self, count: int, *, descending: bool) -> list[NDArray[Any]]:
        """What to sort `count` runs by: texts in order of their characters, then those without one."""
        absent, values = np.ones(count, np.uint8), np.zeros(count, np.int32)
        absent[self.at] = 0
        ordered = self.ranks()[self.stored]
        values[self.at] = -ordered if descending else ordered
        return [absent, values]


def holds(values: NDArray[Any], clause: Clause) -> Mask:
    """Which of some numbers the clause holds for."""
    result: Mask = _COMPARED[clause.operator](values, clause.value)
    return result


def _pattern(pattern: str, *, fold: bool) -> Callable[[str], bool]:
    if len(pattern) > _MOST_PATTERN:
        raise InvalidInput(f"A pattern has {len(pattern)} characters, more than {_MOST_PATTERN}.")
    return compile_pattern(pattern, fold)


def top(
    chosen: NDArray[np.int64],
    keys: Sequence[Callable[[NDArray[np.int64]], NDArray[Any]]],
    most: int,
) -> NDArray[np.int64]:
    """The first `most` of `chosen`, in ascending order of the first key, then of the next one where that is equal.

    A key gives the values of the runs at some positions, without NaN. Not all are sorted: what is greater than the
    `most`th by a key is left out first.
    """
    if len(chosen) <= max(most, _SMALL) or not keys:
        if not keys or len(chosen) == 0:
            return chosen[:most]
        return chosen[np.lexsort([key(chosen) for key in reversed(keys)])][:most]
    values = keys[0](chosen)
    if values.dtype.kind == "S":  # partition knows no texts
        return chosen[np.argsort(values, kind="stable")][:most]
    bound = np.partition(values, most - 1)[most - 1]
    head = chosen[values < bound]
    head = head[np.lexsort([key(head) for key in reversed(keys)])]
    return np.concatenate([head, top(chosen[values == bound], keys[1:], most - len(head))])

"""The columns of a table of runs: what people name in an address, and what a run has for it.

A column is written as in a filter: `metrics.loss` (its last value), `min.loss`, `max.loss`, `count.loss`, `params.lr`,
`tags.team`, `user`; keys with other characters stand in backticks or double quotes.
"""

from __future__ import annotations

import re

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.query import RUNS, parse_order
from holdfast.tracking.records import Run, RunColumns

__all__ = ["RunColumn", "all_columns", "duration_of", "parse_columns", "split_list", "value_of"]

_MOST = 200
_PART = re.compile(r"""(?:`[^`]*`|"[^"]*"|[^,`"])+""")
_PLAIN = re.compile(r"""[^\s`"'=<>!(),]+""")
_WORDS = {"metric": "metrics", "param": "params", "tag": "tags"}
_OF_METRICS = ("metric", "min", "max", "count")


class RunColumn(msgspec.Struct, frozen=True):
    """One column: `entity` as in a clause (metric, min, max, count, param, tag, attribute) and its key."""

    entity: str
    key: str

    @property
    def text(self) -> str:
        """The column as people write it."""
        key = self.key
        if not _PLAIN.fullmatch(key):
            key = f'"{key}"' if "`" in key else f"`{key}`"
        return key if self.entity == "attribute" else f"{_WORDS.get(self.entity, self.entity)}.{key}"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.entity in _OF_METRICS or (
            self.entity == "attribute" and RUNS.attributes[self.key] == "number"
        )

    @property
    def label(self) -> str:
        """The column's short name, for a header."""
        words = {"min": f"{self.key} min", "max": f"{self.key} max", "count": f"{self.key} points"}
        return words.get(self.entity, self.key.replace("_", " ") if self.entity == "attribute" else self.key)

    @property
    def title(self) -> str:
        """What the column holds, in words."""
        words = {
            "metric": f"Metric {self.key}, last value",
            "min": f"Metric {self.key}, least value",
            "max": f"Metric {self.key}, greatest value",
            "count": f"Metric {self.key}, number of points",
            "param": f"Param {self.key}",
            "tag": f"Tag {self.key}",
        }
        return words.get(self.entity, self.label)


def parse_columns(text: str) -> list[RunColumn]:
    """The columns of a list that is separated by commas, each once. Raises InvalidInput for what is none."""
    found: dict[RunColumn, None] = {}
    for part in split_list(text):
        order = parse_order([part], RUNS)[0]
        if order.descending or order.entity == "dataset":
            raise InvalidInput(
                f"{part[:80]!r} is no column of runs.", hint="Write metrics.loss or params.lr."
            )
        found[RunColumn(order.entity, order.key)] = None
    if len(found) > _MOST:
        raise InvalidInput(f"There are {len(found)} columns, more than {_MOST}.", hint="Ask for fewer.")
    return list(found)


def split_list(text: str) -> list[str]:
    """The parts of a list that is separated by commas, those inside quotes left alone."""
    return [part for one in _PART.findall(text) if (part := one.strip())]


def all_columns(known: RunColumns) -> list[RunColumn]:
    """Every metric's last value and every param, by name."""
    metrics = [RunColumn("metric", key) for key in known.metrics]
    return [*metrics, *(RunColumn("param", key) for key in known.params)]


def duration_of(run: Run, now_ms: int) -> int:
    """How long a run took, or has been running, in ms."""
    return max(0, (run.end_time if run.end_time is not None else now_ms) - run.start_time)


def value_of(run: Run, column: RunColumn) -> float | str | None:
    """What a run has in a column; None for nothing. Of a run that goes on, `duration` is none."""
    if column.entity == "param":
        return run.params.get(column.key)
    if column.entity == "tag":
        return run.tags.get(column.key)
    if column.entity in _OF_METRICS:
        summary = run.metrics.get(column.key)
        if summary is None:
            return None
        values = {"metric": summary.last, "min": summary.min, "max": summary.max, "count": summary.count}
        return values[column.entity]
    if column.key == "duration":
        return None if run.end_time is None else run.end_time - run.start_time
    found: float | str | None = getattr(run, column.key)
    return found

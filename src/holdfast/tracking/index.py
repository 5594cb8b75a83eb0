"""Where runs are searched: their attributes as columns in memory, filled from the rows when they are first asked for
and brought up to date at each search with what has changed since.

The rows are the truth. A search reads, in one transaction, which runs changed (`store.changes`), reads these anew in
the columns that it needs, and answers from the columns: 100 of 1,000,000 runs by a filter and an order in tens of
milliseconds, also when nothing is found. Columns that were not used for longest give way at `limit` bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.storage import Tx
from holdfast.tracking.columns import RunColumn
from holdfast.tracking.grouping import Gathered, gather
from holdfast.tracking.query import Clause, Filter, Order
from holdfast.tracking.store import changes
from holdfast.tracking.store import columns as store
from holdfast.tracking.store.attributes import key_numbers
from holdfast.tracking.value_columns import Mask, Numbers, Texts, holds, top

__all__ = ["RunIndexes"]

_MOST_WORKSPACES = 16
_LIMIT = 96 * 1024 * 1024
_NUMERIC = ("metric", "min", "max", "count")
_KEYED = (*_NUMERIC, "param", "tag")
_NAMES = {"run_name": "name", "name": "name", "user_id": "user", "user": "user"}
_NONE = np.iinfo(np.int64).min
_BASE = {
    "run_no": np.int64,
    "run_id": "S32",
    "experiment_id": np.int64,
    "status": np.int32,
    "start_time": np.int64,
    "end_time": np.int64,
    "deleted": bool,
}
Lifecycle = bool | None
"""Whether only what is deleted, only what is not, or (None) both."""
At = NDArray[np.int64]


class RunIndexes:
    """The indexes of the workspaces that were searched last. Any number of threads may use it."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._indexes: OrderedDict[str, RunIndex] = OrderedDict()

    def of(self, workspace: str) -> RunIndex:
        """The index of a workspace."""
        with self._lock:
            found = self._indexes.setdefault(workspace, RunIndex(workspace, self._limit))
            self._indexes.move_to_end(workspace)
            while len(self._indexes) > _MOST_WORKSPACES:
                self._indexes.popitem(last=False)
            return found


class RunIndex:
    """The runs of one workspace."""

    def __init__(self, workspace: str, limit: int) -> None:
        self._workspace, self._limit = workspace, limit
        self.lock = threading.RLock()
        """To be held from before the transaction of a search begins until its rows are read."""
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._base = {name: np.empty(0, dtype) for name, dtype in _BASE.items()}
        self._first = 0
        """Changes numbered from here on are not yet in."""
        self._round = 0
        self._changed: list[NDArray[np.int32]] = []
        """The positions that changed, by round."""
        self._columns: OrderedDict[tuple[str, str], _Held] = OrderedDict()
        self._statuses = Texts()

    def forget(self) -> None:
        """Fill everything anew at the next search."""
        with self.lock:
            self._clear()

    def find(
        self,
        tx: Tx,
        experiments: Sequence[int],
        where: Filter,
        order: Sequence[Order],
        deleted: Lifecycle,
        offset: int,
        limit: int,
    ) -> tuple[list[int], int]:
        """The numbers of one page of the runs of some experiments that match every clause, and how many match.

        In the order asked for, then the newest start first, then by id. What has no value comes last in both
        directions, NaN before it.
        """
        with self.lock:
            self._refresh(tx)
            if deleted is not False and store.count_runs(tx, self._workspace) != self._count:
                self._clear()  # deleted runs were purged: nothing tells of rows that are gone
                self._refresh(tx)
            chosen = np.flatnonzero(self._matching(tx, experiments, where, deleted))
            keys = [key for one in order for key in self._keys(tx, one)]
            keys.append(lambda at: -self._base["start_time"][at])
            keys.append(lambda at: self._base["run_id"][at])
            page = top(chosen, keys, offset + limit)[offset:] if limit else chosen[:0]
            self._give_way()
            return self._base["run_no"][page].tolist(), len(chosen)

    def group(
        self,
        tx: Tx,
        experiments: Sequence[int],
        where: Filter,
        by: Sequence[RunColumn],
        numbers: Sequence[RunColumn],
        deleted: Lifecycle,
    ) -> Gathered:
        """The runs that match, grouped by texts (`by`), with the figures of metrics (`numbers`)."""
        with self.lock:
            self._refresh(tx)
            chosen = np.flatnonzero(self._matching(tx, experiments, where, deleted))
            codes, text_of = [], []
            for one in by:
                if one.key == "status" and one.entity == "attribute":
                    texts, of_all = self._statuses, self._view("status").astype(np.int64)
                else:
                    is_named = one.entity == "attribute"
                    texts = self._column(tx, *((_NAMES[one.key], "") if is_named else (one.entity, one.key)))
                    of_all = texts.spread(self._count)
                codes.append(of_all[chosen])
                text_of.append(texts.text)
            values = [self._column(tx, one.entity, one.key).spread(self._count)[chosen] for one in numbers]
            found = gather(codes, text_of, values, len(chosen))
            self._give_way()
            return found

    # What matches

    def _matching(self, tx: Tx, experiments: Sequence[int], where: Filter, deleted: Lifecycle) -> Mask:
        of_experiment = self._view("experiment_id")
        mask = (
            of_experiment == experiments[0]
            if len(experiments) == 1
            else np.isin(of_experiment, np.array(experiments, np.int64))
        )
        if deleted is not None:
            mask = mask & (self._view("deleted") == deleted)
        for clause in where:
            mask = mask & self._mask(tx, clause)
        return mask

    def _mask(self, tx: Tx, clause: Clause) -> Mask:
        mask: Mask
        if clause.entity in _KEYED:
            mask = self._column(tx, clause.entity, clause.key).mask(self._count, clause)
        elif clause.entity == "attribute" and _NAMES.get(clause.key) == "user":
            mask = self._column(tx, "user", "").mask(self._count, clause)
        elif clause.entity == "attribute" and clause.key in ("start_time", "end_time", "duration"):
            mask = holds(self._times(clause.key), clause)
        elif clause.entity == "attribute" and clause.key == "status":
            mask = self._statuses.fits(clause)[self._view("status")]
        else:
            found = np.array(store.numbers_of(tx, self._workspace, clause), np.int64)
            mask = np.isin(self._view("run_no"), found)
        return mask

    def _times(self, key: str) -> NDArray[Any]:
        """Times as numbers; NaN where there is none."""
        if key == "start_time":
            return self._view("start_time")
        end = self._view("end_time")
        shown = end - self._view("start_time") if key == "duration" else end
        return np.where(end == _NONE, np.nan, shown)

    def _keys(self, tx: Tx, order: Order) -> list[Callable[[At], NDArray[Any]]]:
        """What to sort by for one order."""
        if order.entity in _KEYED:
            keys = self._column(tx, order.entity, order.key).keys(self._count, descending=order.descending)
        elif order.key in _NAMES:
            keys = self._column(tx, _NAMES[order.key], "").keys(self._count, descending=order.descending)
        elif order.key == "status":
            ranks = self._statuses.ranks()[self._view("status")]
            keys = [-ranks if order.descending else ranks]
        elif order.key in ("run_id", "artifact_uri"):
            return [lambda at: self._rank_of_ids(at, order)]
        else:
            keys = self._time_keys(order)
        return [key.__getitem__ for key in keys]

    def _time_keys(self, order: Order) -> list[NDArray[Any]]:
        times = self._times(order.key)
        absent = np.isnan(times)
        return [absent, np.where(absent, 0, -times if order.descending else times)]

    def _rank_of_ids(self, at: At, order: Order) -> NDArray[Any]:
        """Ids, or the experiment's digits and the id, as numbers in their order."""
        parts = [self._base["run_id"][at]]
        if order.key == "artifact_uri":
            parts.append(self._base["experiment_id"][at].astype("S20"))
        ranks: NDArray[np.int64] = np.empty(len(at), np.int64)
        ranks[np.lexsort(parts)] = np.arange(len(at))
        return -ranks if order.descending else ranks

    # What is known

    def _view(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = self._base[name]
        return column[: self._count]

    def _refresh(self, tx: Tx) -> None:
        first, below = changes.horizon(tx, self._workspace)
        if self._first == 0:
            self._clear()
            for rows in store.load_runs(tx, self._workspace, 0):
                self._append(rows)
            self._first = first
            return
        rows = store.changed_runs(tx, self._workspace, self._first, below)
        self._first = first
        if not rows:
            return
        known = self._positions([row[0] for row in rows])
        fresh = [row for row, at in zip(rows, known.tolist(), strict=True) if at < 0]
        if fresh and self._count and fresh[0][0] < self._base["run_no"][self._count - 1]:
            self._first = 0  # transactions that ended in another order than they began: all anew
            self._refresh(tx)
            return
        old = [row for row, at in zip(rows, known.tolist(), strict=True) if at >= 0]
        if old:
            self._write(known[known >= 0], old)
        self._append(fresh)
        changed = self._positions([row[0] for row in rows]).astype(np.int32)
        self._round += 1
        self._changed.append(changed)

    def _positions(self, numbers: Sequence[int]) -> At:
        """Where runs stand; -1 for unknown ones."""
        wanted, known = np.array(numbers, np.int64), self._view("run_no")
        at = np.searchsorted(known, wanted)
        inside = np.minimum(at, max(0, self._count - 1))
        is_known = (at < self._count) & (known[inside] == wanted) if self._count else np.zeros(len(at), bool)
        return np.where(is_known, at, -1)

    def _append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        need = self._count + len(rows)
        if need > len(self._base["run_no"]):
            room = max(1024, need + need // 2)
            for name, column in self._base.items():
                grown = np.zeros(room, column.dtype)
                grown[: self._count] = column[: self._count]
                self._base[name] = grown
        at = np.arange(self._count, need)
        self._count = need
        if rows:
            self._write(at, rows)

    def _write(self, at: At, rows: Sequence[tuple[Any, ...]]) -> None:
        run_no, run_id, experiment, status, start, end, deleted = zip(*rows, strict=True)
        self._base["run_no"][at] = run_no
        self._base["run_id"][at] = [one.encode(errors="replace") for one in run_id]
        self._base["experiment_id"][at] = experiment
        self._base["status"][at] = self._statuses.encode(status)
        self._base["start_time"][at] = start
        self._base["end_time"][at] = [_NONE if one is None else one for one in end]
        self._base["deleted"][at] = [one is not None for one in deleted]

    def _column(self, tx: Tx, entity: str, key: str) -> Any:
        """The column, with what has changed since it was last used."""
        held = self._columns.get((entity, key))
        number = key_numbers(tx, self._workspace, [key]).get(key, -1) if entity in _KEYED else 0
        if held is None:
            held = _Held(Numbers() if entity in _NUMERIC else Texts(), self._round)
            self._take(held.column, None, store.load_values(tx, self._workspace, entity, number))
            self._columns[entity, key] = held
        elif held.round < self._round:
            changed = np.unique(np.concatenate(self._changed[held.round :]))
            numbers = self._base["run_no"][changed].tolist()
            rows = store.values_of(tx, self._workspace, entity, number, numbers)
            self._take(held.column, changed, [rows])
            held.round = self._round
        self._columns.move_to_end((entity, key))
        return held.column

    def _take(
        self,
        column: Numbers | Texts,
        cleared: NDArray[np.int32] | None,
        parts: Iterable[Sequence[tuple[int, Any]]],
    ) -> None:
        at, stored = [np.empty(0, np.int32)], [column.stored[:0]]
        for rows in parts:
            if not rows:
                continue
            numbers, values = zip(*rows, strict=True)
            found = self._positions(numbers).astype(np.int32)
            # Rows of a run that is gone have no place.
            at.append(found[found >= 0])
            stored.append(column.encode(values)[found >= 0])
        column.set(at[0] if cleared is None else cleared, np.concatenate(at), np.concatenate(stored))

    def _give_way(self) -> None:
        size = sum(held.column.size for held in self._columns.values())
        while self._columns and size > self._limit:
            size -= self._columns.popitem(last=False)[1].column.size
        if len(self._changed) > 1000:  # what is that far behind is read anew
            for name in [name for name, held in self._columns.items() if held.round < self._round]:
                del self._columns[name]
            for held in self._columns.values():
                held.round = 0
            self._round, self._changed = 0, []


class _Held:
    """A column, and the round of changes that it is up to."""

    def __init__(self, column: Numbers | Texts, round_: int) -> None:
        self.column, self.round = column, round_

"""Purging: deleted runs go for good, with their points and artifacts. What the audit log says of them stays."""

from __future__ import annotations

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, trees
from holdfast.tracking.held import find_run, hold_run
from holdfast.tracking.seal import RUN_TREE
from holdfast.tracking.store import purge as store

__all__ = ["Purged", "Purging"]

_DAY_MS = 86_400_000
_MOST_DAYS, _AT_ONCE = 36_500, 1000


class Purged(msgspec.Struct, frozen=True):
    """What was purged, or what would be: ids of runs, the longest deleted first."""

    runs: list[str]
    is_dry: bool
    more: bool
    """Whether as many were left as one call may purge."""


class Purging:
    """Takes deleted runs away for good. Needs the permission tracking:purge."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def purge_runs(self, caller: Caller, *, older_than_days: int, is_dry: bool = False) -> Purged:
        """Purge at most 1,000 runs that were deleted so many days ago or earlier; with `is_dry`, name them only.

        One transaction each, audited: it may be interrupted anywhere and called again. Logged models stay, and versions
        of registered models have files of their own. The bytes of artifacts go with the next garbage collections.
        Raises InvalidInput for a negative number of days.
        """
        require(caller, "tracking:purge")
        if not 0 <= older_than_days <= _MOST_DAYS:
            raise InvalidInput(f"older_than_days={older_than_days} is not from 0 to {_MOST_DAYS}.")
        before = caller.time_ms - older_than_days * _DAY_MS
        found = self._storage.read(lambda tx: store.list_deleted(tx, caller.workspace, before, _AT_ONCE + 1))
        named, more = found[:_AT_ONCE], len(found) > _AT_ONCE
        if is_dry:
            return Purged(named, True, more)
        gone = [run for run in named if self._purge(caller, run, before)]
        return Purged(gone, False, more)

    def _purge(self, caller: Caller, run_id: str, before: int) -> bool:
        return self._storage.write(lambda tx: _purge(tx, caller, run_id, before))


def _purge(tx: Tx, caller: Caller, run_id: str, before: int) -> bool:
    """Purge one; False when it was restored or purged meanwhile."""
    if not store.is_deleted(tx, caller.workspace, run_id, before):
        return False
    state = hold_run(tx, caller, run_id, even_deleted=True)
    if not store.is_deleted(tx, caller.workspace, run_id, before):
        return False
    run = find_run(tx, caller, run_id)
    trees.drop_tree(tx, caller.workspace, RUN_TREE, run_id)
    store.delete_run(tx, caller.workspace, state.run_no)
    was = {"name": run.name, "experiment": run.experiment_id, "digest": run.digest}
    audit.append(tx, caller, action="run.purge", object=f"run:{run_id}", before=was)
    return True

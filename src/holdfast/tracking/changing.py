"""Many runs changed at once: tagged, renamed, archived and taken back, all or none."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx
from holdfast.tracking.batches import check_batch, check_key
from holdfast.tracking.held import find_run, hold_run, unseal
from holdfast.tracking.names import check_name
from holdfast.tracking.records import Batch, Run
from holdfast.tracking.store import attributes
from holdfast.tracking.store import runs as run_store

__all__ = ["MOST_CHANGED", "Changed", "RunChange", "RunChanges"]

MOST_CHANGED = 1000
_NAME_LIMIT = 250
_PLACE = re.compile(r"\{([^{}]*)\}")


class RunChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of `runs`, by their ids. What is not said stays.

    `tags` are set, `drop_tags` taken off where they are. `archive`: true hides the runs from tables and searches, false
    takes them back. `rename` is a pattern: `{name}`, `{n}` (1, 2, ...), `{user}`, `{params.KEY}`, `{tags.KEY}`.
    """

    runs: list[str]
    tags: dict[str, str] = {}
    drop_tags: list[str] = []
    archive: bool | None = None
    rename: str = ""


class Changed(msgspec.Struct, frozen=True):
    """How many of the runs are other than before."""

    changed: int


class RunChanges:
    """Changes of many runs over the metadata database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def change_runs(self, caller: Caller, change: RunChange) -> Changed:
        """Change 1 to 1,000 runs in one transaction: all or none, audited as each by itself.

        Raises NotFound for an unknown run, InvalidInput for a bad name or tag, and for one that is archived unless the
        change takes it back.
        """
        require(caller, "tracking:write")
        ids = list(dict.fromkeys(change.runs))
        _check(change, ids)

        def fn(tx: Tx) -> Changed:
            # Every lock in the order of the ids, so that two changes never wait for each other.
            for run_id in sorted(ids):
                hold_run(tx, caller, run_id, even_deleted=True)
            return Changed(sum(_change(tx, caller, run_id, at, change) for at, run_id in enumerate(ids, 1)))

        return self._storage.write(fn)


def _check(change: RunChange, ids: Sequence[str]) -> None:
    if not 1 <= len(ids) <= MOST_CHANGED:
        raise InvalidInput(
            f"{len(ids)} runs can't be changed at once.", hint=f"Name 1 to {MOST_CHANGED} runs."
        )
    if not (change.tags or change.drop_tags or change.rename) and change.archive is None:
        raise InvalidInput("Nothing is to be changed.", hint="Give tags, drop_tags, rename or archive.")
    check_batch(Batch(tags=dict(change.tags)))
    for key in change.drop_tags:
        check_key("tag", key)
    if twice := sorted(set(change.tags) & set(change.drop_tags)):
        raise InvalidInput(f"The tag {twice[0]!r} is both set and taken off.", hint="Name it once.")


def _change(tx: Tx, caller: Caller, run_id: str, at: int, change: RunChange) -> bool:
    state = hold_run(tx, caller, run_id, even_deleted=True)
    run = find_run(tx, caller, run_id)
    if state.is_deleted and change.archive is not False:
        if change.archive and not (change.tags or change.drop_tags or change.rename):
            return False
        raise InvalidInput(f"The run {run.name!r} ({run_id}) is archived.", hint="Take it back first.")
    did = [
        _mark(tx, caller, run_id, state, change.archive),
        _rename(tx, caller, run, state, at, change.rename),
        _tag(tx, caller, run, state, change),
    ]
    return any(did)


def _mark(tx: Tx, caller: Caller, run_id: str, state: run_store.RunState, archive: bool | None) -> bool:
    if archive is None or archive == state.is_deleted:
        return False
    deleted_at = caller.time_ms if archive else None
    run_store.update_run(tx, caller.workspace, state.run_no, {"deleted_at": deleted_at})
    audit.append(tx, caller, action="run.delete" if archive else "run.restore", object=f"run:{run_id}")
    return True


def _rename(tx: Tx, caller: Caller, run: Run, state: run_store.RunState, at: int, pattern: str) -> bool:
    if not pattern:
        return False
    name = _PLACE.sub(lambda found: _filled(found[1], run, at), pattern)
    check_name("run", name, _NAME_LIMIT)
    if name == run.name:
        return False
    run_store.update_run(tx, caller.workspace, state.run_no, {"name": name})
    return True


def _filled(place: str, run: Run, at: int) -> str:
    if place in ("name", "user", "n"):
        return {"name": run.name, "user": run.user, "n": str(at)}[place]
    kind, _, key = place.partition(".")
    values = {"params": run.params, "tags": run.tags}.get(kind)
    if values is None:
        raise InvalidInput(
            f"{{{place[:80]}}} can't be filled in.",
            hint="Use {name}, {n}, {user}, {params.KEY} or {tags.KEY}.",
        )
    if key not in values:
        raise InvalidInput(f"The run {run.name!r} ({run.run_id}) has no {kind[:-1]} {key[:80]!r}.")
    return values[key]


def _tag(tx: Tx, caller: Caller, run: Run, state: run_store.RunState, change: RunChange) -> bool:
    fresh = {key: value for key, value in change.tags.items() if run.tags.get(key) != value}
    gone = [key for key in dict.fromkeys(change.drop_tags) if key in run.tags]
    if not (fresh or gone):
        return False
    unseal(tx, caller, run.run_id, state)
    if fresh:
        attributes.upsert_values(tx, caller.workspace, state.run_no, "tags", fresh)
    for key in gone:
        if not attributes.remove_tag(tx, caller.workspace, state.run_no, key):
            raise NotFound(f"The run {run.run_id} has no tag {key!r}.")
    return True

"""Which versions wait to be prepared, and what preparing them gave."""

from __future__ import annotations

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.principal import Caller
from holdfast.registry import changes, store
from holdfast.registry.records import ModelVersion, Preparation
from holdfast.storage import Storage, Tx, lock

__all__ = ["Preparations"]


class Preparations:
    """The worker's side of the registry."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def pending(self) -> list[tuple[str, str, int]]:
        """(workspace, name, version) of every version that waits, the oldest first."""
        return self._storage.read(store.pending_versions)

    def record(self, caller: Caller, name: str, version: int, outcome: Preparation) -> ModelVersion:
        """Write what preparing a version gave; a version that is not pending any more stays as it is."""
        require(caller, "registry:write")

        def fn(tx: Tx) -> ModelVersion:
            lock(tx, "model", caller.workspace, name)
            found = changes.find_version(tx, caller, name, version)
            if found.status != "pending":
                return found
            digest = changes.store_trees(tx, caller, found, outcome)
            values = {
                "status": outcome.status,
                "runtime": outcome.runtime,
                "parity": None if outcome.parity is None else msgspec.json.encode(outcome.parity).decode(),
                "message": outcome.message,
                "deployable_digest": digest,
                "prepared_at": caller.time_ms,
            }
            store.update_version(tx, caller.workspace, name, version, values)
            audit.append(
                tx,
                caller,
                action="version.prepare",
                object=f"model:{name}/{version}",
                digest=digest,
                after={"status": outcome.status, "runtime": outcome.runtime, "message": outcome.message},
            )
            return changes.find_version(tx, caller, name, version)

        return self._storage.write(fn)

"""What a finished run is sealed by."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.audit import service as audit
from holdfast.chunks import tree_digest
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.storage import Tx, trees
from holdfast.tracking.records import Run, RunStatus
from holdfast.tracking.store import metrics as metric_store

__all__ = ["RUN_TREE", "RunSeal", "seal_of", "sealed_values"]

RUN_TREE = "run"


class RunSeal(msgspec.Struct, frozen=True):
    """The digests of a run's parts, as they stand in its audit entry, and the digest over them."""

    parts: dict[str, str]
    digest: str


def seal_of(tx: Tx, workspace: str, run_no: int, run: Run) -> RunSeal:
    """The seal of a run as its rows are now: status, params and tags, bodies of its batches, artifacts."""
    digests = metric_store.load_digests(tx, workspace, run_no)
    parts = {
        "status": run.status,
        "params": sha256_hex(canonical_json({"params": run.params, "tags": run.tags})),
        "metrics": sha256_hex("\n".join(digests).encode()),
        "tree": tree_digest(trees.list_files(tx, workspace, RUN_TREE, run.run_id)),
    }
    return RunSeal(parts, sha256_hex(canonical_json(parts)))


def sealed_values(
    tx: Tx,
    caller: Caller,
    run: Run,
    run_no: int,
    status: RunStatus,
    end_time: int | None,
    exit_code: int | None,
) -> dict[str, Any]:
    """The columns of a run that ends, sealed by an audit leaf; none when nothing has changed since it was."""
    same = status == run.status and end_time in (None, run.end_time) and exit_code in (None, run.exit_code)
    if run.digest is not None and same:
        return {}
    ended = run.end_time if run.digest is not None else caller.time_ms
    seal = seal_of(tx, caller.workspace, run_no, msgspec.structs.replace(run, status=status))
    audit.append(
        tx, caller, action="run.finish", object=f"run:{run.run_id}", digest=seal.digest, after=seal.parts
    )
    return {
        "status": status,
        "end_time": ended if end_time is None else end_time,
        "exit_code": exit_code if exit_code is not None else run.exit_code,
        "digest": seal.digest,
    }

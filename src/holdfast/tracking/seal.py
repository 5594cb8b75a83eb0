"""What a finished run is sealed by."""

from __future__ import annotations

import msgspec

from holdfast.chunks import tree_digest
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Tx, trees
from holdfast.tracking.records import Run
from holdfast.tracking.store import metrics as metric_store

__all__ = ["RUN_TREE", "RunSeal", "seal_of"]

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

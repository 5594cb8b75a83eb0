"""The log as a file that anyone can check without the server: JSON lines, a header and then the entries in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from holdfast.audit.offline import ExportedEntry, ExportHeader
from holdfast.audit.records import CheckpointView
from holdfast.audit.rotation import Rotation
from holdfast.audit.store import leaves
from holdfast.audit.store.leaves import StoredLeaf
from holdfast.storage import Storage

__all__ = ["export_lines"]

_BLOCK = 500


def export_lines(
    storage: Storage, workspace: str, checkpoint: CheckpointView, rotations: list[Rotation], first_key: str
) -> Iterator[bytes]:
    """The lines, each with its newline; of other workspaces than the given one, entries are their leaf hash alone."""
    header = ExportHeader(workspace, checkpoint.note, checkpoint.key, first_key, rotations)
    yield msgspec.json.encode(header) + b"\n"
    for start in range(0, checkpoint.size, _BLOCK):
        end = min(start + _BLOCK, checkpoint.size)
        block = storage.read(partial(leaves.load_range, start=start, end=end))
        yield b"".join(msgspec.json.encode(_entry(leaf, workspace)) + b"\n" for leaf in block)


def _entry(leaf: StoredLeaf, workspace: str) -> ExportedEntry:
    if leaf.workspace_id != workspace:
        return ExportedEntry(leaf.idx, leaf.leaf_hash.hex())
    return ExportedEntry(
        leaf.idx,
        leaf.leaf_hash.hex(),
        leaf=_text(leaf.leaf),
        actor_name=leaf.actor_name,
        reason=leaf.reason,
        salt=None if leaf.salt is None else leaf.salt.hex(),
        before=_text(leaf.before),
        after=_text(leaf.after),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")

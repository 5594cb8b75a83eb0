"""The tables of the one tree: its inner nodes and its head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from holdfast.audit.merkle import Node, Peaks
from holdfast.audit.proofs import Subtree
from holdfast.audit.store.damaged import blob
from holdfast.audit.store.leaves import load_leaf_hash
from holdfast.storage import Tx, metadata
from holdfast.storage.direct import Direct, Inserts

__all__ = [
    "TABLES",
    "Head",
    "count_nodes",
    "grow_tree",
    "load_hashes",
    "load_head",
    "load_level",
    "load_nodes",
]

_nodes = Table(
    "audit_node",
    metadata,
    Column("level", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "idx"),
)
_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)

TABLES = ("audit_leaf", "audit_node", "audit_head")
_SLOTS = 32
_LOAD_HEAD = Direct(select(_head.c.size, _head.c.peaks))
_INSERT_HEAD = Direct(insert(_head))
_UPDATE_HEAD = Direct(update(_head).values(size=bindparam("new_size"), peaks=bindparam("new_peaks")))
_NEW_NODES = Inserts(_nodes)
_LOAD_LEVEL = Direct(
    select(_nodes.c.idx, _nodes.c.hash).where(_nodes.c.level == bindparam("at_level")).order_by(_nodes.c.idx)
)
# As many nodes as a proof of any real log needs, by the table's key: for a list of pairs SQLite reads the whole table.
_LOAD_NODES = Direct(
    select(_nodes.c.level, _nodes.c.idx, _nodes.c.hash).where(
        or_(
            *(
                and_(_nodes.c.level == bindparam(f"level{at}"), _nodes.c.idx == bindparam(f"idx{at}"))
                for at in range(_SLOTS)
            )
        )
    )
)


class Head(msgspec.Struct, frozen=True):
    """The tree's size and the hashes of its peaks, the largest first."""

    size: int
    peaks: list[bytes]


def load_head(tx: Tx) -> Head | None:
    """The head; None before the first entry."""
    rows = _LOAD_HEAD.rows(tx)
    if not rows:
        return None
    size, stored = rows[0]
    peaks = blob(stored) or b""
    return Head(size, [peaks[at : at + 32] for at in range(0, len(peaks), 32)])


def grow_tree(tx: Tx, nodes: Sequence[Node], peaks: Peaks, *, is_first: bool) -> None:
    """Write the nodes that new leaves completed, and the new head."""
    _NEW_NODES.run(tx, list(map(msgspec.structs.astuple, nodes)))
    stored = b"".join(peaks.hashes)
    if is_first:
        _INSERT_HEAD.run(tx, {"id": 1, "size": peaks.size, "peaks": stored})
    else:
        _UPDATE_HEAD.run(tx, {"new_size": peaks.size, "new_peaks": stored})


def load_level(tx: Tx, level: int) -> list[tuple[int, bytes]]:
    """The stored inner nodes of a level as (index, hash), in order."""
    return _LOAD_LEVEL.rows(tx, {"at_level": level})


def count_nodes(tx: Tx) -> int:
    """How many inner nodes are stored."""
    return int(tx.execute(select(func.count()).select_from(_nodes)).scalar_one())


def load_nodes(tx: Tx) -> dict[Subtree, bytes]:
    """The stored inner nodes by (level, index)."""
    return {(row.level, row.idx): blob(row.hash) or b"" for row in tx.execute(select(_nodes))}


def load_hashes(tx: Tx, wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
    """The stored hashes of the named subtrees; those of level 0 are leaves. What is missing is missing in the answer."""
    found: dict[Subtree, bytes] = {}
    for index in (index for level, index in wanted if level == 0):
        hashed = load_leaf_hash(tx, index)
        if hashed is not None:
            found[0, index] = hashed
    nodes = [subtree for subtree in wanted if subtree[0] > 0]
    for start in range(0, len(nodes), _SLOTS):
        asked = nodes[start : start + _SLOTS]
        padded = asked + [(-1, -1)] * (_SLOTS - len(asked))
        values = {f"level{at}": subtree[0] for at, subtree in enumerate(padded)}
        values |= {f"idx{at}": subtree[1] for at, subtree in enumerate(padded)}
        found |= {(level, index): hashed for level, index, hashed in _LOAD_NODES.rows(tx, values)}
    return found

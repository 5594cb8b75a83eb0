"""What a hand has changed in the tables is found and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from holdfast.audit.merkle import leaf_hash
from holdfast.audit.records import Verification
from holdfast.audit.service import AuditLog
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage

Grow = Callable[[int], None]
Tamper = Callable[..., Verification]

pytestmark = pytest.mark.database("sqlite")  # whose tables a hand can change at will


@pytest.fixture
def audit(storage: Storage) -> AuditLog:
    return AuditLog(storage)


@pytest.fixture
def tamper(storage: Storage, audit: AuditLog) -> Tamper:
    """Change the tables behind the log's back, then verify."""

    def change(statement: str, **values: object) -> Verification:
        changed = storage.write(lambda tx: tx.execute(text(statement), values).rowcount)
        assert changed > 0
        return audit.verify()

    return change


def named(report: Verification) -> list[int]:
    assert not report.ok
    return [damage.index for damage in report.damaged]


@pytest.mark.parametrize("index", [0, 7, 12, 20])
def test_a_changed_leaf_is_named(grow: Grow, tamper: Tamper, index: int) -> None:
    grow(21)
    report = tamper("UPDATE audit_leaf SET leaf = replace(leaf, 'p-ada', 'p-eve') WHERE idx = :i", i=index)
    assert named(report) == [index]
    assert report.root != ""


@pytest.mark.parametrize("index", [0, 7, 12, 20])
def test_a_leaf_changed_together_with_its_hash_is_named(
    grow: Grow, tamper: Tamper, storage: Storage, index: int
) -> None:
    grow(21)
    forged = storage.read(
        lambda tx: tx.execute(text("SELECT leaf FROM audit_leaf WHERE idx = :i"), {"i": index}).scalar_one()
    ).replace(b"p-ada", b"p-eve")
    report = tamper(
        "UPDATE audit_leaf SET leaf = :leaf, leaf_hash = :hash WHERE idx = :i",
        leaf=forged, hash=leaf_hash(forged), i=index,
    )  # fmt: skip
    assert index in named(report)
    assert set(named(report)) <= {index, index ^ 1}


@pytest.mark.parametrize("column", ["before", "after", "reason", "object", "workspace_id", "leaf_hash"])
def test_a_changed_detail_is_named(grow: Grow, tamper: Tamper, column: str) -> None:
    grow(9)
    assert set(named(tamper(f"UPDATE audit_leaf SET {column} = 'forged' WHERE idx = 4"))) == {4}


def test_an_erased_detail_leaves_the_log_whole(grow: Grow, tamper: Tamper) -> None:
    grow(9)
    assert tamper(
        "UPDATE audit_leaf SET before = NULL, after = NULL, reason = NULL, salt = NULL WHERE idx = 4"
    ).ok
    assert tamper("UPDATE audit_leaf SET actor_name = '' WHERE idx = 4").ok


@pytest.mark.parametrize("index", [0, 3, 11])
def test_a_deleted_leaf_is_named(grow: Grow, tamper: Tamper, index: int) -> None:
    grow(21)
    report = tamper("DELETE FROM audit_leaf WHERE idx = :i", i=index)
    assert named(report) == [index]
    assert report.damaged[0].problem == "the entry is missing"


def test_a_truncated_tail_is_named(grow: Grow, tamper: Tamper) -> None:
    grow(21)
    report = tamper("DELETE FROM audit_leaf WHERE idx >= 18")
    assert [index for index in named(report) if index >= 0] == [18, 19, 20]


def test_an_emptied_log_is_named(grow: Grow, tamper: Tamper) -> None:
    grow(3)
    assert named(tamper("DELETE FROM audit_leaf")) == [0, 1, 2]


def test_an_entry_beyond_the_head_is_named(grow: Grow, tamper: Tamper) -> None:
    grow(5)
    report = tamper(
        "INSERT INTO audit_leaf (idx, workspace_id, leaf, leaf_hash, object, actor_name) "
        "SELECT 5, workspace_id, leaf, leaf_hash, object, actor_name FROM audit_leaf WHERE idx = 4"
    )
    assert 5 in named(report)


@pytest.mark.parametrize(("level", "index"), [(1, 0), (1, 5), (2, 1), (3, 0), (4, 0)])
def test_a_changed_node_is_found(grow: Grow, tamper: Tamper, level: int, index: int) -> None:
    grow(21)
    report = tamper(
        "UPDATE audit_node SET hash = zeroblob(32) WHERE level = :l AND idx = :i", l=level, i=index
    )
    assert not report.ok
    assert all(str((index << level) + (1 << level) - 1) in damage.problem for damage in report.damaged)


def test_a_missing_node_and_one_too_many_are_found(grow: Grow, tamper: Tamper) -> None:
    grow(21)
    moved = tamper("UPDATE audit_node SET idx = 99 WHERE level = 2 AND idx = 1")
    assert [damage.problem for damage in moved.damaged] == [
        "the tree node over the entries 4 to 7 is missing",
        "the tree holds a node too many (level 2, 99)",
    ]


@pytest.mark.parametrize("peaks", ["zeroblob(96)", "zeroblob(32)", "x''", "'text'"])
def test_a_changed_head_is_found(grow: Grow, tamper: Tamper, peaks: str) -> None:
    grow(21)
    assert not tamper(f"UPDATE audit_head SET peaks = {peaks}").ok


@pytest.mark.parametrize("size", [0, 20, 22, 10**9])
def test_a_changed_size_is_found(grow: Grow, tamper: Tamper, size: int) -> None:
    grow(21)
    report = tamper("UPDATE audit_head SET size = :size", size=size)
    assert not report.ok
    assert len(report.damaged) <= 1_000


@pytest.mark.parametrize("leaf", ["", "5", "[]", "{", '{"time_ms":"late"}'])
def test_a_log_with_an_unreadable_leaf_can_be_read_and_verified(
    grow: Grow, tamper: Tamper, audit: AuditLog, caller: Caller, leaf: str
) -> None:
    grow(5)
    report = tamper(
        "UPDATE audit_leaf SET leaf = :leaf, leaf_hash = :hash WHERE idx = 2",
        leaf=leaf, hash=leaf_hash(leaf.encode()),
    )  # fmt: skip
    assert 2 in named(report)
    shown = audit.list_entries(caller).items[2]
    assert (shown.action, shown.object) == ("unreadable", "model:m2")

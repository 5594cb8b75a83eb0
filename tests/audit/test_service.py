"""Appending to the log, reading it, and finding what a hand has changed in it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from holdfast.audit.merkle import leaf_hash, root_of
from holdfast.audit.quick import quick_roots
from holdfast.audit.records import Verification
from holdfast.audit.service import AuditLog, append
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.paging import encode_token
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx

Grow = Callable[[int], None]
Tamper = Callable[..., Verification]


@pytest.fixture
def audit(storage: Storage) -> AuditLog:
    return AuditLog(storage)


def test_an_empty_log_holds(audit: AuditLog) -> None:
    report = audit.verify()
    assert (report.ok, report.size, report.damaged) == (True, 0, [])
    assert report.root.startswith("e3b0c442")


def test_an_entry_tells_who_did_what(storage: Storage, audit: AuditLog, caller: Caller) -> None:
    index = storage.write(
        lambda tx: append(tx, caller, action="alias.set", object="model:a@b", digest="d" * 64,
                          before={"version": 1}, after={"version": 2}, reason="better")
    )  # fmt: skip
    entry = audit.get_entry(caller, index)
    assert (entry.index, entry.action, entry.object, entry.digest) == (0, "alias.set", "model:a@b", "d" * 64)
    assert (entry.actor, entry.actor_name, entry.time_ms) == ("p-ada", "ada", caller.time_ms)
    assert (entry.before, entry.after, entry.reason) == ({"version": 1}, {"version": 2}, "better")
    assert entry.leaf_hash == leaf_hash(canonical_json(entry.leaf)).hex()


def test_the_root_is_that_of_the_leaves(grow: Grow, audit: AuditLog, caller: Caller) -> None:
    grow(21)
    leaves = [canonical_json(entry.leaf) for entry in reversed(audit.list_entries(caller).items)]
    assert audit.verify().root == root_of([leaf_hash(leaf) for leaf in leaves]).hex()


def test_an_entry_stands_or_falls_with_its_change(storage: Storage, audit: AuditLog, caller: Caller) -> None:
    def fn(tx: Tx) -> None:
        append(tx, caller, action="model.create", object="model:gone")
        raise ValueError("the change fails")

    with pytest.raises(ValueError, match="fails"):
        storage.write(fn)
    assert audit.verify().size == 0
    assert audit.list_entries(caller).items == []


def test_a_thousand_entries_in_transactions_of_all_sizes_hold(grow: Grow, audit: AuditLog) -> None:
    chooser, left = random.Random(7), 1_000
    while left:
        size = min(left, chooser.choice([1, 1, 2, 3, 50, 200]))
        grow(size)
        left -= size
    report = audit.verify()
    assert (report.ok, report.size) == (True, 1_000)


def test_entries_are_paged_newest_first(grow: Grow, audit: AuditLog, caller: Caller) -> None:
    grow(25)
    seen, token = [], ""
    while token is not None:
        page = audit.list_entries(caller, limit=10, page_token=token)
        seen += [entry.index for entry in page.items]
        token = page.next_page_token  # type: ignore[assignment]
        grow(1)  # what is written meanwhile moves nothing
    assert seen == list(range(24, -1, -1))


def test_the_entries_of_one_object(grow: Grow, audit: AuditLog, caller: Caller) -> None:
    grow(4)
    grow(4)
    assert [entry.index for entry in audit.list_entries(caller, object="model:m2").items] == [6, 2]


def test_a_workspace_sees_its_own_entries(
    grow: Grow, audit: AuditLog, make_caller: Callable[..., Caller]
) -> None:
    grow(2)
    stranger = make_caller(workspace="other")
    assert audit.list_entries(stranger).items == []
    with pytest.raises(NotFound, match="entry 0"):
        audit.get_entry(stranger, 0)


@pytest.mark.parametrize("key", ["x", None, [1], 2**70])
def test_a_forged_page_token_is_refused(audit: AuditLog, caller: Caller, key: object) -> None:
    with pytest.raises(InvalidInput, match="page token"):
        audit.list_entries(caller, page_token=encode_token(key))


def test_an_honest_log_is_verified_in_one_pass(storage: Storage, grow: Grow, audit: AuditLog) -> None:
    """The quick pass has to recognise it by itself: the pass that names damage would say `ok` too, but slowly."""
    for count in (0, 1, 4_100, 3):
        grow(count)
        size = audit.verify().size
        roots = storage.read(lambda tx, size=size: quick_roots(tx, [1, size]))
        assert roots is not None
        assert roots[size].hex() == audit.verify().root

"""Deleted runs go for good, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from holdfast.kernel.errors import Forbidden, InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import ALL_WORKSPACES, metadata
from holdfast.tracking.compaction import compact_metrics
from holdfast.tracking.records import Batch, MetricPoint

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

DAY = 86_400_000


@pytest.fixture
def admin(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller("admin", name="root")


def make(c: Composition, caller: Caller, name: str) -> str:
    run_id = c.tracking.create_run(caller, experiment="e", name=name).run_id
    for step in range(3):
        batch = Batch([MetricPoint("loss", 0.5, step, step)], {"depth": "1"}, {"team": "a"})
        c.tracking.metrics.log_batch(caller, run_id, batch, f"{step:064x}")
    c.tracking.artifacts.put(caller, run_id, "a.txt", iter([name.encode()]))
    c.tracking.finish_run(caller, run_id, "finished")
    return run_id


def rows_of(c: Composition) -> dict[str, int]:
    """How many rows each table of runs has."""
    names = (
        "run", "run_param", "run_tag", "metric_summary", "metric_batch", "metric_segment", "metric_loose",
        "metric_pending", "run_dataset", "run_model", "tree_file", "tree_seal",
    )  # fmt: skip
    count = [
        select(func.count()).select_from(metadata.tables[n]).execution_options(**ALL_WORKSPACES)
        for n in names
    ]
    return dict(
        zip(names, c.storage.read(lambda tx: [tx.execute(q).scalar_one() for q in count]), strict=True)
    )


def later(caller: Caller, days: int) -> Caller:
    import msgspec

    return msgspec.structs.replace(caller, time_ms=caller.time_ms + days * DAY)


def test_a_purged_run_leaves_no_row_and_an_entry(
    composition: Composition, caller: Caller, admin: Caller
) -> None:
    c = composition
    kept = make(c, caller, "kept")
    c.tracking.metrics.settle()
    before = rows_of(c)
    gone = make(c, caller, "gone")
    c.tracking.metrics.settle()
    compact_metrics(c.storage, 2**50)
    every = c.experiments.get_experiment(caller, "e").experiment_id
    assert c.tracking.count_runs(caller, [every], [], deleted=None) == 2
    c.tracking.delete_run(caller, gone)
    assert c.purging.purge_runs(later(admin, 29), older_than_days=30).runs == []
    assert c.purging.purge_runs(later(admin, 30), older_than_days=30, is_dry=True).runs == [gone]
    assert c.purging.purge_runs(later(admin, 30), older_than_days=30).runs == [gone]
    after = rows_of(c)
    assert {
        table: after[table] for table in ("run", "run_param", "run_tag", "metric_summary", "tree_file")
    } == {table: before[table] for table in ("run", "run_param", "run_tag", "metric_summary", "tree_file")}
    assert (after["metric_batch"], after["metric_segment"], after["tree_seal"]) == (3, 1, before["tree_seal"])
    with pytest.raises(NotFound):
        c.tracking.get_run(caller, gone)
    assert c.tracking.get_run(caller, kept).metrics["loss"].count == 3
    assert c.tracking.count_runs(caller, [every], [], deleted=None) == 1
    assert c.tracking.count_runs(caller, [every], [], deleted=True) == 0
    entry = c.audit.list_entries(admin, limit=1).items[0]
    assert (entry.action, entry.object, (entry.before or {})["name"]) == ("run.purge", f"run:{gone}", "gone")
    assert c.purging.purge_runs(later(admin, 30), older_than_days=30).runs == []


def test_what_is_not_deleted_or_was_restored_stays(
    composition: Composition, caller: Caller, admin: Caller
) -> None:
    run_id = make(composition, caller, "back")
    composition.tracking.delete_run(caller, run_id)
    composition.tracking.restore_run(caller, run_id)
    assert composition.purging.purge_runs(later(admin, 99), older_than_days=0).runs == []
    assert composition.tracking.get_run(caller, run_id).name == "back"


def test_purging_is_for_administrators_and_days_are_days(
    composition: Composition, caller: Caller, admin: Caller, http: Any
) -> None:
    with pytest.raises(Forbidden):
        composition.purging.purge_runs(caller, older_than_days=0)
    for days in (-1, 40_000):
        with pytest.raises(InvalidInput, match="older_than_days"):
            composition.purging.purge_runs(admin, older_than_days=days)
    assert http.post("/api/v1/runs/purge", json={"older_than_days": 0}).status_code == 403  # open mode


def test_the_log_and_the_rows_agree_after_a_purge(
    composition: Composition, caller: Caller, admin: Caller
) -> None:
    from holdfast.audit.recorded import differences
    from holdfast.tracking.recorded import RecordedRuns

    run_id = make(composition, caller, "sealed")
    composition.tracking.metrics.settle()
    composition.tracking.delete_run(caller, run_id)
    composition.purging.purge_runs(later(admin, 1), older_than_days=0)
    assert composition.storage.read(lambda tx: list(differences(tx, [RecordedRuns()]))) == []

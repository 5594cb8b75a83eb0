"""The rules of experiments and runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit.service import AuditLog
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.records import Batch, MetricPoint, MetricSummary, Recipe, Run
from holdfast.tracking.service import Tracking

Log = Callable[..., Run]
Actions = Callable[[], list[str]]


# Experiments


def test_an_experiment_is_found_by_name_and_by_id(experiments: Experiments, caller: Caller) -> None:
    made = experiments.create_experiment(caller, "Flights 2013")
    assert experiments.get_experiment(caller, "Flights 2013") == made
    assert experiments.get_experiment(caller, str(made.experiment_id)) == made


def test_an_experiment_of_digits_is_found_by_its_name(experiments: Experiments, caller: Caller) -> None:
    made = experiments.create_experiment(caller, "2013")
    assert experiments.get_experiment(caller, "2013") == made


def test_a_name_is_taken_once_in_a_workspace(
    experiments: Experiments, make_caller: Callable[..., Caller]
) -> None:
    experiments.create_experiment(make_caller(), "Flights")
    with pytest.raises(Conflict, match="'Flights'"):
        experiments.create_experiment(make_caller(), "Flights")
    experiments.create_experiment(make_caller(workspace="other"), "Flights")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "x" * 501])
def test_a_name_without_sense_is_refused(
    tracking: Tracking, experiments: Experiments, caller: Caller, name: str
) -> None:
    with pytest.raises(InvalidInput, match="experiment"):
        experiments.create_experiment(caller, name)
    with pytest.raises(InvalidInput):
        tracking.create_run(caller, experiment=name)


def test_an_unknown_experiment_is_told_with_the_known_ones(experiments: Experiments, caller: Caller) -> None:
    experiments.create_experiment(caller, "Flights")
    for name in ("Fligths", "77", "9" * 30):
        with pytest.raises(NotFound) as caught:
            experiments.get_experiment(caller, name)
        assert caught.value.details == {"experiment": name, "known": ["Flights"]}


def test_experiments_are_listed_newest_first_with_their_runs(
    tracking: Tracking, experiments: Experiments, make_caller: Callable[..., Caller], clock: ManualClock
) -> None:
    for name in ("a", "b", "a"):
        tracking.create_run(make_caller(), experiment=name)
        clock.advance(1_000)
    experiments.create_experiment(make_caller(), "c")
    last = clock.now_ms() - 1_000
    listed = experiments.list_experiments(make_caller()).items
    assert [(one.name, one.runs, one.last_run_at) for one in listed] == [
        ("c", 0, None), ("b", 1, last - 1_000), ("a", 2, last),
    ]  # fmt: skip


# Runs


def test_a_new_run_is_running(tracking: Tracking, caller: Caller) -> None:
    recipe = Recipe(command=["python", "train.py"], git_commit="abc", git_dirty=True)
    run = tracking.create_run(caller, experiment="Flights", name="first", recipe=recipe, user="bob")
    assert tracking.get_run(caller, run.run_id) == run
    assert (run.status, run.start_time, run.end_time, run.digest) == ("running", caller.time_ms, None, None)
    assert (run.name, run.user, run.recipe) == ("first", "bob", recipe)


def test_a_run_without_a_name_gets_one(tracking: Tracking, experiments: Experiments, caller: Caller) -> None:
    names = {tracking.create_run(caller).name for _ in range(5)}
    assert len(names) == 5 and all(name.count("-") == 2 for name in names)
    assert experiments.get_experiment(caller, "Default").runs == 5


def test_a_strangers_run_is_not_found(
    tracking: Tracking, run: Run, make_caller: Callable[..., Caller]
) -> None:
    with pytest.raises(NotFound, match=run.run_id):
        tracking.get_run(make_caller(workspace="other"), run.run_id)
    with pytest.raises(NotFound, match="'nothing'"):
        tracking.get_run(make_caller(), "nothing")


def test_runs_are_paged_newest_first_while_others_start(tracking: Tracking, caller: Caller) -> None:
    made = [tracking.create_run(caller, experiment="Flights").run_id for _ in range(7)]
    tracking.create_run(caller, experiment="Other")
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = tracking.list_runs(caller, experiment="Flights", limit=3, page_token=token)
        seen += [run.run_id for run in page.items]
        token = page.next_page_token
        tracking.create_run(caller, experiment="Flights")
    assert seen == made[::-1]
    assert len(tracking.list_runs(caller).items) == 11


def test_a_viewer_reads_and_does_not_write(
    tracking: Tracking, experiments: Experiments, run: Run, make_caller: Callable[..., Caller]
) -> None:
    viewer = make_caller("viewer")
    assert tracking.get_run(viewer, run.run_id) == run
    for write in (
        lambda: tracking.create_run(viewer),
        lambda: experiments.create_experiment(viewer, "a"),
        lambda: tracking.metrics.log_batch(viewer, run.run_id, Batch(tags={"a": "b"}), "0"),
        lambda: tracking.finish_run(viewer, run.run_id, "finished"),
        lambda: tracking.artifacts.put(viewer, run.run_id, "a", iter([b"x"])),
        lambda: tracking.artifacts.delete(viewer, run.run_id, "a"),
        lambda: tracking.update_recipe(viewer, run.run_id, Recipe()),
    ):
        with pytest.raises(Forbidden):
            write()


# Params and tags


def test_params_are_written_once(log: Log) -> None:
    assert log(params={"depth": "4", "rate": "0.1"}).params == {"depth": "4", "rate": "0.1"}
    assert log(params={"depth": "4", "seed": "7"}).params == {"depth": "4", "rate": "0.1", "seed": "7"}
    with pytest.raises(InvalidInput, match=r"'depth'.*'4' already and can't become '5'"):
        log(params={"depth": "5"})


def test_a_batch_is_taken_whole_or_not_at_all(log: Log) -> None:
    log(params={"depth": "4"})
    with pytest.raises(InvalidInput):
        log(("loss", 1.0, 0), params={"new": "1", "depth": "5"}, tags={"a": "b"})
    assert (log().params, log().tags, log().metrics) == ({"depth": "4"}, {}, {})


def test_tags_may_change(log: Log) -> None:
    log(tags={"stage": "one", "owner": "ada"})
    assert log(tags={"stage": "two"}).tags == {"owner": "ada", "stage": "two"}
    assert log(tags={"stage": "one"}).tags["stage"] == "one"


def test_values_are_kept_to_the_letter(log: Log) -> None:
    odd = {"empty": "", "line": "a\nb", "quote": "'; DROP TABLE run; --", "emoji": "✈️", "control": "\x01"}
    assert log(params=odd, tags=odd).params == odd


def test_a_value_with_a_nul_is_refused(log: Log) -> None:
    for what in ({"params": {"key": "a\0b"}}, {"tags": {"key": "\0"}}):
        with pytest.raises(InvalidInput, match="NUL"):
            log(**what)


@pytest.mark.parametrize(
    "key", ["", "/", "a//b", "../a", "a/..", ".", "a\nb", "é\x00", "a\\b", "a;b", "k" * 251]
)
def test_a_key_without_sense_is_refused(log: Log, key: str) -> None:
    for what in ({"params": {key: "1"}}, {"tags": {key: "1"}}):
        with pytest.raises(InvalidInput, match="name"):
            log(**what)
    with pytest.raises(InvalidInput, match="metric name"):
        log((key, 1.0))


@pytest.mark.parametrize("key", ["loss", "val/loss", "mlflow.note", "Größe 1", "a-b_c:d", "k" * 250])
def test_keys_with_sense(log: Log, key: str) -> None:
    assert set(log((key, 1.0), params={key: "1"}, tags={key: "1"}).metrics) == {key}


def test_values_over_their_limit_are_refused(log: Log) -> None:
    log(params={"p": "x" * 6000}, tags={"t": "x" * 8000})
    with pytest.raises(InvalidInput, match=r"'p2'.*6001"):
        log(params={"p2": "x" * 6001})
    with pytest.raises(InvalidInput, match=r"'t2'.*8001"):
        log(tags={"t2": "x" * 8001})


@pytest.mark.parametrize("what", ["metrics", "params", "tags"])
def test_a_batch_over_its_limit_is_refused(tracking: Tracking, caller: Caller, run: Run, what: str) -> None:
    def batch(count: int) -> Batch:
        if what == "metrics":
            return Batch(metrics=[MetricPoint("loss", 0.5, step) for step in range(count)])
        return Batch(**{what: {f"k{number}": "v" for number in range(count)}})

    tracking.metrics.log_batch(caller, run.run_id, batch(1000), "a" * 64)
    with pytest.raises(InvalidInput, match=f"1001 {what}"):
        tracking.metrics.log_batch(caller, run.run_id, batch(1001), "b" * 64)


# Metrics


def test_a_summary_holds_the_last_by_step_then_time_then_value(log: Log) -> None:
    log(("loss", 0.5, 2, 10), ("loss", 0.9, 1, 99))
    assert log(("loss", 0.7, 2, 9)).metrics["loss"] == MetricSummary(0.5, 2, 10, 0.5, 0.9, 3)
    assert log(("loss", 0.6, 2, 10)).metrics["loss"].last == 0.6
    assert log(("loss", 0.1, 2, 10)).metrics["loss"].last == 0.6
    assert log(("loss", 0.1, 3, 0)).metrics["loss"] == MetricSummary(0.1, 3, 0, 0.1, 0.9, 6)


def test_nan_and_infinities_are_values(log: Log) -> None:
    run = log(("a", "NaN", 0), ("a", 1.5, 1), ("b", "Infinity", 0), ("b", "-Infinity", 1), ("c", "NaN", 0))
    assert (run.metrics["a"].last, run.metrics["a"].min, run.metrics["a"].max) == (1.5, 1.5, 1.5)
    assert (run.metrics["b"].last, run.metrics["b"].min, run.metrics["b"].max) == (
        -math.inf,
        -math.inf,
        math.inf,
    )
    assert math.isnan(run.metrics["c"].last) and run.metrics["c"].min is None


def test_a_nan_gives_way_at_the_same_moment_and_wins_later(log: Log) -> None:
    assert log(("a", "NaN", 1, 5), ("a", 2.0, 1, 5)).metrics["a"].last == 2.0
    assert log(("a", "NaN", 1, 5), ("a", 0.0, 0, 0)).metrics["a"].last == 2.0
    later = log(("a", "NaN", 2, 0)).metrics["a"]
    assert math.isnan(later.last) and (later.min, later.max, later.count) == (0.0, 2.0, 4)


def test_a_retried_batch_changes_nothing(log: Log, tracking: Tracking, caller: Caller, run: Run) -> None:
    point = ("loss", 0.5, 1, 10)
    log(point, tags={"stage": "one"})
    log(tags={"stage": "two"})
    after = log(point, tags={"stage": "one"})
    assert (after.metrics["loss"].count, after.tags) == (1, {"stage": "two"})
    assert tracking.metrics.get_history(caller, run.run_id, "loss").count == 1


@pytest.mark.parametrize(
    "point", [("m", 1.0, 2**63), ("m", 1.0, -(2**63) - 1), ("m", 1.0, 0, 2**62), ("m", 1.0, 0, -(2**60))]
)
def test_steps_and_times_beyond_their_range_are_refused(log: Log, point: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput, match="'m'"):
        log(point)


def test_extreme_steps_and_times_survive(log: Log, tracking: Tracking, caller: Caller, run: Run) -> None:
    log(("m", 1.0, 2**63 - 1, 0), ("m", 2.0, -(2**63), 253_402_300_799_999))
    history = tracking.metrics.get_history(caller, run.run_id, "m")
    assert (history.steps, history.values) == ([-(2**63), 2**63 - 1], [2.0, 1.0])


def test_histories_are_in_order_without_exact_duplicates(
    log: Log, tracking: Tracking, caller: Caller, run: Run
) -> None:
    log(("loss", 0.3, 3, 30), ("loss", 0.1, 1, 10), ("other", 9.0, 0, 0))
    log(("loss", 0.2, 2, 20), ("loss", 0.1, 1, 10))
    history = tracking.metrics.get_history(caller, run.run_id, "loss")
    assert (history.steps, history.times, history.values) == ([1, 2, 3], [10, 20, 30], [0.1, 0.2, 0.3])
    assert history.low == history.high == history.values


def test_a_point_without_time_gets_the_time_of_its_arrival(
    log: Log, tracking: Tracking, caller: Caller, run: Run
) -> None:
    log(("loss", 0.3))
    assert tracking.metrics.get_history(caller, run.run_id, "loss").times == [caller.time_ms]


def test_a_part_of_a_history(log: Log, tracking: Tracking, caller: Caller, run: Run) -> None:
    log(*[("loss", float(step), step, 0) for step in range(100)])
    part = tracking.metrics.get_history(caller, run.run_id, "loss", from_step=40, to_step=42)
    assert (part.count, part.steps) == (3, [40, 41, 42])
    assert tracking.metrics.get_history(caller, run.run_id, "loss", from_step=1_000).count == 0


def test_an_unknown_metric_is_not_found(log: Log, tracking: Tracking, caller: Caller, run: Run) -> None:
    log(("loss", 0.3))
    with pytest.raises(NotFound, match="'lost'"):
        tracking.metrics.get_history(caller, run.run_id, "lost")
    with pytest.raises(NotFound, match="no run"):
        tracking.metrics.get_history(caller, "nothing", "loss")
    with pytest.raises(InvalidInput, match="points=1"):
        tracking.metrics.get_history(caller, run.run_id, "loss", points=1)


def test_many_threads_log_to_one_run(tracking: Tracking, caller: Caller, run: Run) -> None:
    def send(number: int) -> None:
        points = [MetricPoint(f"m{key}", float(number), number, 0) for key in range(10)]
        tracking.metrics.log_batch(
            caller, run.run_id, Batch(points, tags={f"t{number}": "x"}), f"{number:064d}"
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(24)))
    found = tracking.get_run(caller, run.run_id)
    assert {summary.count for summary in found.metrics.values()} == {24}
    assert found.metrics["m7"] == MetricSummary(23.0, 23, 0, 0.0, 23.0, 24)
    assert len(found.tags) == 24


# The end of a run


def test_finishing_seals_in_one_audit_entry(
    log: Log, tracking: Tracking, caller: Caller, run: Run, storage: Storage, clock: ManualClock
) -> None:
    log(("loss", 0.5, 1), params={"depth": "4"})
    done = tracking.finish_run(caller, run.run_id, "finished", exit_code=0)
    assert (done.status, done.end_time, done.exit_code) == ("finished", caller.time_ms, 0)
    entry = AuditLog(storage).list_entries(caller).items[0]
    assert (entry.action, entry.object, entry.digest) == ("run.finish", f"run:{run.run_id}", done.digest)
    assert entry.after is not None and set(entry.after) == {"status", "params", "metrics", "tree"}


@pytest.mark.parametrize("change", ["param", "metric", "artifact", "status"])
def test_everything_of_a_run_counts_in_its_seal(
    log: Log, tracking: Tracking, caller: Caller, run: Run, change: str
) -> None:
    before = tracking.finish_run(caller, run.run_id, "finished").digest
    if change == "param":
        log(params={"depth": "4"})
    elif change == "metric":
        log(("loss", 0.5, 1, 0))
    elif change == "artifact":
        tracking.artifacts.put(caller, run.run_id, "a", iter([b"x"]))
    after = tracking.finish_run(caller, run.run_id, "failed" if change == "status" else "finished").digest
    assert before != after


def test_finishing_again_gives_the_same(
    tracking: Tracking, caller: Caller, run: Run, actions: Actions
) -> None:
    first = tracking.finish_run(caller, run.run_id, "finished")
    assert tracking.finish_run(caller, run.run_id, "finished") == first
    assert actions() == ["experiment.create", "run.finish"]


def test_who_started_the_process_may_add_its_exit_code(
    tracking: Tracking, make_caller: Callable[..., Caller], run: Run, clock: ManualClock
) -> None:
    first = tracking.finish_run(make_caller(), run.run_id, "finished")
    clock.advance(5_000)
    second = tracking.finish_run(make_caller(), run.run_id, "finished", exit_code=0)
    assert (second.exit_code, second.end_time, second.digest) == (0, first.end_time, first.digest)
    assert tracking.get_run(make_caller(), run.run_id) == second


def test_a_later_write_opens_the_run_and_it_is_sealed_anew(
    log: Log, tracking: Tracking, caller: Caller, run: Run, actions: Actions
) -> None:
    first = tracking.finish_run(caller, run.run_id, "finished")
    assert log(("auc", 0.7, 1)).digest is None
    second = tracking.finish_run(caller, run.run_id, "finished")
    assert second.digest not in (None, first.digest)
    assert actions() == ["experiment.create", "run.finish", "run.reopen", "run.finish"]


def test_a_late_retry_does_not_open_a_finished_run(
    log: Log, tracking: Tracking, caller: Caller, run: Run, actions: Actions
) -> None:
    log(("auc", 0.7, 1, 5), params={"depth": "4"}, tags={"a": "b"})
    tracking.artifacts.put(caller, run.run_id, "model.pkl", iter([b"x"]))
    done = tracking.finish_run(caller, run.run_id, "finished")
    log(("auc", 0.7, 1, 5), params={"depth": "4"}, tags={"a": "b"})
    log(params={"depth": "4"})
    tracking.artifacts.put(caller, run.run_id, "model.pkl", iter([b"x"]))
    assert tracking.get_run(caller, run.run_id) == done
    assert "run.reopen" not in actions()


def test_a_failed_write_does_not_open_a_finished_run(
    log: Log, tracking: Tracking, caller: Caller, run: Run, actions: Actions
) -> None:
    log(params={"depth": "4"})
    done = tracking.finish_run(caller, run.run_id, "finished")
    with pytest.raises(InvalidInput):
        log(params={"depth": "5"})
    with pytest.raises(NotFound):
        tracking.artifacts.delete(caller, run.run_id, "nothing")
    assert tracking.get_run(caller, run.run_id) == done
    assert "run.reopen" not in actions()


def test_an_end_without_sense_is_refused(tracking: Tracking, caller: Caller, run: Run) -> None:
    with pytest.raises(InvalidInput, match="running"):
        tracking.finish_run(caller, run.run_id, "running")
    with pytest.raises(InvalidInput, match="end_time"):
        tracking.finish_run(caller, run.run_id, "finished", end_time=2**62)
    with pytest.raises(InvalidInput, match="exit code"):
        tracking.finish_run(caller, run.run_id, "finished", exit_code=2**40)
    with pytest.raises(NotFound):
        tracking.finish_run(caller, "nothing", "finished")


def test_the_recipe_may_come_later(tracking: Tracking, caller: Caller, run: Run) -> None:
    recipe = Recipe(command=["python", "train.py"], packages_artifact="packages.txt")
    tracking.update_recipe(caller, run.run_id, recipe)
    assert tracking.get_run(caller, run.run_id).recipe == recipe


# Artifacts


def test_an_artifact_is_listed_replaced_and_deleted(tracking: Tracking, caller: Caller, run: Run) -> None:
    tracking.artifacts.put(caller, run.run_id, "plots/a.png", iter([b"one"]))
    second = tracking.artifacts.put(caller, run.run_id, "plots/a.png", iter([b"tw", b"o"]))
    assert tracking.artifacts.list(caller, run.run_id).items == [second]
    assert tracking.artifacts.find(caller, run.run_id, "plots/a.png") == second
    tracking.artifacts.delete(caller, run.run_id, "plots/a.png")
    assert tracking.artifacts.list(caller, run.run_id).items == []


def test_an_artifact_of_an_unknown_run_is_not_stored(
    tracking: Tracking, caller: Caller, objects: Any
) -> None:
    with pytest.raises(NotFound):
        tracking.artifacts.put(caller, "nothing", "a", iter([b"x"]))
    assert [path for path in Path(objects.url).rglob("*") if path.is_file()] == []

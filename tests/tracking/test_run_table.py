from __future__ import annotations

from holdfast.tracking.records import MetricSummary, Run
from holdfast.tracking.run_table import build_table


def make_run(number: int, *, status: str = "finished", loss: float | None = None, **params: str) -> Run:
    metrics = {} if loss is None else {"loss": MetricSummary(loss, 0, 0, loss, loss, 1)}
    return Run(
        f"r{number}", 1, f"run-{number}", status, 1000 * number, 1000 * number + 10 * number, "ada",  # type: ignore[arg-type]
        params, {}, metrics, None, None, None,
    )  # fmt: skip


def names(runs: list[Run], **query: str) -> list[str]:
    return [row.run.name for row in build_table(runs, query, 0).rows]


def test_only_params_that_differ_are_columns() -> None:
    table = build_table([make_run(1, depth="3", seed="7"), make_run(2, depth="4", seed="7")], {}, 0)
    assert [column.label for column in table.columns][4:] == ["depth"]
    assert table.same == [("seed", "7")]


def test_runs_sort_by_a_metric_with_the_missing_last_in_both_orders() -> None:
    runs = [make_run(1, loss=0.5), make_run(2), make_run(3, loss=0.1), make_run(4, loss=float("nan"))]
    assert names(runs, sort="metric.loss", order="asc") == ["run-3", "run-1", "run-2", "run-4"]
    assert names(runs, sort="metric.loss", order="desc") == ["run-1", "run-3", "run-2", "run-4"]


def test_params_sort_as_numbers_where_they_are() -> None:
    runs = [make_run(1, depth="10"), make_run(2, depth="9"), make_run(3, depth="auto")]
    assert names(runs, sort="param.depth", order="asc") == ["run-2", "run-1", "run-3"]


def test_filters_and_pages_come_from_the_address() -> None:
    runs = [make_run(n, status="failed" if n % 2 else "finished") for n in range(250)]
    table = build_table(runs, {"status": "finished", "page": "2"}, 0)
    assert (table.matching, table.pages, table.page, len(table.rows)) == (125, 2, 2, 25)
    assert names(runs, name="RUN-24") == ["run-24", *(f"run-{n}" for n in range(240, 250))]


def test_an_unknown_sort_or_page_changes_nothing() -> None:
    runs = [make_run(1), make_run(2)]
    assert names(runs, sort="nonsense", page="-4") == ["run-1", "run-2"]

"""`holdfast runs`: look at runs."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, limit_option, with_client
from holdfast.cli.output import number, print_json, print_pairs, print_table, short, when
from holdfast.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from holdfast.client import Client, Run
    from holdfast.client.records import ComparedRow, Comparison, GroupFigures

__all__ = ["markdown_of", "runs"]

_SHOWN_METRICS = 4


@click.group(cls=NounGroup)
def runs() -> None:
    """List and show runs."""


@runs.command("list")
@with_client
@click.option("--experiment", metavar="NAME", help="Only the runs of this experiment.")
@limit_option
@json_option
def list_runs(client: Client, experiment: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    with suggesting(experiment or "", lambda: (item.name for item in client.list_experiments())):
        found = list(itertools.islice(client.list_runs(experiment, page_size=min(limit, 1000)), limit))
    if as_json:
        print_json({"items": found})
        return
    names = {item.experiment_id: item.name for item in client.list_experiments()}
    rows = [
        (run.run_id, run.name, names.get(run.experiment_id), run.status, when(run.start_time), _metrics(run))
        for run in found
    ]
    print_table(
        ("run", "name", "experiment", "status", "started", "metrics"), rows,
        empty="No runs yet. Record one: holdfast run -- python train.py",
    )  # fmt: skip


@runs.command("show")
@with_client
@click.argument("run_id", metavar="RUN")
@json_option
def show_run(client: Client, run_id: str, as_json: bool) -> None:
    """Show one run: params, metrics, artifacts."""
    known = (run.run_id for run in itertools.islice(client.list_runs(), 1000))
    with suggesting(run_id, lambda: known):
        run = client.get_run(run_id)
    artifacts = client.list_artifacts(run_id)
    if as_json:
        import msgspec  # with the rest of the client

        print_json({**msgspec.to_builtins(run), "artifacts": artifacts})
        return
    recipe = run.recipe or {}
    print_pairs([
        ("run", run.run_id), ("name", run.name), ("status", run.status), ("exit code", run.exit_code),
        ("started", when(run.start_time)), ("ended", when(run.end_time)), ("by", run.user),
        ("command", " ".join(recipe.get("command", []))), ("commit", _commit(recipe)),
        ("digest", short(run.digest)), ("page", f"{client.url}/runs/{run.run_id}"),
    ])  # fmt: skip
    _print_values("params", run.params)
    _print_values("tags", run.tags)
    if run.metrics:
        click.echo()
        rows = [(key, m.last, m.min, m.max, m.last_step, m.count) for key, m in sorted(run.metrics.items())]
        print_table(("metric", "last", "min", "max", "step", "points"), rows, empty="")
    if artifacts:
        click.echo()
        files = [(item.path, item.size, short(item.sha256)) for item in artifacts]
        print_table(("artifact", "bytes", "sha-256"), files, empty="")


@runs.command("compare")
@with_client
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option("--baseline", metavar="RUN", default="", help="Measure by this run, not by the first.")
@click.option("--all", "all_rows", is_flag=True, help="Also show what is the same in all.")
@click.option("--md", is_flag=True, help="Print a Markdown table, for a pull request.")
@json_option
def compare_runs(
    client: Client, run_ids: tuple[str, ...], baseline: str, all_rows: bool, md: bool, as_json: bool
) -> None:
    """Compare runs: figures with their differences to a baseline, params, tags, code, packages."""
    found = client.compare_runs(run_ids, baseline, all_rows=all_rows)
    if as_json:
        print_json(found)
    elif md:
        click.echo(markdown_of(found, client.url))
    else:
        heads = [
            f"{run.name}{' (baseline)' if at == found.baseline else ''}" for at, run in enumerate(found.runs)
        ]
        rows = [(f"{row.kind} {row.key}", *_with_deltas(row)) for row in found.rows]
        print_table(("", *heads), rows, empty="Nothing differs. See everything with --all.")


@runs.command("groups")
@with_client
@click.option("--by", metavar="LIST", required=True, help="As in: params.depth,user")
@click.option("--experiment", metavar="NAME", default="", help="Only the runs of this experiment.")
@click.option("--filter", "where", metavar="FILTER", default="", help="As in: metrics.loss < 0.3")
@click.option("--columns", metavar="LIST", default="", help="As in: metrics.loss,min.loss")
@click.option("--order", metavar="COLUMN", default="", help="As in: metrics.loss, runs DESC")
@limit_option
@json_option
def group_runs(
    client: Client,
    by: str,
    experiment: str,
    where: str,
    columns: str,
    order: str,
    limit: int,
    as_json: bool,
) -> None:
    """Group runs by params, tags, name, user or status: mean ± standard deviation of their metrics."""
    found = client.group_runs(
        by, experiment, filter=where, columns=columns, order=order, limit=min(limit, 1000)
    )
    if as_json:
        print_json(found)
        return
    rows = [
        (*("none" if value is None else value for value in one.values), one.runs, *map(_spread, one.figures))
        for one in found.groups
    ]
    print_table((*found.by, "runs", *found.columns), rows, empty="No runs match.")


@runs.command("change")
@with_client
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Set a tag; may be given several times."
)
@click.option("--drop-tag", "drop_tags", metavar="KEY", multiple=True, help="Take a tag off where it is.")
@click.option("--rename", metavar="PATTERN", default="", help="As in: {name}-{n}, {params.depth} deep")
@click.option("--archive/--restore", default=None, help="Hide the runs, or take them back.")
def change_runs(
    client: Client,
    run_ids: tuple[str, ...],
    tags: tuple[str, ...],
    drop_tags: tuple[str, ...],
    rename: str,
    archive: bool | None,
) -> None:
    """Tag, rename, archive or take back many runs: all of them or none."""
    for one in tags:
        if "=" not in one:
            raise InvalidInput(f"The tag {one[:80]!r} has no value.", hint="Write it as KEY=VALUE.")
    given = {key: value for key, _, value in (one.partition("=") for one in tags)}
    changed = client.change_runs(run_ids, tags=given, drop_tags=drop_tags, archive=archive, rename=rename)
    click.echo(f"{changed} of {len(set(run_ids))} changed")


@runs.command("purge")
@with_client
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=int,
    required=True,
    help="Deleted so many days ago or earlier.",
)
@click.option("--dry-run", is_flag=True, help="Name them, and purge nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge_runs(client: Client, days: int, dry_run: bool, yes: bool) -> None:
    """Take deleted runs away for good: their points, params, tags and artifacts. The audit log keeps what happened."""
    if not (dry_run or yes):
        click.confirm("Purged runs can't be restored. Go on?", abort=True)
    total, more = 0, True
    while more:
        found, more = client.purge_runs(days, is_dry=dry_run)
        for run_id in found:
            click.echo(run_id)
        total += len(found)
        more = more and not dry_run
    click.echo(f"{total} {'would be ' if dry_run else ''}purged", err=True)


@runs.command("export")
@with_client
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--experiment", metavar="NAME", default="", help="Only the runs of this experiment.")
@click.option(
    "--filter", "where", metavar="FILTER", default="", help="As in: metrics.loss < 0.3 AND params.depth = '6'"
)
@click.option("--order", metavar="LIST", default="", help="As in: min.loss, start_time DESC")
@click.option(
    "--columns", metavar="LIST", default="", help="As in: metrics.loss,min.loss,params.depth; all without it."
)
def export_runs(client: Client, file: Path, experiment: str, where: str, order: str, columns: str) -> None:
    """Write all runs that a filter finds to FILE: .csv, or .parquet where polars is installed."""
    from holdfast.client.tables import to_parquet

    if file.suffix.lower() not in (".csv", ".parquet"):
        raise InvalidInput(f"{file.name!r} ends in neither .csv nor .parquet.", hint="Choose one of them.")
    with tempfile.TemporaryDirectory() as folder:
        is_csv = file.suffix.lower() == ".csv"
        written = client.export_runs(
            file if is_csv else Path(folder) / "runs.csv",
            experiment,
            filter=where,
            order=order,
            columns=columns,
        )
        if not is_csv:
            to_parquet(written, file)


def markdown_of(found: Comparison, url: str) -> str:
    """A comparison as a Markdown table whose heads lead to the runs."""
    heads = [
        f"[{_cell(run.name)}]({url}/runs/{run.run_id}){' (baseline)' if at == found.baseline else ''}"
        for at, run in enumerate(found.runs)
    ]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for row in found.rows:
        cells = " | ".join(_cell(text) for text in _with_deltas(row))
        lines.append(f"| {_cell(f'{row.kind} {row.key}')} | {cells} |")
    if not found.rows:
        lines.append(f"| nothing differs |{' |' * len(heads)}")
    return "\n".join(lines)


def _with_deltas(row: ComparedRow) -> list[str]:
    """The values as texts, numbers with their difference to the baseline."""
    shown = []
    for value, delta in zip(row.values, row.deltas, strict=True):
        text = "" if value is None else number(value) if isinstance(value, (int, float)) else value
        shown.append(f"{text} ({delta:+.3g})" if delta else text)
    return shown


def _spread(one: GroupFigures) -> str:
    if one.mean is None:
        return ""
    return number(one.mean) if one.sd is None else f"{number(one.mean)} ± {one.sd:.2g}"


def _cell(text: str) -> str:
    """A text that stays in its cell, and is no markup."""
    escaped = "".join(f"\\{char}" if char in "\\|[]<>*_`" else char for char in text)
    return " ".join(escaped.split())[:200]


def _metrics(run: Run) -> str:
    shown = sorted(run.metrics.items())[:_SHOWN_METRICS]
    return ", ".join(f"{key} {number(metric.last)}" for key, metric in shown)


def _commit(recipe: dict[str, object]) -> str:
    commit = short(str(recipe.get("git_commit") or ""))
    return f"{commit} with changes" if commit and recipe.get("git_dirty") else commit


def _print_values(title: str, values: dict[str, str]) -> None:
    if values:
        click.echo(f"\n{title}")
        print_pairs([(f"  {key}", value) for key, value in sorted(values.items())])

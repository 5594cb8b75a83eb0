"""`holdfast runs`: look at runs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, limit_option, with_client
from holdfast.cli.output import number, print_json, print_pairs, print_table, short, when

if TYPE_CHECKING:
    from holdfast.client import Client, Run

__all__ = ["runs"]

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


@runs.command("send")
@with_client
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def send_unsent(client: Client, file: Path) -> None:
    """Deliver what a run could not: FILE was named when the server was away."""
    from holdfast.client.unsent import deliver  # with the rest of the client

    count = deliver(file, client.send_batch)
    click.echo(f"Delivered {count} {'batch' if count == 1 else 'batches'} of {file} and removed it.")


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

"""`holdfast monitor`: how an endpoint is doing, and by what it is judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.endpoint import endpoint_names
from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import number, print_json, print_table

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["monitor"]

_SHOWN = ("error", "auc", "brier", "mae", "rmse")


@click.group(cls=NounGroup)
def monitor() -> None:
    """How endpoints are doing."""


@monitor.command("show")
@with_client
@click.argument("endpoint", metavar="ENDPOINT")
@click.option("--window", metavar="W", help="Window size: 5min to 12h, 1d, 1w, 1mo ...")
@click.option("--limit", type=click.IntRange(1, 10_000), default=2_000, show_default=True,
              help="At most so many windows, the newest.")  # fmt: skip
@json_option
def show_monitor(client: Client, endpoint: str, window: str | None, limit: int, as_json: bool) -> None:
    """Show an endpoint's windows: rows, labels, performance, drift, alerts."""
    with suggesting(endpoint, lambda: endpoint_names(client)):
        found = client.monitor(endpoint, window=window, limit=limit)
    if as_json:
        print_json(found)
        return
    windows = found["windows"]
    metrics = [name for name in _SHOWN if any(name in item["metrics"] for item in windows)]
    rows = [
        (
            item["start"][:16], item["status"], item["rows"], item["labelled"],
            *(_metric(item, name) for name in metrics), _drifted(item), len(item["alerts"]) or "",
        )
        for item in windows
    ]  # fmt: skip
    click.echo(f"{found['state']}: {found['message']}" if found["message"] else found["state"])
    print_table(
        ("from", "status", "rows", "labelled", *metrics, "drifted", "alerts"), rows,
        empty=f"No windows yet: {endpoint} has logged nothing.",
    )  # fmt: skip
    if found.get("earlier_windows"):
        click.echo(f"{found['earlier_windows']:,} earlier windows are not shown; --limit shows more.")
    for item in windows:
        for alert in item["alerts"]:
            click.echo(f"\nAlert {alert['id']}, {alert['state']}: {alert['text']}")


@monitor.command("set")
@with_client
@click.argument("endpoint", metavar="ENDPOINT")
@click.option("--clock", type=click.Choice(["wall", "event"]), help="What time the monitor goes by.")
@click.option("--window", metavar="W", help="Window size: 5min to 12h, 1d, 1w, 1mo ...")
@click.option("--task", type=click.Choice(["binary", "multiclass", "regression"]), help="What is predicted.")
@click.option("--target", metavar="COLUMN", help="Name of the true outcome.")
@click.option("--reference", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Rows with true outcomes to compare with (CSV, JSON lines, Parquet).")  # fmt: skip
@json_option
def set_monitor(
    client: Client, endpoint: str, clock: str | None, window: str | None, task: str | None, target: str | None,
    reference: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Change how an endpoint is monitored. An unknown ENDPOINT becomes one whose predictions come from
    outside.
    """
    settings = {"clock": clock, "window": window, "task": task, "target": target}
    if reference is None and all(value is None for value in settings.values()):
        raise click.UsageError("Give at least one of --clock, --window, --task, --target, --reference.")
    table = None if reference is None else _reference(client, endpoint, reference)
    found = client.set_monitor(endpoint, **settings, reference=table)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{endpoint}: clock {found.clock}, window {found.window}, task {found.task}, target {found.target}"
    )


def _reference(client: Client, endpoint: str, path: Path) -> dict[str, list[Any]]:
    """The columns of a reference file, the inputs typed by the endpoint's signature."""
    from holdfast.client.tables import convert, read_batches  # only with --reference
    from holdfast.kernel.errors import NotFound

    try:
        inputs = (client.get_endpoint(endpoint).signature or {}).get("inputs", [])
    except NotFound:
        inputs = []
    types = {item["name"]: item["type"] for item in inputs}
    columns: dict[str, list[Any]] = {}
    for batch in read_batches(path, 10_000):
        for name, raw in batch.columns.items():
            columns.setdefault(name, []).extend(
                convert(batch, name, types[name], path) if name in types else raw
            )
    return columns


def _metric(item: dict[str, Any], name: str) -> str:
    value = item["metrics"].get(name) or {}
    return number(value.get("realised"), 3)


def _drifted(item: dict[str, Any]) -> int:
    return sum(1 for name, found in item["drift"].items() if found["drifted"] and name != "prediction")

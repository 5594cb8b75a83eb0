"""`holdfast run`: record a command as a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import with_client

if TYPE_CHECKING:
    from holdfast.client import ActiveRun, Client

__all__ = ["run"]


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@with_client
@click.option("--experiment", metavar="NAME", help="Experiment of the run (or HOLDFAST_EXPERIMENT).",
              envvar="HOLDFAST_EXPERIMENT")  # fmt: skip
@click.option("--name", metavar="NAME", help="Name of the run.")
@click.option(
    "--offline", is_flag=True, help="Send nothing before `holdfast sync` (or HOLDFAST_MODE=offline)."
)
@click.option(
    "--system-metrics",
    type=float,
    metavar="SECONDS",
    help="Log processor, memory, disk, network and GPUs every so many seconds (or HOLDFAST_SYSTEM_METRICS).",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    client: Client,
    experiment: str | None,
    name: str | None,
    offline: bool,
    system_metrics: float | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND as a tracked run: its output, exit code, code and packages.

    Put -- before the command: holdfast run -- python train.py --depth 4
    """
    from holdfast.client.command import record_command  # here, so that --help does not wait for it

    def announce(started: ActiveRun) -> None:
        later = ", once synced by: holdfast sync" if started.is_offline else ""
        click.echo(f"holdfast: run {started.name}, {started.url}{later}", err=True)

    result = record_command(
        client, command, experiment=experiment, name=name, on_start=announce,
        mode="offline" if offline else None, system_metrics=system_metrics,
    )  # fmt: skip
    click.echo(f"holdfast: run {result.run.name} {result.run.status}, exit code {result.exit_code}", err=True)
    sys.exit(result.exit_code)

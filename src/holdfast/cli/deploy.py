"""`holdfast deploy`: serve a model version at an endpoint."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.names import parse_reference
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json

if TYPE_CHECKING:
    from holdfast.client import Client, Endpoint

__all__ = ["deploy"]


@click.command()
@with_client
@click.argument("model", metavar="MODEL[@ALIAS | /VERSION]")
@click.option("--endpoint", required=True, metavar="NAME", help="The endpoint, made when it is new.")
@click.option("--clock", type=click.Choice(["wall", "event"]), help="What time the monitor goes by.")
@click.option("--window", metavar="W", help="Window of the monitor: 5min to 12h, 1d, 1w, 1mo ...")
@click.option("--task", type=click.Choice(["binary", "multiclass", "regression"]), help="What is predicted.")
@click.option("--target", metavar="COLUMN", help="Name of the true outcome.")
@click.option("--no-wait", is_flag=True, help="Return at once instead of when it answers.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300, show_default=True, metavar="SECONDS",
              help="How long to wait.")  # fmt: skip
@json_option
def deploy(
    client: Client, model: str, endpoint: str, clock: str | None, window: str | None, task: str | None,
    target: str | None, no_wait: bool, timeout: float, as_json: bool,
) -> None:  # fmt: skip
    """Serve MODEL at an endpoint and wait until it answers."""
    name, _, _ = parse_reference(model)
    with suggesting(name, lambda: [item.name for item in client.list_models()]):
        found = client.deploy(model, endpoint, clock=clock, window=window, task=task, target=target)
    if not no_wait:
        found = client.wait_until_live(endpoint, timeout_s=timeout, on_change=_Line(endpoint))
    if as_json:
        print_json(found)
        return
    status = "live" if found.status == "live" else f"{found.status}; see: holdfast endpoint show {endpoint}"
    click.echo(f"{endpoint} serves {found.model}, version {found.version}: {status}")
    click.echo(f"{client.url}/endpoints/{endpoint}")


class _Line:
    """A line on standard error with the state of a deployment: rewritten in place on a terminal, else one per state."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._start = time.monotonic()
        self._in_place = sys.stderr.isatty()
        self._told = ""

    def __call__(self, found: Endpoint) -> None:
        if found.status == self._told and not self._in_place:
            return
        self._told = found.status
        text = f"{self._endpoint}: {found.status}, {time.monotonic() - self._start:.0f} s"
        end = found.status == "live"
        click.echo(f"\r\x1b[K{text}" if self._in_place else text, err=True, nl=not self._in_place or end)

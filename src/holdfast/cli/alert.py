"""`holdfast alert`: what the monitors found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.channel import channel
from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["alert"]


@click.group(cls=NounGroup)
def alert() -> None:
    """What the monitors found."""


alert.add_command(channel)


@alert.command("list")
@with_client
@click.option("--endpoint", metavar="NAME", help="Only of this endpoint.")
@click.option("--state", metavar="STATE", help="Only in this state.")
@json_option
def list_alerts(client: Client, endpoint: str | None, state: str | None, as_json: bool) -> None:
    """List alerts, newest first."""
    with suggesting(endpoint or "", lambda: [item.name for item in client.list_endpoints()]):
        found = client.list_alerts(endpoint=endpoint, state=state)
    if as_json:
        print_json({"items": found})
        return
    rows = [(a["id"], a.get("endpoint"), when(a.get("since")), a.get("state"), a.get("text")) for a in found]
    print_table(("alert", "endpoint", "since", "state", "what"), rows, empty="No alerts.")


@alert.command("show")
@with_client
@click.argument("alert_id", metavar="ALERT")
@json_option
def show_alert(client: Client, alert_id: str, as_json: bool) -> None:
    """Show one alert."""
    found = client.get_alert(alert_id)
    if as_json:
        print_json(found)
        return
    times = {"since", "raised_at", "detected_at", "window_start", "ended_at", "recovered_at"}
    pairs = [
        (name.replace("_", " "), when(value) if name in times else value) for name, value in found.items()
    ]
    shown = [(name, value) for name, value in pairs if not isinstance(value, (list, dict))]
    print_pairs([*shown, ("page", f"{client.url}/incidents/{found['id']}")])
    for change in found.get("inputs", []):
        click.echo(f"  {change['feature']}: {change['text']}")

"""`holdfast inbox`: what is news for oneself."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, limit_option, with_client
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["inbox"]


@click.group(cls=NounGroup)
def inbox() -> None:
    """Mentions, answers, alerts, and changes of what you watch."""


@inbox.command("list")
@with_client
@click.option("--unread", is_flag=True, help="Only what is not read.")
@limit_option
@json_option
def list_inbox(client: Client, unread: bool, limit: int, as_json: bool) -> None:
    """List notifications, newest first."""
    found = list(itertools.islice(client.inbox(unread=unread, page_size=min(limit, 1000)), limit))
    if as_json:
        print_json({"items": found})
        return
    rows = [
        (one.event, when(one.created_at), "" if one.read_at else "new", one.kind, one.text) for one in found
    ]
    print_table(("event", "time", "", "kind", "what"), rows, empty="Nothing is in the inbox.")


@inbox.command("read")
@with_client
@click.argument("events", metavar="EVENT...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Mark all as read.")
def read_inbox(client: Client, events: tuple[int, ...], every: bool) -> None:
    """Mark notifications as read."""
    if every == bool(events):
        raise click.UsageError("Give the numbers of notifications, or --all.")
    click.echo(f"{client.mark_read(None if every else events)} marked as read.")

"""`holdfast workspace`: rooms that are closed to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["workspace"]


@click.group(cls=NounGroup)
def workspace() -> None:
    """Workspaces: what is in one is not seen from another."""


@workspace.command("create")
@with_client
@click.argument("name")
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@json_option
def create_workspace(client: Client, name: str, description: str, as_json: bool) -> None:
    """Add a workspace."""
    made = client.create_workspace(name, description=description)
    if as_json:
        print_json(made)
    else:
        click.echo(f"The workspace {name} is there. Choose it with --workspace {name} or HOLDFAST_WORKSPACE.")


@workspace.command("list")
@with_client
@json_option
def list_workspaces(client: Client, as_json: bool) -> None:
    """List the workspaces that you may see."""
    found = client.list_workspaces()
    if as_json:
        print_json({"items": found})
        return
    rows = [(w.name, w.description, when(w.created_at or None), when(w.archived_at)) for w in found]
    print_table(("workspace", "description", "made", "archived"), rows, empty="You may see no workspace.")


@workspace.command("archive")
@with_client
@click.argument("name")
def archive_workspace(client: Client, name: str) -> None:
    """Make a workspace one that can be read only; its endpoints are served no more."""
    client.archive_workspace(name)
    click.echo(f"The workspace {name} is archived.")


@workspace.command("restore")
@with_client
@click.argument("name")
def restore_workspace(client: Client, name: str) -> None:
    """Take an archived workspace back."""
    client.restore_workspace(name)
    click.echo(f"The workspace {name} is back.")

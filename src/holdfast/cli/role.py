"""`holdfast role`: who may do what in a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["role"]

_deployment = click.option("--deployment", is_flag=True, help="In every workspace, instead of in one.")
_group = click.option("--group", is_flag=True, help="NAME is a group of single sign-on.")


@click.group(cls=NounGroup)
def role() -> None:
    """Roles by workspace: viewer, contributor, approver, admin."""


@role.command("grant")
@with_client
@click.argument("name")
@click.argument("role", metavar="ROLE")
@_deployment
@_group
def grant_role(client: Client, name: str, role: str, deployment: bool, group: bool) -> None:
    """Give NAME a role in the workspace, in place of the one that it has there.

    With --deployment, admin administers everything, and inference lets an inference server work.
    """
    with client.in_workspace("*") if deployment else client as chosen:
        if group:
            chosen.grant_group_role(name, role)
        else:
            chosen.grant_role(name, role)
    click.echo(f"{name} is {role}.")


@role.command("revoke")
@with_client
@click.argument("name")
@_deployment
@_group
def revoke_role(client: Client, name: str, deployment: bool, group: bool) -> None:
    """Take NAME's role in the workspace away."""
    with client.in_workspace("*") if deployment else client as chosen:
        if group:
            chosen.revoke_group_role(name)
        else:
            chosen.revoke_role(name)
    click.echo(f"{name} has no role of its own there any more.")


@role.command("list")
@with_client
@json_option
def list_roles(client: Client, as_json: bool) -> None:
    """List who has which role in the workspace, and which groups give one."""
    grants, groups = client.list_roles(), client.list_group_roles()
    if as_json:
        print_json({"items": grants, "groups": groups})
        return
    rows = [(g.name, g.role, g.workspace, g.source, when(g.granted_at)) for g in grants]
    rows += [(f"group {g.group}", g.role, g.workspace, "", "") for g in groups]
    print_table(("name", "role", "workspace", "by", "since"), rows, empty="Nobody has a role here.")

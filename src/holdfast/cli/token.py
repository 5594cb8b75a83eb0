"""`holdfast token`: API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.offline import on_folder
from holdfast.cli.options import json_option, with_client, with_client_or_folder
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["token"]


@click.group(cls=NounGroup)
def token() -> None:
    """API tokens for programs and the command line."""


@token.command("create")
@with_client_or_folder
@click.argument("name")
@click.option("--of", default="", metavar="USER", help="Whose token it is (default: one's own).")
@click.option("--only-workspace", metavar="NAME", help="Good in this workspace alone.")
@click.option("--permission", "permissions", multiple=True, metavar="PERMISSION",
              help="Good for this permission alone; may be repeated.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="Ends after so many days (default: when revoked).")
@json_option
def create_token(
    client: Client | None,
    data: str | None,
    name: str,
    of: str,
    only_workspace: str | None,
    permissions: tuple[str, ...],
    days: int | None,
    as_json: bool,
) -> None:
    """Make a token and print its secret, this once. NAME says what it is for."""
    from holdfast.client.people import MadeToken

    scope: dict[str, Any] = {
        "of": of,
        "workspace": only_workspace,
        "permissions": list(permissions) or None,
        "days": days,
    }
    if data is not None:
        made = on_folder("create-token", data, {"name": name, **scope}, MadeToken)
    else:
        assert client is not None
        made = client.create_token(name, **scope)
    if as_json:
        print_json(made)
        return
    click.echo(made.secret)


@token.command("list")
@with_client
@click.option("--of", metavar="USER", help="Another's tokens, or with '*' everybody's (administrators).")
@json_option
def list_tokens(client: Client, of: str | None, as_json: bool) -> None:
    """List tokens that are not revoked."""
    found = client.list_tokens(of)
    if as_json:
        print_json({"items": found})
        return
    rows = [
        (t.id, t.name, f"{t.hint}…", t.workspace or "", ", ".join(t.permissions or []), when(t.expires_at),
         when(t.last_used_at))
        for t in found
    ]  # fmt: skip
    head = ("token", "name", "begins with", "workspace", "permissions", "ends", "last used")
    print_table(head, rows, empty="No tokens.")


@token.command("revoke")
@with_client
@click.argument("token_id", metavar="TOKEN")
def revoke_token(client: Client, token_id: str) -> None:
    """End a token, named by its id."""
    client.revoke_token(token_id)
    click.echo(f"{token_id} is revoked.")

"""`holdfast login` and `logout`: a token kept for the command line and for programs of this user."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import with_client

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["login", "logout"]


@click.command()
@with_client
@click.option("--user", "name", metavar="NAME", help="Whose name (asked for without it).")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--token-stdin", is_flag=True, help="Keep the token on standard input, for single sign-on users."
)
def login(client: Client, name: str | None, password_stdin: bool, token_stdin: bool) -> None:
    """Sign in to a server and keep a token of 30 days in ~/.holdfast/credentials.json.

    With single sign-on, make a token on the page /account and give it with --token-stdin.
    """
    from holdfast.client import Client as Anew
    from holdfast.client.credentials import keep_token

    if token_stdin:
        secret = sys.stdin.readline().strip()
    else:
        name = name or click.prompt("Name")
        password = (
            sys.stdin.readline().rstrip("\r\n")
            if password_stdin
            else click.prompt("Password", hide_input=True)
        )
        secret = client.log_in(name, password, label=f"holdfast login on {platform.node()}"[:200]).secret
    with Anew(client.url, token=secret) as known:
        who = known.whoami()
    path = keep_token(client.url, secret)
    click.echo(f"Signed in to {client.url} as {who.name}; the token is kept in {path}.")


@click.command()
@with_client
def logout(client: Client) -> None:
    """Revoke the token that `holdfast login` kept for the server, and forget it."""
    from holdfast.client import Client as Anew
    from holdfast.client.credentials import drop_token, kept_token
    from holdfast.kernel.errors import Unauthenticated

    secret = kept_token(client.url)
    if not secret:
        click.echo(f"There is no token for {client.url}.")
        return
    with Anew(client.url, token=secret) as known:
        try:
            hint = next((one for one in known.list_tokens() if secret.startswith(one.hint)), None)
            if hint is not None:
                known.revoke_token(hint.id)
        except Unauthenticated:
            click.echo("The token was not good any more.")
    drop_token(client.url)
    click.echo(f"Signed out of {client.url}.")

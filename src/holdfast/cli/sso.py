"""`holdfast sso`: single sign-on by OpenID Connect."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.client.people import SignOnProvider

__all__ = ["sso"]


@click.group(cls=NounGroup)
def sso() -> None:
    """Single sign-on by an OpenID Connect provider."""


@sso.command("set")
@with_client
@click.argument("issuer")
@click.argument("client_id")
@click.option(
    "--secret-stdin", is_flag=True, help="Read the client secret from standard input (default: keep it)."
)
@click.option(
    "--scopes", default="openid profile email", show_default=True, help="What to ask the provider for."
)
@click.option(
    "--groups-claim", default="groups", show_default=True, help="The claim that lists a user's groups."
)
@json_option
def set_provider(
    client: Client,
    issuer: str,
    client_id: str,
    secret_stdin: bool,
    scopes: str,
    groups_claim: str,
    as_json: bool,
) -> None:
    """Use the provider ISSUER, where this server is registered as CLIENT_ID with the address SERVER/login/sso/callback."""
    secret = sys.stdin.readline().strip() if secret_stdin else None
    _show(
        client.set_sign_on_provider(
            issuer, client_id, client_secret=secret, scopes=scopes, groups_claim=groups_claim
        ),
        as_json,
    )


@sso.command("show")
@with_client
@json_option
def show_provider(client: Client, as_json: bool) -> None:
    """Show the provider, without its secret."""
    _show(client.get_sign_on_provider(), as_json)


@sso.command("remove")
@with_client
def remove_provider(client: Client) -> None:
    """Use no provider any more; users keep their sessions and tokens."""
    client.remove_sign_on_provider()
    click.echo("There is no single sign-on any more.")


def _show(provider: SignOnProvider, as_json: bool) -> None:
    if as_json:
        print_json(provider)
        return
    print_pairs(
        [
            ("issuer", provider.issuer),
            ("client id", provider.client_id),
            ("secret", "kept, sealed" if provider.has_secret else "none"),
            ("scopes", provider.scopes),
            ("groups claim", provider.groups_claim),
        ]
    )

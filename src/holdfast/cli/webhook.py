"""`holdfast webhook`: signed messages to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.channel import add_verbs, match_options, tags_of
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["webhook"]


@click.group(cls=NounGroup)
def webhook() -> None:
    """Signed messages to programs of your own. For administrators."""


@webhook.command("add")
@with_client
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@match_options
@json_option
def add_webhook(
    client: Client,
    name: str,
    url: str,
    events: tuple[str, ...],
    severity: str,
    objects: tuple[str, ...],
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """POST events to the https address URL. Prints the secret that signs them, once."""
    made, secret = client.add_webhook(
        name, url, events=events, severity=severity, objects=objects, tags=tags_of(tags)
    )
    if as_json:
        print_json({"channel": made, "secret": secret})
        return
    click.echo(f"Added the webhook {made.name} to {made.target}.")
    click.echo(f"Its secret, shown this once: {secret}")


add_verbs(webhook, "webhook", lambda one: one.kind == "webhook")

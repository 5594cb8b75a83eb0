"""`holdfast keys`: the server's keys, and changing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["keys"]


@click.group(cls=NounGroup)
def keys() -> None:
    """The keys that sign and seal."""


@keys.command("list")
@with_client
@json_option
def list_keys(client: Client, as_json: bool) -> None:
    """Show each key's public half, or the secret box's key id, and when it was last changed."""
    found = client.list_keys()
    if as_json:
        print_json({"items": found})
        return
    rows = [
        (
            key.name,
            key.kind,
            key.current,
            len(key.rotations),
            when(key.rotations[-1].time_ms) if key.rotations else "",
        )
        for key in found
    ]
    print_table(("key", "kind", "public half or id", "rotations", "last"), rows, empty="There are no keys.")


@keys.command("rotate")
@click.argument("name")
@with_client
@json_option
def rotate_key(client: Client, name: str, as_json: bool) -> None:
    """Change a key for a new one; needs an administrator. Back the key folder up afterwards."""
    key = client.rotate_key(name)
    if as_json:
        print_json(key)
        return
    click.echo(f"{key.name} is now {key.current} (rotation {len(key.rotations)}). Back the key folder up.")

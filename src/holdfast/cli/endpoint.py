"""`holdfast endpoint`: look at endpoints and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs, print_table, short, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["endpoint", "endpoint_names"]


def endpoint_names(client: Client) -> list[str]:
    """The names of every endpoint, for 'did you mean'."""
    return [item.name for item in client.list_endpoints()]


@click.group(cls=NounGroup)
def endpoint() -> None:
    """Where predictions come from."""


@endpoint.command("list")
@with_client
@json_option
def list_endpoints(client: Client, as_json: bool) -> None:
    """List endpoints."""
    found = client.list_endpoints()
    if as_json:
        print_json({"items": found})
        return
    rows = [(e.name, e.status, e.model, e.live_version, e.task, e.clock, e.window) for e in found]
    print_table(
        ("endpoint", "status", "model", "version", "task", "clock", "window"), rows,
        empty="No endpoints yet. Make one: holdfast deploy MODEL@production --endpoint NAME",
    )  # fmt: skip


@endpoint.command("show")
@with_client
@click.argument("name", metavar="ENDPOINT")
@json_option
def show_endpoint(client: Client, name: str, as_json: bool) -> None:
    """Show one endpoint: what it serves and how it is monitored."""
    with suggesting(name, lambda: endpoint_names(client)):
        found = client.get_endpoint(name)
    if as_json:
        print_json(found)
        return
    inputs = ", ".join(
        f"{item['name']} ({item['type']})" for item in (found.signature or {}).get("inputs", [])
    )
    print_pairs([
        ("endpoint", found.name), ("kind", found.kind), ("status", found.status), ("message", found.message),
        ("model", found.model), ("live version", found.live_version), ("asked version", found.version),
        ("deployable", short(found.deployable_digest)), ("task", found.task), ("target", found.target),
        ("classes", ", ".join(found.classes)), ("positive", found.positive), ("clock", found.clock),
        ("window", found.window), ("reference", (found.reference or {}).get("source")), ("inputs", inputs),
        ("created", when(found.created_at)), ("page", f"{client.url}/endpoints/{found.name}"),
    ])  # fmt: skip


@endpoint.command("delete")
@with_client
@click.argument("name", metavar="ENDPOINT")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_endpoint(client: Client, name: str, yes: bool) -> None:
    """Stop serving an endpoint and take its name away; its log stays."""
    with suggesting(name, lambda: endpoint_names(client)):
        client.get_endpoint(name)
        if not yes:
            click.confirm(f"Stop serving {name}?", abort=True)
        client.delete_endpoint(name)
    click.echo(f"{name} is deleted.")

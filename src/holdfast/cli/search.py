"""`holdfast search`: find anything by words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["search"]


@click.command()
@with_client
@click.argument("text", metavar="TEXT...", nargs=-1, required=True)
@click.option(
    "--limit",
    type=click.IntRange(1, 100),
    default=20,
    show_default=True,
    help="At most so many, the best first.",
)
@json_option
def search(client: Client, text: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find models, versions, experiments, runs, endpoints, incidents and audit entries by words."""
    answer = client.search(" ".join(text), limit=limit)
    if as_json:
        print_json(answer)
        return
    rows = [
        (hit.kind, hit.name, hit.context, when(hit.time), client.url + hit.address) for hit in answer.items
    ]
    print_table(("kind", "name", "", "time", "page"), rows, empty=f"Nothing has the words {answer.query!r}.")
    for note in answer.notes:
        click.echo(note, err=True)

"""`holdfast predictions`: what an endpoint has logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.endpoint import endpoint_names
from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs
from holdfast.kernel.errors import NotFound

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["predictions"]


@click.group(cls=NounGroup)
def predictions() -> None:
    """What endpoints have predicted."""


@predictions.command("show")
@with_client
@click.argument("endpoint", metavar="ENDPOINT")
@click.argument("prediction_id", metavar="PREDICTION_ID", required=False)
@click.option("--key", metavar="KEY", help="Find by your own key instead.")
@json_option
def show_predictions(
    client: Client, endpoint: str, prediction_id: str | None, key: str | None, as_json: bool
) -> None:
    """Show a logged prediction with its label, or how much is logged. Fails when there is none."""
    if prediction_id is not None and key is not None:
        raise click.UsageError("Give PREDICTION_ID or --key, not both.")
    with suggesting(endpoint, lambda: endpoint_names(client)):
        if prediction_id is None and key is None:
            status = client.log_status(endpoint)
            print_json(status) if as_json else print_pairs(_words(status))
            return
        found = client.find_predictions(endpoint, prediction_id=prediction_id, key=key)
    if not found:  # for an unknown id the server says so
        raise NotFound(
            f"The endpoint {endpoint!r} has no prediction with the key {key!r} in its table.",
            hint=f"One that was just made is there within seconds: holdfast predictions show {endpoint} tells what waits.",
        )
    if as_json:
        print_json({"items": found})
        return
    for row in found:
        print_pairs(list(row.items()))
        click.echo()


def _words(status: dict[str, object]) -> list[tuple[str, object]]:
    return [(name.replace("_", " "), value) for name, value in status.items()]

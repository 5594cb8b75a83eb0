"""`holdfast sync`: deliver what stands in the journals of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import json_option
from holdfast.cli.output import print_json

if TYPE_CHECKING:
    from holdfast.client.journal import Shipped

__all__ = ["sync"]


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--server", metavar="URL", help="Send to this server, not to the one that the run was made for."
)
@click.option("--token", metavar="TOKEN", help="API token (or HOLDFAST_TOKEN).")
@click.option("--workspace", metavar="NAME", help="Workspace, in place of the run's own.")
@json_option
def sync(
    folder: Path | None, server: str | None, token: str | None, workspace: str | None, as_json: bool
) -> None:
    """Deliver runs that were made offline, and what killed processes left.

    FOLDER is one journal or a folder of them, by default where this machine's runs are kept (HOLDFAST_JOURNAL). May be
    stopped and called again at any time: nothing arrives twice.
    """
    from holdfast.client import Client  # here, so that --help does not wait for it
    from holdfast.client.journal import Head, journal_root, ship_leftovers

    def connect(head: Head) -> Client:
        return Client(server or head.url, token=token, workspace=workspace or head.workspace)

    found: list[Shipped] = []
    for shipped in ship_leftovers(folder or journal_root(), connect):
        found.append(shipped)
        if not as_json:
            click.echo(_told(shipped, server), err=shipped.error is not None)
    if as_json:
        print_json({"items": [_plain(shipped) for shipped in found]})
    elif not found:
        click.echo("Nothing to deliver.")
    if any(shipped.error is not None for shipped in found):
        sys.exit(1)


def _told(shipped: Shipped, server: str | None) -> str:
    address = f"{(server or shipped.url).rstrip('/')}/runs/{shipped.run_id}"
    if shipped.is_live:
        return f"{shipped.run_id}: its process is still running and delivers it itself."
    if shipped.error is not None:
        hint = f" {shipped.error.hint}" if shipped.error.hint else ""
        return f"{shipped.run_id}: {shipped.error.message}{hint}"
    return f"{shipped.run_id}: {shipped.values} values delivered, {address}"


def _plain(shipped: Shipped) -> dict[str, object]:
    return {
        "run_id": shipped.run_id,
        "folder": str(shipped.folder),
        "values": shipped.values,
        "is_live": shipped.is_live,
        "is_done": shipped.is_done,
        "error": None if shipped.error is None else shipped.error.message,
    }

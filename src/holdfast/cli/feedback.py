"""`holdfast feedback`: deliver the true outcomes in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.endpoint import endpoint_names
from holdfast.cli.errors import suggesting
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, progress

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["feedback"]

_BATCH = 20_000


@click.command()
@with_client
@click.argument("endpoint", metavar="ENDPOINT")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", default="key", show_default=True, metavar="COLUMN", help="Your own name of each row.")
@click.option("--id", "id_column", default="prediction_id", show_default=True, metavar="COLUMN",
              help="The prediction's id; where the file has it, it goes before the key.")  # fmt: skip
@click.option("--label", default="label", show_default=True, metavar="COLUMN", help="The true outcome.")
@click.option("--time", "time_column", default="event_time", show_default=True, metavar="COLUMN",
              help="When the outcome was known.")  # fmt: skip
@json_option
def feedback(
    client: Client,
    endpoint: str,
    file: Path,
    key: str,
    id_column: str,
    label: str,
    time_column: str,
    as_json: bool,
) -> None:
    """Deliver the true outcomes of predictions from FILE (CSV, JSON lines, Parquet).

    Rows without a label are left out. Delivering a file again is harmless; a corrected label wins.
    """
    from holdfast.client.bulk import FileColumns, feedback_rows  # here, so that --help does not wait
    from holdfast.client.tables import count_rows, read_batches

    with suggesting(endpoint, lambda: endpoint_names(client)):
        client.get_endpoint(endpoint)
    names = FileColumns(key=key, time=time_column, label=label, prediction_id=id_column)
    accepted = done = 0
    with progress() as display:
        task = display.add_task(file.name, total=count_rows(file))
        for batch in read_batches(file, _BATCH):
            accepted += feedback_rows(client, endpoint, batch, file, names)
            done += batch.rows
            display.update(task, completed=done)
        display.update(task, total=done)
    if as_json:
        print_json({"endpoint": endpoint, "rows": done, "accepted": accepted})
        return
    click.echo(f"Delivered {accepted:,} labels of {done:,} rows to {endpoint}.")

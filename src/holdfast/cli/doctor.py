"""`holdfast doctor`: what is wrong with a deployment, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import json_option
from holdfast.cli.output import print_json
from holdfast.cli.processes import data_option, database_option, keys_option, objects_option, require_server
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import DATABASE_VARIABLE

if TYPE_CHECKING:
    from holdfast.client.records import DoctorReport

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "attention": "yellow", "bad": "red"}


@click.command()
@click.option(
    "--server", metavar="URL", help="Ask this server, as its administrator, instead of looking itself."
)
@click.option("--token", metavar="TOKEN", help="API token for the server (or HOLDFAST_TOKEN).")
@data_option
@keys_option
@database_option
@objects_option
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address that the server is to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    default=5000,
    show_default=True,
    help="Port that it is to listen on.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Read the whole database: its indexes, the audit log, and every row that a digest or the log binds.",
)
@json_option
def doctor(
    server: str | None,
    token: str | None,
    data: str,
    keys: str | None,
    database: str | None,
    objects: str,
    host: str,
    port: int,
    deep: bool,
    as_json: bool,
) -> None:
    """Look for what is wrong with a deployment and say what to do; exit code 1 when something is bad.

    Looks at the data folder and database itself, whether the server runs or not; with --server, asks a server.
    """
    options = ["--objects", objects, "--host", host, "--port", str(port), *["--deep"] * deep]
    report = _ask(server, token) if server else _look(data, keys, database, options)
    if as_json:
        print_json(report)
    else:
        _show(report)
    sys.exit(0 if report.ok else 1)


def _ask(server: str, token: str | None) -> DoctorReport:
    from holdfast.client import Client  # here, so that --help does not wait for it

    with Client(server, token=token) as client:
        return client.doctor()


def _look(data: str, keys: str | None, database: str | None, options: list[str]) -> DoctorReport:
    import msgspec

    from holdfast.client.records import DoctorReport

    require_server("holdfast doctor")
    command = [sys.executable, "-m", "holdfast.app", "doctor", "--data", data, *options]
    command += [] if keys is None else ["--keys", keys]
    environment = dict(os.environ) | ({DATABASE_VARIABLE: database} if database else {})
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    try:
        return msgspec.json.decode(done.stdout, type=DoctorReport)
    except msgspec.DecodeError:
        raise HoldfastError(f"The doctor itself failed, with exit code {done.returncode}.") from None


def _show(report: DoctorReport) -> None:
    for finding in report.findings:
        state = click.style(finding.state.ljust(9), fg=_COLOURS.get(finding.state))
        click.echo(f"{state}  {finding.check}: {finding.message}")
        if finding.advice:
            click.echo(f"{' ' * 11}{finding.advice}")

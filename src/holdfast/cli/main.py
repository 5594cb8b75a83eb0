"""The root of the command line and its entry point."""

from __future__ import annotations

import sys

import click

from holdfast.cli.errors import report
from holdfast.cli.groups import LazyGroup
from holdfast.kernel.errors import HoldfastError
from holdfast.version import __version__

__all__ = ["cli", "main"]


@click.group(
    cls=LazyGroup,
    modules={
        "server": "holdfast.cli.processes",
        "worker": "holdfast.cli.processes",
        "serve": "holdfast.cli.processes",
        "doctor": "holdfast.cli.doctor",
        "backup": "holdfast.cli.maintenance",
        "restore": "holdfast.cli.maintenance",
        "upgrade": "holdfast.cli.maintenance",
        "demo": "holdfast.cli.demo",
        "run": "holdfast.cli.run",
        "log": "holdfast.cli.log",
        "runs": "holdfast.cli.runs",
        "sync": "holdfast.cli.sync",
        "import": "holdfast.cli.import_",
        "model": "holdfast.cli.model",
        "deploy": "holdfast.cli.deploy",
        "endpoint": "holdfast.cli.endpoint",
        "predict": "holdfast.cli.predict",
        "predictions": "holdfast.cli.predictions",
        "feedback": "holdfast.cli.feedback",
        "monitor": "holdfast.cli.monitor",
        "alert": "holdfast.cli.alert",
        "webhook": "holdfast.cli.webhook",
        "comment": "holdfast.cli.comment",
        "inbox": "holdfast.cli.inbox",
        "audit": "holdfast.cli.audit",
        "search": "holdfast.cli.search",
        "login": "holdfast.cli.login",
        "logout": "holdfast.cli.login",
        "user": "holdfast.cli.user",
        "token": "holdfast.cli.token",
        "role": "holdfast.cli.role",
        "workspace": "holdfast.cli.workspace",
        "sso": "holdfast.cli.sso",
        "keys": "holdfast.cli.keys",
        "objects": "holdfast.cli.objects",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="holdfast", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep a machine-learning model under control for its whole life.

    Start a server with `holdfast server`, or see a year of flights with `holdfast demo`.
    """


def main() -> None:
    """Run the command of this process's arguments and exit with its code."""
    try:
        cli(prog_name="holdfast")
    except HoldfastError as error:
        report(error)
        sys.exit(1)

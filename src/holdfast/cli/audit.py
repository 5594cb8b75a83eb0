"""`holdfast audit`: the log of changes, and its proof."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, limit_option, with_client
from holdfast.cli.output import print_json, print_table, short, when

if TYPE_CHECKING:
    from holdfast.client import Client

__all__ = ["audit"]


@click.group(cls=NounGroup)
def audit() -> None:
    """Who changed what, and the proof that the log is whole."""


@audit.command("log")
@with_client
@limit_option
@json_option
def audit_log(client: Client, limit: int, as_json: bool) -> None:
    """Show the audit log, newest first."""
    entries = list(itertools.islice(client.audit_log(page_size=min(limit, 1000)), limit))
    if as_json:
        print_json({"items": entries})
        return
    rows = [(e.index, when(e.time_ms), e.actor_name, e.action, e.object, short(e.digest)) for e in entries]
    print_table(("entry", "time", "by", "action", "object", "digest"), rows, empty="The audit log is empty.")


@audit.command("verify")
@with_client
@json_option
def verify_audit(client: Client, as_json: bool) -> None:
    """Check every entry against the tree; exit code 1 when one is damaged."""
    report = client.verify_audit()
    if as_json:
        print_json(report)
    else:
        click.echo(f"{'ok' if report.ok else 'DAMAGED'}: {report.size:,} entries, root {report.root}")
        for damage in report.damaged:
            where = "the tree" if damage.index < 0 else f"entry {damage.index}"
            click.echo(f"{where}: {damage.problem}")
    sys.exit(0 if report.ok else 1)

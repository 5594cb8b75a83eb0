"""`holdfast audit`: the log of changes, and its proof."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, limit_option, with_client
from holdfast.cli.output import print_json, print_table, short, when
from holdfast.kernel.errors import InvalidInput

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
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--key", metavar="KEY", default="", help="With FILE: a key of the log that you trust (NAME+HASH+BASE64)."
)
@click.option(
    "--accept",
    is_flag=True,
    help="Remember the server's checkpoint, whatever was seen before: after a restore.",
)
@with_client
@json_option
def verify_audit(client: Client, file: Path | None, key: str, accept: bool, as_json: bool) -> None:
    """Check every entry against the tree, and the tree against the last checkpoint seen; or an exported FILE, without
    the server. Exit code 1 when something is damaged, set back or rewritten."""
    if file is not None:
        _verify_file(file, key, as_json)
        return
    report = client.verify_audit(accept=accept)
    if as_json:
        print_json(report)
    else:
        click.echo(f"{'ok' if report.ok else 'DAMAGED'}: {report.size:,} entries, root {report.root}")
        for damage in report.damaged:
            _print_damage(damage.index, damage.problem)
    sys.exit(0 if report.ok else 1)


def _verify_file(file: Path, key: str, as_json: bool) -> None:
    from holdfast.audit.offline import verify_export  # here, so that --help does not wait for it

    try:
        with file.open("rb") as lines:
            report = verify_export(lines, key)
    except OSError as error:
        raise InvalidInput(f"The file {file} can't be read: {error.strerror}.") from error
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{'ok' if report.ok else 'DAMAGED'}: {report.size:,} entries of {report.origin}, root {report.root}"
        )
        click.echo(
            f"signed by {report.key}" + ("" if key else " (compare it with the key you know, or give --key)")
        )
        for index, problem in report.damaged:
            _print_damage(index, problem)
    sys.exit(0 if report.ok else 1)


def _print_damage(index: int, problem: str) -> None:
    click.echo(f"{'the tree' if index < 0 else f'entry {index}'}: {problem}")


@audit.command("checkpoint")
@with_client
@json_option
def show_checkpoint(client: Client, as_json: bool) -> None:
    """Print the signed state of the log, checked against the last one seen. Keep it somewhere else."""
    checkpoint = client.audit_checkpoint()
    if as_json:
        print_json(checkpoint)
        return
    click.echo(checkpoint.note, nl=False)
    click.echo(f"public key: {checkpoint.key}", err=True)


@audit.command("proof")
@click.argument("index", type=click.IntRange(min=0))
@with_client
@json_option
def prove_entry(client: Client, index: int, as_json: bool) -> None:
    """Fetch and check the proof that an entry is in the signed log."""
    proof = client.prove_audit_entry(index)
    if as_json:
        print_json(proof)
        return
    click.echo(
        f"ok: entry {index} is in the log of {proof.checkpoint.size:,} entries, root {proof.checkpoint.root}"
    )
    click.echo(f"leaf {proof.leaf_hash}: {proof.leaf}")
    for number, part in enumerate(proof.hashes):
        click.echo(f"  {number:>2}  {part}")


@audit.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--tiles", is_flag=True, help="FILE is a new folder: the hashes as tiles (C2SP tlog-tiles) for mirrors."
)
@with_client
@json_option
def export_audit(client: Client, file: Path, tiles: bool, as_json: bool) -> None:
    """Write the log to FILE, which anyone can verify without the server: holdfast audit verify FILE."""
    if tiles:
        file.mkdir(parents=True)
    report = client.export_audit(file / "export.jsonl" if tiles else file)
    if tiles:
        from holdfast.audit.offline import write_tiles  # here, so that --help does not wait for it

        write_tiles(file / "export.jsonl", file)
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{'ok' if report.ok else 'DAMAGED'}: {report.size:,} entries of {report.origin} in {file}"
        )
        for index, problem in report.damaged:
            _print_damage(index, problem)
    sys.exit(0 if report.ok else 1)

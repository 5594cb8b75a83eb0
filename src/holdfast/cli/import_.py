"""`holdfast import`: take over what another tool holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_table, progress, short
from holdfast.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from holdfast.cli.importing.records import Source
    from holdfast.client import Client

__all__ = ["import_"]


@click.group("import", cls=NounGroup)
def import_() -> None:
    """Take over experiments, models and their files from another tool."""


@import_.command("mlflow")
@with_client
@click.argument("source", metavar="SOURCE")
@click.option(
    "--artifacts",
    metavar="DIR|URL",
    help="Where the MLflow server keeps what it serves as mlflow-artifacts:/ (its --artifacts-destination).",
)
@click.option("--dry-run", is_flag=True, help="Count what there is, and write nothing.")
@json_option
def import_mlflow(client: Client, source: str, artifacts: str | None, dry_run: bool, as_json: bool) -> None:
    """Take over an MLflow store, then compare both sides by counts and digests.

    SOURCE is a server (http://...), a database (sqlite:///mlflow.db, postgresql://...) or an mlruns folder. It is only
    read. May be stopped and called again at any time: what is here already is passed over. The exit code is 1 when
    something could not be taken over, or both sides differ.
    """
    from holdfast.cli.importing.copying import Copier
    from holdfast.cli.importing.report import compare, count
    from holdfast.cli.importing.target import Target

    opened, target = _open(source, artifacts), Target(client)
    counts = count(opened)
    if dry_run:
        if as_json:
            print_json({"there": counts})
        else:
            print_table(
                ("kind", "there"), [(kind, found) for kind, found in counts.items()], empty="Nothing."
            )
        return
    with progress() as display:
        task = display.add_task("importing", total=counts["runs"] + counts["versions"])
        copier = Copier(opened, target, lambda _what: display.advance(task))
        copier.copy()
        display.update(task, description="comparing")
        lines = compare(opened, target)
    is_equal = all(line.is_equal for line in lines)
    if as_json:
        told = [{**_plain(line), "is_equal": line.is_equal} for line in lines]
        print_json({"kinds": told, "problems": copier.problems, "is_equal": is_equal})
    else:
        rows = [
            (one.kind, one.there, one.here, short(one.digest_here), "equal" if one.is_equal else "DIFFERENT")
            for one in lines
        ]
        print_table(("kind", "there", "here", "digest", ""), rows, empty="")
        for problem in copier.problems:
            click.echo(f"{problem.what}: {problem.why}", err=True)
    if copier.problems or not is_equal:
        sys.exit(1)


def _plain(line: object) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(line)
    return found


def _open(source: str, artifacts: str | None) -> Source:
    from holdfast.cli.importing.files import Artifacts

    scheme = urlsplit(source).scheme.split("+")[0]
    if scheme in ("http", "https"):
        from holdfast.cli.importing.rest import RestSource

        return RestSource(source, Artifacts(artifacts))
    try:
        if scheme in ("sqlite", "postgresql", "postgres"):
            from holdfast.cli.importing.sql import SqlSource

            return SqlSource(source, Artifacts(artifacts))
        from holdfast.cli.importing.folder import FolderSource

        folder = Path(urlsplit(source).path if scheme == "file" else source)
        if not folder.is_dir():
            raise InvalidInput(
                f"{source[:200]!r} is no folder, database or server.",
                hint="Give http://HOST:PORT, sqlite:///mlflow.db, postgresql://... or the folder mlruns.",
            )
        return FolderSource(folder, Artifacts(artifacts))
    except ImportError as error:
        raise InvalidInput(
            f"Reading {source[:200]} needs {error.name}.",
            hint="Install it with: pip install 'holdfast[server]'",
        ) from error

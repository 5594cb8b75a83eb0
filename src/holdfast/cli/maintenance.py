"""`holdfast backup`, `restore` and `upgrade`: a deployment into one file, out of one, and to this version."""

from __future__ import annotations

import click

from holdfast.cli.processes import data_option, database_option, keys_option, objects_option, start_process

__all__ = ["backup", "restore", "upgrade"]

_passphrase = click.option(
    "--passphrase-file",
    metavar="FILE",
    help="File whose first line is the passphrase of the keys (or HOLDFAST_BACKUP_PASSPHRASE).",
)


@click.command()
@click.argument("file", metavar="FILE")
@data_option
@database_option
@objects_option
@keys_option
@_passphrase
def backup(
    file: str, data: str, database: str | None, objects: str, keys: str | None, passphrase_file: str | None
) -> None:
    """Write everything into one new FILE, while servers and workers go on: database, objects, prediction log.

    The keys are in it only when a passphrase is given, encrypted under it. Prints what it holds as JSON; exit code 1
    when a damaged object or audit entry was met (the file holds it as it is).
    """
    start_process(["backup", file, *_places(data, objects, keys, passphrase_file)], database)


@click.command()
@click.argument("file", metavar="FILE")
@data_option
@database_option
@objects_option
@keys_option
@_passphrase
@click.option("--without-keys", is_flag=True, help="Leave the keys that the backup holds; new ones are made.")
def restore(
    file: str,
    data: str,
    database: str | None,
    objects: str,
    keys: str | None,
    passphrase_file: str | None,
    without_keys: bool,
) -> None:
    """Restore a backup into an empty data folder, database and object store, of either kind: all of it or nothing."""
    arguments = ["restore", file, *_places(data, objects, keys, passphrase_file)]
    start_process([*arguments, *["--without-keys"] * without_keys], database)


@click.command()
@data_option
@database_option
@click.option("--check", is_flag=True, help="Only tell; exit code 1 when there is something to do.")
@click.option("--no-backup", is_flag=True, help="Make no copy first: there is a backup.")
def upgrade(data: str, database: str | None, check: bool, no_backup: bool) -> None:
    """Bring the database of an older version to this one's schema: copy it, migrate it, verify it.

    Needs the server to be stopped. A server of this version does the same at its start, without the copy.
    """
    flags = [*["--check"] * check, *["--no-backup"] * no_backup]
    start_process(["upgrade", "--data", data, *flags], database)


def _places(data: str, objects: str, keys: str | None, passphrase_file: str | None) -> list[str]:
    given = ["--data", data, "--objects", objects]
    for option, value in (("--keys", keys), ("--passphrase-file", passphrase_file)):
        given += [] if value is None else [option, value]
    return given

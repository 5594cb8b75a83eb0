"""`holdfast objects`: upkeep of the object store, for the administrator, beside a running server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option
from holdfast.cli.processes import data_option, database_option, objects_option, start_process

__all__ = ["objects"]


@click.group(cls=NounGroup)
def objects() -> None:
    """The object store of a data folder: what it holds, whether it is whole, what can go."""


def _upkeep(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    def wrap(command: Callable[..., Any]) -> click.Command:
        return objects.command(name)(data_option(database_option(objects_option(json_option(command)))))

    return wrap


@_upkeep("show")
def show_objects(data: str, database: str | None, objects: str, as_json: bool) -> None:
    """Show how much is stored: objects, loose files, packs and chunks."""
    _start("show", data, database, objects, as_json)


@_upkeep("verify")
def verify_objects(data: str, database: str | None, objects: str, as_json: bool) -> None:
    """Read and check every object and pack; exit code 1 when one is damaged, each named with what refers to it."""
    _start("verify", data, database, objects, as_json)


@_upkeep("pack")
def pack_objects(data: str, database: str | None, objects: str, as_json: bool) -> None:
    """Pack every loose object now; the worker packs those that are ten minutes old."""
    _start("pack", data, database, objects, as_json)


@_upkeep("gc")
def collect_objects(data: str, database: str | None, objects: str, as_json: bool) -> None:
    """Collect garbage now: mark what nothing refers to, delete what was marked a day ago."""
    _start("gc", data, database, objects, as_json)


def _start(verb: str, data: str, database: str | None, url: str, as_json: bool) -> None:
    arguments = ["objects", verb, "--data", data, "--objects", url, *(["--json"] if as_json else [])]
    start_process(arguments, database)

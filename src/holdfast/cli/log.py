"""`holdfast log`: what jobs in any language say of the run that they belong to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import with_client
from holdfast.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from holdfast.client import ActiveRun, Client

__all__ = ["log"]

_run_option = click.option(
    "--run", "run_id", metavar="RUN", envvar="HOLDFAST_RUN_ID",
    help="The run (or HOLDFAST_RUN_ID, which `holdfast run` sets).",
)  # fmt: skip
_stdin_option = click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read them from standard input, line by line."
)


@click.group(cls=NounGroup)
def log() -> None:
    """Log to the run of `holdfast run` from any language.

    What is logged is kept on this machine when no server answers; `holdfast sync` delivers it then.
    """


@log.command("metric")
@with_client
@_run_option
@_stdin_option
@click.option("--step", type=int, metavar="N", help="By default one after the metric's last.")
@click.argument("key", required=False)
@click.argument("value", required=False)
def log_metric(
    client: Client, run_id: str | None, from_stdin: bool, step: int | None, key: str | None, value: str | None
) -> None:
    """Log a point of the metric KEY. Put -- before a negative VALUE: holdfast log metric -- delta -0.5

    Lines of --stdin: KEY VALUE [STEP] (apart by tabs, or by spaces), or a JSON object of metrics with "step".
    """
    if from_stdin:
        _no_arguments(key, value)
        with _run(client, run_id, needs_steps=True) as run:
            for number, line in _lines():
                with _naming(number):
                    _log_line(run, line, step)
        return
    if key is None or value is None:
        raise click.UsageError("Give KEY and VALUE, or --stdin.")
    point = _number(key, value)
    with _run(client, run_id, needs_steps=step is None) as run:
        if step is None and run.is_offline:
            raise InvalidInput(
                f"The last step of {key!r} is not known offline.",
                hint="Give --step, or all points by --stdin.",
            )
        run.log_metric(key, point, step)


@log.command("param")
@with_client
@_run_option
@_stdin_option
@click.argument("key", required=False)
@click.argument("value", required=False)
def log_param(
    client: Client, run_id: str | None, from_stdin: bool, key: str | None, value: str | None
) -> None:
    """Log the param KEY. Lines of --stdin: KEY VALUE, the value up to the line's end."""
    values = _pairs(from_stdin, key, value)
    with _run(client, run_id) as run:
        run.log_params(values)


@log.command("tag")
@with_client
@_run_option
@_stdin_option
@click.argument("key", required=False)
@click.argument("value", required=False)
def set_tag(client: Client, run_id: str | None, from_stdin: bool, key: str | None, value: str | None) -> None:
    """Set the tag KEY. Lines of --stdin: KEY VALUE, the value up to the line's end."""
    values = _pairs(from_stdin, key, value)
    with _run(client, run_id) as run:
        run.set_tags(values)


@log.command("artifact")
@with_client
@_run_option
@click.option("--path", metavar="PATH", help="Where it stands in the run, by default the file's name.")
@click.argument("file", type=click.Path(path_type=Path))
def log_artifact(client: Client, run_id: str | None, path: str | None, file: Path) -> None:
    """Store FILE, or a folder with all that is in it, with the run."""
    with _run(client, run_id) as run:
        run.log_artifact(file, path)


def _run(client: Client, run_id: str | None, *, needs_steps: bool = False) -> ActiveRun:
    """The run, which is asked for only where its last steps have to be known."""
    if not run_id:
        raise InvalidInput(
            "It is not said which run to log to.",
            hint="Start the job by `holdfast run -- COMMAND`, or give --run or HOLDFAST_RUN_ID.",
        )
    from holdfast.client.active import join_run, known_run  # here, so that --help does not wait for it
    from holdfast.client.connection import is_offline

    if is_offline():
        return join_run(client, run_id, offline=True)
    if not needs_steps:
        return known_run(client, run_id)
    try:
        return join_run(client, run_id)
    except Unavailable as error:
        error.hint += " With --step it is kept on this machine until a server answers."
        raise


def _log_line(run: ActiveRun, line: str, step: int | None) -> None:
    if line.lstrip().startswith("{"):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"It is no JSON: {error}.") from None
        at = values.pop("step", step)
        run.log_metrics({key: _number(key, value) for key, value in values.items()}, at)
        return
    parts = line.split("\t") if "\t" in line else line.split()
    if len(parts) not in (2, 3):
        raise InvalidInput(f"It has {len(parts)} parts, not KEY VALUE [STEP].")
    if len(parts) == 3:
        try:
            step = int(parts[2])
        except ValueError:
            raise InvalidInput(f"The step {parts[2]!r} is not a whole number.") from None
    run.log_metric(parts[0], _number(parts[0], parts[1]), step)


def _number(key: str, value: object) -> float:
    if isinstance(value, (str, int, float)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise InvalidInput(f"The metric {key!r} has the value {value!r}, which is not a number.")


def _pairs(from_stdin: bool, key: str | None, value: str | None) -> dict[str, str]:
    if not from_stdin:
        if key is None or value is None:
            raise click.UsageError("Give KEY and VALUE, or --stdin.")
        return {key: value}
    _no_arguments(key, value)
    pairs: dict[str, str] = {}
    for number, line in _lines():
        parts = line.split("\t", 1) if "\t" in line else line.split(None, 1)
        if len(parts) != 2:
            raise InvalidInput(f"Line {number} of standard input is not KEY VALUE: {line[:80]!r}.")
        pairs[parts[0]] = parts[1]
    return pairs


def _no_arguments(*arguments: str | None) -> None:
    if any(argument is not None for argument in arguments):
        raise click.UsageError("Give KEY and VALUE, or --stdin, not both.")


def _lines() -> Iterator[tuple[int, str]]:
    """The lines of standard input with their numbers, empty ones left out."""
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            yield number, line.rstrip("\r\n")


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Names the line of standard input in an error."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(
            f"Line {number} of standard input: {error.message}",
            hint=f"{error.hint} What stands before it is logged.".lstrip(),
        ) from None

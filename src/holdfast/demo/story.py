"""The demo from beginning to end: server, training, deployment, a year of predictions, what the monitor
found.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.client import Client, Endpoint
from holdfast.client.command import record_command
from holdfast.demo.flights import load_flights
from holdfast.demo.server import free_port, running_server
from holdfast.demo.table import alerts_text, closing_table, pages_text
from holdfast.demo.year import Week, live_through, weeks_of
from holdfast.kernel.errors import HoldfastError, NotFound, Unavailable
from holdfast.kernel.times import iso

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ENDPOINT", "EXPERIMENT", "MODEL", "run_demo"]

EXPERIMENT = MODEL = "flights"
ENDPOINT = "flight-delays"
_FIRST_WEEK = 8
_YEAR = range(_FIRST_WEEK, 54)
_QUARTER = range(_FIRST_WEEK, _FIRST_WEEK + 13)
_CATCH_UP_S = 180.0
_POLL_S = 0.3
_LINE = 110


def run_demo(
    data: Path, *, quick: bool = False, port: int | None = None, console: Console | None = None
) -> None:
    """Live through the year (`quick`: three months) on the folder `data`, then print what happened and where.

    On a folder of an earlier demo it goes on where that one ended. In a terminal it serves until Ctrl-C.
    """
    console = console or _console()
    start = time.monotonic()
    console.print(f"holdfast demo: {'three months' if quick else 'a year'} of flights, data in {data}")
    with (
        _ending_cleanly(),
        running_server(data, port or free_port()) as (client, process),
        _progress(console) as progress,
    ):
        console.print(f"server   {client.url}")
        flights = _load(progress)
        endpoint = _deployed(client) or _train_and_deploy(client, progress, console)
        weeks = weeks_of(flights, _QUARTER if quick else _YEAR)
        _live(client, weeks, progress)
        report = _wait_for_monitor(client, weeks, progress)
        progress.stop()
        console.print(closing_table(report))
        for text in (alerts_text(report), pages_text(client, endpoint)):
            console.print(f"{text}\n", highlight=False, markup=False, soft_wrap=True)
        console.print(f"Took {time.monotonic() - start:.0f} s.", highlight=False)
        if console.is_terminal:
            console.print("Serving until Ctrl-C.")
            _serve(process)


def _console() -> Console:
    """The terminal; a file or pipe gets lines that are long enough for the table."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_LINE)


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Within it, SIGTERM and a closed terminal end the program by SystemExit, so that the server ends with it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield progress


def _load(progress: Progress) -> pl.DataFrame:
    task = progress.add_task("read flights and weather", total=1, note="")
    flights = load_flights()
    progress.update(task, completed=1, note=f"{flights.height:,} flights of 2013")
    return flights


def _deployed(client: Client) -> Endpoint | None:
    """The endpoint of an earlier demo on this folder, once it answers again."""
    try:
        client.get_endpoint(ENDPOINT)
    except NotFound:
        return None
    return client.wait_until_live(ENDPOINT)


def _train_and_deploy(client: Client, progress: Progress, console: Console) -> Endpoint:
    """Run the training script as a user would, point @production at its version, and serve that."""
    task = progress.add_task("train on January and February", total=1, note="")
    command = [sys.executable, "-m", "holdfast.demo.train", "--register", MODEL]
    result = record_command(client, command, experiment=EXPERIMENT, name="first model", echo=False)
    if result.exit_code != 0:
        raise HoldfastError(
            f"The training failed with exit code {result.exit_code}.",
            hint=f"Its output: {client.url}/runs/{result.run.run_id}",
        )
    error = result.run.metrics["reference error"].last
    progress.update(task, completed=1, note=f"error {error:.3f} on held-out days")
    version = max(item.version for item in client.get_model(MODEL).versions)
    client.set_alias(MODEL, "production", version, reason="first model of the demo")
    task = progress.add_task(f"deploy {MODEL}@production", total=1, note="")
    client.deploy(f"{MODEL}@production", ENDPOINT, clock="event", window="1w")
    live = client.wait_until_live(
        ENDPOINT, on_change=lambda found: progress.update(task, note=found.status, refresh=True)
    )
    progress.update(task, completed=1, note=f"version {live.live_version} answers at {ENDPOINT}")
    return live


def _live(client: Client, weeks: list[Week], progress: Progress) -> None:
    rows = sum(week.rows for week in weeks)
    task = progress.add_task("predict week by week", total=rows, note="")

    def on_rows(week: Week, count: int) -> None:
        progress.update(task, advance=count, note=f"week of {iso(week.start)[:10]}")

    live_through(client, ENDPOINT, weeks, on_rows)


def _wait_for_monitor(client: Client, weeks: list[Week], progress: Progress) -> dict[str, Any]:
    """The monitor's document by month, once it holds every prediction and every outcome of `weeks`.

    Raises Unavailable when that takes more than three minutes without progress.
    """
    rows, labelled = sum(week.rows for week in weeks), sum(week.labelled for week in weeks)
    task = progress.add_task("monitor catches up", total=rows + labelled, note="")
    seen, patience = -1, time.monotonic() + _CATCH_UP_S
    while True:
        report = client.monitor(ENDPOINT, window="1mo")
        done = sum(item["rows"] + item["labelled"] for item in report["windows"])
        progress.update(task, completed=min(done, rows + labelled))
        if done >= rows + labelled:
            return report
        if done > seen:
            seen, patience = done, time.monotonic() + _CATCH_UP_S
        elif time.monotonic() > patience:
            raise Unavailable(
                f"The monitor has {seen:,} of {rows + labelled:,} predictions and outcomes and stands still.",
                hint=f"See {client.url}/endpoints/{ENDPOINT} and run the demo again: it goes on where it stopped.",
            )
        time.sleep(_POLL_S)


def _serve(process: subprocess.Popen[bytes]) -> None:
    """Wait until Ctrl-C, or until the server ends by itself."""
    try:
        code = process.wait()
    except KeyboardInterrupt:
        return
    raise Unavailable(f"The server ended with code {code}.")

"""`holdfast demo`: a year of real flights."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli.processes import require_extra

__all__ = ["demo"]


@click.command()
@click.option("--quick", is_flag=True, help="Three months instead of a year.")
@click.option("--port", type=click.IntRange(1, 65534), help="Port (default: 5000, or a free one).")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default="holdfast-demo", show_default=True,
              metavar="DIR", help="Data folder; one of an earlier demo is continued.")  # fmt: skip
def demo(quick: bool, port: int | None, data: Path) -> None:
    """Live through a year of real flights: train, deploy, predict, monitor.

    Serves until Ctrl-C in a terminal, otherwise ends when the story is told.
    """
    require_extra(
        ("starlette", "polars", "deltalake", "onnxruntime", "sklearn"), "server,demo", "holdfast demo"
    )
    from holdfast.demo.story import run_demo  # needs the server and demo extras

    run_demo(data, quick=quick, port=port)

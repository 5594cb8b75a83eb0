"""Options that many commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    pass

__all__ = ["json_option", "limit_option", "with_client", "with_client_or_folder"]

Command = TypeVar("Command", bound=Callable[..., Any])


def with_client(command: Command) -> Command:
    """Add --server, --token and --workspace and pass the command a `client` as its first argument."""

    @functools.wraps(command)
    def wrapped(
        *args: Any, server: str | None, token: str | None, workspace: str | None, **kwargs: Any
    ) -> Any:
        from holdfast.client import Client  # here, so that --help does not wait for it

        with Client(server, token=token, workspace=workspace) as client:
            return command(client, *args, **kwargs)

    for option in (
        click.option("--workspace", metavar="NAME", help="Workspace (or HOLDFAST_WORKSPACE)."),
        click.option("--token", metavar="TOKEN", help="API token (or HOLDFAST_TOKEN)."),
        click.option(
            "--server", metavar="URL", help="Server (or HOLDFAST_URL; default http://127.0.0.1:5000)."
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def with_client_or_folder(command: Command) -> Command:
    """As `with_client`, and --data: then `client` is None and `data` the folder to work on without a server."""

    @functools.wraps(command)
    def wrapped(client: Any, *args: Any, data: str | None, **kwargs: Any) -> Any:
        return command(None if data is not None else client, data, *args, **kwargs)

    option = click.option(
        "--data", metavar="DIR", help="Work on this data folder itself, on the server's machine."
    )
    return with_client(option(wrapped))  # type: ignore[return-value]


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def limit_option(command: Command) -> Command:
    """Add --limit."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=50,
        show_default=True,
        help="At most so many, newest first.",
    )(command)

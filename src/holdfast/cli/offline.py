"""Commands that work on a data folder itself, without a server, through `python -m holdfast.app`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, TypeVar

import click
import msgspec

from holdfast.cli.processes import require_server

__all__ = ["on_folder", "read_password"]

T = TypeVar("T")


def on_folder(action: str, data: str, body: dict[str, Any], kind: type[T]) -> T:
    """What `action` gives on the data folder. Ends this process with the other's exit code when it is refused."""
    require_server(f"holdfast ... --data {data}")
    command = [sys.executable, "-m", "holdfast.app", "identity", action, "--data", data]
    done = subprocess.run(command, input=msgspec.json.encode(body), stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return msgspec.json.decode(done.stdout, type=kind, strict=False)


def read_password(*, from_stdin: bool, needed: bool) -> str | None:
    """A password from standard input, or asked for twice at a terminal; None where neither is there nor needed."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if needed or sys.stdin.isatty():
        password: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, default="", show_default=False
        )
        return password or None
    return None

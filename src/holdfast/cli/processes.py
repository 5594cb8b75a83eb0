"""`holdfast server`, `worker` and `serve`: start the server's processes."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence

import click

from holdfast.kernel.errors import Unavailable
from holdfast.settings import DATABASE_VARIABLE, LEVELS

__all__ = [
    "data_option",
    "database_option",
    "keys_option",
    "objects_option",
    "require_extra",
    "require_server",
    "serve",
    "server",
    "start_process",
    "worker",
]

_NEEDED = ("starlette", "uvicorn", "sqlalchemy", "polars", "deltalake", "onnxruntime")

_log_level = click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="warning",
    show_default=True,
    help="What goes to standard error, as JSON lines; info has one per request.",
)
keys_option = click.option(
    "--keys", metavar="DIR", help="Folder of the keys (default: keys/ in the data folder)."
)
_allow_egress = click.option(
    "--allow-egress",
    metavar="HOST|CIDR",
    multiple=True,
    help="Where webhooks and the like may connect beside public https; repeatable.",
)
database_option = click.option(
    "--database",
    metavar="URL",
    envvar=DATABASE_VARIABLE,
    help="postgresql://USER@HOST/NAME instead of SQLite in the data folder "
    f"(or {DATABASE_VARIABLE}; the password may stand in ~/.pgpass).",
)
data_option = click.option(
    "--data", metavar="DIR", default="holdfast-data", show_default=True, help="Data folder."
)
_allow_host = click.option(
    "--allow-host",
    "allow_hosts",
    metavar="NAME",
    multiple=True,
    help="A host name, beside loopback's, by which clients reach this server; *.DOMAIN is any below it; repeatable.",
)
objects_option = click.option(
    "--objects", metavar="URL", envvar="HOLDFAST_OBJECTS", default="",
    help="Object store: a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix (or "
    "HOLDFAST_OBJECTS; default: the folder 'objects' of the data folder). Credentials come from the environment.",
)  # fmt: skip


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on."
)
@data_option
@objects_option
@keys_option
@_allow_egress
@database_option
@click.option("--no-worker", is_flag=True, help="Do not start the background worker.")
@click.option("--no-inference", is_flag=True, help="Do not start the inference server (port + 1).")
@_allow_host
@click.option("--trusted-proxy", "trusted_proxies", metavar="ADDRESS|CIDR", multiple=True,
              help="Whose X-Forwarded-For and X-Forwarded-Proto are believed; repeatable.")  # fmt: skip
@click.option("--request-limit", type=click.IntRange(min=0), default=1000, show_default=True,
              help="Requests a second that one user may send; 0 is no limit.")  # fmt: skip
@_log_level
def server(
    host: str,
    port: int,
    data: str,
    objects: str,
    keys: str | None,
    allow_egress: tuple[str, ...],
    database: str | None,
    no_worker: bool,
    no_inference: bool,
    allow_hosts: tuple[str, ...],
    trusted_proxies: tuple[str, ...],
    request_limit: int,
    log_level: str,
) -> None:
    """Start holdfast: web pages, API, worker and inference server."""
    arguments = ["server", "--host", host, "--port", str(port), "--data", data, "--log-level", log_level]
    arguments += _shared(objects, keys, allow_egress)
    arguments += ["--no-worker"] * no_worker + ["--no-inference"] * no_inference
    arguments += _each("--allow-host", allow_hosts) + _each("--trusted-proxy", trusted_proxies)
    arguments += ["--request-limit", str(request_limit)]
    start_process(arguments, database)


@click.command()
@data_option
@objects_option
@keys_option
@_allow_egress
@database_option
@_log_level
def worker(
    data: str,
    objects: str,
    keys: str | None,
    allow_egress: tuple[str, ...],
    database: str | None,
    log_level: str,
) -> None:
    """Start a background worker on a server's data folder, or beside others on its database."""
    arguments = ["worker", "--data", data, "--log-level", log_level, *_shared(objects, keys, allow_egress)]
    start_process(arguments, database)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5001, show_default=True, help="Port to listen on."
)
@click.option("--server", "url", metavar="URL", envvar="HOLDFAST_URL", default="http://127.0.0.1:5000",
              show_default=True, help="The control plane to serve for (or HOLDFAST_URL).")  # fmt: skip
@click.option("--data", metavar="DIR", default="holdfast-data/inference", show_default=True,
              help="Folder for models and the log on their way.")  # fmt: skip
@click.option("--replica", metavar="NAME", default=lambda: _machine_name(), show_default="this machine's name",
              help="What it is called among the replicas: another name for each.")  # fmt: skip
@click.option("--token-file", metavar="FILE",
              help="File with the token for the control plane (or HOLDFAST_TOKEN); on the server's machine "
              "DATA/inference.token.")  # fmt: skip
@click.option(
    "--url", "own_url", metavar="URL", help="The address that clients are told (default: where it listens)."
)
@_allow_host
@_log_level
def serve(
    host: str,
    port: int,
    url: str,
    data: str,
    replica: str,
    token_file: str | None,
    own_url: str | None,
    allow_hosts: tuple[str, ...],
    log_level: str,
) -> None:
    """Start an inference server for a control plane.

    It needs a token of a service account that has the role inference on the deployment.
    """
    arguments = ["inference", "--host", host, "--port", str(port), "--server", url, "--data", data]
    arguments += ["--replica", replica]
    arguments += [] if token_file is None else ["--token-file", token_file]
    arguments += [] if own_url is None else ["--url", own_url]
    arguments += _each("--allow-host", allow_hosts)
    start_process([*arguments, "--log-level", log_level])


def _machine_name() -> str:
    """This machine's name in the letters that a replica's may have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname()).strip("-_")[:64] or "local"


def require_extra(names: Sequence[str], extra: str, command: str) -> None:
    """Raise Unavailable naming the extra to install when a module is missing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"`{command}` needs the packages of the {extra!r} extra; {missing[0]} is not installed.",
            hint=f"Install them: pip install 'holdfast[{extra}]'",
        )


def require_server(command: str) -> None:
    """Raise Unavailable when the packages of the extra `server` are not installed."""
    require_extra(_NEEDED, "server", command)


def _shared(objects: str, keys: str | None, allow_egress: Sequence[str]) -> list[str]:
    """The options that the server and the worker have in common."""
    given = ["--objects", objects, *([] if keys is None else ["--keys", keys])]
    return given + _each("--allow-egress", allow_egress)


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def start_process(arguments: list[str], database: str | None = None) -> None:
    """Become the process (on Windows: run it and pass its exit code on)."""
    if database:
        os.environ[DATABASE_VARIABLE] = database
    require_server(f"holdfast {'serve' if arguments[0] == 'inference' else arguments[0]}")
    command = [sys.executable, "-m", "holdfast.app", *arguments]
    if os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, command)
    sys.exit(subprocess.run(command, check=False).returncode)

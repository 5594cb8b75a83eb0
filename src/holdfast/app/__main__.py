"""`python -m holdfast.app server|worker|inference|fold|objects`: one process of holdfast."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast.kernel.errors import HoldfastError
from holdfast.settings import DATABASE_VARIABLE, LEVELS, Settings

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process; the exit code: 0 ended as asked, 1 refused or failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        if getattr(options, "database", None):
            os.environ[DATABASE_VARIABLE] = options.database  # for the children too
        # Each process loads what it alone needs: the worker no web server, the inference server no database.
        process = importlib.import_module(f"holdfast.app.{options.process}")
        return int(process.run(options))
    except HoldfastError as error:
        print(f"holdfast: {error.message}", file=sys.stderr)  # noqa: T201 - the process' last words to its user
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)  # noqa: T201
        print(f"  error {error.code}: docs/reference/errors.md#{error.code}", file=sys.stderr)  # noqa: T201
        return 1


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the options and the environment stand for."""
    return Settings(
        data=options.data.expanduser().absolute(),
        database_url=os.environ.get(DATABASE_VARIABLE, ""),
        host=getattr(options, "host", "127.0.0.1"),
        port=getattr(options, "port", 5000),
        worker=not getattr(options, "no_worker", False),
        inference=not getattr(options, "no_inference", False),
        keys_folder=_folder(getattr(options, "keys", None)),
        keys_command=os.environ.get("HOLDFAST_KEYS_COMMAND", ""),
        allow_egress=tuple(getattr(options, "allow_egress", ())),
        allow_hosts=tuple(getattr(options, "allow_host", None) or ()),
        trusted_proxies=tuple(getattr(options, "trusted_proxy", None) or ()),
        request_limit=getattr(options, "request_limit", 1000),
        objects_url=getattr(options, "objects", ""),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m holdfast.app")
    processes = parser.add_subparsers(dest="process", required=True)
    server = processes.add_parser("server", help="the control plane, with its children")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=_port, default=5000)
    server.add_argument("--data", type=Path, default=Path("holdfast-data"))
    server.add_argument("--no-worker", action="store_true")
    server.add_argument("--no-inference", action="store_true")
    server.add_argument("--allow-host", action="append")
    server.add_argument("--trusted-proxy", action="append")
    server.add_argument("--request-limit", type=int, default=1000)
    worker = processes.add_parser("worker", help="background work")
    worker.add_argument("--data", type=Path, default=Path("holdfast-data"))
    worker.add_argument("--supervised", action="store_true")
    for process in (server, worker):
        process.add_argument("--keys", type=Path)
        process.add_argument("--allow-egress", action="append", default=[])
    inference = processes.add_parser("inference", help="the inference server")
    inference.add_argument("--host", default="127.0.0.1")
    inference.add_argument("--port", type=_port, default=5001)
    inference.add_argument("--server", default="http://127.0.0.1:5000")
    inference.add_argument("--data", type=Path, default=Path("holdfast-data") / "inference")
    inference.add_argument("--token-file", type=Path)
    inference.add_argument("--url", default="")
    inference.add_argument("--replica", default="local")
    inference.add_argument("--allow-host", action="append")
    inference.add_argument("--supervised", action="store_true")
    fold = processes.add_parser("fold", help="one pass over the monitoring buckets, for the worker")
    fold.add_argument("--data", type=Path, required=True)
    doctor = processes.add_parser("doctor", help="look for what is wrong")
    doctor.add_argument("--data", type=Path, default=Path("holdfast-data"))
    doctor.add_argument("--keys", type=Path)
    doctor.add_argument("--deep", action="store_true")
    doctor.add_argument("--host", default="127.0.0.1")
    doctor.add_argument("--port", type=_port, default=5000)
    identity = processes.add_parser("identity", help="people of a data folder, without a server")
    identity.add_argument("action", choices=("add-user", "set-password", "create-token"))
    identity.add_argument("--data", type=Path, default=Path("holdfast-data"))
    backup = processes.add_parser("backup", help="everything into one file")
    restore = processes.add_parser("restore", help="everything out of one file")
    for process in (backup, restore):
        process.add_argument("file", type=Path)
        process.add_argument("--passphrase-file", type=Path)
    restore.add_argument("--without-keys", action="store_true")
    upgrade = processes.add_parser("upgrade", help="bring the database to this version's schema")
    upgrade.add_argument("--check", action="store_true")
    upgrade.add_argument("--no-backup", action="store_true")
    for process in (backup, restore, upgrade):
        process.add_argument("--data", type=Path, default=Path("holdfast-data"))
        process.add_argument("--keys", type=Path)
    administering = (backup, restore, upgrade, doctor, identity)
    objects = processes.add_parser("objects", help="upkeep of the object store")
    objects.add_argument("verb", choices=("show", "verify", "pack", "gc"))
    objects.add_argument("--data", type=Path, default=Path("holdfast-data"))
    objects.add_argument("--json", action="store_true")
    for process in (server, worker, fold, objects, *administering):
        process.add_argument("--database", metavar="URL", help=f"or {DATABASE_VARIABLE} in the environment")
        process.add_argument("--objects", default=os.environ.get("HOLDFAST_OBJECTS", ""))
    for process in (server, worker, inference, fold, objects, *administering):
        process.add_argument("--log-level", choices=LEVELS, default="warning")
    return parser


def _folder(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""The control plane's process: check, lock and migrate, then serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
import uvicorn

from holdfast.app.__main__ import settings_of
from holdfast.app.children import Children
from holdfast.app.compose import Composition, build_app
from holdfast.app.folder import hold_folder
from holdfast.app.services import Services
from holdfast.app.settling import Settler
from holdfast.kernel.errors import Conflict, InvalidInput
from holdfast.settings import DATABASE_VARIABLE, Settings
from holdfast.storage.location import describe, parse_location
from holdfast.storage.migrate import migrate, revision_of
from holdfast.version import __version__
from holdfast.web.hosts import is_loopback_host
from holdfast.web.logs import configure_logs
from holdfast.web.receiving import ReceivingProtocol
from holdfast.web.sockets import listen, netloc
from holdfast.web.telemetry import traced

__all__ = ["run"]

_GRACEFUL_S = 8
_SWITCH_S = 0.0005
_HIGHEST_PORT = 65_535
_TWO_PORTS = "Give another one with --port; the next port must be free too."


def run(options: argparse.Namespace) -> int:
    """Run the control plane and, unless switched off, its worker and inference server."""
    settings = settings_of(options)
    if settings.inference and settings.inference_port > _HIGHEST_PORT:
        raise InvalidInput(
            f"The port {settings.port} leaves none for the inference server, which takes the next one.",
            hint=f"Give a port up to {_HIGHEST_PORT - 1}, or --no-inference.",
        )
    is_local = is_loopback_host(settings.host)
    if not is_local and revision_of(settings.database) is None:
        raise _no_administrator(settings)
    configure_logs("server", options.log_level)
    with hold_folder(settings.data) as data:
        settings = msgspec.structs.replace(settings, data=data)
        migrate(settings.database)
        if not is_local:
            _require_administrator(settings)
        listener = listen(settings.host, settings.port, _TWO_PORTS)
        if settings.inference:
            listen(settings.host, settings.inference_port, _TWO_PORTS).close()
        _serve(settings, listener, options.log_level)
    return 0


def _require_administrator(settings: Settings) -> None:
    """Raises Conflict when the server would be reached from beyond this machine and nobody could administer it."""
    services = Services(settings)
    try:
        if services.people.has_administrator():
            return
    finally:
        services.close()
    raise _no_administrator(settings)


def _no_administrator(settings: Settings) -> Conflict:
    return Conflict(
        f"The address {settings.host!r} reaches beyond this machine, and nobody can administer this server yet.",
        hint=f"Make an administrator first: holdfast user add NAME --admin --data {settings.data}",
    )


def _serve(settings: Settings, listener: socket.socket, log_level: str) -> None:
    # A request passes between threads several times, and each time waits so long for one that computes: with Python's
    # own 5 ms the slowest of a hundred reads beside a busy writer takes 41 ms, with this 11 to 14.
    sys.setswitchinterval(_SWITCH_S)
    composition = Composition(settings)
    composition.objects.adopt()
    settler = Settler(composition.tracking.metrics)
    # The inference server never opens the database: it speaks HTTP to this one.
    children = Children(_commands(settings, log_level), hidden={"inference": [DATABASE_VARIABLE]})

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        children.start()
        settler.start()
        # What is built at start stays for good: keep the collector from walking it again and again.
        gc.collect()
        gc.freeze()
        print(_banner(composition), flush=True)  # noqa: T201 - tells the user where the server is
        yield
        composition.closing.set()
        await asyncio.to_thread(settler.stop)

    app = traced(build_app(composition, lifespan), "server")
    config = uvicorn.Config(
        app,
        http=ReceivingProtocol,  # type: ignore[arg-type]  # uvloop takes buffered protocols as well
        loop="uvloop",
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_S,
        server_header=False,
        proxy_headers=False,  # the guard believes the proxies that it was told of, uvicorn those of this machine
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = _Server(config, composition, children)
    try:
        server.run(sockets=[listener])
    finally:
        children.stop()
        composition.close()


class _Server(uvicorn.Server):
    """Ends with exit code 0 on SIGTERM and Ctrl-C: first the children, so that the inference server can still ship
    its log, then itself. A second signal ends it at once; what was acknowledged is on disk in any case."""

    def __init__(self, config: uvicorn.Config, composition: Composition, children: Children) -> None:
        super().__init__(config)
        self._composition = composition
        self._children = children
        self._ending = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals without raising them again afterwards, as uvicorn does by itself."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End the children in a thread, then the server."""
        self._composition.closing.set()
        if self._ending:
            super().handle_exit(sig, frame)
            return
        self._ending = True
        threading.Thread(target=self._end, args=(sig, frame), name="holdfast-end", daemon=True).start()

    def _end(self, sig: int, frame: Any) -> None:
        self._children.stop()
        super().handle_exit(sig, frame)


def _commands(settings: Settings, log_level: str) -> dict[str, list[str]]:
    commands: dict[str, list[str]] = {}
    if settings.worker:
        commands["worker"] = ["worker", "--data", str(settings.data), "--keys", str(settings.keys)]
        commands["worker"] += ["--objects", settings.objects]
        for entry in settings.allow_egress:
            commands["worker"] += ["--allow-egress", entry]
    if settings.inference:
        commands["inference"] = [
            "inference",
            "--host",
            settings.host,
            "--port",
            str(settings.inference_port),
            "--server",
            f"http://{netloc(_own_address(settings.host))}:{settings.port}",
            "--data",
            str(settings.data / "inference"),
            "--token-file",
            str(settings.inference_secret),
        ]
        for name in settings.allow_hosts:
            commands["inference"] += ["--allow-host", name]
    return {name: [*command, "--log-level", log_level] for name, command in commands.items()}


def _own_address(host: str) -> str:
    """By which address the children reach the server: one that stands for all addresses is none to connect to."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _banner(composition: Composition) -> str:
    settings = composition.settings
    address = f"http://{netloc(settings.host)}:{settings.port}"
    lines = [f"holdfast {__version__} serves at {address}", f"  data folder   {settings.data}"]
    if settings.database_url:
        lines.append(f"  database      {describe(parse_location(settings.database_url))}")
    if settings.inference:
        lines.append(f"  inference     http://{netloc(settings.host)}:{settings.inference_port}")
    if sys.stdout.isatty() and is_loopback_host(settings.host):
        # For the person at this terminal alone: an address with a secret must not get into log files.
        lines.append(f"  administrator {address}/sign-in?code={composition.sessions.make_code()}")
        lines.append("  Ctrl-C ends it")
    return "\n".join(lines)

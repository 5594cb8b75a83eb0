"""The inference server's process: what it is made of, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import Conflict, IntegrityError, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.serving.inference.app import InferenceApp
from holdfast.serving.inference.authorize import Authorizer
from holdfast.serving.inference.cache import Cache
from holdfast.serving.inference.control_plane import ControlPlane
from holdfast.serving.inference.endpoints import Endpoints
from holdfast.serving.inference.follow import Follower, Reporter
from holdfast.serving.inference.loader import Loader
from holdfast.serving.inference.predict import Predictor
from holdfast.serving.inference.settings import InferenceSettings
from holdfast.serving.inference.ship import Shipper
from holdfast.serving.inference.spool import Spool, SpoolWriter
from holdfast.serving.inference.turn import Turn
from holdfast.serving.records import DesiredState, Heartbeat
from holdfast.web.hosts import Hosts, is_loopback_host
from holdfast.web.sockets import listen, netloc
from holdfast.web.telemetry import traced

__all__ = ["run"]

_log = logging.getLogger("holdfast.inference")
_TICK_S = 0.5
_GC_THRESHOLDS = (20_000, 20, 50)
"""A request makes a hundred lists that go with it: the usual 700 would start a collection every few requests."""
_LAST_SHIPPING_S = 5.0
_ASK_TIMEOUT_S = 3.0


def run(settings: InferenceSettings) -> int:
    """Serve until told to end; the exit code."""
    with (
        _hold(settings.data_dir),
        contextlib.closing(listen(settings.host, settings.port)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_Process(settings, listener).serve())
    return 0


def _reachable(host: str) -> str:
    """The address to tell others: this machine's name where the server listens on all addresses."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else host


class _Process:
    """Everything of one running inference server."""

    def __init__(self, settings: InferenceSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self._url = settings.url or f"http://{netloc(_reachable(host))}:{port}"
        self._boot = new_id()
        self._clock = SystemClock()
        self._cache = Cache(settings.data_dir, settings.public_key)
        self._spool = Spool(settings.data_dir / "spool")
        self._spool.close_leftovers()
        self._shipper = Shipper(self._spool, self._control_plane(), self._boot)
        self._reporter = Reporter(self._control_plane(), settings.replica, self._heartbeat)
        loader = Loader(settings, self._cache)
        self._endpoints = Endpoints(loader.load, self._writer, self._changed)
        turn = Turn(self._clock, self._in_flight)
        self._predictor = Predictor(self._endpoints, self._clock, turn)
        is_local = is_loopback_host(settings.host)
        self._authorizer = Authorizer(
            ControlPlane(settings.control_plane_url, settings.token, _ASK_TIMEOUT_S),
            settings.data_dir / "callers.json",
            allows_nobody=is_local,
        )
        hosts = Hosts(settings.allow_hosts, allows_addresses=not is_local)
        app = InferenceApp(
            self._endpoints, self._predictor, self._authorizer, hosts, settings.body_bytes, self._gauges
        )
        self._server = _Server(self._config(traced(app, "inference")))
        self._log_bytes = 0

    def _control_plane(self) -> ControlPlane:
        return ControlPlane(self._settings.control_plane_url, self._settings.token)

    def _writer(self, endpoint_id: str) -> SpoolWriter:
        s = self._settings
        return SpoolWriter(
            self._spool.folder, endpoint_id, s.replica, self._boot, s.segment_bytes, self._shipper.wake
        )

    def _in_flight(self) -> int:
        return len(self._server.server_state.tasks)

    def _changed(self) -> None:
        self._cache.keep_only(self._endpoints.digests())
        self._reporter.wake()

    def _heartbeat(self, status: str) -> Heartbeat:
        endpoints = {name: endpoint.report() for name, endpoint in list(self._endpoints.by_name.items())}
        return Heartbeat(self._url, self._endpoints.generation, status, endpoints)

    def _gauges(self) -> list[tuple[str, str, float]]:
        written = sum(endpoint.writer.bytes_written for endpoint in self._endpoints.by_name.values())
        return [
            (
                "holdfast_inference_generation",
                "Generation of the desired state in force.",
                self._endpoints.generation,
            ),
            ("holdfast_inference_log_bytes", "Bytes written to the logs of the present endpoints.", written),
            (
                "holdfast_inference_segments_waiting",
                "Closed log segments not shipped yet.",
                self._shipper.waiting,
            ),
            (
                "holdfast_inference_segments_rejected",
                "Log segments the control plane refused.",
                self._spool.rejected(),
            ),
            (
                "holdfast_inference_log_failures",
                "Failed requests that could not be logged.",
                self._predictor.log_failures,
            ),
            (
                "holdfast_inference_following",
                "1 while the control plane is followed.",
                float(not self._follower.problem),
            ),
        ]

    async def serve(self) -> None:
        """Start everything, serve, and end in order: no new requests, close the logs, ship them, close the models."""
        loop = asyncio.get_running_loop()
        kept = self._kept_state()
        generation = 0 if kept is None else kept.generation

        def apply(state: DesiredState) -> None:
            loop.call_soon_threadsafe(self._endpoints.apply, state)

        self._follower = Follower(self._control_plane(), self._cache, generation, apply)
        if kept is not None:
            self._endpoints.apply(kept)
        self._end_on_signals(loop)
        self._shipper.start()
        self._follower.start()
        self._reporter.start()
        rotation = loop.create_task(self._rotate())
        gc.collect()
        gc.freeze()  # what is built at start stays: keep the collector from walking it again and again
        gc.set_threshold(*_GC_THRESHOLDS)
        print(f"holdfast inference serves at {self._url}", flush=True)  # noqa: T201 - tells who started it
        await self._server.serve(sockets=[self._listener])
        rotation.cancel()
        await self._end()

    async def _end(self) -> None:
        await asyncio.to_thread(self._follower.stop)
        await self._endpoints.close()
        await asyncio.to_thread(self._shipper.stop, _LAST_SHIPPING_S)
        await asyncio.to_thread(self._reporter.stop)
        await asyncio.to_thread(self._authorizer.close)

    def _kept_state(self) -> DesiredState | None:
        try:
            return self._cache.load_state()
        except IntegrityError as error:
            _log.error("the kept desired state is not used", extra={"fields": {"error": str(error)}})
            return None

    async def _rotate(self) -> None:
        """Close log segments by age."""
        age_ms = int(self._settings.segment_s * 1000)
        while True:
            await asyncio.sleep(min(_TICK_S, self._settings.segment_s / 2))
            for endpoint in list(self._endpoints.by_name.values()):
                try:
                    endpoint.writer.close_if_older(age_ms, self._clock.now_ms())
                except OSError:
                    _log.exception("a log segment could not be closed")

    def _config(self, app: Any) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, int(self._settings.drain_s)),
        )

    def _end_on_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        def end() -> None:
            self._server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        if self._settings.supervised:

            def watch() -> None:
                while os.read(sys.stdin.fileno(), 4096):
                    pass
                loop.call_soon_threadsafe(end)

            threading.Thread(target=watch, name="holdfast-parent", daemon=True).start()


class _Server(uvicorn.Server):
    """Leaves the signals to `_Process`: uvicorn raises them again at its end, before the log is shipped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Hold the lock of the data folder, so that no two replicas ship one spool."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(folder / "inference.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"The data folder {folder} can't be written: {error.strerror}.",
            hint="Give another one with --data.",
        ) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"The data folder {folder} is in use by another inference server.",
                hint="Stop it, or use --data.",
            ) from None
        yield
    finally:
        os.close(fd)

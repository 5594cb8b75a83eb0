"""The endpoints of the desired state, each with the model that answers: loading, hot swap, draining.

Everything here runs on the event loop; loading and closing models happens in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from holdfast.kernel.errors import HoldfastError, IntegrityError, InvalidInput, NotFound, Unavailable
from holdfast.serving.inference.metrics import EndpointFigures
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.spool import SpoolWriter
from holdfast.serving.records import DesiredEndpoint, DesiredState, EndpointReport

__all__ = ["Endpoint", "Endpoints"]

_log = logging.getLogger("holdfast.inference")
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 30.0


class Endpoint:
    """One endpoint: what is desired, and the model that answers now, which may be an earlier one."""

    def __init__(self, desired: DesiredEndpoint, writer: SpoolWriter) -> None:
        self.desired = desired
        self.writer = writer
        self.model: Model | None = None
        self.state = "loading"
        self.message = ""
        self.last_event_time: int | None = None
        self.figures = EndpointFigures()

    def ready_model(self, version: str | None = None) -> Model:
        """The model that answers. Raises Unavailable with the reason when there is none, NotFound for another version."""
        model = self.model
        if model is None:
            name = self.desired.name
            if self.state == "failed":
                raise Unavailable(
                    f"The endpoint {name!r} can't answer: version {self.desired.version} does not load: {self.message}",
                    hint="Deploy a version that loads.",
                    retry_after_s=30,
                )
            raise Unavailable(f"The endpoint {name!r} is still loading version {self.desired.version}.")
        if version is not None and version != model.version:
            raise NotFound(
                f"The endpoint {self.desired.name!r} does not serve the version {version[:40]!r}.",
                hint=f"It serves version {model.version}.",
            )
        return model

    def report(self) -> EndpointReport:
        """How this endpoint stands, for the heartbeat."""
        live = None if self.model is None else self.model.desired.version
        return EndpointReport(self.desired.deployment_id, self.state, self.message, live)


class Endpoints:
    """All endpoints of this replica by name. `on_change` is called whenever one becomes live or failed."""

    def __init__(
        self,
        load: Callable[[DesiredEndpoint], Model],
        make_writer: Callable[[str], SpoolWriter],
        on_change: Callable[[], None],
    ) -> None:
        self.by_name: dict[str, Endpoint] = {}
        self.generation = 0
        self.is_known = False
        self._load = load
        self._make_writer = make_writer
        self._on_change = on_change
        self._loading: dict[str, asyncio.Task[None]] = {}
        # One at a time of each kind: a converted model loads in milliseconds and must not wait behind originals,
        # each of which starts an interpreter of its own.
        self._loaders = {
            kind: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"holdfast-load-{kind}")
            for kind in ("onnx", "process")
        }
        self._closing: set[asyncio.Future[None]] = set()

    def apply(self, state: DesiredState) -> None:
        """Follow a desired state: take endpoints away, add new ones, load what differs."""
        self.generation, self.is_known = state.generation, True
        wanted = {endpoint.name: endpoint for endpoint in state.endpoints}
        for name in [
            name
            for name, held in self.by_name.items()
            if _id_of(wanted.get(name)) != held.desired.endpoint_id
        ]:
            self._remove(name)
        for name, desired in wanted.items():
            known = self.by_name.get(name)
            if known is None:
                self.by_name[name] = Endpoint(desired, self._make_writer(desired.endpoint_id))
                self._start_loading(self.by_name[name])
            elif known.desired.deployment_id != desired.deployment_id:
                known.desired = desired
                self._start_loading(known)
        self._on_change()

    def _remove(self, name: str) -> None:
        endpoint = self.by_name.pop(name)
        task = self._loading.pop(name, None)
        if task is not None:
            task.cancel()
        endpoint.writer.close()
        if endpoint.model is not None:
            self._retire(endpoint.model)
            endpoint.model = None

    def _start_loading(self, endpoint: Endpoint) -> None:
        name, model = endpoint.desired.name, endpoint.model
        task = self._loading.pop(name, None)
        if task is not None:
            task.cancel()
        if model is not None and _is_same(model.desired, endpoint.desired):
            model.desired = endpoint.desired
            endpoint.state, endpoint.message = "live", ""
            return
        endpoint.state, endpoint.message = "loading", ""
        self._loading[name] = asyncio.get_running_loop().create_task(self._keep_loading(endpoint))

    async def _keep_loading(self, endpoint: Endpoint) -> None:
        """Load what is desired; again after a wait when the control plane or the machine was the reason."""
        wait_s = _FIRST_RETRY_S
        while True:
            try:
                await self._load_once(endpoint)
                return
            except (InvalidInput, IntegrityError) as error:
                self._fail(endpoint, error)
                return
            except HoldfastError as error:
                self._fail(endpoint, error)
            except Exception as error:  # noqa: BLE001 - whatever a model's load raises, the endpoint must say so
                _log.exception("model load failed", extra={"fields": _fields(endpoint.desired)})
                self._fail(endpoint, HoldfastError(f"{type(error).__name__}: {error}"))
                return
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_RETRY_S)

    async def _load_once(self, endpoint: Endpoint) -> None:
        desired, loop = endpoint.desired, asyncio.get_running_loop()
        loading = loop.run_in_executor(self._loaders[desired.runtime], self._load, desired)
        try:
            model = await asyncio.shield(loading)
        except asyncio.CancelledError:
            loading.add_done_callback(_close_unwanted)
            raise
        before, endpoint.model = endpoint.model, model
        endpoint.state, endpoint.message = "live", ""
        self._loading.pop(desired.name, None)
        if before is not None:
            self._retire(before)
        _log.info("model is live", extra={"fields": _fields(desired)})
        self._on_change()

    def _fail(self, endpoint: Endpoint, error: HoldfastError) -> None:
        endpoint.state, endpoint.message = "failed", str(error)
        _log.error(
            "model does not load", extra={"fields": {**_fields(endpoint.desired), "error": str(error)}}
        )
        self._on_change()

    def _retire(self, model: Model) -> None:
        model.is_retired = True
        if model.busy == 0:
            self._close(model)

    def release(self, model: Model) -> None:
        """A request is done with the model; the last one closes a retired model."""
        model.busy -= 1
        if model.is_retired and model.busy == 0:
            self._close(model)

    def _close(self, model: Model) -> None:
        closing = asyncio.get_running_loop().run_in_executor(None, model.runtime.close)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def digests(self) -> set[str]:
        """The deployable digests that are desired or answer."""
        found = {endpoint.desired.deployable_digest for endpoint in self.by_name.values()}
        return found | {
            e.model.desired.deployable_digest for e in self.by_name.values() if e.model is not None
        }

    def is_ready(self) -> bool:
        """Whether the desired state is known and no endpoint waits for its first model."""
        return self.is_known and not any(
            e.model is None and e.state == "loading" for e in self.by_name.values()
        )

    async def close(self) -> None:
        """Stop loading, close all logs and all models."""
        for name in list(self.by_name):
            self._remove(name)
        if self._closing:
            await asyncio.wait(self._closing)
        for loader in self._loaders.values():
            loader.shutdown(wait=True)


def _id_of(desired: DesiredEndpoint | None) -> str:
    return "" if desired is None else desired.endpoint_id


def _is_same(one: DesiredEndpoint, other: DesiredEndpoint) -> bool:
    return (one.deployable_digest, one.version, one.model) == (
        other.deployable_digest,
        other.version,
        other.model,
    )


def _close_unwanted(loading: asyncio.Future[Model]) -> None:
    """Close a model that nobody wants any more when its loading ends."""
    if not loading.cancelled() and loading.exception() is None:
        loading.result().runtime.close()


def _fields(desired: DesiredEndpoint) -> dict[str, object]:
    return {"endpoint": desired.name, "model": desired.model, "version": desired.version}

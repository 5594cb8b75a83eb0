"""Verbs on endpoints: deploy, wait until live, predict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.client.api import Api, encode, segment
from holdfast.client.frames import columns_of
from holdfast.client.inference import infer_request, read_predictions
from holdfast.client.records import Endpoint, Predictions, ServingStatus
from holdfast.kernel.errors import Conflict, InvalidInput, Unavailable

__all__ = ["ServingVerbs"]

_ENDPOINTS = "/api/v1/endpoints"
_POLL_S = 0.2


class ServingVerbs:
    """The serving part of `Client`."""

    _api: Api
    _inference: Api | None
    _endpoints: dict[str, Endpoint]
    _lock: threading.Lock

    def connect(self, url: str) -> Api:
        """The interface of another server with this client's credentials."""
        raise NotImplementedError

    def deploy(
        self,
        model: str,
        endpoint: str,
        *,
        clock: str | None = None,
        window: str | None = None,
        task: str | None = None,
        target: str | None = None,
    ) -> Endpoint:
        """Serve `model` (`NAME`, `NAME@ALIAS` or `NAME/VERSION`) at `endpoint`, new or not. Does not wait."""
        given = {"clock": clock, "window": window, "task": task, "target": target}
        body: dict[str, Any] = {"name": endpoint, "model": model}
        body.update({key: value for key, value in given.items() if value is not None})
        self._forget(endpoint)
        return self._api.post(_ENDPOINTS, body, Endpoint)

    def wait_until_live(
        self,
        endpoint: str,
        *,
        timeout_s: float = 300.0,
        on_change: Callable[[Endpoint], None] | None = None,
    ) -> Endpoint:
        """The endpoint once the version that was asked for answers; `on_change` sees it at each look.

        Raises Conflict with the server's message when the version cannot be served, Unavailable after
        `timeout_s`.
        """
        end = time.monotonic() + timeout_s
        while True:
            found = self.get_endpoint(endpoint)
            if on_change is not None:
                on_change(found)
            if found.status == "live" and found.live_version == found.version:
                return found
            if found.status == "failed":
                why = found.message.partition("\n\n")[0]  # a traceback may follow
                raise Conflict(
                    f"{found.model} version {found.version} cannot be served at {endpoint!r}: {why}",
                    hint="Repair the model and deploy another version; the one before keeps answering. All that is "
                    f"known: holdfast model show {found.model}/{found.version}",
                )
            if time.monotonic() > end:
                raise Unavailable(
                    f"{endpoint!r} is still {found.status} after {timeout_s:.0f} s.",
                    hint=f"See how it goes with: holdfast endpoint show {endpoint}",
                )
            time.sleep(_POLL_S)

    def list_endpoints(self) -> list[Endpoint]:
        """Every endpoint of the workspace."""
        return list(self._api.pages(_ENDPOINTS, Endpoint))

    def get_endpoint(self, name: str) -> Endpoint:
        """One endpoint. Raises NotFound."""
        return self._api.get(f"{_ENDPOINTS}/{segment(name)}", Endpoint)

    def delete_endpoint(self, name: str) -> None:
        """Stop serving an endpoint. Raises NotFound."""
        self._forget(name)
        self._api.delete(f"{_ENDPOINTS}/{segment(name)}")

    def serving_status(self) -> ServingStatus:
        """Where inference answers and which replicas are known."""
        return self._api.get("/api/v1/serving", ServingStatus)

    def predict(
        self,
        endpoint: str,
        data: Any,
        *,
        keys: Sequence[str | None] | None = None,
        event_times: Sequence[int | None] | None = None,
    ) -> Predictions:
        """Predict each row of `data`: a table of columns, a list of rows (dicts), or a pandas or polars
        frame.

        `keys` name the rows for later feedback; `event_times` are ms, UTC. When the connection breaks, a request
        whose rows all have keys is sent again, because each key and input counts once; another raises Unavailable.
        """
        known = self.served_endpoint(endpoint)
        body = infer_request(known.signature or {}, columns_of(data), keys=keys, event_times=event_times)
        api = self.inference_api()
        path = f"/v2/models/{segment(known.model_name)}/infer"
        is_repeatable = keys is not None and None not in keys
        try:
            return read_predictions(api.send("POST", path, json=encode(body), repeatable=is_repeatable))
        except InvalidInput:
            self._forget(endpoint)  # another version may be live by now, with other inputs
            raise

    def served_endpoint(self, name: str) -> Endpoint:
        """The endpoint with its signature, fetched once per client and deployment."""
        with self._lock:
            known = self._endpoints.get(name)
        if known is None or not known.signature:
            known = self.get_endpoint(name)
            with self._lock:
                self._endpoints[name] = known
        return known

    def inference_api(self) -> Api:
        """The interface of the inference server. Raises Unavailable when none is known."""
        if self._inference is None:
            url = self.serving_status().inference_url
            if not url:
                raise Unavailable(
                    "No inference server is known to the control plane.",
                    hint="Start one with: holdfast serve, or restart holdfast server without --no-inference.",
                )
            self._inference = self.connect(url)
        return self._inference

    def _forget(self, endpoint: str) -> None:
        with self._lock:
            self._endpoints.pop(endpoint, None)

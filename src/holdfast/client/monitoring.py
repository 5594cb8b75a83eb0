"""Verbs on logged predictions, ground truth, monitors and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.client.api import Api, segment
from holdfast.client.frames import columns_of
from holdfast.client.records import Endpoint
from holdfast.kernel.errors import InvalidInput

__all__ = ["MonitoringVerbs"]

_ENDPOINTS = "/api/v1/endpoints"
_ALERTS = "/api/v1/alerts"


class MonitoringVerbs:
    """The monitoring part of `Client`."""

    _api: Api

    def feedback(
        self,
        endpoint: str,
        labels: Sequence[Any],
        *,
        keys: Sequence[str | None] | None = None,
        prediction_ids: Sequence[str] | None = None,
        event_times: Sequence[int | None] | None = None,
    ) -> int:
        """Deliver the true outcome of predictions named by `keys` or by `prediction_ids`; gives how many
        were taken.

        `event_times` (ms, UTC) say when each outcome became known. Delivering the same labels again is
        harmless.
        """
        if (keys is None) == (prediction_ids is None):
            raise InvalidInput(
                "Feedback names its predictions by keys or by prediction_ids: give exactly one of them."
            )
        columns: dict[str, list[Any]] = {"label": list(labels)}
        if keys is not None:
            columns["key"] = list(keys)
        if prediction_ids is not None:
            columns["prediction_id"] = list(prediction_ids)
        if event_times is not None:
            columns["event_time"] = list(event_times)
        if len({len(column) for column in columns.values()}) != 1:
            sizes = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise InvalidInput(f"The feedback columns differ in length: {sizes}.")
        path = f"{_ENDPOINTS}/{segment(endpoint)}/feedback"
        answer = self._api.post(path, {"columns": columns}, dict, repeatable=True)
        return int(answer.get("accepted", 0))

    def monitor(
        self, endpoint: str, *, window: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """What the monitor knows of an endpoint, window by window (the document of `holdfast monitor show
        --json`): the newest `limit` windows, without it 2,000.
        """
        return self._api.get(f"{_ENDPOINTS}/{segment(endpoint)}/monitor", dict, window=window, limit=limit)

    def set_monitor(
        self,
        endpoint: str,
        *,
        clock: str | None = None,
        window: str | None = None,
        task: str | None = None,
        target: str | None = None,
        positive: Any = None,
        reference: Any = None,
    ) -> Endpoint:
        """Change the given settings of an endpoint's monitor; an unknown name becomes an external endpoint.

        `reference` is a table of inputs and true labels, which production is compared with from now on.
        """
        given = {"clock": clock, "window": window, "task": task, "target": target, "positive": positive}
        body: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if reference is not None:
            body["reference"] = {"columns": columns_of(reference)}
        return self._api.put(f"{_ENDPOINTS}/{segment(endpoint)}/monitor", body, Endpoint)

    def log_status(self, endpoint: str) -> dict[str, Any]:
        """How much an endpoint has logged and labelled, and what waits for its table."""
        return self._api.get(f"{_ENDPOINTS}/{segment(endpoint)}/log", dict)

    def find_predictions(
        self, endpoint: str, *, prediction_id: str | None = None, key: str | None = None
    ) -> list[dict[str, Any]]:
        """The logged predictions with this id or this key, oldest first, with their labels."""
        path = f"{_ENDPOINTS}/{segment(endpoint)}/predictions"
        return list(self._api.pages(path, dict, prediction_id=prediction_id, key=key))

    def list_alerts(self, *, endpoint: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
        """The alerts, newest first."""
        return list(self._api.pages(_ALERTS, dict, endpoint=endpoint, state=state))

    def get_alert(self, alert_id: int | str) -> dict[str, Any]:
        """One alert. Raises NotFound."""
        return self._api.get(f"{_ALERTS}/{segment(str(alert_id))}", dict)

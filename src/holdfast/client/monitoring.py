"""Verbs on ground truth, monitors and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.client.api import Api, segment
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
        keys: Sequence[str] | None = None,
        prediction_ids: Sequence[str] | None = None,
        event_times: Sequence[int] | None = None,
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

    def monitor(self, endpoint: str, *, window: str | None = None) -> dict[str, Any]:
        """What the monitor knows of an endpoint, window by window (the document of `holdfast monitor show
        --json`).
        """
        return self._api.get(f"{_ENDPOINTS}/{segment(endpoint)}/monitor", dict, window=window)

    def set_monitor(
        self,
        endpoint: str,
        *,
        clock: str | None = None,
        window: str | None = None,
        task: str | None = None,
        target: str | None = None,
        reference: Mapping[str, Sequence[Any]] | None = None,
    ) -> dict[str, Any]:
        """Change the given settings of an endpoint's monitor. `reference` is a table of columns with
        labels.
        """
        settings = {"clock": clock, "window": window, "task": task, "target": target}
        body: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
        if reference is not None:
            body["reference"] = {"columns": {name: list(column) for name, column in reference.items()}}
        return self._api.put(f"{_ENDPOINTS}/{segment(endpoint)}/monitor", body, dict)

    def list_alerts(self, *, endpoint: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
        """The alerts, newest first."""
        return list(self._api.pages(_ALERTS, dict, endpoint=endpoint, state=state))

    def get_alert(self, alert_id: int | str) -> dict[str, Any]:
        """One alert. Raises NotFound."""
        return self._api.get(f"{_ALERTS}/{segment(str(alert_id))}", dict)

"""MLflow's calls on the histories of metrics: of one run, of many, and thinned out."""

from __future__ import annotations

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.mlflow_api.entities import metric_entities
from holdfast.mlflow_api.runs import OfRun, run_of
from holdfast.mlflow_api.wire import (
    Message,
    MissingParameter,
    answer,
    answer_whole,
    decode_offset,
    encode_offset,
    limit_of,
    route,
)
from holdfast.tracking.points import spread_steps
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Raw, Route

__all__ = ["HistoryCalls", "history_routes"]

_BASE = "/api/2.0/mlflow/metrics"
_MOST_POINTS, _MOST_BULK = 1_000_000, 25_000
_MOST_RUN_IDS, _MOST_STEPS = 100, 2500


class _History(OfRun):
    metric_key: str | None = None
    page_token: str = ""
    max_results: int | None = None


class _Bulk(msgspec.Struct):
    run_id: list[str] | None = None
    metric_key: str | None = None
    max_results: int | None = None


class _Interval(msgspec.Struct):
    run_ids: list[str] | None = None
    metric_key: str | None = None
    max_results: int | None = None
    start_step: int | None = None
    end_step: int | None = None


_HISTORY, _BULK = Message(_History, "metric_key"), Message(_Bulk)
_INTERVAL = Message(_Interval, "metric_key")


class HistoryCalls:
    """The handlers."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking

    def history(self, call: Call) -> Raw:
        """getMetricHistory"""
        body = _HISTORY.read(call)
        key, bound = str(body.metric_key), ("history", body.metric_key)
        points = self._tracking.metrics.get_points(call.caller, run_of(body), key)
        if points is None:
            return answer()
        start, count = decode_offset(body.page_token, bound), len(points.step)
        end = start + limit_of(body.max_results, default=count or 1, most=_MOST_POINTS)
        more = encode_offset(end, bound) if end < count else None
        found = metric_entities(key, points, start, end)
        page = {"metrics": found} if found else {}
        return answer_whole({**page, "next_page_token": more} if more else page)

    def history_bulk(self, call: Call) -> Raw:
        """get-history-bulk: the first points of a metric of many runs"""
        body = _BULK.read(call)
        if not body.run_id:
            raise InvalidInput("GetMetricHistoryBulk request must specify at least one run_id.")
        if len(body.run_id) > _MOST_RUN_IDS:
            raise InvalidInput(
                f"GetMetricHistoryBulk request cannot specify more than {_MOST_RUN_IDS} run_ids. "
                f"Received {len(body.run_id)} run_ids."
            )
        if not body.metric_key:
            raise InvalidInput("GetMetricHistoryBulk request must specify a metric_key.")
        most = limit_of(body.max_results, default=_MOST_BULK, most=_MOST_BULK)
        found: list[dict[str, object]] = []
        for run_id in sorted(set(body.run_id)):
            points = self._tracking.metrics.get_points(call.caller, run_id, body.metric_key)
            if points is not None and len(found) < most:
                rows = metric_entities(body.metric_key, points, 0, most - len(found))
                found += [{**row, "run_id": run_id} for row in rows]
        return answer_whole({"metrics": found})

    def history_interval(self, call: Call) -> Raw:
        """getMetricHistoryBulkInterval: the points at about so many steps, the same ones of each run"""
        body = _INTERVAL.read(call)
        key, most = str(body.metric_key), 320 if body.max_results is None else body.max_results
        if not body.run_ids:
            raise MissingParameter("run_ids")
        if len(body.run_ids) > _MOST_RUN_IDS:
            raise InvalidInput(
                f"GetMetricHistoryBulkInterval request must specify at most {_MOST_RUN_IDS} run_ids. "
                f"Received {len(body.run_ids)} run_ids."
            )
        if not 1 <= most <= _MOST_STEPS:
            raise InvalidInput(f"max_results must be between 1 and {_MOST_STEPS}.")
        if (body.start_step is None) != (body.end_step is None):
            raise InvalidInput("If either start step or end step are specified, both must be specified.")
        if body.start_step is not None and body.end_step is not None and body.start_step > body.end_step:
            raise InvalidInput(
                f"end_step must be greater than start_step. Found start_step={body.start_step} "
                f"and end_step={body.end_step}."
            )
        runs = {
            run_id: self._tracking.metrics.get_points(call.caller, run_id, key) for run_id in body.run_ids
        }
        inside = {
            run_id: points.between(body.start_step, body.end_step)
            for run_id, points in runs.items()
            if points is not None
        }
        steps = spread_steps([points.step for points in inside.values()], most)
        found: list[dict[str, object]] = []
        for run_id, points in inside.items():
            chosen = points.at_steps(steps)
            rows = metric_entities(key, chosen, 0, len(chosen.step))
            found += [{**row, "run_id": run_id} for row in rows]
        return answer({"metrics": found or None})


def history_routes(calls: HistoryCalls) -> list[Route]:
    """The routes of metric histories."""
    return [
        route("GET", f"{_BASE}/get-history", calls.history, "tracking:read"),
        route("GET", f"{_BASE}/get-history-bulk", calls.history_bulk, "tracking:read"),
        route("GET", f"{_BASE}/get-history-bulk-interval", calls.history_interval, "tracking:read"),
    ]

"""Monitors and alerts over HTTP. Setting a monitor is a route of `predictions`, whose record it changes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import Items, PageQuery
from holdfast.kernel.times import parse_time
from holdfast.monitoring.records import Alert, FeatureShape, MonitorReport, Summary
from holdfast.monitoring.service import MOST_WINDOWS, Monitor
from holdfast.web import Call, Route

__all__ = ["routes"]


class WindowsQuery(msgspec.Struct, frozen=True):
    """The newest windows of a size; without one, of the endpoint's."""

    window: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = MOST_WINDOWS


class FeatureQuery(msgspec.Struct, frozen=True):
    """The window that holds a time (ISO 8601, or milliseconds since the epoch)."""

    at: str
    window: str = ""


class AlertQuery(PageQuery, frozen=True):
    """The alerts of an endpoint, or in a state; without them, all."""

    endpoint: str = ""
    state: Literal["", "open", "ended"] = ""


def routes(monitor: Monitor) -> list[Route]:
    """The routes of this room."""

    def show(call: Call) -> MonitorReport:
        asked: WindowsQuery = call.params
        return monitor.show(call.caller, call.path["name"], asked.window or None, asked.limit)

    def summary(call: Call) -> Summary:
        return monitor.summary(call.caller, call.path["name"])

    def feature(call: Call) -> FeatureShape:
        asked: FeatureQuery = call.params
        name, column = call.path["name"], call.path["feature"]
        return monitor.show_feature(
            call.caller, name, column, parse_time(asked.at, "at"), asked.window or None
        )

    def list_alerts(call: Call) -> Items[Alert]:
        asked: AlertQuery = call.params
        return monitor.list_alerts(
            call.caller,
            asked.endpoint or None,
            asked.state or None,
            limit=asked.limit,
            page_token=asked.page_token,
        )

    def get_alert(call: Call) -> Alert:
        text = call.path["alert_id"]
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise InvalidInput(
                f"{text[:40]!r} is not the number of an alert.", hint="holdfast alert list shows them."
            )
        return monitor.get_alert(call.caller, int(text))

    base, read = "/api/v1/endpoints/{name}/monitor", "monitoring:read"
    return [
        Route(
            "GET",
            base,
            show,
            read,
            summary="An endpoint's windows, drift and alerts",
            result=MonitorReport,
            query=WindowsQuery,
        ),
        Route("GET", base + "/summary", summary, read, summary="An endpoint in one line", result=Summary),
        Route(
            "GET",
            base + "/features/{feature:path}",
            feature,
            read,
            summary="One column's distribution in a window and in the reference",
            result=FeatureShape,
            query=FeatureQuery,
        ),
        Route(
            "GET",
            "/api/v1/alerts",
            list_alerts,
            read,
            summary="List alerts",
            result=Items[Alert],
            query=AlertQuery,
        ),
        Route("GET", "/api/v1/alerts/{alert_id}", get_alert, read, summary="Read an alert", result=Alert),
    ]
